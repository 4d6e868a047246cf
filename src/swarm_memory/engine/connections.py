"""SQLite connections: the settings that all of ours have, and the pool that threads share."""

from __future__ import annotations

import sys
import time

import apsw

from swarm_memory.engine.faults import translated
from swarm_memory.errors import EngineUnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

NORMAL, FULL = 1, 2  # PRAGMA synchronous; never 0, on any connection
CACHE_KIB = 8192
WAL_BYTES_KEPT = 64 * 1024 * 1024
PAUSE_S_MIN, PAUSE_S_MAX = 0.0002, 0.005


class Connection:
    """One SQLite connection."""

    __slots__ = ("_busy_handler", "db", "execute", "synchronous", "wal_pages")

    def __init__(self, path: str, busy_timeout_s: float) -> None:
        self.db = apsw.Connection(path)
        self._busy_handler = _busy_handler(busy_timeout_s)
        self.db.set_busy_handler(self._busy_handler)
        # A process that only passes by must not pay for a checkpoint when it closes.
        self.db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self.db.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        self.db.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        # Else many a statement is planned anew at each use, as its values might tell something.
        self.db.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        self.db.execute(
            f"PRAGMA cache_size = -{CACHE_KIB}; PRAGMA cell_size_check = ON;"
            f"PRAGMA journal_size_limit = {WAL_BYTES_KEPT}; PRAGMA temp_store = MEMORY"
        )
        if sys.platform == "darwin":  # else a sync does not empty the disk's cache
            self.db.execute("PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON")
        self.execute = self.db.cursor().execute
        self.synchronous = -1
        self.wal_pages = 0
        self.db.set_wal_hook(self._note_wal_pages)
        self.set_synchronous(NORMAL)

    def _note_wal_pages(self, db: apsw.Connection, name: str, pages: int) -> int:
        self.wal_pages = pages
        return apsw.SQLITE_OK

    def number(self, pragma: str) -> int:
        """Return the value of a pragma."""
        value: Any = self.db.pragma(pragma)
        return int(value)

    def set_synchronous(self, wanted: int) -> None:
        """Set when SQLite itself syncs."""
        if wanted != self.synchronous:
            self.db.execute(f"PRAGMA synchronous = {wanted}")
            self.synchronous = wanted

    def begin_log_anew(self, wait_s: float) -> None:
        """Move the whole log, so that the next writer begins it anew; wait so long for readers."""
        self.db.set_busy_handler(_busy_handler(wait_s))
        try:
            self.db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
        except apsw.BusyError:
            return  # somebody reads what is in it, or is moving it
        finally:
            self.db.set_busy_handler(self._busy_handler)

    def roll_back(self) -> None:
        """End a transaction, unless SQLite has done so by itself after an error."""
        if self.db.in_transaction:
            self.db.execute("ROLLBACK")


def _busy_handler(busy_timeout_s: float) -> Callable[[int], bool]:
    began = 0.0

    def wait(count: int) -> bool:
        nonlocal began
        now = time.monotonic()
        if count == 0:
            began = now
        if now - began >= busy_timeout_s:
            return False
        # The clock's last digits are jitter enough, and cost no import.
        jitter = time.perf_counter_ns() % 1024 / 1024
        time.sleep(min(PAUSE_S_MIN * 2 ** min(count, 6), PAUSE_S_MAX) * (0.5 + jitter))
        return True

    return wait


class Pool:
    """Connections to one file: each is used by one thread at a time, and kept when it is idle."""

    def __init__(self, path: str, busy_timeout_s: float) -> None:
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        self._made: list[Connection] = []
        self._idle: list[Connection] = []
        self._refusal: str | None = None

    def take(self) -> Connection:
        """Return a connection for this thread alone.

        Raises:
            EngineUnavailableError: The pool was closed, or the file cannot be opened.
        """
        try:
            return self._idle.pop()
        except IndexError:
            return self.connect()

    def connect(self) -> Connection:
        """Return a connection that is not given back; `discard` it.

        Raises:
            EngineUnavailableError: The pool was closed, or the file cannot be opened.
        """
        if self._refusal is not None:
            raise EngineUnavailableError(f"{self._path} {self._refusal}", hint="open it again")
        with translated(self._path):
            connection = Connection(self._path, self._busy_timeout_s)
        self._made.append(connection)
        return connection

    def give(self, connection: Connection) -> None:
        """Give a connection back; one that was interrupted inside a transaction is closed."""
        if self._refusal is not None or connection.db.in_transaction:
            self.discard(connection)
        else:
            self._idle.append(connection)

    def discard(self, connection: Connection) -> None:
        """Close a connection."""
        self._made.remove(connection)
        connection.db.close()

    def close(self, refusal: str = "was closed") -> None:
        """Close what is idle, and what is in use when it is given back."""
        self._refusal = refusal
        while self._idle:
            self.discard(self._idle.pop())

    def begin_in_child(self) -> bool:
        """Close what a forked child has inherited; False if some of it cannot be closed.

        As long as one is open, SQLite believes that this process has the locks which only its
        parent has. What a thread of the parent was using at the fork cannot be closed here.
        """
        idle, self._idle = self._idle, []
        for connection in idle:
            self.discard(connection)
        inherited, self._made = self._made, []
        _inherited.extend(inherited)
        if inherited:
            self._refusal = "was in use by another thread when this process was forked"
        return not inherited


_inherited: list[Connection] = []  # never closed, not even by the garbage collector
