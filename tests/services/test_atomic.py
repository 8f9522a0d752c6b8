"""`atomic()`: all or nothing, alone and among other writers (HOUSE, law 2)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import requests
from sqlalchemy import text

from app.errors import Conflict, TryAgain
from app.extensions import db
from app.models import Post, User
from app.services import users
from app.services.atomic import atomic, end_read
from tests.conftest import BACKEND
from tests.factories import UserFactory

postgresql = pytest.mark.skipif(BACKEND == "sqlite", reason="SQLite has one writer at a time: none waits for another's")
POST = {"title": "A title", "content": "Some words."}


@pytest.fixture
def author(make_user):
    """A user with a post to write."""
    return make_user(username="author")


@pytest.fixture
def in_app(app):
    """An application context: a database session."""
    with app.app_context():
        yield


@pytest.fixture
def just_before(monkeypatch):
    """just_before("posts", act): act runs between the guard and the transaction of that service."""

    def interrupt(service: str, act: Callable[[], object]) -> None:
        @contextmanager
        def interrupted():
            act()
            with atomic():
                yield

        monkeypatch.setattr(f"app.services.{service}.atomic", interrupted)

    return interrupt


@pytest.fixture
def fails(monkeypatch):
    """fails(n): the first n times, a post that is written meets another writer; the list of all times."""
    still_here, runs = users.still_here, []

    def set_up(times: int) -> list[int]:
        def meets_another(actor):
            runs.append(actor.id)
            still_here(actor)
            db.session.add(Post(user_id=actor.id, title="half", content="of it"))
            db.session.flush()
            if len(runs) <= times:
                raise TryAgain

        monkeypatch.setattr("app.services.users.still_here", meets_another)
        return runs

    return set_up


def _user(name: str) -> User:
    return UserFactory.build(username=name)


def test_only_the_outermost_commits(in_app, sql):
    with atomic():
        with atomic():
            db.session.add(_user("within"))
        assert db.session.query(User).count() == 1
        assert sql("SELECT count(*) FROM users")[0][0] == 0
    assert sql("SELECT count(*) FROM users")[0][0] == 1


def test_an_error_leaves_nothing_also_of_what_has_ended_well_within(in_app, sql):
    with pytest.raises(ZeroDivisionError), atomic():
        with atomic():
            db.session.add(_user("within"))
        raise ZeroDivisionError
    assert sql("SELECT * FROM users") == []
    with atomic():
        db.session.add(_user("afterwards"))
    assert sql("SELECT username FROM users") == [("afterwards",)]


def test_an_error_within_cannot_be_caught_to_keep_the_other_half(in_app, sql):
    with pytest.raises(RuntimeError, match="was caught"), atomic():
        db.session.add(_user("without"))
        try:
            with atomic():
                db.session.add(_user("within"))
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
    assert sql("SELECT * FROM users") == []


def test_changes_outside_of_it_are_refused(in_app, sql):
    db.session.add(_user("outside"))
    with pytest.raises(RuntimeError, match="outside"), atomic():
        pass
    db.session.rollback()
    assert sql("SELECT * FROM users") == []


@pytest.mark.parametrize(
    ("values", "constraint"), [({"username_key": "author"}, "username_key"), ({"role": "king"}, "ck_users_role")]
)
def test_a_broken_constraint_is_a_conflict_that_names_it(in_app, author, values, constraint):
    with pytest.raises(Conflict) as caught, atomic():
        db.session.add(UserFactory.build(**values))
    assert constraint in caught.value.constraint


def test_what_was_read_before_is_read_again_inside(in_app, author, sql):
    user = db.session.get(User, author.id)
    sql("UPDATE users SET role = 'admin'")
    assert not user.is_admin
    with atomic():
        assert user.is_admin


def test_what_was_read_in_one_transaction_is_read_again_in_the_next(in_app, author, sql):
    """Minutes may lie between them, while a program of others thinks, and a commit expires nothing (TRAPS 45)."""
    with atomic():
        user = db.session.get(User, author.id)
    sql("UPDATE users SET role = 'admin'")
    with atomic():
        assert user.is_admin


def test_end_read_ends_no_transaction_that_writes(in_app, sql):
    with atomic():
        db.session.add(_user("kept"))
        db.session.flush()
        end_read()
    assert sql("SELECT username FROM users") == [("kept",)]


def test_a_commit_of_another_between_guard_and_write_does_not_fail_the_write(as_user, author, sql, just_before):
    """TRAPS 48: on SQLite a reader that turns writer would fail with «database is locked» at 0 ms."""
    just_before("posts", lambda: sql("UPDATE users SET email = 'new@example.org'"))
    assert as_user(author).post("/api/v1/posts", json=POST).status_code == 201


@pytest.mark.parametrize(
    "meanwhile",
    [
        "UPDATE users SET deleted_at = created_at",
        "UPDATE users SET disabled_at = created_at",
        "DELETE FROM users",
    ],
)
def test_an_actor_who_is_gone_meanwhile_writes_nothing(as_user, author, sql, just_before, meanwhile):
    just_before("posts", lambda: sql(meanwhile))
    answer = as_user(author).post("/api/v1/posts", json=POST)
    assert (answer.status_code, answer.json["code"]) == (401, "revoked_token")
    assert sql("SELECT * FROM posts") == []
    assert sql("SELECT * FROM outbox") == []


def test_an_admin_who_is_demoted_meanwhile_may_no_longer(as_user, make_user, make_post, author, sql, just_before):
    post = make_post(author, title="before")
    admin = as_user(make_user(role="admin"))
    just_before("posts", lambda: sql("UPDATE users SET role = 'user'"))
    assert admin.put(f"/api/v1/posts/{post.id}", json={"title": "after"}).status_code == 403
    assert sql("SELECT title FROM posts") == [("before",)]


def test_a_handler_that_meets_another_writer_runs_once_more(as_user, author, sql, fails):
    runs = fails(1)
    assert as_user(author).post("/api/v1/posts", json=POST).status_code == 201
    assert len(runs) == 2
    assert sorted(sql("SELECT title FROM posts")) == [("A title",), ("half",)], "the first run left nothing"
    assert len(sql("SELECT * FROM outbox")) == 4


def test_a_handler_that_meets_another_writer_twice_answers_503(as_user, author, sql, fails):
    runs = fails(99)
    answer = as_user(author).post("/api/v1/posts", json=POST)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert len(runs) == 2
    assert sql("SELECT * FROM posts") == []
    assert sql("SELECT * FROM outbox") == []


@postgresql
@pytest.mark.parametrize("state", ["40P01", "40001", "55P03"])
def test_what_may_go_well_the_next_time_is_tried_again(in_app, state):
    with pytest.raises(TryAgain), atomic():
        db.session.execute(text(f"DO $$BEGIN RAISE EXCEPTION SQLSTATE '{state}'; END$$"))


class Rival:
    """Another writer, who holds a post of the author and soon wants the author himself."""

    def __init__(self, user_id: int) -> None:
        self._connection = db.engine.connect()
        self._connection.execute(text("SET deadlock_timeout = '30s'; SET lock_timeout = '30s'"))  # not the victim
        self._connection.execute(text("SELECT 1 FROM posts WHERE user_id = :id FOR UPDATE"), {"id": user_id})
        self.leave = threading.Event()
        self._wanting = threading.Thread(target=self._want, args=(user_id,))
        self._wanting.start()

    def _want(self, user_id: int) -> None:
        time.sleep(0.3)
        self._connection.execute(text("UPDATE users SET mobile = '1' WHERE id = :id"), {"id": user_id})
        self.leave.wait(10)
        self._connection.invalidate()

    def end(self) -> None:
        self.leave.set()
        self._wanting.join()
        self._connection.close()


@postgresql
@pytest.mark.parametrize(("stays", "status"), [(False, 200), (True, 503)])
def test_a_deadlock_is_tried_once_more(app, as_user, make_user, make_post, author, sql, stays, status):
    """40P01; then, while the rival keeps the rows, 55P03."""
    make_post(author)
    admin = as_user(make_user(role="admin"))
    with app.app_context():
        rival = Rival(author.id)
        if not stays:
            rival.leave.set()
        answer = admin.delete(f"/api/v1/users/{author.id}")
        rival.end()
    assert answer.status_code == status
    assert answer.headers.get("Retry-After") == ("1" if stays else None)
    assert len(sql("SELECT 1 FROM users WHERE deleted_at IS NULL")) == (2 if stays else 1)


def test_twelve_writers_at_once_all_succeed(server, author, token_of, sql):
    """TRAPS 41: under SQLite's default BEGIN most of them meet «database is locked»."""
    token, together = token_of(author), threading.Barrier(12)

    def write(_: int) -> list[int]:
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {token}"
            together.wait()
            return [session.post(f"{server.url}/api/v1/posts", json=POST, timeout=30).status_code for _ in range(10)]

    with ThreadPoolExecutor(12) as pool:
        statuses = [status for answered in pool.map(write, range(12)) for status in answered]
    assert statuses == [201] * 120
    assert sql("SELECT count(*) FROM posts")[0][0] == 120
    assert sql("SELECT count(*) FROM outbox")[0][0] == 480
