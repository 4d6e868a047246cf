"""Checkpoints beside the writers: moving the write-ahead log into the database file.

A checkpoint syncs twice and writes thousands of pages; done in the writer's commit, as SQLite does
by itself, it is the longest wait that a writer meets and a third of what a put costs. Here a thread
of a long-lived process does it, and the next commit after it only moves what came meanwhile, so
that the log can begin anew. A process that passes by leaves the log alone unless it has grown
beyond measure.
"""

from __future__ import annotations

import threading

import apsw

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# Few pages keep a synced commit overwriting the log instead of appending to it, many spare an
# unsynced one the checkpoints: 4 and 16 MiB.
PAGES = {"full": 1000, "relaxed": 4000}
COMMITS_TO_STAY = 64  # from so many on a process counts as long-lived
BEYOND_MEASURE = 4  # times the pages: now anybody moves the log, at once


class Checkpointer:
    """Decides after each commit of this process whether the log must be moved, and by whom."""

    def __init__(self, connect: Callable[[], apsw.Connection], durability: str) -> None:
        self._connect = connect
        self._pages = PAGES[durability]
        self._commits = 0
        self._last_pages = 0
        self._next_pages = self._pages
        self._thread: threading.Thread | None = None
        self._moved = threading.Event()

    def committed(self, db: apsw.Connection, pages: int) -> None:
        """Note that the log has `pages` pages after a commit on `db`; the writer's lock is held."""
        self._commits += 1
        if pages < self._last_pages:
            self._next_pages = self._pages
        self._last_pages = pages
        if self._moved.is_set():
            self._moved.clear()
            move(db)
        elif pages >= BEYOND_MEASURE * self._next_pages:
            self._next_pages = pages
            move(db)
        elif pages >= self._next_pages and self._commits >= COMMITS_TO_STAY:
            self._next_pages = pages + self._pages
            self.close()
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Wait for the thread, if there is one."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        db = self._connect()
        try:
            move(db)
        finally:
            db.close()
        self._moved.set()


def move(db: apsw.Connection) -> None:
    """Move what can be moved without making anybody wait."""
    try:
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    except apsw.BusyError:
        return  # somebody else is moving it at this moment
