"""Seats at a lease: who admits whom, who is in the way, and who waits for whom in a ring."""

from __future__ import annotations

from collections import namedtuple

from swarm_memory.errors import LeaseHeldError, LeaseLostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

MODES = ("read", "write", "exclusive")
WAITING, GRANTED, HELD = "waiting", "granted", "held"


class Place(namedtuple("Place", "holder state mode ticket token owner upgrades expires_ms")):
    """What deciding needs to know of a seat."""

    __slots__ = ()


class Wish(namedtuple("Wish", "name holder mode ttl_ms reason upgrades")):
    """What somebody asks for; `upgrades` is the holder of the read lease to be replaced."""

    __slots__ = ()


def find_cycle(owner: str, lines: Iterable[Sequence[Place]]) -> list[str]:
    """Return the shortest ring of owners from `owner`, each waiting for the next; [] for none.

    `lines` are the seats at each lease in the order of their tickets. A waiter waits for all
    whom its mode does not admit, holders and those before it in line. An owner does not wait for
    itself: another of its threads may release.
    """
    waits_for: dict[str, list[str]] = {}
    for line in lines:
        for waiter, other in _waits(line):
            if waiter.owner != other.owner:
                waits_for.setdefault(waiter.owner, []).append(other.owner)
    paths = [[owner]]
    seen = set()
    for path in paths:  # grows while it is walked: breadth first
        for following in waits_for.get(path[-1], ()):
            if following == owner:
                return path
            if following not in seen:
                seen.add(following)
                paths.append([*path, following])
    return []


def _waits(line: Sequence[Place]) -> Iterator[tuple[Place, Place]]:
    taken = [place for place in line if place.state != WAITING]
    waiting = [place for place in line if place.state == WAITING]
    for index, waiter in enumerate(waiting):
        for place in taken:
            if place.holder != waiter.upgrades and not admits(waiter.mode, [place]):
                yield waiter, place
        for place in reversed(waiting[:index]):
            if not admits(waiter.mode, [place]):
                yield waiter, place
            if place.mode != "read":
                break  # whom that one waits for, this one waits for too


def last_ticket(places: Sequence[Place]) -> int:
    """Return the ticket of the last in line, 0 (that of the first seat) if there is none."""
    return max(0, int(places[-1].ticket)) if places else 0


def admits(mode: str, others: Sequence[Place]) -> bool:
    """Tell whether `mode` may be held beside all of `others`."""
    return not others or (mode == "read" and all(other.mode == "read" for other in others))


def in_the_way(wish: Wish, others: Sequence[Place]) -> Place:
    """Return the seat that a wish has to wait for first."""
    holders = [place for place in others if place.state != WAITING]
    blocking = [place for place in holders if not admits(wish.mode, [place])]
    return (blocking or holders or list(others))[0]


def check_upgrade(wish: Wish, places: Sequence[Place], shown_ms: Callable[[int], int]) -> None:
    """Refuse a second upgrader, and one whose read lease is gone."""
    for place in places:
        if place.upgrades is not None and place.holder != wish.holder:
            held = LeaseHeldError(wish.name, place.owner, shown_ms(place.expires_ms))
            held.hint = "another reader upgrades first: release this lease and acquire it anew"
            raise held
    if not any(place.holder == wish.upgrades and place.state == HELD for place in places):
        raise LeaseLostError(f"the read lease {wish.name!r} to be upgraded is not held any more")
