"""The outbox's book-keeping: what is due, what an attempt came to."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, CursorResult, Select, delete, func, select, tuple_, update

from app.errors import NotFound
from app.extensions import db
from app.models import OutboxMessage
from app.models.base import now
from app.services.atomic import atomic, end_read
from app.services.page import Page, Place

LEASE = timedelta(seconds=60)  # after this a published message that is not done is published again
PAUSES = (2, 4, 8, 30, 60, 120, 3600)  # seconds at most after each failed attempt; 32 to 64 minutes in all
LATE_SECONDS = 60  # who has waited for longer waits for a part that is down, or for a relay or worker that hangs
ATTEMPTS = len(PAUSES) + 1
PLAIN = {"synchronize_session": False}  # none of what it changes is in the session
# By subscriber: what notes, in the same transaction and by the event's ids, that nobody will try any more.
GIVEN_UP: dict[str, Callable[..., None]] = {}
WAITING = (OutboxMessage.done_at.is_(None), OutboxMessage.dead_at.is_(None))
DEAD = OutboxMessage.dead_at.is_not(None)
STATES: dict[str, tuple[ColumnElement[bool], ...]] = {
    "waiting": WAITING,
    "done": (OutboxMessage.done_at.is_not(None),),
    "dead": (DEAD,),
}

log = logging.getLogger(__name__)


class NotYet(Exception):
    """A subscriber's work is to be done later, and this was no attempt at it."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"not before {until}")
        self.until = until


class Due(NamedTuple):
    """A message to publish. `attempts`: how many were begun until now, by which the next one is known."""

    id: int
    subscriber: str
    attempts: int
    request_id: str | None


@dataclass(frozen=True)
class Attempt:
    """What a subscriber is to work on, for the `number`th time, and the request that caused it."""

    number: int
    event_id: str
    ids: dict[str, int]
    request_id: str | None


def is_due() -> bool:
    """Whether there is anything to publish."""
    due = db.session.scalar(_due().with_only_columns(OutboxMessage.id).limit(1)) is not None
    end_read()
    return due


def claim(limit: int = 100, without: Collection[str] = ()) -> list[Due]:
    """Take due messages for LEASE: whoever has not finished by then is taken for dead.

    Two relays never take the same one.

    :param without: subscribers whose messages stay where they are.
    """
    due = _due().where(OutboxMessage.subscriber.not_in(without)) if without else _due()
    with atomic():
        rows = db.session.scalars(due.order_by(OutboxMessage.id).limit(limit).with_for_update(skip_locked=True)).all()
        for row in rows:
            row.next_attempt_at = now() + LEASE
        return [Due(row.id, row.subscriber, row.attempts, row.request_id) for row in rows]


def _due() -> Select[Any]:
    return select(OutboxMessage).where(*WAITING, OutboxMessage.next_attempt_at <= now())


def release(claimed: Iterable[Due]) -> None:
    """Give back what could not be published: it is due at once, unless the broker took it and only its word was lost,
    and somebody has begun.
    """
    as_claimed = tuple_(OutboxMessage.id, OutboxMessage.attempts).in_([(due.id, due.attempts) for due in claimed])
    with atomic():
        db.session.execute(update(OutboxMessage).where(as_claimed).values(next_attempt_at=now()))


def begin_attempt(message_id: int, attempts: int) -> Attempt | None:
    """Count an attempt and commit that, before any work: a task that kills its worker is counted too.

    A publication is good for one attempt: the broker may deliver it again, and where workers were away for longer than
    LEASE, copies of it wait in there; two of them at once would send a mail twice.

    :param attempts: as published.
    :return: None when there is nothing to do: it is done, given up, another's, or this was one attempt too many.
    """
    count = {"attempts": attempts + 1, "next_attempt_at": now() + LEASE}
    taken = update(OutboxMessage).where(*_at(message_id, attempts), OutboxMessage.attempts < ATTEMPTS).values(**count)
    told = taken.returning(OutboxMessage.event_id, OutboxMessage.ids, OutboxMessage.request_id)
    with atomic():
        row = db.session.execute(told, execution_options=PLAIN).one_or_none()
        if row is not None:
            return Attempt(attempts + 1, *row)
        spent = select(OutboxMessage).where(*_at(message_id, attempts), OutboxMessage.attempts >= ATTEMPTS)
        if (message := db.session.scalar(spent.with_for_update())) is not None:
            _give_up(message)  # the last one told nothing: it has killed its worker
        return None


def _at(message_id: int, attempts: int) -> tuple[ColumnElement[bool], ...]:
    """The message, while it waits and nobody has begun a further attempt."""
    return (OutboxMessage.id == message_id, OutboxMessage.attempts == attempts, *WAITING)


def finish(message_id: int) -> None:
    """The subscriber has done its work."""
    with atomic():
        done = update(OutboxMessage).where(OutboxMessage.id == message_id).values(done_at=now())
        db.session.execute(done, execution_options=PLAIN)


def postpone(message_id: int, number: int, until: datetime) -> None:
    """Let it begin then, as if it had been written then: who waits for his morning waits for no part that is down.

    :param number: of the attempt; once another was begun, nothing happens.
    """
    later = {"attempts": OutboxMessage.attempts - 1, "created_at": until, "next_attempt_at": until}
    with atomic():
        db.session.execute(update(OutboxMessage).where(*_at(message_id, number)).values(**later))


def fail(message_id: int, number: int, error: BaseException) -> None:
    """Note what went wrong and when to try again: after one of PAUSES, with jitter, so that not all come at once.

    :param number: of the attempt; once another was begun, nothing happens.
    """
    with atomic():
        message = db.session.scalar(select(OutboxMessage).where(*_at(message_id, number)).with_for_update())
        if message is None:
            return
        message.last_error = repr(error)[:2000]  # without NUL or lone surrogates, whatever a mail server has said
        if message.attempts >= ATTEMPTS:
            _give_up(message)
            return
        pause = PAUSES[message.attempts - 1] * random.uniform(0.5, 1)  # noqa: S311
        message.next_attempt_at = now() + timedelta(seconds=pause)


def _give_up(message: OutboxMessage) -> None:
    message.dead_at = now()
    if (note := GIVEN_UP.get(message.subscriber)) is not None:
        note(**message.ids)
    log.error("message %s is given up: %s for %s", message.id, message.event, message.subscriber)


def replay(message_id: int | None = None) -> int:
    """Let what was given up begin anew, one or all, at once; how many. What was sent already is not sent again.

    :raises NotFound: this one was not given up.
    """
    again = {"dead_at": None, "attempts": 0, "next_attempt_at": now()}
    return _of_the_dead(update(OutboxMessage).values(**again), message_id, "begin anew")


def discard(message_id: int | None = None) -> int:
    """Delete what was given up, one or all: nobody will hear of it any more; how many.

    :raises NotFound: this one was not given up.
    """
    return _of_the_dead(delete(OutboxMessage), message_id, "are discarded")


def _of_the_dead(change: Any, message_id: int | None, what: str) -> int:
    with atomic():
        chosen = change.where(DEAD) if message_id is None else change.where(DEAD, OutboxMessage.id == message_id)
        result = db.session.execute(chosen.execution_options(synchronize_session=False))
        changed = cast("CursorResult[Any]", result).rowcount
        if message_id is not None and not changed:
            raise NotFound("No message of this id was given up")
    log.warning("%s messages that were given up %s", changed, what)
    return changed


def listed(state: str, limit: int, cursor: Place | None, total: bool) -> Page:
    """The messages in one of STATES, the oldest first: one statement, and one for the total."""
    rows = select(OutboxMessage).where(*STATES[state])
    return Page.placed(rows, [(OutboxMessage.id, False)], limit=limit, cursor=cursor, total=total, sort=state)


def oldest_seconds() -> float:
    """For how long the one that waits longest has been waiting; 0 when nobody does.

    Whether relay and workers live is told by this alone: one may be up and do nothing.
    """
    oldest = db.session.scalar(select(func.min(OutboxMessage.created_at)).where(*WAITING))
    return _age(oldest)


def _age(since: datetime | None) -> float:
    """0 for what was postponed, which counts as written then."""
    return max(0.0, (now() - since).total_seconds()) if since else 0.0


def counts() -> dict[str, int]:
    """How many messages wait, are done and are given up."""
    return {
        state: db.session.scalar(select(func.count()).select_from(OutboxMessage).where(*conditions)) or 0
        for state, conditions in STATES.items()
    }


@dataclass(frozen=True)
class Tally:
    """What became of one event's messages for one subscriber; for how many seconds its oldest has been waiting."""

    event: str
    subscriber: str
    states: dict[str, int]
    lag_seconds: float


def tallies() -> list[Tally]:
    """By event and subscriber: one statement."""
    numbers = [func.count().filter(*conditions).label(state) for state, conditions in STATES.items()]
    oldest = func.min(OutboxMessage.created_at).filter(*WAITING)
    by = (OutboxMessage.event, OutboxMessage.subscriber)
    rows = db.session.execute(select(*by, oldest, *numbers).group_by(*by).order_by(*by))
    return [
        Tally(event, subscriber, dict(zip(STATES, counts, strict=True)), _age(since))
        for event, subscriber, since, *counts in rows
    ]
