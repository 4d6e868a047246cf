"""Reading foreign stores: files of claude-flow, ruflo and the original Python store, as items.

    for candidate in discover(["~/projects"]):
        reading = read_store(candidate.path, now_ms=clock.now_ms())
        for item in reading.items():
            ...
        print(reading.tables, reading.notes)

What a file is comes from its content, never from its name. Nothing is ever written beside a
foreign file or into it. See `items` for keys, `operations` for what counts as telemetry,
`claude_flow` and `json_stores` for the variants, `values` for values and times.
"""

from __future__ import annotations

from swarm_memory.importers.items import Item, Reading, TableReport, default_source
from swarm_memory.importers.operations import MEMORY, TELEMETRY
from swarm_memory.importers.sources import Candidate, discover, read_store

__all__ = [
    "discover",
    "read_store",
    "default_source",
    "Candidate",
    "Item",
    "Reading",
    "TableReport",
    "MEMORY",
    "TELEMETRY",
]
