"""Where the rows of a window are, laid out so that they are compared with a context quickly.

The rows of a block are kept transposed: to compare all of them with a context is then one product
of a vector and a matrix, and all that follows works on whole rows of memory.
"""

from __future__ import annotations

import numpy as np

from swarm_memory.learning import kernel
from swarm_memory.learning.features import FACET_DIMENSIONS, TYPE_DIMENSIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Ints = NDArray[np.int64]

CLIP = 3.0  # standard deviations
ONE = np.float32(1)
_FACETS = slice(TYPE_DIMENSIONS, TYPE_DIMENSIONS + FACET_DIMENSIONS)


def standardised(numbers: Floats, scale: Floats) -> Floats:
    """Return numbers in standard deviations; a missing one is the mean.

    Args:
        numbers: (…, n).
        scale: Centre and 1 / deviation, (2, n or more).
    """
    n = numbers.shape[-1]
    scaled: Floats = (numbers - scale[0, :n]) * scale[1, :n]
    scaled[scaled != scaled] = 0
    np.minimum(scaled, np.float32(CLIP), out=scaled)
    np.maximum(scaled, np.float32(-CLIP), out=scaled)
    return scaled


def spread(numbers: Floats) -> Floats:
    """Return centre and 1 / deviation of numbers, (2, n_numbers), 0 where they do not vary."""
    wide = numbers.astype(np.float64)
    known = ~np.isnan(wide)
    counts = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, wide, 0).sum(axis=0) / counts
    deviation = np.sqrt((np.where(known, wide - centre, 0) ** 2).sum(axis=0) / counts)
    inverse = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0)
    return np.array([centre, inverse], np.float32)


def split(hashed: Floats, numbers: Floats) -> list[Floats]:
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
        self._scale, self._variances = scale, variances
        self.scales = scale.T.tolist()  # of each number: centre and 1 / deviation
        rows = split(hashed, standardised(numbers, scale))
        self._columns = [np.ascontiguousarray(block.T) for block in rows]
        self._active = [b for b, gamma in enumerate(variances.gamma) if gamma]
        self._gammas = [np.float32(variances.gamma[b]) for b in self._active]
        self._bases = np.empty((len(self._active), len(hashed)), np.float32)
        for index, (b, gamma) in enumerate(zip(self._active, self._gammas, strict=True)):
            self._bases[index] = gamma * kernel.squares(rows[b]) + ONE
        v, active = variances, self._active
        both = np.array([[v.shared[b] for b in active], [v.slope[b] for b in active]], np.float32)
        # By what the curved parts of all blocks, and their linear ones, add up to both covariances.
        curved, trend = np.float32(1 - kernel.LINEAR), np.float32(-kernel.TREND)
        self._mixture = np.concatenate([curved * both, trend * both], axis=1)

    @property
    def blocks(self) -> list[Floats]:
        """The rows of each block, (n_rows, d)."""
        return [columns.T for columns in self._columns]

    def put(self, at: int, hashed: Floats, numbers: Floats) -> None:
        """Take in a row."""
        x = split(hashed, standardised(numbers, self._scale))
        for columns, row in zip(self._columns, x, strict=True):
            columns[:, at] = row
        for index, b in enumerate(self._active):
            self._bases[index, at] = self._gammas[index] * kernel.squares(x[b][None])[0] + ONE

    def covariances(self, x: Sequence[Floats], n: int) -> tuple[Floats, Floats]:
        """Return the covariances of the first `n` rows with a context: shared, and by strategy.

        Args:
            x: Its blocks, the numbers in standard deviations.
        """
        scaled, others = [], []
        for gamma, b in zip(self._gammas, self._active, strict=True):
            block = x[b] * (-2 * gamma)
            scaled.append(block)
            others.append(-0.5 * float(block @ x[b]))
        shared, apart = self._mixed(scaled, np.array(others, np.float32)[:, None], n)
        return shared[0], apart[0]

    def _mixed(self, x: list[Floats], others: Floats, n: int) -> Floats:
        """Return both covariances of contexts with the first `n` rows, (2, m, n).

        Args:
            x: Their active blocks times −2 gamma, (m, d) each, or (d,) of one.
            others: gamma times their squared lengths, (n_active, m).
        """
        half, m = others.shape
        pieces = np.empty((2, half, m, n), np.float32)
        curved, dots = pieces
        for index, b in enumerate(self._active):
            rows = dots[index] if x[index].ndim == 2 else dots[index, 0]
            np.matmul(x[index], self._columns[b][:, :n], out=rows)
        np.add(dots, self._bases[:, None, :n], out=curved)
        curved += others[:, :, None]
        np.reciprocal(curved, out=curved)
        mixed: Floats = self._mixture @ pieces.reshape(2 * half, m * n)
        return mixed.reshape(2, m, n)

    def corrections(self, rows: Ints, weights: Floats, locals_: Ints, residuals: Floats) -> Floats:
        """Return what solves for the weights of some rows, those of the others being fixed.

        Args:
            rows: (m,), of the first n.
            weights: (n,).
            locals_: The strategy of each row, (n_rows,).
            residuals: What the rows' rewards are above the base, (m,).
        """
        v, n = self._variances, len(weights)
        x = [
            self._columns[b][:, rows].T * (-2 * gamma)
            for gamma, b in zip(self._gammas, self._active, strict=True)
        ]
        shared, covariance = self._mixed(x, self._bases[:, rows] - ONE, n)
        covariance += np.float32(v.arm)
        covariance *= locals_[rows][:, None] == locals_[:n]
        covariance += shared
        matrix = covariance[:, rows].astype(np.float64, order="C")
        matrix.ravel()[:: len(rows) + 1] += v.noise
        left = residuals - covariance @ weights - np.float32(v.noise) * weights[rows]
        result: Floats = np.linalg.solve(matrix, left).astype(np.float32)
        return result
