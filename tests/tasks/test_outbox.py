"""The outbox: nothing leaves before the commit, nothing is lost after it (HOUSE, laws 7 and 8)."""

from __future__ import annotations

import base64
import inspect
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from datetime import timedelta
from threading import Barrier

import pytest
from kombu.exceptions import OperationalError
from sqlalchemy import select

from app import relay
from app.events import SUBSCRIBERS, Notified, PostPublished, Warned, emit
from app.extensions import celery, db
from app.models import OutboxMessage
from app.models.base import now
from app.services import digests, notifications, outbox, statistics, webhooks
from app.services.atomic import atomic

POST = {"title": "A title", "content": "Some words."}


@pytest.fixture
def in_app(app):
    """An application context: a database session."""
    with app.app_context():
        yield


@pytest.fixture
def emitted(in_app):
    """emitted(n): n events for one subscriber each; their messages' ids."""

    def emit_many(count: int = 1) -> list[int]:
        with atomic():
            for id in range(1, count + 1):
                emit(Notified(id))
        return list(db.session.scalars(select(OutboxMessage.id).order_by(OutboxMessage.id)))

    return emit_many


@pytest.fixture
def published(broker_redis):
    """published(): [id, attempts] of every message in the broker."""

    def read() -> list[list[int]]:
        raw = [item for queue in ("notifications", "mail") for item in broker_redis.client.lrange(queue, 0, -1)]
        return [json.loads(base64.b64decode(json.loads(item)["body"]))[0] for item in raw]

    return read


@pytest.fixture
def message(in_app):
    """message(id): it, as the database has it now."""

    def read(id: int) -> OutboxMessage:
        db.session.rollback()
        return db.session.get_one(OutboxMessage, id)

    return read


def test_every_event_has_the_ids_that_its_subscribers_take():
    does = vars(notifications) | vars(webhooks) | {"send_digest": digests.send_digest}
    does |= {"refresh_statistics": statistics.run_refresh}
    for event, names in SUBSCRIBERS.items():
        for name in names:
            taken = list(inspect.signature(does[name]).parameters)
            assert taken == ["event_id", *(field.name for field in fields(event))]


def test_an_event_is_in_the_transaction_of_its_change(in_app, sql):
    with atomic():
        emit(PostPublished(1))
        db.session.flush()
        assert sql("SELECT * FROM outbox") == [], "others do not see it before the commit"
    rows = sql("SELECT event, subscriber, attempts, done_at FROM outbox ORDER BY id")
    told = ("author", "followers", "admins", "webhooks_of_post")
    assert rows == [("PostPublished", f"notify_{whom}", 0, None) for whom in told]
    assert len(sql("SELECT DISTINCT event_id FROM outbox")) == 1


def test_a_write_that_fails_after_its_event_tells_nobody(as_user, make_user, sql, monkeypatch):
    """Law 7."""

    def emit_and_fail(event):
        emit(event)
        db.session.flush()
        raise ZeroDivisionError

    author = as_user(make_user())
    monkeypatch.setattr("app.services.posts.emit", emit_and_fail)
    assert author.post("/api/v1/posts", json=POST).status_code == 500
    assert sql("SELECT * FROM posts") == []
    assert sql("SELECT * FROM outbox") == []
    monkeypatch.undo()
    assert author.post("/api/v1/posts", json=POST).status_code == 201
    assert len(sql("SELECT * FROM outbox")) == 4


def test_what_is_claimed_is_nobody_elses_until_the_lease_lapses(emitted, lapse):
    (id,) = emitted()
    assert [due[:3] for due in outbox.claim()] == [(id, "send_mail", 0)]
    assert outbox.claim() == []
    lapse()
    assert [due[:3] for due in outbox.claim()] == [(id, "send_mail", 0)]


def test_a_queue_that_nobody_empties_is_not_filled_for_ever_and_holds_up_no_other(emitted, published, monkeypatch):
    """What waits in the broker for longer than its lease is published again: the more waits, the more."""
    monkeypatch.setattr(relay, "MOST_WAITING", 100)
    emitted(350)
    assert [relay.publish_due(), relay.publish_due()] == [100, 0]
    with atomic():
        emit(PostPublished(1), Warned(1))
    assert relay.publish_due() == 5
    assert len(published()) == 104  # and the one that is urgent


def test_a_queue_is_filled_again_once_there_is_room(emitted, broker_redis, monkeypatch):
    monkeypatch.setattr(relay, "MOST_WAITING", 100)
    emitted(150)
    assert [relay.publish_due(), relay.publish_due()] == [100, 0]
    broker_redis.client.ltrim("mail", 0, 50)
    assert relay.publish_due() == 50


def test_two_relays_publish_nothing_twice(app, emitted, published):
    ids, together = emitted(150), Barrier(4)

    def publish(_: int) -> int:
        with app.app_context():
            together.wait()
            return sum(relay.publish_due() for _ in range(4))

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(publish, range(4)))
    assert sum(counts) == 150
    assert sorted(published()) == [[id, 0] for id in ids]


def test_a_relay_that_dies_before_it_publishes_loses_nothing(emitted, published, lapse, monkeypatch):
    (id,) = emitted()

    def die(*_, **__):
        raise SystemExit

    with monkeypatch.context() as dying, pytest.raises(SystemExit):
        dying.setattr(celery, "send_task", die)
        relay.publish_due()
    assert relay.publish_due() == 0, "its claim holds for a while"
    lapse()
    assert relay.publish_due() == 1
    assert published() == [[id, 0]]


def test_what_the_broker_does_not_take_is_due_at_once(emitted, published, monkeypatch):
    ids, send_task = emitted(3), celery.send_task

    def takes_one(*arguments, args, **options):
        if args[0] != ids[0]:
            raise OperationalError("refused")
        return send_task(*arguments, args=args, **options)

    with monkeypatch.context() as away, pytest.raises(ConnectionError):
        away.setattr(celery, "send_task", takes_one)
        relay.publish_due()
    assert published() == [[ids[0], 0]]
    assert relay.publish_due() == 2
    assert sorted(published()) == [[id, 0] for id in ids]


def test_what_the_broker_has_taken_without_a_word_is_not_published_beside_its_attempt(
    emitted, published, lapse, monkeypatch
):
    ids, send_task = emitted(2), celery.send_task

    def loses_its_word(*arguments, args, **options):
        send_task(*arguments, args=args, **options)
        assert outbox.begin_attempt(*args).number == 1  # a worker was quick
        raise OperationalError("no answer")

    with monkeypatch.context() as away, pytest.raises(ConnectionError):
        away.setattr(celery, "send_task", loses_its_word)
        relay.publish_due()
    assert relay.publish_due() == 1
    assert sorted(published()) == [[id, 0] for id in ids]


def test_an_attempt_is_counted_and_committed_before_the_work(emitted, sql):
    (id,) = emitted()
    attempt = outbox.begin_attempt(id, 0)
    assert (attempt.number, attempt.ids) == (1, {"notification_id": 1})
    assert sql("SELECT attempts FROM outbox") == [(1,)]


def test_a_publication_is_good_for_one_attempt(emitted, lapse):
    """Where workers were away for minutes, the broker holds copies: two at once would send one mail twice."""
    (id,) = emitted()
    assert outbox.begin_attempt(id, 0).number == 1
    assert outbox.begin_attempt(id, 0) is None
    assert outbox.claim() == [], "whoever works on it has a lease"
    lapse()
    assert [due[:3] for due in outbox.claim()] == [(id, "send_mail", 1)]
    assert outbox.begin_attempt(id, 0) is None
    assert outbox.begin_attempt(id, 1).number == 2


def test_of_copies_delivered_at_once_one_is_begun(app, emitted):
    (id,), together = emitted(), Barrier(6)

    def begin(_: int) -> bool:
        with app.app_context():
            together.wait()
            return outbox.begin_attempt(id, 0) is not None

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(begin, range(6))) == [False] * 5 + [True]


def test_what_is_done_is_not_done_again(emitted):
    (id,) = emitted()
    outbox.begin_attempt(id, 0)
    outbox.finish(id)
    assert outbox.begin_attempt(id, 1) is None
    assert outbox.counts() == {"waiting": 0, "done": 1, "dead": 0}


def test_a_message_whose_worker_dies_each_time_is_given_up_after_eight_attempts(emitted, message):
    (id,) = emitted()
    assert [outbox.begin_attempt(id, n).number for n in range(8)] == list(range(1, 9))
    assert outbox.begin_attempt(id, 8) is None
    assert message(id).dead_at
    assert outbox.counts() == {"waiting": 0, "done": 0, "dead": 1}


def test_pauses_grow_from_seconds_to_an_hour(emitted, message):
    """A mail server that is away for ten minutes costs no mail."""
    (id,) = emitted()
    pauses = []
    for attempts in range(7):
        outbox.begin_attempt(id, attempts)
        outbox.fail(id, attempts + 1, OSError("no"))
        pauses.append((message(id).next_attempt_at - now()) / timedelta(seconds=1))
    for pause, longest in zip(pauses, (2, 4, 8, 30, 60, 120, 3600), strict=True):
        assert longest * 0.5 - 1 < pause <= longest


def test_what_was_given_up_begins_anew_when_the_operator_says_so(emitted, message):
    (id,) = emitted()
    for attempts in range(8):
        outbox.begin_attempt(id, attempts)
        outbox.fail(id, attempts + 1, OSError("no"))
    assert outbox.counts()["dead"] == 1
    assert outbox.replay() == 1
    assert outbox.counts() == {"waiting": 1, "done": 0, "dead": 0}
    assert outbox.begin_attempt(id, 0).number == 1


def test_whatever_an_error_says_it_can_be_noted(emitted, message):
    """PostgreSQL refuses NUL, UTF-8 lone surrogates."""
    (id,) = emitted()
    outbox.begin_attempt(id, 0)
    outbox.fail(id, 1, ValueError("\0 \udc80" + "x" * 5000))
    assert message(id).last_error.startswith("ValueError('\\x00 \\udc80xxx")
    assert len(message(id).last_error) == 2000


def test_a_failure_that_comes_too_late_changes_nothing(emitted, message):
    (id,) = emitted()
    outbox.begin_attempt(id, 0)
    outbox.finish(id)
    outbox.fail(id, 1, OSError("late"))
    assert message(id).last_error is None


@pytest.mark.parametrize("end", ["fails", "is postponed"])
def test_an_attempt_that_lasted_too_long_does_not_disturb_the_next(emitted, message, end):
    (id,) = emitted()
    outbox.begin_attempt(id, 0)
    outbox.begin_attempt(id, 1)
    leased = message(id).next_attempt_at
    if end == "fails":
        outbox.fail(id, 1, OSError("late"))
    else:
        outbox.postpone(id, 1, now())
    now_is = message(id)
    assert (now_is.attempts, now_is.next_attempt_at, now_is.last_error) == (2, leased, None)


def test_what_is_postponed_has_not_been_waiting(emitted):
    (id,) = emitted()
    outbox.begin_attempt(id, 0)
    outbox.postpone(id, 1, now() + timedelta(hours=8))
    assert outbox.oldest_seconds() == 0
    assert [tally.lag_seconds for tally in outbox.tallies()] == [0]
