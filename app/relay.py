"""The relay, a process of its own: publishes what was committed, folds moves (`flask --app run outbox relay`)."""

from __future__ import annotations

import logging
import signal
import threading
import time
from typing import Any

from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from app import logs
from app.errors import Problem
from app.events import SUBSCRIBERS
from app.extensions import celery, db
from app.services import nudges, outbox

POLL_SECONDS = 1.0  # where nobody nudges: retries, and what another host has written
FOLD_EVERY_SECONDS = 2.0
PAUSE_AFTER_FAULT_SECONDS = 1.0
MOST_WAITING = 1000  # messages in a queue: what two children do in some seconds

log = logging.getLogger(__name__)


def publish_due() -> int:
    """Publish one batch of due messages, by id only, and say how many were published.

    A relay that dies between claim and publish loses nothing: the claim lapses. A broker that does not take them gives
    them back at once.

    :raises ConnectionError: the broker does not answer.
    """
    if not outbox.is_due():
        return 0
    claimed = outbox.claim(without=_crowded())
    published = 0
    if claimed:
        current_app.extensions["coherence"].settle()  # who is told may look at once
    try:
        for due in claimed:
            celery.send_task(due.subscriber, args=[due.id, due.attempts])
            published += 1
            logs.request_id.set(due.request_id)
            log.info("message %s is published for %s", due.id, due.subscriber)
    except Exception as error:  # kombu raises what its transport raises
        log.warning("the broker does not answer, %s messages wait: %s", len(claimed) - published, error)
        outbox.release(claimed[published:])
        raise ConnectionError from error
    finally:
        logs.request_id.set(None)
    return published


def _crowded() -> set[str]:
    """The subscribers in whose queue enough waits. More of it would lapse there and be published again and again, and
    whatever comes later would have to wait behind it.
    """
    queues = {subscriber: route["queue"] for subscriber, route in celery.conf.task_routes.items()}
    named: set[str] = {celery.conf.task_default_queue, *queues.values()}
    try:
        with celery.producer_or_acquire() as producer:

            def declared() -> dict[str, Any]:
                return {name: celery.amqp.queues[name].bind(producer.channel).queue_declare() for name in named}

            # As a message is sent: on a new connection where the old one is broken.
            found = producer.connection.ensure(producer, declared, **celery.conf.task_publish_retry_policy)()
    except Exception as error:  # kombu raises what its transport raises
        log.warning("the broker does not answer: %s", error)
        raise ConnectionError from error
    subscribers = {name for names in SUBSCRIBERS.values() for name in names}
    default = found[celery.conf.task_default_queue]
    return {n for n in subscribers if found.get(queues.get(n, ""), default).message_count >= MOST_WAITING}


def run() -> None:
    """Publish until SIGTERM or SIGINT. Faults of database and broker are waited out."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    log.info("relay started")
    source, fold_at, pipe = current_app.extensions["coherence"].source, 0.0, nudges.Pipe()
    while not stop.is_set():
        if time.monotonic() >= fold_at:  # here, so that no GET has to write
            fold_at = time.monotonic() + FOLD_EVERY_SECONDS
            source.fold()
        try:
            if not publish_due():
                pipe.wait(POLL_SECONDS)
        except ConnectionError:
            stop.wait(PAUSE_AFTER_FAULT_SECONDS)
        except (SQLAlchemyError, Problem) as error:
            log.warning("the database does not answer: %s", error)
            stop.wait(PAUSE_AFTER_FAULT_SECONDS)
        db.session.remove()
    log.info("relay stopped")
