"""How a task gets its outbox message: the attempt is counted before the work, its end noted after."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, ClassVar

from celery import Task, shared_task
from flask import Flask

from app import logs
from app.services import outbox

log = logging.getLogger(__name__)


class ContextTask(Task):
    """A task in an application context of its own; the database session ends with it."""

    flask_app: ClassVar[Flask]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with self.flask_app.app_context():
            return super().__call__(*args, **kwargs)


def delivers(work: Callable[..., None]) -> Any:
    """Make a task of the function's name, that takes what the relay publishes.

    The function gets the message's `event_id` and its event's ids. An error is noted in the outbox, which tries again
    later; Celery's own retries would be lost with the broker.
    """

    @functools.wraps(work)
    def task(message_id: int, attempts: int, **_: Any) -> None:
        attempt = outbox.begin_attempt(message_id, attempts)
        if attempt is None:
            return
        about = logs.request_id.set(attempt.request_id)
        try:
            work(attempt.event_id, **attempt.ids)
        except outbox.NotYet as later:
            outbox.postpone(message_id, attempt.number, later.until)
            log.info("message %s waits: %s", message_id, later)
        except Exception as error:
            log.warning("attempt %s of %s%s failed: %r", attempt.number, work.__name__, attempt.ids, error)
            outbox.fail(message_id, attempt.number, error)
        else:
            outbox.finish(message_id)
            log.info("message %s is done: %s%s", message_id, work.__name__, attempt.ids)
        finally:
            logs.request_id.reset(about)

    return shared_task(name=work.__name__, base=ContextTask)(task)
