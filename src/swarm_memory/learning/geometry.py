"""Where the rows of a window are, and how alike each is to the others and to a context.

The rows of a block are kept transposed: to compare all of them with a context is then one product
of a vector and a matrix, and all that follows works on whole rows of memory.

What two rows have in common is kept once it was computed: to solve for a new row takes the same
numbers of its neighbours again and again. That is memory and no state, so it must not show in what
comes out. It does not: coordinates are multiples of 2^-24 (what is hashed, in half precision) and
of 2^-20 (numbers), so that sums of their products are exact in double precision, in whatever order
a library adds them, and all else is computed number by number, alike from either of two rows.
"""

from __future__ import annotations

import numpy as np

from swarm_memory.learning import kernel
from swarm_memory.learning.features import FACET_DIMENSIONS, TYPE_DIMENSIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Doubles = NDArray[np.float64]
    Ints = NDArray[np.int64]

CLIP = 3.0  # standard deviations
GRAIN = 2.0**20  # of a standard deviation: what a number is rounded to
KEPT_STALE_MAX = 64  # rows that may change until all is computed anew
READ_MIN = 8  # rows that are compared, though there be fewer
COMPARED_MAX = 64  # rows at once, which bounds the memory
_FACETS = slice(TYPE_DIMENSIONS, TYPE_DIMENSIONS + FACET_DIMENSIONS)


def standardised(numbers: Floats, scale: Floats) -> Doubles:
    """Return numbers in standard deviations; a missing one is the mean.

    Args:
        numbers: (…, n).
        scale: Centre and 1 / deviation, (2, n or more).
    """
    n = numbers.shape[-1]
    wide = scale[:, :n].astype(np.float64)
    scaled: Doubles = (numbers.astype(np.float64) - wide[0]) * wide[1]
    scaled[scaled != scaled] = 0
    np.minimum(scaled, CLIP, out=scaled)
    np.maximum(scaled, -CLIP, out=scaled)
    scaled *= GRAIN
    np.rint(scaled, out=scaled)
    scaled *= 1 / GRAIN
    return scaled


def standard(number: float, centre: float, inverse: float) -> float:
    """Return the same of one number; quicker for one.

    Args:
        number: In single precision, as a row keeps it.
    """
    return round(min(max((number - centre) * inverse, -CLIP), CLIP) * GRAIN) / GRAIN


def spread(numbers: Floats) -> Floats:
    """Return centre and 1 / deviation of numbers, (2, n_numbers), 0 where they do not vary."""
    wide = numbers.astype(np.float64)
    known = ~np.isnan(wide)
    counts = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, wide, 0).sum(axis=0) / counts
    deviation = np.sqrt((np.where(known, wide - centre, 0) ** 2).sum(axis=0) / counts)
    inverse = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0)
    return np.array([centre, inverse], np.float32)


def split(hashed: NDArray[Any], numbers: NDArray[Any]) -> list[NDArray[Any]]:
    """Return the blocks of rows, or of one: task type, facets, text, numbers."""
    return [
        hashed[..., : _FACETS.start],
        hashed[..., _FACETS],
        hashed[..., _FACETS.stop :],
        numbers,
    ]


class Geometry:
    """The blocks of the rows (task type, facets, text, numbers), by one scale and variances."""

    def __init__(
        self, hashed: Floats, numbers: Floats, scale: Floats, variances: kernel.Variances
    ) -> None:
        self._scale, self.variances = scale, variances
        self.scales = scale.T.tolist()  # of each number: centre and 1 / deviation
        rows = split(hashed.astype(np.float64), standardised(numbers, scale))
        self._columns = [np.ascontiguousarray(block.T) for block in rows]
        self._active = [b for b, gamma in enumerate(variances.gamma) if gamma]
        self._gammas = [variances.gamma[b] for b in self._active]
        self._squares = np.empty((len(self._active), len(hashed)))
        for index, b in enumerate(self._active):
            self._squares[index] = kernel.squares(rows[b])
        gammas = np.array(self._gammas).reshape(-1, 1, 1)
        self._nearer = -2 * gammas
        # Half of the 1 in each of both: so their sum is the same from either side.
        self._bases = gammas[:, 0] * self._squares + 0.5
        v, active = variances, self._active
        self._shares = [(v.shared[b], v.slope[b]) for b in active]
        self._both = np.array(self._shares).reshape(-1, 2, 1, 1)
        # By what the curved parts of all blocks, and their linear ones, add up to both covariances.
        each = self._both[:, :, 0, 0].T
        self._mixture = np.concatenate([(1 - kernel.LINEAR) * each, -kernel.TREND * each], axis=1)
        self._kept: Floats | None = None  # covariances of rows with all others
        self._known = np.zeros(len(hashed), bool)  # which of them are kept
        self._stale: set[int] = set()  # rows that changed since, for whom the others are wrong

    @property
    def blocks(self) -> list[Doubles]:
        """The rows of each block, (n_rows, d)."""
        return [columns.T for columns in self._columns]

    def row(self, hashed: Floats, numbers: Floats) -> list[Doubles]:
        """Return the blocks of a row."""
        return split(hashed.astype(np.float64), standardised(numbers, self._scale))

    def put(self, at: int, x: Sequence[Doubles]) -> None:
        """Take in a row, given by its blocks."""
        for columns, row in zip(self._columns, x, strict=True):
            columns[:, at] = row
        for index, b in enumerate(self._active):
            square = float(x[b] @ x[b])
            self._squares[index, at] = square
            self._bases[index, at] = self._gammas[index] * square + 0.5
        self._known[at] = False
        self._stale.add(at)

    def covariances(
        self, x: Sequence[NDArray[Any]], n: int, *, exact: bool
    ) -> tuple[Floats, Floats]:
        """Return the covariances of the first `n` rows with a context: shared, and by strategy.

        Args:
            x: Its blocks, the numbers in standard deviations.
            exact: To the bit what it is when the context has become a row; else quicker.
        """
        blocks = [x[b] for b in self._active]
        others = [g * float(x @ x) + 0.5 for g, x in zip(self._gammas, blocks, strict=True)]
        bases = np.array(others).reshape(-1, 1, 1)
        if exact:
            shared, apart = self._mixed([x[None] for x in blocks], bases, n)
            return shared[0], apart[0]
        pieces = np.empty((2, len(blocks), n))
        curved, dots = pieces
        scaled = zip(blocks, self._gammas, dots, self._active, strict=True)
        for block, gamma, out, b in scaled:
            np.matmul(block * (-2 * gamma), self._columns[b][:, :n], out=out)
        np.add(dots, self._bases[:, :n], out=curved)
        curved += bases[:, 0]
        np.reciprocal(curved, out=curved)
        both = (self._mixture @ pieces.reshape(2 * len(blocks), n)).astype(np.float32)
        return both[0], both[1]

    def _mixed(self, x: Sequence[NDArray[Any]], bases: Doubles, n: int) -> Floats:
        """Return both covariances of contexts with the first `n` rows, (2, m, n).

        Args:
            x: Their active blocks, (m, d) each.
            bases: gamma times their squared lengths, and 1/2, (n_active, m, 1).
        """
        count, m = bases.shape[:2]
        # So many at least: sums of one number a piece are not added in the order of many.
        n_read = max(n, READ_MIN)
        dots = np.empty((count, m, n_read))
        for out, block, b in zip(dots, x, self._active, strict=True):
            np.matmul(block, self._columns[b][:, :n_read], out=out)
        dots *= self._nearer
        curved = dots + (bases + self._bases[:, None, :n_read])
        np.divide(1 - kernel.LINEAR, curved, out=curved)
        dots *= -kernel.TREND
        curved += dots
        both: Doubles = np.add.reduce(self._both * curved[:, None], axis=0)
        return both[..., :n].astype(np.float32)

    def among(self, rows: Ints, n: int, locals_: Ints) -> Floats:
        """Return the covariances of some rows with the first `n`, (m, n).

        Args:
            rows: (m,), of the first n.
            locals_: The strategy of each row, (n_rows,).
        """
        if len(self._stale) > KEPT_STALE_MAX:
            self._known[:] = False
            self._stale.clear()
        missing = {*rows[~self._known[rows]].tolist(), *self._stale}
        if missing:
            self._compare(sorted(missing), n, locals_)
        kept: Floats = self._memory().take(rows, axis=0)[:, :n]
        return kept

    def _memory(self) -> Floats:
        if self._kept is None:
            self._kept = np.empty((len(self._known), len(self._known)), np.float32)
        return self._kept

    def _compare(self, rows: list[int], n: int, locals_: Ints) -> None:
        arm = np.float32(self.variances.arm)
        for first in range(0, len(rows), COMPARED_MAX):
            some = np.array(rows[first : first + COMPARED_MAX])
            x = [self._columns[b][:, some].T for b in self._active]
            shared, apart = self._mixed(x, self._bases[:, some, None], n)
            same = locals_[some][:, None] == locals_[:n]
            self._keep(some, shared + (apart + arm) * same)

    def _keep(self, rows: Ints, covariances: Floats) -> None:
        """Keep the covariances of some rows with the first n, (m, n), for them and the others."""
        kept, n = self._memory(), covariances.shape[1]
        kept[rows, :n] = covariances
        for at, row in zip(rows.tolist(), covariances, strict=True):
            if at in self._stale:
                kept[:n, at] = row
        self._stale.difference_update(rows.tolist())
        self._known[rows] = True

    def compared(self, at: int, covariances: Floats) -> None:
        """Keep the covariances of a row that was just put in.

        Args:
            covariances: Of its context with the first n rows, (n,); that with itself is not read.
        """
        kept, n = self._memory(), len(covariances)
        kept[:n, at] = kept[at, :n] = covariances
        kept[at, at] = self._own(at)
        self._stale.discard(at)
        self._known[at] = True

    def _own(self, at: int) -> np.float32:
        """Return the covariance of a row with itself, by the steps of `_mixed`."""
        shared = apart = 0.0
        for square, gamma, (s, w) in zip(
            self._squares[:, at].tolist(), self._gammas, self._shares, strict=True
        ):
            dot = square * (-2 * gamma)
            base = gamma * square + 0.5
            curved = (1 - kernel.LINEAR) / (dot + (base + base)) + dot * -kernel.TREND
            shared, apart = shared + s * curved, apart + w * curved
        return np.float32(shared) + (np.float32(apart) + np.float32(self.variances.arm))

    def corrections(self, rows: Ints, weights: Floats, locals_: Ints, residuals: Floats) -> Floats:
        """Return what solves for the weights of some rows, those of the others being fixed.

        Args:
            rows: (m,), of the first n.
            weights: (n,).
            locals_: The strategy of each row, (n_rows,).
            residuals: What the rows' rewards are above the base, (m,).
        """
        noise = self.variances.noise
        covariance = self.among(rows, len(weights), locals_)
        matrix = covariance[:, rows].astype(np.float64, order="C")
        matrix.ravel()[:: len(rows) + 1] += noise
        left = residuals - covariance @ weights - np.float32(noise) * weights[rows]
        result: Floats = np.linalg.solve(matrix, left).astype(np.float32)
        return result
