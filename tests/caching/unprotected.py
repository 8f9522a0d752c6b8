"""The hammer's control: our app with the protection switched off. Generations are asked once and believed for ever."""

from __future__ import annotations

from functools import cache as remembered

from flask import Flask

from app import create_app as protected


def create_app() -> Flask:
    """An app that must be found stale."""
    app = protected()
    source = app.extensions["coherence"].source
    source.read = remembered(source.read)
    return app
