"""Leases: locks with a time to live, taken in turn, with tokens that guard writes.

Everybody at a lease has a seat (a row): it holds, it waits in line, or it was granted its turn
and has a moment to claim it. Whoever writes to a lease first drops the seats that have lapsed and
then grants from the head of the line, so nobody who comes later overtakes, and a dead process
holds the line up for no longer than its time to live or its grace. Where nobody else is, the
first seat is taken and freed by one statement each.

Read leases admit each other; write and exclusive ones admit nobody else. Leases are not
reentrant: a second acquire by the same agent waits like anybody else's.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from functools import partial

from swarm_memory.checks import check_name, check_number, check_whole, fits
from swarm_memory.errors import (
    DeadlockError,
    InvalidArgumentError,
    LeaseHeldError,
    LeaseLostError,
    LimitExceededError,
    SwarmMemoryError,
)
from swarm_memory.seats import (
    GRANTED,
    HELD,
    MODES,
    WAITING,
    Lease,
    Place,
    Seat,
    Wish,
    admits,
    check_upgrade,
    find_cycle,
    in_the_way,
    last_ticket,
    milder_than,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TypeVar

    from swarm_memory.context import Context
    from swarm_memory.engine import Engine, Reader, Row, Tx

    T = TypeVar("T")

NAME_BYTES_MAX = 1024
REASON_BYTES_MAX = 1024
TTL_S_DEFAULT, TTL_S_MIN, TTL_S_MAX = 30.0, 0.1, 3600.0
WAIT_S_MAX = 86_400.0
WAITERS_MAX = 1000
BEFORE_ALL = -1  # the ticket of an upgrade: there is at most one at a lease
GRACE_MS = 2000  # a granted waiter that has not claimed by then has lost its turn
ALIVE_MS = 6000  # a waiter that has not shown itself for so long has lost its place
BEAT_S = 2.0  # so it shows itself more often
LATE_SHARE = 0.05  # of its time to live may pass before a lease is returned
LOOK_S_MAX = 0.25  # look at the clock at least so often: nobody tells when a lease lapses
TURN_S = 0.001  # about how long one turn takes at least: who is far back need not see each change
TURNS_S_MAX = 0.05  # but never sleeps longer for it


class Leases:
    """The leases of one swarm, on an engine or inside a transaction.

    Args:
        engine: What to wait on for a change; None in a transaction, where nothing is waited for.
    """

    __slots__ = ("_context", "_db", "_engine", "_home", "_owner")

    def __init__(self, db: Reader, context: Context, engine: Engine | None = None) -> None:
        self._db = db
        self._context = context
        self._engine = engine
        self._home = self
        agent, session = context.agent, context.session
        self._owner = agent if session is None else f"{agent}/{session}"

    def within(self, tx: Tx) -> Leases:
        """Return these leases bound to a transaction.

        What is acquired there is held once the transaction has committed, and is released with
        `lease.release()` afterwards or with `leases.release(lease)` in another transaction.
        """
        bound = Leases(tx, self._context)
        bound._home = self._home
        return bound

    # --- taking ---

    def acquire(
        self,
        name: str,
        mode: str = "exclusive",
        *,
        ttl_s: float = TTL_S_DEFAULT,
        wait_s: float | None = None,
        reason: str | None = None,
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

        Raises:
            LeaseHeldError: Somebody else holds it and the wait is over.
            DeadlockError: Waiting would close a cycle. Of those in the cycle the one that began
                to wait last gets this, and that is always the caller.
            LimitExceededError: 1000 are waiting already.

        Source:
            Gray and Cheriton 1989, "Leases". Waiting order: etcd client/v3/concurrency.
        """
        return self._acquire(self._wish(name, mode, ttl_s, reason), wait_s, ())

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
        """Hold all of `names` inside a `with`, or none; yields the leases in the order of names.

        They are taken in one order by everybody, so two calls never wait for each other in a
        ring. What is held already is renewed while the rest is waited for; `wait_s` bounds the
        whole wait. A name that comes twice is taken once.
        """
        limit_s = self._wait_limit_s(wait_s)
        deadline = time.monotonic() + limit_s
        wishes = [self._wish(name, mode, ttl_s, reason) for name in _in_order(names)]
        leases: list[Lease] = []
        with self._releasing(leases):
            for wish in wishes:
                left_s = max(0.0, deadline - time.monotonic()) if limit_s else 0.0
                leases.append(self._acquire(wish, left_s, leases))
            if len(leases) > 1:
                self._write(lambda tx: self._renew_all(tx, leases))
            yield leases

    # --- what is held ---

    def renew(self, lease: Lease, ttl_s: float | None = None) -> None:
        """Begin the time to live of `lease` anew; see `Lease.renew`."""
        ttl_ms = _ttl_ms(lease.ttl_s if ttl_s is None else ttl_s)

        def write(tx: Tx) -> int:
            return self._renew(tx, lease, ttl_ms)

        lease.expires_ms = self._write(write)
        lease.ttl_s = ttl_ms / 1000

    def release(self, lease: Lease) -> bool:
        """Give up `lease`; see `Lease.release`. In a transaction it counts once that commits."""
        if lease._released:
            return False
        if self._engine is None or not self._leave_alone(lease):
            lost = self._write(lambda tx: self._free(tx, lease))
            if lost:
                raise _lost(lease)
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
            names = [row[0] for row in tx.all("lease_session_names", **where)]
            freed = tx.run("lease_session_end", **where) if names else 0
            for name in names:
                self._settle(tx, name)
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
            where = {"swarm": self._context.swarm, "now_ms": _now_ms(tx)}
            row = tx.one("lease_prune_span", **where)
            if row is None or row[0] is None:
                return 0
            tx.run("fact_raise", swarm=self._context.swarm, name="lease_token_floor", value=row[0])
            return tx.run("lease_prune", **where)

        return self._write(write)

    def list(self, name: str | None = None, *, limit: int = 1000) -> list[Seat]:
        """Return who holds and who waits, by name and place in line; of one name if given."""
        check_whole("limit", limit, 1, self._context.config.batch_rows_max)

        def read(tx: Tx) -> list[Seat]:
            now_ms = _now_ms(tx)
            rows = tx.all(
                "lease_list",
                swarm=self._context.swarm,
                name="" if name is None else _check_name(name),
                now_ms=now_ms,
                limit=limit,
            )
            return [
                Seat._make(
                    [
                        *row[:8],
                        _shown_ms(tx, row[8]),
                        _shown_ms(tx, row[9]),
                        max(0, now_ms - row[8]),
                    ]
                )
                for row in rows
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
        return Wish(_check_name(name), os.urandom(8).hex(), mode, _ttl_ms(ttl_s), reason, None)

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

    def _acquire(self, wish: Wish, wait_s: float | None, kept: Sequence[Lease]) -> Lease:
        """Take what is wished for; `kept` are leases to renew while it is waited for."""
        limit_s = self._wait_limit_s(wait_s)
        taken = self._write_take(wish, queue=limit_s > 0)
        if not isinstance(taken, Lease) and limit_s > 0:
            taken = self._stand_in_line(wish, limit_s, kept)
        if isinstance(taken, Lease):
            return taken
        raise LeaseHeldError(wish.name, taken.owner, _shown_ms(self._db, taken.expires_ms))

    def _stand_in_line(self, wish: Wish, limit_s: float, kept: Sequence[Lease]) -> Lease | Place:
        """Wait until it is this waiter's turn; after `limit_s` return who was in the way."""
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
                if pause_s <= 0 or now >= beat or now >= deadline:
                    stays = now < deadline
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
                self._write(lambda tx: self._leave(tx, wish))
            raise

    def _look(self, wish: Wish) -> tuple[int, float]:
        """Return how many stand before this waiter, and for how long it has nothing to do."""
        now_ms = _now_ms(self._db)
        where = {"swarm": self._context.swarm, "name": wish.name, "holder": wish.holder}
        row = self._db.one("lease_look", **where, now_ms=now_ms)
        state, before, expires_ms = row if row else (None, 0, None)
        if state != WAITING:
            return 0, 0.0  # it is our turn, or our place is gone
        if before:
            return before, LOOK_S_MAX  # what lapses is for the first in line to see to
        return 0, 0.0 if expires_ms is None else min(LOOK_S_MAX, (expires_ms - now_ms) / 1000)

    # --- inside a transaction ---

    def _write(self, fn: Callable[[Tx], T]) -> T:
        if self._engine is None:
            return self._db.write(fn)
        # Power loss ends every holder, so a lease needs no sync.
        return self._db.write(fn, durability="relaxed")

    def _write_take(self, wish: Wish, *, queue: bool) -> Lease | Place:
        """Hold it at once, or else (`queue`) stand in line and return who is in the way."""

        if self._engine is not None and wish.upgrades is None:
            lease = self._sit_first(self._db, wish)
            if lease is not None:
                return lease

        def write(tx: Tx) -> Lease | Place:
            lease = self._sit_first(tx, wish) if wish.upgrades is None else None
            return lease or self._take(tx, wish, queue)

        return self._write(write)

    def _step(self, tx: Tx, wish: Wish, stays: bool, kept: Sequence[Lease]) -> Lease | Place:
        """Move on in line, or leave it, and renew what is kept meanwhile."""
        self._renew_all(tx, kept)
        return self._take(tx, wish, stays)

    def _take(self, tx: Tx, wish: Wish, stays: bool) -> Lease | Place:
        """Move one step on: hold it, or be in line if that one `stays`; else who is in the way."""
        places = self._settle(tx, wish.name)
        own = next((place for place in places if place.holder == wish.holder), None)
        if own is not None and own.state == GRANTED:
            return self._claim(tx, wish, own.token)
        others = [p for p in places if p.holder not in (wish.holder, wish.upgrades)]
        if own is not None:
            if stays:
                where = {"swarm": self._context.swarm, "name": wish.name, "holder": wish.holder}
                tx.run("lease_stay", **where, expires_ms=_now_ms(tx) + ALIVE_MS)
            else:
                self._leave(tx, wish)
            return in_the_way(wish, others)
        if wish.upgrades is not None:
            check_upgrade(wish, places, partial(_shown_ms, tx))
        taken = [p for p in others if p.state != WAITING]
        # Nobody overtakes those in line but a reader that upgrades: it holds the lease already.
        first = wish.upgrades is not None or len(taken) == len(others)
        if first and admits(wish.mode, taken):
            return self._sit(tx, wish, places)
        if stays:
            self._stand(tx, wish, places)
            self._check_deadlock(tx, wish)
        return in_the_way(wish, others)

    def _settle(self, tx: Tx, name: str) -> builtins.list[Place]:
        """Drop the seats that have lapsed, grant from the head of the line, return who is left."""
        now_ms = _now_ms(tx)
        where = {"swarm": self._context.swarm, "name": name}
        every = [Place(*row) for row in tx.all("lease_seats", **where)]
        places = [place for place in every if place.expires_ms > now_ms]
        if len(places) < len(every):
            tx.run("lease_lapse", **where, now_ms=now_ms)
            tx.run("lease_lapse_first", **where, now_ms=now_ms)
        taken = [place for place in places if place.state != WAITING]
        for index, place in enumerate(places):
            if place.state != WAITING:
                continue
            if not admits(place.mode, [p for p in taken if p.holder != place.upgrades]):
                break
            turn = {"token": self._next_token(tx, name), "expires_ms": now_ms + GRACE_MS}
            tx.run("lease_grant", **where, holder=place.holder, **turn)
            places[index] = place._replace(state=GRANTED, **turn)
            taken.append(places[index])
        return places

    def _sit(self, tx: Tx, wish: Wish, places: Sequence[Place]) -> Lease:
        """Hold what is free."""
        if not places:
            tx.run("lease_name", swarm=self._context.swarm, name=wish.name)
            lease = self._sit_first(tx, wish)
            if lease is not None:
                return lease
        self._leave_upgraded(tx, wish)
        token = self._next_token(tx, wish.name)
        expires_ms = _now_ms(tx) + wish.ttl_ms
        self._add(tx, wish, HELD, last_ticket(places) + 1, token, expires_ms)
        return Lease(self._home, wish, self._owner, token, _shown_ms(tx, expires_ms))

    def _sit_first(self, db: Reader, wish: Wish) -> Lease | None:
        """Hold the first seat if nobody has a seat at that name, not even one that has lapsed."""
        now_ms = _now_ms(db)
        expires_ms = now_ms + wish.ttl_ms
        row = db.write_one(
            "lease_take",
            swarm=self._context.swarm,
            name=wish.name,
            holder=wish.holder,
            mode=wish.mode,
            owner=self._owner,
            session=self._context.session,
            reason=wish.reason,
            now_ms=now_ms,
            expires_ms=expires_ms,
        )
        if row is None:
            return None
        lease = Lease(self._home, wish, self._owner, row[0], _shown_ms(db, expires_ms))
        if _now_ms(db) - now_ms > wish.ttl_ms * LATE_SHARE:
            self.renew(lease)  # the statement waited for other writers: its time ran meanwhile
        return lease

    def _leave_alone(self, lease: Lease) -> bool:
        """Free the first seat by one statement if it is held and nobody else is there."""
        where = {"swarm": self._context.swarm, "name": lease.name, "holder": lease.holder}
        return (
            self._db.write_one("lease_leave_alone", **where, now_ms=_now_ms(self._db)) is not None
        )

    def _stand(self, tx: Tx, wish: Wish, places: Sequence[Place]) -> None:
        """Stand in line: at its end, or at its head to upgrade."""
        waiters = sum(place.state == WAITING for place in places)
        if waiters >= WAITERS_MAX:
            what = f"the line at lease {wish.name!r}"
            raise LimitExceededError(what, limit=WAITERS_MAX, actual=waiters + 1, unit="waiters")
        ticket = last_ticket(places) + 1 if wish.upgrades is None else BEFORE_ALL
        self._add(tx, wish, WAITING, ticket, None, _now_ms(tx) + ALIVE_MS)

    def _add(
        self, tx: Tx, wish: Wish, state: str, ticket: int, token: int | None, expires_ms: int
    ) -> None:
        tx.run(
            "lease_sit",
            swarm=self._context.swarm,
            name=wish.name,
            holder=wish.holder,
            ticket=ticket,
            state=state,
            mode=wish.mode,
            token=token,
            owner=self._owner,
            session=self._context.session,
            upgrades=wish.upgrades if state == WAITING else None,
            reason=wish.reason,
            now_ms=_now_ms(tx),
            expires_ms=expires_ms,
        )

    def _claim(self, tx: Tx, wish: Wish, token: int) -> Lease:
        """Hold what was granted."""
        self._leave_upgraded(tx, wish)
        now_ms = _now_ms(tx)
        expires_ms = now_ms + wish.ttl_ms
        where = {"swarm": self._context.swarm, "name": wish.name, "holder": wish.holder}
        tx.run("lease_claim", **where, now_ms=now_ms, expires_ms=expires_ms)
        return Lease(self._home, wish, self._owner, token, _shown_ms(tx, expires_ms))

    def _leave_upgraded(self, tx: Tx, wish: Wish) -> None:
        """Give up the read lease that is replaced; nobody else was let in while it was held."""
        if wish.upgrades is None:
            return
        if self._drop(tx, wish.name, wish.upgrades) is None:
            raise LeaseLostError(f"the read lease {wish.name!r} to be upgraded has lapsed")

    def _next_token(self, tx: Tx, name: str) -> int:
        row = tx.one("lease_draw", swarm=self._context.swarm, name=name)
        return int(row[0]) if row else 0

    def _free(self, tx: Tx, lease: Lease) -> bool:
        """Give a held seat up, let the next one in, and tell whether it had lapsed."""
        row = self._drop(tx, lease.name, lease.holder)
        if row is not None and row[1]:
            self._settle(tx, lease.name)
        return row is None or row[0] <= _now_ms(tx)

    def _leave(self, tx: Tx, wish: Wish) -> None:
        if self._drop(tx, wish.name, wish.holder) is not None:
            self._settle(tx, wish.name)  # those behind may have waited for nobody else

    def _drop(self, tx: Tx, name: str, holder: str) -> Row | None:
        """Give a seat up; return when it lapses, and whether others may have waited for that."""
        where = {"swarm": self._context.swarm, "name": name, "holder": holder}
        return tx.one("lease_leave_first", **where) or tx.one("lease_leave", **where)

    def _renew(self, tx: Tx, lease: Lease, ttl_ms: int) -> int:
        now_ms = _now_ms(tx)
        renewed = tx.run(
            "lease_renew",
            swarm=self._context.swarm,
            name=lease.name,
            holder=lease.holder,
            token=lease.token,
            now_ms=now_ms,
            expires_ms=now_ms + ttl_ms,
        )
        if not renewed:
            raise _lost(lease)
        return _shown_ms(tx, now_ms + ttl_ms)

    def _renew_all(self, tx: Tx, leases: Iterable[Lease]) -> None:
        for lease in leases:
            lease.expires_ms = self._renew(tx, lease, _ttl_ms(lease.ttl_s))

    def _check_deadlock(self, tx: Tx, wish: Wish) -> None:
        where = {"swarm": self._context.swarm, "now_ms": _now_ms(tx)}
        # Most waiters hold nothing, so nobody can be waiting for them.
        if tx.one("lease_elsewhere", **where, owner=self._owner, holder=wish.holder) is None:
            return
        lines: dict[str, list[Place]] = {}
        for name, *fields in tx.all("lease_waits", **where):
            lines.setdefault(name, []).append(Place(*fields))
        cycle = find_cycle(self._owner, lines.values())
        if cycle:
            raise DeadlockError(cycle)

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
        lost = self._write(lambda tx: [lease for lease in held if self._free(tx, lease)])
        for lease in held if self is self._home else ():
            lease._released = lease not in lost
        if lost:
            raise _lost(lost[-1])


def _now_ms(db: Reader) -> int:
    """Return the time that leases are measured by: one that nobody can set."""
    return db.uptime_ms


def _shown_ms(db: Reader, at_ms: int) -> int:
    """Return a time of a lease as people know it."""
    return at_ms - db.uptime_ms + db.now_ms


def _lost(lease: Lease) -> LeaseLostError:
    return LeaseLostError(f"lease {lease.name!r} with token {lease.token} is not held any more")


def _in_order(names: Iterable[str]) -> list[str]:
    if isinstance(names, str):
        raise InvalidArgumentError(f"names {names!r}", hint="give a list of names")
    return sorted({_check_name(name) for name in names}, key=str.encode)


def _check_name(name: str) -> str:
    return check_name("lease name", name, NAME_BYTES_MAX)


def _ttl_ms(ttl_s: float) -> int:
    check_number("ttl_s", ttl_s, TTL_S_MIN, TTL_S_MAX, "seconds, and renew it")
    return round(ttl_s * 1000)
