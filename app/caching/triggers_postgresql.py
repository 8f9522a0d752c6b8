"""PostgreSQL: a statement trigger for each event appends moves; nobody waits for another writer of the same tag.

The generation of a slot is its base XOR the tokens of its moves: XOR commutes, so the order of commits does not matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

if TYPE_CHECKING:
    from app.caching.dependencies import Stales
    from app.caching.triggers import Watched

MANY = 50  # more members than this in one statement: the family's own slot moves in their stead
TOKEN = "((random() * 2147483648)::bigint << 32 | (random() * 4294967296)::bigint) & 9223372036854775807"
TABLES = (
    "CREATE TABLE IF NOT EXISTS cache_generations (slot integer PRIMARY KEY, base bigint NOT NULL)",
    """CREATE TABLE IF NOT EXISTS cache_moves
        (xid xid8 NOT NULL DEFAULT pg_current_xact_id(), slot integer NOT NULL, token bigint NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS ix_cache_moves_slot ON cache_moves (slot)",
    "CREATE INDEX IF NOT EXISTS ix_cache_moves_xid ON cache_moves (xid)",
    "CREATE TABLE IF NOT EXISTS cache_upto (one boolean PRIMARY KEY DEFAULT true CHECK (one), upto xid8 NOT NULL)",
    "INSERT INTO cache_upto (upto) VALUES ('0') ON CONFLICT DO NOTHING",
)
FILL = f"""INSERT INTO cache_generations
    SELECT slot, {TOKEN} FROM generate_series(CAST(:low AS integer), CAST(:high AS integer)) AS slot
    ON CONFLICT DO NOTHING"""
REBASE = (
    "SELECT pg_advisory_xact_lock(hashtext('cache_moves'))",  # nobody folds meanwhile
    "DELETE FROM cache_moves",  # those from a dump have the numbers of another server's transactions
    f"UPDATE cache_generations SET base = {TOKEN}",
    # Above whatever anyone has asked with who has not seen this transaction: all load everything.
    "UPDATE cache_upto SET upto = (pg_current_xact_id()::text::bigint + 1)::text::xid8",
)
MOVE = f"INSERT INTO cache_moves (slot, token) SELECT slot, {TOKEN} FROM cache_generations WHERE slot IN :slots"
EVENTS = {
    "insert": "REFERENCING NEW TABLE AS present",
    "update": "REFERENCING OLD TABLE AS former NEW TABLE AS present",
    "delete": "REFERENCING OLD TABLE AS former",
    "truncate": "",
}


def missing_tables(connection: Connection) -> list[str]:
    """The cache's tables that are not there."""
    names = ("cache_generations", "cache_moves", "cache_upto")
    return [n for n in names if connection.scalar(text("SELECT to_regclass(:name)"), {"name": n}) is None]


def installed(connection: Connection) -> dict[str, str]:
    """Trigger name -> its function's body; of one that does not fire for replicated rows too, its state instead."""
    rows = connection.execute(
        text(
            """SELECT t.tgname AS name,
                CASE t.tgenabled WHEN 'A' THEN f.prosrc ELSE concat('enabled: ', t.tgenabled) END AS body
            FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid JOIN pg_class c ON c.oid = t.tgrelid
            WHERE NOT t.tgisinternal AND t.tgname LIKE 'cache\\_%' AND pg_table_is_visible(c.oid)"""
        )
    )
    return {row.name: row.body for row in rows}


def wanted(tables: list[Watched]) -> dict[str, str]:
    """Trigger name -> its function's body, by the page."""
    return {f"cache_{table.table}_{event}": _body(table, event) for table in tables for event in EVENTS}


def remove(connection: Connection) -> list[str]:
    """The statements that drop what is installed."""
    return [f"DROP FUNCTION {name} CASCADE" for name in installed(connection)]


def create(table: Watched) -> list[str]:
    """The statements that make the triggers of one table."""
    statements = []
    for event, transition in EVENTS.items():
        name = f"cache_{table.table}_{event}"
        statements += [
            # SECURITY DEFINER: who may write the table need have no right to ours.
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
            f"SET search_path FROM CURRENT AS $${_body(table, event)}$$",
            f"CREATE TRIGGER {name} AFTER {event.upper()} ON {table.table} {transition} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {name}()",
            f"ALTER TABLE {table.table} ENABLE ALWAYS TRIGGER {name}",
        ]
    return statements


def _body(table: Watched, event: str) -> str:
    moved = " UNION ".join(_slots(rule, table.key, event) for rule in table.rules)
    return f"BEGIN INSERT INTO cache_moves (slot, token) SELECT slot, {TOKEN} FROM ({moved}) moved; RETURN NULL; END"


def _slots(rule: Stales, key: str, event: str) -> str:
    """A query for the slots that the rule moves."""
    if event == "truncate":
        return f"SELECT {rule.family.slot} AS slot"
    rows, values = _rows(rule, key, event)
    if rule.by is None:
        return f"SELECT {rule.family.slot} AS slot WHERE EXISTS (SELECT 1 FROM {rows})"
    # A modulo before the cast: ids have 64 bits, slots have 32. A NULL foreign key has no slot.
    member = f"({rule.family.slot + 1} + mod(member, {rule.family.size}))::integer"
    few = (
        f"SELECT DISTINCT {member} AS slot FROM (SELECT unnest(ARRAY[{values}]) AS member FROM {rows}) members "
        "WHERE member IS NOT NULL"
    )
    return f"SELECT CASE WHEN count(*) OVER () > {MANY} THEN {rule.family.slot} ELSE slot END AS slot FROM ({few}) few"


def _rows(rule: Stales, key: str, event: str) -> tuple[str, str]:
    """The changed rows, and the member columns in them: old and new, since a foreign key may move."""
    if event == "insert":
        return "present", f"present.{rule.by}"
    if event == "delete":
        return "former", f"former.{rule.by}"
    columns = sorted({*rule.when, key} | ({rule.by} if rule.by else set()))
    before, after = (", ".join(f"{side}.{c}" for c in columns) for side in ("former", "present"))
    changed = (
        f"former FULL JOIN present ON former.{key} = present.{key} WHERE ROW({before}) IS DISTINCT FROM ROW({after})"
    )
    return changed, f"former.{rule.by}, present.{rule.by}"
