"""Engines: what a database must be able to do for the services, and how one is opened.

An engine knows statements and transactions and nothing of agents or memory. A statement is named
(`engine/sql/*.sql`) and takes named parameters. `Tx` and `Engine` share `one`, `all`, `read` and
`write`, so a service works the same on an engine (one transaction per call) and inside a
transaction that somebody else began.
"""

from __future__ import annotations

from swarm_memory.errors import EngineUnavailableError, InvalidArgumentError, SwarmMovedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, NoReturn, Protocol, TypeVar

    from swarm_memory.engine.postgres.look import Look

    Row = tuple[Any, ...]
    T = TypeVar("T")

    class Reader(Protocol):
        """Where single statements can be read; outside a transaction each is its own snapshot."""

        @property
        def alone(self) -> bool:
            """Whether each call is a transaction of its own; False in one that somebody began."""

        @property
        def now_ms(self) -> int:
            """The time by the store's clock; one value per transaction."""

        @property
        def uptime_ms(self) -> int:
            """The time by a clock of the store that nobody can set; for what must not jump."""

        def one(self, statement: str, /, **parameters: Any) -> Row | None:
            """Return the first row of a reading statement, or None."""

        def all(self, statement: str, /, **parameters: Any) -> list[Row]:
            """Return all rows of a reading statement."""

        def read(self, fn: Callable[[Tx], T], /, *, durable: bool = False) -> T:
            """Run `fn` on one consistent snapshot.

            `durable` makes sure that no power loss can undo what it saw (where the store is
            opened with full durability): for what leaves the store.
            """

        def write(
            self, fn: Callable[[Tx], T], /, *, durability: str | None = None, ahead: bool = False
        ) -> T:
            """Run `fn` in one transaction that commits when it returns and undoes when it raises.

            `fn` may run again after a conflict, so it must have no other effects. `durability` is
            one of DURABILITIES, or MACHINE. With `ahead` an engine may run it before its turn and
            see at the commit that what it read is still so: for few reads, and writes by `do`.
            """

        def write_one(
            self, statement: str, durability: str = "relaxed", /, **parameters: Any
        ) -> Row | None:
            """Run one writing statement as a transaction of its own; return its first row.

            It costs half of what `write` costs. `durability` may be MACHINE. It runs again if a
            server's answer is lost, so it must come out the same when it has been done already.
            In a transaction it is part of that.
            """

    class Ahead(Protocol):
        """What a transaction must know that runs ahead of its turn."""

        @property
        def newest_seen(self) -> int:
            """The newest number that an event had when it looked, or a little later one."""

        @property
        def unfolded(self) -> int:
            """How many events had not been added to the counters by then, or a few more."""

        def assure(self, statement: str, /, **parameters: Any) -> None:
            """Let it begin anew if this statement does not return one true value in its turn."""

        def in_turn(self) -> NoReturn:
            """Let it begin anew in its turn, since what it must know cannot be said before."""

    class Tx(Reader, Protocol):
        """One transaction; `committed` turns true when it is, and stays false if it is undone.

        `ahead` is there in one that runs ahead of its turn.
        """

        committed: bool

        @property
        def ahead(self) -> Ahead | None: ...

        def do(self, statement: str, /, **parameters: Any) -> None:
            """Run a writing statement of which nobody asks what came; at the commit at last."""

        def run(self, statement: str, /, **parameters: Any) -> int:
            """Run a writing statement and return how many rows it changed."""

        def many(self, statement: str, rows: Iterable[dict[str, Any]], /) -> None:
            """Run a writing statement once per row."""

        def fence(self, up: bool) -> None:
            """Make what refuses writes of the swarms in the table `moved`, or take it away."""

        def schema_made(self) -> dict[str, str]:
            """Return the tables, indexes and views that were made, by name; see verify_schema."""

    class Engine(Reader, Protocol):
        """An open database."""

        @property
        def url(self) -> str:
            """Where it is, as somebody may open it again."""

        @property
        def durability(self) -> str:
            """What a write is without a word about it: "full" or "relaxed"."""

        @property
        def boot_id(self) -> int:
            """Another number after each start of the machine that `uptime_ms` counts from."""

        def touched(self) -> int:
            """Return a number that changes before a commit that writes records; 0 if unknown.

            As long as it stays, a record that was read after it was asked for is current.
            """

        def flush(self) -> None:
            """Make sure that no power loss can undo what has been committed until now."""

        def version(self) -> int:
            """Return a number that differs after any commit, by whatever process."""

        def wait(self, version: int, timeout_s: float) -> int:
            """Wait until `version` is no longer the current one; return the current one.

            A wake-up may come late or for nothing, never not at all.
            """

        def usage(self) -> dict[str, int]:
            """Return file_bytes, wal_bytes, free_bytes and page_bytes of the database."""

        def wear(self) -> dict[str, int]:
            """Return what upkeep would find, partly estimated: free_bytes (of dead_rows, too),
            slack_bytes inside pages in use, stale_tables whose statistics do not fit, and wait_ms,
            which giving space back may keep others waiting for.
            """

        def analyse(self) -> None:
            """Refresh the statistics that statements are planned by, where they are stale."""

        def give_back(self, *, free_ratio: float, within_s: float) -> int:
            """Give free space back if it is more than `free_ratio` of all; return the bytes.

            It begins nothing that keeps others waiting for longer than `within_s` seconds (or one
            second, for what is small), and nothing after that time.
            """

        def maintain(self) -> int:
            """Give free space back and refresh statistics; return the bytes saved."""

        def of(self, swarm: str) -> Engine:
            """Return the engine of the store that another swarm lives in; often this one."""

        def close(self) -> None:
            """Close; a second call does nothing."""


DURABILITIES = ("full", "relaxed")
# For what may be lost together with all who know of it: not synced where those are processes of
# the machine whose power fails, but as safe as the store is where they are elsewhere.
MACHINE = "machine"
POSTGRES = ("postgresql", "postgres")


def open_engine(
    url: str,
    *,
    durability: str = "full",
    clock: Any = None,
    busy_timeout_s: float = 30.0,
    failpoint: str | None = None,
    swarm: str | None = None,
) -> Engine:
    """Open the database that `url` names, creating and migrating it as needed.

    `sqlite:///relative.db`, `sqlite:////absolute.db` and `sqlite:///:memory:`, or
    `postgresql://user@host/database` as libpq takes it; `routes:FILE` or `routes:postgresql://…`
    is the store that routes name for `swarm`, and follows that when it moves. With `swarm` a store
    that this one does not live in is refused. `failpoint` is for tests: where this process is to
    die (see `engine.sync.FAILPOINTS`).

    Raises:
        SwarmMovedError: The swarm lives in another store.
        InvalidArgumentError: The URL or the durability is none that is known.
        SchemaError: The database belongs to somebody else or to newer code.
        EngineUnavailableError: It cannot be opened.
    """
    if durability not in DURABILITIES:
        raise InvalidArgumentError(f"durability {durability!r}", hint='"full" or "relaxed"')
    if failpoint:
        from swarm_memory.engine.sync import arm

        arm(failpoint)

    def open_store(url: str) -> Engine:
        return _open_store(url, durability, clock, busy_timeout_s)

    if url.startswith("routes:"):
        from swarm_memory.engine.routed import open_routed

        return open_routed(url, swarm or "default", open_store)
    store = open_store(url)
    if swarm is not None:
        try:
            _refuse_moved(store, swarm)
        except BaseException:
            store.close()
            raise
    return store


def _refuse_moved(store: Engine, swarm: str) -> None:
    row = store.one("moved_get", swarm=swarm)
    if row is not None:
        raise SwarmMovedError(swarm, row[1], state=row[0], move=row[2])


def _open_store(url: str, durability: str, clock: Any, busy_timeout_s: float) -> Engine:
    scheme, separator, rest = url.partition("://")
    if scheme in POSTGRES:
        return _open_postgres(url, durability, clock, busy_timeout_s)
    if separator and scheme != "sqlite":
        raise InvalidArgumentError(
            f"no engine for {scheme}://", hint="use sqlite:///relative.db or postgresql://host/name"
        )
    path = rest.removeprefix("/") if separator else url
    if not path:
        raise InvalidArgumentError(f"{url!r} names no file", hint="use sqlite:///memory.db")
    from swarm_memory.clock import SystemClock

    clock = clock or SystemClock()
    if path == ":memory:":
        from swarm_memory.engine.memory import MemoryEngine

        return MemoryEngine(durability=durability, clock=clock, busy_timeout_s=busy_timeout_s)
    from swarm_memory.engine.sqlite import SqliteEngine

    return SqliteEngine(path, durability=durability, clock=clock, busy_timeout_s=busy_timeout_s)


class _driver:
    """Says what to install if the driver of PostgreSQL is not there."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, ImportError):
            raise EngineUnavailableError(
                f"the driver of PostgreSQL cannot be loaded: {error}",
                hint="pip install 'swarm-memory[postgres]'",
            ) from error


def _open_postgres(url: str, durability: str, clock: Any, busy_timeout_s: float) -> Engine:
    with _driver():
        from swarm_memory.engine.postgres import PostgresEngine
    return PostgresEngine(url, durability=durability, clock=clock, busy_timeout_s=busy_timeout_s)


def look_at_server(url: str) -> Look:
    """Return what is on a server, making nothing; see `engine.postgres.look`.

    Raises:
        EngineUnavailableError: The driver is not installed, or the server cannot be reached.
    """
    with _driver():
        from swarm_memory.engine.postgres.look import look
    return look(url)
