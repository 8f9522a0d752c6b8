"""What a write answers with is read once more at its own address, so that the next GET is a hit."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from app.caching import clean
from app.services.atomic import end_read

log = logging.getLogger(__name__)
WRITES = ("POST", "PUT", "PATCH")
SETTLED = "broadsheet.settled"  # the environ's key: the answer has waited for what was committed
WARMING = "broadsheet.warming"  # the environ's key: the generations have just moved, nobody can have kept anything


def warm(response: Response) -> Response:
    """Ask for what was written, as its writer: an ordinary GET after the commit, so as coherent as any other.

    Whatever goes wrong here changes nothing of the answer to the write.
    """
    if request.method in WRITES and response.status_code in (200, 201):
        path = urlsplit(response.headers["Location"]).path if "Location" in response.headers else request.path
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
        try:
            if _is_cached(app, path):
                app.extensions["coherence"].settle()  # else this GET could find what was true before
                request.environ[SETTLED] = True
                _get(app, path)
        except Exception:
            log.exception("%s was written, but not warmed", path)
    return response


def _is_cached(app: Flask, path: str) -> bool:
    """Whether a GET of this address is answered by a cached handler."""
    try:
        endpoint, _ = app.url_map.bind("").match(path, "GET")
    except (HTTPException, RequestRedirect):
        return False
    view = getattr(app.view_functions[endpoint], "view_class", None)
    return hasattr(getattr(view, "get", None), "tags")


def _get(app: Flask, path: str) -> None:
    """In contexts of its own: with a database session begun after the commit, and nothing of the write in `g`."""
    end_read()  # the GET takes a connection: hold none meanwhile
    more: dict[str, Any] = {WARMING: True}
    if token := request.headers.get("Authorization"):
        more["HTTP_AUTHORIZATION"] = token
    with app.app_context(), clean.get(app, path, more=more):
        app.full_dispatch_request()
