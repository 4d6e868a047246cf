"""Which foreign store a file is, and what its tables and columns mean, as data.

SQLite stores are told apart by their columns (`variant_of`), never by file or table names alone:
shared table names have different shapes.

| variant | store | times |
|---|---|---|
| A, A2, B | claude-flow 2, with extra tables, with ReasoningBank | seconds; B's others UTC text |
| H1, H2, H3 | hive-mind | UTC text |
| M | hive-mind memory | milliseconds |
| R3, R3a | ruflo 3, with agentdb | milliseconds; agentdb's seconds |
| S | the original Python store | UTC text; expires_at in the zone of the machine that wrote it |
"""

from __future__ import annotations

from swarm_memory.importers.values import MILLISECONDS, SECONDS
from swarm_memory.lean import NamedTuple

CREATED = (
    "created_at",
    "createdAt",
    "timestamp",
    "ts",
    "started_at",
    "learned_at",
    "computed_at",
    "accessed_at",
    "executed_at",
    "last_activity",
    "last_seen",
    "last_updated",
)
UPDATED = (
    "updated_at",
    "updatedAt",
    "completed_at",
    "ended_at",
    "last_updated",
    "last_activity",
    "last_seen",
)
AUTHORS = (
    "owner_id",
    "agent_name",
    "created_by",
    "source_agent_id",
    "sender_id",
    "source_agent",
    "agent_id",
)
# The tables whose integer times are milliseconds; all others count seconds.
MILLISECOND_TABLES = {
    "R3": {
        "memory_entries",
        "patterns",
        "pattern_history",
        "trajectories",
        "trajectory_steps",
        "migration_state",
        "sessions",
        "vector_indexes",
        "metadata",
    },
}
MILLISECOND_TABLES["R3a"] = MILLISECOND_TABLES["R3"]


class Shape(NamedTuple):
    """The columns of a table of memories: `namespace` None where keys are paths of their own."""

    table: str
    namespace: str | None
    key: str
    value: str


_V2 = Shape("memory_entries", "namespace", "key", "value")
_R3 = Shape("memory_entries", "namespace", "key", "content")
SHAPES: dict[str, Shape] = {
    "A": _V2,
    "A2": _V2,
    "B": _V2,
    "R3": _R3,
    "R3a": _R3,
    "S": Shape("memory_entries", None, "memory_key", "compressed_data"),
}
# Tables that mean the same in whatever variant they occur.
COMMON_SHAPES: tuple[Shape, ...] = (
    Shape("collective_memory", "swarm_id", "key", "value"),
    Shape("memories", "namespace", "key", "value"),
)


def shape_of(variant: str, table: str, columns: set[str]) -> Shape | None:
    """Return the shape of a table of memories, None for any other table."""
    for shape in (SHAPES.get(variant), *COMMON_SHAPES):
        if shape is not None and shape.table == table:
            return (
                shape if {shape.namespace or shape.key, shape.key, shape.value} <= columns else None
            )
    return None


def unit_of(variant: str, table: str) -> str:
    """Return the unit of a table's integer times."""
    if table == "memories" or table in MILLISECOND_TABLES.get(variant, ()):
        return MILLISECONDS
    return SECONDS


def variant_of(tables: dict[str, set[str]]) -> str | None:
    """Return which variant a database is, by its tables and their columns; None if foreign."""
    entries = tables.get("memory_entries", set())
    if {"memory_key", "compressed_data"} <= entries:
        return "S"
    if {"key", "content", "namespace"} <= entries:
        return "R3a" if "episodes" in tables else "R3"
    if {"key", "value", "namespace"} <= entries:
        if "pattern_data" in tables.get("patterns", set()):
            return "B"
        return "A2" if "session_state" in tables else "A"
    if {"namespace", "key", "value"} <= tables.get("memories", set()):
        return "M"
    if "swarm_id" in tables.get("knowledge_base", set()) and "swarms" in tables:
        return "H3"
    if {"swarm_id", "key", "value"} <= tables.get("collective_memory", set()):
        return "H2"
    if {"swarms", "messages"} <= tables.keys() and "swarm_id" in tables.get("agents", set()):
        return "H1"
    return "R3a" if {"episodes", "skills"} <= tables.keys() else None


def format_of(variant: str) -> str:
    """Return the name of a variant's format, as items carry it."""
    return f"python/{variant}" if variant == "S" else f"claude-flow/{variant}"
