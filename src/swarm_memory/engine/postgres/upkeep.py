"""Cleaning the tables of a store: what the server's own autovacuum does sooner or later.

Nothing here keeps anybody from reading or writing. Space that is cleaned is used again by the same
table; it goes back to the file system where it lies at a table's end.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.engine.postgres.connections import Connection

WHATEVER_IT_TAKES_S = 86_400.0
STALE_RATIO = 0.2  # of a table's rows that changed since it was analysed; the server waits for 0.1
STALE_ROWS_MIN = 500


def wear(connection: Connection, namespace: str) -> dict[str, int]:
    """Return what the server has counted; see `Engine.wear`. It may lag a second behind."""
    row = connection.execute(
        "SELECT coalesce(sum(pg_total_relation_size(relid) * n_dead_tup"
        " / greatest(n_dead_tup + n_live_tup, 1)), 0)::bigint,"
        " coalesce(sum(n_dead_tup), 0)::bigint,"
        " count(*) FILTER (WHERE n_mod_since_analyze > greatest(%s, %s * n_live_tup))"
        " FROM pg_stat_user_tables WHERE schemaname = %s",
        (STALE_ROWS_MIN, STALE_RATIO, namespace),
    ).fetchone()
    free, dead, stale = row or (0, 0, 0)
    return {
        "free_bytes": free,
        "slack_bytes": 0,
        "dead_rows": dead,
        "stale_tables": stale,
        "wait_ms": 0,
    }


def analyse(connection: Connection, namespace: str) -> None:
    """Let the server look at a sample of every table."""
    for table in _tables(connection, namespace):
        connection.execute(f"ANALYZE {table}")


def vacuum(connection: Connection, namespace: str, within_s: float) -> None:
    """Clean and analyse table by table, and begin no further one after `within_s` seconds."""
    deadline_s = time.monotonic() + within_s
    for table in _tables(connection, namespace):
        if time.monotonic() >= deadline_s:
            return
        connection.execute(f"VACUUM (ANALYZE) {table}")


def _tables(connection: Connection, namespace: str) -> list[str]:
    rows = connection.execute(
        "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = %s::regnamespace"
        " AND relkind IN ('r', 'p') AND NOT relispartition",
        (namespace,),
    ).fetchall()
    return [str(row[0]) for row in rows]
