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


def similarity(block: Floats, norms: Floats, x: Floats, gamma: float) -> Floats:
    """Return k of the rows of a block and of x.

    Args:
        block: (n, d), of which `norms` (n,) are the squared lengths.
        x: (d,) or (d, m).
        gamma: c / mean squared distance.
    """
    dot = block @ x
    # 1 + gamma (|a|² + |x|² - 2 a x), in as few passes over the rows as possible.
    result: Floats = dot * np.float32(-2 * gamma)
    rows = np.float32(gamma) * norms + np.float32(1)
    result += rows if x.ndim == 1 else rows[:, None]
    result += np.float32(gamma) * np.einsum("i...,i...->...", x, x)
    np.divide(np.float32(1 - LINEAR), result, out=result)
    dot *= np.float32(LINEAR * 2 * gamma / SHARPNESS)  # of about 1 for x with itself, too
    result += dot
    return result


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
    """The pieces of the covariance matrix of some rows, to try several variances on."""

    def __init__(self, blocks: Sequence[Floats], arms: Ints, gamma: Sequence[float]) -> None:
        self.same = (arms[:, None] == arms[None, :]).astype(np.float32)
        self.alike: list[Floats | None] = []
        for block, g in zip(blocks, gamma, strict=True):
            if g:
                norms = np.einsum("ij,ij->i", block, block)
                self.alike.append(similarity(block, norms, block.T, g))
            else:
                self.alike.append(None)

    def matrix(self, variances: Variances) -> Floats:
        """Return the covariance matrix without the noise, (n, n)."""
        shared = np.zeros_like(self.same)
        apart = np.full_like(self.same, variances.arm)
        for alike, s, w in zip(self.alike, variances.shared, variances.slope, strict=True):
            if alike is not None:
                shared += np.float32(s) * alike
                apart += np.float32(w) * alike
        apart *= self.same
        apart += shared
        result: Floats = apart
        return result

    def evidence(self, variances: Variances, residuals: Doubles) -> float:
        """Return the log marginal likelihood of the residuals, up to a constant."""
        matrix = self.matrix(variances).astype(np.float64)
        matrix[np.diag_indices_from(matrix)] += variances.noise
        lower = np.linalg.cholesky(matrix)
        half = np.linalg.solve(lower, residuals)
        return float(-0.5 * (half @ half) - np.log(np.diag(lower)).sum())

    def weights(self, variances: Variances, residuals: Doubles) -> Doubles:
        """Return what each row adds to a prediction: (C + noise)⁻¹ residuals."""
        matrix = self.matrix(variances).astype(np.float64)
        matrix[np.diag_indices_from(matrix)] += variances.noise
        return np.asarray(np.linalg.solve(matrix, residuals), np.float64)


def fitted(
    pieces: Covariances, begun: Variances, now: Variances, residuals: Doubles, variance: float
) -> Variances:
    """Return variances that make the residuals likelier: one step of each, up or down.

    Leaving `begun`, the values to begin with, is penalised, so few outcomes change little. The
    noise is what the mean of the rest leaves of `variance`.
    """
    flat = [*now.shared, *now.slope, now.arm]
    first = [*begun.shared, *begun.slope, begun.arm]
    blocks = len(now.shared)

    def built(values: list[float]) -> Variances:
        explained = sum(values)
        noise = max(variance - 0.6 * explained, 0.3 * variance)
        return Variances(
            tuple(values[:blocks]), tuple(values[blocks:-1]), values[-1], noise, begun.gamma
        )

    def score(values: list[float]) -> float:
        away = [math.log(v / f, 3) for v, f in zip(values, first, strict=True) if f]
        penalty = PENALTY * sum(step * step for step in away)
        return pieces.evidence(built(values), residuals) - penalty

    best = score(flat)
    for index, value in enumerate(flat):
        if not value:
            continue
        for factor in STEPS:
            tried = value * factor
            if abs(math.log(tried / first[index], 3)) > STEPS_MAX + 0.01:
                continue
            other = [*flat[:index], tried, *flat[index + 1 :]]
            if (reached := score(other)) > best:
                best, flat = reached, other
    return built(flat)
