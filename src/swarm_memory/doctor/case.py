"""The case: which store is examined, from where, and what all checks look at together."""

from __future__ import annotations

import os
from functools import cached_property

from swarm_memory.clock import SystemClock
from swarm_memory.doctor import machine
from swarm_memory.engine.holder import wal_locks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from swarm_memory.doctor.machine import Mount
    from swarm_memory.engine.holder import WalLocks
    from swarm_memory.engine.inspection import Inspection
    from swarm_memory.model import Located

ASK_S_MAX = 2.0  # what the kernel's answer may take, on a machine with much to do
SIDES = ("-wal", "-shm", "-journal")


class Case:
    """One examination.

    Args:
        located: Which store is meant and why.
        path: Its file, free of `..`; None for a store that is none.
        directory: Where the caller stands.
        environment: The caller's variables.
        agent, swarm: Who the caller is.
        clock: As `SystemClock`.
    """

    def __init__(
        self,
        located: Located,
        path: str | None,
        *,
        directory: str,
        environment: Mapping[str, str],
        agent: str,
        swarm: str,
        clock: SystemClock | None = None,
    ) -> None:
        self.located = located
        self.path = path or ""
        self.directory = directory
        self.environment = environment
        self.home = environment.get("HOME") or os.path.expanduser("~")
        self.agent = agent
        self.swarm = swarm
        self.clock = clock or SystemClock()
        self.store: Inspection | None = None  # open while the checks of its content run

    @property
    def exists(self) -> bool:
        """Tell whether the store's file is there."""
        return bool(self.path) and os.path.isfile(self.path)

    @property
    def folder(self) -> str:
        """The folder of the store, or the nearest one above it that exists."""
        folder = os.path.dirname(self.path)
        while folder and not os.path.isdir(folder) and os.path.dirname(folder) != folder:
            folder = os.path.dirname(folder)
        return folder

    @cached_property
    def locks(self) -> WalLocks | None:
        """Who held SQLite's locks when it was first asked for, which is before the store opens."""
        return wal_locks(self.path, ASK_S_MAX) if self.path else None

    @cached_property
    def mounts(self) -> list[Mount]:
        """What is mounted on this machine."""
        return machine.mounts()

    def beside(self) -> list[str]:
        """Return the paths of the files beside the database that belong to it, as they are."""
        try:
            names = os.listdir(os.path.dirname(self.path))
        except OSError:
            return []
        begin = os.path.basename(self.path) + "-"
        folder = os.path.dirname(self.path)
        return [os.path.join(folder, name) for name in sorted(names) if name.startswith(begin)]
