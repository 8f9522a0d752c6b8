"""A post to many followers: its author is answered as fast as ever, and they are told in bulk, in steps."""

from __future__ import annotations

from itertools import count

import pytest
from sqlalchemy import insert

from app import tasks
from app.events import PostPublished, emit
from app.extensions import celery, db
from app.models import Follow, User
from app.models.base import now
from app.services import notifications
from app.services.atomic import atomic
from tests.tasks.conftest import delivering

POST = {"title": "A title", "content": "Some words."}
DUE = "SELECT id, subscriber, attempts FROM outbox WHERE done_at IS NULL ORDER BY id"
TOLD = "SELECT channel, count(*), count(DISTINCT user_id) FROM notifications WHERE kind = 'new_post' GROUP BY channel"


@pytest.fixture
def author(make_user):
    return make_user(username="author", email=None)


@pytest.fixture
def followed_by(app, author):
    """followed_by(n, with_mail): so many follow the author, of whom these have an address."""

    def make(number: int, with_mail: int = 0) -> None:
        fans = [
            {"username": name, "username_key": name, "password_hash": "x", "role": "user", "created_at": now()}
            | {"email": f"{name}@example.org" if n < with_mail else None}
            for n, name in enumerate(f"fan{n}" for n in range(number))
        ]
        with app.app_context(), db.engine.begin() as connection:
            if not fans:
                return
            ids = connection.scalars(insert(User).returning(User.id), fans).all()
            at = {"followed_id": author.id, "created_at": now()}
            connection.execute(insert(Follow), [at | {"follower_id": id} for id in ids])

    return make


@pytest.fixture
def perform(app, sql):
    """perform(): run what is due, and what follows from that, one after the other."""
    tasks.init_app(app)

    def run() -> None:
        while due := [row for row in sql(DUE) if row.subscriber != "send_mail"]:
            for id, subscriber, attempts in due:
                celery.tasks[subscriber].apply(args=[id, attempts], throw=True)

    return run


@pytest.fixture
def few_at_once(monkeypatch):
    monkeypatch.setattr(notifications, "AT_ONCE", 3)


@pytest.mark.parametrize("number", [0, 2500])
def test_the_author_is_answered_with_the_same_work_however_many_follow(
    author, followed_by, as_user, count_queries, number
):
    followed_by(number)
    client = as_user(author)
    client.post("/api/v1/posts", json=POST)
    with count_queries() as statements:
        assert client.post("/api/v1/posts", json=POST).status_code == 201
    told = [statement for statement in statements if "follows" in statement or "notifications" in statement]
    assert told == []
    assert sum("INTO outbox" in statement for statement in statements) == 1


@pytest.mark.parametrize(("number", "steps"), [(0, 0), (1, 0), (3, 0), (4, 2), (6, 2), (7, 3)])
def test_many_are_told_step_by_step_few_at_once(
    few_at_once, app, author, make_post, followed_by, perform, sql, number, steps
):
    followed_by(number, with_mail=2)
    post = make_post(author)
    with app.app_context(), atomic():
        emit(PostPublished(post.id))
    perform()
    assert sql("SELECT count(*) FROM outbox WHERE event = 'FollowersDue'") == [(steps,)]
    mails = min(number, 2)
    assert {tuple(row) for row in sql(TOLD)} == {(c, n, n) for c, n in (("inbox", number), ("mail", mails)) if n}
    assert sql("SELECT count(*) FROM outbox WHERE event = 'Notified'") == [(mails,)]
    assert len(sql("SELECT DISTINCT event_id FROM outbox")) == 1, "all of one event share its id"


def test_what_died_in_the_middle_goes_on_from_there(
    few_at_once, app, author, make_post, followed_by, perform, sql, monkeypatch
):
    followed_by(7, with_mail=7)
    post = make_post(author)
    runs, claim = count(1), notifications._claim

    def die_in_the_second_step(event_id, users, channel, kind, **about):
        if kind == "new_post" and channel == "mail" and next(runs) == 3:  # the first is the admins'
            raise SystemExit
        return claim(event_id, users, channel, kind, **about)

    with app.app_context(), atomic():
        emit(PostPublished(post.id))
    with monkeypatch.context() as dying, pytest.raises(SystemExit):
        dying.setattr(notifications, "_claim", die_in_the_second_step)
        perform()
    assert {tuple(row) for row in sql(TOLD)} == {("inbox", 3, 3), ("mail", 3, 3)}, "a step is done, or is not"
    perform()
    assert {tuple(row) for row in sql(TOLD)} == {("inbox", 7, 7), ("mail", 7, 7)}
    assert sql("SELECT count(*) FROM outbox WHERE event = 'Notified'") == [(7,)]


def test_each_step_is_a_fixed_number_of_statements(app, author, make_post, followed_by, count_queries, sql):
    followed_by(400, with_mail=400)
    post = make_post(author)
    (first,) = sql("SELECT min(id) FROM follows")[0]
    with app.app_context(), count_queries() as statements:
        notifications.notify_some_followers("e", post.id, first)
    written = [statement for statement in statements if "INSERT" in statement]
    assert len(written) == 3, "inbox rows, mails, and the mails' messages"


def test_who_has_left_is_not_told(app, author, make_post, followed_by, sql):
    followed_by(3)
    sql("UPDATE users SET deleted_at = created_at WHERE username = 'fan0'")
    sql("UPDATE users SET disabled_at = created_at WHERE username = 'fan1'")
    with app.app_context():
        notifications.notify_followers("e", make_post(author).id)
    assert {tuple(row) for row in sql(TOLD)} == {("inbox", 1, 1)}


def test_a_worker_tells_thousands_in_the_background(environ, author, followed_by, as_user, delivered, sql):
    followed_by(2500)
    with delivering(environ) as delivery:
        assert as_user(author).post("/api/v1/posts", json=POST).status_code == 201
        delivered(4 + 3)
        assert delivery.worker.popen.poll() is None
    assert {tuple(row) for row in sql(TOLD)} == {("inbox", 2500, 2500)}
