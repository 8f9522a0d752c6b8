"""The outbox: what has happened and who has yet to hear of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.base import Id, Timestamp, now

WAITING = text("done_at IS NULL AND dead_at IS NULL")
DEAD = text("dead_at IS NOT NULL")


class OutboxMessage(Model):
    """One event for one subscriber. `ids` are the event's ids, never text or addresses.

    `next_attempt_at`: not to be published before; `attempts`: counted before each run; `dead_at`: given up;
    `request_id`: of the request that caused it, for the log.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_waiting", "next_attempt_at", sqlite_where=WAITING, postgresql_where=WAITING),
        Index("ix_outbox_oldest", "created_at", sqlite_where=WAITING, postgresql_where=WAITING),
        Index("ix_outbox_dead", "id", sqlite_where=DEAD, postgresql_where=DEAD),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    event_id: Mapped[str] = mapped_column(String(32))
    event: Mapped[str] = mapped_column(String(80))
    subscriber: Mapped[str] = mapped_column(String(80))
    ids: Mapped[dict[str, Any]] = mapped_column(JSON)
    request_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(Timestamp, default=now)
    next_attempt_at: Mapped[datetime] = mapped_column(Timestamp, default=now)
    attempts: Mapped[int] = mapped_column(default=0)
    done_at: Mapped[datetime | None] = mapped_column(Timestamp)
    dead_at: Mapped[datetime | None] = mapped_column(Timestamp)
    last_error: Mapped[str | None] = mapped_column(Text)
