"""What the tables share: column types and the constraint that bounds a text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Dialect, Integer, TypeDecorator

# SQLite gives ids of its own only to INTEGER keys; both hold 64 bits.
Id = BigInteger().with_variant(Integer(), "sqlite")


class Timestamp(TypeDecorator[datetime]):
    """An instant in UTC, with its zone in Python on both databases (SQLite keeps none)."""

    impl = DateTime(timezone=True)
    cache_ok = True
    python_type = datetime

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database: in UTC."""
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """From the database: with its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def now() -> datetime:
    """The present instant, in UTC."""
    return datetime.now(UTC)


def written(at: datetime | None) -> str | None:
    """As answers and webhooks have it: RFC 3339 in UTC with microseconds and `Z`."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z") if at else None


def bounded(column: str, length: int) -> CheckConstraint:
    """The column's length in characters, held by the database as well (SQLite ignores VARCHAR's)."""
    return CheckConstraint(f"length({column}) <= {length}", name=f"{column}_length")
