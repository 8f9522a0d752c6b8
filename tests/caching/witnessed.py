"""Our app, saying in each answer which process gave it and how many signatures that has verified so far."""

from __future__ import annotations

import os
from typing import Any

import jwt
from flask import Flask

from app import create_app as plain

verified: list[str] = []


def create_app() -> Flask:
    """The app of a server whose processes a test wants to tell apart."""
    app, decode = plain(), jwt.decode_complete

    def counting(token: str, *arguments: Any, **options: Any) -> Any:
        verified.append(token)
        return decode(token, *arguments, **options)

    jwt.decode_complete = counting

    inner = app.wsgi_app

    def telling(environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            ours = [("X-Process", str(os.getpid())), ("X-Verified", str(len(verified)))]
            return start_response(status, [*headers, *ours], *rest)

        return inner(environ, start)

    app.wsgi_app = telling  # type: ignore[method-assign]
    return app
