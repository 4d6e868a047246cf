"""A refit of the window's process, in steps that the outcomes which follow take one by one.

Scale, variances and weights are computed for the rows of now, beside those in use, and take their
place when the last step is done. So nobody who records an outcome waits for all of it, and all
processes take the same steps: what is not done yet is a part of the state.

1. Scale and mean of the rows.
2. A step for each variance: is a third of it, or its triple, likelier for the latest outcomes?
3. The weights, some rows at a time (block Gauss-Seidel on (C + noise) weights = residuals), in some
   laps, each from the oldest row to the newest.
"""

from __future__ import annotations

import json

import numpy as np

from swarm_memory.learning import kernel
from swarm_memory.learning.geometry import Geometry, split, spread, standardised

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from swarm_memory.learning.window import Window

    Floats = NDArray[np.float32]
    Doubles = NDArray[np.float64]
    Ints = NDArray[np.int64]

FORMAT = 1
VARIED = 256  # rows times variances that a step tries
VARIED_ROWS_MAX = 192  # that the variances are read off
SOLVED_ROWS = 64  # at a time
LAPS = 4


class Refit:
    """What a refit has found so far."""

    __slots__ = ("base", "begun_with", "placed", "scale", "stage", "upto", "variance", "variances",
                 "weights")  # fmt: skip

    def __init__(
        self,
        upto: int,
        base: float,
        variance: float,
        begun_with: kernel.Variances,
        variances: kernel.Variances,
        scale: Floats,
        weights: Floats,
        stage: int = 0,
    ) -> None:
        self.upto = upto  # outcomes when it began
        self.base, self.variance = base, variance  # of the rewards
        self.begun_with, self.variances = begun_with, variances
        self.scale, self.weights = scale, weights
        self.stage = stage  # steps taken
        self.placed: Geometry | None = None  # derived, and kept from step to step

    @classmethod
    def begun(cls, window: Window) -> Refit:
        """Return a refit of the rows of a window of which no step has been taken."""
        rows = np.flatnonzero(window.alive[: window.used])
        rewards = window.reward[rows].astype(np.float64)
        base = float((rewards.sum() + 1) / (len(rows) + 2))
        residuals = rewards - base
        variance = max(float(residuals @ residuals + 0.5) / (len(rows) + 2), 0.01)
        scale = spread(window.numbers[: window.used])
        latest = _latest(window, window.count)
        blocks = _blocks(window, scale, latest)
        first = kernel.started(blocks, variance)
        now = window.variances
        if tuple(bool(g) for g in now.gamma) == tuple(bool(g) for g in first.gamma):
            now = now._replace(gamma=first.gamma)
        else:
            now = first
        now = kernel.built(kernel.flat(now), now.gamma, variance)
        weights = np.zeros_like(window.weights)
        return cls(window.count, base, variance, first, now, scale, weights)

    def widen(self, width: int) -> None:
        """Make room for so many columns of numbers; new ones do not count yet."""
        if (missing := width - self.scale.shape[1]) > 0:
            self.scale = np.pad(self.scale, ((0, 0), (0, missing)))

    def step(self, window: Window) -> bool:
        """Take the next step; tell if it was the last."""
        tried = [i for i, value in enumerate(kernel.flat(self.begun_with)) if value]
        stage, together = self.stage, max(1, VARIED // max(1, min(self.upto, VARIED_ROWS_MAX)))
        if stage < len(tried):
            self._vary(window, tried[stage : stage + together])
            self.stage = min(stage + together, len(tried))
            return False
        self.stage += 1
        return self._solve(window, stage - len(tried))

    def _vary(self, window: Window, which: list[int]) -> None:
        rows = _latest(window, self.upto)
        if not len(rows):
            return
        pieces = kernel.Covariances(
            _blocks(window, self.scale, rows), window._locals[rows], self.begun_with.gamma
        )
        residuals = window.reward[rows].astype(np.float64) - self.base
        self.variances = kernel.fitted(
            pieces, self.begun_with, self.variances, residuals, self.variance, which
        )

    def _solve(self, window: Window, number: int) -> bool:
        """Solve for the next rows; tell if they were the last."""
        ring = len(window.alive)
        held = min(self.upto, ring)
        pieces = -(-held // SOLVED_ROWS)
        first = number % pieces * SOLVED_ROWS
        last = number + 1 >= LAPS * pieces
        ages = np.arange(first, min(first + SOLVED_ROWS, held))
        # With them what has come since the last step, and at last all that came: whoever is solved
        # later takes it into account.
        since = window.count - self.upto
        come = np.arange(held if last else held + max(0, since - 1), held + since)
        rows = np.unique((self.upto - held + np.concatenate([ages, come])) % ring)
        rows = rows[window.alive[rows]]
        if len(rows):
            residuals = window.reward[rows] - np.float32(self.base)
            self.weights[rows] += self.geometry(window).corrections(
                rows, self.weights[: window.used], window._locals, residuals
            )
        return last

    def geometry(self, window: Window) -> Geometry:
        """Return where the rows are by what was found, once scale and variances are final."""
        if self.placed is None:
            self.placed = Geometry(window.hashed, window.known_numbers, self.scale, self.variances)
        return self.placed

    def alike(self, other: Refit) -> bool:
        """Tell whether rows are in the same places by another."""
        same = self.variances == other.variances and self.scale.shape == other.scale.shape
        return same and bool((self.scale == other.scale).all())

    # Parts ----------------------------------------------------------------------------------------

    def written(self) -> bytes:
        """Return it as it is stored."""
        numbers = [FORMAT, len(self.weights), self.upto, self.base, self.variance, self.stage]
        head = json.dumps([*numbers, self.begun_with, self.variances]).encode()
        return (
            head + b"\n" + self.weights.astype("<f4").tobytes() + self.scale.astype("<f4").tobytes()
        )

    @classmethod
    def read(cls, part: bytes) -> Refit:
        """Return what was stored.

        Raises:
            ValueError: The part is of another format.
        """
        head, arrays = part.split(b"\n", 1)
        form, *rest = json.loads(head)
        if form != FORMAT:
            raise ValueError(f"a refit of the model is of format {form}, not {FORMAT}; rebuild it")
        rows, upto, base, variance, stage, begun_with, variances = rest
        values = np.frombuffer(arrays, "<f4").astype(np.float32)
        return cls(
            upto, base, variance, _variances(begun_with), _variances(variances),
            values[rows:].reshape(2, -1), values[:rows], stage,
        )  # fmt: skip


def _variances(values: tuple[Any, ...]) -> kernel.Variances:
    shared, slope, arm, noise, gamma = values
    return kernel.Variances(tuple(shared), tuple(slope), arm, noise, tuple(gamma))


def _latest(window: Window, upto: int) -> Ints:
    """Return the rows whose outcomes were the last of the first `upto`, the latest first."""
    ring = len(window.alive)
    rows = (upto - 1 - np.arange(min(upto, ring))) % ring
    return rows[window.alive[rows]][:VARIED_ROWS_MAX]


def _blocks(window: Window, scale: Floats, rows: Ints) -> list[Floats]:
    """Return the blocks of some rows, their numbers by a scale of their own."""
    numbers = standardised(window.known_numbers[rows], scale).astype(np.float32)
    return split(window.hashed[rows], numbers)
