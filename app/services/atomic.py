"""The only code that commits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc
from sqlalchemy.orm import exc as orm_exc

from app.errors import Conflict, TryAgain
from app.extensions import db
from app.services import nudges

# deadlock, serialisation failure, lock not available (PostgreSQL, appendix A)
TRANSIENT = {"40P01", "40001", "55P03"}
STATE, OPEN, FAILED = "atomic", "open", "failed"  # in `Session.info`, while an atomic() is open


@contextmanager
def atomic() -> Iterator[None]:
    """All or nothing. Nested, it joins the outermost, which alone commits; an error within ends that too, even caught.

    The outermost ends the transaction in which the guard has read and begins anew: what was read before is read again
    inside (so policies judge the present), and SQLite takes its write lock at BEGIN.

    :raises Conflict: a constraint of the database was broken.
    :raises TryAgain: two writers met; nothing was written and the whole handler may run once more.
    """
    session = db.session()
    if STATE in session.info:
        try:
            with _translated():
                yield
                session.flush()
        except BaseException:
            session.info[STATE] = FAILED
            raise
        return
    if session.new or session.dirty or session.deleted:
        raise RuntimeError("changes were made outside atomic()")
    session.rollback()
    session.expire_all()  # after a commit no transaction is open, and that expires nothing
    session.info[STATE] = OPEN
    try:
        with _translated():
            session.connection(execution_options={"immediate": True})
            yield
            if session.info[STATE] == FAILED:
                raise RuntimeError("the error of an atomic() within was caught: half of it would be kept")
            session.commit()
        nudges.committed()
    except BaseException:
        session.rollback()
        raise
    finally:
        session.info.pop(STATE)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except exc.IntegrityError as error:
        raise Conflict(constraint=_constraint(error)) from error
    except (orm_exc.ObjectDeletedError, orm_exc.StaleDataError) as error:  # deleted by someone since we read it
        raise TryAgain from error
    except exc.OperationalError as error:
        if getattr(error.orig, "sqlstate", None) in TRANSIENT:
            raise TryAgain from error
        raise


def _constraint(error: exc.IntegrityError) -> str:
    """The broken constraint's name on PostgreSQL; on SQLite the text that lists its columns (`users.username_key`)."""
    diagnosis = getattr(error.orig, "diag", None)
    return (diagnosis.constraint_name if diagnosis else None) or str(error.orig)


def begin_read() -> None:
    """On PostgreSQL, let the statements to come be in no transaction: each sees the present, as in READ COMMITTED, and
    two round trips are spared. (SQLite's BEGIN costs nothing, and gives one snapshot.)
    """
    if db.engine.dialect.name == "postgresql":
        db.session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})


def end_read() -> None:
    """End the present read transaction, keeping no row of it; inside `atomic()` it does nothing."""
    session = db.session()
    if STATE not in session.info:
        session.rollback()
