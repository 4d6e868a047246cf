"""How alike two contexts are, and the Gaussian process over (context, strategy) built on it.

The covariance of the expected rewards of (x, a) and (x', a') is

    Σ_b s_b k_b(x, x')  +  [a = a'] (v + Σ_b w_b k_b(x, x'))

over the blocks b of a context (task type, facets, text, numbers): s_b is how far the difficulty of
a task, shared by all strategies, follows the block; v how far strategies differ everywhere; w_b how
far they differ by context. k_b is 0.85 times 1 / (1 + c |x − x'|² / mean |x − x'|²), a
rational quadratic kernel, which looks at several distances at once, and 0.15 times 2 x·x' / mean
|x − x'|², a trend. How large s, v and w are is read off the data (`fitted`): context counts only as
far as it earns its keep.

Source:
    Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", 2.2, 4.2 and 5.4;
    Krause and Ong 2011, "Contextual Gaussian Process Bandit Optimization".
"""

from __future__ import annotations

import math

import numpy as np

from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Doubles = NDArray[np.float64]
    Ints = NDArray[np.int64]

SHARPNESS = 6.0  # c: the curved part of what is as far away as the mean of all pairs is 1/7
LINEAR = 0.15  # share of the kernel that is linear, so that trends reach beyond neighbours
TREND = LINEAR / SHARPNESS  # of 2 c a·x, so that it is of about 1 for x with itself, too
ARM_VARIANCE = 0.02
SHARED_VARIANCE, SLOPE_VARIANCE = 0.08, 0.10  # of all blocks together
NOISE_MIN = 0.02
STEPS = (1 / 3, 3.0)  # what a variance is tried to be multiplied with
STEPS_MAX = 3.0  # of one variance, away from where it began, in factors of three
PENALTY = 0.35  # log-likelihood that a factor of three away costs, squared


class Variances(NamedTuple):
    """The variances of the process: `shared` and `slope` (n_blocks,), `arm`, `noise`, and c's."""

    shared: tuple[float, ...]
    slope: tuple[float, ...]
    arm: float
    noise: float
    gamma: tuple[float, ...]  # c / mean squared distance of the block, 0 where it says nothing


def squares(block: Floats) -> Floats:
    """Return the squared length of each row of (n, d)."""
    result: Floats = np.einsum("ij,ij->i", block, block)
    return result


def similarity(rows: Floats, gamma: float) -> Floats:
    """Return k of all pairs of rows of a block, (n, n).

    Args:
        rows: (n, d).
        gamma: c / mean squared distance.
    """
    bases = np.float32(gamma) * squares(rows)
    scaled: Floats = rows * np.float32(-2 * gamma)
    dots: Floats = scaled @ rows.T
    distances: Floats = dots + bases[:, None] + bases + np.float32(1)
    return np.float32(1 - LINEAR) / distances - np.float32(TREND) * dots


def started(blocks: Sequence[Floats], variance: float) -> Variances:
    """Return the variances to begin with, for rewards of that variance.

    Blocks without variation get none; the others share alike.

    Args:
        blocks: (n, d_b) each.
        variance: Of the rewards around their mean, in (0, 0.25].
    """
    spreads = [float(2 * block.var(axis=0, dtype=np.float64).sum()) for block in blocks]
    active = [spread > 1e-6 for spread in spreads]
    share = 1 / max(1, sum(active))
    scale = variance / 0.25
    gamma = tuple(SHARPNESS / s if on else 0.0 for s, on in zip(spreads, active, strict=True))
    shared = tuple(SHARED_VARIANCE * share * scale if on else 0.0 for on in active)
    slope = tuple(SLOPE_VARIANCE * share * scale if on else 0.0 for on in active)
    return Variances(
        shared, slope, ARM_VARIANCE * scale, max(0.8 * variance, NOISE_MIN * scale), gamma
    )


class Covariances:
    """The covariance matrix of some rows, as a sum of pieces, one for each of `flat`."""

    def __init__(self, blocks: Sequence[Floats], arms: Ints, gamma: Sequence[float]) -> None:
        same = (arms[:, None] == arms[None, :]).astype(np.float64)
        shared: list[Doubles | None] = []
        for block, g in zip(blocks, gamma, strict=True):
            if g:
                shared.append(similarity(block, g).astype(np.float64))
            else:
                shared.append(None)
        slopes = [None if alike is None else alike * same for alike in shared]
        self.same = same
        self.pieces = [*shared, *slopes, same]

    def matrix(self, variances: Variances) -> Doubles:
        """Return the covariance matrix without the noise, (n, n)."""
        result: Doubles = np.zeros_like(self.same)
        for piece, value in zip(self.pieces, flat(variances), strict=True):
            if piece is not None and value:
                result += value * piece
        return result


def evidence(matrix: Doubles, noise: float, residuals: Doubles) -> float:
    """Return the log marginal likelihood of residuals, up to a constant.

    Args:
        matrix: Their covariance without the noise, (n, n).
    """
    n = len(residuals)
    # The residuals are one more row, so that its factor is the factor's inverse times them.
    whole = np.empty((n + 1, n + 1))
    whole[:n, :n] = matrix
    whole.ravel()[: n * (n + 2) : n + 2] += noise
    whole[n, :n] = residuals
    # Twice what the last row of the factor can be long: no eigenvalue is below the noise.
    whole[n, n] = 1 + 2 * float(residuals @ residuals) / noise
    lower = np.linalg.cholesky(whole)
    half = lower[n, :n]
    return float(-0.5 * (half @ half) - np.log(lower.diagonal()[:n]).sum())


def built(values: Sequence[float], gamma: tuple[float, ...], variance: float) -> Variances:
    """Return variances of which `values` holds shared, slope and arm, the noise being the rest."""
    blocks = len(gamma)
    noise = max(variance - 0.6 * sum(values), 0.3 * variance)
    shared, slope = tuple(values[:blocks]), tuple(values[blocks:-1])
    return Variances(shared, slope, values[-1], noise, gamma)


def flat(variances: Variances) -> list[float]:
    """Return shared, slope and arm, in one list."""
    return [*variances.shared, *variances.slope, variances.arm]


def fitted(
    pieces: Covariances,
    begun: Variances,
    now: Variances,
    residuals: Doubles,
    variance: float,
    which: Sequence[int],
) -> Variances:
    """Return variances that make the residuals likelier: one step of some, up or down.

    Leaving `begun`, the values to begin with, is penalised, so few outcomes change little. The
    noise is what the mean of the rest leaves of `variance`.

    Args:
        which: Which of `flat` to try.
    """
    values, first = flat(now), flat(begun)
    matrix = pieces.matrix(now)

    def score(matrix: Doubles, values: list[float]) -> float:
        away = [math.log(v / f, 3) for v, f in zip(values, first, strict=True) if f]
        penalty = PENALTY * sum(step * step for step in away)
        noise = built(values, begun.gamma, variance).noise
        return evidence(matrix, noise, residuals) - penalty

    best = score(matrix, values)
    for index in which:
        value, piece, kept = values[index], pieces.pieces[index], matrix
        for factor in STEPS:
            tried = value * factor
            if piece is None or abs(math.log(tried / first[index], 3)) > STEPS_MAX + 0.01:
                continue
            other = [*values[:index], tried, *values[index + 1 :]]
            changed = kept + (tried - value) * piece
            if (reached := score(changed, other)) > best:
                best, values, matrix = reached, other, changed
    return built(values, begun.gamma, variance)
