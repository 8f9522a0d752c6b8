"""What the tests of v2 share."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from app.models import Post, User
from app.services import notifications
from tests.factories import PASSWORD

V2 = "/api/v2"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def fields_of(answer: Any) -> list[str]:
    """The fields that a problem blames, in their order."""
    return [error["field"] for error in answer.json["errors"]]


@pytest.fixture
def alice(make_user: Callable[..., User]) -> User:
    return make_user(username="alice")


@pytest.fixture
def acting(as_user: Callable[..., FlaskClient]) -> Callable[[User], FlaskClient]:
    """acting(user): a client with that user's v2 token."""
    return lambda user: as_user(user, "v2")


@pytest.fixture
def hers(alice: User, acting: Callable[[User], FlaskClient]) -> FlaskClient:
    """A client with Alice's v2 token."""
    return acting(alice)


@pytest.fixture
def root(make_user: Callable[..., User]) -> User:
    """An admin."""
    return make_user(username="root", role="admin")


@pytest.fixture
def admins(root: User, acting: Callable[[User], FlaskClient]) -> FlaskClient:
    """A client with the admin's v2 token."""
    return acting(root)


@pytest.fixture
def log_in(client: FlaskClient) -> Callable[..., Any]:
    """log_in(username, password): the answer."""

    def send(username: str = "alice", password: str = PASSWORD) -> Any:
        return client.post(f"{V2}/auth/login", json={"username": username, "password": password})

    return send


@pytest.fixture
def refresh(client: FlaskClient) -> Callable[[str], Any]:
    """refresh(refresh token): the answer."""
    return lambda token: client.post(f"{V2}/auth/refresh", json={"refresh_token": token})


@pytest.fixture
def me(client: FlaskClient) -> Callable[[str], Any]:
    """me(access token): the answer to who shows it and asks for his own account."""
    return lambda token: client.get(f"{V2}/me", headers=bearer(token))


class Clock:
    """The time that the app and PyJWT read; `forward` moves it on."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self, tz: Any = UTC) -> datetime:
        """Instead of the present."""
        return datetime.now(tz) + self._ahead

    def time(self) -> float:
        """The same, in seconds since the epoch."""
        return time.time() + self._ahead.total_seconds()

    def forward(self, **units: float) -> None:
        """forward(days=1, seconds=2 …): let this time pass."""
        self._ahead += timedelta(**units)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that a test moves on."""
    clock = Clock()
    for module in ("app.services.sessions", "app.tokens", "app.routes.v2.auth"):
        monkeypatch.setattr(f"{module}.now", clock.now)
    monkeypatch.setattr("jwt.api_jwt.datetime", type("datetime", (datetime,), {"now": staticmethod(clock.now)}))
    monkeypatch.setattr("app.caching.principals.time", clock)
    return clock


@pytest.fixture
def at_once(server: Any) -> Any:
    """at_once((method, path, token, body) …): the answers of a real server to requests sent at the same time."""
    sessions = [requests.Session() for _ in range(3)]
    pool = ThreadPoolExecutor(len(sessions))

    def send(call: Any) -> requests.Response:
        session, (method, path, token, body) = call
        headers = bearer(token) if token else {}
        return session.request(method, f"{server.url}{path}", json=body, headers=headers, timeout=20)

    yield lambda *calls: list(pool.map(send, zip(sessions, calls, strict=False)))
    pool.shutdown()
    for session in sessions:
        session.close()


@pytest.fixture
def told(app: Any) -> Callable[..., None]:
    """told(post, event="e"): who is to hear of the post has been told, as by the worker."""

    def tell(post: Post, event: str = "e") -> None:
        with app.app_context():
            for notify in ("notify_author", "notify_followers", "notify_admins"):
                getattr(notifications, notify)(f"{event}{post.id}", post.id)

    return tell
