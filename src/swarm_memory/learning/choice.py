"""Choosing a strategy: Thompson sampling whose probabilities are computed, not only drawn from.

Source:
    Thompson 1933; Chapelle and Li 2011 for the narrowed posterior.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import accumulate

import numpy as np

from swarm_memory.lean import NamedTuple, lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Floats = NDArray[np.float32]

CELLS = 40
DEVIATIONS = 4.5
DEVIATION_MIN = 1e-4
# Of the posterior's standard deviation; wider while little is known.
WIDTH_LATER, WIDTH_FIRST, WIDTH_TRIALS = 0.2, 0.1, 50.0
_CELLS = np.arange(CELLS + 1, dtype=np.float32)
_ONES = np.ones(CELLS, np.float32)
HALF = np.float32(0.5 + 1e-6)  # a little more, so that nothing is divided by zero
FLOOR = 0.01  # of all choices are spread over the candidates, so that each stays observable


class Chances(NamedTuple):
    """What a choice is drawn from, (n_candidates,)."""

    propensities: Doubles  # how likely each is to be chosen, sum 1
    utility: Doubles  # expected success less what cost and duration weigh
    order: tuple[int, ...]  # of the candidates, the best first
    best: Doubles  # probability of each to be the best, by the whole posterior


class Choice(NamedTuple):
    """What was chosen, and how likely each candidate was to be, (n_candidates,)."""

    chosen: int  # its index among the candidates
    propensities: Doubles  # sum 1
    utility: Doubles  # expected success less what cost and duration weigh
    runners_up: tuple[int, ...]  # the other candidates, the best first


def chosen(chances: Chances, uniform: float) -> Choice:
    """Return what `uniform` in [0, 1) draws."""
    index = pick(chances.propensities, uniform)
    others = tuple([other for other in chances.order if other != index])
    return Choice(index, chances.propensities, chances.utility, others)


def width(trials: float) -> float:
    """Return how much of the posterior's deviation is drawn from after so many outcomes."""
    return WIDTH_LATER + WIDTH_FIRST * math.exp(-trials / WIDTH_TRIALS)


def propensities(
    utility: Doubles, variance: Doubles, *, scale: float = WIDTH_LATER, floor: float = FLOOR
) -> Doubles:
    """Return the probability of each candidate to have the largest of independent normal draws.

    P(a) = Σ_j ΔΦ_a(j) Π_{b≠a} Φ_b(j) over cells j that hold all draws which can win; then a share
    `floor` of it all is spread evenly. Choices are drawn from exactly these.

    Args:
        utility: Means, (n,).
        variance: Of each, (n,), ≥ 0.
        scale: The draws' standard deviation in those of the posterior.
        floor: In [0, 1): no candidate is less likely than floor / n.
    """
    return spread(largest(utility, (scale * np.sqrt(variance))[None])[0], floor)


def spread(chances: Doubles, floor: float) -> Doubles:
    """Return probabilities of which a share `floor` is spread evenly."""
    result: Doubles = chances * (1 - floor) + floor / len(chances)
    return result


def largest(means: Doubles, deviations: Doubles) -> Doubles:
    """Return the probability of each of independent normal draws to be the largest.

    Args:
        means: (n,).
        deviations: (m, n): of m sets of draws, each with these means.

    Returns:
        (m, n), sum 1 in each set.
    """
    if len(means) == 1:
        return np.ones(deviations.shape)
    deviations = np.maximum(deviations, DEVIATION_MIN)
    reach = DEVIATIONS * deviations
    highest = means + reach
    low = np.maximum.reduce(means - reach, axis=1, keepdims=True)
    high = np.maximum.reduce(highest, axis=1, keepdims=True)
    # Single precision: the functions below are most of the time of a choice.
    edges = low.astype(np.float32) + ((high - low) / CELLS).astype(np.float32) * _CELLS
    z = edges[:, None] - means.astype(np.float32)[:, None]
    z /= deviations.astype(np.float32)[:, :, None]
    signs = twice_normal(z)
    # What is below the first edge cannot win: each candidate is in some cell of its own then.
    signs[:, :, 0], signs[:, :, -1] = -1, 1
    left, right = signs[:, :, :-1], signs[:, :, 1:]
    middle = left + right
    middle *= np.float32(0.25)
    middle += HALF
    # Of all others: where the product has no digits left, no candidate wins there.
    others = np.multiply.reduce(middle, axis=1, keepdims=True) / middle
    others *= right - left
    best = (others @ _ONES) * (highest > low)
    result: Doubles = best / np.add.reduce(best, axis=1, keepdims=True)
    return result


def rounded(columns: Sequence[Doubles], digits: tuple[int, ...]) -> list[list[float]]:
    """Return columns of equal length as plain numbers, each with its digits after the point."""
    powers = _powers(digits)
    result: list[list[float]] = (np.rint(np.array(columns) * powers) / powers).tolist()
    return result


@lru_cache(maxsize=8)
def _powers(digits: tuple[int, ...]) -> Doubles:
    return np.array([[10.0**number] for number in digits])


def twice_normal(z: Floats) -> Floats:
    """Return 2 Φ(z) − 1, to 6e-4; `z` is not changed.

    Source:
        Page 1977, "Approximations to the cumulative normal function".
    """
    result: Floats = z * z
    result *= np.float32(0.044715 * math.sqrt(2 / math.pi))
    result += np.float32(math.sqrt(2 / math.pi))
    result *= z
    np.tanh(result, out=result)
    return result


def pick(probabilities: Doubles, uniform: float) -> int:
    """Return the candidate that `uniform` in [0, 1) falls on."""
    reached = list(accumulate(probabilities.tolist()))
    return min(bisect_right(reached, uniform * reached[-1]), len(reached) - 1)
