"""Overwriting what was deleted: SQLite keeps it in free pages, and in the log, until then."""

from __future__ import annotations

import os

import apsw

from swarm_memory.engine import sync
from swarm_memory.engine.connections import Connection
from swarm_memory.engine.faults import translated


def scrub(path: str, busy_timeout_s: float) -> bool:
    """Write the database at `path` anew without its free pages, and cut its log.

    Writers wait meanwhile, readers do not. False if somebody went on reading for
    `busy_timeout_s`, so that the log could not be cut.

    Raises:
        EngineUnavailableError, StorageFullError: It cannot be written.
    """
    file = os.path.realpath(path)
    with translated(file):
        connection = Connection(file, busy_timeout_s)
        try:
            connection.db.execute("VACUUM")
            connection.db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.BusyError:
            return False
        finally:
            connection.db.close()
    log = f"{file}-wal"
    return not os.path.exists(log) or os.stat(log).st_size == 0


def alone(path: str) -> bool:
    """Tell whether this process is the only one that has the database at `path` open.

    False where that cannot be told.
    """
    group = sync.joined(os.path.realpath(path))
    return group is not None and group.alone()
