"""Posts: what is published."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.base import Id, Timestamp, bounded, now

TITLE_LENGTH = 200
CONTENT_LENGTH = 250_000  # of four bytes each they fit into MAX_BODY_BYTES
CATEGORY_LENGTH = 50
LIVE = text("deleted_at IS NULL")


def _live_index(name: str, *columns: str) -> Index:
    """An index of the posts that are not in the trash, newest first."""
    order: list[Any] = [*columns, text("created_at DESC"), text("id DESC")]
    return Index(name, *order, sqlite_where=LIVE, postgresql_where=LIVE)


def _created_at(context: DefaultExecutionContext) -> datetime:
    """A new post was last changed when it was made."""
    created_at: datetime = context.get_current_parameters()["created_at"]
    return created_at


class Post(Model):
    """A post. With `deleted_at` it is in the trash."""

    __tablename__ = "posts"
    __table_args__ = (
        bounded("title", TITLE_LENGTH),
        bounded("content", CONTENT_LENGTH),
        bounded("category", CATEGORY_LENGTH),
        _live_index("ix_posts_live"),
        _live_index("ix_posts_live_by_user", "user_id"),
        _live_index("ix_posts_live_by_category", "category"),
        Index("ix_posts_user_id", "user_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(TITLE_LENGTH))
    content: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(String(CATEGORY_LENGTH), default="general")
    created_at: Mapped[datetime] = mapped_column(Timestamp, default=now)
    updated_at: Mapped[datetime] = mapped_column(Timestamp, default=_created_at, onupdate=now)
    deleted_at: Mapped[datetime | None] = mapped_column(Timestamp)
