"""One RESTX Api at /api, its docs at /api/docs."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from flask import Flask, Response
from flask_restx import Api, Namespace
from werkzeug.routing import IntegerConverter, ValidationError

from app.routes import health, problems
from app.routes.decorators import model_of
from app.routes.v1 import posts as posts_v1
from app.routes.v1 import todos as todos_v1
from app.routes.v1 import users as users_v1
from app.routes.v2 import posts as posts_v2
from app.schemas.base import BIGGEST_ID, Schema
from app.schemas.v1.messages import ErrorV1
from app.schemas.v2.posts import ProblemV2

NAMESPACES: tuple[tuple[Namespace, type[Schema]], ...] = (
    (users_v1.ns, ErrorV1),
    (posts_v1.ns, ErrorV1),
    (todos_v1.ns, ErrorV1),
    (posts_v2.ns, ProblemV2),
)
AUTHORIZATIONS = {
    "jwt": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Bearer <token>`, with the token that `POST /api/v1/users/login` answers with.",
    }
}
# What no decorator says.
MORE_ANSWERS = {
    "create_post": (409,),
    "create_todo": (409,),
    "create_user": (401, 403),
    "delete_post": (412,),
    "delete_todo": (412,),
    "delete_user": (409, 412),
    "login_user": (401,),
    "update_post": (412,),
    "update_todo": (412,),
    "update_user": (409, 412),
}
CONDITIONS = {
    "create_post": ("Idempotency-Key",),
    "create_todo": ("Idempotency-Key",),
    "delete_todo": ("If-Match",),
    "update_todo": ("If-Match",),
    "delete_post": ("If-Match",),
    "delete_user": ("If-Match",),
    "update_post": ("If-Match",),
    "update_user": ("If-Match",),
}
HEADERS = {
    "Idempotency-Key": "Sent again under the same key, it is done once and answered alike.",
    "If-Match": "The `ETag` that was read: 412 if it has changed since.",
}
VERBS = {"get": "get", "post": "create", "put": "update", "delete": "delete"}


class Id(IntegerConverter):
    """Ids in paths: one spelling each (no `007`, no `٧`), within 64 bits; anything else is 404."""

    regex = r"[1-9][0-9]{0,18}"

    def to_python(self, value: str) -> int:
        """The id."""
        id = int(value)
        if id > BIGGEST_ID:
            raise ValidationError
        return id


class BroadsheetApi(Api):
    """RESTX without errors of its own: it would send an exception's `.data`, a password for instance, and its search
    for the route of a 405 fails where an id is beyond 64 bits.
    """

    def error_router(self, original_handler: Callable[[Exception], Response], e: Exception) -> Response:
        """Leave it to Flask, which asks `problems.handle`."""
        return original_handler(e)


def operation_id(resource: str, method: str) -> str:
    """`PostList.get` is `list_posts`, `PostItem.put` is `update_post`."""
    noun = resource.removesuffix("List").removesuffix("Item").lower()
    if resource.endswith("List") and method == "get":
        return f"list_{noun}s"
    return f"{VERBS[method]}_{noun}"


def init_app(app: Flask) -> None:
    """Register every route."""
    app.url_map.strict_slashes = False  # with and without a trailing slash, and no redirect that loses a body
    app.url_map.merge_slashes = False
    app.url_map.converters["int"] = Id
    problems.init_app(app)
    health.init_app(app)
    api = BroadsheetApi(
        app,
        version="1",
        title="Broadsheet",
        description="Users and posts, cached and never stale.",
        prefix="/api",
        doc="/api/docs",
        authorizations=AUTHORIZATIONS,
        default_id=operation_id,
    )
    for ns, error_schema in NAMESPACES:
        _document_errors(ns, error_schema())
        api.add_namespace(ns)


def _document_errors(ns: Namespace, error: Schema) -> None:
    """Swagger's error answers, conditions and security, from what the handlers' decorators say and the table above."""
    model = model_of(ns, error)
    for route in ns.resources:
        for method in map(str.lower, route.resource.methods or ()):
            view = getattr(route.resource, method)
            name = view.__apidoc__.get("id") or operation_id(route.resource.__name__, method)
            guard = getattr(view, "guard", None)
            doc: dict[str, Any] = {}
            statuses = {*MORE_ANSWERS.get(name, ()), *([404] if any("<" in url for url in route.urls) else ())}
            if guard in ("login", "admin"):
                doc["security"] = "jwt"
                statuses |= {401, 403}
            if guard:
                statuses |= {429, 503}
            if hasattr(view, "takes_body"):
                statuses |= {413}
            if hasattr(view, "takes_body") or getattr(view, "takes_query", False):
                statuses |= {400 if isinstance(error, ErrorV1) else 422}
            doc["responses"] = {str(status): (HTTPStatus(status).phrase, model, {}) for status in statuses}
            doc["params"] = {header: _header(header) for header in CONDITIONS.get(name, ())}
            setattr(route.resource, method, ns.doc(**doc)(view))


def _header(name: str) -> dict[str, Any]:
    return {"in": "header", "type": "string", "description": HEADERS[name]}
