"""How long things are kept that nobody can see any more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, delete, select

from app.extensions import db
from app.models import IdempotencyKey, OutboxMessage, Post, Session, StatisticsRefresh, TodoReminder, WebhookDelivery
from app.models.base import now
from app.services import idempotency
from app.services.atomic import atomic

AT_ONCE = 1000  # rows of a transaction: SQLite has one writer, which must not be kept waiting
# Model, the time from which on it is of no use, how long it is kept after that. What was given up in the outbox stays.
KEPT: tuple[tuple[type[Any], Any, timedelta], ...] = (
    (Session, Session.expires_at, timedelta(days=1)),
    (IdempotencyKey, IdempotencyKey.created_at, idempotency.KEPT),
    (OutboxMessage, OutboxMessage.done_at, timedelta(days=7)),
    (StatisticsRefresh, StatisticsRefresh.finished_at, timedelta(days=7)),
    (WebhookDelivery, WebhookDelivery.created_at, timedelta(days=30)),
    (TodoReminder, TodoReminder.told_at, timedelta(days=7)),
    (Post, Post.deleted_at, timedelta(days=30)),
)


def prune() -> dict[str, int]:
    """Delete for good what was kept for long enough; how many rows of each table. Twice at once does no harm."""
    return {model.__tablename__: _prune(model, since, kept) for model, since, kept in KEPT}


def _prune(model: type[Any], since: Any, kept: timedelta) -> int:
    old = select(model.id).where(since < now() - kept).limit(AT_ONCE)
    gone, last = 0, AT_ONCE
    while last == AT_ONCE:
        with atomic():
            found = delete(model).where(model.id.in_(old)).execution_options(synchronize_session=False)
            last = cast("CursorResult[Any]", db.session.execute(found)).rowcount
        gone += last
    return gone
