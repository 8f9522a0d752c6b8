"""PostgreSQL's generations in SQL: a slot's is its base XOR the tokens of its moves (for psycopg; Flask is not needed).

Folding XORs old moves into the bases, which changes no generation. `cache_upto` says how far that has gone: who has
seen the database when transactions below that were still under way cannot learn from moves alone what he missed.
"""

from __future__ import annotations

from typing import Any

import psycopg

FOLD_AT_MOST = 20_000
GENERATION = "base # coalesce((SELECT bit_xor(token) FROM cache_moves m WHERE m.slot = g.slot), 0)"
# A standby lags behind: it knows no generation.
READ = f"SELECT slot, {GENERATION} FROM cache_generations g WHERE slot = ANY(%s) AND NOT pg_is_in_recovery()"
# One statement, one snapshot, always a row. What makes a server another one than before: its start, its timeline.
_ASK = """SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin, upto::text::bigint AS upto,
        pg_is_in_recovery() AS standby, concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()),
        CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END) AS server,
        moved.slots, moved.generations
    FROM cache_upto LEFT JOIN LATERAL (
        SELECT array_agg(slot) AS slots, array_agg(%s) AS generations FROM %s) moved ON true"""
LOAD = _ASK % (GENERATION, "cache_generations g WHERE slot < %s")
# Of a slot that has moves but no base, the generation is NULL.
MOVED = _ASK % (
    GENERATION,
    "(SELECT DISTINCT slot FROM cache_moves WHERE xid >= %s::text::xid8 AND slot < %s) moved "
    "LEFT JOIN cache_generations g USING (slot)",
)
# One statement: whoever reads meanwhile sees the moves or the base that holds them, never both.
# No higher than what is over: the number may be another server's.
FOLD = f"""WITH below AS (SELECT least(%s::text::xid8, pg_snapshot_xmin(pg_current_snapshot())) AS xid),
    gone AS (DELETE FROM cache_moves WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM cache_moves WHERE xid < (SELECT xid FROM below) LIMIT {FOLD_AT_MOST}))
        RETURNING slot, token),
    folded AS (SELECT slot, bit_xor(token) AS token FROM gone GROUP BY slot),
    based AS (UPDATE cache_generations g SET base = g.base # f.token FROM folded f WHERE g.slot = f.slot)
    UPDATE cache_upto SET upto = below.xid FROM below WHERE upto < below.xid AND EXISTS (SELECT FROM gone)"""
LEFT = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, EXISTS (SELECT FROM cache_moves)"


def fold(connection: psycopg.Connection[Any], below: int | None) -> tuple[int | None, bool]:
    """Fold the moves of transactions below that; whoever comes while another folds leaves it to him.

    :param below: what the round before returned: who has asked since learns from moves what he missed. None: of all
        transactions that are over.
    :return: for the next round; and whether moves are left.
    """
    with connection.transaction():
        alone = connection.execute("SELECT pg_try_advisory_xact_lock(hashtext('cache_moves'))").fetchone()
        if alone and alone[0]:
            connection.execute(FOLD, (below,))
        horizon, left = connection.execute(LEFT).fetchone() or (None, True)
    return horizon, left
