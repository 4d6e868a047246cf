"""What of a foreign store is operations and not memory, as data.

claude-flow's hooks write many rows about what they did (each command, each edit, each counter)
beside the few that somebody wanted to remember. Such a row is *telemetry*: it is kept, outside
listings, search and quotas unless asked for.

- telemetry: namespaces `hooks:*`, `performance*`, `command-*`, `file-history`, `session-*`
- telemetry: namespaces `task-index`, `agent-roster`, `search-cache`, `metrics`,
  `neural-training`, and `agent-assignments`, a cache that lives for an hour
- telemetry: `edit-context:*` in the namespace `coordination`, one row for each edit
- telemetry: in v3 also the namespaces `feedback`, `commands`, `notifications`, `causal-edges`
- telemetry: tables that log, measure or describe the store itself (`OPERATION_TABLES`)
- memory: everything else, such as `default`, `coordination`, `agents`, `swarms`, `tasks`,
  `sessions` (what was done in a session, one row each), `system`, and every namespace of the
  user's own
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from swarm_memory.lean import lru_cache

MEMORY, TELEMETRY = "memory", "telemetry"

# (variant, namespace, key), each a glob; rows that match none are memories.
OPERATION_ROWS: tuple[tuple[str, str, str], ...] = (
    ("*", "hooks:*", "*"),
    ("*", "performance*", "*"),
    ("*", "command-*", "*"),
    ("*", "file-history", "*"),
    ("*", "session-*", "*"),
    ("*", "task-index", "*"),
    ("*", "agent-roster", "*"),
    ("*", "agent-assignments", "*"),
    ("*", "search-cache", "*"),
    ("*", "metrics", "*"),
    ("*", "neural-training", "*"),
    ("*", "coordination", "edit-context:*"),
    ("R3*", "feedback", "*"),
    ("R3*", "commands", "*"),
    ("R3*", "notifications", "*"),
    ("R3*", "causal-edges", "*"),
)

OPERATION_TABLES: tuple[str, ...] = (
    "session_logs",
    "memory_operations",
    "memory_access_log",
    "memory_scores",
    "metrics_log",
    "mcp_tool_usage",
    "performance_*",  # metrics, benchmarks, baselines
    "model_performance_tracking",
    "feedback_metrics",
    "consolidation_runs",
    "vector_indexes",
    "migration_state",
    "metadata",
    "document",  # the settings and counters around the lists of a JSON store
)


@lru_cache(maxsize=1024)
def kind_of_namespace(variant: str, namespace: str) -> str | None:
    """Return the kind of a namespace's rows, None where it depends on their keys."""
    matching = [
        key
        for in_variant, in_namespace, key in OPERATION_ROWS
        if fnmatchcase(variant, in_variant) and fnmatchcase(namespace, in_namespace)
    ]
    if not matching:
        return MEMORY
    return TELEMETRY if "*" in matching else None


def kind_of_row(variant: str, namespace: str, key: str) -> str:
    """Return whether a row of a table of memories is "memory" or "telemetry"."""
    kind = kind_of_namespace(variant, namespace)
    if kind is not None:
        return kind
    matches = any(
        fnmatchcase(variant, in_variant)
        and fnmatchcase(namespace, in_namespace)
        and fnmatchcase(key, in_key)
        for in_variant, in_namespace, in_key in OPERATION_ROWS
    )
    return TELEMETRY if matches else MEMORY


def kind_of_table(table: str) -> str:
    """Return whether the rows of any other table are "memory" or "telemetry"."""
    known = any(fnmatchcase(table, pattern) for pattern in OPERATION_TABLES)
    return TELEMETRY if known else MEMORY
