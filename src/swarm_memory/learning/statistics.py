"""What the learning parts share of statistics: tails, intervals, false discovery, clusters."""

from __future__ import annotations

import math

import numpy as np

from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.intp]

BH, BY = "bh", "by"
METHODS = (BH, BY)
FREEDOM_MIN = 1.0
PRIOR_FREEDOM = 10.0  # tasks that the common variance counts for in the robust one
LEVERAGE_MAX = 0.95  # a task that makes a contrast alone must not divide by zero
BISECTIONS = 60
CHUNK_CELLS = 2_000_000  # of a matrix that is looked at in one go: 16 MB of floats


class Contrasts(NamedTuple):
    """Slopes of one outcome on many regressors, each with two standard errors, (n_regressors,).

    `error` is clustered by task and robust, moderated by the common one, with `freedom` degrees;
    `common` supposes that all tasks vary alike. The robust one alone is far too small where a
    facet is rare: of a dozen rows that happen to end alike it sees no variance. The common one
    alone is wrong where the rows of a facet vary more. A test has to pass both. Errors are inf,
    and `effect` 0, where a regressor does not vary.
    """

    effect: Floats
    error: Floats
    freedom: Floats
    common: Floats

    @property
    def t(self) -> Floats:
        """Return effect over the larger error, (n_regressors,)."""
        return self.effect / np.maximum(self.error, self.common)

    def tails(self, signs: Sequence[int] | None = None) -> list[float]:
        """Return the one-sided p of each effect in the direction of `signs`, else of its own."""
        tails = []
        for index, effect in enumerate(self.effect.tolist()):
            towards = abs(effect) if signs is None else signs[index] * effect
            robust = student_tail(towards / float(self.error[index]), float(self.freedom[index]))
            tails.append(max(robust, normal_tail(towards / float(self.common[index]))))
        return tails

    def half_width(self, index: int, level: float) -> float:
        """Return half the width of an interval that covers with probability `level`."""
        one_sided = (1 + level) / 2
        robust = student_quantile(one_sided, float(self.freedom[index])) * self.error[index]
        return float(max(robust, student_quantile(one_sided, 1e6) * self.common[index]))


def normal_tail(z: float) -> float:
    """Return P(Z > z) of a standard normal Z."""
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def student_tail(t: float, freedom: float) -> float:
    """Return P(T > t) of Student's t, to about a hundredth of itself from three degrees on.

    z = sign(t) (8 f + 1) / (8 f + 3) sqrt(f ln(1 + t² / f)), then the normal tail.

    Args:
        freedom: Degrees of freedom f, ≥ 1; need not be whole.

    Source:
        Wallace 1959, "Bounds on normal approximations to Student's and the chi-square
        distributions".
    """
    if not math.isfinite(t):
        return 0.0 if t > 0 else 1.0
    f = max(freedom, FREEDOM_MIN)
    z = (8 * f + 1) / (8 * f + 3) * math.sqrt(f * math.log1p(t * t / f))
    return normal_tail(math.copysign(z, t))


def student_quantile(level: float, freedom: float) -> float:
    """Return t with P(T ≤ t) = `level`, 0.5 ≤ level < 1, by bisection on `student_tail`."""
    low, high = 0.0, 1.0
    while student_tail(high, freedom) > 1 - level and high < 1e6:
        high *= 2
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if student_tail(middle, freedom) > 1 - level:
            low = middle
        else:
            high = middle
    return high


def adjusted(p: Sequence[float], method: str = BH) -> list[float]:
    """Return the q-value of each p-value: the least false-discovery rate that still takes it in.

    "bh" holds for independent and positively dependent tests, "by" for all, at the price of a
    factor 1 + 1/2 + … + 1/n.

    Raises:
        ValueError: `method` is neither.

    Source:
        Benjamini and Hochberg 1995; Benjamini and Yekutieli 2001.
    """
    if method not in METHODS:
        raise ValueError(f"method {method!r}: one of {', '.join(METHODS)}")
    count = len(p)
    factor = sum(1 / k for k in range(1, count + 1)) if method == BY else 1.0
    order = sorted(range(count), key=lambda i: p[i], reverse=True)
    q = [1.0] * count
    least = 1.0
    for place, index in enumerate(order):
        least = min(least, factor * p[index] * count / (count - place))
        q[index] = least
    return q


def wilson(successes: float, trials: float, z: float = 1.959964) -> tuple[float, float]:
    """Return the score interval of a rate, (0, 1) when nothing was tried.

    Source:
        Wilson 1927; Brown, Cai and DasGupta 2001.
    """
    if trials <= 0:
        return 0.0, 1.0
    rate, part = successes / trials, z * z / trials
    centre = (rate + part / 2) / (1 + part)
    half = z * math.sqrt(max(rate * (1 - rate), 0.0) / trials + part / (4 * trials)) / (1 + part)
    return max(0.0, centre - half), min(1.0, centre + half)


def clustered_rate(rewards: Floats, tasks: Integers) -> tuple[float, tuple[float, float]]:
    """Return the mean of rewards in [0, 1] and its 95 % interval, rows of one task being one.

    The score interval over the effective number of rows: the rows divided by how much larger the
    variance clustered by task is than that of independent rows, never more than the rows.

    Args:
        rewards: (n_rows,), at least one.
        tasks: (n_rows,), equal for the rows of one task.

    Source:
        Kish 1965 for the design effect; Dean and Pagano 2015 for its use in a score interval.
    """
    count = len(rewards)
    mean = float(rewards.mean())
    sizes = np.bincount(tasks)
    sums = np.bincount(tasks, weights=rewards - mean)
    groups = int((sizes > 0).sum())
    spread = float(((rewards - mean) ** 2).sum())
    if spread <= 0 or groups < 2:
        effective = float(groups)
    else:
        inflation = float((sums**2).sum()) / spread * groups / (groups - 1)
        effective = min(count, max(count / max(inflation, 1e-9), 1.0))
    return mean, wilson(mean * effective, effective)


def numbered(names: Sequence[object]) -> Integers:
    """Return an index for each name, equal for equal names, in the order of first sight."""
    index: dict[object, int] = {}
    return np.array([index.setdefault(name, len(index)) for name in names], dtype=np.intp)


def demeaned(columns: Floats, groups: Integers, strength: float) -> Floats:
    """Return the columns less the mean of each row's group, shrunk to the mean of all rows.

    x − λ x̄_group − (1 − λ) x̄ with λ = n_group / (n_group + strength): a group of one row must not
    explain that row away.

    Args:
        columns: (n_rows, n_columns).
        groups: (n_rows,), numbers from 0.
        strength: Rows that the common mean counts for, ≥ 0.
    """
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sizes = np.diff(np.r_[starts, len(groups)])[:, None]
    centred = columns - columns.mean(axis=0)
    means = np.add.reduceat(centred[order], starts, axis=0) / (sizes + strength)
    place = np.empty(int(groups.max()) + 1, dtype=np.intp)
    place[ordered[starts]] = np.arange(len(starts))
    result = centred - means[place[groups]]
    return np.asarray(result - result.mean(axis=0), dtype=np.float64)


def contrasts(columns: Floats, outcome: Floats, tasks: Integers) -> Contrasts:
    """Return the slope of `outcome` on each column alone, with its errors.

    b = Σ x y / Σ x². The robust error is the root of (G − 1) / G Σ_g (Σ_{i in g} x e / (1 − h_g))²
    over Σ x², h_g the share of task g in Σ x², with f = 1 / Σ h_g² − 1 degrees of freedom: the
    effective number of tasks that tell anything. A variance that a dozen tasks tell is itself
    uncertain, so it is moderated: (f robust² + 10 common²) / (f + 10), with f + 10 degrees, which
    is all robust where many tasks tell. The common one is the root of
    σ² ((1 − ρ) Σ x² + ρ Σ_g (Σ_{i in g} x)²) over Σ x², σ² and ρ being the variance of what is left
    of a row beside b x and the correlation of two rows of a task: an effect that is there must not
    pass for noise.

    Args:
        columns: Demeaned regressors, (n_rows, n_columns).
        outcome: Demeaned outcome, (n_rows,).
        tasks: (n_rows,), ascending: rows of one task stand together.

    Source:
        Liang and Zeger 1986; Bell and McCaffrey 2002; MacKinnon, Nielsen and Webb 2023; Moulton
        1986 for the common error; Smyth 2004, "Linear models and empirical Bayes methods for
        assessing differential expression", for the moderated variance.
    """
    starts = np.flatnonzero(np.r_[True, tasks[1:] != tasks[:-1]])
    step = max(1, CHUNK_CELLS // max(len(outcome), 1))
    found = [
        _chunk(columns[:, first : first + step], outcome, starts)
        for first in range(0, columns.shape[1], step)
    ]
    if not found:
        return Contrasts(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0))
    return Contrasts(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _components(
    outcome: Floats, starts: Integers, effect: Floats, total: Floats, sums: Floats
) -> tuple[Floats, Floats]:
    """Return the variance of a row and the covariance, ≥ 0, of two rows of one task.

    Both of outcome − effect · column, (n_columns,), with two degrees of freedom taken off.

    Args:
        total: Sums of squares of the columns, (n_columns,).
        sums: Sums of the columns over each task's rows, (n_tasks, n_columns).
    """
    count, groups = len(outcome), len(starts)
    freedom = groups / max(groups - 2, 1)
    left = np.maximum(float((outcome**2).sum()) - effect**2 * total, 0.0)
    variance = freedom * left / count
    sizes = np.diff(np.r_[starts, count])
    pairs = float((sizes * (sizes - 1)).sum())
    if pairs <= 0:
        return variance, np.zeros_like(variance)
    whole = np.add.reduceat(outcome, starts)
    squares = (whole**2).sum() - 2 * effect * (whole @ sums) + effect**2 * (sums**2).sum(axis=0)
    shared = freedom * (squares - left) / pairs
    return variance, np.minimum(np.maximum(shared, 0.0), variance)


def _summed(rows: Floats, starts: Integers) -> Floats:
    """Return the sums of each task's rows, (n_tasks, n_columns)."""
    if len(starts) == len(rows):
        return rows
    return np.asarray(np.add.reduceat(rows, starts, axis=0), dtype=np.float64)


def _chunk(
    part: Floats, outcome: Floats, starts: Integers
) -> tuple[Floats, Floats, Floats, Floats]:
    groups = len(starts)
    squares = part * part
    total = squares.sum(axis=0)
    varies = total > 1e-9 * len(outcome)
    scale = np.where(varies, total, 1.0)
    effect = np.where(varies, outcome @ part / scale, 0.0)
    scores = _summed(part * outcome[:, None], starts)
    share = _summed(squares, starts) / scale
    scores -= share * (scale * effect)
    scores /= 1 - np.minimum(share, LEVERAGE_MAX)
    error = np.sqrt((groups - 1) / groups * (scores**2).sum(axis=0)) / scale
    freedom = np.maximum(1 / np.maximum((share**2).sum(axis=0), 1e-12) - 1, FREEDOM_MIN)
    sums = _summed(part, starts)
    variance, shared = _components(outcome, starts, effect, total, sums)
    together = (sums**2).sum(axis=0)
    common = np.sqrt((variance - shared) * total + shared * together) / scale
    degrees = freedom + PRIOR_FREEDOM
    error = np.sqrt((freedom * error**2 + PRIOR_FREEDOM * common**2) / degrees)
    known = varies & (error > 0) & (common > 0)
    return effect, np.where(known, error, np.inf), degrees, np.where(known, common, np.inf)
