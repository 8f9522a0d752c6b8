"""Notifications: what a user is told, once for each event and channel."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Model
from app.models.base import Id, Timestamp, now
from app.models.post import Post

INBOX = text("channel = 'inbox'")
BY_SOMEBODY = text("actor_id IS NOT NULL")
OF_A_TODO = text("todo_id IS NOT NULL")
UNREAD = text("channel = 'inbox' AND read_at IS NULL")
HELD = text("held")
IN_A_DIGEST = text("digest_id IS NOT NULL")


class Digest(Model):
    """One mail of all that waited for a user's morning: one for each of his days."""

    __tablename__ = "digests"
    __table_args__ = (UniqueConstraint("user_id", "day"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    day: Mapped[date]
    created_at: Mapped[datetime] = mapped_column(Timestamp, default=now)


class Notification(Model):
    """A row of the inbox, or a mail. `actor_id`: who did it; `sent_at` is when the mail server took it.

    `held`: the mail waits for its user's next digest; `digest_id`: the one that has it.
    """

    __tablename__ = "notifications"
    __table_args__ = (
        UniqueConstraint("event_id", "user_id", "channel"),
        CheckConstraint("channel IN ('inbox', 'mail')", name="channel"),
        Index("ix_notifications_inbox", "user_id", "id", sqlite_where=INBOX, postgresql_where=INBOX),
        Index("ix_notifications_unread", "user_id", "id", sqlite_where=UNREAD, postgresql_where=UNREAD),
        Index("ix_notifications_actor_id", "actor_id", sqlite_where=BY_SOMEBODY, postgresql_where=BY_SOMEBODY),
        Index("ix_notifications_held", "user_id", "created_at", sqlite_where=HELD, postgresql_where=HELD),
        Index("ix_notifications_digest_id", "digest_id", sqlite_where=IN_A_DIGEST, postgresql_where=IN_A_DIGEST),
        Index("ix_notifications_todo_id", "todo_id", sqlite_where=OF_A_TODO, postgresql_where=OF_A_TODO),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    event_id: Mapped[str] = mapped_column(String(32))
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    channel: Mapped[str] = mapped_column(String(10))
    kind: Mapped[str] = mapped_column(String(40))
    post_id: Mapped[int | None] = mapped_column(Id, ForeignKey("posts.id", ondelete="CASCADE"), index=True)
    actor_id: Mapped[int | None] = mapped_column(Id, ForeignKey("users.id", ondelete="SET NULL"))
    todo_id: Mapped[int | None] = mapped_column(Id, ForeignKey("todos.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(Timestamp, default=now)
    read_at: Mapped[datetime | None] = mapped_column(Timestamp)
    sent_at: Mapped[datetime | None] = mapped_column(Timestamp)
    held: Mapped[bool] = mapped_column(default=False, server_default=false())
    digest_id: Mapped[int | None] = mapped_column(Id, ForeignKey("digests.id", ondelete="SET NULL"))

    post: Mapped[Post | None] = relationship(lazy="raise_on_sql", viewonly=True)
