"""Todos: what a user has to do; nobody else's business."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.base import Id, Timestamp, bounded, now

TASK_LENGTH = 500


class Todo(Model):
    """A todo of one user."""

    __tablename__ = "todos"
    __table_args__ = (
        bounded("task", TASK_LENGTH),
        Index("ix_todos_user_id_id", "user_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    task: Mapped[str] = mapped_column(String(TASK_LENGTH))
    done: Mapped[bool] = mapped_column(default=False)
    due_at: Mapped[datetime | None] = mapped_column(Timestamp)
    created_at: Mapped[datetime] = mapped_column(Timestamp, default=now)
