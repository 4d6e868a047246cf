"""Forgetting in the logs beside a store: lines that name it go."""

from __future__ import annotations

import os

from swarm_memory.exchange.lines import published

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.forgetting.target import Target

SUFFIXES = ("-hooks.log", "-hooks.log.1")  # of what the hooks could not do; see docs/hooks.md


def forget_in_logs(store: str, target: Target) -> int:
    """Remove the lines that name what is forgotten; return how many.

    A line that a hook adds at the same moment may be lost.
    """
    removed = 0
    for suffix in SUFFIXES:
        path = store + suffix
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.readlines()
        kept = [line for line in lines if not target.is_named_in(line)]
        if len(kept) < len(lines):
            with published(path) as new:
                new.write("".join(kept).encode("utf-8", "surrogateescape"))
            removed += len(lines) - len(kept)
    return removed
