"""Our app, slow to read posts."""

from __future__ import annotations

import time
from typing import Any

from flask import Flask

from app import create_app as plain
from app.services import posts


def create_app() -> Flask:
    """The app of a server whose processes are to meet while they compute."""
    published = posts.published

    def slowly(*arguments: Any, **options: Any) -> Any:
        time.sleep(0.5)
        return published(*arguments, **options)

    posts.published = slowly
    return plain()
