"""The command line: `swarm-memory VERB`.

Every verb parses its arguments, calls one verb of the facade and renders the result: as tables
for a person at a terminal, as plain tab-separated lines for a pipe, as JSON with `--json`.
"""

from __future__ import annotations

from swarm_memory.doors.cli import (
    agents,
    briefing,
    conflicts,
    coordination,
    doctor,
    exchange,
    forgetting,
    hook,
    learning,
    mcp,
    memories,
    monitor,
    optimize,
    records,
    search,
    serve,
    sessions,
    store,
    swarms,
    tuning,
    upkeep,
    wiring,
)
from swarm_memory.doors.cli.frame import app, main

PANELS = [
    store.PANEL,
    wiring.PANEL,
    records.PANEL,
    agents.AGENTS,
    learning.PANEL,
    coordination.PANEL,
    exchange.PANEL,
    upkeep.PANEL,
]
# Help lists the verbs in this order, what begins all first, and within a panel as they stand in
# their module.
app.registered_commands.sort(
    key=lambda command: (PANELS.index(str(command.rich_help_panel)), command.name != "init")
)

__all__ = [
    "app",
    "main",
    "agents",
    "briefing",
    "conflicts",
    "coordination",
    "doctor",
    "exchange",
    "forgetting",
    "hook",
    "learning",
    "mcp",
    "memories",
    "monitor",
    "optimize",
    "records",
    "search",
    "serve",
    "sessions",
    "store",
    "swarms",
    "tuning",
    "upkeep",
    "wiring",
]
