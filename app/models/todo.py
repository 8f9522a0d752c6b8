"""Todos: what a user has to do; nobody else's business. And when he is to be reminded."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, CheckConstraint, DateTime, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.base import Id, Timestamp, bounded, now

TASK_LENGTH = 500
ZONE_LENGTH = 64
MOST_TAGS = 10
LOWEST_PRIORITY = 4
MIDDLE, GAP = 2**50, 2**20  # of positions: room on all sides, and all of it below 2^53, which JavaScript counts to
UNTOLD = text("told_at IS NULL")
# The triggers compare old and new, and PostgreSQL's plain JSON cannot be compared.
COMPARABLE = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class Todo(Model):
    """A todo of one user; with a `parent_id` it is a subtask.

    `series_start`: of what recurs, the present occurrence as its zone's clocks show it: `due_at` is later, where they
    skip that time. `occurrences_left`: with the present one; NULL where the rule has no COUNT.
    """

    __tablename__ = "todos"
    __table_args__ = (
        bounded("task", TASK_LENGTH),
        CheckConstraint(f"priority BETWEEN 1 AND {LOWEST_PRIORITY}", name="priority"),
        Index("ix_todos_user_id_id", "user_id", "id"),
        Index("ix_todos_user_id_position", "user_id", "position", "id"),
        Index("ix_todos_parent_id", "parent_id"),
        Index("ix_todos_post_id", "post_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    task: Mapped[str] = mapped_column(String(TASK_LENGTH))
    done: Mapped[bool] = mapped_column(default=False)
    due_at: Mapped[datetime | None] = mapped_column(Timestamp)
    created_at: Mapped[datetime] = mapped_column(Timestamp, default=now)
    time_zone: Mapped[str] = mapped_column(String(ZONE_LENGTH), default="UTC")
    priority: Mapped[int | None]
    position: Mapped[int] = mapped_column(Id, default=MIDDLE)
    tags: Mapped[list[str]] = mapped_column(COMPARABLE, default=list)
    parent_id: Mapped[int | None] = mapped_column(Id, ForeignKey("todos.id", ondelete="CASCADE"))
    post_id: Mapped[int | None] = mapped_column(Id, ForeignKey("posts.id", ondelete="SET NULL"))
    required: Mapped[bool] = mapped_column(default=False)
    remind_minutes_before: Mapped[list[int]] = mapped_column(COMPARABLE, default=list)
    recurrence: Mapped[dict[str, str] | None] = mapped_column(COMPARABLE)
    series_start: Mapped[datetime | None] = mapped_column(DateTime)
    occurrences_left: Mapped[int | None]
    completed_count: Mapped[int] = mapped_column(default=0)
    last_done_at: Mapped[datetime | None] = mapped_column(Timestamp)


class TodoReminder(Model):
    """That a user is to hear of a todo at a time, before it is due. `told_at`: when that was handed to the outbox."""

    __tablename__ = "todo_reminders"
    __table_args__ = (
        UniqueConstraint("todo_id", "remind_at"),
        Index("ix_todo_reminders_untold", "remind_at", sqlite_where=UNTOLD, postgresql_where=UNTOLD),
        Index("ix_todo_reminders_told_at", "told_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    todo_id: Mapped[int] = mapped_column(Id, ForeignKey("todos.id", ondelete="CASCADE"))
    remind_at: Mapped[datetime] = mapped_column(Timestamp)
    due_at: Mapped[datetime] = mapped_column(Timestamp)
    told_at: Mapped[datetime | None] = mapped_column(Timestamp)
