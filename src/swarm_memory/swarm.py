"""The composition root: opens a store and puts the services together."""

from __future__ import annotations

import os

from swarm_memory import config as configuration
from swarm_memory.cache import Cache
from swarm_memory.checks import check_name
from swarm_memory.codec import Compressor, decode, encode
from swarm_memory.context import Context, new_id
from swarm_memory.engine import open_engine
from swarm_memory.errors import CorruptValueError, EngineUnavailableError, NotFoundError
from swarm_memory.events import Events
from swarm_memory.locate import followed, locate, prepare
from swarm_memory.meter import Meter
from swarm_memory.model import Record
from swarm_memory.once import digest_of, once
from swarm_memory.records import Records
from swarm_memory.rows import unseal_dictionary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Any, Self, TypeVar

    from swarm_memory.backup import Backup
    from swarm_memory.briefing import Briefing
    from swarm_memory.callers import Callers
    from swarm_memory.config import Config
    from swarm_memory.conflicts import Conflicts
    from swarm_memory.dispatch import Dispatcher
    from swarm_memory.edits import Edits
    from swarm_memory.engine import Engine, Tx
    from swarm_memory.forecast import Forecast
    from swarm_memory.health import Health
    from swarm_memory.integrity import VerifyReport
    from swarm_memory.journal import Journal
    from swarm_memory.keeper import Keeper
    from swarm_memory.leases import Leases
    from swarm_memory.memories import Memories
    from swarm_memory.messages import Messages
    from swarm_memory.model import Event, Json
    from swarm_memory.monitor import Monitor
    from swarm_memory.monitor.alerts import Alerts
    from swarm_memory.optimizing import Optimizer
    from swarm_memory.outcomes import Outcomes
    from swarm_memory.overview import Overview
    from swarm_memory.practice import Practice
    from swarm_memory.retention import Retention
    from swarm_memory.search import Hits, Search
    from swarm_memory.sessions import Sessions
    from swarm_memory.tuning.tuner import Tuner

    T = TypeVar("T")
    Wrap = Callable[[str, Any], Any]
    Wrapper = Callable[["Swarm"], Wrap]

NAME_BYTES_MAX = 100  # leaves room for the rest of a key
DEFAULT_SWARM, DEFAULT_AGENT = "default", "main"


class Swarm:
    """One agent's door to the memory of one swarm.

    `records`, `leases`, `messages`, `events` and `outcomes` are the services; `transact` runs
    several of them in one transaction. Safe to share between threads.
    """

    def __init__(
        self,
        engine: Engine,
        context: Context,
        *,
        located_why: str = "",
        owner: bool = True,
        cache: Cache | None = None,
        meters: dict[str, Meter] | None = None,
    ) -> None:
        self._engine = engine
        self._owner = owner
        self.context = context
        self.why = located_why
        limit = context.config.cache_bytes_max
        self._cache = cache or (Cache(engine, limit) if limit else None)
        self._meters: dict[str, Meter] = {} if meters is None else meters
        if context.swarm not in self._meters:
            self._meters[context.swarm] = Meter(engine, context.swarm, self._cache, context.config)
        context.meter = self._meters[context.swarm]
        self.records = Records(engine, context, cache=self._cache)
        self.events = Events(engine, context, engine)
        self._later: dict[str, Any] = {}
        self._wrapper: Wrapper | None = None
        self._wrap: Wrap | None = None
        self._keeper: Keeper | None = None

    @classmethod
    def open(
        cls,
        url: str | None = None,
        *,
        agent: str = DEFAULT_AGENT,
        swarm: str = DEFAULT_SWARM,
        session: str | None = None,
        session_ttl_s: float | None = None,
        durability: str = "full",
        config_path: str | None = None,
        busy_timeout_s: float | None = None,
        clock: Any = None,
    ) -> Self:
        """Open the store at `url`, or the project's store, creating it as needed.

        Args:
            url: `sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite:///:memory:` or
                `postgresql://user@host/database`, or `http://host:port` of a server that keeps the
                store (its settings hold then, and SWARM_MEMORY_TOKEN is what it asks for), or
                `routes:FILE` or `routes:postgresql://…`,
                which says where the swarm lives; None finds the project's store (see `locate`).
            agent, swarm: Who acts, and in which swarm; 1 to 100 bytes each.
            session: The session that this belongs to, stored with what is written.
            session_ttl_s: Make it a session of this process, which a thread renews until `close`
                ends it; it lapses so many seconds after the process froze. Without a `session`
                it gets a name of its own. None only acts in a session: closing ends nothing.
            durability: "full" survives power loss; "relaxed" is faster and may lose the last
                moments before one, but nothing when a process dies.
            config_path: A file of the form of `memory_schema.json` with overrides.
            busy_timeout_s: Wait no longer than this for other writers, whatever the setting says.

        Raises:
            ConfigError, SchemaError, EngineUnavailableError, InvalidArgumentError.
            SwarmMovedError: The swarm lives in another store, which the error names.
        """
        check_name("agent", agent, NAME_BYTES_MAX)
        check_name("swarm", swarm, NAME_BYTES_MAX)
        if session is not None:
            check_name("session", session, NAME_BYTES_MAX)
        environment = os.environ
        config_path = config_path or environment.get("SWARM_MEMORY_CONFIG")
        config = configuration.load_config(config_path, environment)
        if config.alerts:
            from swarm_memory.monitor.rules import rules_of

            rules_of(config)  # a mistake in them is told now, and not by the first sample
        if config.alert_webhook:
            from swarm_memory.monitor.webhook import webhook_of

            webhook_of(config)
        for sentence in configuration.unknown_variables(environment):
            import warnings

            warnings.warn(sentence, stacklevel=2)
        located = locate(url, os.getcwd(), environment)
        if located.url.startswith(("http://", "https://")):
            remote: Any = _open_remote(
                located.url,
                agent=agent,
                swarm=swarm,
                session=session,
                session_ttl_s=session_ttl_s,
                durability=durability,
                patience_s=config.busy_timeout_s if busy_timeout_s is None else busy_timeout_s,
                token=environment.get("SWARM_MEMORY_TOKEN") or None,
                why=located.why,
            )
            if remote.context.session is not None and session_ttl_s is not None:
                remote._keep(remote.context.session, session_ttl_s)
            return remote  # type: ignore[no-any-return]
        prepare(located)
        engine = open_engine(
            located.url if url else followed(located.url),
            durability=durability,
            clock=clock,
            busy_timeout_s=min(busy_timeout_s or config.busy_timeout_s, config.busy_timeout_s),
            failpoint=environment.get("SWARM_MEMORY_FAILPOINT"),
            swarm=swarm,
        )
        if session is None and session_ttl_s is not None:
            session = f"process-{new_id(engine.now_ms)}"
        context = Context(swarm, agent, session, config, _compressor(engine, swarm, config))
        opened = cls(engine, context, located_why=located.why)
        if session is not None and session_ttl_s is not None:
            opened._keep(session, session_ttl_s)
        return opened

    def _keep(self, session: str, ttl_s: float) -> None:
        from swarm_memory.keeper import Keeper

        try:
            self._keeper = Keeper(self.sessions, session, ttl_s)
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """The URL of the open store."""
        return self._engine.url

    @staticmethod
    def protocol_of(path: str) -> str:
        """Return how durable commits to a file at `path` are synced: "shared" or "direct"."""
        from swarm_memory.engine.sync import protocol

        return protocol(os.path.realpath(path))

    @property
    def config(self) -> Config:
        """The settings and categories that hold."""
        return self.context.config

    def as_agent(
        self,
        agent: str,
        *,
        swarm: str | None = None,
        session: str | None = None,
        origin: dict[str, Json] | None = None,
    ) -> Swarm:
        """Return another agent's door to the same open store; closing that closes nothing.

        `origin` is added to the provenance of all records that are written through it.
        """
        check_name("agent", agent, NAME_BYTES_MAX)
        mine = self.context
        compressor, engine, cache = mine.compressor, self._engine, self._cache
        if swarm is not None and swarm != mine.swarm:
            check_name("swarm", swarm, NAME_BYTES_MAX)
            engine, cache = engine.of(swarm), None  # what is read is the same for all agents of one
            compressor = _compressor(engine, swarm, mine.config)
        context = Context(swarm or mine.swarm, agent, session, mine.config, compressor, origin)
        made = Swarm(
            engine,
            context,
            located_why=self.why,
            owner=False,
            cache=cache,
            meters=self._meters,
        )
        if self._wrapper is not None:
            made.wrap(self._wrapper)
        return made

    def wrap(self, wrapper: Wrapper) -> None:
        """Let `wrapper(self)` say what stands in for a service, from now on.

        It is a function of a service's name and the service, and is asked about "records",
        "finder" and "memories"; the doors of other agents that are made from here on have it, too.
        For telemetry, of which the services know nothing.
        """
        self._wrapper = wrapper
        self._wrap = wrapper(self)
        self.records = self._wrap("records", getattr(self.records, "wrapped", self.records))
        self._later.pop("finder", None)

    # The services below are made when they are first used: a hook needs few of them, and each
    # one that is not imported makes it faster.

    @property
    def leases(self) -> Leases:
        """Locks with a time to live, in this swarm."""
        if "leases" not in self._later:
            made = self._make_leases()
            made.begin_boot(self._engine.boot_id)
            self._later["leases"] = made
        leases: Leases = self._later["leases"]
        return leases

    def leases_within(self, tx: Tx) -> Leases:
        """Return the leases bound to a transaction."""
        if "leases" in self._later:
            return self.leases.within(tx)
        bound = self._make_leases().within(tx)
        bound.begin_boot(self._engine.boot_id)
        return bound

    def _make_leases(self) -> Leases:
        from swarm_memory.leases import Leases

        return Leases(self._engine, self.context, self._engine)

    @property
    def messages(self) -> Messages:
        """Messages between the agents of this swarm."""
        if "messages" not in self._later:
            from swarm_memory.messages import Messages

            self._later["messages"] = Messages(self._engine, self.context, self._engine)
        messages: Messages = self._later["messages"]
        return messages

    @property
    def sessions(self) -> Sessions:
        """Who acts for how long, and what ends when it ends."""
        from swarm_memory.sessions import Sessions

        return Sessions(self._engine, self.context, self._engine, self._free_session)

    def _free_session(self, tx: Tx, session: str) -> None:
        self.leases_within(tx).end_session(session)
        self.messages.within(tx).end_session(session)
        self.edits.within(tx).end_session(session)

    @property
    def edits(self) -> Edits:
        """Which agent is changing which file."""
        from swarm_memory.edits import Edits

        return Edits(self._engine, self.context, self._engine)

    @property
    def forecast(self) -> Forecast:
        """How likely others are to touch a file or a key, and how to share tasks out."""
        from swarm_memory.forecast import Forecast

        return Forecast(self._engine, self.context)

    @property
    def briefing(self) -> Briefing:
        """What agents are shown, and the log of it."""
        from swarm_memory.briefing import Briefing

        return Briefing(self, self._engine)

    @property
    def overview(self) -> Overview:
        """What a person looks at to see what the swarm does."""
        from swarm_memory.overview import Overview

        return Overview(self, self._engine)

    @property
    def practice(self) -> Practice:
        """What is learned from the operations that hooks recorded."""
        from swarm_memory.practice import Practice

        return Practice(self, self._engine)

    def dispatcher(self, topic: str | None = None) -> Dispatcher:
        """Return a worker that calls functions by the type of the messages it claims."""
        from swarm_memory.dispatch import Dispatcher

        return Dispatcher(self.messages, topic)

    @property
    def outcomes(self) -> Outcomes:
        """How tasks ended, and what to try next."""
        if "outcomes" not in self._later:
            from swarm_memory.outcomes import Outcomes

            self._later["outcomes"] = Outcomes(self._engine, self.context)
        outcomes: Outcomes = self._later["outcomes"]
        return outcomes

    @property
    def conflicts(self) -> Conflicts:
        """Writes that met another one, and what became of them."""
        from swarm_memory.conflicts import Conflicts

        return Conflicts(self._engine, self.context)

    def resolve_conflict(
        self, conflict_id: str, value: Json, *, op_id: str | None = None
    ) -> Record:
        """Settle a parked conflict: write `value` to its key and close it, in one transaction.

        `op_id` makes a retry apply once and return the first result.

        Raises:
            NotFoundError: There is no such conflict, or somebody settled it already.
        """

        def settle(tx: Transaction) -> dict[str, Json]:
            conflicts = self.conflicts.within(tx.tx)
            conflict = conflicts.get(conflict_id)
            if not conflicts.close(conflict_id, value):
                raise NotFoundError(
                    f"conflict {conflict_id!r} is settled already", hint="read the record"
                )
            return tx.records.put(conflict.key, value).to_dict()

        return Record(**self.transact(settle, op_id=op_id, about=[conflict_id, value]))

    @property
    def finder(self) -> Search:
        """What `search` asks, and its index."""
        if "finder" not in self._later:
            from swarm_memory.search import Search

            made = Search(self._engine, self.context)
            self._later["finder"] = made if self._wrap is None else self._wrap("finder", made)
        finder: Search = self._later["finder"]
        return finder

    def search(
        self,
        query: str,
        *,
        prefix: str = "",
        limit: int = 10,
        author: str | None = None,
        since: int | None = None,
        min_score: float = 0.0,
    ) -> Hits:
        """Return up to `limit` records that answer a question, best first; see `Search.search`."""
        return self.finder.search(
            query, prefix=prefix, limit=limit, author=author, since=since, min_score=min_score
        )

    @property
    def memories(self) -> Memories:
        """What agents store to be found again, and what replaces it."""
        from swarm_memory.memories import Memories

        made = Memories(self)
        if self._wrap is not None:
            made = self._wrap("memories", made)
        return made

    @property
    def journal(self) -> Journal:
        """What agents decide and share: every entry is kept."""
        from swarm_memory.journal import Journal

        return Journal(self)

    @property
    def callers(self) -> Callers:
        """Who makes a call that does not say so itself."""
        from swarm_memory.callers import Callers

        return Callers(self)

    @property
    def health(self) -> Health:
        """How the swarm's memory is doing."""
        from swarm_memory.health import Health

        return Health(self._engine, self.context)

    @property
    def monitor(self) -> Monitor:
        """Samples of the swarm, its trends and its alerts."""
        from swarm_memory.monitor import Monitor

        return Monitor(self, self._engine)

    @property
    def tuner(self) -> Tuner:
        """What adjusts the store's parameters by what was measured with them."""
        from swarm_memory.tuning.tuner import Tuner

        return Tuner(self, self._engine)

    @property
    def alerts(self) -> Alerts:
        """What is wrong, or was."""
        return self.monitor.alerts

    @property
    def retention(self) -> Retention:
        """Sweeping and packing."""
        from swarm_memory.retention import Retention

        return Retention(self._engine, self.context)

    @property
    def optimizer(self) -> Optimizer:
        """What would make the store smaller or faster, and doing it."""
        from swarm_memory.optimizing import Optimizer

        return Optimizer(self, self._engine)

    def watch(
        self, prefix: str = "", *, since: int | None = None, timeout_s: float | None = None
    ) -> Iterator[Event]:
        """Iterate over changes under `prefix` as they are committed; see `Events.watch`."""
        return self.events.watch(prefix, since=since, timeout_s=timeout_s)

    def read(self, fn: Callable[[Transaction], T], *, durable: bool = False) -> T:
        """Run `fn` with a handle whose services all see the store at one moment.

        `durable` makes sure that no power loss can undo what it saw: for what leaves the store.
        """
        return self._engine.read(lambda tx: fn(Transaction(tx, self)), durable=durable)

    def transact(
        self,
        fn: Callable[[Transaction], T],
        *,
        op_id: str | None = None,
        about: Json = None,
        durability: str | None = None,
    ) -> T:
        """Run `fn` with a handle whose services all share one transaction.

        It commits when `fn` returns and undoes everything when it raises. `fn` may run again, so
        it must have no other effects. With `op_id` it applies once: repeating the call returns
        what it returned first, which then has to be JSON (a tuple comes back as a list). The
        op_id belongs to the function's name and to `about`, JSON that says what it does it with.

        Raises:
            OpIdReusedError: The op_id was used for something else.
            InvalidValueError: With `op_id`, `fn` returned no JSON; nothing was written.
        """
        if op_id is None:
            return self._engine.write(lambda tx: fn(Transaction(tx, self)), durability=durability)
        digest = digest_of(["transact", getattr(fn, "__qualname__", ""), about])

        def dump(result: T) -> str:
            return encode(result, bytes_max=self.config.value_bytes_max).decode()

        def load(text: str) -> T:
            result: T = decode(text.encode())
            return result

        def apply(tx: Tx) -> T:
            return once(
                tx, self.context, op_id, digest, lambda tx: fn(Transaction(tx, self)), dump, load
            )

        return self._engine.write(apply, durability=durability)

    def tick(self) -> bool:
        """Do the duties that are due and that no other process has; tell if it did the daily ones.

        Every `monitor_interval_s` a sample is taken (see `monitor`), once a `cleanup_interval_s`
        the store is cleaned.
        """
        from swarm_memory.duties import tick

        return tick(self)

    def prune(self) -> int:
        """Forget what has ended or aged beside the records; return how many rows."""
        from swarm_memory.duties import prune

        return prune(self)

    def agents(self) -> list[str]:
        """Return the scopes (`agent-…`) of the agents that have a state."""
        rows = self._engine.all("usage_agents", swarm=self.context.swarm)
        return [row[0] for row in rows]

    def waste(self) -> tuple[int, int]:
        """Return how many records have expired and how many bytes of the file are free."""
        rows = self._engine.one(
            "record_expired_count", swarm=self.context.swarm, now_ms=self._engine.now_ms
        )
        return (int(rows[0]) if rows else 0), self._engine.usage()["free_bytes"]

    def verify(self, *, progress: Callable[[int, int, str], object] | None = None) -> VerifyReport:
        """Check the whole store for damage, all swarms of it; see `integrity.verify_store`."""
        from swarm_memory.integrity import verify_store

        return verify_store(self, progress=progress)

    def backup(self, to: str, *, incremental: bool = False) -> Backup:
        """Back up the whole store, all swarms of it, to a file; see `backup.write_backup`."""
        from swarm_memory.backup import write_backup

        return write_backup(self, to, incremental=incremental)

    def backup_due(self, folder: str | None = None) -> Backup | None:
        """Make the backup whose time has come, if any; see `backup.run_due`."""
        from swarm_memory.backup import run_due

        return run_due(self, folder)

    def file_bytes(self) -> int:
        """Return the size of the store without its log."""
        return self._engine.usage()["file_bytes"]

    def maintain(self) -> int:
        """Give free space back to the file system; return the bytes."""
        return self._engine.maintain()

    def close(self) -> None:
        """Close the store and end this process's session; a second call does nothing."""
        if not self._owner:
            return
        keeper, self._keeper = self._keeper, None
        try:
            if keeper is not None:
                keeper.stop()
            for meter in [*self._meters.values()]:
                if meter.is_due:
                    meter.hand_in()
                else:
                    meter.spool()
        finally:
            self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Transaction:
    """The services of a swarm bound to one transaction, as `transact` gives them to a function."""

    def __init__(self, tx: Tx, swarm: Swarm) -> None:
        self.tx = tx
        self._swarm = swarm
        self.records = swarm.records.within(tx)
        self.events = swarm.events.within(tx)

    @property
    def now_ms(self) -> int:
        """The transaction's time."""
        return self.tx.now_ms

    @property
    def leases(self) -> Leases:
        """Leases in this transaction; they cannot wait here."""
        return self._swarm.leases_within(self.tx)

    @property
    def messages(self) -> Messages:
        """Messages sent here are seen when the transaction commits."""
        return self._swarm.messages.within(self.tx)

    @property
    def sessions(self) -> Sessions:
        """Sessions in this transaction."""
        return self._swarm.sessions.within(self.tx)

    @property
    def outcomes(self) -> Outcomes:
        """Outcomes in this transaction."""
        return self._swarm.outcomes.within(self.tx)


def _open_remote(url: str, **options: Any) -> Swarm:
    try:
        from swarm_memory.remote.swarm import open_remote
    except ImportError as error:
        raise EngineUnavailableError(
            f"the client of a server cannot be loaded: {error}",
            hint="pip install 'swarm-memory[http]'",
        ) from error
    return open_remote(url, **options)


def _compressor(engine: Engine, swarm: str, config: Config) -> Compressor:
    def load(number: int) -> bytes:
        row = engine.one("dictionary_get", swarm=swarm, number=number)
        if row is None:
            raise CorruptValueError(f"dictionary {number}", "it is missing from the store")
        return unseal_dictionary(swarm, number, row[0])

    def newest() -> int:
        row = engine.one("dictionary_newest", swarm=swarm)
        return int(row[0]) if row else 0

    return Compressor(load, newest, config.value_bytes_max)
