"""What Swagger says of an operation beside its handler's decorators."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask_restx import Namespace

from app.routes.decorators import model_of
from app.schemas.base import Schema
from app.schemas.v1.messages import ErrorV1

VERBS = {"get": "get", "post": "create", "put": "update", "patch": "update", "delete": "delete"}
# What no decorator says, by the operation's id, which is alike in all versions but for its end.
MORE_ANSWERS = {
    "administer_account": (409, 412),
    "change_password": (),
    "create_post": (409,),
    "create_todo": (409,),
    "create_user": (401, 403, 409),
    "create_webhook": (409,),
    "delete_account": (409, 412),
    "delete_post": (412,),
    "delete_todo": (412,),
    "delete_user": (409, 412),
    "delete_webhook": (412,),
    "follow_user": (409,),
    "login": (401,),
    "login_user": (401,),
    "ping_webhook": (409,),
    "redeliver_webhook": (409,),
    "mute_author": (409,),
    "refresh": (401,),
    "update_me": (409, 412),
    "update_post": (409, 412),
    "update_todo": (412,),
    "update_user": (409, 412),
    "update_webhook": (412,),
}
CONDITIONS = dict.fromkeys(
    (name for name, statuses in MORE_ANSWERS.items() if 412 in statuses), ("If-Match",)
) | dict.fromkeys(("create_post", "create_todo"), ("Idempotency-Key",))
HEADERS = {
    "Idempotency-Key": {
        "description": "Sent again under the same key, it is done once and answered alike.",
        "pattern": "^[!-~]{1,255}$",
    },
    "If-Match": {"description": "The `ETag` that was read: 412 if it has changed since."},
}


def operation_id(resource: str, method: str) -> str:
    """`PostList.get` is `list_posts`, `PostItem.put` is `update_post`."""
    noun = resource.removesuffix("List").removesuffix("Item").lower()
    if resource.endswith("List") and method == "get":
        return f"list_{noun}s"
    return f"{VERBS[method]}_{noun}"


def complete(ns: Namespace, error: Schema, suffix: str) -> None:
    """Say each operation's id, error answers, conditions and security, from its decorators and the tables above."""
    model = model_of(ns, error)
    for route in ns.resources:
        for method in map(str.lower, route.resource.methods or ()):
            view = getattr(route.resource, method)
            name = view.__apidoc__.get("id") or operation_id(route.resource.__name__, method)
            name = name.removesuffix(suffix)  # a second app of this process documents the same handlers
            statuses = _statuses(view, name, any("<" in url for url in route.urls), isinstance(error, ErrorV1))
            doc: dict[str, Any] = {"id": name + suffix}
            if getattr(view, "guard", None) in ("login", "admin"):
                doc["security"] = "jwt"
            doc["responses"] = {str(status): (HTTPStatus(status).phrase, model, {}) for status in sorted(statuses)}
            if not isinstance(error, ErrorV1):
                doc["produces"] = ["application/json", "application/problem+json"]
            doc["params"] = {header: _header(header) for header in CONDITIONS.get(name, ())}
            setattr(route.resource, method, ns.doc(**doc)(view))


def _statuses(view: Any, name: str, has_id: bool, plain: bool) -> set[int]:
    statuses = {*MORE_ANSWERS.get(name, ())} - ({409} if plain and name in ("create_user", "update_post") else set())
    guard, takes_body = getattr(view, "guard", None), hasattr(view, "takes_body")
    if has_id:
        statuses |= {404}
    if guard in ("login", "admin"):
        statuses |= {401, 403}
    if guard:
        statuses |= {429, 503}
    if takes_body:
        statuses |= {413} if plain else {413, 415}
    if takes_body or getattr(view, "takes_query", False):
        statuses |= {400} if plain else {400, 422}
    return statuses


def _header(name: str) -> dict[str, Any]:
    return {"in": "header", "type": "string"} | HEADERS[name]
