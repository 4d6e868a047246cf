"""An engine that follows its swarm: each call goes to the store that the swarm lives in now.

Where that is say routes (`engine.routes`). They are looked at before each call, and again when a
store refuses a write because the swarm has left it: then nothing was written, so the same call is
made once more where the swarm lives now.

What a move leaves undone when it is killed, whoever comes by finishes: the row that the old store
keeps of it decides (`finish`).
"""

from __future__ import annotations

import time

from swarm_memory.engine.routes import Route, routes_of
from swarm_memory.engine.sync import reached
from swarm_memory.errors import SwarmMovedError
from swarm_memory.locks import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from swarm_memory.engine import Engine, Row, Tx
    from swarm_memory.engine.routes import RoutesFile, RoutesStore

    T = TypeVar("T")

HOPS_MAX = 8  # moves that one call follows
WAIT_S = 0.5  # in one store, before the routes are looked at again
GENERATION_BITS = 80  # numbers of one store never equal those of the one before
GONE, ARRIVING = "gone", "arriving"


class Stores:
    """The stores that routes lead to, each opened once."""

    def __init__(self, open_store: Callable[[str], Engine]) -> None:
        self._open_store = open_store
        self._lock = RLock()
        self._known: dict[str, Engine] = {}

    def open(self, url: str) -> Engine:
        """Return the store at `url`."""
        with self._lock:
            if url not in self._known:
                self._known[url] = self._open_store(url)
            return self._known[url]

    def close(self) -> None:
        """Close all."""
        with self._lock:
            for store in self._known.values():
                store.close()


class RoutedEngine:
    """The engine of one swarm, in whichever store that lives.

    Args:
        stores: The stores, shared by the engines of all swarms of one door.
    """

    alone = True

    def __init__(self, routes: RoutesFile | RoutesStore, stores: Stores, swarm: str) -> None:
        self.routes = routes
        self._stores = stores
        self._swarm = swarm
        self._lock = RLock()
        self._stamp = routes.stamp()
        self._route = routes.find(swarm)
        self._generation = 0
        self._store = stores.open(self._route.url)

    @property
    def url(self) -> str:
        return self._current().url

    @property
    def durability(self) -> str:
        return self._store.durability

    def of(self, swarm: str) -> RoutedEngine:
        """Return the engine of another swarm, which may live elsewhere."""
        return self if swarm == self._swarm else RoutedEngine(self.routes, self._stores, swarm)

    # --- following ---

    def _current(self) -> Engine:
        stamp = self.routes.stamp(self._stamp)
        if stamp != self._stamp:
            with self._lock:
                # Before the look: a change right after it then changes the stamp again.
                self._stamp = stamp
                self._go(self.routes.find(self._swarm))
        return self._store

    def _go(self, route: Route) -> None:
        if route.url != self._route.url:
            self._store = self._stores.open(route.url)
            self._generation += 1
        self._route = route

    def _call(self, call: Callable[[Engine], T]) -> T:
        for _ in range(HOPS_MAX):
            store = self._current()
            try:
                return call(store)
            except SwarmMovedError as error:
                if error.swarm != self._swarm:
                    raise
                self._follow(store, error)
        return call(self._current())

    def _follow(self, store: Engine, error: SwarmMovedError) -> None:
        """Go where the swarm lives now.

        Raises:
            SwarmMovedError: It is being moved here and still lives elsewhere, whatever routes say.
        """
        with self._lock:
            if store is not self._store:
                return  # another thread was here
            route = self.routes.find(self._swarm)
            if error.state == ARRIVING:
                self._let_in(store, route, error)
            elif route.url == self._route.url:
                finish(self.routes, self._stores.open, self._swarm, route, error)
            self._go(self.routes.find(self._swarm))

    def _let_in(self, store: Engine, route: Route, error: SwarmMovedError) -> None:
        """Let the swarm be at home in this store, if the other one has let it go."""
        if route.move != error.move or route.next is not None:
            row = self._stores.open(error.to).one("moved_get", swarm=self._swarm)
            if row is None or (row[0], row[2]) != (GONE, error.move):
                raise error
        arrive(store, self._swarm, error.move)

    # --- the port ---

    @property
    def now_ms(self) -> int:
        return self._current().now_ms

    @property
    def uptime_ms(self) -> int:
        return self._current().uptime_ms

    @property
    def boot_id(self) -> int:
        return self._current().boot_id

    def one(self, statement: str, /, **parameters: Any) -> Row | None:
        return self._call(lambda store: store.one(statement, **parameters))

    def all(self, statement: str, /, **parameters: Any) -> list[Row]:
        return self._call(lambda store: store.all(statement, **parameters))

    def read(self, fn: Callable[[Tx], T], /, *, durable: bool = False) -> T:
        return self._call(lambda store: store.read(fn, durable=durable))

    def write(
        self, fn: Callable[[Tx], T], /, *, durability: str | None = None, ahead: bool = False
    ) -> T:
        return self._call(lambda store: store.write(fn, durability=durability, ahead=ahead))

    def write_one(
        self, statement: str, durability: str = "relaxed", /, **parameters: Any
    ) -> Row | None:
        return self._call(lambda store: store.write_one(statement, durability, **parameters))

    def touched(self) -> int:
        number = self._current().touched()
        return number and number + (self._generation << GENERATION_BITS)

    def flush(self) -> None:
        self._current().flush()

    def version(self) -> int:
        return self._current().version() + (self._generation << GENERATION_BITS)

    def wait(self, version: int, timeout_s: float) -> int:
        deadline = time.monotonic() + timeout_s
        while (current := self.version()) == version:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                break
            inside = version - (self._generation << GENERATION_BITS)
            self._store.wait(inside, min(left_s, WAIT_S))
        return current

    def usage(self) -> dict[str, int]:
        return self._current().usage()

    def wear(self) -> dict[str, int]:
        return self._current().wear()

    def analyse(self) -> None:
        self._current().analyse()

    def give_back(self, *, free_ratio: float, within_s: float) -> int:
        return self._current().give_back(free_ratio=free_ratio, within_s=within_s)

    def maintain(self) -> int:
        return self._current().maintain()

    def close(self) -> None:
        self._stores.close()


def open_routed(url: str, swarm: str, open_store: Callable[[str], Engine]) -> RoutedEngine:
    """Open the store that routes name for a swarm.

    Raises:
        ConfigError, NotFoundError: There are no routes there, or none for this swarm.
    """
    stores = Stores(open_store)
    try:
        return RoutedEngine(routes_of(url, stores.open), stores, swarm)
    except BaseException:
        stores.close()
        raise


def finish(
    routes: RoutesFile | RoutesStore | None,
    open_store: Callable[[str], Engine],
    swarm: str,
    route: Route,
    error: SwarmMovedError,
) -> str:
    """Finish a move that the old store has committed to: routes first, then the new store opens.

    In this order whoever reads by the routes never sees less than what was acknowledged. Doing it
    twice, or two at once, changes nothing. Return where the swarm lives now.
    """
    to = route.next if route.next is not None and route.move == error.move else error.to
    if routes is not None:
        routes.put(swarm, Route(to, error.move), was=route.url)
    reached("move-routed")
    arrive(open_store(to), swarm, error.move)
    return to


def arrive(store: Engine, swarm: str, move: str) -> None:
    """Let a swarm be at home in the store that it was moved to; a second call does nothing."""
    row = store.one("moved_get", swarm=swarm)
    if row is None or (row[0], row[2]) != (ARRIVING, move):
        return

    def write(tx: Tx) -> None:
        tx.run("moved_drop", swarm=swarm, state=ARRIVING, move_id=move)
        if not tx.all("moved_swarms"):
            tx.fence(False)

    store.write(write, durability="full")
