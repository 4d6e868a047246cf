"""The command line: `swarm-memory VERB`.

Every verb parses its arguments, calls one verb of the facade and renders the result: as tables
for a person at a terminal, as plain tab-separated lines for a pipe, as JSON with `--json`.
"""

from __future__ import annotations

from swarm_memory.doors.cli import agents, records, store
from swarm_memory.doors.cli.frame import app, main

__all__ = ["app", "main", "agents", "records", "store"]
