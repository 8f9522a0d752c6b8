"""How long things are kept."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, delete, select

from app.events import DigestDue
from app.extensions import db
from app.models import (
    Digest,
    IdempotencyKey,
    Notification,
    OutboxMessage,
    Post,
    Session,
    StatisticsRefresh,
    TodoReminder,
    WebhookDelivery,
)
from app.models.base import now
from app.services import idempotency
from app.services.atomic import atomic

AT_ONCE = 1000  # rows of a transaction: SQLite has one writer, which must not be kept waiting
# What was given up in the outbox stays, and so does what tells its replay that somebody was told already.
UNDONE = select(OutboxMessage.event_id).where(OutboxMessage.done_at.is_(None))
UNSENT = UNDONE.where(OutboxMessage.event == DigestDue.__name__).with_only_columns(
    OutboxMessage.ids["digest_id"].as_integer()
)
TOLD = Notification.event_id.not_in(UNDONE)
MAILED = Notification.digest_id.is_(None) | Notification.digest_id.not_in(UNSENT)
MAIL = TOLD, MAILED, Notification.channel == "mail", ~Notification.held
# Model, the time from which on it is of no use, how long it is kept after that, and what else must be so.
KEPT: tuple[tuple[Any, ...], ...] = (
    (Session, Session.expires_at, timedelta(days=1)),
    (IdempotencyKey, IdempotencyKey.created_at, idempotency.KEPT),
    (OutboxMessage, OutboxMessage.done_at, timedelta(days=7)),
    (StatisticsRefresh, StatisticsRefresh.finished_at, timedelta(days=7)),
    (WebhookDelivery, WebhookDelivery.created_at, timedelta(days=30), WebhookDelivery.event_id.not_in(UNDONE)),
    (TodoReminder, TodoReminder.told_at, timedelta(days=7)),
    (Notification, Notification.read_at, timedelta(days=365), TOLD),
    (Notification, Notification.created_at, timedelta(days=30), *MAIL),
    (Digest, Digest.created_at, timedelta(days=30), Digest.id.not_in(UNSENT)),  # after the mails that it has
    (Post, Post.deleted_at, timedelta(days=30)),
)


def prune() -> dict[str, int]:
    """Delete for good what was kept for long enough; how many rows of each table. Twice at once does no harm."""
    gone: Counter[str] = Counter()
    for model, since, kept, *conditions in KEPT:
        gone[model.__tablename__] += _prune(model, since < now() - kept, *conditions)
    return gone


def _prune(model: type[Any], *conditions: Any) -> int:
    old = select(model.id).where(*conditions).limit(AT_ONCE)
    gone, last = 0, AT_ONCE
    while last == AT_ONCE:
        with atomic():
            found = delete(model).where(model.id.in_(old)).execution_options(synchronize_session=False)
            last = cast("CursorResult[Any]", db.session.execute(found)).rowcount
        gone += last
    return gone
