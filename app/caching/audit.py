"""Which tables an answer was made from: so that nothing is kept whose change would not be noticed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Table, event
from sqlalchemy.engine import Engine
from sqlalchemy.sql import visitors

from app.caching.dependencies import families_moved_by
from app.caching.tags import Tag

UNKNOWN = "(text)"  # SQL that was not built from tables: nobody knows what it read
_speaks_of: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()  # SQLAlchemy compiles a statement once
_reading: ContextVar[set[str] | None] = ContextVar("reading", default=None)


@contextmanager
def tables_read() -> Iterator[set[str]]:
    """Collects the names of the tables that this thread's statements speak of."""
    tables: set[str] = set()
    token = _reading.set(tables)
    try:
        yield tables
    finally:
        _reading.reset(token)


@contextmanager
def aside() -> Iterator[None]:
    """What is asked in here is nothing that the answer is made from."""
    token = _reading.set(None)
    try:
        yield
    finally:
        _reading.reset(token)


def undeclared(tables: set[str], tags: tuple[Tag, ...]) -> list[str]:
    """The tables whose change would move none of the tags."""
    families = {tag.family for tag in tags}
    return sorted(table for table in tables if not families_moved_by(table) & families)


@event.listens_for(Engine, "before_cursor_execute")
def _note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool) -> None:
    tables = _reading.get()
    if tables is None or statement.startswith(("BEGIN", "SAVEPOINT", "RELEASE")):
        return
    compiled = context.compiled if context else None
    if compiled is None or compiled.statement is None:
        tables.add(UNKNOWN)
        return
    if compiled not in _speaks_of:
        # What the ORM has made of it: with the joins of relationships and the subqueries of column properties.
        expanded = getattr(compiled.compile_state, "statement", compiled.statement)
        found = {e.name for e in visitors.iterate(expanded) if isinstance(e, Table)}
        _speaks_of[compiled] = found or {UNKNOWN}
    tables |= _speaks_of[compiled]
