"""Sessions: who acts, for as long as somebody renews it; what a session holds ends with it.

A logical session is a name that any process may act for and renew, such as one conversation of an
agent, of which every tool call is a process of its own: that a process exits ends nothing. A
process session belongs to one process and ends with it.

A session is active until it is ended or its time to live is over. Then it has lapsed: it cannot
be renewed any more, only begun anew, and whoever comes by (`begin`, `list`, `get`, `reap`) ends
it. Leases, messages in hand and running agents of a session end in the transaction that ends it,
so no two sessions ever hold the same, and a live one loses nothing.

Time is counted by the clock that nobody can set. A process session ends with the machine. A
logical one outlives its restart: what is left to it by the wall clock then, at most its whole
time to live, is counted on from the first look at it.

All writes are relaxed: what a power loss undoes is a renewal, which shortens a life, or an end,
which then comes when the time to live is over.
"""

from __future__ import annotations

from swarm_memory.checks import check_name, check_number, check_whole
from swarm_memory.codec import decode, encode
from swarm_memory.errors import InvalidArgumentError, NotFoundError
from swarm_memory.identity import SHORT_MIN, short_names
from swarm_memory.key import KEY_END
from swarm_memory.lives import (
    ACTIVE,
    ENDED,
    KINDS,
    LAPSED,
    LOGICAL,
    PROCESS,
    STATES,
    Held,
    Life,
    Now,
    Session,
    shown_agent,
)
from swarm_memory.processes import this_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable
    from typing import TypeVar

    from swarm_memory.context import Context
    from swarm_memory.engine import Engine, Reader, Row, Tx
    from swarm_memory.lives import Agent
    from swarm_memory.model import Json

    T = TypeVar("T")
    Free = Callable[[Tx, str], object]
    Gone = set[tuple[str, str | None]]

# A logical session has to outlast a pause between two prompts, a process session two heartbeats.
TTL_S = {LOGICAL: 3600.0, PROCESS: 30.0}
TTL_S_MIN, TTL_S_MAX = 0.1, 2_592_000.0
TOUCH_SHARE = 1 / 3  # of its time to live has to be gone before a session is renewed
NAME_BYTES_MAX = 100
ID_BYTES_MAX = 255  # of an agent's id or type
ABOUT_BYTES_MAX = 16 * 1024
REASON_BYTES_MAX = 1024
REAP_MAX = 100  # sessions that one who comes by ends
LIST_LIMIT = 100


class Sessions:
    """The sessions of one swarm, on an engine or inside a transaction.

    Where a `session_id` may be left out, the session that the caller acts in is meant.

    Args:
        free: Ends what a session holds, within a transaction.
        engine: Tells the start of the machine.
    """

    __slots__ = ("_context", "_db", "_engine", "_free")

    def __init__(self, db: Reader, context: Context, engine: Engine, free: Free) -> None:
        self._db = db
        self._context = context
        self._engine = engine
        self._free = free

    def within(self, tx: Tx) -> Sessions:
        """Return these sessions bound to a transaction."""
        return Sessions(tx, self._context, self._engine, self._free)

    # --- life ---

    def begin(
        self,
        session_id: str | None = None,
        *,
        kind: str = LOGICAL,
        ttl_s: float | None = None,
        agent: str | None = None,
        about: dict[str, Json] | None = None,
    ) -> Session:
        """Begin a session, or renew it if it is active; one that is over begins anew.

        Calling again is harmless: `about` is added to what was said before, `ttl_s` replaces the
        time to live.

        Args:
            session_id: Any text of 1 to 100 bytes without NUL, one per swarm.
            kind: "logical", or "process" for one that only this process renews.
            ttl_s: Seconds until it lapses unless renewed, 0.1 to 30 days; by default what it has,
                or else one hour, 30 seconds for a process session.
            agent: Who begins it, by default the caller.
            about: A JSON object of up to 16 KiB, such as worktree, branch, cwd, source, parent.

        Raises:
            InvalidArgumentError: It is active as one of the other kind or of another process.

        Source:
            etcd client/v3/concurrency, Session; Burrows 2006, "The Chubby lock service".
        """
        if kind not in KINDS:
            raise InvalidArgumentError(f"kind {kind!r}", hint=" or ".join(KINDS))
        name = self._named(session_id)
        about = _checked(about)
        ttl_ms = None if ttl_s is None else _ttl_ms(ttl_s)
        said = {
            "kind": kind,
            "agent": check_name("agent", agent or self._context.agent, NAME_BYTES_MAX),
            "process": this_process() if kind == PROCESS else None,
        }
        gone = self._gone()

        def write(tx: Tx) -> Session:
            now = self._now(tx)
            self._reap(tx, now, gone, first=name)
            life = self._life(tx, name)
            if life is not None and life.state == ACTIVE:
                life.check_same(kind, said["process"])
                self._renew(tx, life, now, ttl_ms or life.ttl_ms, about)
            else:
                if life is None:
                    short = self._short(tx, name)
                else:
                    short = life.short
                    self._free(tx, name)  # somebody may have gone on in the name of the last life
                more = said | {"short": short, "about": _text(about)}
                self._start(tx, name, now, ttl_ms or round(1000 * TTL_S[kind]), more)
            return self._found(tx, name).shown(now)

        return self._write(write)

    def touch(self, session_id: str | None = None, *, share: float = TOUCH_SHARE) -> Session | None:
        """Renew a session for somebody who acts in it; None if it is not active: begin it then.

        Meant for every call of a hook: nothing is written before `share` of the time to live is
        gone, and then it is one statement.
        """
        name = self._named(session_id)
        now = self._now(self._db)
        life = self._life(self._db, name)
        left_ms = 0 if life is None else life.left_ms(now)
        if life is None or left_ms <= 0:
            return None
        if left_ms > (1 - share) * life.ttl_ms and life.boot_id == now.boot_id:
            return life.shown(now)
        row = self._db.write_one("session_touch", **self._at(name), **_clocks(now))
        return None if row is None else Life._make(row).shown(now)

    def end(self, session_id: str | None = None, *, reason: str | None = None) -> bool:
        """End a session and free all that is held in its name; False if it was over already.

        Args:
            reason: Why, up to 1024 bytes.
        """
        name = self._named(session_id)
        if reason is not None:
            check_name("reason", reason, REASON_BYTES_MAX)
        gone = self._gone()

        def write(tx: Tx) -> bool:
            now = self._now(tx)
            life = self._life(tx, name)
            if life is None or life.state != ACTIVE:
                self._free(tx, name)  # somebody may have gone on in its name
                return False
            over = _is_over(life, now, gone)
            self._end(tx, life, now, *((LAPSED, life.cause(now)) if over else (ENDED, reason)))
            return not over

        return self._write(write)

    def reap(self) -> int:
        """End the sessions that have lapsed, up to 100; return how many.

        Those of killed processes are among them, without their time to live being over, where
        they ran on this machine and the system tells. Nothing is written if there is none.
        """
        lives = self._active(self._db)
        now, gone = self._now(self._db), _gone(lives, self._engine.boot_id)
        if all(life.boot_id == now.boot_id and not _is_over(life, now, gone) for life in lives):
            return 0
        return self._write(lambda tx: self._reap(tx, self._now(tx), gone))

    def prune(self) -> int:
        """Forget the sessions that ended `event_retention_s` ago; return how many."""
        age_ms = round(1000 * self._context.config.event_retention_s)

        def write(tx: Tx) -> int:
            where = {"swarm": self._context.swarm, "at_ms": tx.now_ms - age_ms}
            tx.run("session_prune_agents", **where)
            return tx.run("session_prune", **where)

        return self._write(write)

    # --- looking ---

    def get(self, session_id: str | None = None) -> Session:
        """Return a session, by its id or its short name, and what it holds.

        Raises:
            NotFoundError: There is none.
        """
        name = self._named(session_id)
        self.reap()

        def read(tx: Tx) -> Session:
            called = tx.one("session_called", swarm=self._context.swarm, short=name)
            life = self._life(tx, name)
            if life is None and called is not None:
                life = Life._make(called)
            if life is None:
                raise _unknown(name)
            now = self._now(tx)
            held = self._held(tx, now, life.session_id)
            return life.shown(now, held.get(life.session_id, Held()))

        return self._db.read(read)

    def list(self, state: str | None = None, *, limit: int = LIST_LIMIT) -> builtins.list[Session]:
        """Return sessions and what they hold: the active ones first, then the last renewed.

        Args:
            state: Only "active", "lapsed" or "ended" ones.
        """
        if state is not None and state not in STATES:
            raise InvalidArgumentError(f"state {state!r}", hint=" or ".join(STATES))
        check_whole("limit", limit, 1, self._context.config.batch_rows_max)
        self.reap()

        def read(tx: Tx) -> builtins.list[Session]:
            now = self._now(tx)
            held = self._held(tx, now, "")
            where = {"swarm": self._context.swarm, "state": state or "", "limit": limit}
            lives = [Life._make(row) for row in tx.all("session_list", **where)]
            return [life.shown(now, held.get(life.session_id, Held())) for life in lives]

        return self._db.read(read)

    # --- agents ---

    def ended_since(self, reader: str, *, limit: int, old_ms: int) -> builtins.list[Session]:
        """Return sessions that ended after those that a reader has seen, the longest ended first.

        Args:
            reader: The name of the fact by which `seen_ended` keeps how far it is.
            limit: How many; those that ended in the same moment as the last one come along.
            old_ms: Those that ended so many milliseconds ago are passed over.
        """

        def read(tx: Tx) -> builtins.list[Session]:
            now = self._now(tx)
            where = {"swarm": self._context.swarm}
            seen = tx.one("fact_get", **where, name=reader)
            after_ms = max(seen[0] if seen else 0, now.wall_ms - old_ms)
            rows = tx.all("session_ended_since", **where, after_ms=after_ms, limit=limit)
            return [Life._make(row).shown(now) for row in rows]

        return self._db.read(read)

    def seen_ended(self, reader: str, last: Session) -> None:
        """Keep that a reader has seen the sessions that ended, up to this one."""
        where = {"swarm": self._context.swarm, "name": reader}
        self._write(lambda tx: tx.run("fact_raise", **where, value=last.ended_ms))

    def agent_started(
        self,
        session_id: str | None,
        agent_id: str,
        agent_type: str,
        parent: str | None = None,
    ) -> Agent:
        """Note that an agent runs within a session; said again, it counts once.

        One that has stopped runs again, as one that is resumed does.

        Args:
            agent_id: Unique within its session, and in no other.
            agent_type: What kind of agent it is; what was said first stays.
            parent: The `agent_id` of the agent that started it; None for the session's own.

        Raises:
            NotFoundError: There is no such session, or it is over.
        """
        name = self._named(session_id)
        check_name("agent_id", agent_id, ID_BYTES_MAX)
        check_name("agent_type", agent_type, ID_BYTES_MAX)
        if parent is not None:
            check_name("parent", parent, ID_BYTES_MAX)
        life = self._found(self._db, name)
        row = None
        if life.left_ms(self._now(self._db)) > 0:
            row = self._running(name, agent_id) or self._db.write_one(
                "agent_start",
                **self._at(name),
                agent_id=agent_id,
                agent_type=agent_type,
                parent=parent,
                now_ms=self._db.now_ms,
            )
        if row is None:
            raise NotFoundError(f"session {name!r} is over", hint="begin it first")
        return shown_agent(life.short, row)

    def agent_stopped(self, session_id: str | None, agent_id: str) -> bool:
        """Note that an agent of a session has stopped; False if it did not run."""
        name = self._named(session_id)
        check_name("agent_id", agent_id, ID_BYTES_MAX)
        life = self._life(self._db, name)
        if life is None or life.left_ms(self._now(self._db)) <= 0:
            return False  # its agents have ended with it
        if self._running(name, agent_id) is None:
            return False
        where = self._at(name) | {"agent_id": agent_id, "now_ms": self._db.now_ms}
        return self._db.write_one("agent_stop", **where) is not None

    def agents(
        self, session_id: str | None = None, *, limit: int = LIST_LIMIT
    ) -> builtins.list[Agent]:
        """Return the agents of a session, also those that have stopped, in order of their start.

        Raises:
            NotFoundError: There is no such session.
        """
        check_whole("limit", limit, 1, self._context.config.batch_rows_max)
        name = self._named(session_id)

        def read(tx: Tx) -> builtins.list[Agent]:
            short = self._found(tx, name).short
            rows = tx.all("agent_list", **self._at(name), limit=limit)
            return [shown_agent(short, row) for row in rows]

        return self._db.read(read)

    # --- steps, each inside a transaction ---

    def _reap(self, tx: Tx, now: Now, gone: Gone, first: str = "") -> int:
        """End what is over, the session `first` in any case; count on who outlived a restart."""
        ended = 0
        for life in sorted(self._active(tx), key=lambda life: life.session_id != first):
            if _is_over(life, now, gone):
                if ended < REAP_MAX:
                    self._end(tx, life, now, LAPSED, life.cause(now))
                    ended += 1
            elif life.boot_id != now.boot_id:
                until = {"boot_id": now.boot_id, "expires_ms": now.uptime_ms + life.left_ms(now)}
                tx.run("session_carry", **self._at(life.session_id), **until)
        return ended

    def _start(self, tx: Tx, name: str, now: Now, ttl_ms: int, said: dict[str, Json]) -> None:
        tx.run(
            "session_begin",
            **self._at(name),
            **said,
            ttl_ms=ttl_ms,
            boot_id=now.boot_id,
            expires_ms=now.uptime_ms + ttl_ms,
            now_ms=now.wall_ms,
        )

    def _renew(self, tx: Tx, life: Life, now: Now, ttl_ms: int, about: dict[str, Json]) -> None:
        text = _text(decode(life.about.encode()) | about)
        at = self._at(life.session_id)
        tx.run("session_renew", **at, **_clocks(now), ttl_ms=ttl_ms, about=text)

    def _end(self, tx: Tx, life: Life, now: Now, state: str, reason: str | None) -> None:
        at = self._at(life.session_id)
        tx.run("session_end", **at, state=state, reason=reason, now_ms=now.wall_ms)
        tx.run("session_end_agents", **at, now_ms=now.wall_ms)
        self._free(tx, life.session_id)

    def _short(self, tx: Tx, name: str) -> str:
        """Return a short name that no session of the swarm has."""
        low = next(short_names(name))[:SHORT_MIN]
        span = {"low": low, "high": low + KEY_END}
        taken = {row[0] for row in tx.all("session_shorts", swarm=self._context.swarm, **span)}
        return next(short for short in short_names(name) if short not in taken)

    # --- looking ---

    def _life(self, db: Reader, name: str) -> Life | None:
        row = db.one("session_get", **self._at(name))
        return None if row is None else Life._make(row)

    def _found(self, db: Reader, name: str) -> Life:
        life = self._life(db, name)
        if life is None:
            raise _unknown(name)
        return life

    def _active(self, db: Reader) -> builtins.list[Life]:
        return [Life._make(row) for row in db.all("session_active", swarm=self._context.swarm)]

    def _gone(self) -> Gone:
        return _gone(self._active(self._db), self._engine.boot_id)

    def _held(self, tx: Tx, now: Now, session_id: str) -> dict[str, Held]:
        clocks = {"uptime_ms": now.uptime_ms, "now_ms": now.wall_ms}
        rows = tx.all("session_held", **self._at(session_id), **clocks)
        return {session: Held(*counts) for session, *counts in rows}

    def _running(self, name: str, agent_id: str) -> Row | None:
        row = self._db.one("agent_get", **self._at(name), agent_id=agent_id)
        return row if row is not None and row[-1] is None else None

    # --- small things ---

    def _now(self, db: Reader) -> Now:
        return Now(self._engine.boot_id, db.uptime_ms, db.now_ms)

    def _at(self, session_id: str) -> dict[str, str]:
        return {"swarm": self._context.swarm, "session_id": session_id}

    def _named(self, session_id: str | None) -> str:
        if session_id is None:
            session_id = self._context.session
        if session_id is None:
            raise InvalidArgumentError("no session", hint="name one, or open the store in one")
        return check_name("session", session_id, NAME_BYTES_MAX)

    def _write(self, fn: Callable[[Tx], T]) -> T:
        if self._db is not self._engine:
            return self._db.write(fn)
        return self._db.write(fn, durability="relaxed")


def _is_over(life: Life, now: Now, gone: Gone) -> bool:
    return life.left_ms(now) <= 0 or (life.session_id, life.process) in gone


def _gone(lives: list[Life], boot_id: int) -> Gone:
    return {(life.session_id, life.process) for life in lives if life.is_gone(boot_id)}


def _clocks(now: Now) -> dict[str, int]:
    return {"boot_id": now.boot_id, "uptime_ms": now.uptime_ms, "now_ms": now.wall_ms}


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(f"there is no session {name!r}", hint="list them first")


def _ttl_ms(ttl_s: float) -> int:
    check_number("ttl_s", ttl_s, TTL_S_MIN, TTL_S_MAX, "seconds, and renew it")
    return round(ttl_s * 1000)


def _checked(about: dict[str, Json] | None) -> dict[str, Json]:
    if about is not None and not isinstance(about, dict):
        raise InvalidArgumentError("about is no dict", hint="give an object or nothing")
    _text(about or {})
    return about or {}


def _text(about: dict[str, Json]) -> str:
    return encode(about, bytes_max=ABOUT_BYTES_MAX).decode()
