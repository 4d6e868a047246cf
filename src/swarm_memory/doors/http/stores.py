"""The stores that a server has open: each once, opened when asked for, closed when idle."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from swarm_memory.errors import EngineUnavailableError
from swarm_memory.ticker import Ticker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swarm_memory.swarm import Swarm

IDLE_S = 300.0  # a store that nobody asked for so long is closed
OPEN_MAX = 16  # more are open only while more are in use


class Stores:
    """Open stores by URL. Safe to share between threads.

    Args:
        open_store: Opens the store of a URL.
        now_s: Tells the time, in seconds.
    """

    def __init__(
        self, open_store: Callable[[str], Swarm], *, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._open_store = open_store
        self._now_s = now_s
        self._guard = threading.Lock()
        self._slots: dict[str, _Slot] = {}
        self._closed = False

    @contextmanager
    def lent(self, url: str, path: str | None) -> Iterator[Swarm]:
        """Lend the store at `url`, whose file is `path`, opened by now.

        A file that was deleted or replaced since is opened anew: what is written to the old one
        would be lost.

        Raises:
            SwarmMemoryError: It cannot be opened; the next call tries again.
        """
        slot, over = self._take(url, path)
        _close(over)
        try:
            yield slot.store(lambda: self._open_store(url), path)
        finally:
            with self._guard:
                slot.users -= 1
                slot.used_s = self._now_s()
                ends = slot.retired and not slot.users
            if ends:
                slot.close()

    def close_idle(self) -> None:
        """Close what nobody has asked for in a while."""
        late_s = self._now_s() - IDLE_S
        with self._guard:
            idle = [url for url, slot in self._slots.items() if slot.idle_since(late_s)]
            over = [self._slots.pop(url) for url in idle]
        _close(over)

    def close(self) -> None:
        """Close all stores, those in use as soon as they are given back; lend none any more."""
        with self._guard:
            self._closed = True
            over = [slot for slot in self._slots.values() if slot.retire()]
            self._slots.clear()
        _close(over)

    def __len__(self) -> int:
        return len(self._slots)

    def _take(self, url: str, path: str | None) -> tuple[_Slot, list[_Slot]]:
        """Return the slot of a store, in use from now on, and slots that are to be closed."""
        over: list[_Slot] = []
        with self._guard:
            if self._closed:
                raise EngineUnavailableError("the server ends", hint="start it anew")
            slot = self._slots.get(url)
            if slot is not None and slot.is_stale(path):
                del self._slots[url]
                over += [slot] if slot.retire() else []
                slot = None
            if slot is None:
                over += self._make_room()
                slot = self._slots[url] = _Slot()
            slot.users += 1
            slot.used_s = self._now_s()
        return slot, over

    def _make_room(self) -> list[_Slot]:
        over = []
        while len(self._slots) >= OPEN_MAX:
            unused = [url for url, slot in self._slots.items() if not slot.users]
            if not unused:
                break
            oldest = min(unused, key=lambda url: self._slots[url].used_s)
            over.append(self._slots.pop(oldest))
        return over


class _Slot:
    """One store: open or not yet, how many use it, and since when nobody does."""

    __slots__ = ("_lock", "_place", "_store", "_ticker", "retired", "used_s", "users")

    def __init__(self) -> None:
        self._lock = threading.Lock()  # of the opening: other stores do not wait for it
        self._store: Swarm | None = None
        self._ticker: Ticker | None = None
        self._place: tuple[int, int] | None = None
        self.users = 0
        self.used_s = 0.0
        self.retired = False

    def store(self, open_store: Callable[[], Swarm], path: str | None) -> Swarm:
        with self._lock:
            if self._store is None:
                self._store = open_store()
                self._ticker = Ticker(self._store)
                self._place = _place_of(path)
            return self._store

    def is_stale(self, path: str | None) -> bool:
        """Tell whether another file, or none, is now where the open one was."""
        return self._store is not None and self._place != _place_of(path)

    def idle_since(self, moment_s: float) -> bool:
        return not self.users and self.used_s <= moment_s

    def retire(self) -> bool:
        """Let the last user close it; True if there is none, and the caller has to."""
        self.retired = True
        return not self.users

    def close(self) -> None:
        if self._ticker is not None:
            self._ticker.stop()
        if self._store is not None:
            self._store.close()


def _place_of(path: str | None) -> tuple[int, int] | None:
    """Return device and inode of a file, None if it is none or not there."""
    if path is None:
        return None
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _close(slots: list[_Slot]) -> None:
    for slot in slots:
        slot.close()
