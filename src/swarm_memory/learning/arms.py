"""Strategies by their counts alone: empirical-Bayes estimates of success, cost and duration.

Strategies are shrunk to what all of them have in common, as far as they differ no more than chance
would have it. Each has its counts over all time, by kind of task (task types hashed into 16 kinds)
and over the recent past (discounted), and two sums that tell when it got better or worse.

Source:
    Robbins 1956, empirical Bayes; Efron and Morris 1975; for the sums, Page 1954 (CUSUM of the
    log-likelihood ratio, Lorden 1971).
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

from swarm_memory.lean import NamedTuple, lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

KINDS = 16  # of task types; types of one kind share their counts
# The columns of a strategy's row.
TRIALS, SUCCESS, EVER = 0, 1, 2
RECENT, RECENT_SUCCESS = 3, 4
BETTER, WORSE = 5, 6
COST, TIME = 7, 12  # each: how many, sum, sum of squares, and two sums that tell of a change
_AMOUNTS = [first + column for column in range(3) for first in (COST, TIME)]
BY_KIND = 17
WIDTH = BY_KIND + 2 * KINDS
# The columns of what is known over all strategies.
ALL_TRIALS, ALL_SUCCESS, ALL_COST, ALL_TIME = 0, 1, 2, 4
SPREAD = 6  # strategies with enough trials: how many, sums of rate, rate², 1 / trials
ALL_WIDTH = 10

KNOWN_TRIALS = 3  # a strategy says something about how strategies differ from so many trials on
USUAL_SPREAD, USUAL_WEIGHT = 0.02, 4.0  # variance of success between strategies, and its weight
SPREAD_MIN = 0.002
STRENGTH_MIN, STRENGTH_MAX = 2.0, 30.0
KIND_STRENGTH = 6.0
COST_SPREAD = 0.3  # usual deviation of cost between strategies, of its mean
DISCOUNT = 0.97
SHIFT, ALARM = 1.2, 5.0  # log-odds that a shift is looked for; log-likelihood ratio that tells it
AMOUNT_STEP, AMOUNT_DRIFT, AMOUNT_ALARM = 1.5, 0.6, 8.0  # in standard deviations
AMOUNT_TOLERANCE = 0.05  # of the mean, that no change of cost is told below
KEPT_AT_ALARM = 0.1  # of the counts of a strategy that changed


class Rates(NamedTuple):
    """Estimates of success, (n_estimators, n_strategies): overall, by kind, recently."""

    mean: Doubles
    variance: Doubles


@lru_cache(maxsize=8192)
def name_hash(name: str) -> int:
    """Return the 64-bit number that a strategy or a task type goes by."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def kind_of(task_type: str) -> int:
    """Return the column of a task type's counts."""
    return BY_KIND + 2 * (name_hash(task_type) % KINDS)


def common(overall: Doubles) -> tuple[float, float]:
    """Return the rate of success of all strategies, and the trials it is worth for each.

    k = p0 (1 − p0) / τ² − 1 within 2 … 30, where τ², the variance between strategies, is that of
    their rates less what chance makes of it, shrunk to 0.02: few strategies say little of it.
    """
    values = overall.tolist()
    rate = (1 + values[ALL_SUCCESS]) / (2 + values[ALL_TRIALS])
    known, rates, squares, inverse = values[SPREAD : SPREAD + 4]
    between, weight = USUAL_SPREAD, max(known - 1, 0.0)
    if known >= 2:
        spread = (squares - rates * rates / known) / (known - 1)
        between = max(spread - rate * (1 - rate) * inverse / known, SPREAD_MIN)
    between = (between * weight + USUAL_SPREAD * USUAL_WEIGHT) / (weight + USUAL_WEIGHT)
    strength = rate * (1 - rate) / between - 1
    return rate, min(max(strength, STRENGTH_MIN), STRENGTH_MAX)


def rates(arms: Doubles, overall: Doubles, kind: int) -> Rates:
    """Return what the counts say about strategies.

    m = (S + k p0) / (N + k), variance m (1 − m) / (N + k + 1); by kind around m in turn.

    Args:
        arms: Rows of strategies, (n_strategies, WIDTH).
        overall: (ALL_WIDTH,).
        kind: Column of the task type, `kind_of` it.
    """
    p0, k = common(overall)
    columns = [TRIALS, kind, RECENT, SUCCESS, kind + 1, RECENT_SUCCESS]
    counts = arms.T.take(columns, axis=0)
    strength, means = counts[:3], counts[3:]
    known = np.minimum(strength[0], KIND_STRENGTH)
    # By kind: around the overall mean, with a strength of its own.
    strength[::2] += k
    strength[1] += KIND_STRENGTH
    means[::2] += k * p0
    means[0] /= strength[0]
    means[1] += KIND_STRENGTH * means[0]
    means[1:] /= strength[1:]
    strength[1] += known + (k - KIND_STRENGTH)
    strength += 1
    return Rates(means, means * (1 - means) / strength)


def rate(arm: Doubles, overall: Doubles, kind: int) -> tuple[float, float, float]:
    """Return the means of `rates` of one strategy, given by its row; quicker for one."""
    p0, k = common(overall)
    trials, success = float(arm[TRIALS]), float(arm[SUCCESS])
    mean = (success + k * p0) / (trials + k)
    by_kind = (float(arm[kind + 1]) + KIND_STRENGTH * mean) / (float(arm[kind]) + KIND_STRENGTH)
    recent = (float(arm[RECENT_SUCCESS]) + k * p0) / (float(arm[RECENT]) + k)
    return mean, by_kind, recent


def amounts(arms: Doubles, overall: Doubles) -> tuple[Doubles, Doubles]:
    """Return mean cost and duration of strategies and the variance of these, (2, n_strategies).

    Shrunk to the mean of all as far as strategies differ no more than their runs do.
    """
    n, total, squares = arms.T.take(_AMOUNTS, axis=0).reshape(3, 2, -1)
    some = np.maximum(n, 1)
    raw = total / some
    known = (n >= KNOWN_TRIALS) * 1.0
    rates = known * raw
    of_each = np.array([n, n > 0, squares, total * raw, known, rates, rates * raw, known / some])
    sums = np.add.reduce(of_each, axis=2)
    figures = zip(overall[ALL_COST : ALL_TIME + 2].reshape(2, 2).tolist(), sums.T.tolist(),
                  strict=True)  # fmt: skip
    shrinking = np.array([_shrinking(*both, *of) for both, of in figures])
    mean, within, k = shrinking.T[..., None]
    strength = n + k
    return (total + k * mean) / strength, within / strength


def _shrinking(
    count: float,
    amount: float,
    n: float,
    tried: float,
    squares: float,
    explained: float,
    known: float,
    rates: float,
    rate_squares: float,
    inverse: float,
) -> tuple[float, float, float]:
    """Return the mean of all, the variance of a run, and the runs that the mean is worth.

    Args:
        count: Of all runs, with the sum `amount`.
        n: Of the runs of the strategies that are asked for, of which `tried` have any.
        squares: Sum of the squares of their amounts, of which their means explain `explained`.
        known: Strategies with enough runs; `rates`, `rate_squares`, `inverse` are sums over
            these: of their means, of the squares of these, and of 1 / runs.
    """
    if not count:
        return 0.0, 0.0, 1.0
    mean = amount / count
    usual = (COST_SPREAD * mean) ** 2 + 1e-12
    # Never below 0 but for rounding: each is a sum of squares around its own mean.
    within = max((squares - explained) / max(n - tried, 1.0), 1e-6 * usual)
    between, weight = usual, max(known - 1, 0.0)
    if weight:
        spread = (rate_squares - rates * rates / known) / weight
        between = max(spread - within * inverse / known, 0.01 * usual)
    between = (between * weight + usual * USUAL_WEIGHT) / (weight + USUAL_WEIGHT)
    return mean, within, within / between


def by_cost(arms: Doubles, overall: Doubles, cost: Doubles) -> Doubles:
    """Return how much more often strategies may succeed for being dearer, as far as untried.

    To shrink success to what is common, and cost less, favours the cheap. So what is common is a
    line over the cost, b = Σ w x (r − p0) / (Σ w x² + mean x²) with w = N / (N + k), x the cost
    around its mean and r the rate; of b only a share (m − 2) / m counts for m tried strategies.

    Args:
        cost: Mean cost of each strategy, (n_strategies,).
    """
    if not overall[ALL_COST]:
        return np.zeros(len(arms))
    p0, k = common(overall)
    n = arms[:, TRIALS]
    tried = np.count_nonzero(n >= 1)
    x = cost - (cost @ _ones(len(cost))) / len(cost)
    squares = float(x @ x)
    if tried <= 2 or not squares:
        return np.zeros(len(arms))
    rest = k / (n + k)
    weighted = x - rest * x  # by N / (N + k)
    rate = (arms[:, SUCCESS] + p0) / (n + 1)
    slope = float(weighted @ (rate - p0)) / (float(weighted @ x) + squares / len(x))
    result: Doubles = rest * (((tried - 2) / tried * slope) * x)
    return result


@lru_cache(maxsize=64)
def _ones(length: int) -> Doubles:
    """Return ones: a product with them is a sum, and quicker."""
    return np.ones(length)


def count(arm: Doubles, overall: Doubles, kind: int, reward: float) -> None:
    """Enter an outcome into the row of its strategy and into what is known over all."""
    _spread(arm, overall, -1)
    arm[RECENT] = arm[RECENT] * DISCOUNT + 1
    arm[RECENT_SUCCESS] = arm[RECENT_SUCCESS] * DISCOUNT + reward
    arm[EVER] += 1
    add(arm, overall, kind, 1, reward)
    _spread(arm, overall, 1)


def recount(arm: Doubles, overall: Doubles, kind: int, trials: float, success: float) -> None:
    """Change the counts by so many trials and successes: a corrected label, or a prior."""
    _spread(arm, overall, -1)
    add(arm, overall, kind, trials, success)
    _spread(arm, overall, 1)


def add(arm: Doubles, overall: Doubles, kind: int, trials: float, success: float) -> None:
    for counts, at in ((arm, TRIALS), (arm, kind), (overall, ALL_TRIALS)):
        counts[at] = max(counts[at] + trials, 0.0)
        counts[at + 1] = min(max(counts[at + 1] + success, 0.0), counts[at])


def _spread(arm: Doubles, overall: Doubles, sign: int) -> None:
    """Take a strategy out of, or into, the sums over those with enough trials."""
    trials = float(arm[TRIALS])
    if trials >= KNOWN_TRIALS:
        rate = float(arm[SUCCESS]) / trials
        overall[SPREAD] += sign
        overall[SPREAD + 1] += sign * rate
        overall[SPREAD + 2] += sign * rate * rate
        overall[SPREAD + 3] += sign / trials


def measure(arm: Doubles, overall: Doubles, first: int, amount: float) -> None:
    """Enter a cost or a duration, `first` being COST or TIME.

    Two sums add how far it is above (below) the mean, in standard deviations of 1.5 at most, less
    0.6. When one reaches 8 the amount is no longer what it was, and what was known is dropped. The
    bound keeps single extreme runs from doing that.
    """
    n, total, squares, above, below = arm[first : first + 5].tolist()
    if n >= KNOWN_TRIALS:
        mean = total / n
        deviation = math.sqrt(max(squares / n - mean * mean, 0.0)) + AMOUNT_TOLERANCE * abs(mean)
        away = (amount - mean) / (deviation + 1e-9)
        away = min(max(away, -AMOUNT_STEP), AMOUNT_STEP)
        above, below = max(0.0, above + away - AMOUNT_DRIFT), max(0.0, below - away - AMOUNT_DRIFT)
        if max(above, below) > AMOUNT_ALARM:
            n = total = squares = above = below = 0.0
    arm[first : first + 5] = (n + 1, total + amount, squares + amount * amount, above, below)
    at = ALL_COST if first == COST else ALL_TIME
    overall[at : at + 2] += (1, amount)


def shifted(arm: Doubles, expected: float, reward: float) -> bool:
    """Enter an outcome into the sums of better and worse; return whether one is too large.

    Each adds the log-likelihood ratio of the reward under odds e^1.2 times better (worse) than
    expected, and starts again at 0. If what is expected is right, the chance of a false alarm is
    below e^−5 for each start.
    """
    odds = math.log(expected / (1 - expected))
    for at, sign in ((BETTER, 1), (WORSE, -1)):
        other = 1 / (1 + math.exp(-(odds + sign * SHIFT)))
        gain = reward * math.log(other / expected)
        gain += (1 - reward) * math.log((1 - other) / (1 - expected))
        arm[at] = max(0.0, float(arm[at]) + gain)
    return bool(max(arm[BETTER], arm[WORSE]) > ALARM)


def start_again(arm: Doubles, overall: Doubles) -> None:
    """Keep a tenth of the counts of a strategy that is no longer what it was."""
    _spread(arm, overall, -1)
    for at in (TRIALS, SUCCESS, RECENT, RECENT_SUCCESS):
        arm[at] *= KEPT_AT_ALARM
    arm[BY_KIND:] *= KEPT_AT_ALARM
    arm[BETTER] = arm[WORSE] = 0
    _spread(arm, overall, 1)
