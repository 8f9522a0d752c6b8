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


@pytest.fixture
def alice(make_user):
    return make_user(username="alice")


@pytest.fixture
def post(alice, make_post):
    return make_post(alice, title="Hers")


@pytest.fixture
def writes(client, alice, post, as_user) -> Iterator[list[Write]]:
    """Every route of this slice that takes a body."""
    me = as_user(alice)
    new = {"username": "newcomer", "password": PASSWORD, "role": "user", **CONTACT}
    words = {"title": "New", "content": "New words", "category": "news"}
    credentials = {"username": "alice", "password": PASSWORD}
    return [
        Write("POST", "/api/v1/users", new, PERSON, client),
        Write("POST", "/api/v1/users/login", credentials, {"username": 320, "password": 1024}, client),
        Write("PUT", f"/api/v1/users/{alice.id}", CONTACT | {"role": "user"}, {"username": 80, **PERSON}, me),
        Write("POST", "/api/v1/posts", words, POST, me),
        Write("PUT", f"/api/v1/posts/{post.id}", words, POST, me),
    ]
