"""What the tests of v1 share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.models import User
from tests.factories import PASSWORD


@pytest.fixture
def alice(make_user: Callable[..., User]) -> User:
    return make_user(username="alice")


@pytest.fixture
def hers(alice: User, as_user: Callable[[User], FlaskClient]) -> FlaskClient:
    """A client with Alice's token."""
    return as_user(alice)


@pytest.fixture
def register(client: FlaskClient) -> Callable[..., TestResponse]:
    """register(username=…): the answer to a registration; of dora with a good password unless told."""

    def send(**body: Any) -> TestResponse:
        return client.post("/api/v1/users", json={"username": "dora", "password": PASSWORD} | body)

    return send


@pytest.fixture
def log_in(client: FlaskClient) -> Callable[..., tuple[int, str | None]]:
    """log_in(username, password): the answer's status and token."""

    def send(username: str, password: str = PASSWORD) -> tuple[int, str | None]:
        answer = client.post("/api/v1/users/login", json={"username": username, "password": password})
        return answer.status_code, answer.json.get("token")

    return send
