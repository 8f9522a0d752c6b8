"""Webhooks: addresses of other programs, and what each of them is told."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.base import Id, Timestamp, bounded, now
from app.models.user import URL_LENGTH

SCOPES = ("own", "all")
OF_ALL = text("scope = 'all'")


class Webhook(Model):
    """An address that hears of `events`: of what concerns its owner, or of `all`.

    `secret` is stored as it is, since it signs; no answer shows it again and no log line has it. `failing_since`: of
    the attempts since then none succeeded; `resting_until`: it was slow, and is not called before.
    """

    __tablename__ = "webhooks"
    __table_args__ = (
        bounded("url", URL_LENGTH),
        CheckConstraint("scope IN ('own', 'all')", name="scope"),
        Index("ix_webhooks_user_id_id", "user_id", "id"),
        Index("ix_webhooks_of_all", "id", sqlite_where=OF_ALL, postgresql_where=OF_ALL),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    url: Mapped[str] = mapped_column(String(URL_LENGTH))
    events: Mapped[list[str]] = mapped_column(JSON)
    scope: Mapped[str] = mapped_column(String(10), default="own")
    active: Mapped[bool] = mapped_column(default=True)
    secret: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime] = mapped_column(Timestamp, default=now)
    failing_since: Mapped[datetime | None] = mapped_column(Timestamp)
    resting_until: Mapped[datetime | None] = mapped_column(Timestamp)
    disabled_at: Mapped[datetime | None] = mapped_column(Timestamp)
    disabled_reason: Mapped[str | None] = mapped_column(String(200))


class WebhookDelivery(Model):
    """One event for one webhook; `body` is the same at each attempt. Done, failed, or neither: it waits.

    `round`: how often it was begun anew, from 1; `tries`: attempts of this round, counted before each; `attempts`: what
    the last ones came to (`at`, `status`, `ms`, `answer`, `error`).
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("event_id", "webhook_id"),
        Index("ix_webhook_deliveries_webhook_id_id", "webhook_id", "id"),
        Index("ix_webhook_deliveries_created_at", "created_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    webhook_id: Mapped[int] = mapped_column(Id, ForeignKey("webhooks.id", ondelete="CASCADE"))
    event_id: Mapped[str] = mapped_column(String(32))
    type: Mapped[str] = mapped_column(String(40))
    body: Mapped[str] = mapped_column(Text)
    round: Mapped[int] = mapped_column(default=1)
    tries: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    created_at: Mapped[datetime] = mapped_column(Timestamp, default=now)
    done_at: Mapped[datetime | None] = mapped_column(Timestamp)
    failed_at: Mapped[datetime | None] = mapped_column(Timestamp)
