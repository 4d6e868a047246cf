"""The ticker: a thread of a process that stays, which does the duties of the store that are due.

Of many processes that tick one does each duty (see `Retention.due`). Backups are made here and
nowhere else: a command that is waited for must not begin one.
"""

from __future__ import annotations

import os
import threading

from swarm_memory.duties import attend, let_go, look_s
from swarm_memory.errors import InvalidArgumentError, SwarmMemoryError, SwarmMovedError
from swarm_memory.monitor.facts import BACKUP_FAILED, BACKUP_MADE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.monitor.delivery import Delivery
    from swarm_memory.swarm import Swarm

AGENT = "monitor"
BACKUP_LOOK_S = 900


class Ticker:
    """Ticks for all swarms of a store in which something is called, until `stop`.

    It logs the alerts that are raised and resolved meanwhile, by whatever process, and delivers
    them (see `monitor.delivery`). A swarm that a server keeps is ticked by that server: what is
    begun for one does nothing.

    Args:
        logs: Whether alerts go to the log; not where they are printed anyway.
        begins: Whether a thread of this ticks; without it whoever made it calls `look`.
    """

    def __init__(self, swarm: Swarm, *, logs: bool = True, begins: bool = True) -> None:
        self._swarm = swarm.as_agent(AGENT)
        self._logs = logs
        self._deliveries: dict[str, Delivery] = {}
        self._marks: dict[str, int] = {}
        self._pid = os.getpid()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        if not begins or swarm.url.startswith(("http://", "https://")):
            return
        self._thread = threading.Thread(target=self._run, name="swarm-memory monitor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it; what it does at the moment is done first. In a forked child it does nothing."""
        if os.getpid() != self._pid:
            return
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def look(self) -> None:
        """Do now what is due; what fails is counted, and tried again by the next look."""
        try:
            self.tick()
        except SwarmMemoryError as error:
            _count(self._swarm, f"tick!{error.code}")

    def tick(self) -> None:
        """Do now what is due.

        Raises:
            SwarmMemoryError: The store cannot be asked; the duties of one swarm raise nothing.
        """
        for name in self._names():
            if not self._stopped.is_set():
                self._tick_one(name, self._swarm.as_agent(AGENT, swarm=name))
        if not self._stopped.is_set() and self._swarm.retention.due("backup", BACKUP_LOOK_S):
            self._back_up()

    def _tick_one(self, name: str, swarm: Swarm) -> None:
        """Do what is due in one swarm; what is wrong in it keeps no other one waiting."""
        try:
            if name not in self._deliveries:
                self._deliveries[name] = swarm.monitor.delivery(logs=self._logs)
            swarm.tick()
            self._deliveries[name].deliver()
        except SwarmMovedError:
            pass  # it is ticked where it lives
        except SwarmMemoryError as error:
            # A store that is away comes back, and the next tick tries again; what kept failing is
            # counted, so that it is seen.
            _count(swarm, f"tick!{error.code}")

    def _names(self) -> list[str]:
        return sorted({self._swarm.context.swarm, *self._swarm.monitor.swarms()})

    def _run(self) -> None:
        self._attend()
        while not self._stopped.wait(look_s(self._swarm.config)):
            self._attend()
            self.look()
        self._go()

    def _attend(self) -> None:
        """Say of each swarm that this process stays, so that hooks leave its duties to it."""
        try:
            for name in self._names():
                self._marks[name] = attend(self._swarm.as_agent(AGENT, swarm=name))
        except SwarmMemoryError as error:
            _count(self._swarm, f"tick!{error.code}")

    def _go(self) -> None:
        try:
            for name, mark in self._marks.items():
                let_go(self._swarm.as_agent(AGENT, swarm=name), mark)
        except SwarmMemoryError as error:
            _count(self._swarm, f"tick!{error.code}")  # the marks will be old soon

    def _back_up(self) -> None:
        try:
            made = self._swarm.backup_due()
        except InvalidArgumentError:
            return  # in no folder: who keeps such a store backs it up where he wants
        except SwarmMemoryError:
            _count(self._swarm, BACKUP_FAILED)
            raise
        if made is not None:
            _count(self._swarm, BACKUP_MADE)


def _count(swarm: Swarm, what: str) -> None:
    if swarm.context.meter is not None:
        swarm.context.meter.count(what)
