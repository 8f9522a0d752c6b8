"""What nobody can see any more is deleted for good after its time, and nothing else."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from app.extensions import celery, db
from app.models import Digest, IdempotencyKey, Notification, OutboxMessage, Session, Webhook, WebhookDelivery
from app.models.base import now
from app.services import outbox, retention
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


def test_a_mail_is_forgotten_after_thirty_days_but_not_while_it_waits_for_a_digest(prune, keep, make_user, sql):
    old = now() - timedelta(days=30) - LITTLE
    about = {"user_id": make_user().id, "kind": "welcome"}
    keep(
        Notification(event_id="mail", channel="mail", created_at=old, sent_at=old, **about),
        Notification(event_id="held", channel="mail", created_at=old, held=True, **about),
        Notification(event_id="lately", channel="mail", created_at=old + 2 * LITTLE, **about),
        Notification(event_id="inbox", channel="inbox", created_at=old, **about),
    )
    prune()
    assert sql("SELECT event_id FROM notifications ORDER BY id") == [("held",), ("lately",), ("inbox",)]


def test_of_the_inbox_what_was_read_a_year_ago_goes(prune, keep, make_user, sql):
    user, year, old = make_user(), timedelta(days=365), now() - timedelta(days=999)
    about = {"user_id": user.id, "kind": "welcome", "channel": "inbox", "created_at": old}
    keep(
        Notification(event_id="read", read_at=now() - year - LITTLE, **about),
        Notification(event_id="read lately", read_at=now() - year + LITTLE, **about),
        Notification(event_id="unread", **about),
    )
    prune()
    assert sql("SELECT event_id FROM notifications ORDER BY id") == [("read lately",), ("unread",)]


def test_a_digest_goes_with_its_mails(prune, keep, make_user, sql):
    user, old = make_user(), now() - timedelta(days=30) - LITTLE
    about = {"user_id": user.id, "kind": "welcome", "channel": "mail"}
    for day, at in ((1, old), (2, old + 2 * LITTLE)):
        keep(Digest(id=day, user_id=user.id, day=date(2026, 1, day), created_at=at))
        keep(Notification(event_id=f"{day}", digest_id=day, created_at=at - 3 * LITTLE, **about))
    prune()
    assert sql("SELECT id FROM digests") == [(2,)]
    assert sql("SELECT event_id, digest_id FROM notifications") == []


def test_what_tells_that_somebody_was_told_stays_as_long_as_a_message_might_tell_him_again(
    prune, keep, make_user, sql, app
):
    """Also what a mail is made of that was given up: it may be sent later."""
    user, old = make_user(), now() - timedelta(days=400)
    about = {"user_id": user.id, "kind": "welcome", "created_at": old}
    keep(
        Digest(id=1, user_id=user.id, day=date(2026, 1, 1), created_at=old),
        Webhook(id=1, user_id=user.id, url="https://example.org", events=[], secret="x"),
        WebhookDelivery(event_id="a", webhook_id=1, type="x", body="{}", created_at=old),
        Notification(event_id="a", channel="inbox", read_at=old, **about),
        Notification(event_id="a", channel="mail", **about),
        Notification(event_id="b", channel="mail", digest_id=1, **about),
        OutboxMessage(event_id="a", event="x", subscriber="x", ids={}, created_at=old, dead_at=old),
        OutboxMessage(event_id="c", event="DigestDue", subscriber="x", ids={"digest_id": 1}, dead_at=old),
    )
    tables = ("notifications", "digests", "webhook_deliveries")
    counts = f"SELECT {', '.join(f'(SELECT count(*) FROM {table})' for table in tables)}"
    prune()
    assert sql(counts) == [(3, 1, 1)]
    with app.app_context():
        outbox.discard()
    prune()
    assert sql(counts) == [(0, 0, 0)]


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
