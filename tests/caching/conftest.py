"""A small world of rows, every cached address of it, and the uncached answer to compare with."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.caching.extension import Coherence
from app.caching.leased import LeasedSource
from app.extensions import db
from app.models import Follow, Notification, Post, PostTag, User
from app.services.atomic import atomic
from tests.caching.leases import Hosts, Writer, make_tables
from tests.conftest import MEMORY, fresh_database

TAGS = ["flask", "python"]
COMPARED = ("Content-Type", "ETag", "Link", "X-Total-Count", "Last-Modified", "Cache-Control")


@dataclass
class World:
    """Rows as they were made: three users, five posts in two categories, tagged, two todos."""

    users: list[User]
    posts: list[Post]
    todos: list[int]
    tags: list[str]

    @property
    def addresses(self) -> list[str]:
        """Every cached route in several variants. A new route is a line here (a test asks for it)."""
        one, two, *_, last = (post.id for post in self.posts)
        alice, bob, admin = (user.id for user in self.users)
        return [
            "/api/v1/users",
            "/api/v1/users?per_page=1&page=2",
            *(f"/api/v1/users/{id}" for id in (alice, bob, admin)),
            "/api/v1/posts",
            "/api/v1/posts?per_page=2&page=2",
            "/api/v1/posts?category=news",
            *(f"/api/v1/posts?user_id={id}" for id in (alice, bob, admin)),
            *(f"/api/v1/posts/{id}" for id in (one, two, last)),
            "/api/v2/posts",
            "/api/v2/posts?limit=2&category=news",
            "/api/v2/posts?include=author&total=true&sort=title",
            "/api/v2/posts?fields=id,title&published_after=2020-01-01T00:00:00Z",
            f"/api/v2/posts?author={alice}",
            *(f"/api/v2/posts?tag={tag}" for tag in self.tags),
            *(f"/api/v2/posts/{id}" for id in (one, two, last)),
            *(f"/api/v2/posts/{id}?include=author" for id in (one, two)),
            "/api/v2/tags?total=true",
            "/api/v2/tags?limit=1",
            "/api/v2/categories",
            *(f"/api/v2/users/{id}" for id in (alice, bob, admin)),
            *(f"/api/v2/users/{id}/followers?total=true" for id in (alice, bob)),
            *(f"/api/v2/users/{id}/following" for id in (alice, bob)),
            "/api/v2/stats",
            *(f"/api/v2/stats/{part}" for part in ("posts-per-day", "categories", "authors", "words")),
            "/api/v2/me",
            *(f"/api/v2/notifications{rest}" for rest in ("", "?unread=true&total=true", "/unread")),
            *(f"/api/v2/notifications/{rest}" for rest in ("preferences", "mutes", "mutes?limit=1&total=true")),
            *(f"/api/v{version}/todos{query}" for version in (1, 2) for query in ("", "?done=true")),
            *(f"/api/v2/todos?{query}" for query in ("sort=position", "tag=home&sort=due_at", "priority=1")),
            f"/api/v2/todos?parent_id={self.todos[0]}&post_id={one}",
            *(f"/api/v{version}/todos/{id}" for version in (1, 2) for id in self.todos),
        ]


@pytest.fixture
def world(
    app: Flask, make_user: Callable[..., User], make_post: Callable[..., Post], make_todo: Callable[..., int]
) -> World:
    """Made anew for each test. The todos and the inbox are the first user's, who follows the second."""
    users = [make_user(), make_user(), make_user(role="admin")]
    posts = [make_post(users[n % 2], category=("news", "general")[n % 2]) for n in range(5)]
    with app.app_context(), atomic():
        for post, name in zip(posts, TAGS * 2, strict=False):  # the last has none
            db.session.add(PostTag(post_id=post.id, name=name))
        db.session.add(Follow(follower_id=users[0].id, followed_id=users[1].id))
        for post in posts[:2]:
            told = {"user_id": users[0].id, "kind": "new_post", "post_id": post.id}
            db.session.add(Notification(event_id=f"event {post.id}", channel="inbox", **told))
    todo = make_todo(users[0], tags=["home"], priority=1)
    return World(users, posts, [todo, make_todo(users[0], parent_id=todo, post_id=posts[0].id)], TAGS)


@pytest.fixture
def reader(world: World, as_user: Callable[..., FlaskClient]) -> FlaskClient:
    """The first user's client: he may read every address of the world."""
    return as_user(world.users[0], "v2")


@dataclass(frozen=True)
class Answer:
    """What two answers must have in common."""

    status: int
    headers: tuple[tuple[str, str | None], ...]
    body: bytes


def _answer(response: TestResponse) -> Answer:
    headers = tuple((name, response.headers.get(name)) for name in COMPARED)
    return Answer(response.status_code, headers, response.data)


@pytest.fixture
def ask(reader: FlaskClient) -> Callable[[str], Answer]:
    """ask(address) -> Answer; the cache is on."""
    return lambda address: _answer(reader.get(address, headers={"X-Request-ID": "same"}))


@pytest.fixture
def warm(reader: FlaskClient) -> Callable[[list[str]], dict[str, Answer]]:
    """warm(addresses): ask twice and see that the second is a hit; what that was."""

    def ask_twice(addresses: list[str]) -> dict[str, Answer]:
        answers = {}
        for address in addresses:
            reader.get(address)
            hit = reader.get(address)
            assert "; hit;" in hit.headers["Cache-Status"], address
            answers[address] = _answer(hit)
        return answers

    return ask_twice


@pytest.fixture
def uncached(monkeypatch: pytest.MonkeyPatch, coherence: Coherence) -> Callable[[], Any]:
    """`with uncached():` every answer is computed, and nothing is kept."""

    @contextmanager
    def bypassed() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(coherence.source, "read", lambda slots: None)
            yield

    return bypassed


@pytest.fixture(scope="module")
def cache_database(worker_id: str) -> Iterator[str]:
    """A PostgreSQL database with the cache's tables, and nobody else in it."""
    with fresh_database(f"leases_{worker_id}", Path()) as url:
        make_tables(url)
        yield url


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """For sockets."""
    folder = Path(tempfile.mkdtemp(prefix="bs-", dir=MEMORY))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def hosts(short_folder: Path) -> Iterator[Hosts]:
    """hosts("a", alone=True, url=…): the source of generations of a process of that host."""
    hosts = Hosts(short_folder)
    yield hosts
    hosts.close()


@pytest.fixture
def host(hosts: Hosts, cache_database: str) -> Callable[..., LeasedSource]:
    """As `hosts`, on the database of the cache's tables alone."""
    return partial(hosts, url=cache_database)


@pytest.fixture
def writer(cache_database: str) -> Iterator[Writer]:
    """A client of that database."""
    writer = Writer(cache_database)
    with writer.connection:
        yield writer
