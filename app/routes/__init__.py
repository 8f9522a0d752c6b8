"""One RESTX Api at /api, its docs at /api/docs."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, Response
from flask_restx import Api, Namespace
from werkzeug.routing import IntegerConverter, ValidationError

from app.routes import description, docs, health, metrics, problems
from app.routes.v1 import posts as posts_v1
from app.routes.v1 import todos as todos_v1
from app.routes.v1 import users as users_v1
from app.routes.v2 import admin as admin_v2
from app.routes.v2 import auth as auth_v2
from app.routes.v2 import cache as cache_v2
from app.routes.v2 import me as me_v2
from app.routes.v2 import notifications as notifications_v2
from app.routes.v2 import outbox as outbox_v2
from app.routes.v2 import posts as posts_v2
from app.routes.v2 import preferences as preferences_v2
from app.routes.v2 import stats as stats_v2
from app.routes.v2 import tags as tags_v2
from app.routes.v2 import todos as todos_v2
from app.routes.v2 import users as users_v2
from app.routes.v2 import webhooks as webhooks_v2
from app.schemas.base import BIGGEST_ID, Schema
from app.schemas.v1.messages import ErrorV1
from app.schemas.v2.problems import ProblemV2

V1 = (users_v1, posts_v1, todos_v1)
V2 = (
    auth_v2,
    users_v2,
    me_v2,
    posts_v2,
    tags_v2,
    todos_v2,
    notifications_v2,
    webhooks_v2,
    preferences_v2,
    stats_v2,
    admin_v2,
    cache_v2,
    outbox_v2,
)
# Each with the schema of its errors and the end of its operations' ids.
NAMESPACES: tuple[tuple[Namespace, type[Schema], str], ...] = (
    *((of.ns, ErrorV1, "") for of in V1),
    *((of.ns, ProblemV2, "_v2") for of in V2),
)
AUTHORIZATIONS = {
    "jwt": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "An access token of `POST /api/v2/auth/login`, or of `POST /api/v1/users/login` for v1 alone. "
        "The login on top of the page fills this; `Bearer` is added where it is missing.",
    }
}


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


def init_app(app: Flask) -> None:
    """Register every route."""
    app.url_map.strict_slashes = False  # with and without a trailing slash, and no redirect that loses a body
    app.url_map.merge_slashes = False
    app.url_map.converters["int"] = Id
    problems.init_app(app)
    health.init_app(app)
    metrics.init_app(app)
    api = BroadsheetApi(
        app,
        version="1",
        title="Broadsheet",
        description="Users and posts, cached and never stale.",
        prefix="/api",
        doc="/api/docs",
        authorizations=AUTHORIZATIONS,
        default_id=description.operation_id,
    )
    docs.init_app(app, api)
    for ns, error_schema, suffix in NAMESPACES:
        description.complete(ns, error_schema(), suffix)
        api.add_namespace(ns)
