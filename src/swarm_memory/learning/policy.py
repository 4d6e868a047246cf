"""Choosing a strategy from counts: shrunken arms, and Thompson sampling with its propensities.

The success rate per task type alone loses to everything, and plain Beta sampling explores for
hundreds of tasks. What works is to shrink each arm to the common mean, as far as the arms' spread
suggests, and to sample from a posterior narrowed to about a third.
"""

from __future__ import annotations

import math

from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

POSTERIOR_SCALE = 0.3
PRIOR_STRENGTH = 3.0
PRIOR_STRENGTH_MIN, PRIOR_STRENGTH_MAX = 2.0, 20.0
SPREAD_MIN = 0.002
ARM_TRIALS_MIN = 3  # an arm says something about the spread from so many trials on
PROPENSITY_MIN = 0.01  # keeps every candidate observable, and weights 1/propensity bounded
GRID_POINTS = 129
Z_90 = 1.6449


class Estimate(NamedTuple):
    """A success rate in [0, 1] with its variance and its 90 % interval."""

    mean: float
    variance: float
    low: float
    high: float


def estimate_arms(
    trials: Sequence[float], successes: Sequence[float], outside: tuple[float, float] = (0.0, 0.0)
) -> list[Estimate]:
    """Return the empirical-Bayes estimate of each arm's success rate.

    m = (S + k p0) / (N + k), variance m (1 − m) / (N + k + 1). p0 is the common rate, with one
    success and one failure added; k is read off the spread between arms with at least three
    trials: k = p0 (1 − p0) / tau² − 1, within 2 … 20.

    Args:
        trials: N of each arm, (n_arms,), ≥ 0.
        successes: S of each arm, (n_arms,), 0 ≤ S ≤ N.
        outside: (N, S) of related arms that only inform p0.

    Source:
        Robbins 1956, empirical Bayes; Efron and Morris 1975.
    """
    total = sum(trials) + outside[0]
    common = (1 + sum(successes) + outside[1]) / (2 + total)
    strength = _prior_strength(trials, successes, common)
    estimates = []
    for n, s in zip(trials, successes, strict=True):
        mean = (s + strength * common) / (n + strength)
        variance = mean * (1 - mean) / (n + strength + 1)
        estimates.append(Estimate(mean, variance, *_interval(mean, n + strength)))
    return estimates


def _interval(rate: float, trials: float) -> tuple[float, float]:
    """Return the 90 % interval of a rate seen over so many trials, the prior's among them.

    The score interval: near 0 and 1 the one by the standard deviation is far too narrow.

    Source:
        Wilson 1927; Brown, Cai and DasGupta 2001.
    """
    part = Z_90 * Z_90 / trials
    centre = (rate + part / 2) / (1 + part)
    half = Z_90 * math.sqrt(rate * (1 - rate) / trials + part / (4 * trials)) / (1 + part)
    return max(0.0, centre - half), min(1.0, centre + half)


def _prior_strength(trials: Sequence[float], successes: Sequence[float], common: float) -> float:
    known = [(n, s) for n, s in zip(trials, successes, strict=True) if n >= ARM_TRIALS_MIN]
    if len(known) < 3:
        return PRIOR_STRENGTH
    rates = [s / n for n, s in known]
    centre = sum(rates) / len(rates)
    spread = sum((rate - centre) ** 2 for rate in rates) / (len(rates) - 1)
    noise = sum(common * (1 - common) / n for n, _ in known) / len(known)
    tau2 = max(spread - noise, SPREAD_MIN)
    strength = common * (1 - common) / tau2 - 1
    return min(max(strength, PRIOR_STRENGTH_MIN), PRIOR_STRENGTH_MAX)


def propensities(estimates: Sequence[Estimate], *, scale: float = POSTERIOR_SCALE) -> list[float]:
    """Return the probability with which Thompson sampling picks each arm, (n_arms,), sum 1.

    P(a) = ∫ φ_a(x) Π_{b≠a} Φ_b(x) dx over Gaussian posteriors with `scale` times their standard
    deviation, by the trapezoidal rule, then raised to at least 0.01. Computing it instead of
    drawing makes the logged propensity exact.

    Source:
        Thompson 1933; Chapelle and Li 2011 for the narrowed posterior.
    """
    if len(estimates) == 1:
        return [1.0]
    means = [e.mean for e in estimates]
    deviations = [max(scale * math.sqrt(e.variance), 1e-6) for e in estimates]
    low = min(m - 5 * d for m, d in zip(means, deviations, strict=True))
    high = max(m + 5 * d for m, d in zip(means, deviations, strict=True))
    # Integrate each arm over its own width: a narrow arm would fall through a common grid.
    weights = []
    for a, (mean, deviation) in enumerate(zip(means, deviations, strict=True)):
        start, end = max(low, mean - 5 * deviation), min(high, mean + 5 * deviation)
        step = (end - start) / (GRID_POINTS - 1)
        weight = 0.0
        for i in range(GRID_POINTS):
            x = start + i * step
            z = (x - mean) / deviation
            density = math.exp(-0.5 * z * z)
            for b, (other, width) in enumerate(zip(means, deviations, strict=True)):
                if b != a:
                    density *= 0.5 * (1 + math.erf((x - other) / (width * math.sqrt(2))))
            weight += density
        weights.append(weight * step / deviation)
    floor = min(PROPENSITY_MIN, 1 / len(weights))
    total = sum(weights)
    free = 1 - floor * len(weights)
    return [floor + free * weight / total for weight in weights]


def pick(probabilities: Sequence[float], uniform: float) -> int:
    """Return the arm that `uniform` in [0, 1) falls on."""
    reached = 0.0
    for index, probability in enumerate(probabilities):
        reached += probability
        if uniform < reached:
            return index
    return len(probabilities) - 1
