"""Saving what is left of a damaged store into a new one; the damaged one is not touched.

repaired = repair_store("old.db", "new.db")
for loss in repaired.losses: print(loss.key, loss.problem)
"""

from __future__ import annotations

from swarm_memory.repair.rebuilding import Repaired, repair_store
from swarm_memory.repair.salvaging import Loss

__all__ = ["Loss", "Repaired", "repair_store"]
