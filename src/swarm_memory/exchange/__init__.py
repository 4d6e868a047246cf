"""Bringing memory in from other stores, and taking all of it out as one file.

    report = import_stores(swarm, ["~/project"])        # foreign stores and our own exports
    export_store(swarm, "memory.jsonl")

An import is idempotent: a second one finds everything unchanged and writes nothing.
"""

from __future__ import annotations

from swarm_memory.exchange.export import export_store
from swarm_memory.exchange.imports import import_stores
from swarm_memory.exchange.report import FileReport, ImportReport

__all__ = ["export_store", "import_stores", "FileReport", "ImportReport"]
