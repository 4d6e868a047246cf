"""How rows of each table are found and removed, as data; a test holds that none is left out."""

from __future__ import annotations

from swarm_memory.backup.tables import OTHERS
from swarm_memory.lean import NamedTuple


class Erased(NamedTuple):
    """One table: the statement that reads its next rows, by how many of its columns they are
    ordered (0: all at once), what the columns are, and the statement that removes a row."""

    name: str
    page: str
    place: int
    columns: tuple[str, ...]
    erase: str


_ERASE = {
    "ops": "forget_op",
    "choices": "forget_choice",
    "outcomes": "forget_outcome",
    "relabels": "move_relabel_drop",
    "conflicts": "forget_conflict",
    "messages": "message_drop",
    "message_cursors": "forget_cursor",
    "facts": "forget_fact",
    "sessions": "forget_session",
    "session_agents": "forget_session_agent",
}
TABLES = (
    *(
        Erased(t.name, t.page, t.place, t.columns, _ERASE[t.name])
        for t in OTHERS
        if t.name in _ERASE
    ),
    Erased(
        "edits",
        "forget_edit_pages",
        0,
        ("swarm", "path", "worktree", "session_id", "agent_id", "branch", "agent", "tool"),
        "forget_edit",
    ),
    Erased(
        "touches",
        "forget_touch_pages",
        0,
        ("swarm", "at_ms", "path", "session_id", "agent_id", "agent"),
        "forget_touch",
    ),
    Erased(
        "samples", "forget_sample_pages", 0, ("swarm", "span", "at_ms", "body"), "forget_sample"
    ),
    Erased(
        "alerts",
        "forget_alert_pages",
        0,
        ("swarm", "alert_id", "rule", "subject", "text", "acknowledged_by"),
        "forget_alert",
    ),
    Erased(
        "injections",
        "forget_injection_pages",
        1,
        ("id", "swarm", "session_id", "agent_id", "agent", "kind", "item", "event"),
        "forget_injection",
    ),
    Erased(
        "handles",
        "forget_handle_pages",
        2,
        ("swarm", "number", "kind", "item"),
        "forget_handle",
    ),
)
ERASE = {table.name: table.erase for table in TABLES}
RUN_COLUMNS = ("swarm", "queue", "first", "receipt", "consumer", "session", "reason")
SEAT_COLUMNS = ("swarm", "name", "ticket", "owner", "session", "party", "reason", "pattern")
# These have ways of their own: see `store` and `dictionaries`.
OWN_WAY = (
    "records",
    "history",
    "events",
    "message_runs",
    "seats",
    "arms",
    "models",
    "usage",
    "dictionaries",
)
HOLD_NOTHING = {
    "meters": "names of verbs and of errors",
    "forecasts": "numbers that were learned from touches, and no names",
    "migrations": "belongs to the schema",
    "moved": "names of swarms and of stores",
    "routes": "names of swarms and of stores",
    "sqlite_sequence": "SQLite's own numbers",
}
