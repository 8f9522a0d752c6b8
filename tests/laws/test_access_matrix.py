"""Who gets what answer on every route (HARDENING E1): a table, and the routes must be exactly its rows."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import tokens
from app.models.base import now
from tests.factories import PASSWORD

# Who asks for something of the owner's: nobody; a user who has nothing; the owner; another who has posts of his own; an
# admin; and the owner again, who is even an admin, but disabled.
ROLES = ("anon", "user", "owner", "other", "admin", "disabled")
EVERYBODY = (200, 200, 200, 200, 200, 200)
KNOWN = (401, 200, 200, 200, 200, 401)
ADMINS = (401, 403, 403, 403, 200, 401)
TABLE: dict[tuple[str, str], tuple[int, ...]] = {
    ("GET", "/"): (302, 302, 302, 302, 302, 302),
    ("GET", "/api"): (404, 404, 404, 404, 404, 404),
    ("GET", "/api/docs"): EVERYBODY,
    ("GET", "/api/docs/static/<path:filename>"): EVERYBODY,
    ("GET", "/api/health/live"): EVERYBODY,
    ("GET", "/api/health/ready"): EVERYBODY,
    ("GET", "/metrics"): EVERYBODY,  # of this machine, as the test asks: see tests/system/test_metrics.py
    ("GET", "/api/swagger.json"): EVERYBODY,
    ("GET", "/api/v1/posts"): EVERYBODY,
    ("POST", "/api/v1/posts"): (401, 201, 201, 201, 201, 401),
    ("GET", "/api/v1/posts/<int:id>"): EVERYBODY,
    ("PUT", "/api/v1/posts/<int:id>"): (401, 403, 200, 403, 200, 401),
    ("DELETE", "/api/v1/posts/<int:id>"): (401, 403, 200, 403, 200, 401),
    ("DELETE", "/api/v1/posts/all"): (401, 403, 403, 403, 200, 401),
    ("GET", "/api/v1/todos"): (401, 200, 200, 200, 200, 401),
    ("POST", "/api/v1/todos"): (401, 201, 201, 201, 201, 401),
    ("GET", "/api/v1/todos/<int:id>"): (401, 404, 200, 404, 404, 401),
    ("PUT", "/api/v1/todos/<int:id>"): (401, 404, 200, 404, 404, 401),
    ("DELETE", "/api/v1/todos/<int:id>"): (401, 404, 200, 404, 404, 401),
    ("GET", "/api/v1/users"): EVERYBODY,
    ("POST", "/api/v1/users"): (201, 201, 201, 201, 201, 201),
    ("GET", "/api/v1/users/<int:id>"): EVERYBODY,
    ("PUT", "/api/v1/users/<int:id>"): (401, 403, 200, 403, 200, 401),
    ("DELETE", "/api/v1/users/<int:id>"): (401, 403, 403, 403, 200, 401),
    ("POST", "/api/v1/users/logout"): (401, 200, 200, 200, 200, 401),
    ("POST", "/api/v1/users/login"): (200, 200, 200, 200, 200, 401),
    ("GET", "/api/v2/admin/cache"): ADMINS,
    ("GET", "/api/v2/admin/cache/effects"): ADMINS,
    ("POST", "/api/v2/admin/cache/purge"): ADMINS,
    ("POST", "/api/v2/admin/cache/renew"): ADMINS,
    ("GET", "/api/v2/admin/outbox"): ADMINS,
    ("GET", "/api/v2/admin/outbox/messages"): ADMINS,
    ("POST", "/api/v2/admin/outbox/messages/<int:id>/replay"): (401, 403, 403, 403, 204, 401),
    ("POST", "/api/v2/admin/outbox/messages/<int:id>/discard"): (401, 403, 403, 403, 204, 401),
    ("POST", "/api/v2/admin/outbox/replay"): ADMINS,
    ("POST", "/api/v2/admin/outbox/discard"): ADMINS,
    ("GET", "/api/v2/admin/users"): ADMINS,
    ("GET", "/api/v2/admin/users/<int:id>"): ADMINS,
    ("PATCH", "/api/v2/admin/users/<int:id>"): ADMINS,
    ("DELETE", "/api/v2/admin/users/<int:id>"): (401, 403, 403, 403, 204, 401),
    ("POST", "/api/v2/auth/login"): (200, 200, 200, 200, 200, 401),
    ("POST", "/api/v2/auth/logout"): (401, 204, 204, 204, 204, 401),
    ("POST", "/api/v2/auth/password"): KNOWN,
    ("POST", "/api/v2/auth/refresh"): (200, 200, 200, 200, 200, 401),
    ("GET", "/api/v2/categories"): EVERYBODY,
    ("GET", "/api/v2/me"): KNOWN,
    ("PATCH", "/api/v2/me"): KNOWN,
    ("GET", "/api/v2/notifications"): KNOWN,
    ("POST", "/api/v2/notifications/<int:id>/read"): (401, 404, 204, 404, 404, 401),
    ("POST", "/api/v2/notifications/read"): KNOWN,
    ("GET", "/api/v2/notifications/unread"): KNOWN,
    ("GET", "/api/v2/notifications/mutes"): KNOWN,
    ("PUT", "/api/v2/notifications/mutes/authors/<int:id>"): (401, 204, 409, 204, 204, 401),
    ("DELETE", "/api/v2/notifications/mutes/authors/<int:id>"): (401, 204, 204, 204, 204, 401),
    ("PUT", "/api/v2/notifications/mutes/posts/<int:id>"): (401, 204, 204, 204, 204, 401),
    ("DELETE", "/api/v2/notifications/mutes/posts/<int:id>"): (401, 204, 204, 204, 204, 401),
    ("GET", "/api/v2/notifications/preferences"): KNOWN,
    ("PATCH", "/api/v2/notifications/preferences"): KNOWN,
    ("GET", "/api/v2/notifications/unsubscribe/<token>"): EVERYBODY,
    ("POST", "/api/v2/notifications/unsubscribe/<token>"): EVERYBODY,
    ("GET", "/api/v2/posts"): EVERYBODY,
    ("POST", "/api/v2/posts"): (401, 201, 201, 201, 201, 401),
    ("GET", "/api/v2/posts/<int:id>"): EVERYBODY,
    ("PATCH", "/api/v2/posts/<int:id>"): (401, 403, 200, 403, 200, 401),
    ("DELETE", "/api/v2/posts/<int:id>"): (401, 403, 204, 403, 204, 401),
    ("POST", "/api/v2/posts/<int:id>/restore"): (401, 404, 200, 404, 200, 401),
    ("GET", "/api/v2/posts/drafts"): KNOWN,
    ("GET", "/api/v2/posts/trash"): KNOWN,
    ("GET", "/api/v2/stats"): EVERYBODY,
    ("GET", "/api/v2/stats/authors"): EVERYBODY,
    ("GET", "/api/v2/stats/categories"): EVERYBODY,
    ("GET", "/api/v2/stats/posts-per-day"): EVERYBODY,
    ("POST", "/api/v2/stats/refresh"): (401, 403, 403, 403, 202, 401),
    ("GET", "/api/v2/stats/refreshes/<int:id>"): ADMINS,
    ("GET", "/api/v2/stats/words"): EVERYBODY,
    ("GET", "/api/v2/tags"): EVERYBODY,
    ("GET", "/api/v2/todos"): KNOWN,
    ("POST", "/api/v2/todos"): (401, 201, 201, 201, 201, 401),
    ("GET", "/api/v2/todos/<int:id>"): (401, 404, 200, 404, 404, 401),
    ("PATCH", "/api/v2/todos/<int:id>"): (401, 404, 200, 404, 404, 401),
    ("DELETE", "/api/v2/todos/<int:id>"): (401, 404, 204, 404, 404, 401),
    ("POST", "/api/v2/users"): (201, 201, 201, 201, 201, 201),
    ("GET", "/api/v2/users/<int:id>"): EVERYBODY,
    ("PUT", "/api/v2/users/<int:id>/follow"): (401, 204, 409, 204, 204, 401),
    ("DELETE", "/api/v2/users/<int:id>/follow"): (401, 204, 204, 204, 204, 401),
    ("GET", "/api/v2/users/<int:id>/followers"): EVERYBODY,
    ("GET", "/api/v2/users/<int:id>/following"): EVERYBODY,
    ("GET", "/api/v2/webhooks"): KNOWN,
    ("POST", "/api/v2/webhooks"): (401, 201, 201, 201, 201, 401),
    ("GET", "/api/v2/webhooks/<int:id>"): (401, 404, 200, 404, 200, 401),
    ("PATCH", "/api/v2/webhooks/<int:id>"): (401, 404, 200, 404, 200, 401),
    ("DELETE", "/api/v2/webhooks/<int:id>"): (401, 404, 204, 404, 204, 401),
    ("GET", "/api/v2/webhooks/<int:id>/deliveries"): (401, 404, 200, 404, 200, 401),
    ("POST", "/api/v2/webhooks/<int:id>/deliveries/<int:delivery_id>/redeliver"): (401, 404, 202, 404, 202, 401),
    ("POST", "/api/v2/webhooks/<int:id>/ping"): (401, 404, 202, 404, 202, 401),
    ("POST", "/api/v2/webhooks/<int:id>/secret"): (401, 404, 200, 404, 200, 401),
    ("GET", "/swaggerui/<path:filename>"): EVERYBODY,
}
QUERIES = {"/api/v2/admin/cache/effects": "?table=posts"}
BODIES: dict[str, dict[str, Any]] = {
    "/api/v1/posts": {"title": "Hello", "content": "Words"},
    "/api/v2/admin/cache/purge": {"tags": ["posts"]},
    "/api/v1/posts/<int:id>": {"title": "Hello"},
    "/api/v1/todos": {"task": "Buy ink"},
    "/api/v1/todos/<int:id>": {"done": True},
    "/api/v1/users": {"username": "newcomer", "password": PASSWORD},
    "/api/v1/users/<int:id>": {"age": 34},
    "/api/v1/users/login": {"username": "the-owner", "password": PASSWORD},
    "/api/v2/admin/users/<int:id>": {"disabled": False},
    "/api/v2/auth/login": {"username": "the-owner", "password": PASSWORD},
    "/api/v2/auth/password": {"current_password": PASSWORD, "password": "staple correct horse"},
    "/api/v2/me": {"bio": "Writes about trains."},
    "/api/v2/notifications/preferences": {"digest": "daily"},
    "/api/v2/notifications/read": {},
    "/api/v2/posts": {"title": "Hello", "content": "Words", "tags": ["trains"]},
    "/api/v2/posts/<int:id>": {"title": "Hello"},
    "/api/v2/todos": {"task": "Buy ink"},
    "/api/v2/todos/<int:id>": {"done": True},
    "/api/v2/users": {"username": "newcomer", "password": PASSWORD},
    "/api/v2/webhooks": {"url": "https://93.184.215.14/hook", "events": ["post.published"]},
    "/api/v2/webhooks/<int:id>": {"events": ["post.deleted"]},
}
PRIVATE = {"email": "owner@secret.example", "mobile": "+49 170 1234567", "birth": "1993-08-23"}
SEES_PRIVATE = {
    ("PUT", "/api/v1/users/<int:id>", "owner"),
    ("PUT", "/api/v1/users/<int:id>", "admin"),
    ("GET", "/api/v2/me", "owner"),
    ("PATCH", "/api/v2/me", "owner"),
    ("GET", "/api/v2/admin/users", "admin"),
    ("GET", "/api/v2/admin/users/<int:id>", "admin"),
    ("PATCH", "/api/v2/admin/users/<int:id>", "admin"),
}
SECRETS = ("$2b$", "password_hash", "username_key", "whsec_the-owner")
CASES = [pytest.param(m, rule, role, id=f"{m} {rule} as {role}") for m, rule in TABLE for role in ROLES]
STORED = ("users", "posts", "outbox", "sessions", "todos", "notifications", "follows", "statistics_refreshes")
STORED += ("webhooks", "webhook_deliveries")
STORED += ("notification_switches", "notification_mutes")


def _refused(method: str, rule: str, role: str) -> bool:
    return TABLE[method, rule][ROLES.index(role)] in (401, 403)


class World:
    """The owner with a post, and who asks."""

    def __init__(self, client: FlaskClient, make_user: Any, make_post: Any, token_of: Any, sql: Any, role: str) -> None:
        self._client = client
        self.owner = make_user(username="the-owner", role="admin" if role == "disabled" else "user", **PRIVATE)
        self.post = make_post(self.owner)
        self.trashed = make_post(self.owner, deleted_at=now(), deleted_by=self.owner.id)
        todo = "INSERT INTO todos (user_id, task, done, created_at) VALUES (:id, 'secret', false, '2026-01-01')"
        sql(todo, id=self.owner.id)
        self.todo = sql("SELECT max(id) FROM todos")[0][0]
        told = "INSERT INTO notifications (event_id, user_id, channel, kind, created_at) VALUES"
        sql(f"{told} ('e', :id, 'inbox', 'new_post', '2026-01-01')", id=self.owner.id)
        self.notification = sql("SELECT max(id) FROM notifications")[0][0]
        asked = "INSERT INTO statistics_refreshes (scope, parts, done, attempts, created_at)"
        sql(f"{asked} VALUES ('all', '[\"words\"]', 1, 1, '2026-01-01')")
        self.refresh = sql("SELECT max(id) FROM statistics_refreshes")[0][0]
        given_up = (
            "INSERT INTO outbox (event_id, event, subscriber, ids, created_at, next_attempt_at, attempts, dead_at)"
        )
        sql(f"{given_up} VALUES ('e', 'x', 'x', '{{}}', '2026-01-01', '2026-01-01', 8, '2026-01-01')")
        self.message = sql("SELECT max(id) FROM outbox")[0][0]
        hook = "INSERT INTO webhooks (user_id, url, events, scope, active, secret, created_at) VALUES"
        sql(f"{hook} (:id, 'https://x', '[\"ping\"]', 'own', true, 'whsec_the-owner', '2026-01-01')", id=self.owner.id)
        self.webhook = sql("SELECT max(id) FROM webhooks")[0][0]
        called = "INSERT INTO webhook_deliveries (webhook_id, event_id, type, body, round, tries, attempts, created_at)"
        sql(f"{called} VALUES (:id, 'e', 'ping', '{{}}', 1, 0, '[]', '2026-01-01')", id=self.webhook)
        self.delivery = sql("SELECT max(id) FROM webhook_deliveries")[0][0]
        self._refresh = token_of(self.owner, "refresh")
        with client.application.app_context():
            self.unsubscribe = tokens.mint_unsubscribe(self.owner.id, "new_post")
        self._headers = {}
        if role != "anon":
            his = role in ("owner", "disabled")
            asker = self.owner if his else make_user(role="admin" if role == "admin" else "user")
            self._headers = {"Authorization": f"Bearer {token_of(asker, 'v2')}"}
        if role == "other":
            make_post(asker)
        if role == "disabled":
            sql("UPDATE users SET disabled_at = created_at WHERE id = :id", id=self.owner.id)

    def ask(self, method: str, rule: str) -> TestResponse:
        """Send the method to the rule's address, about what is the owner's."""
        ids = {"mutes/authors": self.owner.id, "mutes/posts": self.post.id}
        ids |= {"users": self.owner.id, "todos": self.todo, "notifications": self.notification}
        ids |= {"refreshes": self.refresh, "messages": self.message, "webhooks": self.webhook}
        post = self.trashed if rule.endswith("/restore") else self.post
        id = next((id for noun, id in ids.items() if f"/{noun}/" in rule), post.id)
        file = "docs.css" if "/docs/" in rule else "swagger-ui.css"
        url = rule.replace("<int:id>", str(id)).replace("<path:filename>", file)
        url = url.replace("<token>", self.unsubscribe).replace("<int:delivery_id>", str(self.delivery))
        url += QUERIES.get(rule, "")
        body = BODIES.get(rule) if method in ("POST", "PUT", "PATCH") else None
        if rule.endswith("/auth/refresh"):
            body = {"refresh_token": self._refresh}
        return self._client.open(url, method=method, json=body, headers=self._headers)


@pytest.fixture
def world(client, make_user, make_post, token_of, sql, role) -> World:
    return World(client, make_user, make_post, token_of, sql, role)


def test_every_route_has_a_row_and_every_row_a_route(app):
    routes = {(method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods or ()}
    asked = {(method, rule) for method, rule in routes if method not in ("HEAD", "OPTIONS")}
    assert asked == set(TABLE)


@pytest.mark.parametrize(("method", "rule", "role"), CASES)
def test_each_role_gets_the_answer_of_the_table_and_nothing_of_anothers(world, sql, method, rule, role):
    """HARDENING E1 and E6: nobody gets a hash or a key; mail, mobile and birth only the owner and admins.

    Who is refused has changed nothing.
    """
    before = _stored(sql) if _refused(method, rule, role) else None
    answer = world.ask(method, rule)
    assert answer.status_code == TABLE[method, rule][ROLES.index(role)], answer.text
    if "/v" in rule:
        text = answer.text
        assert not [word for word in SECRETS if word in text]
        assert "disabled_at" not in text or "/admin/" in rule or "/webhooks" in rule  # a webhook's own
        seen = [value for value in PRIVATE.values() if value in text]
        assert seen == (list(PRIVATE.values()) if (method, rule, role) in SEES_PRIVATE else [])
    answer.close()
    if before is not None:
        assert _stored(sql) == before


def _stored(sql: Any) -> list[Any]:
    return [sql(f"SELECT * FROM {table} ORDER BY id") for table in STORED]


@pytest.mark.parametrize("rule", [rule for method, rule in TABLE if method == "GET"])
@pytest.mark.parametrize("role", ["anon", "other"])
def test_head_is_answered_to_whom_get_is(world, rule, role):
    get, head = world.ask("GET", rule), world.ask("HEAD", rule)
    assert head.status_code == get.status_code
    for answer in (get, head):
        answer.close()


@pytest.mark.parametrize("rule", sorted({rule for _, rule in TABLE}))
@pytest.mark.parametrize("role", ["anon"])
def test_options_says_which_methods_a_route_has_and_does_nothing(world, sql, rule, role):
    before = _stored(sql)
    answer = world.ask("OPTIONS", rule)
    assert answer.status_code == 200
    assert {method for method, of in TABLE if of == rule} <= set(answer.headers["Allow"].replace(" ", "").split(","))
    assert _stored(sql) == before
