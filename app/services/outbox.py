"""The outbox's book-keeping: what is due, what an attempt came to."""

from __future__ import annotations

import random
from datetime import timedelta

from sqlalchemy import func, select, update

from app.extensions import db
from app.models import OutboxMessage
from app.models.base import now
from app.services.atomic import atomic, end_read

ATTEMPTS = 8
LEASE = timedelta(seconds=60)  # after this a published message that is not done is published again
LONGEST_PAUSE_SECONDS = 300
WAITING = (OutboxMessage.done_at.is_(None), OutboxMessage.dead_at.is_(None))


def claim(limit: int = 100) -> list[tuple[int, str]]:
    """Take due messages, as (id, subscriber), for LEASE: whoever has not finished by then is taken for dead.

    Two relays never take the same one.
    """
    due = select(OutboxMessage).where(*WAITING, OutboxMessage.next_attempt_at <= now()).limit(limit)
    nothing = db.session.scalar(due.with_only_columns(OutboxMessage.id).limit(1)) is None
    end_read()
    if nothing:
        return []
    with atomic():
        rows = db.session.scalars(due.order_by(OutboxMessage.id).with_for_update(skip_locked=True)).all()
        for row in rows:
            row.next_attempt_at = now() + LEASE
        return [(row.id, row.subscriber) for row in rows]


def release(ids: list[int]) -> None:
    """Give back what could not be published: it is due at once."""
    with atomic():
        db.session.execute(update(OutboxMessage).where(OutboxMessage.id.in_(ids)).values(next_attempt_at=now()))


def begin_attempt(message_id: int) -> OutboxMessage | None:
    """Count an attempt and commit that, before any work: a task that kills its worker is counted too.

    None: there is nothing to do, since it is done, given up, or this was one attempt too many.
    """
    with atomic():
        found = select(OutboxMessage).where(OutboxMessage.id == message_id, *WAITING).with_for_update()
        message = db.session.scalar(found)
        if message is None:
            return None
        if message.attempts >= ATTEMPTS:
            message.dead_at = now()
            return None
        message.attempts += 1
        message.next_attempt_at = now() + LEASE
    return message


def finish(message_id: int) -> None:
    """The subscriber has done its work."""
    with atomic():
        db.session.execute(update(OutboxMessage).where(OutboxMessage.id == message_id).values(done_at=now()))


def fail(message_id: int, error: Exception) -> None:
    """Note what went wrong and when to try again: a pause that doubles, with jitter."""
    with atomic():
        message = db.session.get(OutboxMessage, message_id)
        if message is None:
            return
        message.last_error = f"{type(error).__name__}: {error}"[:2000]
        pause = min(LONGEST_PAUSE_SECONDS, 2**message.attempts) * random.uniform(0.5, 1)  # noqa: S311
        message.next_attempt_at = now() + timedelta(seconds=pause)
        if message.attempts >= ATTEMPTS:
            message.dead_at = now()


def counts() -> dict[str, int]:
    """How many messages wait, are done and are given up."""
    states = {
        "waiting": WAITING,
        "done": (OutboxMessage.done_at.is_not(None),),
        "dead": (OutboxMessage.dead_at.is_not(None),),
    }
    return {
        state: db.session.scalar(select(func.count()).select_from(OutboxMessage).where(*conditions)) or 0
        for state, conditions in states.items()
    }
