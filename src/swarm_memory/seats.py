"""Seats at a lease: what is held, who admits whom, who is in the way, and who waits in a ring."""

from __future__ import annotations

from contextlib import nullcontext

from swarm_memory.errors import LeaseHeldError, LeaseLostError
from swarm_memory.lean import NamedTuple, suppress
from swarm_memory.patterns import FILES, overlap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Any, Self

    from swarm_memory.leases import Leases
    from swarm_memory.model import Json

MODES = ("read", "write", "exclusive")
WAITING, GRANTED, HELD = "waiting", "granted", "held"


class Seat(NamedTuple):
    """Somebody at a lease: `state` is held, granted (its turn, not yet claimed) or waiting.

    `owner` is the agent, and its session after a slash; `holder` the random id of one acquire.
    `age_ms` is how long it has held or waited; at `expires_ms` it stops counting. `token` is
    None for those that wait; those stand in the order in which they will be served.
    """

    name: str
    state: str
    mode: str
    owner: str
    session: str | None
    holder: str
    token: int | None
    reason: str | None
    since_ms: int
    expires_ms: int
    age_ms: int

    def to_dict(self) -> dict[str, Json]:
        """Return the seat as every door shows it."""
        return self._asdict()


class Lease:
    """A lease that is held: `token` guards writes, `expires_ms` is when it lapses.

    Times are by the store's clock. As a context manager it is released at the end; if it had
    lapsed by then LeaseLostError is raised, unless another error is on its way already. Only this
    object renews or releases what it holds.
    """

    __slots__ = (
        "_leases", "_released", "expires_ms", "holder", "mode", "name", "owner", "token", "ttl_s",
    )  # fmt: skip

    def __init__(self, leases: Leases, wish: Any, owner: str, token: int, expires_ms: int) -> None:
        self._leases = leases
        self._released = False
        self.name: str = wish.name
        self.holder: str = wish.holder
        self.mode: str = wish.mode
        self.ttl_s: float = wish.ttl_ms / 1000
        self.owner = owner
        self.token = token
        self.expires_ms = expires_ms

    @property
    def line(self) -> str:
        """The name under which its seat is kept: the tokens of one line are comparable."""
        return FILES if self.name.startswith(FILES) else self.name

    def renew(self, ttl_s: float | None = None) -> Self:
        """Begin the time to live anew, by default as long as it was; the token stays.

        Raises:
            LeaseLostError: It has lapsed already, whether or not somebody else took it since.
        """
        self._leases.renew(self, ttl_s)
        return self

    def release(self) -> bool:
        """Give it up and let the next in line have it; False if that was done already.

        Raises:
            LeaseLostError: It had lapsed: what was done under it may have met somebody else.
        """
        return self._leases.release(self)

    def upgrade(self, mode: str = "exclusive", *, wait_s: float | None = None) -> Self:
        """Turn a read lease into a write or exclusive one, before anybody who waits in line.

        Nobody else can have written in between. The token changes. Of two readers that upgrade
        the second is refused at once, since each would wait for the other to leave. When it
        fails the read lease is still held. A lease that is no read lease is left as it is.

        Raises:
            LeaseHeldError: Another reader upgrades, or others still read when the wait is over.
            LeaseLostError: The read lease has lapsed.
            DeadlockError: Another reader waits for something that is held here.
        """
        self._leases.upgrade(self, mode, wait_s=wait_s)
        return self

    def to_dict(self) -> dict[str, Json]:
        """Return the lease as every door shows it."""
        names = ("name", "mode", "token", "owner", "holder", "expires_ms")
        return {name: getattr(self, name) for name in names}

    def __repr__(self) -> str:
        return f"<Lease {self.name!r} {self.mode} token {self.token}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with milder_than(error):
            self.release()


class Place(NamedTuple):
    """What deciding needs to know of a seat."""

    holder: str
    state: str
    mode: str
    ticket: int
    token: int | None
    owner: str
    party: str
    upgrades: str | None
    expires_ms: int
    reason: str | None
    pattern: str | None


class Wish(NamedTuple):
    """What a party asks for; `upgrades` is the holder of the read lease to be replaced.

    `pattern` says which paths a lease on paths is for; several of them, one a line, are taken
    together. None for any other lease.
    """

    name: str
    holder: str
    party: str
    mode: str
    ttl_ms: int
    reason: str | None
    upgrades: str | None
    pattern: str | None

    @property
    def line(self) -> str:
        """The name that all those share who may be in each other's way."""
        return self.name if self.pattern is None else FILES

    def parts(self) -> list[Wish]:
        """Return one wish for each pattern."""
        return [self._replace(name=FILES + p, pattern=p) for p in patterns_of(self)]


def names_of(name: str, pattern: str | None) -> list[str]:
    """Return the names of the leases that one seat is for."""
    return [name] if pattern is None else [FILES + each for each in pattern.split("\n")]


def patterns_of(one: Wish | Place) -> list[str]:
    """Return what paths a lease on paths is for, one pattern each."""
    return (one.pattern or "").split("\n")


def conflict(one: Wish | Place, other: Wish | Place) -> bool:
    """Tell whether two at one line may not be inside together."""
    if one.mode == other.mode == "read":
        return False
    return one.pattern is None or common(one, other) is not None


def common(one: Wish | Place, other: Wish | Place) -> tuple[str, str] | None:
    """Return a pattern of each that have a path in common; None if there are none."""
    for mine in patterns_of(one):
        for theirs in patterns_of(other):
            if overlap(mine, theirs):
                return mine, theirs
    return None


def find_cycle(wish: Wish | Place, lines: Iterable[Sequence[Place]]) -> list[str]:
    """Return the shortest ring of waits that `wish` closes, as the owner of each; [] for none.

    `lines` are the seats at each lease in the order of their tickets. A waiter waits for all
    whom its mode does not admit, holders and those before it in line. Who waits is a party, a
    flow of control, and not its owner: while one thread waits another may release. A party does
    not wait for itself: it may have handed on what it took.
    """

    waits_for: dict[str, list[tuple[str, str]]] = {}
    for line in lines:
        # A party waits for one thing at a time, so what it waited for before was given up.
        current = [
            place
            for place in line
            if place.holder == wish.holder or place.party != wish.party or place.state != WAITING
        ]
        for waiter, other in _waits(current):
            if waiter.party != other.party:
                waits_for.setdefault(waiter.party, []).append((waiter.owner, other.party))
    ways: list[tuple[list[str], str]] = [([], wish.party)]
    seen = set()
    for owners, last in ways:  # grows while it is walked: breadth first
        for owner, following in waits_for.get(last, ()):
            if following == wish.party:
                return [*owners, owner]
            if following not in seen:
                seen.add(following)
                ways.append(([*owners, owner], following))
    return []


def _waits(line: Sequence[Place]) -> Iterator[tuple[Place, Place]]:
    taken = [place for place in line if place.state != WAITING]
    waiting = [place for place in line if place.state == WAITING]
    for index, waiter in enumerate(waiting):
        for place in taken:
            if place.holder != waiter.upgrades and conflict(waiter, place):
                yield waiter, place
        for place in reversed(waiting[:index]):
            if conflict(waiter, place):
                yield waiter, place
            if place.mode != "read" and place.pattern == waiter.pattern:
                break  # whom that one waits for, this one waits for too


def in_the_way(wish: Wish, others: Sequence[Place]) -> Place:
    """Return the seat that a wish has to wait for first."""
    near = [p for p in others if wish.pattern is None or common(wish, p) is not None]
    holders = [place for place in near if place.state != WAITING]
    blocking = [place for place in holders if conflict(wish, place)]
    return (blocking or holders or near)[0]


def held_by(wish: Wish, place: Place, shown_ms: Callable[[int], int]) -> LeaseHeldError:
    """Return the error that tells whom a wish has to wait for, and for what."""
    name = held = wish.name
    if wish.pattern is not None:
        name, held = (FILES + pattern for pattern in common(wish, place) or (wish.pattern,) * 2)
    until_ms, waits = shown_ms(place.expires_ms), place.state == WAITING
    return LeaseHeldError(name, place.owner, until_ms, held=held, reason=place.reason, waits=waits)


def check_upgrade(wish: Wish, places: Sequence[Place], shown_ms: Callable[[int], int]) -> None:
    """Refuse a second upgrader, and one whose read lease is gone."""
    for place in places:
        if place.upgrades is not None and place.holder != wish.holder and conflict(wish, place):
            held = held_by(wish, place, shown_ms)
            held.hint = "another reader upgrades first: release this lease and acquire it anew"
            raise held
    if not any(place.holder == wish.upgrades and place.state == HELD for place in places):
        raise LeaseLostError(f"the read lease {wish.name!r} to be upgraded is not held any more")


def lost(lease: Lease) -> LeaseLostError:
    """Return the error of a lease that somebody else may have by now."""
    return LeaseLostError(f"lease {lease.name!r} with token {lease.token} is not held any more")


def milder_than(error: BaseException | None) -> AbstractContextManager[None]:
    """Return a context in which a lost lease does not replace an error that is on its way."""
    return nullcontext() if error is None else suppress(LeaseLostError)
