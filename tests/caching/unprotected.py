"""The hammer's control: our app with the protection switched off. Generations are asked once and believed for ever."""

from __future__ import annotations

from functools import cache as remembered
from types import SimpleNamespace

from flask import Flask

from app import create_app as protected
from app.caching import cache


def create_app() -> Flask:
    """An app that must be found stale."""
    app = protected()
    cache.source = SimpleNamespace(read=remembered(cache.source.read), close=cache.source.close)
    return app
