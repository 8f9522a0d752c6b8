"""What a caller may say of the state in which his write is to happen: `If-Match` and `Idempotency-Key`."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable
from typing import Any

from flask import Response, request

from app.auth import current_user
from app.caching.codings import tags_of
from app.caching.entry import etag_of
from app.errors import FieldError, Invalid, PreconditionFailed
from app.routes.decorators import content_of
from app.schemas.base import Schema
from app.services import idempotency
from app.services.atomic import atomic

KEY = re.compile(r"[!-~]{1,255}", re.ASCII)
KEPT_HEADERS = ("Cache-Control", "Content-Type", "Last-Modified", "Location")


def if_match(schema: Schema) -> Callable[[Any], None]:
    """A check for a service to make of the thing that it is about to change, once it holds it.

    :param schema: the shape in which the thing is read: its ETag is that of the body that GET would answer with now.
    """
    wanted = request.if_match

    def check(thing: Any) -> None:
        """:raises PreconditionFailed: the thing has moved on (RFC 9110 §13.1.1)."""
        if "If-Match" in request.headers:
            tags = tags_of(etag_of(content_of(schema, thing)))
            if not any(wanted.contains(tag) for tag in tags):
                raise PreconditionFailed

    return check


def idempotent(view: Callable[..., Response]) -> Callable[..., Response]:
    """Do a POST once for each `Idempotency-Key` of the user; who repeats it gets the same answer. Below the guard.

    :raises Invalid: the key is none, or belongs to another request.
    :raises Conflict: the first request under this key still runs.
    """

    @functools.wraps(view)
    def once(*args: Any, **kwargs: Any) -> Response:
        key = request.headers.get(idempotency.HEADER)
        if key is None:
            return view(*args, **kwargs)
        if not KEY.fullmatch(key):
            wrong = FieldError(idempotency.HEADER, "invalid", "Must be 1 to 255 visible ASCII characters")
            raise Invalid(errors=(wrong,))
        user_id, fingerprint = current_user().id, _fingerprint()
        with atomic():
            first = idempotency.begin(user_id, key, fingerprint)
            if first is not None:
                return Response(first.body, first.status, {**first.headers, "Idempotency-Replayed": "true"})
            response = view(*args, **kwargs)
            headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
            idempotency.keep(user_id, key, fingerprint, response.status_code, headers, response.get_data())
        return response

    return once


def _fingerprint() -> str:
    asked = f"{request.method} {request.path.rstrip('/')}\n".encode()
    return hashlib.sha256(asked + request.get_data()).hexdigest()
