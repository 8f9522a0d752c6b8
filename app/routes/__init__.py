"""One RESTX Api at /api, its docs at /api/docs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Response
from flask_restx import Api, Namespace
from werkzeug.routing import IntegerConverter, ValidationError

from app.routes import health, problems
from app.routes.decorators import model_of
from app.routes.v1 import posts as posts_v1
from app.routes.v1 import users as users_v1
from app.routes.v2 import posts as posts_v2
from app.schemas.base import BIGGEST_ID, Schema
from app.schemas.v1.messages import ErrorV1
from app.schemas.v2.posts import ProblemV2

NAMESPACES: tuple[tuple[Namespace, type[Schema]], ...] = (
    (users_v1.ns, ErrorV1),
    (posts_v1.ns, ErrorV1),
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
    """Swagger's error answers and security, from what the handlers' decorators say."""
    model = model_of(ns, error)
    unprocessable = 400 if isinstance(error, ErrorV1) else 422
    for route in ns.resources:
        for method in route.resource.methods or ():
            view = getattr(route.resource, method.lower())
            doc: dict[str, Any] = {"responses": {}}
            statuses = {404: "Not Found"} if any("<" in url for url in route.urls) else {}
            guard = getattr(view, "guard", None)
            if guard in ("login", "admin"):
                doc["security"] = "jwt"
                statuses |= {401: "Unauthorized", 403: "Forbidden"}
            if guard:
                statuses |= {429: "Too Many Requests"}
            if hasattr(view, "takes_body") or view.__apidoc__.get("params"):
                statuses |= {unprocessable: "Bad input"}
            for status, words in statuses.items():
                doc["responses"][str(status)] = (words, model, {})
            setattr(route.resource, method.lower(), ns.doc(**doc)(view))
