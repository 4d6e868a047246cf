"""Backups: the whole store in one file, consistent while everybody writes, restored for real.

write_backup(swarm, "backups/")                     # a full one
write_backup(swarm, "backups/", incremental=True)   # what changed since
verify_backup("backups/….jsonl.zst")
restore_backup(swarm, "backups/….jsonl.zst", replace=True)
"""

from __future__ import annotations

from swarm_memory.backup.checking import verify_backup
from swarm_memory.backup.manifest import backups_in, read_manifest
from swarm_memory.backup.restoring import Restored, restore_backup, restore_new
from swarm_memory.backup.schedule import (
    backup_folder,
    backups_due,
    prune_backups,
    run_due,
)
from swarm_memory.backup.writing import Backup, write_backup

__all__ = [
    "write_backup",
    "restore_backup",
    "restore_new",
    "verify_backup",
    "backups_in",
    "read_manifest",
    "backup_folder",
    "backups_due",
    "prune_backups",
    "run_due",
    "Backup",
    "Restored",
]
