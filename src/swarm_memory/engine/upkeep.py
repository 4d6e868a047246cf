"""Giving free pages of a SQLite file back, and statistics for its planner.

A file that is small is written anew by VACUUM: all of it is in order then, and others wait for
about a second. A large one is made so once that free pages can be given back later in small steps,
between which others write. Where writing it anew would keep others waiting for longer than they are
ready to, it is left to be asked for when it is quiet.
"""

from __future__ import annotations

import time

import apsw

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.engine.connections import Connection

FREE_RATIO = 0.2  # below that giving pages back costs more than it gives
SMALL_BYTES = 64 * 1024 * 1024
VACUUM_BYTES_PER_S = 50e6  # of what is in use; slow disks write so much
STEP_PAGES = 1024  # that are given back at once: others wait for milliseconds
PAUSE_S = 0.002  # between two steps: whoever waits for the lock looks again within that
WHATEVER_IT_TAKES_S = 86_400.0
INCREMENTAL = 2
ROWS_MIN = 500  # of a table before it matters how its statements are planned
PAGES_MAX = 20_000  # that are looked into: 80 MB, some 50 ms
# All tables whose statistics are stale, each from a sample; and only to tell which they are.
ANALYSE, ASKED = 0x10012, 0x00001


def wear(connection: Connection) -> dict[str, int]:
    """Return what there is to do; see `Engine.wear`."""
    return {
        "free_bytes": connection.number("freelist_count") * connection.number("page_size"),
        "slack_bytes": slack_bytes(connection),
        "dead_rows": 0,
        "stale_tables": stale_tables(connection.db),
        "wait_ms": round(1000 * vacuum_s(connection)),
    }


def vacuum_s(connection: Connection) -> float:
    """Return for how many seconds others would wait for a file that is written anew, at worst."""
    pages = connection.number("page_count") - connection.number("freelist_count")
    return pages * connection.number("page_size") / VACUUM_BYTES_PER_S


def give_back(connection: Connection, *, free_ratio: float, within_s: float) -> None:
    """Give free space back if it is more than `free_ratio` of the file.

    Args:
        within_s: Nothing is begun that keeps others waiting for longer, and no step after it.
    """
    free, pages = connection.number("freelist_count"), connection.number("page_count")
    size = connection.number("page_size")
    slack = slack_bytes(connection) // size
    if free + slack <= free_ratio * pages:
        return
    small = (pages - free) * size <= SMALL_BYTES
    stepwise = connection.number("auto_vacuum") == INCREMENTAL and slack <= free
    if stepwise and not small:
        _step_by_step(connection, time.monotonic() + within_s)
    elif small or vacuum_s(connection) <= within_s:
        if not small:
            connection.db.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")
        connection.db.execute("VACUUM")


def _step_by_step(connection: Connection, deadline_s: float) -> None:
    left = connection.number("freelist_count")
    while left and time.monotonic() < deadline_s:
        for _ in connection.db.execute(f"PRAGMA incremental_vacuum({STEP_PAGES})"):
            pass  # each row is a page
        before, left = left, connection.number("freelist_count")
        if left >= before:
            return  # somebody else uses them as fast
        time.sleep(PAUSE_S)


def analyse(connection: Connection) -> None:
    """Refresh the statistics of tables that have changed much since; each from a sample."""
    connection.db.execute(f"PRAGMA optimize({ANALYSE})")


def stale_tables(db: apsw.Connection) -> int:
    """Return how many tables of some size have statistics that do not fit them, or none."""
    stale = 0
    for (said,) in list(db.execute(f"PRAGMA optimize({ANALYSE | ASKED})")):
        head, _, table = str(said).partition('ANALYZE "main".')
        if head or not table:
            continue
        # An identifier, quoted by SQLite itself.
        rows = db.execute(f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {ROWS_MIN})")  # noqa: S608
        stale += rows.fetchall()[0][0] == ROWS_MIN
    return stale


def slack_bytes(connection: Connection) -> int:
    """Return about how many bytes are unused inside the pages that are in use.

    Values that were packed or removed leave room there, which no count of free pages shows. Of a
    large file the first pages of its tables speak for all. 0 where SQLite cannot tell.
    """
    if "ENABLE_DBSTAT_VTAB" not in apsw.compile_options:
        return 0
    pages = connection.number("page_count") - connection.number("freelist_count")
    rows = connection.db.execute(
        "SELECT coalesce(sum(unused), 0), coalesce(sum(pgsize), 0)"
        " FROM (SELECT unused, pgsize FROM dbstat LIMIT ?)",
        (PAGES_MAX,),
    )
    unused, size = (int(number) for number in rows.fetchall()[0])  # type: ignore[arg-type]
    used_bytes = pages * connection.number("page_size")
    return round(unused / size * used_bytes) if size else 0
