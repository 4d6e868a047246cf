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
    Floats = NDArray[np.float32]

CELLS = 64
DEVIATIONS = 4.5
DEVIATION_MIN = 1e-4
# Of the posterior's standard deviation; wider while little is known.
WIDTH_LATER, WIDTH_FIRST, WIDTH_TRIALS = 0.2, 0.1, 50.0
_CELLS = np.arange(CELLS + 1, dtype=np.float32)
FLOOR = 0.01  # of all choices are spread over the candidates, so that each stays observable


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
    able = np.flatnonzero(utility + DEVIATIONS * deviations > low)
    # Single precision: the logarithms and powers below are most of the time of a choice.
    means, widths = utility[able].astype(np.float32), deviations[able].astype(np.float32)
    high = float((means + DEVIATIONS * widths).max())
    edges = np.float32(low) + np.float32((high - low) / CELLS) * _CELLS
    below = normal_below((edges - means[:, None]) / widths[:, None])
    # What is below the first edge cannot win: each candidate is in some cell of its own then.
    below[:, 0], below[:, -1] = 0, 1
    middle = np.log(0.5 * (below[:, :-1] + below[:, 1:]) + np.float32(1e-30))
    others = np.exp(middle.sum(axis=0) - middle)
    best = (np.diff(below, axis=1) * others).sum(axis=1)
    result = np.full(n, floor / n)
    result[able] += (1 - floor) * best / best.sum()
    return result


def normal_below(z: Floats) -> Floats:
    """Return Φ(z), to 3e-4.

    Source:
        Page 1977, "Approximations to the cumulative normal function".
    """
    result: Floats = z * z
    result *= np.float32(0.044715)
    result += 1
    result *= z
    result *= np.float32(math.sqrt(2 / math.pi))
    np.tanh(result, out=result)
    result += 1
    result *= 0.5
    return result


def pick(probabilities: Doubles, uniform: float) -> int:
    """Return the candidate that `uniform` in [0, 1) falls on."""
    reached = np.cumsum(probabilities)
    return int(min(np.searchsorted(reached, uniform * reached[-1], side="right"), len(reached) - 1))
