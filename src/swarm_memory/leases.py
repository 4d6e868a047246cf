"""Leases: locks with a time to live, taken in turn, with tokens that guard writes.

Everybody at a lease has a seat (a row): it holds, it waits in line, or it was granted its turn
and has a moment to claim it. Whoever writes to a lease first drops the seats that have lapsed and
then grants from the head of the line, so nobody who comes later overtakes, and a dead process
holds the line up for no longer than its time to live or its grace. Where nobody else is, the
first seat is taken and freed by one statement each.

Read leases admit each other; write and exclusive ones admit nobody else. Leases are not
reentrant: a second acquire by the same agent waits like anybody else's.

A name is any text, and names are in each other's way if they are the same. Names that begin with
`file:` are patterns of paths (see `patterns`), and are in each other's way if they overlap.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial
from itertools import groupby

from swarm_memory.checks import check_name, check_number, check_whole, fits
from swarm_memory.errors import (
    InvalidArgumentError,
    LeaseLostError,
    LimitExceededError,
    SwarmMemoryError,
)
from swarm_memory.lean import suppress
from swarm_memory.lines import Lines, new_holder, party, shown_ms
from swarm_memory.meter import metered
from swarm_memory.patterns import FILES, literal, normal, overlap
from swarm_memory.seats import (
    MODES,
    WAITING,
    Lease,
    Place,
    Seat,
    Wish,
    held_by,
    lost,
    milder_than,
    names_of,
    patterns_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TypeVar

    from swarm_memory.context import Context
    from swarm_memory.engine import Engine, Reader, Tx

    T = TypeVar("T")

NAME_BYTES_MAX = 1024
REASON_BYTES_MAX = 1024
TTL_S_DEFAULT, TTL_S_MIN, TTL_S_MAX = 30.0, 0.1, 3600.0
WAIT_S_MAX = 86_400.0
PATTERNS_MAX = 100
BEAT_S = 2.0  # a waiter shows that it is alive so often
LATE_SHARE = 0.05  # of its time to live may pass before a lease is returned
LOOK_S_MAX = 0.25  # look at the clock at least so often: nobody tells when a lease lapses
TURN_S = 0.001  # about how long one turn takes at least: who is far back need not see each change
TURNS_S_MAX = 0.05  # but never sleeps longer for it
NO_LIMIT = 2**62


class Leases:
    """The leases of one swarm, on an engine or inside a transaction.

    Args:
        engine: What to wait on for a change; None in a transaction, where nothing is waited for.
    """

    __slots__ = ("_context", "_db", "_engine", "_home", "_lines")

    def __init__(self, db: Reader, context: Context, engine: Engine | None = None) -> None:
        self._db = db
        self._context = context
        self._engine = engine
        self._home = self
        agent, session = context.agent, context.session
        owner = agent if session is None else f"{agent}/{session}"
        self._lines = Lines(self, context.swarm, owner, session)

    def within(self, tx: Tx) -> Leases:
        """Return these leases bound to a transaction.

        What is acquired there is held once the transaction has committed, and is released with
        `lease.release()` afterwards or with `leases.release(lease)` in another transaction.
        """
        bound = Leases(tx, self._context)
        bound._home = self._home
        bound._lines = self._lines
        return bound

    # --- taking ---

    @metered("acquire", writes=True)
    def acquire(
        self,
        name: str,
        mode: str = "exclusive",
        *,
        ttl_s: float = TTL_S_DEFAULT,
        wait_s: float | None = None,
        reason: str | None = None,
        given_up: Callable[[], bool] | None = None,
    ) -> Lease:
        """Take the lease `name`, waiting in line for up to `wait_s` seconds.

        One transaction takes it or takes a place in line: two owners never hold the same token,
        and tokens of one name only grow.

        Args:
            name: Any text of 1 to 1024 bytes without NUL.
            mode: "read" admits other readers; "write" and "exclusive" admit nobody else.
            ttl_s: Seconds until it lapses unless renewed, 0.1 to 3600, by the store's clock.
            wait_s: Seconds to wait; 0 asks once, None takes the setting `lock_timeout_s`. In a
                transaction nothing can be waited for, so None means 0 there.
            reason: What it is for, shown to those who wait; up to 1024 bytes.
            given_up: Asked at least every quarter of a second of the wait; once it says so, the
                wait is over. For callers that cannot stop a thread.

        Raises:
            LeaseHeldError: Somebody else holds it and the wait is over.
            DeadlockError: Waiting would close a cycle of threads, or of asyncio tasks, that wait
                for each other. Of those in the cycle the one that began to wait last gets this,
                and that is always the caller. A lease counts for the one that took it.
            LimitExceededError: 1000 are waiting already.

        Source:
            Gray and Cheriton 1989, "Leases". Waiting order: etcd client/v3/concurrency.
        """
        return self._acquire(self._wish(name, mode, ttl_s, reason), wait_s, (), given_up)

    def try_acquire(
        self,
        name: str,
        mode: str = "exclusive",
        *,
        ttl_s: float = TTL_S_DEFAULT,
        reason: str | None = None,
    ) -> Lease | None:
        """Take the lease `name` if that is possible at once, else return None."""
        taken = self._write_take(self._wish(name, mode, ttl_s, reason), queue=False)
        return taken if isinstance(taken, Lease) else None

    @contextmanager
    def hold(
        self,
        name: str,
        mode: str = "exclusive",
        *,
        ttl_s: float = TTL_S_DEFAULT,
        wait_s: float | None = None,
        reason: str | None = None,
    ) -> Iterator[Lease]:
        """Hold the lease `name` inside a `with`; see `acquire` and `Lease`."""
        lease = self.acquire(name, mode, ttl_s=ttl_s, wait_s=wait_s, reason=reason)
        with self._releasing([lease]):
            yield lease

    @contextmanager
    def hold_all(
        self,
        names: Iterable[str],
        mode: str = "exclusive",
        *,
        ttl_s: float = TTL_S_DEFAULT,
        wait_s: float | None = None,
        reason: str | None = None,
    ) -> Iterator[list[Lease]]:
        """Hold all of `names` inside a `with`, or none; see `acquire_all`."""
        leases = self.acquire_all(names, mode, ttl_s=ttl_s, wait_s=wait_s, reason=reason)
        with self._releasing(leases):
            yield leases

    def acquire_all(
        self,
        names: Iterable[str],
        mode: str = "exclusive",
        *,
        ttl_s: float = TTL_S_DEFAULT,
        wait_s: float | None = None,
        reason: str | None = None,
    ) -> builtins.list[Lease]:
        """Take all of `names`, or none; return the leases in the order of names.

        They are taken in one order by everybody, so two calls never wait for each other in a
        ring. What is held already is renewed while the rest is waited for; `wait_s` bounds the
        whole wait. A name that comes twice is taken once.
        """
        limit_s = self._wait_limit_s(wait_s)
        deadline = time.monotonic() + limit_s
        wishes = self._wishes(names, mode, ttl_s, reason)
        leases: list[Lease] = []
        try:
            for wish in wishes:
                left_s = max(0.0, deadline - time.monotonic()) if limit_s else 0.0
                lease = self._acquire(wish, left_s, leases)
                leases.append(lease)
                if len(names_of(wish.name, wish.pattern)) > 1:
                    leases[-1:] = self._write(partial(self._lines.split, wish=wish, lease=lease))
            if len(leases) > 1:
                self._write(lambda tx: self._lines.renew_all(tx, leases))
        except BaseException as error:
            with milder_than(error):
                self._release_all(leases)
            raise
        return leases

    # --- what is held ---

    def held(self, name: str, token: int) -> Lease:
        """Return the lease `name` that this agent holds in this session with `token`.

        For one who acts by many processes or calls, of which another took it.

        Raises:
            LeaseLostError: It is not held any more, or somebody else holds it.
        """
        check_whole("token", token, 0, 2**62)
        wish = self._wish(name, MODES[-1], TTL_S_DEFAULT, None)
        owner = self._lines.owner
        for seat in self._seats(wish.line, NO_LIMIT):
            if seat.name == wish.name and seat.token == token and seat.owner == owner:
                wish = wish._replace(holder=seat.holder, mode=seat.mode)
                return Lease(self._home, wish, owner, token, seat.expires_ms)
        raise LeaseLostError(f"{owner} does not hold lease {name!r} with token {token}")

    def renew(self, lease: Lease, ttl_s: float | None = None) -> None:
        """Begin the time to live of `lease` anew; see `Lease.renew`."""
        ttl_ms = _ttl_ms(lease.ttl_s if ttl_s is None else ttl_s)
        lease.expires_ms = self._write(lambda tx: self._lines.renew(tx, lease, ttl_ms))
        lease.ttl_s = ttl_ms / 1000

    @metered("release", writes=True)
    def release(self, lease: Lease) -> bool:
        """Give up `lease`; see `Lease.release`. In a transaction it counts once that commits."""
        if lease._released:
            return False
        alone = self._engine is not None and self._lines.free_alone(self._db, lease)
        if not alone and self._write(lambda tx: self._lines.free(tx, lease)):
            raise lost(lease)
        if self is self._home:  # a transaction may run again and has to release again
            lease._released = True
        return True

    def upgrade(
        self, lease: Lease, mode: str = "exclusive", *, wait_s: float | None = None
    ) -> None:
        """Turn a read lease into a write or exclusive one; see `Lease.upgrade`."""
        if mode not in MODES[1:]:
            raise InvalidArgumentError(f"mode {mode!r}", hint='upgrade to "write" or "exclusive"')
        if lease.mode != "read":
            return
        wish = self._wish(lease.name, mode, lease.ttl_s, None)._replace(upgrades=lease.holder)
        upgraded = self._acquire(wish, wait_s, [lease])
        for field in ("holder", "mode", "token", "expires_ms"):
            setattr(lease, field, getattr(upgraded, field))

    def end_session(self, session: str) -> int:
        """Free all that `session` holds or waits for; return how many seats that were."""

        def write(tx: Tx) -> int:
            where = {"swarm": self._context.swarm, "session": session}
            lines = [row[0] for row in tx.all("lease_session_lines", **where)]
            freed = tx.run("lease_session_end", **where) if lines else 0
            for line in lines:
                self._lines.settle(tx, line)
            return freed

        return self._write(write)

    def begin_boot(self, boot_id: int) -> None:
        """Free all seats if the machine has started anew since they were taken.

        Their holders have ended with it, and the clock that they were measured by began anew.
        `boot_id` is another number after each start, 0 if the system does not tell. Tokens stay.
        """
        where = {"swarm": "", "name": "boot_id"}

        def write(tx: Tx) -> None:
            if tx.one("fact_get", **where) != (boot_id,):
                tx.run("lease_free_all")
                tx.run("lease_drop_all")
                tx.run("fact_set", **where, value=boot_id)

        if boot_id and self._db.one("fact_get", **where) != (boot_id,):
            self._write(write)

    def prune(self) -> int:
        """Forget the names at which nobody is any more; return how many.

        Their tokens do not come again: the floor of all tokens is raised above them.
        """

        def write(tx: Tx) -> int:
            where = {"swarm": self._context.swarm, "now_ms": tx.uptime_ms}
            row = tx.one("lease_prune_span", **where)
            if row is None or row[0] is None:
                return 0
            tx.run("fact_raise", swarm=self._context.swarm, name="lease_token_floor", value=row[0])
            return tx.run("lease_prune", **where)

        return self._write(write)

    def list(self, name: str | None = None, *, limit: int = 1000) -> list[Seat]:
        """Return who holds and who waits, by name and place in line; of one name if given.

        Leases on paths stand together, in one order. Who waits for several paths at once is
        there once for each.
        """
        check_whole("limit", limit, 1, self._context.config.batch_rows_max)
        if name is None:
            return self._seats("", limit)[:limit]
        name, pattern = _named(name)
        if pattern is None:
            return self._seats(name, limit)
        return [seat for seat in self._seats(FILES, NO_LIMIT) if seat.name == name][:limit]

    def covering(self, path: str) -> builtins.list[Seat]:
        """Return who has reserved `path`, or waits for it, in their order.

        To be asked before an edit.

        Args:
            path: Relative to the project's root. Its characters mean themselves; with a slash at
                its end, all below it is asked for.

        Raises:
            InvalidArgumentError: It is no path below the root.
        """
        pattern = literal(check_name("path", path, NAME_BYTES_MAX))
        seats = self._seats(FILES, NO_LIMIT)
        return [seat for seat in seats if overlap(pattern, seat.name[len(FILES) :])]

    def _seats(self, line: str, limit: int) -> builtins.list[Seat]:
        def read(tx: Tx) -> list[Seat]:
            now_ms = tx.uptime_ms
            shown = tx.now_ms - now_ms
            where = {"swarm": self._context.swarm, "name": line, "now_ms": now_ms}
            return [
                Seat._make((each, *fields, since + shown, ends + shown, max(0, now_ms - since)))
                for name, *fields, since, ends, pattern in tx.all(
                    "lease_list", **where, limit=limit
                )
                for each in names_of(name, pattern)
            ]

        return self._db.read(read)

    # --- one acquire ---

    def _wish(self, name: str, mode: str, ttl_s: float, reason: str | None) -> Wish:
        if mode not in MODES:
            raise InvalidArgumentError(f"mode {mode!r}", hint=" or ".join(MODES))
        if reason is not None and not fits(reason, 0, REASON_BYTES_MAX):
            raise InvalidArgumentError(
                "reason", hint=f"text of up to {REASON_BYTES_MAX} bytes without NUL"
            )
        name, pattern = _named(name)
        return Wish(name, new_holder(), party(), mode, _ttl_ms(ttl_s), reason, None, pattern)

    def _wishes(
        self, names: Iterable[str], mode: str, ttl_s: float, reason: str | None
    ) -> builtins.list[Wish]:
        """Return one wish per line, in the order in which everybody takes them."""
        if isinstance(names, str):
            raise InvalidArgumentError(f"names {names!r}", hint="give a list of names")
        by_name = {wish.name: wish for wish in (self._wish(n, mode, ttl_s, reason) for n in names)}
        single = [by_name[name] for name in sorted(by_name, key=str.encode)]
        return [_together(list(wishes)) for _, wishes in groupby(single, lambda wish: wish.line)]

    def _wait_limit_s(self, wait_s: float | None) -> float:
        if wait_s is None:
            return self._context.config.lock_timeout_s if self._engine is not None else 0.0
        check_number("wait_s", wait_s, 0, WAIT_S_MAX, "seconds")
        if wait_s and self._engine is None:
            raise InvalidArgumentError(
                f"wait_s {wait_s} in a transaction, which sees one moment",
                hint="acquire before transact(), or pass wait_s=0",
            )
        return wait_s

    def _acquire(
        self,
        wish: Wish,
        wait_s: float | None,
        kept: Sequence[Lease],
        given_up: Callable[[], bool] | None = None,
    ) -> Lease:
        """Take what is wished for; `kept` are leases to renew while it is waited for."""
        limit_s = self._wait_limit_s(wait_s)
        taken = self._write_take(wish, queue=limit_s > 0)
        if not isinstance(taken, Lease) and limit_s > 0:
            taken = self._stand_in_line(wish, limit_s, kept, given_up or (lambda: False))
        if isinstance(taken, Lease):
            return taken
        raise held_by(wish, taken, partial(shown_ms, self._db))

    def _stand_in_line(
        self, wish: Wish, limit_s: float, kept: Sequence[Lease], given_up: Callable[[], bool]
    ) -> Lease | Place:
        """Wait until it is this waiter's turn; when the wait is over return who was in the way."""
        engine = self._engine
        if engine is None:
            raise InvalidArgumentError("a transaction does not wait", hint="pass wait_s=0")
        deadline = time.monotonic() + limit_s
        # What is kept must not lapse between two beats.
        beat_s = min([BEAT_S, *(lease.ttl_s / 3 for lease in kept)])
        beat = time.monotonic() + beat_s
        try:
            while True:
                # Before the look: a change right after it then ends the wait at once.
                seen = engine.version()
                before, pause_s = self._look(wish)
                now = time.monotonic()
                stays = now < deadline and not given_up()
                if pause_s <= 0 or now >= beat or not stays:
                    taken = self._write(partial(self._step, wish=wish, stays=stays, kept=kept))
                    if isinstance(taken, Lease) or not stays:
                        return taken
                    beat = now + beat_s
                    continue
                engine.wait(seen, min(pause_s, beat - now, deadline - now))
                if before > 1:
                    left_s = deadline - time.monotonic()
                    time.sleep(max(0.0, min(before * TURN_S, TURNS_S_MAX, left_s)))
        except BaseException:
            # If even this fails, the seat lapses by itself.
            with suppress(SwarmMemoryError):
                self._write(lambda tx: self._lines.leave(tx, wish))
            raise

    def _look(self, wish: Wish) -> tuple[int, float]:
        """Return how many stand before this waiter, and for how long it has nothing to do."""
        now_ms = self._db.uptime_ms
        where = {"swarm": self._context.swarm, "name": wish.line, "holder": wish.holder}
        row = self._db.one("lease_look", **where, now_ms=now_ms)
        state, before, expires_ms = row if row else (None, 0, None)
        if state != WAITING:
            return 0, 0.0  # it is our turn, or our place is gone
        if before:
            return before, LOOK_S_MAX  # what lapses is for the first in line to see to
        return 0, 0.0 if expires_ms is None else min(LOOK_S_MAX, (expires_ms - now_ms) / 1000)

    # --- writing ---

    def _write(self, fn: Callable[[Tx], T]) -> T:
        if self._engine is None:
            return self._db.write(fn)
        # Who holds it may not survive the loss of it: two would hold the same token.
        return self._db.write(fn, durability="machine")

    def _write_take(self, wish: Wish, *, queue: bool) -> Lease | Place:
        """Hold it at once, or else (`queue`) stand in line and return who is in the way."""
        alone = wish.upgrades is None
        if alone and self._engine is not None:
            lease = self._lines.take_alone(self._db, wish)
            if lease is not None and self._is_fresh(lease, wish):
                return lease

        def write(tx: Tx) -> Lease | Place:
            lease = self._lines.take_alone(tx, wish) if alone else None
            return lease or self._lines.take(tx, wish, queue)

        return self._write(write)

    def _is_fresh(self, lease: Lease, wish: Wish) -> bool:
        """Give a lease its whole time if taking it took long; False if it has lapsed by then."""
        if self._db.now_ms + wish.ttl_ms - lease.expires_ms > LATE_SHARE * wish.ttl_ms:
            try:
                self.renew(lease)
            except LeaseLostError:
                return False
        return True

    def _step(self, tx: Tx, wish: Wish, stays: bool, kept: Sequence[Lease]) -> Lease | Place:
        """Move on in line, or leave it, and renew what is kept meanwhile."""
        self._lines.renew_all(tx, kept)
        return self._lines.take(tx, wish, stays)

    @contextmanager
    def _releasing(self, leases: builtins.list[Lease]) -> Iterator[None]:
        """Release `leases`, whatever they are by then, at the end of the `with`."""
        try:
            yield
        except BaseException as error:
            with milder_than(error):
                self._release_all(leases)
            raise
        self._release_all(leases)

    def _release_all(self, leases: Sequence[Lease]) -> None:
        held = [lease for lease in reversed(leases) if not lease._released]
        gone = self._write(lambda tx: [lease for lease in held if self._lines.free(tx, lease)])
        for lease in held if self is self._home else ():
            lease._released = lease not in gone
        if gone:
            raise lost(gone[-1])


def _together(wishes: list[Wish]) -> Wish:
    """Return what takes all of one line at once, so that they are not in each other's way."""
    if len(wishes) == 1:
        return wishes[0]
    if len(wishes) > PATTERNS_MAX:
        raise LimitExceededError(
            "what is taken together",
            limit=PATTERNS_MAX,
            actual=len(wishes),
            unit="patterns",
            hint="reserve a tree instead: file:src/**",
        )
    name = ", ".join(wish.name for wish in wishes)
    pattern = "\n".join(each for wish in wishes for each in patterns_of(wish))
    return wishes[0]._replace(name=name, pattern=pattern)


def _named(name: str) -> tuple[str, str | None]:
    """Return the name and, if it is one of paths, their pattern, each in its one spelling."""
    check_name("lease name", name, NAME_BYTES_MAX)
    if not name.startswith(FILES):
        return name, None
    pattern = normal(name[len(FILES) :])
    return FILES + pattern, pattern


def _ttl_ms(ttl_s: float) -> int:
    check_number("ttl_s", ttl_s, TTL_S_MIN, TTL_S_MAX, "seconds, and renew it")
    return round(ttl_s * 1000)
