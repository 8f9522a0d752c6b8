"""What the attacks are made on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.factories import PASSWORD


@dataclass(frozen=True)
class Write:
    """A route that takes a body, with a body that is good. `texts`: its strings by dotted name, with their longest."""

    method: str
    path: str
    good: dict[str, Any]
    texts: dict[str, int]
    client: FlaskClient

    def send(self, **options: Any) -> Any:
        """The answer."""
        return self.client.open(self.path, method=self.method, **options)


PERSON = {"username": 80, "password": 128, "email": 254, "mobile": 32, "role": 5, "info.birth": 19}
POST = {"title": 200, "content": 250_000, "category": 50}
INFO = {"age": 33, "birth": "1993-08-23"}
CONTACT = {"email": "new@example.org", "mobile": "+49 170 1234567", "info": INFO}
LOGIN = {"username": 320, "password": 1024}
ACCOUNT = {"username": 80, "display_name": 80, "bio": 2000, "avatar_url": 2048, "email": 254, "mobile": 32, "birth": 19}
DETAILS = {
    "display_name": "New",
    "bio": "Writes.",
    "avatar_url": "https://images.example.org/n.png",
    "email": "new@example.org",
    "mobile": "+49 170 1234567",
    "birth": "1993-08-23",
}
WORDS = {"title": "New", "content": "New words", "category": "news"}
HOOK = {"url": "https://93.184.215.14/hook", "events": ["post.published"], "scope": "own", "active": True}
TODO = {"task": "Buy ink", "done": True, "due_at": "2026-12-24T18:00:00Z"}
RECURRING = TODO | {
    "time_zone": "Europe/Berlin",
    "priority": 1,
    "tags": ["home"],
    "required": True,
    "remind_minutes_before": [5],
    "recurrence": {"rule": "FREQ=DAILY", "mode": "fixed"},
}


@pytest.fixture
def alice(make_user):
    return make_user(username="alice")


@pytest.fixture
def post(alice, make_post):
    return make_post(alice, title="Hers")


@pytest.fixture
def mighty(make_user, as_user) -> FlaskClient:
    """An admin's client, good in both versions."""
    client: FlaskClient = as_user(make_user(username="mighty", role="admin"), "v2")
    return client


@pytest.fixture
def writes(client, alice, post, as_user, mighty, make_user, make_todo, token_of) -> Iterator[list[Write]]:
    """Every route that takes a body: first v1's, then v2's."""
    me, me2, todo = as_user(alice), as_user(alice, "v2"), make_todo(alice)
    leaving = as_user(make_user(), "v2")  # whoever changes his password is logged out
    new = {"username": "newcomer", "password": PASSWORD, "role": "user", **CONTACT}
    newer = {"username": "newer", "password": PASSWORD, **DETAILS}
    credentials = {"username": "alice", "password": PASSWORD}
    refresh = {"refresh_token": token_of(alice, "refresh")}
    change = {"current_password": PASSWORD, "password": "staple correct horse"}
    tagged, v2 = WORDS | {"tags": ["trains"]}, "/api/v2"
    return [
        Write("POST", "/api/v1/users", new, PERSON, client),
        Write("POST", "/api/v1/users/login", credentials, LOGIN, client),
        Write("PUT", f"/api/v1/users/{alice.id}", CONTACT | {"role": "user"}, {"username": 80, **PERSON}, me),
        Write("POST", "/api/v1/posts", WORDS, POST, me),
        Write("PUT", f"/api/v1/posts/{post.id}", WORDS, POST, me),
        Write("POST", "/api/v1/todos", TODO, {"task": 500}, me),
        Write("PUT", f"/api/v1/todos/{todo}", TODO, {"task": 500}, me),
        Write("POST", f"{v2}/users", newer, {**ACCOUNT, "password": 128}, client),
        Write("POST", f"{v2}/auth/login", credentials, LOGIN, client),
        Write("POST", f"{v2}/auth/refresh", refresh, {"refresh_token": 8192}, client),
        Write("POST", f"{v2}/auth/password", change, {"current_password": 128, "password": 128}, leaving),
        Write("PATCH", f"{v2}/me", DETAILS | {"current_password": PASSWORD}, ACCOUNT | {"current_password": 128}, me2),
        Write("POST", f"{v2}/posts", tagged, POST, me2),
        Write("PATCH", f"{v2}/posts/{post.id}", tagged, POST, me2),
        Write("POST", f"{v2}/todos", RECURRING, {"task": 500}, me2),
        Write("PATCH", f"{v2}/todos/{todo}", RECURRING, {"task": 500}, me2),
        Write("POST", f"{v2}/notifications/read", {"up_to": 1}, {}, me2),
        Write("POST", f"{v2}/webhooks", HOOK, {}, me2),
        Write("PATCH", f"{v2}/notifications/preferences", {"time_zone": "Asia/Tokyo"}, {}, me2),
        Write("PATCH", f"{v2}/admin/users/{alice.id}", {"role": "user", "disabled": False}, {"role": 5}, mighty),
    ]


@pytest.fixture
def write_to(writes):
    """write_to(method, path): the one of them."""
    return lambda method, path: next(w for w in writes if (w.method, w.path) == (method, path))
