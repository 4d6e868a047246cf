"""Choosing a strategy: Thompson sampling whose probabilities are computed, not only drawn from.

Source:
    Thompson 1933; Chapelle and Li 2011 for the narrowed posterior.
"""

from __future__ import annotations

import math

import numpy as np

from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

CELLS = 96
DEVIATIONS = 4.5
DEVIATION_MIN = 1e-4
# Of the posterior's standard deviation; wider while little is known.
WIDTH_LATER, WIDTH_FIRST, WIDTH_TRIALS = 0.3, 0.2, 50.0
FLOOR = 0.02  # of all choices are spread over the candidates, so that each stays observable


class Choice(NamedTuple):
    """What was chosen, and how likely each candidate was to be, (n_candidates,)."""

    chosen: int  # its index among the candidates
    propensities: Doubles  # sum 1
    utility: Doubles  # expected success less what cost and duration weigh
    runners_up: tuple[int, ...]  # the other candidates, the best first


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
    n = len(utility)
    if n == 1:
        return np.ones(1)
    deviations = np.maximum(scale * np.sqrt(variance), DEVIATION_MIN)
    low = float((utility - DEVIATIONS * deviations).max())
    high = float((utility + DEVIATIONS * deviations).max())
    edges = np.linspace(low, high, CELLS + 1)
    below = normal_below((edges - utility[:, None]) / deviations[:, None])
    # What is below the first edge cannot win: each candidate is in some cell of its own then.
    below[:, 0], below[:, -1] = 0, 1
    middle = np.log(np.maximum(0.5 * (below[:, :-1] + below[:, 1:]), 1e-300))
    others = np.exp(middle.sum(axis=0) - middle)
    best = (np.diff(below, axis=1) * others).sum(axis=1)
    result: Doubles = (1 - floor) * best / best.sum() + floor / n
    return result


def normal_below(z: Doubles) -> Doubles:
    """Return Φ(z), to 1.5e-7.

    Source:
        Abramowitz and Stegun 1964, 7.1.26.
    """
    x = np.abs(z) * math.sqrt(0.5)
    t = 1 / (1 + 0.3275911 * x)
    series = t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))
    tail = 0.5 * t * (0.254829592 + t * (-0.284496736 + series)) * np.exp(-x * x)
    return np.where(z >= 0, 1 - tail, tail)


def pick(probabilities: Doubles, uniform: float) -> int:
    """Return the candidate that `uniform` in [0, 1) falls on."""
    reached = np.cumsum(probabilities)
    return int(min(np.searchsorted(reached, uniform * reached[-1], side="right"), len(reached) - 1))
