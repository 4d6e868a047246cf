"""The conformance suite: what every engine must do, as functions that any test runner can call.

    @pytest.mark.parametrize("check", conformance.checks(), ids=lambda check: check.__name__)
    def test_engine(check, tmp_path):
        check(Store(f"sqlite:///{tmp_path}/memory.db"))

A check takes a `Store`, raises AssertionError when the engine breaks a promise, and returns
otherwise. A check that an engine declares as a difference is not run for it.
"""

from __future__ import annotations

import json
import os
import tempfile

from swarm_memory.swarm import Swarm

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from swarm_memory.model import Json

    Check = Callable[["Store"], None]

NOON_MS = 1_767_268_800_000  # 2026-01-01 12:00:00 UTC


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now_ms: int = NOON_MS) -> None:
        self._now_ms = now_ms
        self._jumped_ms = 0
        self._boot_id = 1

    def now_ms(self) -> int:
        """Return the time it was set to, in epoch milliseconds."""
        return self._now_ms

    def uptime_ms(self) -> int:
        """Return the time that nobody can set: it does not follow `jump`."""
        return self._now_ms - self._jumped_ms

    def boot_id(self) -> int:
        """Return the number of the machine's start, which `reboot` raises."""
        return self._boot_id

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now_ms += round(seconds * 1000)

    def jump(self, seconds: float) -> None:
        """Set the wall clock by `seconds`, also back, while no time passes."""
        self._now_ms += round(seconds * 1000)
        self._jumped_ms += round(seconds * 1000)

    def reboot(self) -> None:
        """Start the machine anew."""
        self._boot_id += 1


class Store:
    """An empty store to check an engine with: opens doors to it that share one manual clock."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.clock = ManualClock()
        self._doors: list[Swarm] = []
        self._files: list[str] = []

    def open(self, agent: str = "a", swarm: str = "s", settings: Json = None, **more: Any) -> Swarm:
        """Return a door to the store.

        A store in memory lives in its first door, so the later ones are made from that.

        `settings` overrides settings and categories in the form of `memory_schema.json`.
        """
        if settings is not None:
            handle, path = tempfile.mkstemp(suffix=".json")
            with os.fdopen(handle, "w") as file:
                json.dump(settings, file)
            self._files.append(path)
            more["config_path"] = path
        if self._doors and self.url.endswith(":memory:"):
            return self._doors[0].as_agent(agent, swarm=swarm)
        door = Swarm.open(self.url, agent=agent, swarm=swarm, clock=self.clock, **more)
        self._doors.append(door)
        return door

    def close(self) -> None:
        """Close all doors and remove the configuration files."""
        for door in self._doors:
            door.close()
        for path in self._files:
            os.unlink(path)
        self._doors, self._files = [], []
