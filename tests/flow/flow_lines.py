"""The command, and the lines that hooks of real users were called with."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from swarm_memory.importers import discover, read_store

COMMAND = str(Path(sys.executable).with_name("swarm-memory"))
REPOSITORY = Path(__file__).parents[2]
STORES = Path(
    os.environ.get("REAL_STORES") or REPOSITORY.parent.joinpath("shared", "data", "stores")
)
# Which columns of a row that a hook of claude-flow wrote were options of its call.
OPTIONS = {
    "hooks:pre-task": ("pre-task", {"description": "description", "taskId": "task-id"}),
    "hooks:post-task": ("post-task", {"taskId": "task-id"}),
    "hooks:pre-edit": ("pre-edit", {"file": "file", "operation": "operation"}),
    "hooks:post-edit": ("post-edit", {"file": "file", "memoryKey": "memory-key"}),
    "hooks:pre-bash": ("pre-bash", {"command": "command"}),
    "hooks:post-bash": (
        "post-bash",
        {"command": "command", "exitCode": "exit-code", "output": "output"},
    ),
    "hooks:notify": ("notify", {"message": "message", "level": "level"}),
}


def lines_of(store, limit):
    """Yield up to `limit` calls of hooks, as words, that the rows of a store tell of."""
    found = 0
    for candidate in discover([store]):
        for item in read_store(candidate.path, now_ms=1_800_000_000_000).items():
            known = OPTIONS.get(item.provenance.get("namespace"))
            if known is None or not isinstance(item.value, dict) or found == limit:
                continue
            hook, columns = known
            words = [hook]
            for column, option in columns.items():
                value = item.value.get(column)
                if isinstance(value, str):
                    words += [f"--{option}", value]
                elif value is True:
                    words.append(f"--{option}")
            found += 1
            yield words
