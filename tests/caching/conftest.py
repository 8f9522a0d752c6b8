"""A small world of rows, every cached address of it, and the uncached answer to compare with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.caching.extension import Coherence
from app.models import Post, User

COMPARED = ("Content-Type", "ETag", "Link", "X-Total-Count", "Last-Modified", "Cache-Control")


@dataclass
class World:
    """Rows as they were made: three users, five posts in two categories."""

    users: list[User]
    posts: list[Post]
    todos: list[int]

    @property
    def addresses(self) -> list[str]:
        """Every cached route in several variants. A new route is a line here (a test asks for it)."""
        return [
            "/api/v1/users",
            "/api/v1/users?per_page=1&page=2",
            *(f"/api/v1/users/{user.id}" for user in self.users),
            "/api/v1/posts",
            "/api/v1/posts?per_page=2&page=2",
            "/api/v1/posts?category=news",
            *(f"/api/v1/posts?user_id={user.id}" for user in self.users),
            *(f"/api/v1/posts/{post.id}" for post in self.posts),
            "/api/v2/posts",
            "/api/v2/posts?limit=2",
            "/api/v2/posts?category=news",
            *(f"/api/v2/posts/{post.id}" for post in self.posts),
            "/api/v1/todos",
            "/api/v1/todos?done=true",
            *(f"/api/v1/todos/{id}" for id in self.todos),
        ]


@pytest.fixture
def world(make_user: Callable[..., User], make_post: Callable[..., Post], make_todo: Callable[..., int]) -> World:
    """Made anew for each test. The todos are the first user's."""
    users = [make_user(), make_user(), make_user(role="admin")]
    posts = [make_post(users[n % 2], category=("news", "general")[n % 2]) for n in range(5)]
    return World(users, posts, [make_todo(users[0]) for _ in range(2)])


@pytest.fixture
def reader(world: World, as_user: Callable[[User], FlaskClient]) -> FlaskClient:
    """The first user's client: he may read every address of the world."""
    return as_user(world.users[0])


@dataclass(frozen=True)
class Answer:
    """What two answers must have in common."""

    status: int
    headers: tuple[tuple[str, str | None], ...]
    body: bytes


@pytest.fixture
def ask(reader: FlaskClient) -> Callable[[str], Answer]:
    """ask(address) -> Answer; the cache is on."""

    def get(address: str) -> Answer:
        response = reader.get(address, headers={"X-Request-ID": "same"})
        headers = tuple((name, response.headers.get(name)) for name in COMPARED)
        return Answer(response.status_code, headers, response.data)

    return get


@pytest.fixture
def warm(reader: FlaskClient) -> Callable[[list[str]], None]:
    """warm(addresses): ask twice and see that the second is a hit."""

    def ask_twice(addresses: list[str]) -> None:
        for address in addresses:
            reader.get(address)
            assert "; hit;" in reader.get(address).headers["Cache-Status"], address

    return ask_twice


@pytest.fixture
def uncached(monkeypatch: pytest.MonkeyPatch, coherence: Coherence) -> Callable[[], Any]:
    """`with uncached():` every answer is computed, and nothing is kept."""

    @contextmanager
    def bypassed() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(coherence, "source", SimpleNamespace(read=lambda slots: None))
            yield

    return bypassed
