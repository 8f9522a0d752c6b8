"""`create_app()`: assembly, nothing else."""

from __future__ import annotations

import gc

gc.disable()  # what is imported stays: to look for garbage in it takes a sixth of the time until the first request

from collections.abc import Mapping
from typing import Any, cast
from wsgiref.types import WSGIApplication

from flask import Flask, Request
from flask.sessions import SessionInterface
from flask.typing import ResponseReturnValue
from werkzeug.middleware.proxy_fix import ProxyFix

import config
from app import cli, logs, routes, tasks
from app.auth import limits
from app.caching import Front, cache
from app.edge import Edge
from app.errors import TryAgain
from app.extensions import bcrypt, db, engine_options, ma, migrate


class NoSessions(SessionInterface):
    """No cookie of ours: else each request would make a signer for one."""

    def open_session(self, app: Flask, request: Request) -> None:
        """There is none."""


class Broadsheet(Flask):
    """Flask, but for a handler that met another writer: it runs once more, from its guard on (see `atomic()`)."""

    session_interface = NoSessions()

    def dispatch_request(self) -> ResponseReturnValue:
        """Run the handler."""
        try:
            return super().dispatch_request()
        except TryAgain:
            return super().dispatch_request()


def create_app(environ: Mapping[str, str] | None = None) -> Flask:
    """Assemble the app.

    :param environ: the settings' variables; by default those of `config.load()`.
    :raises config.ConfigError: a setting is missing or wrong.
    """
    settings = config.load(environ)
    app = Broadsheet(__name__, static_folder=None)
    app.config.update(settings)
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(
        app.config["SQLALCHEMY_DATABASE_URI"], app.config["THREADS"]
    )
    logs.configure(app.config["LOG_LEVEL"], app.config["LOG_FORMAT"])
    db.init_app(app)
    ma.init_app(app)
    bcrypt.init_app(app)
    migrate.init_app(app, db, directory=str(config.ROOT / "migrations"))
    cache.init_app(app)
    limits.init_app(app)
    tasks.init_app(app)
    routes.init_app(app)
    cli.init_app(app)
    _wrap(app, settings)
    gc.enable()
    return app


def _wrap(app: Flask, settings: dict[str, Any]) -> None:
    edge = Edge(app.wsgi_app, settings, app.extensions["coherence"].settle)
    layers = cast(WSGIApplication, Front(edge, edge, app.extensions["coherence"]))
    proxies = settings["TRUSTED_PROXIES"]
    if proxies:
        layers = ProxyFix(layers, x_for=proxies, x_proto=proxies)
    app.wsgi_app = layers  # type: ignore[method-assign,assignment]
