"""Running verbs: for which agent, in which swarm, and in which of the server's stores."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import orjson

from swarm_memory.checks import check_name
from swarm_memory.errors import EngineUnavailableError, InvalidArgumentError
from swarm_memory.lean import NamedTuple
from swarm_memory.swarm import DEFAULT_AGENT, NAME_BYTES_MAX, Swarm
from swarm_memory.ticker import Ticker
from swarm_memory.wire.flows import Flows
from swarm_memory.wire.shapes import fence_of
from swarm_memory.wire.verbs import ONCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarm_memory.wire.verbs import Verb

DOORS_MAX = 512  # agents whose doors are kept; they share the read cache of their swarm
ORIGIN_MAX = 1024  # characters


class Caller(NamedTuple):
    """Who asks: the agent, its swarm and session, what else is known of it (an object as JSON),
    and the flow of control on its machine.
    """

    swarm: str
    agent: str = DEFAULT_AGENT
    session: str | None = None
    origin: str | None = None
    flow: str | None = None


class Calls:
    """The store behind the API. Safe to share between threads.

    Args:
        open_store: Opens it when it is first asked for, and again if that failed.
        ticks: Whether the duties of the store are done here, too (see `ticker`).
    """

    def __init__(self, open_store: Callable[[], Swarm], *, ticks: bool = False) -> None:
        self._open_store = open_store
        self._ticks = ticks
        self._lock = threading.Lock()
        self._store: Swarm | None = None
        self._ticker: Ticker | None = None
        self._closed = False
        self._doors: dict[Any, Swarm] = {}
        self._flows = Flows()

    def door(self, caller: Caller) -> Swarm:
        """Return the caller's door to the store.

        Raises:
            SwarmMemoryError: The store cannot be opened; the next call tries again.
            InvalidArgumentError: A name is none.
        """
        key = caller[:4]
        door = self._doors.get(key)
        if door is not None:
            return door
        with self._lock:
            if self._closed:
                raise EngineUnavailableError("the server ends", hint="ask again in a moment")
            if self._store is None:
                self._store = self._open_store()
                self._ticker = Ticker(self._store) if self._ticks else None
            while len(self._doors) >= DOORS_MAX:
                del self._doors[next(iter(self._doors))]
            beside = next((d for k, d in self._doors.items() if k[0] == caller.swarm), self._store)
            if caller.session is not None:
                check_name("session", caller.session, NAME_BYTES_MAX)
            door = beside.as_agent(
                caller.agent,
                swarm=caller.swarm,
                session=caller.session,
                origin=_origin(caller.origin),
            )
            self._doors[key] = door
            return door

    def run(
        self, caller: Caller, verb: Verb, given: dict[str, Any], op_id: str | None = None
    ) -> Any:
        """Run a verb with checked arguments and return its result."""
        door = self.door(caller)
        if verb.retry == ONCE and op_id is not None:
            given = given | {"op_id": op_id}
        if caller.flow is None:
            return ask(door, verb, given)
        return self._flows.run(caller.flow, lambda: ask(door, verb, given))

    def at_hand(self, caller: Caller) -> Swarm | None:
        """Return the caller's door if it is open and leads to a file of this machine.

        There a reader never waits for writers.
        """
        door = self._doors.get(caller[:4])
        return door if door is not None and door.url.startswith("sqlite:") else None

    def close(self) -> None:
        """Close the store; nothing is run any more."""
        with self._lock:
            self._closed = True
            self._doors.clear()
            store, self._store = self._store, None
            ticker, self._ticker = self._ticker, None
        if ticker is not None:
            ticker.stop()
        if store is not None:
            store.close()


def _origin(said: str | None) -> dict[str, Any] | None:
    if said is None:
        return None
    try:
        origin = orjson.loads(said)
    except orjson.JSONDecodeError:
        origin = None
    if not isinstance(origin, dict) or len(said) > ORIGIN_MAX:
        raise InvalidArgumentError(
            "the origin", hint='a small JSON object, such as {"verified": false}'
        )
    return origin


def ask(door: Any, verb: Verb, given: dict[str, Any]) -> Any:
    """Run a verb on a swarm or in a transaction."""
    service = door if verb.service == "swarm" else getattr(door, verb.service)
    arguments = dict(given)
    if "fence" in arguments and arguments["fence"] is not None:
        arguments["fence"] = fence_of(arguments["fence"])
    if "lease" in arguments:
        lease = service.held(*fence_of(arguments.pop("lease")))
        result = getattr(service, verb.name)(lease, **arguments)
        return lease if verb.gives else result
    several = arguments.pop("messages", ()) if verb.name == "ack" else ()
    return getattr(service, verb.name)(*several, **arguments)
