"""Checkpoints beside the writers: moving the write-ahead log into the database file.

A checkpoint syncs twice and writes thousands of pages; done in the writer's commit, as SQLite does
by itself, it is the longest wait that a writer meets and a third of what a put costs. Here a thread
of a long-lived process does it, and the next commit after it only moves what came meanwhile, so
that the log can begin anew.

A process that passes by leaves the log to those who stay. If it is the only one, the next to come
would have to read the whole log first, 7 µs a page: then it moves a log of `PAGES_ALONE` when it
closes, which costs ten milliseconds once in some thirty calls instead of up to seven in each.
"""

from __future__ import annotations

import apsw

from swarm_memory.errors import SwarmMemoryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Thread

    from swarm_memory.engine.connections import Connection, Pool

# Few pages keep a synced commit overwriting the log instead of appending to it, many spare an
# unsynced one the checkpoints: 4 and 16 MiB.
PAGES = {"full": 1000, "relaxed": 4000}
COMMITS_TO_STAY = 64  # from so many on a process counts as long-lived
PAGES_ALONE = 200
BEYOND_MEASURE = 4  # times the pages: now anybody moves the log, at once,
INSIST_S = 0.05  # and waits so long for readers, at the gate


class Checkpointer:
    """Decides after each commit of this process whether the log must be moved, and by whom.

    What goes wrong in it is noted by `note` and raises nowhere: the commit before it is complete,
    the log keeps everything, and later it is tried again.
    """

    def __init__(self, pool: Pool, durability: str, note: Callable[[BaseException], None]) -> None:
        self._pool = pool
        self._note = note
        self._pages = PAGES[durability]
        self._commits = 0
        self._last_pages = 0
        self._next_pages = self._pages
        self._insist_pages = 0
        self._thread: Thread | None = None
        self._moved = False

    def committed(self, connection: Connection) -> None:
        """Note how long the log is after a commit of `connection`; it is this process's turn."""
        db, pages = connection.db, connection.wal_pages
        self._commits += 1
        if pages < self._last_pages:
            self._next_pages, self._insist_pages = self._pages, 0
        self._last_pages = pages
        try:
            if self._moved:
                # At the gate: nobody commits meanwhile, so the log can begin anew.
                self._moved = False
                move(db)
            elif pages >= max(BEYOND_MEASURE * self._pages, self._insist_pages):
                self._insist_pages = pages + self._pages
                # Where somebody is always reading, moving without waiting never gets to the end.
                connection.begin_log_anew(INSIST_S)
            elif pages >= self._next_pages and self._commits >= COMMITS_TO_STAY:
                self._next_pages = pages + self._pages
                self._start()
        except (apsw.Error, RuntimeError) as error:  # a disk that is full, no more threads
            self._next_pages = pages + self._pages
            self._note(error)

    def is_due(self) -> bool:
        """Tell whether a process that is the only one should move the log before it goes."""
        return self._last_pages >= PAGES_ALONE

    def close(self) -> None:
        """Wait for the thread, if there is one."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def _start(self) -> None:
        from threading import Thread  # only here: no hook pays for it

        if self._thread is None or not self._thread.is_alive():
            self._thread = Thread(target=self._run, daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            connection = self._pool.connect()
            try:
                move(connection.db)
            finally:
                self._pool.discard(connection)
            self._moved = True
        except (apsw.Error, SwarmMemoryError) as error:
            self._note(error)


def move(db: apsw.Connection) -> None:
    """Move what can be moved without making anybody wait."""
    try:
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    except apsw.BusyError:
        return  # somebody else is moving it at this moment


def empty(db: apsw.Connection) -> None:
    """Move everything and cut the log, if nobody else is there; wait for nobody."""
    db.set_busy_handler(None)
    try:
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    except (apsw.BusyError, apsw.FullError, apsw.IOError):
        return  # the log keeps everything; who writes next meets what is wrong with the disk
