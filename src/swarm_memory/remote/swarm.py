"""A swarm that a server keeps: the class of all swarms, with services that ask the server."""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING, Any, NoReturn

from swarm_memory.checks import check_name
from swarm_memory.codec import encode
from swarm_memory.config import config_of
from swarm_memory.context import Context, new_id
from swarm_memory.errors import (
    AmbiguousCommitError,
    ConfigError,
    EngineBusyError,
    InvalidArgumentError,
    NotFoundError,
    WaitTimeoutError,
)
from swarm_memory.remote.client import Asked, Client
from swarm_memory.remote.services import (
    Remote,
    RemoteEvents,
    RemoteFinder,
    RemoteLeases,
    RemoteMessages,
    RemoteMonitor,
    RemoteRecords,
    RemoteSessions,
    Wire,
)
from swarm_memory.swarm import NAME_BYTES_MAX, Swarm
from swarm_memory.wire.verbs import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    from swarm_memory.integrity import VerifyReport
    from swarm_memory.model import Event, Json, Record
    from swarm_memory.search import Hits

    T = TypeVar("T")

RUNS_MAX = 5  # of the function of one transaction
SERVICES: dict[str, Callable[[Wire], Any]] = {
    "records": lambda wire: RemoteRecords(wire, "records"),
    "events": lambda wire: RemoteEvents(wire, "events"),
    "leases": lambda wire: RemoteLeases(wire, "leases"),
    "messages": lambda wire: RemoteMessages(wire, "messages"),
    "sessions": lambda wire: RemoteSessions(wire, "sessions"),
    "finder": lambda wire: RemoteFinder(wire, "finder"),
    **{
        name: lambda wire, name=name: Remote(wire, name)  # type: ignore[misc]
        for name in (
            "outcomes", "conflicts", "forecast", "memories", "journal", "health", "retention",
            "optimizer",
        )
    },
    "alerts": lambda wire: Remote(wire, "alerts"),
    "monitor": lambda wire: RemoteMonitor(wire, "monitor"),
}  # fmt: skip


class RemoteSwarm(Swarm):
    """One agent's door to a swarm that a server keeps.

    What is for whoever keeps the store is not here: to back it up, to restore or repair it.
    """

    def __init__(self, wire: Wire, *, why: str, owner: bool = True) -> None:
        self._wire = wire
        self._owner = owner
        self._keeper = None
        self.context = wire.context
        self.why = why
        self._made: dict[str, Any] = {}
        self._wrapper: Any = None
        self._wrap: Any = None
        self.records = self._service("records")
        self.events = self._service("events")

    def _service(self, name: str) -> Any:
        if name not in self._made:
            made = SERVICES[name](self._wire)
            if self._wrap is not None and name in ("finder", "memories"):
                made = self._wrap(name, made)
            self._made[name] = made
        return self._made[name]

    def _call(self, name: str, /, *arguments: Any, **options: Any) -> Any:
        return self._wire.call(BY_NAME[f"swarm.{name}"], *arguments, **options)

    @property
    def url(self) -> str:
        """The URL of the server."""
        return self._wire.client.url

    def as_agent(
        self,
        agent: str,
        *,
        swarm: str | None = None,
        session: str | None = None,
        origin: dict[str, Json] | None = None,
    ) -> Swarm:
        """Return another agent's door over the same connections; see `Swarm.as_agent`."""
        mine = self.context
        check_name("agent", agent, NAME_BYTES_MAX)
        if swarm is not None:
            check_name("swarm", swarm, NAME_BYTES_MAX)
        context = Context(swarm or mine.swarm, agent, session, mine.config, mine.compressor, origin)
        made = RemoteSwarm(self._wire.of(context), why=self.why, owner=False)
        if self._wrapper is not None:
            made.wrap(self._wrapper)
        return made

    def wrap(self, wrapper: Any) -> None:
        """Let `wrapper(self)` say what stands in for a service; see `Swarm.wrap`."""
        self._wrapper = wrapper
        self._wrap = wrapper(self)
        self.records = self._wrap("records", getattr(self.records, "wrapped", self.records))
        self._made.pop("finder", None)
        self._made.pop("memories", None)

    # --- services ---

    @property
    def leases(self) -> Any:
        """Locks with a time to live, in this swarm."""
        return self._service("leases")

    @property
    def messages(self) -> Any:
        """Messages between the agents of this swarm."""
        return self._service("messages")

    @property
    def sessions(self) -> Any:
        """Who acts for how long."""
        return self._service("sessions")

    @property
    def outcomes(self) -> Any:
        """How tasks ended, and what to try next."""
        return self._service("outcomes")

    @property
    def conflicts(self) -> Any:
        """Writes that met another one."""
        return self._service("conflicts")

    @property
    def memories(self) -> Any:
        """What agents store to be found again."""
        return self._service("memories")

    @property
    def journal(self) -> Any:
        """What agents decide and share."""
        return self._service("journal")

    @property
    def finder(self) -> Any:
        """What `search` asks."""
        return self._service("finder")

    @property
    def health(self) -> Any:
        """How the swarm's memory is doing."""
        return self._service("health")

    @property
    def monitor(self) -> Any:
        """Samples that the server has taken, and trends."""
        return self._service("monitor")

    @property
    def alerts(self) -> Any:
        """What is wrong, or was."""
        return self._service("alerts")

    @property
    def retention(self) -> Any:
        """Sweeping and packing."""
        return self._service("retention")

    @property
    def optimizer(self) -> Any:
        """What would make the store smaller or faster, and doing it."""
        return self._service("optimizer")

    @property
    def edits(self) -> Any:
        """Who changes which file: told by hooks, which ask a server by their own route."""
        return _elsewhere("edits")

    @property
    def forecast(self) -> Any:
        """How likely others are to touch a file or a key, and how to share tasks out."""
        return self._service("forecast")

    @property
    def practice(self) -> Any:
        """What is learned from recorded operations: told by hooks, as edits are."""
        return _elsewhere("practice")

    @property
    def tuner(self) -> Any:
        """What adjusts the store's parameters: where the store is."""
        return _elsewhere("tuning")

    @property
    def briefing(self) -> Any:
        """What agents are shown: by hooks, which ask a server by their own route."""
        return _elsewhere("briefing")

    # --- verbs ---

    def search(self, query: str, **options: Any) -> Hits:
        """Return records that answer a question; see `Search.search`."""
        hits: Hits = self.finder.search(query, **options)
        return hits

    def watch(
        self, prefix: str = "", *, since: int | None = None, timeout_s: float | None = None
    ) -> Iterator[Event]:
        """Iterate over changes as they are committed; see `Events.watch`."""
        return self.events.watch(prefix, since=since, timeout_s=timeout_s)

    def resolve_conflict(
        self, conflict_id: str, value: Json, *, op_id: str | None = None
    ) -> Record:
        """Settle a parked conflict; see `Swarm.resolve_conflict`."""
        record: Record = self._call("resolve_conflict", conflict_id, value, op_id=op_id)
        return record

    def tick(self) -> bool:
        """Do the daily duties if they are due; see `Swarm.tick`."""
        return bool(self._call("tick"))

    def prune(self) -> int:
        """Refuse: it is a part of `tick` and of the optimizer, where the store is."""
        return int(_elsewhere("prune"))

    def agents(self) -> list[str]:
        """Return the scopes of the agents that have a state."""
        return list(self._call("agents"))

    def waste(self) -> tuple[int, int]:
        """Return how many records have expired and how many bytes of the file are free."""
        expired, free = self._call("waste")
        return expired, free

    def file_bytes(self) -> int:
        """Return the size of the store without its log."""
        return int(self._call("file_bytes"))

    def maintain(self) -> int:
        """Give free space back to the file system; return the bytes."""
        return int(self._call("maintain"))

    def verify(self, *, progress: Callable[[int, int, str], object] | None = None) -> VerifyReport:
        """Check the server's whole store for damage; see `Swarm.verify`. No progress is told."""
        report: VerifyReport = self._call("verify")
        return report

    def backup(self, *_: Any, **__: Any) -> Any:
        """Refuse: whoever keeps the store backs it up."""
        return _elsewhere("backup")

    def backup_due(self, folder: str | None = None) -> Any:
        """Refuse: whoever keeps the store backs it up."""
        return _elsewhere("backup")

    # --- transactions ---

    def transact(
        self,
        fn: Callable[[Any], T],
        *,
        op_id: str | None = None,
        about: Json = None,
        durability: str | None = None,
    ) -> T:
        """Run `fn` in one transaction, each of whose calls is a request; see `Swarm.transact`.

        Nobody else writes meanwhile, so it has five seconds. One verb that does it all, or
        compare-and-set, is faster and keeps nobody waiting.

        Raises:
            WaitTimeoutError: It did not get done in its time.
            EngineBusyError: Others kept coming in between.
        """
        said: dict[str, Any] = {
            "op_id": op_id or os.urandom(12).hex(),
            "name": getattr(fn, "__qualname__", ""),
            "about": about,
        }
        if durability is not None:
            said["durability"] = durability
        reached: list[T] = []  # what the runs returned whose commit was asked for
        over_s = time.monotonic() + self._wire.client.patience_s
        runs = 0
        while True:
            runs += 1
            try:
                return self._run(fn, said, reached, keep=op_id is not None)
            except EngineBusyError:
                if time.monotonic() > over_s:
                    raise
                time.sleep(min(0.02 * 2**runs, 1.0) * (0.5 + random.random()))
            except (WaitTimeoutError, AmbiguousCommitError):
                if runs >= RUNS_MAX:
                    raise

    def read(self, fn: Callable[[Any], T], *, durable: bool = False) -> T:
        """Run `fn` with services that see the store at one moment; see `Swarm.read`."""
        return self._run(fn, {"read": True, "durable": durable}, [], keep=False)

    def _run(
        self, fn: Callable[[Any], T], said: dict[str, Any], reached: list[T], *, keep: bool
    ) -> T:
        wire = self._wire
        if getattr(wire.busy, "inside", False):
            raise InvalidArgumentError(
                "a transaction inside a transaction", hint="use the one that the function is given"
            )
        # Begun twice it waits for its turn twice, and one of them ends by itself.
        begun = wire.post("/transactions", said, repeatable=True)
        if begun["applied"]:
            # By a commit whose answer was lost: the last that was asked for, since each waits for
            # the end of the one before.
            result: T = begun["result"] if keep else reached[-1]
            return result
        transaction = begun["transaction"]
        wire.busy.inside = True
        try:
            result = fn(RemoteTransaction(wire.within(transaction), begun["now_ms"]))
            if keep:
                encode(result, bytes_max=2**31)
        except BaseException:
            wire.undo(transaction)
            raise
        finally:
            wire.busy.inside = False
        reached.append(result)
        return self._committed(transaction, said, result, keep)

    def _committed(self, transaction: str, said: dict[str, Any], result: T, keep: bool) -> T:
        path = f"/transactions/{transaction}/commit"
        kept = {"result": result} if keep else {}
        try:
            self._wire.post(path, kept, repeatable=True)
        except NotFoundError as error:
            # The server is another one by now; the one before may have committed it.
            if "read" in said:
                return result
            begun = self._wire.post("/transactions", said, repeatable=True)
            if begun["applied"]:
                return result
            self._wire.undo(begun["transaction"])
            raise EngineBusyError(
                "the server was started anew during the transaction", hint="run it again"
            ) from error
        return result

    def close(self) -> None:
        """End this process's session and close the connections."""
        if not self._owner:
            return
        keeper, self._keeper = self._keeper, None
        try:
            if keeper is not None:
                keeper.stop()
        finally:
            self._wire.client.close()


class RemoteTransaction:
    """The services of a swarm inside one transaction."""

    def __init__(self, wire: Wire, now_ms: int) -> None:
        self._wire = wire
        self.now_ms = now_ms

    def __getattr__(self, name: str) -> Any:
        if name not in ("records", "events", "leases", "messages", "sessions", "outcomes"):
            raise AttributeError(name)
        return SERVICES[name](self._wire)


def _elsewhere(what: str) -> NoReturn:
    raise InvalidArgumentError(
        f"{what} is not served over HTTP",
        hint="call it on the server's machine, with the URL of its store",
    )


class _Plain:
    """Stands for the compressor: values are packed where they are stored."""


def open_remote(
    url: str,
    *,
    agent: str,
    swarm: str,
    session: str | None,
    session_ttl_s: float | None,
    durability: str,
    patience_s: float,
    token: str | None,
    why: str,
) -> RemoteSwarm:
    """Open a swarm that the server at `url` keeps; arguments as in `Swarm.open`."""
    client = Client(url, token, patience_s)
    nothing: Any = _Plain()
    asking = Wire(client, Context(swarm, agent, session, nothing, nothing), durability)
    shown = client.ask(Asked("GET", f"{asking.base}/config", None, None, asking.headers, True))
    try:
        config = config_of(shown)
    except (KeyError, ConfigError) as error:
        raise ConfigError(
            f"{url} has other settings than this version knows: {error}",
            hint="use the same version on both machines",
        ) from error
    if session is None and session_ttl_s is not None:
        session = f"process-{new_id(_now_ms())}"
    context = Context(swarm, agent, session, config, nothing)
    return RemoteSwarm(Wire(client, context, durability), why=why)


def _now_ms() -> int:
    return int(time.time() * 1000)
