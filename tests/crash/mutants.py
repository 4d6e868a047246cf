"""Planted faults: each breaks one rule of durable writing, in the process that calls `plant`.

The simulator must find every one of them; one that it does not find shows that the simulator is
blind there.
"""

from swarm_memory.engine import sqlite


def log_is_not_synced(journal, vfs):
    """SQLite asks for a sync of the log, and the system does nothing."""
    vfs.sync_of = lambda name: not name.endswith("-wal")


def full_is_normal(journal, vfs):
    """A commit that is not synced is acknowledged as if it were."""
    sqlite._SYNCHRONOUS = {"full": 1, "relaxed": 1}


def full_is_off(journal, vfs):
    """Nobody ever asks for a sync."""
    sqlite._SYNCHRONOUS = {"full": 0, "relaxed": 0}


ALL = {function.__name__: function for function in (log_is_not_synced, full_is_normal, full_is_off)}


def plant(name, journal, vfs):
    """Plant the fault `name`; None plants nothing."""
    if name is not None:
        ALL[name](journal, vfs)
