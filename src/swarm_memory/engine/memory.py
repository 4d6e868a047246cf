"""A database in memory: one connection holds all of it, so its users take turns."""

from __future__ import annotations

import time

from swarm_memory.engine import migrate, upkeep
from swarm_memory.engine.connections import Connection
from swarm_memory.engine.sqlite import SqliteEngine, SqliteTx
from swarm_memory.errors import EngineUnavailableError, InvalidArgumentError
from swarm_memory.locks import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from swarm_memory.clock import SystemClock
    from swarm_memory.engine import Row

    T = TypeVar("T")

PATH = ":memory:"
WAIT_S = 0.002  # between two looks


class MemoryEngine(SqliteEngine):
    """A database that ends with its process; a forked child has a copy of its own."""

    def __init__(self, *, clock: SystemClock, durability: str, busy_timeout_s: float) -> None:
        self.path = PATH
        self.url = f"sqlite:///{PATH}"
        self.durability = durability
        self._clock = clock
        self._file = PATH
        self._lock = RLock()
        self._writing = False
        self._commits = 0
        self._only: Connection | None = Connection(PATH, busy_timeout_s)
        migrate.migrate(self._only.db, self.now_ms)

    def _select(self, sql: str, parameters: dict[str, Any]) -> list[Row]:
        return self._run(lambda tx: tx.select(sql, parameters), "BEGIN")

    def read(self, fn: Callable[[SqliteTx], T], /, *, durable: bool = False) -> T:
        return self._run(fn, "BEGIN")

    def write(
        self, fn: Callable[[SqliteTx], T], /, *, durability: str | None = None, ahead: bool = False
    ) -> T:
        with self._lock:
            if self._writing:
                raise InvalidArgumentError(
                    "a write inside a write of the same thread would wait for itself",
                    hint="use the handle that transact() gives to your function",
                )
            try:
                self._writing = True
                result = self._run(fn, "BEGIN IMMEDIATE")
            finally:
                self._writing = False
            self._commits += 1
            return result

    def write_one(
        self, statement: str, durability: str = "relaxed", /, **parameters: Any
    ) -> Row | None:
        return self.write(lambda tx: tx.one(statement, **parameters))

    def _run(self, fn: Callable[[SqliteTx], T], begin: str) -> T:
        with self._lock:
            connection = self._only
            if connection is None:
                raise EngineUnavailableError(f"{PATH} was closed", hint="open it again")
            if connection.db.in_transaction:
                return fn(SqliteTx(connection, self._clock))
            return self._transaction(connection, fn, begin)

    def _note(self, error: BaseException) -> None:
        """Nothing is synced here."""

    def touched(self) -> int:
        return 0

    def flush(self) -> None:
        """Nothing is synced here."""

    def version(self) -> int:
        return self._commits

    def wait(self, version: int, timeout_s: float) -> int:
        deadline = time.monotonic() + timeout_s
        while self._commits == version and (left_s := deadline - time.monotonic()) > 0:
            time.sleep(min(WAIT_S, left_s))
        return self._commits

    def usage(self) -> dict[str, int]:
        def read(tx: SqliteTx) -> dict[str, int]:
            names = ("page_size", "page_count", "freelist_count")
            page, pages, free = (tx.select(f"PRAGMA {name}", {})[0][0] for name in names)
            return {
                "file_bytes": pages * page,
                "free_bytes": free * page,
                "page_bytes": page,
                "wal_bytes": 0,
            }

        return self._run(read, "BEGIN")

    def wear(self) -> dict[str, int]:
        with self._lock:
            if self._only is None:
                raise EngineUnavailableError(f"{PATH} was closed", hint="open it again")
            return upkeep.wear(self._only)

    def analyse(self) -> None:
        with self._lock:
            if self._only is not None:
                upkeep.analyse(self._only)

    def give_back(self, *, free_ratio: float, within_s: float) -> int:
        before = self.usage()["file_bytes"]
        with self._lock:
            if self._only is not None:
                upkeep.give_back(self._only, free_ratio=free_ratio, within_s=within_s)
        return max(0, before - self.usage()["file_bytes"])

    def maintain(self) -> int:
        self.analyse()
        return self.give_back(free_ratio=0, within_s=upkeep.WHATEVER_IT_TAKES_S)

    def close(self) -> None:
        with self._lock:
            if self._only is not None:
                self._only.db.close()
            self._only = None
