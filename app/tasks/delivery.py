"""How a task gets its outbox message: the attempt is counted before the work, its end noted after."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from celery import shared_task

from app.services import outbox
from app.services.atomic import end_read

log = logging.getLogger(__name__)


def delivers(work: Callable[..., None]) -> Any:
    """Make a task of the function's name that takes an outbox message's id.

    The function gets the message's `event_id` and its event's ids. An error is noted in the outbox, which tries again
    later; Celery's own retries would be lost with the broker.
    """

    @functools.wraps(work)
    def task(message_id: int, **_: Any) -> None:
        message = outbox.begin_attempt(message_id)
        if message is None:
            return
        event_id, ids = message.event_id, dict(message.ids)
        end_read()
        try:
            work(event_id, **ids)
        except Exception as error:
            log.warning("attempt %s of %s(%s) failed: %s", message.attempts, work.__name__, ids, error)
            outbox.fail(message_id, error)
        else:
            outbox.finish(message_id)

    return shared_task(name=work.__name__)(task)
