"""The hook that stays: `swarm-memory hook tick`, which Claude Code starts in the background.

Where only hooks run nothing else is there while a long turn goes on. So one process of all
sessions of a swarm stays and does the duties of the store (see `ticker`); the others leave at
once, and it leaves when a server takes them over.

It ends with its session: when Claude Code closes its output or ends, when the session has ended or
lapsed, when its hooks are paused or its store is another file, and in any case before its timeout.
"""

from __future__ import annotations

import gc
import os
import sys
import time

from swarm_memory.doors.hooks.actor import session_of
from swarm_memory.doors.hooks.event import parse
from swarm_memory.doors.hooks.log import log_failure, log_path
from swarm_memory.doors.hooks.place import place_of
from swarm_memory.duties import hold, let_go, look_s
from swarm_memory.errors import NotFoundError, SwarmMemoryError
from swarm_memory.pausing import is_paused
from swarm_memory.ticker import Ticker
from swarm_memory.wiring.hooks import STAYS_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from swarm_memory.doors.hooks.event import Event
    from swarm_memory.doors.hooks.place import Place
    from swarm_memory.swarm import Swarm

    Wait = Callable[[float], bool]

WAIT_S_MAX = 5.0  # for other writers
GLANCE_S = 2.0  # between two glances at whether the session goes on
MARGIN_S = 60.0  # before its timeout
HANDOVER_S = 5.0  # in which the session before this one in the same window lets go
ACTIVE = "active"  # the state of a session that lasts
REPLACING = ("clear", "resume")  # sources of a session before which another one ended


def main() -> None:
    """Stay as long as the event's session does, or leave at once. It never raises."""
    gc.enable()  # other hooks end before there is any garbage
    store = None
    try:
        event = parse(sys.stdin.buffer.read() if sys.stdin else b"", "SessionStart")
        place = place_of(event, os.environ)
        store = place.store
        stay(event, place, os.environ, reader_of(sys.stdout))
    except Exception as error:  # noqa: BLE001 - the outermost call: no agent fails because of us
        log_failure(log_path(store, os.environ), "tick", error)


def stay(event: Event, place: Place, environment: Mapping[str, str], wait: Wait) -> None:
    """Do the duties of a store while a session lasts and nobody else does them.

    Args:
        wait: Waits so many seconds; False as soon as nobody reads our output any more.
    """
    from swarm_memory.doors.hooks import open_store

    session_id = session_of(event)
    if place.store is not None and is_paused(place.store):
        return
    swarm = open_store(place.url, environment, WAIT_S_MAX)
    with swarm:
        if swarm.url.startswith(("http://", "https://")):
            return  # the server that keeps it ticks
        mark = _taken(swarm, event.text("source") in REPLACING, wait)
        if mark is None:
            return
        staying = _Staying(swarm, session_id, place, mark)
        try:
            staying.run(wait)
        finally:
            staying.leave()


def _taken(swarm: Swarm, patient: bool, wait: Wait) -> int | None:
    """Return the mark of the one that stays, None if another process has it."""
    over_s = time.monotonic() + HANDOVER_S
    while True:
        mark = hold(swarm)
        if mark is not None or not patient or time.monotonic() >= over_s:
            return mark
        if not wait(HANDOVER_S / 10):
            return None


class _Staying:
    """A process that stays: what it does the duties of, and what its life hangs on."""

    def __init__(self, swarm: Swarm, session_id: str, place: Place, mark: int) -> None:
        self._swarm = swarm
        self._session_id = session_id
        self._place = place
        self._mark: int | None = mark
        self._parent = os.getppid()
        self._file = _file_of(place.store)
        self._began_s = time.monotonic()
        self._ticker = Ticker(swarm, logs=False, begins=False)

    def run(self, wait: Wait) -> None:
        """Tick until it is over, or somebody else does."""
        every_s = look_s(self._swarm.config)
        glance_s = min(GLANCE_S, every_s)
        looked_s = time.monotonic()
        self._ticker.look()
        while wait(glance_s) and self._goes_on(time.monotonic()):
            if time.monotonic() - looked_s < every_s:
                continue
            looked_s = time.monotonic()
            try:
                self._mark = hold(self._swarm, self._mark)
            except SwarmMemoryError as error:
                if not error.retryable:
                    raise
                continue  # whoever keeps the store busy does not do so for long
            if self._mark is None:
                return
            self._ticker.look()

    def leave(self) -> None:
        """Say that it went, unless somebody else stays by now, or the store is gone."""
        if self._mark is not None and _file_of(self._place.store) == self._file:
            let_go(self._swarm, self._mark)

    def _goes_on(self, now_s: float) -> bool:
        """Tell whether the session lasts, and what started this process is there."""
        store = self._place.store
        return (
            now_s - self._began_s < STAYS_S - MARGIN_S
            and os.getppid() == self._parent
            and not (store is not None and is_paused(store))
            and _file_of(store) == self._file
            and self._lasts(now_s)
        )

    def _lasts(self, now_s: float) -> bool:
        try:
            return self._swarm.sessions.get(self._session_id).state == ACTIVE
        except NotFoundError:
            # Another hook of the same event begins it, at the same time.
            return now_s - self._began_s < HANDOVER_S
        except SwarmMemoryError as error:
            if not error.retryable:
                raise
            return True


def _file_of(store: str | None) -> tuple[int, int] | None:
    """Return which file a store is now, None if it is none."""
    if store is None:
        return None
    try:
        found = os.stat(store)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def reader_of(output: object) -> Wait:
    """Return what waits, and tells as soon as nobody reads an output any more.

    That is how the end of Claude Code is seen, also through a shell that outlives it. Where the
    system cannot tell, or the output is no pipe, it only waits.
    """
    import select

    if output is None or not hasattr(select, "poll"):
        return _slept
    try:
        watched = select.poll()
        watched.register(output.fileno(), 0)  # type: ignore[attr-defined]
    except (OSError, ValueError):
        return _slept

    def wait(wait_s: float) -> bool:
        return not watched.poll(round(1000 * wait_s))

    return wait


def _slept(wait_s: float) -> bool:
    time.sleep(wait_s)
    return True
