"""Where swarms live: what a store has, what routes say, and setting them by hand."""

from __future__ import annotations

import os

from swarm_memory.engine import open_engine
from swarm_memory.engine.routed import ARRIVING, GONE
from swarm_memory.engine.routes import (
    ALL,
    SCHEME,
    Route,
    RoutesFile,
    RoutesStore,
    routes_of,
    without_password,
)
from swarm_memory.errors import InvalidArgumentError, NotFoundError
from swarm_memory.lean import NamedTuple
from swarm_memory.locate import file_of, prepare
from swarm_memory.model import Located
from swarm_memory.moving.copying import wipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarm_memory.engine import Engine, Tx
    from swarm_memory.model import Json

HOME = "here"


class Place(NamedTuple):
    """Where one swarm lives; `state` is "here", or "gone" or "arriving" as its store says.

    A swarm that routes name by itself has `routed`.
    """

    swarm: str
    url: str
    state: str
    routed: bool

    def to_dict(self) -> dict[str, Json]:
        """Return the place as every door shows it."""
        return self._asdict()


class Stores:
    """Stores that are opened as they are, each once, and closed together."""

    def __init__(self, busy_timeout_s: float = 30.0) -> None:
        self._busy_timeout_s = busy_timeout_s
        self._known: dict[str, Engine] = {}

    def open(self, url: str) -> Engine:
        """Return the store at a URL, whichever swarms live there."""
        if url.startswith(SCHEME):
            raise InvalidArgumentError(f"{url} is no store", hint="name a store, not its routes")
        if url not in self._known:
            self._known[url] = open_engine(url, busy_timeout_s=self._busy_timeout_s)
        return self._known[url]

    def routes(self, url: str) -> RoutesFile | RoutesStore | None:
        """Return the routes that a URL names; None if it names a store."""
        return routes_of(url, self.open) if url.startswith(SCHEME) else None

    def __enter__(self) -> Stores:
        return self

    def __exit__(self, *error: object) -> None:
        for store in self._known.values():
            store.close()


def swarms_in(store: Engine) -> Iterator[tuple[str, str, str]]:
    """Yield each swarm that a store has anything of, its state, and where it lives if elsewhere."""
    moved = {row[0]: row for row in store.all("moved_swarms")}
    names = {str(row[0]) for row in store.all("backup_swarms")} | moved.keys()
    for name in sorted(names):
        if name in moved:
            yield name, moved[name][1], moved[name][2]
        elif name:
            yield name, HOME, ""


def home_of(url: str, swarm: str) -> str:
    """Return the URL of the store that a swarm lives in by routes; any other URL as it is.

    Raises:
        NotFoundError: The routes name no store for it.
    """
    with Stores() as stores:
        routes = stores.routes(url)
        return url if routes is None else routes.find(swarm).url


def places_of(url: str) -> list[Place]:
    """Return all swarms of a store, or of the stores that routes lead to, and where each lives."""
    with Stores() as stores:
        routes = stores.routes(url)
        if routes is None and not _is_made(url):
            return []
        if routes is None:
            store = stores.open(url)
            return [
                Place(name, to or without_password(url), state, routed=False)
                for name, state, to in swarms_in(store)
            ]
        entries = routes.all()
        found = {}
        for at in filter(_is_made, dict.fromkeys(entries.values())):
            for name, state, _ in swarms_in(stores.open(at)):
                if entries.get(name, entries.get(ALL)) == at:
                    found[name] = Place(name, without_password(at), state, name in entries)
        for name, at in entries.items():
            if name and name not in found:
                found[name] = Place(name, without_password(at), HOME, routed=True)
        return [found[name] for name in sorted(found)]


def _is_made(url: str) -> bool:
    path = file_of(url)
    return path is None or os.path.exists(path)


def set_route(url: str, swarm: str, to: str) -> None:
    """Say where a swarm lives, or with '' all that have no route; nothing is moved.

    Raises:
        InvalidArgumentError: `url` names no routes, or the swarm does not live there.
    """
    with Stores() as stores:
        routes = stores.routes(url)
        if routes is None:
            raise InvalidArgumentError(f"{url} is no routes", hint="--url routes:FILE")
        row = stores.open(to).one("moved_get", swarm=swarm)
        if row is not None:
            raise InvalidArgumentError(
                f"{swarm!r} does not live there but in {row[1]}", hint="route it there, or move it"
            )
        prepare(Located(url, ""))
        routes.put(swarm, Route(to))


def drop_copy(url: str, swarm: str) -> str:
    """Remove what a store still has of a swarm that lives elsewhere; return where it lives.

    The store goes on refusing writes of it.

    Raises:
        NotFoundError: The swarm did not move away from this store.
    """
    with Stores() as stores:
        store = stores.open(url)
        row = store.one("moved_get", swarm=swarm)
        if row is None or row[0] not in (GONE, ARRIVING):
            raise NotFoundError(
                f"{swarm!r} did not move away from {without_password(url)}",
                hint="swarm-memory swarm list",
            )
        if row[0] == ARRIVING:
            raise InvalidArgumentError(
                f"{swarm!r} is being moved here from {row[1]}",
                hint="let the move end, or repeat it",
            )

        def write(tx: Tx) -> None:
            tx.run("moved_drop", swarm=swarm, state=row[0], move_id=row[2])
            wipe(tx, swarm, blank=True)
            tx.run(
                "moved_put", swarm=swarm, state=GONE, url=row[1], move_id=row[2], at_ms=tx.now_ms
            )

        store.write(write)
        return str(row[1])
