"""The triggers that move generations, made from the page: install, compare, rebase.

They run inside the writing transaction, whoever writes: so nothing has to be told, and a rollback moves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from sqlalchemy import Connection, PrimaryKeyConstraint, UniqueConstraint, bindparam, text

from app.caching import triggers_postgresql, triggers_sqlite
from app.caching.dependencies import FAMILIES, MAP, Stales
from app.extensions import db


@dataclass(frozen=True)
class Watched:
    """A table and its rules. `unique`: the sets of columns by which a REPLACE may push a row out."""

    table: str
    key: str
    rules: tuple[Stales, ...]
    unique: tuple[tuple[str, ...], ...]


def watched() -> list[Watched]:
    """Every table of the page."""
    tables = []
    for model, rules in MAP.items():
        table = db.metadata.tables[model.__tablename__]  # type: ignore[attr-defined]
        (key,) = (column.name for column in table.primary_key)
        unique = {tuple(column.name for column in index.columns) for index in table.indexes if index.unique}
        kinds = (UniqueConstraint, PrimaryKeyConstraint)
        unique |= {tuple(c.name for c in rule.columns) for rule in table.constraints if isinstance(rule, kinds)}
        tables.append(Watched(table.name, key, rules, tuple(sorted(unique))))
    return tables


def install(connection: Connection) -> None:
    """Make tables, slots and triggers as the page says; what is right already stays as it is."""
    backend = _backend(connection)
    for statement in backend.TABLES:
        connection.execute(text(statement))
    for family in FAMILIES:
        connection.execute(text(backend.FILL), {"low": family.slots[0], "high": family.slots[-1]})
    if backend.installed(connection) != backend.wanted(watched()):
        remove(connection)
        for table in watched():
            for statement in backend.create(table):
                connection.exec_driver_sql(statement)
        rebase(connection)  # what was written while they were missing moved nothing


def remove(connection: Connection) -> None:
    """Take all triggers away, as a step back does whose columns they speak of. While they miss, nothing is cached."""
    for statement in _backend(connection).remove(connection):
        connection.exec_driver_sql(statement)


def rebase(connection: Connection) -> None:
    """A new generation for every slot: all entries are stale."""
    for statement in _backend(connection).REBASE:
        connection.execute(text(statement))


def move(connection: Connection, slots: list[int]) -> None:
    """A new generation for these slots, as if something of theirs had changed."""
    statement = text(_backend(connection).MOVE).bindparams(bindparam("slots", expanding=True))
    connection.execute(statement, {"slots": slots})


def faults(connection: Connection) -> list[str]:
    """What differs between the page and the database, a line each; empty when all is well."""
    backend = _backend(connection)
    if missing := backend.missing_tables(connection):
        return [f"the table {name} is missing: flask db upgrade" for name in missing]
    installed, wanted = backend.installed(connection), backend.wanted(watched())
    lines = [f"the trigger {name} is missing" for name in wanted.keys() - installed.keys()]
    lines += [f"the trigger {name} is not of the page" for name in installed.keys() - wanted.keys()]
    lines += [
        f"the trigger {name} is not as the page says"
        for name in wanted.keys() & installed.keys()
        if wanted[name] != installed[name]
    ]
    slots = {slot for family in FAMILIES for slot in family.slots}
    known = set(connection.scalars(text("SELECT slot FROM cache_generations")))
    lines += [f"{len(slots - known)} slots are missing"] if slots - known else []
    return sorted(lines)


def _backend(connection: Connection) -> ModuleType:
    return triggers_sqlite if connection.dialect.name == "sqlite" else triggers_postgresql
