"""The fence around a swarm that has moved: triggers refuse to write any row of it.

They are made when the first swarm moves, and dropped when none is left that has, so a store of
which nothing moved pays nothing. They hold for every process, also for one that opened the store
before the move and knows nothing of it, and for versions of this code that never heard of moves.

What the upkeep of a whole store does stays allowed, so that the other swarms are not disturbed:
to prune events, and to add up counters.
"""

from __future__ import annotations

import json

from swarm_memory.errors import SwarmMovedError

MARK = "swarm moved: "  # how the triggers' message begins; the row of `moved` follows as JSON
WRITES = ("INSERT", "UPDATE", "DELETE")
FENCED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            "records", "ops", "choices", "outcomes", "relabels", "arms", "models", "conflicts",
            "dictionaries", "facts", "messages", "message_runs", "message_cursors", "seats",
            "sessions", "session_agents", "edits", "injections", "handles", "touches", "forecasts",
            "samples", "alerts",
        ),
        WRITES,
    ),
    **dict.fromkeys(("events", "history", "search_swarms"), ("INSERT", "UPDATE")),
}  # fmt: skip


def moved_error(message: str) -> SwarmMovedError | None:
    """Return the error that a message of the driver tells of; None if it tells of another."""
    _, mark, told = message.partition(MARK)
    if not mark:
        return None
    row, _ = json.JSONDecoder().raw_decode(told)
    return SwarmMovedError(row["swarm"], row["url"], state=row["state"], move=row["move_id"])


def sqlite_triggers(up: bool) -> list[str]:
    """Return the statements that make all triggers of a SQLite store, or drop them."""
    return [
        _sqlite_trigger(table, write) if up else f"DROP TRIGGER IF EXISTS moved_{table}_{write}"
        for table, writes in FENCED.items()
        for write in writes
    ]


def _sqlite_trigger(table: str, write: str) -> str:
    row = "old" if write == "DELETE" else "new"
    told = "json_object('swarm', swarm, 'url', url, 'state', state, 'move_id', move_id)"
    found = f"FROM moved WHERE swarm = {row}.swarm"
    return f"""CREATE TRIGGER IF NOT EXISTS moved_{table}_{write} BEFORE {write} ON {table}
        WHEN EXISTS (SELECT 1 {found})
        BEGIN SELECT RAISE(ABORT, (SELECT '{MARK}' || {told} {found})); END"""
