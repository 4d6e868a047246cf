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
        rows = split(hashed, standardised(numbers, scale))
        self._columns = [np.ascontiguousarray(block.T) for block in rows]
        self._active = [b for b, gamma in enumerate(variances.gamma) if gamma]
        self._gammas = [np.float32(variances.gamma[b]) for b in self._active]
        self._bases = np.empty((len(self._active), len(hashed)), np.float32)
        for index, (b, gamma) in enumerate(zip(self._active, self._gammas, strict=True)):
            self._bases[index] = gamma * kernel.squares(rows[b]) + np.float32(1)
        self._weigh()

    def _weigh(self) -> None:
        """Compute by what the parts of all kernels add up to both covariances."""
        v, active = self._variances, self._active
        both = np.array([[v.shared[b] for b in active], [v.slope[b] for b in active]], np.float32)
        curved, trend = np.float32(1 - kernel.LINEAR), np.float32(kernel.TREND)
        self._both = both[:, :, None]  # (2, n_active, 1)
        self._mixture = np.concatenate([curved * both, -trend * both], axis=1)
        self._trend = trend * both  # of what does not depend on the pair
        self._fixed = np.zeros((2, self._bases.shape[1]), np.float32)
        for index in range(len(active)):
            self._fixed += self._trend[:, index : index + 1] * self._bases[index]

    @property
    def blocks(self) -> list[Floats]:
        """The rows of each block, (n_rows, d)."""
        return [columns.T for columns in self._columns]

    def put(self, at: int, hashed: Floats, numbers: Floats) -> None:
        """Take in a row."""
        x = split(hashed, standardised(numbers, self._scale))
        for columns, row in zip(self._columns, x, strict=True):
            columns[:, at] = row
        fixed = np.zeros(2, np.float32)
        for index, b in enumerate(self._active):
            base = self._gammas[index] * kernel.squares(x[b][None])[0] + np.float32(1)
            self._bases[index, at] = base
            fixed += self._trend[:, index] * base
        self._fixed[:, at] = fixed

    def covariances(self, x: Sequence[Floats], n: int) -> tuple[Floats, Floats]:
        """Return the covariances of the first `n` rows with a context: shared, and by strategy.

        Args:
            x: Its blocks, the numbers in standard deviations.
        """
        half = len(self._active)
        pieces = np.empty((2 * half, n), np.float32)
        distances = pieces[half:]
        add = np.empty(half, np.float32)
        for index, b in enumerate(self._active):
            gamma, block = self._gammas[index], x[b]
            np.matmul(block * (-2 * gamma), self._columns[b][:, :n], out=distances[index])
            add[index] = gamma * (block @ block)
        distances += self._bases[:, :n]
        distances += add[:, None]
        np.reciprocal(distances, out=pieces[:half])
        result = self._mixture @ pieces
        result += self._fixed[:, :n]
        result += (self._trend @ add)[:, None]
        return result[0], result[1]

    def corrections(self, rows: Ints, weights: Floats, locals_: Ints, residuals: Floats) -> Floats:
        """Return what solves for the weights of some rows, those of the others being fixed.

        Args:
            rows: (m,), of the first n.
            weights: (n,).
            locals_: The strategy of each row, (n_rows,).
            residuals: What the rows' rewards are above the base, (m,).
        """
        v = self._variances
        same = (locals_[rows][:, None] == locals_[: len(weights)]).astype(np.float32)
        own = same * weights  # of each row's strategy only
        among = same[:, rows]
        explained = np.float32(v.arm) * own.sum(axis=1)
        inner = np.float32(v.arm) * among
        if self._active:
            alike = self._alike(rows, len(weights))
            shared, slope = self._both
            mixed = np.einsum("bij,j->bi", alike, weights) * shared
            mixed += np.einsum("bij,ij->bi", alike, own) * slope
            explained += mixed.sum(axis=0)
            within = alike[:, :, rows]
            shared, slope = self._both[:, :, :, None]
            inner += (shared * within).sum(axis=0) + among * (slope * within).sum(axis=0)
        matrix = inner.astype(np.float64, order="C")
        matrix.ravel()[:: len(rows) + 1] += v.noise
        left = residuals - explained - v.noise * weights[rows]
        result: Floats = np.linalg.solve(matrix, left).astype(np.float32)
        return result

    def _alike(self, rows: Ints, n: int) -> Floats:
        """Return k of some rows and the first `n`, by active block: (n_active, m, n)."""
        distances = np.empty((len(self._active), len(rows), n), np.float32)
        for index, b in enumerate(self._active):
            columns = self._columns[b]
            x = columns[:, rows] * (-2 * self._gammas[index])
            np.matmul(x.T, columns[:, :n], out=distances[index])
        bases, others = self._bases[:, None, :n], self._bases[:, rows, None] - np.float32(1)
        distances += bases
        distances += others
        return kernel.alike(distances, bases, others)
