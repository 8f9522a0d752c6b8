"""What a user wants to be told, where and when. Only what differs from the default is a row."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.base import Id, Timestamp, now


class Preference(Model):
    """When a user's mails may come. `quiet_from`, `quiet_until`: `HH:MM` in his zone, both or none."""

    __tablename__ = "notification_preferences"
    __table_args__ = (
        CheckConstraint("digest IN ('immediately', 'daily', 'weekly')", name="digest"),
        CheckConstraint("(quiet_from IS NULL) = (quiet_until IS NULL)", name="quiet_hours"),
    )

    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC")
    digest: Mapped[str] = mapped_column(String(11), default="immediately")
    quiet_from: Mapped[str | None] = mapped_column(String(5))
    quiet_until: Mapped[str | None] = mapped_column(String(5))


class Switch(Model):
    """A kind of notification that a user wants in a channel, or does not."""

    __tablename__ = "notification_switches"
    __table_args__ = (UniqueConstraint("user_id", "kind", "channel"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(40))
    channel: Mapped[str] = mapped_column(String(10))
    wanted: Mapped[bool]


class Mute(Model):
    """An author, or a post, of whom or which a user wants to hear nothing."""

    __tablename__ = "notification_mutes"
    __table_args__ = (
        UniqueConstraint("user_id", "author_id"),
        UniqueConstraint("user_id", "post_id"),
        CheckConstraint("(author_id IS NULL) <> (post_id IS NULL)", name="one"),
        Index("ix_notification_mutes_author_id", "author_id"),
        Index("ix_notification_mutes_post_id", "post_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    author_id: Mapped[int | None] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    post_id: Mapped[int | None] = mapped_column(Id, ForeignKey("posts.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(Timestamp, default=now)
