"""95 % intervals that hold in small samples: clustered by task, of a mean that lies in [0, 1]."""

from __future__ import annotations

import math

import numpy as np

from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

Z_95 = 1.959964
DEGREES_MIN = 3.0
RARE_ROWS = 4.0  # of the rarer outcome, until the spread that is seen counts for half
TINY = 1e-9


class Interval(NamedTuple):
    """An estimate with its 95 % interval."""

    mean: float
    low: float
    high: float


def t_quantile(degrees: float) -> float:
    """Return the 97.5 % quantile of Student's t; `degrees` of freedom below 3 count as 3.

    Within 0.5 % of the true one from 3 degrees on.

    Source:
        Fisher's expansion of t in 1 / degrees; Abramowitz and Stegun 26.7.5.
    """
    v, z = max(degrees, DEGREES_MIN), Z_95
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / v**power for power, term in enumerate(terms, start=1))


def by_cluster(values: Floats, clusters: Integers) -> Floats:
    """Return the sum of `values` (n,) within each cluster that occurs, (n_clusters,)."""
    _, index = np.unique(clusters, return_inverse=True)
    return np.bincount(index, weights=values).astype(np.float64)


def clustered_variance(influence: Floats, clusters: Integers) -> float:
    """Return the variance of an estimate from what each row moves it by, (n,), which sums to 0.

    Rows of one cluster share their luck, so that they are summed before they are squared.

    Source:
        Liang and Zeger 1986; G / (G − 1) for G clusters.
    """
    sums = by_cluster(influence, clusters)
    g = len(sums)
    return float(np.sum(sums**2)) * g / (g - 1) if g > 1 else math.inf


def effective_size(weights: Floats, clusters: Integers) -> float:
    """Return how many equally weighted independent rows the weights are worth.

    Source:
        Kish 1965, on the sums of the clusters.
    """
    sums = by_cluster(weights, clusters)
    squares = float(np.sum(sums**2))
    return float(np.sum(sums)) ** 2 / squares if squares > 0 else 0.0


def steadied(mean: float, variance: float, size: float) -> float:
    """Return the variance of a mean in [0, 1], mixed with that of a plain share of as many rows.

    What is seen of the spread rests on the rarer of success and failure: forty successes in a row
    show none, and three failures show it badly. The fewer of them, the more counts
    m (1 − m) / size, with m the mean after two further successes and two further failures.

    Args:
        size: How many equally weighted independent rows the mean rests on.

    Source:
        Agresti and Coull 1998 for the two and two.
    """
    if not math.isfinite(variance):
        return variance
    inner = _inner(mean, size)
    seen = size * min(inner, 1 - inner)
    share = RARE_ROWS / (RARE_ROWS + seen)
    return (1 - share) * variance + share * max(inner * (1 - inner) / size, variance)


def _inner(mean: float, size: float) -> float:
    return (min(max(mean, 0.0), 1.0) * size + 2) / (size + 4)


def score_interval(mean: float, variance: float, size: float, degrees: float) -> Interval:
    """Return the interval of a mean in [0, 1] by inverting the score test.

    The variance, steadied, is worth n = m (1 − m) / variance trials, and the interval is Wilson's
    of so many, with t for z. Near 0 and 1 it leans inwards, where the plain one leaves [0, 1].

    Args:
        variance: Of the mean, as it was estimated.
        size: See `steadied`.

    Source:
        Wilson 1927; Korn and Graubard 1998 for the effective number of trials.
    """
    mean = min(max(mean, 0.0), 1.0)
    if not math.isfinite(variance) or size <= 0:
        return Interval(mean, 0.0, 1.0)
    inner, t = _inner(mean, size), t_quantile(degrees)
    part = t * t * max(steadied(mean, variance, size), TINY) / (inner * (1 - inner))  # t² / n
    centre = (mean + part / 2) / (1 + part)
    half = math.sqrt(part * mean * (1 - mean) + part * part / 4) / (1 + part)
    return Interval(mean, max(0.0, centre - half), min(1.0, centre + half))


def plain_interval(mean: float, variance: float, degrees: float) -> Interval:
    """Return mean ± t standard errors, within [−1, 1]: of a difference between two means."""
    half = t_quantile(degrees) * math.sqrt(variance) if math.isfinite(variance) else 2.0
    return Interval(mean, max(-1.0, mean - half), min(1.0, mean + half))
