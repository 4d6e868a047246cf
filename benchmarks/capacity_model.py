"""How a store on PostgreSQL answers to more agents: a model, from the cost of single calls.

Agents call at random, `agents / think_s` times a second together, whatever became of their calls
before. Two things are shared. The cores: a call takes `cores_ms` of them, and with c cores of which
a share ρ is busy each of these ms takes 1 + C(c, ρ) / (c (1 - ρ)), where C is Erlang's formula for
the chance to wait. The turn to write: writes of one store take turns, so it is one server with one
queue (M/G/1), to which w writes a second come that need it for S. Its utilisation is ρ = w E[S];
the mean wait is W = w E[S²] / (2 (1 - ρ)) (Pollaczek and Khinchine), and who waits longer than t is
taken to be the share ρ exp(-ρ t / W), which is exact where S is exponential. A call then takes what
it takes alone, more for the busy cores, and, if it writes, a wait.

A synchronous standby makes calls longer (`alone_ms`) but not turns: what waits for it waits after
its turn. Times are in ms.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

PERCENTILES = (0.5, 0.99)
STEPS = 60  # of a bisection


class Cost(NamedTuple):
    """What one kind of call costs when nobody else is there."""

    share: float  # of all calls
    alone_ms: tuple[float, ...]  # how long it takes: quantiles, evenly spaced
    turn: float  # the share of that in which it has the turn to write; 0 if it reads
    cores_ms: float  # of the cores that the model is about


class Prediction(NamedTuple):
    """What is to be expected; p50 and p99 are infinite where calls come faster than they end."""

    rate: float  # calls a second that are done
    turns: float  # utilisation of the turn, of what is asked for: may be above 1
    cores: float  # utilisation of the cores, likewise
    p50_ms: float
    p99_ms: float


def predict(agents: int, costs: Sequence[Cost], *, think_s: float, cores: int) -> Prediction:
    """Return what `agents` agents meet, each of whom calls every `think_s` seconds."""
    per_ms = agents / think_s / 1000
    busy = per_ms * sum(cost.share * cost.cores_ms for cost in costs) / cores
    if busy >= 1:
        writes, first, _ = turns(costs)
        used = per_ms * writes * first
        return Prediction(1000 * per_ms / max(busy, used), used, busy, math.inf, math.inf)
    slower = stretch(busy, cores) - 1
    slowed = [_slowed(cost, slower) for cost in costs]
    writes, first, second = turns(slowed)
    used = per_ms * writes * first
    if used >= 1:
        return Prediction(1000 * per_ms / used, used, busy, math.inf, math.inf)
    wait = per_ms * writes * second / (2 * (1 - used))
    p50, p99 = (percentile(slowed, used, wait, at) for at in PERCENTILES)
    return Prediction(1000 * per_ms, used, busy, p50, p99)


def agents_max(costs: Sequence[Cost], *, think_s: float, cores: int, used: float = 0.7) -> int:
    """Return how many agents keep both the turn and the cores below the utilisation `used`."""
    low, high = 0, 10_000_000
    while high - low > 1:
        middle = (low + high) // 2
        found = predict(middle, costs, think_s=think_s, cores=cores)
        if max(found.turns, found.cores) <= used:
            low = middle
        else:
            high = middle
    return low


def stretch(busy: float, cores: int) -> float:
    """Return how long one ms of work takes on `cores` cores of which the share `busy` is busy."""
    return 1 + erlang_c(busy, cores) / (cores * (1 - busy))


def erlang_c(busy: float, cores: int) -> float:
    """Return the chance that all of `cores` cores are busy (Erlang 1917)."""
    offered = busy * cores
    term, below = 1.0, 0.0
    for number in range(cores):
        below += term
        term *= offered / (number + 1)
    top = term / (1 - busy)
    return top / (below + top)


def turns(costs: Iterable[Cost]) -> tuple[float, float, float]:
    """Return the share of calls that write, and the mean and the mean square of their turns."""
    writes = first = second = 0.0
    for cost in costs:
        if not cost.turn:
            continue
        writes += cost.share
        lengths = [cost.turn * ms for ms in cost.alone_ms]
        first += cost.share * sum(lengths) / len(lengths)
        second += cost.share * sum(ms * ms for ms in lengths) / len(lengths)
    return (writes, first / writes, second / writes) if writes else (0.0, 0.0, 0.0)


def percentile(costs: Sequence[Cost], used: float, wait: float, at: float) -> float:
    """Return the ms that the share `at` of all calls does not exceed."""
    low, high = 0.0, 60_000.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if _longer(costs, used, wait, middle) > 1 - at:
            low = middle
        else:
            high = middle
    return high


def _longer(costs: Sequence[Cost], used: float, wait: float, ms: float) -> float:
    """Return the share of calls that take longer than `ms`."""
    return sum(
        cost.share
        * sum(_waits(ms - alone, used, wait, cost) for alone in cost.alone_ms)
        / len(cost.alone_ms)
        for cost in costs
    )


def _waits(ms: float, used: float, wait: float, cost: Cost) -> float:
    """Return the chance that a call of this kind waits for longer than `ms`."""
    if ms < 0:
        return 1.0
    return used * math.exp(-used * ms / wait) if cost.turn and wait > 0 else 0.0


def _slowed(cost: Cost, slower: float) -> Cost:
    """Return the cost of a call whose work on the cores takes `slower` times longer yet."""
    return cost._replace(alone_ms=tuple(ms + slower * cost.cores_ms for ms in cost.alone_ms))
