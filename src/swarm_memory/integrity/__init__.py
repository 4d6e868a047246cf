"""Looking for damage in a store, and saving what is left of a damaged one.

report = verify_store(swarm)          # reads everything once, changes nothing
repair_store("old.db", "new.db")      # writes what can be read into a new store
"""

from __future__ import annotations

from swarm_memory.integrity.verify import Finding, VerifyReport, verify_store

__all__ = ["Finding", "VerifyReport", "verify_store"]
