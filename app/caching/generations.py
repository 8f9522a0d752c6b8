"""What is current: the generations of slots, asked of the database at every hit (CACHE.md, direct mode).

Two sources, one interface: `read(slots)` gives the generation of each slot, at least as new as the moment of the call,
or None when that cannot be known, and then nothing may be served from a cache.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections import deque
from typing import Any, Protocol

import psycopg
from sqlalchemy.engine import URL

from app.caching import moves, wal_index
from app.extensions import BUSY_TIMEOUT_MS, POSTGRESQL_OPTIONS

log = logging.getLogger(__name__)
Generations = tuple[int, ...]
MOST_KNOWN = 20_000  # sets of slots
READ = b"broadsheet_generations"  # the name of the statement
AS_ARRAY = str.maketrans("[]", "{}", " ")
ONE_PLAN = f"{POSTGRESQL_OPTIONS} -c plan_cache_mode=force_generic_plan"  # a plan for each question costs more than it


class Source(Protocol):
    """Where generations come from."""

    def read(self, slots: tuple[int, ...]) -> Generations | None:
        """The present generations of the slots, in their order."""

    def fold(self) -> None:
        """Tidy up what reading would otherwise get slower by. No generation changes."""

    def settle(self) -> None:
        """Wait until `read()` shows whatever was committed before this call, to everybody on every host."""

    def fault(self) -> str | None:
        """One line on what keeps it from its best, with what to do; None: nothing."""

    def lease(self) -> dict[str, Any] | None:
        """How old what it trusts is, and whose; None: it trusts nothing that it has not just asked for."""

    def close(self) -> None:
        """Close the connections that nobody uses just now."""


class SQLiteSource:
    """Connections that never write and are in no transaction, each used by one thread at a time; and what was read
    under the present stamp of the WAL-index: as long as that stays, no process has committed anything.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._idle: deque[_SQLiteReader] = deque()
        self._pin: sqlite3.Connection | None = None
        self._index: wal_index.WALIndex | None = None
        self._known: tuple[bytes, dict[tuple[int, ...], Generations]] = (b"", {})
        self._opening = threading.Lock()

    def read(self, slots: tuple[int, ...]) -> Generations | None:
        """See `Source`."""
        stamp, known = self._known
        index = self._index
        if index is not None and index.stamp() == stamp:
            generations = known.get(slots)
            if generations is not None:
                return generations
        before = index.stamp() if index is not None else b""
        generations = self._ask(slots)
        if generations is not None:
            if index is None:
                self._open()
            elif index.stamp() == before:
                self._remember(before, slots, generations)
        return generations

    def fold(self) -> None:
        """See `Source`: there is nothing to tidy up."""

    def settle(self) -> None:
        """See `Source`: nobody trusts what is older than his own look."""

    def fault(self) -> str | None:
        """See `Source`."""
        return None

    def lease(self) -> dict[str, Any] | None:
        """See `Source`."""
        return None

    def close(self) -> None:
        """See `Source`."""
        while self._idle:
            self._idle.pop().connection.close()
        self._index = None
        if self._pin is not None:
            self._pin.close()
            self._pin = None

    def _remember(self, before: bytes, slots: tuple[int, ...], generations: Generations) -> None:
        """What was read while nobody committed."""
        stamp, known = self._known
        if stamp != before or len(known) >= MOST_KNOWN:
            known = {}
            self._known = (before, known)
        known[slots] = generations

    def _open(self) -> None:
        """Map the WAL-index, once, and hold it with a connection. Where there is none, every read asks SQLite."""
        with self._opening, contextlib.suppress(OSError, ValueError, sqlite3.Error):
            if self._pin is None:
                self._pin = _SQLiteReader(self._path).connection
                self._pin.execute("SELECT count(*) FROM sqlite_schema").fetchone()
                self._index = wal_index.of(self._path)

    def _ask(self, slots: tuple[int, ...]) -> Generations | None:
        reader = None
        try:
            try:
                reader = self._idle.pop()
            except IndexError:
                reader = _SQLiteReader(self._path)
            generations = reader.read(slots)
        except sqlite3.Error as error:
            log.warning("generations cannot be read: %s", error)
            if reader is not None:
                reader.connection.close()
            return None
        self._idle.append(reader)
        return generations


class _SQLiteReader:
    """A connection, and its question."""

    def __init__(self, path: str) -> None:
        timeout = BUSY_TIMEOUT_MS / 1000
        self.connection = sqlite3.connect(path, isolation_level=None, timeout=timeout, check_same_thread=False)
        self.connection.execute("PRAGMA query_only=ON")

    def read(self, slots: tuple[int, ...]) -> Generations | None:
        """See `Source`."""
        marks = ",".join("?" * len(slots))
        rows = self.connection.execute(f"SELECT * FROM cache_generations WHERE slot IN ({marks})", slots).fetchall()
        known = dict(rows)
        return tuple(known[slot] for slot in slots) if known.keys() >= set(slots) else None


class PostgreSQLSource:
    """Connections in autocommit, each used by one thread at a time, and one prepared statement."""

    def __init__(self, url: URL) -> None:
        self._dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._idle: deque[psycopg.Connection[Any]] = deque()
        self._fold_below: int | None = None

    def read(self, slots: tuple[int, ...]) -> Generations | None:
        """See `Source`. Connections that died while idle are thrown away; a new one that fails is the end."""
        while True:
            fresh, connection = False, None
            try:
                connection = self._idle.pop()
            except IndexError:
                fresh, connection = True, self._connect()
            if connection is None:
                return None
            try:
                generations = self._read(connection, slots)
            except psycopg.Error as error:
                connection.close()
                if fresh:
                    log.warning("generations cannot be read: %s", error)
                    return None
            else:
                self._idle.append(connection)
                return generations

    def close(self) -> None:
        """See `Source`."""
        while self._idle:
            self._idle.pop().close()

    def _read(self, connection: psycopg.Connection[Any], slots: tuple[int, ...]) -> Generations | None:
        """Straight through libpq: at each hit, cursor and rows would cost five times the rest."""
        wanted = str(list(slots)).translate(AS_ARRAY).encode()
        result = connection.pgconn.exec_prepared(READ, [wanted], None, 1)
        if result.status != psycopg.pq.ExecStatus.TUPLES_OK:
            raise psycopg.OperationalError(result.get_error_message())
        cells = [[result.get_value(row, column) or b"" for column in (0, 1)] for row in range(result.ntuples)]
        known = {int.from_bytes(slot, "big"): int.from_bytes(generation, "big") for slot, generation in cells}
        return tuple(known[slot] for slot in slots) if known.keys() >= set(slots) else None

    def fold(self) -> None:
        """See `Source`."""
        connection = self._connect()
        if connection is None:
            return
        try:
            with connection:
                self._fold_below, _ = moves.fold(connection, self._fold_below)
        except psycopg.Error as error:
            log.warning("moves cannot be folded: %s", error)

    def settle(self) -> None:
        """See `Source`: nobody trusts what is older than his own look."""

    def fault(self) -> str | None:
        """See `Source`."""
        return None

    def lease(self) -> dict[str, Any] | None:
        """See `Source`."""
        return None

    def _connect(self) -> psycopg.Connection[Any] | None:
        connection = None
        try:
            connection = psycopg.connect(
                self._dsn, autocommit=True, connect_timeout=2, tcp_user_timeout=2000, options=ONE_PLAN
            )
            connection.pgconn.prepare(READ, moves.READ.replace("%s", "$1").encode())
        except psycopg.Error as error:
            log.warning("generations cannot be read: %s", error)
            if connection is not None:
                connection.close()
            return None
        return connection


def source_for(url: URL) -> Source:
    """The source of the database at this address."""
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise ValueError("DATABASE_URL: SQLite must be a file, since other processes read its generations")
        return SQLiteSource(url.database)
    return PostgreSQLSource(url)
