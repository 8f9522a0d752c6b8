"""The extensions, unbound: `create_app()` binds them. (`cache` is in `app.caching`, the only code that knows of it.)"""

from __future__ import annotations

import select
import sqlite3
import time
import warnings
from typing import TYPE_CHECKING, Any

import psycopg
from celery import Celery
from flask_bcrypt import Bcrypt
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, MetaData, event, make_url
from sqlalchemy.engine import Engine
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import Pool

with warnings.catch_warnings():
    # Our schemas are written by hand: the optional marshmallow-sqlalchemy is not missed.
    warnings.filterwarnings("ignore", message="Flask-SQLAlchemy integration requires")
    from flask_marshmallow import Marshmallow

BUSY_TIMEOUT_MS = 5000
TRUSTED_SECONDS = 0.5  # since its last use nobody asks a connection whether it is alive (HikariCP's aliveBypassWindow)
POSTGRESQL_OPTIONS = (
    "-c statement_timeout=5000 -c lock_timeout=2000 -c idle_in_transaction_session_timeout=10000 -c timezone=UTC"
)


class Base(DeclarativeBase):
    """Names every constraint, so that migrations and error messages can speak of it."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


# Nothing expires at commit: an answer shows what was written without asking again. `atomic()` expires all as it begins.
db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})
if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model  # made from Base while the module runs, so that type checkers cannot see it
ma = Marshmallow()
bcrypt = Bcrypt()
migrate = Migrate(render_as_batch=True, compare_type=True)
limiter = Limiter(get_remote_address)
celery = Celery("broadsheet")


def engine_options(url: str, threads: int) -> dict[str, Any]:
    """What Flask-SQLAlchemy passes to `create_engine`: bounded waits everywhere (seconds unless named otherwise)."""
    options = {"hide_parameters": True}  # else an error's text, which is logged, repeats people's data
    if make_url(url).get_backend_name() == "sqlite":
        return options | {"connect_args": {"timeout": BUSY_TIMEOUT_MS / 1000}, "pool_size": threads + 1}
    return options | {
        "pool_size": threads,
        "max_overflow": 1,
        "pool_timeout": 2,
        "connect_args": {"connect_timeout": 2, "tcp_user_timeout": 6000, "options": POSTGRESQL_OPTIONS},
    }


@event.listens_for(Engine, "connect")
def _prepare_sqlite(connection: Any, record: Any) -> None:
    if not isinstance(connection, sqlite3.Connection):
        return
    connection.isolation_level = None  # SQLAlchemy's `begin` below says which BEGIN
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    for pragma in ("foreign_keys=ON", "recursive_triggers=ON", "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


@event.listens_for(Pool, "checkin")
def _note_use(connection: Any, record: Any) -> None:
    record.info["used_at"] = time.monotonic()


@event.listens_for(Pool, "checkout")
def _ping(connection: Any, record: Any, proxy: Any) -> None:
    """What the server has ended meanwhile is replaced. `pool_pre_ping` asks it each time: a tenth of a request."""
    used_at = record.info.get("used_at")
    if used_at is None or not isinstance(connection, psycopg.Connection):
        return
    if time.monotonic() - used_at > TRUSTED_SECONDS or _has_word(connection):
        try:
            connection.execute("")
            connection.rollback()
        except psycopg.Error as error:
            raise InvalidatePoolError from error


def _has_word(connection: psycopg.Connection) -> bool:
    """Whether the server has said something since: mostly that it ends."""
    ear = select.poll()
    ear.register(connection, select.POLLIN)
    return bool(ear.poll(0))


@event.listens_for(Engine, "begin")
def _begin_sqlite(connection: Connection) -> None:
    """A reader that turns writer fails at once with «database is locked»: writers say so when they begin."""
    if connection.dialect.name == "sqlite":
        immediate = connection.get_execution_options().get("immediate")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
