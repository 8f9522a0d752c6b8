"""What nobody can see any more is deleted for good after its time, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.extensions import celery, db
from app.models import IdempotencyKey, OutboxMessage, Session
from app.models.base import now
from app.services import retention
from app.services.atomic import atomic

LITTLE = timedelta(minutes=5)


@pytest.fixture
def prune(app):
    """prune(): as Celery runs it."""

    def run():
        celery.tasks["prune"].apply(throw=True)

    return run


@pytest.fixture
def keep(app):
    """keep(row …): written."""

    def write(*rows):
        with app.app_context(), atomic():
            db.session.add_all(rows)

    return write


def _key(user, name, age):
    given = {"fingerprint": "x", "status": 201, "headers": {}, "body": b""}
    return IdempotencyKey(user_id=user.id, key=name, created_at=now() - age, **given)


def _message(name, **times):
    return OutboxMessage(event_id=name, event="x", subscriber="x", ids={}, **times)


def test_a_session_goes_a_day_after_it_has_ended_by_itself(prune, keep, make_user, sql):
    user, day = make_user(), timedelta(days=1)
    ends = {"old": now() - day - LITTLE, "fresh": now() - day + LITTLE, "good": now() + day}
    keep(*(Session(id=name, user_id=user.id, expires_at=at) for name, at in ends.items()))
    prune()
    assert sql("SELECT id FROM sessions ORDER BY id") == [("fresh",), ("good",)]


def test_a_revoked_session_stays_as_long_as_its_tokens_would(prune, keep, make_user, sql):
    keep(Session(id="x", user_id=make_user().id, expires_at=now() + LITTLE, revoked_at=now() - timedelta(days=9)))
    prune()
    assert sql("SELECT id FROM sessions") == [("x",)]


def test_an_idempotency_key_is_kept_for_a_day(prune, keep, make_user, sql):
    user, day = make_user(), timedelta(days=1)
    keep(_key(user, "old", day + LITTLE), _key(user, "fresh", day - LITTLE))
    prune()
    assert sql("SELECT key FROM idempotency_keys") == [("fresh",)]


def test_of_the_outbox_only_what_is_done_goes(prune, keep, sql):
    old = now() - timedelta(days=7) - LITTLE
    keep(
        _message("done", created_at=old, done_at=old),
        _message("done lately", created_at=old, done_at=old + 2 * LITTLE),
        _message("dead", created_at=old, dead_at=old),
        _message("waiting", created_at=old),
    )
    prune()
    assert sql("SELECT event_id FROM outbox ORDER BY event_id") == [("dead",), ("done lately",), ("waiting",)]


def test_the_trash_is_emptied_of_what_lies_there_for_thirty_days(prune, client, make_user, make_post, sql):
    user, month = make_user(), timedelta(days=30)
    make_post(user, title="old", deleted_at=now() - month - LITTLE)
    make_post(user, title="restorable", deleted_at=now() - month + LITTLE)
    make_post(user, title="seen by all", created_at=now() - 2 * month)
    prune()
    assert sql("SELECT title FROM posts ORDER BY title") == [("restorable",), ("seen by all",)]
    assert [post["title"] for post in client.get("/api/v1/posts").json] == ["seen by all"]


def test_more_than_a_transaction_takes_goes_all_the_same(prune, keep, sql, monkeypatch):
    monkeypatch.setattr(retention, "AT_ONCE", 3)
    old = now() - timedelta(days=8)
    keep(*(_message(f"{n}", created_at=old, done_at=old) for n in range(8)))
    prune()
    assert sql("SELECT count(*) FROM outbox") == [(0,)]


def test_beat_asks_for_tasks_that_there_are(app):
    asked = {entry["task"] for entry in celery.conf.beat_schedule.values()}
    assert asked
    assert asked <= set(celery.tasks)
