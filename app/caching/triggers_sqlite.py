"""SQLite: a trigger for each row gives new generations directly (there is one writer at a time anyway)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

if TYPE_CHECKING:
    from app.caching.dependencies import Stales
    from app.caching.triggers import Watched

RANDOM = "random() & 0x7FFFFFFFFFFFFFFF"
TABLES = ("CREATE TABLE IF NOT EXISTS cache_generations (slot INTEGER PRIMARY KEY, generation INTEGER NOT NULL)",)
FILL = f"""WITH RECURSIVE missing(slot) AS (SELECT :low UNION ALL SELECT slot + 1 FROM missing WHERE slot < :high)
    INSERT OR IGNORE INTO cache_generations SELECT slot, {RANDOM} FROM missing"""
REBASE = (f"UPDATE cache_generations SET generation = {RANDOM}",)

MOVE = f"UPDATE cache_generations SET generation = {RANDOM} WHERE slot IN :slots"


def missing_tables(connection: Connection) -> list[str]:
    """The cache's tables that are not there."""
    found = connection.scalar(text("SELECT count(*) FROM sqlite_master WHERE name = 'cache_generations'"))
    return [] if found else ["cache_generations"]


def installed(connection: Connection) -> dict[str, str]:
    """Trigger name -> its text, as the database keeps it."""
    rows = connection.execute(
        text("SELECT name, sql AS body FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'cache\\_%' ESCAPE '\\'")
    )
    return {row.name: row.body for row in rows}


def wanted(tables: list[Watched]) -> dict[str, str]:
    """Trigger name -> its text, by the page."""
    return {statement.split()[2]: statement for table in tables for statement in create(table)}


def remove(connection: Connection) -> list[str]:
    """The statements that drop what is installed."""
    return [f"DROP TRIGGER {name}" for name in installed(connection)]


def create(table: Watched) -> list[str]:
    """The statements that make the triggers of one table.

    The two BEFORE triggers are for writers without `recursive_triggers` (the `sqlite3` shell): REPLACE pushes rows out
    and fires no delete trigger for them.
    """
    itself = f" AND {table.key} IS NOT OLD.{table.key}"
    statements = [
        _trigger(table, "insert", f"AFTER INSERT ON {table.table}", [_move(r, "NEW") for r in table.rules]),
        _trigger(table, "delete", f"AFTER DELETE ON {table.table}", [_move(r, "OLD") for r in table.rules]),
        _trigger(table, "replace", f"BEFORE INSERT ON {table.table}", _pushed_out(table)),
        _trigger(table, "update_replace", f"BEFORE UPDATE ON {table.table}", _pushed_out(table, itself)),
    ]
    for number, rule in enumerate(table.rules):
        columns = sorted({*rule.when, table.key} | ({rule.by} if rule.by else set()))
        changed = " OR ".join(f"OLD.{c} IS NOT NEW.{c}" for c in columns)
        moves = [_move(rule, "NEW"), _move(rule, "OLD")] if rule.by else [_move(rule, "NEW")]
        head = f"AFTER UPDATE OF {', '.join(columns)} ON {table.table} WHEN {changed}"
        statements.append(_trigger(table, f"update_{number}", head, moves))
    return statements


def _trigger(table: Watched, event: str, head: str, moves: list[str]) -> str:
    return f"CREATE TRIGGER cache_{table.table}_{event} {head} BEGIN {' '.join(f'{m};' for m in moves)} END"


def _slot(rule: Stales, column: str) -> str:
    return f"{rule.family.slot + 1} + {column} % {rule.family.size}" if rule.by else str(rule.family.slot)


def _move(rule: Stales, row: str) -> str:
    """Without a row of that slot (a NULL foreign key) nothing moves."""
    return f"UPDATE cache_generations SET generation = {RANDOM} WHERE slot = {_slot(rule, f'{row}.{rule.by}')}"


def _pushed_out(table: Watched, but: str = "") -> list[str]:
    """Move the slots of every other row that stands in the new one's way."""
    same = " OR ".join("(" + " AND ".join(f"{c} = NEW.{c}" for c in columns) + ")" for columns in table.unique)
    others = f"FROM {table.table} WHERE ({same}){but}"
    return [
        f"UPDATE cache_generations SET generation = {RANDOM} "
        f"WHERE slot IN (SELECT {_slot(rule, str(rule.by))} {others})"
        for rule in table.rules
    ]
