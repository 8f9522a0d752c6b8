"""Our app, saying in each answer which process gave it and how many signatures that has verified so far."""

from __future__ import annotations

import os
from typing import Any

import jwt
from flask import Flask, Response

from app import create_app as plain

verified: list[str] = []


def create_app() -> Flask:
    """The app of a server whose processes a test wants to tell apart."""
    app, decode = plain(), jwt.decode_complete

    def counting(token: str, *arguments: Any, **options: Any) -> Any:
        verified.append(token)
        return decode(token, *arguments, **options)

    jwt.decode_complete = counting

    def tell(response: Response) -> Response:
        response.headers["X-Process"] = str(os.getpid())
        response.headers["X-Verified"] = str(len(verified))
        return response

    app.after_request(tell)
    return app
