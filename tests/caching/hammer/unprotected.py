"""Our app, with a switch on the board that takes its protection off: the hammer's control."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask

from app import create_app as protected

from .board import OPEN, Board

TRUSTED_SECONDS = 0.05


def create_app() -> Flask:
    """In direct mode the unprotected app believes for a moment what it was told; in leased mode no answer waits."""
    app = protected()
    words = Board(Path(os.environ["HAMMER_BOARD"])).words
    source = app.extensions["coherence"].source
    if app.config["CACHE_MODE"] == "direct":
        source.read = _forgetting(source.read, words)
    else:
        settle = source.settle
        source.settle = lambda: None if words[OPEN] else settle()
    return app


def _forgetting(read: Callable[..., Any], words: memoryview) -> Callable[..., Any]:
    remembered: dict[tuple[int, ...], tuple[float, Any]] = {}

    def trusting(slots: tuple[int, ...]) -> Any:
        if not words[OPEN]:
            return read(slots)
        until, generations = remembered.get(slots, (0.0, None))
        if time.monotonic() > until:
            remembered[slots] = (time.monotonic() + TRUSTED_SECONDS, generations := read(slots))
        return generations

    return trusting
