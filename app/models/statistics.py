"""Statistics: what was counted, and who asked for it to be counted anew."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, String, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Model
from app.models.base import Id, Timestamp, now

# The triggers compare old and new, and PostgreSQL's plain JSON cannot be compared.
COMPARABLE = JSON().with_variant(JSONB(), "postgresql")


class Statistic(Model):
    """One part of the statistics, as it was counted last. `numbers` name posts and users by id alone: what is shown of
    them is read with the answer.
    """

    __tablename__ = "statistics"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    part: Mapped[str] = mapped_column(String(20), unique=True)
    numbers: Mapped[dict[str, Any]] = mapped_column(COMPARABLE)
    computed_at: Mapped[datetime] = mapped_column(Timestamp)


class StatisticsRefresh(Model):
    """The parts that are to be counted anew, and how far that is. `open` is true until its end, then NULL: of each
    scope one is under way at most. `attempts`: counted before each run; `error`: of the last that failed.
    """

    __tablename__ = "statistics_refreshes"
    __table_args__ = (
        UniqueConstraint("scope", "open"),
        CheckConstraint("scope IN ('all', 'expired')", name="scope"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    scope: Mapped[str] = mapped_column(String(10))
    open: Mapped[bool | None] = mapped_column(default=True)
    parts: Mapped[list[str]] = mapped_column(JSON)
    done: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(Timestamp, default=now)
    started_at: Mapped[datetime | None] = mapped_column(Timestamp)
    finished_at: Mapped[datetime | None] = mapped_column(Timestamp)
    error: Mapped[str | None] = mapped_column(Text)

    @property
    def total(self) -> int:
        """How many parts it has."""
        return len(self.parts)

    @property
    def status(self) -> str:
        """`queued`, `running`, `done` or `failed`."""
        if self.open:
            return "running" if self.started_at else "queued"
        return "done" if self.done == self.total else "failed"
