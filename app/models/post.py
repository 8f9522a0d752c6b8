"""Posts: what is published."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, false, text
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Model
from app.models.base import Id, Timestamp, bounded, now
from app.models.user import User

TITLE_LENGTH = 200
CONTENT_LENGTH = 250_000  # of four bytes each they fit into MAX_BODY_BYTES
CATEGORY_LENGTH = 50
TAG_LENGTH = 50
MOST_TAGS = 20
SUMMARY_LENGTH = 1000
BYLINE_LENGTH = 500
PATH_LENGTH = 500
# As the services' `LIVE` is written in each database's words: an index is used where it says the same.
LIVE: dict[str, Any] = {
    "sqlite_where": text("deleted_at IS NULL AND draft = 0"),
    "postgresql_where": text("deleted_at IS NULL AND NOT draft"),
}
IN_TRASH = text("deleted_at IS NOT NULL")


def _live_index(name: str, *columns: str, newest_by: str = "created_at") -> Index:
    """An index of the posts that are not in the trash, newest first."""
    order: list[Any] = [*columns, text(f"{newest_by} DESC"), text("id DESC")]
    return Index(name, *order, **LIVE)


def _created_at(context: DefaultExecutionContext) -> datetime:
    """A new post was last changed when it was made."""
    created_at: datetime = context.get_current_parameters()["created_at"]
    return created_at


class Post(Model):
    """A post. A `draft` is its author's alone; with `deleted_at` it is in the trash, where `deleted_by` put it.

    `byline`: who wrote it, as a text, where that is nobody with an account.

    What it is related to is loaded only where a query says so.
    """

    __tablename__ = "posts"
    __table_args__ = (
        bounded("title", TITLE_LENGTH),
        bounded("content", CONTENT_LENGTH),
        bounded("category", CATEGORY_LENGTH),
        bounded("summary", SUMMARY_LENGTH),
        bounded("byline", BYLINE_LENGTH),
        _live_index("ix_posts_live"),
        _live_index("ix_posts_live_by_user", "user_id"),
        _live_index("ix_posts_live_by_category", "category"),
        _live_index("ix_posts_live_by_change", newest_by="updated_at"),
        Index("ix_posts_live_by_title", "title", "id", **LIVE),
        Index("ix_posts_user_id", "user_id"),
        Index("ix_posts_trash", "deleted_at", "id", sqlite_where=IN_TRASH, postgresql_where=IN_TRASH),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(TITLE_LENGTH))
    content: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(String(CATEGORY_LENGTH), default="general")
    summary: Mapped[str | None] = mapped_column(String(SUMMARY_LENGTH))
    byline: Mapped[str | None] = mapped_column(String(BYLINE_LENGTH))
    draft: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(Timestamp, default=now)
    updated_at: Mapped[datetime] = mapped_column(Timestamp, default=_created_at, onupdate=now)
    deleted_at: Mapped[datetime | None] = mapped_column(Timestamp)
    deleted_by: Mapped[int | None] = mapped_column(Id, ForeignKey("users.id", ondelete="SET NULL"))

    author: Mapped[User] = relationship(foreign_keys=user_id, lazy="raise_on_sql", viewonly=True)
    tags: Mapped[list[PostTag]] = relationship(
        order_by="PostTag.name", cascade="all, delete-orphan", passive_deletes=True, lazy="raise_on_sql"
    )

    @property
    def tag_names(self) -> list[str]:
        """The tags' names, in one order, whatever the database's collation."""
        return sorted(tag.name for tag in self.tags)


class PostTag(Model):
    """A word by which posts are found."""

    __tablename__ = "post_tags"
    __table_args__ = (
        bounded("name", TAG_LENGTH),
        UniqueConstraint("post_id", "name"),
        Index("ix_post_tags_name_post_id", "name", "post_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    post_id: Mapped[int] = mapped_column(Id, ForeignKey("posts.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(TAG_LENGTH))


class PostAlias(Model):
    """An address that a post had elsewhere."""

    __tablename__ = "post_aliases"
    __table_args__ = (
        bounded("path", PATH_LENGTH),
        Index("ix_post_aliases_post_id", "post_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    post_id: Mapped[int] = mapped_column(Id, ForeignKey("posts.id", ondelete="CASCADE"))
    path: Mapped[str] = mapped_column(String(PATH_LENGTH), unique=True)
