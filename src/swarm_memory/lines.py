"""The lines at leases: the steps that move seats, each inside somebody's transaction.

Whoever writes to a line settles it first: what has lapsed goes, and those whose turn it is are
granted theirs. Each of the others waits for everybody before it, inside or in line, that it is in
conflict with, and for nobody else.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from functools import partial
from itertools import count

from swarm_memory.errors import DeadlockError, LeaseLostError, LimitExceededError
from swarm_memory.locks import get_ident
from swarm_memory.seats import (
    GRANTED,
    HELD,
    WAITING,
    Lease,
    Place,
    Wish,
    check_upgrade,
    conflict,
    find_cycle,
    in_the_way,
    lost,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, TypeVar

    from swarm_memory.engine import Reader, Row, Tx
    from swarm_memory.leases import Leases

    T = TypeVar("T")

WAITERS_MAX = 1000
GRACE_MS = 2000  # a granted waiter that has not claimed by then has lost its turn
ALIVE_MS = 6000  # a waiter that has not shown itself for so long has lost its place

_process = os.urandom(8).hex()
_acquires = count()
_flows = count(1)
_flow: ContextVar[tuple[int, int]] = ContextVar("_flow", default=(0, 0))  # its thread, itself


def _be_somebody_else() -> None:
    global _process
    _process = os.urandom(8).hex()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_be_somebody_else)


def new_holder() -> str:
    """Return the id of one acquire: no other process and no other call has the same."""
    return f"{_process}{next(_acquires):x}"


def new_flow() -> int:
    """Return the number of a flow of control: no other of this process has the same."""
    return next(_flows)


def in_flow(flow: int, call: Callable[[], T]) -> T:
    """Run `call` as a step of `flow`, in a context that ends with it."""
    _flow.set((get_ident(), flow))
    return call()


def party() -> str:
    """Return the id of who acquires here: of this thread, unless it works for another flow.

    A context is copied into tasks and into other threads, and what it says of the flow is true
    in its own thread only: two threads that have one name would be seen waiting in rings that
    are none. Which thread it is does not outlive a fork, so the process is a part of the id.
    """
    thread, flow = _flow.get()
    if thread != get_ident():
        flow = new_flow()
        _flow.set((get_ident(), flow))
    return f"{_process}{flow:x}"


class Lines:
    """The lines of one swarm, as one owner takes its place in them.

    Args:
        home: Who renews and releases the leases that are taken.
    """

    __slots__ = ("_home", "_owner", "_session", "_swarm")

    def __init__(self, home: Leases, swarm: str, owner: str, session: str | None) -> None:
        self._home = home
        self._swarm = swarm
        self._owner = owner
        self._session = session

    @property
    def owner(self) -> str:
        """Who takes its place in them: an agent, and its session after a slash."""
        return self._owner

    # --- taking ---

    def take_alone(self, db: Reader, wish: Wish) -> Lease | None:
        """Hold the first seat if nobody has a seat at that line, not even one that has lapsed."""
        began_ms = db.uptime_ms
        row = db.write_one(
            "lease_take",
            "machine",
            swarm=self._swarm,
            name=wish.line,
            holder=wish.holder,
            mode=wish.mode,
            owner=self._owner,
            session=self._session,
            party=wish.party,
            reason=wish.reason,
            pattern=wish.pattern,
            now_ms=began_ms,
            expires_ms=began_ms + wish.ttl_ms,
        )
        if row is None:
            return None
        # The statement may have waited for other writers, while the lease's time ran.
        late_ms = db.uptime_ms - began_ms
        return Lease(self._home, wish, self._owner, row[0], db.now_ms - late_ms + wish.ttl_ms)

    def take(self, tx: Tx, wish: Wish, stays: bool) -> Lease | Place:
        """Move one step on: hold it, or be in line if that one `stays`; else who is in the way."""
        places = self.settle(tx, wish.line)
        own = next((place for place in places if place.holder == wish.holder), None)
        if own is not None and own.state == HELD and own.token is not None:
            # Taken by this very wish, and the answer was lost; only `renew` may prolong it.
            left_ms = own.expires_ms - tx.uptime_ms
            return Lease(self._home, wish, self._owner, own.token, tx.now_ms + left_ms)
        if own is not None and own.state == GRANTED and own.token is not None:
            return self._claim(tx, wish, own.token)
        others = [p for p in places if p.holder not in (wish.holder, wish.upgrades)]
        if own is not None:
            if stays:
                at = self._at(wish.line, wish.holder)
                tx.run("lease_stay", **at, expires_ms=tx.uptime_ms + ALIVE_MS)
            else:
                self.leave(tx, wish)
            return in_the_way(wish, others)
        if wish.upgrades is not None:
            check_upgrade(wish, places, partial(shown_ms, tx))
        # Nobody overtakes those in line but a reader that upgrades: it holds the lease already.
        before = [p for p in others if p.state != WAITING or wish.upgrades is None]
        if not any(conflict(wish, place) for place in before):
            return self._sit(tx, wish, places)
        if stays:
            self._stand(tx, wish, places)
            self._check_deadlock(tx, wish)
        return in_the_way(wish, others)

    def settle(self, tx: Tx, line: str) -> list[Place]:
        """Drop the seats that have lapsed, grant whose turn it is, return who is left."""
        now_ms = tx.uptime_ms
        where = {"swarm": self._swarm, "name": line}
        every = self._places(tx, line)
        places = [place for place in every if place.expires_ms > now_ms]
        if len(places) < len(every):
            tx.run("lease_lapse", **where, now_ms=now_ms)
            tx.run("lease_lapse_first", **where, now_ms=now_ms)
        before = [place for place in places if place.state != WAITING]
        for index, place in enumerate(places):
            if place.state != WAITING:
                continue
            if not any(conflict(place, p) for p in before if p.holder != place.upgrades):
                token = self._next_token(tx, line)
                turn: dict[str, Any] = {"token": token, "expires_ms": now_ms + GRACE_MS}
                tx.run("lease_grant", **where, holder=place.holder, **turn)
                places[index] = place._replace(state=GRANTED, **turn)
            elif place.pattern is None:
                break  # where all want the same, all those behind wait too
            before.append(places[index])
        return places

    def split(self, tx: Tx, wish: Wish, lease: Lease) -> list[Lease]:
        """Make what was taken together into one lease per pattern, each with a seat of its own."""
        first, *others = wish.parts()
        now_ms = tx.uptime_ms
        at = self._at(lease.line, lease.holder)
        if not tx.run("lease_narrow", **at, pattern=first.pattern, now_ms=now_ms):
            raise lost(lease)
        leases = [Lease(self._home, first, self._owner, lease.token, lease.expires_ms)]
        for other in others:
            one = other._replace(holder=new_holder())
            leases.append(self._sit(tx, one, self._places(tx, one.line)))
        return leases

    def _sit(self, tx: Tx, wish: Wish, places: Sequence[Place]) -> Lease:
        """Hold what is free."""
        if not places:
            tx.run("lease_name", swarm=self._swarm, name=wish.line)
            lease = self.take_alone(tx, wish)
            if lease is not None:
                return lease
        self._leave_upgraded(tx, wish)
        token = self._next_token(tx, wish.line)
        ticket = 1 + max(0, places[-1].ticket if places else 0)
        self._add(tx, wish, HELD, ticket, token, tx.uptime_ms + wish.ttl_ms)
        return Lease(self._home, wish, self._owner, token, tx.now_ms + wish.ttl_ms)

    def _stand(self, tx: Tx, wish: Wish, places: Sequence[Place]) -> None:
        """Stand in line: at its end, or at its head to upgrade."""
        waiters = sum(place.state == WAITING for place in places)
        if waiters >= WAITERS_MAX:
            what = f"the line at lease {wish.name!r}"
            raise LimitExceededError(what, limit=WAITERS_MAX, actual=waiters + 1, unit="waiters")
        at_end, at_head = max(0, places[-1].ticket) + 1, min(0, places[0].ticket) - 1
        ticket = at_end if wish.upgrades is None else at_head
        self._add(tx, wish, WAITING, ticket, None, tx.uptime_ms + ALIVE_MS)

    def _add(
        self, tx: Tx, wish: Wish, state: str, ticket: int, token: int | None, expires_ms: int
    ) -> None:
        tx.run(
            "lease_sit",
            **self._at(wish.line, wish.holder),
            ticket=ticket,
            state=state,
            mode=wish.mode,
            token=token,
            owner=self._owner,
            session=self._session,
            party=wish.party,
            upgrades=wish.upgrades if state == WAITING else None,
            reason=wish.reason,
            pattern=wish.pattern,
            now_ms=tx.uptime_ms,
            expires_ms=expires_ms,
        )

    def _claim(self, tx: Tx, wish: Wish, token: int) -> Lease:
        """Hold what was granted."""
        self._leave_upgraded(tx, wish)
        now_ms = tx.uptime_ms
        at = self._at(wish.line, wish.holder)
        tx.run("lease_claim", **at, now_ms=now_ms, expires_ms=now_ms + wish.ttl_ms)
        return Lease(self._home, wish, self._owner, token, tx.now_ms + wish.ttl_ms)

    # --- keeping and leaving ---

    def renew(self, tx: Tx, lease: Lease, ttl_ms: int) -> int:
        """Begin the time to live anew; return when it is over, as people know it."""
        now_ms = tx.uptime_ms
        at = self._at(lease.line, lease.holder)
        until = {"now_ms": now_ms, "expires_ms": now_ms + ttl_ms}
        if not tx.run("lease_renew", **at, token=lease.token, **until):
            raise lost(lease)
        return tx.now_ms + ttl_ms

    def renew_all(self, tx: Tx, leases: Iterable[Lease]) -> None:
        for lease in leases:
            lease.expires_ms = self.renew(tx, lease, round(1000 * lease.ttl_s))

    def free_alone(self, db: Reader, lease: Lease) -> bool:
        """Free the first seat by one statement if it is held and nobody else is there."""
        row = db.write_one(
            "lease_leave_alone",
            swarm=self._swarm,
            name=lease.line,
            holder=lease.holder,
            now_ms=db.uptime_ms,
        )
        return row is not None

    def free(self, tx: Tx, lease: Lease) -> bool:
        """Give a held seat up, let the next one in, and tell whether it had lapsed."""
        row = self._drop(tx, lease.line, lease.holder)
        if row is not None and row[1]:
            self.settle(tx, lease.line)
        return row is None or row[0] <= tx.uptime_ms

    def leave(self, tx: Tx, wish: Wish) -> None:
        """Give up waiting."""
        if self._drop(tx, wish.line, wish.holder) is not None:
            self.settle(tx, wish.line)  # those behind may have waited for nobody else

    def _leave_upgraded(self, tx: Tx, wish: Wish) -> None:
        """Give up the read lease that is replaced; nobody else was let in while it was held."""
        if wish.upgrades is None:
            return
        if self._drop(tx, wish.line, wish.upgrades) is None:
            raise LeaseLostError(f"the read lease {wish.name!r} to be upgraded has lapsed")

    def _drop(self, tx: Tx, line: str, holder: str) -> Row | None:
        """Give a seat up; return when it lapses, and whether others may have waited for that."""
        at = self._at(line, holder)
        return tx.one("lease_leave_first", **at) or tx.one("lease_leave", **at)

    # --- looking ---

    def _places(self, tx: Tx, line: str) -> list[Place]:
        rows = tx.all("lease_seats", swarm=self._swarm, name=line)
        return [Place._make(row) for row in rows]

    def _next_token(self, tx: Tx, line: str) -> int:
        row = tx.one("lease_draw", swarm=self._swarm, name=line)
        return int(row[0]) if row else 0

    def _check_deadlock(self, tx: Tx, wish: Wish) -> None:
        where = {"swarm": self._swarm, "now_ms": tx.uptime_ms}
        # Most waiters hold nothing and stand at the end, so nobody can be waiting for them.
        seat = {"party": wish.party, "holder": wish.holder}
        if wish.upgrades is None and tx.one("lease_elsewhere", **where, **seat) is None:
            return
        lines: dict[str, list[Place]] = {}
        for line, *fields in tx.all("lease_waits", **where):
            lines.setdefault(line, []).append(Place._make(fields))
        cycle = find_cycle(wish, lines.values())
        if cycle:
            raise DeadlockError(cycle)

    def _at(self, line: str, holder: str) -> dict[str, str]:
        return {"swarm": self._swarm, "name": line, "holder": holder}


def shown_ms(db: Reader, at_ms: int) -> int:
    """Return a time of a lease as people know it."""
    return at_ms - db.uptime_ms + db.now_ms
