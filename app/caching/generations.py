"""What is current: the generations of slots, asked of the database at every hit (CACHE.md, direct mode).

Two sources, one interface: `read(slots)` gives the generation of each slot, at least as new as the moment of the call,
or None when that cannot be known, and then nothing may be served from a cache.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from typing import Any, Protocol

import psycopg
from sqlalchemy.engine import URL

from app.extensions import BUSY_TIMEOUT_MS, POSTGRESQL_OPTIONS

log = logging.getLogger(__name__)
Generations = tuple[int, ...]
FOLD_FROM = 64  # moves met in one read, from which on it is worth folding
FOLD_AT_MOST = 10_000


class Source(Protocol):
    """Where generations come from."""

    def read(self, slots: tuple[int, ...]) -> Generations | None:
        """The present generations of the slots, in their order."""


class SQLiteSource:
    """A connection for each thread that never writes and is in no transaction.

    `PRAGMA data_version` is unchanged as long as nobody else, in any process, has committed; what was read under it
    needs no second look.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._own = threading.local()

    def read(self, slots: tuple[int, ...]) -> Generations | None:
        """See `Source`."""
        try:
            return self._read(slots)
        except sqlite3.Error as error:
            log.warning("generations cannot be read: %s", error)
            self._own.__dict__.clear()
            return None

    def _read(self, slots: tuple[int, ...]) -> Generations | None:
        own = self._own.__dict__
        if "connection" not in own:
            own.update(connection=self._connect(), version=None, known={})
        version = own["connection"].execute("PRAGMA data_version").fetchone()[0]
        if version != own["version"]:
            own.update(version=version, known={})
        known: dict[int, int] = own["known"]
        unknown = [slot for slot in slots if slot not in known]
        if unknown:
            marks = ",".join("?" * len(unknown))
            rows = own["connection"].execute(f"SELECT * FROM cache_generations WHERE slot IN ({marks})", unknown)
            known.update(rows.fetchall())
        if any(slot not in known for slot in unknown):
            return None
        return tuple(known[slot] for slot in slots)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000)
        connection.execute("PRAGMA query_only=ON")
        return connection


class PostgreSQLSource:
    """A connection for each thread, in autocommit, and one prepared statement."""

    READ = """SELECT g.slot, g.base # coalesce(bit_xor(m.token), 0), count(m.token)
        FROM cache_generations g LEFT JOIN cache_moves m ON m.slot = g.slot
        WHERE g.slot = ANY(%s) GROUP BY g.slot"""
    # One statement, one snapshot: whoever reads meanwhile sees the moves or the base that holds them, never both.
    FOLD = """WITH gone AS (DELETE FROM cache_moves WHERE ctid = ANY(ARRAY(SELECT ctid FROM cache_moves LIMIT %s))
            RETURNING slot, token), folded AS (SELECT slot, bit_xor(token) AS token FROM gone GROUP BY slot)
        UPDATE cache_generations g SET base = g.base # f.token FROM folded f WHERE g.slot = f.slot"""

    def __init__(self, url: URL) -> None:
        self._dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._own = threading.local()

    def read(self, slots: tuple[int, ...]) -> Generations | None:
        """See `Source`. A connection that has died is made anew once."""
        for _ in range(2):
            reused = hasattr(self._own, "connection")
            try:
                return self._read(slots)
            except psycopg.Error as error:
                if hasattr(self._own, "connection"):
                    self._own.connection.close()
                    del self._own.connection
                if not reused:
                    log.warning("generations cannot be read: %s", error)
                    break
        return None

    def _read(self, slots: tuple[int, ...]) -> Generations | None:
        if not hasattr(self._own, "connection"):
            self._own.connection = self._connect()
        rows = self._own.connection.execute(self.READ, (list(slots),), prepare=True).fetchall()
        if len(rows) != len(slots):
            return None
        if sum(moves for _, _, moves in rows) >= FOLD_FROM:
            self._fold()
        known = {slot: generation for slot, generation, _ in rows}
        return tuple(known[slot] for slot in slots)

    def _fold(self) -> None:
        """XOR old moves into the base: no generation changes. One process at a time; the others go on."""
        connection = self._own.connection
        with connection.transaction():
            if connection.execute("SELECT pg_try_advisory_xact_lock(hashtext('cache_moves'))").fetchone()[0]:
                connection.execute(self.FOLD, (FOLD_AT_MOST,))

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            self._dsn, autocommit=True, connect_timeout=2, tcp_user_timeout=2000, options=POSTGRESQL_OPTIONS
        )


def source_for(url: URL) -> Source:
    """The source of the database at this address."""
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise ValueError("DATABASE_URL: SQLite must be a file, since other processes read its generations")
        return SQLiteSource(url.database)
    return PostgreSQLSource(url)
