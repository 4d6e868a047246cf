"""The last outcomes with their contexts, and what a Gaussian process predicts from them.

The window is a ring of fixed size, so memory and time do not grow with the number of outcomes. A
prediction is a weighted sum over its rows. A new outcome corrects the weights of its neighbours and
of a few rows in turn (block coordinate descent on (C + noise) weights = residuals); when the number
of outcomes has doubled, and then once a lap, scale, variances and weights are computed afresh.

It is kept in parts of a few KB: pages of rows, the weights, and what changes at a refit only. What
is in memory equals what is written, bit by bit, so every process computes the same.
"""

from __future__ import annotations

import json
import struct

import numpy as np

from swarm_memory.lean import NamedTuple
from swarm_memory.learning import kernel
from swarm_memory.learning.features import (
    FACET_DIMENSIONS,
    NUMBERS_MAX,
    TEXT_DIMENSIONS,
    TYPE_DIMENSIONS,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import NDArray

    from swarm_memory.learning.features import Encoded

    Floats = NDArray[np.float32]
    Doubles = NDArray[np.float64]

ROWS = 1024
PAGE_ROWS = 8
FIRST_REFIT = 4
REFIT_ROWS_MAX = 384  # that the variances are read off
CORRECTED, CORRECTED_IN_TURN = 8, 8
NUMBER_STEP = 16  # the columns of numbers grow by so many
CLIP = 3.0  # standard deviations
ID_BYTES = 40
HASHED = TYPE_DIMENSIONS + FACET_DIMENSIONS + TEXT_DIMENSIONS
FORMAT = 1
_WEIGHTS = struct.Struct("<HQQ")  # format, outcomes ever, when to refit next
_PAGE = struct.Struct("<HH")  # format, columns of numbers


class Nearness(NamedTuple):
    """How alike the rows of the window are to one context, (n_rows,) each."""

    shared: Floats  # covariance of the difficulty
    apart: Floats  # covariance within a strategy
    total: Floats  # similarity in [0, 1], weighted by what counts


class Forecast(NamedTuple):
    """What the window says about strategies, (n_strategies,) each."""

    mean: Doubles
    variance: Doubles  # of what is particular to the strategy, as a choice sees it
    uncertainty: Doubles  # variance of the mean
    similar: Doubles  # outcomes of the strategy, each counted as far as its context is alike


class Window:
    """The rows, the process over them, and which parts have changed."""

    def __init__(self) -> None:
        self.count, self.refit_at, self.base = 0, FIRST_REFIT, 0.5
        self.names: dict[str, int] = {}  # of numbers, to their column
        self.numbers = np.full((ROWS, NUMBER_STEP), np.nan, np.float32)
        self.hashed = np.zeros((ROWS, HASHED), np.float32)
        self.arm = np.zeros(ROWS, np.uint64)
        self.reward = np.zeros(ROWS, np.float32)
        self.ids = np.zeros(ROWS, f"S{ID_BYTES}")
        self.weights = np.zeros(ROWS, np.float32)
        self.alive = np.zeros(ROWS, bool)
        self.scale = np.zeros((2, NUMBER_STEP), np.float32)  # centre and 1 / deviation
        self.variances = kernel.started([np.zeros((1, 1), np.float32)] * 4, 0.25)
        self.changed: set[str] = set()
        self._local: dict[int, int] = {}
        self._locals = np.zeros(ROWS, np.int64)
        self._trials: NDArray[Any] | None = None  # of each strategy in the window
        self._derive()

    @property
    def used(self) -> int:
        """The number of rows that hold an outcome."""
        return min(self.count, ROWS)

    # What is derived from the rows ----------------------------------------------------------------

    def _derive(self) -> None:
        """Compute what is not stored: standardised numbers, norms, small numbers for strategies."""
        self._standard = self._standardised(self.numbers)
        self._blocks = [*self._hashed_blocks(self.hashed), self._standard]
        self._norms = [np.einsum("ij,ij->i", b, b) for b in self._blocks]
        self._trials = None
        self._local = {}
        self._locals = np.array([self._small(int(a)) for a in self.arm], np.int64)

    def _small(self, arm: int) -> int:
        """Return the small number that stands for a strategy in memory."""
        return self._local.setdefault(arm, len(self._local))

    @staticmethod
    def _hashed_blocks(rows: Floats) -> list[Floats]:
        kind, facets = TYPE_DIMENSIONS, TYPE_DIMENSIONS + FACET_DIMENSIONS
        return [rows[..., :kind], rows[..., kind:facets], rows[..., facets:]]

    def _standardised(self, numbers: Floats) -> Floats:
        """Return numbers in standard deviations; a missing one is the mean."""
        scaled: Floats = (numbers - self.scale[0]) * self.scale[1]
        scaled[np.isnan(scaled)] = 0
        np.clip(scaled, -CLIP, CLIP, out=scaled)
        return scaled

    def _derive_row(self, at: int) -> None:
        self._standard[at] = self._standardised(self.numbers[at])
        for block, norms in zip(self._blocks, self._norms, strict=True):
            row = block[at : at + 1]  # as in _derive, so that the bits are the same
            norms[at] = np.einsum("ij,ij->i", row, row)[0]
        self._locals[at] = self._small(int(self.arm[at]))
        self._trials = None

    # Predicting -----------------------------------------------------------------------------------

    def columns(self, encoded: Encoded, *, enter: bool = False) -> Floats:
        """Return the numbers of a context in their columns; `enter` gives new names one."""
        if enter:
            self._enter(encoded.numbers)
        row = np.full(self.numbers.shape[1], np.nan, np.float32)
        for name, number in encoded.numbers.items():
            if (column := self.names.get(name)) is not None:
                row[column] = number
        return row

    def _enter(self, numbers: Mapping[str, float]) -> None:
        new = sorted(name for name in numbers if name not in self.names)
        for name in new[: NUMBERS_MAX - len(self.names)]:
            self.names[name] = len(self.names)
            self.refit_at = min(self.refit_at, self.count + 2 * FIRST_REFIT)
            self.changed.add("window/fit")
        width = -(-max(1, len(self.names)) // NUMBER_STEP) * NUMBER_STEP
        if self._widen(width):
            self._derive()

    def _widen(self, width: int) -> bool:
        """Make room for so many columns of numbers; return whether there was less."""
        if (more := width - self.numbers.shape[1]) > 0:
            self.numbers = np.pad(self.numbers, ((0, 0), (0, more)), constant_values=np.nan)
        if (missing := width - self.scale.shape[1]) > 0:
            self.scale = np.pad(self.scale, ((0, 0), (0, missing)))
        return more > 0 or missing > 0

    def nearness(self, encoded: Encoded) -> Nearness:
        """Return how alike each row is to a context."""
        numbers = self._standardised(self.columns(encoded))
        x = [encoded.kind, encoded.facets, encoded.text, numbers]
        n, v = self.used, self.variances
        shared, apart = np.zeros(n, np.float32), np.zeros(n, np.float32)
        for b, g in enumerate(v.gamma):
            if g:
                alike = kernel.similarity(self._blocks[b][:n], self._norms[b][:n], x[b], g)
                shared += np.float32(v.shared[b]) * alike
                alike *= np.float32(v.slope[b])
                apart += alike
        most = sum(v.slope)
        total = apart * np.float32(1 / most) if most else np.ones(n, np.float32)
        np.maximum(total, 0, out=total)
        apart += np.float32(v.arm)
        return Nearness(shared, apart, total)

    def forecast(self, near: Nearness, arms: NDArray[np.uint64]) -> Forecast:
        """Return what the window says about strategies, given by their hashes (n_strategies,)."""
        n, v = self.used, self.variances
        small = np.array([self._local.get(arm, -1) for arm in arms.tolist()])
        weights, alive, local = self.weights[:n], self.alive[:n], self._locals[:n]
        length = len(self._local) + 1  # the last, -1, is for strategies without a row
        if self._trials is None:
            self._trials = np.bincount(local, alive, length)
        own = np.bincount(local, near.apart * weights, length)[small]
        trials = self._trials[small]
        similar = np.bincount(local, near.total * alive, length)[small]
        mean = self.base + float(near.shared @ weights) + own
        slope = sum(v.slope)
        common = v.arm / (1 + trials * v.arm / v.noise)
        variance = common + slope / (1 + similar * slope / v.noise)
        # What correlates by k tells k² of what one knows of it (the variance of a regression).
        squares = near.total * near.total * alive
        told = np.bincount(local, squares, length)[small]
        shared = sum(v.shared)
        uncertainty = common + slope / (1 + told * slope / v.noise)
        uncertainty += shared / (1 + float(squares.sum()) * shared / v.noise)
        return Forecast(mean, variance, uncertainty, similar)

    # Learning -------------------------------------------------------------------------------------

    def put(
        self, encoded: Encoded, near: Nearness, arm: int, reward: float, outcome_id: str | None
    ) -> None:
        """Take a row in, in place of the oldest, and correct the weights."""
        row = self.columns(encoded, enter=True)
        at = self.count % ROWS
        self.numbers[at] = row
        x = np.concatenate([encoded.kind, encoded.facets, encoded.text])
        self.hashed[at] = x.astype(np.float16)
        self.arm[at], self.reward[at] = arm, reward
        self.ids[at] = (outcome_id or "").encode()[:ID_BYTES]
        self.weights[at], self.alive[at] = 0, True
        self.count += 1
        self._derive_row(at)
        self.changed |= {f"window/page/{at // PAGE_ROWS}", "window/weights"}
        if self.count >= self.refit_at:
            self.refit()
        else:
            self._correct(at, near)

    def _correct(self, at: int, near: Nearness) -> None:
        """Solve for the weights of the new row, its nearest and a few in turn, others fixed."""
        n = self.used
        strength = np.empty(n, np.float32)
        m = len(near.apart)
        strength[:m] = near.apart * (self._locals[:m] == self._locals[at]) + near.shared
        strength[at] = np.inf
        strength[~self.alive[:n]] = -1
        some = min(CORRECTED, n)
        nearest = np.argpartition(-strength, some - 1)[:some]
        turn = (self.count * CORRECTED_IN_TURN + np.arange(CORRECTED_IN_TURN)) % n
        rows = np.unique(np.concatenate([nearest, turn]))
        rows = rows[self.alive[rows]]
        self._solve(rows)

    def _solve(self, rows: NDArray[np.int64]) -> None:
        n, v = self.used, self.variances
        weights = self.weights[:n]
        same = (self._locals[:n, None] == self._locals[rows]).astype(np.float32)
        among = same[rows]
        explained = np.float32(v.arm) * (weights @ same)
        inner = v.arm * among + v.noise * np.eye(len(rows))
        for b, g in enumerate(v.gamma):
            if g:
                block = self._blocks[b]
                alike = kernel.similarity(block[:n], self._norms[b][:n], block[rows].T, g)
                inner += (v.shared[b] + v.slope[b] * among) * alike[rows]
                explained += np.float32(v.shared[b]) * (weights @ alike)
                alike *= same
                explained += np.float32(v.slope[b]) * (weights @ alike)
        left = self.reward[rows] - self.base - explained - v.noise * weights[rows]
        self.weights[rows] += np.linalg.solve(inner, left).astype(np.float32)

    def refit(self) -> None:
        """Compute scale, variances and weights afresh from the rows."""
        n = self.used
        rows = np.flatnonzero(self.alive[:n])
        self.refit_at = self.count + (self.count if self.count < ROWS else ROWS)
        self._rescale()
        self.weights[:] = 0
        if len(rows):
            rewards = self.reward[rows].astype(np.float64)
            self.base = float((rewards.sum() + 1) / (len(rows) + 2))
            residuals = rewards - self.base
            variance = max(float(residuals @ residuals + 0.5) / (len(rows) + 2), 0.01)
            self._fit(rows, residuals, variance)
            pieces = kernel.Covariances(
                [b[rows] for b in self._blocks], self._locals[rows], self.variances.gamma
            )
            self.weights[rows] = pieces.weights(self.variances, residuals).astype(np.float32)
        self.changed |= {"window/fit", "window/weights"}

    def _fit(self, rows: NDArray[np.int64], residuals: Doubles, variance: float) -> None:
        latest = np.argsort((self.count - 1 - rows) % ROWS, kind="stable")[:REFIT_ROWS_MAX]
        some = rows[latest]
        blocks, recent = [b[some] for b in self._blocks], residuals[latest]
        begun = kernel.started(blocks, variance)
        pieces = kernel.Covariances(blocks, self._locals[some], begun.gamma)
        self.variances = kernel.fitted(pieces, begun, self._carried(begun), recent, variance)

    def _carried(self, begun: kernel.Variances) -> kernel.Variances:
        """Return the variances of now for the blocks of `begun`, where they are of use."""
        now = self.variances
        if tuple(bool(g) for g in now.gamma) != tuple(bool(g) for g in begun.gamma):
            return begun
        return now._replace(gamma=begun.gamma)

    def _rescale(self) -> None:
        numbers = self.numbers[: self.used].astype(np.float64)
        known = ~np.isnan(numbers)
        counts = np.maximum(known.sum(axis=0), 1)
        filled = np.where(known, numbers, 0)
        centre = filled.sum(axis=0) / counts
        spread = np.sqrt((np.where(known, numbers - centre, 0) ** 2).sum(axis=0) / counts)
        self.scale[0] = centre
        self.scale[1] = np.where(spread > 1e-6, 1 / np.maximum(spread, 1e-6), 0)
        self._derive()

    def forget(self, arm: int) -> None:
        """Leave the rows of a strategy out of every prediction from now on."""
        dead = self.alive & (self.arm == np.uint64(arm))
        if dead.any():
            self.alive[dead] = False
            self._trials = None
            self.refit()

    def evidence(self, near: Nearness, arm: int, most: int) -> list[str]:
        """Return the outcomes of a strategy whose contexts are most alike, the closest first."""
        n = self.used
        alike = np.where(self.alive[:n] & (self.arm[:n] == np.uint64(arm)), near.total, -1)
        order = np.argsort(-alike, kind="stable")[:most]
        return [self.ids[i].decode() for i in order if alike[i] >= 0 and self.ids[i]]

    def correct(self, outcome_id: str, reward: float | None) -> None:
        """Revise the reward of a row, or leave it out (None), if the window still has it."""
        for at in np.flatnonzero(self.ids == outcome_id.encode()[:ID_BYTES]).tolist():
            self.weights[at] = 0
            self.alive[at] = reward is not None
            self._trials = None
            self.reward[at] = reward or 0.0
            self.changed |= {f"window/page/{at // PAGE_ROWS}", "window/weights"}
            if reward is not None:
                self._solve(np.array([at]))

    # Parts ----------------------------------------------------------------------------------------

    @staticmethod
    def part_names() -> list[str]:
        """Return the names of all parts that a window can have."""
        pages = [f"window/page/{page}" for page in range(ROWS // PAGE_ROWS)]
        return ["window/fit", "window/weights", *pages]

    def taken_changes(self) -> set[str]:
        """Return the names of the parts that changed since the last call."""
        names, self.changed = self.changed, set()
        return names

    def written(self, name: str) -> bytes:
        """Return a part as it is stored."""
        if name == "window/weights":
            head = _WEIGHTS.pack(FORMAT, self.count, self.refit_at)
            return head + self.weights.astype("<f4").tobytes() + np.packbits(self.alive).tobytes()
        if name == "window/fit":
            names = sorted(self.names, key=self.names.__getitem__)
            fit = json.dumps([FORMAT, self.base, names, *self.variances]).encode()
            return fit + b"\n" + self.scale.astype("<f4").tobytes()
        first = int(name.removeprefix("window/page/")) * PAGE_ROWS
        rows = slice(first, first + PAGE_ROWS)
        page = np.zeros(PAGE_ROWS, _page_type(self.numbers.shape[1]))
        page["numbers"], page["hashed"] = self.numbers[rows], self.hashed[rows]
        page["arm"], page["reward"], page["id"] = self.arm[rows], self.reward[rows], self.ids[rows]
        return _PAGE.pack(FORMAT, self.numbers.shape[1]) + page.tobytes()

    def load(self, parts: Mapping[str, bytes]) -> None:
        """Take in parts as they are stored."""
        if not parts:
            return
        if (fit := parts.get("window/fit")) is not None:
            self._load_fit(fit)
        if (weights := parts.get("window/weights")) is not None:
            form, self.count, self.refit_at = _WEIGHTS.unpack_from(weights)
            _check(form)
            end = _WEIGHTS.size + 4 * ROWS
            self.weights = np.frombuffer(weights[_WEIGHTS.size : end], "<f4").astype(np.float32)
            self.alive = np.unpackbits(np.frombuffer(weights[end:], np.uint8)).astype(bool)
        for name in sorted(parts):
            if name.startswith("window/page/"):
                self._load_page(int(name.removeprefix("window/page/")) * PAGE_ROWS, parts[name])
        self._derive()

    def _load_fit(self, part: bytes) -> None:
        fit, scale = part.split(b"\n", 1)
        form, self.base, names, shared, slope, arm, noise, gamma = json.loads(fit)
        _check(form)
        self.names = {name: column for column, name in enumerate(names)}
        self.variances = kernel.Variances(tuple(shared), tuple(slope), arm, noise, tuple(gamma))
        self.scale = np.frombuffer(scale, "<f4").reshape(2, -1).astype(np.float32)
        self._widen(self.scale.shape[1])

    def _load_page(self, first: int, part: bytes) -> None:
        form, width = _PAGE.unpack_from(part)
        _check(form)
        self._widen(width)
        page = np.frombuffer(part[_PAGE.size :], _page_type(width))
        rows = slice(first, first + PAGE_ROWS)
        self.numbers[rows] = np.nan
        self.numbers[rows, :width], self.hashed[rows] = page["numbers"], page["hashed"]
        self.arm[rows], self.reward[rows], self.ids[rows] = page["arm"], page["reward"], page["id"]


def _check(form: int) -> None:
    if form != FORMAT:
        raise ValueError(f"a part of the model is of format {form}, not {FORMAT}; rebuild it")


def _page_type(width: int) -> np.dtype[np.void]:
    return np.dtype(
        [
            ("numbers", "<f4", width),
            ("hashed", "<f2", HASHED),
            ("arm", "<u8"),
            ("reward", "<f4"),
            ("id", f"S{ID_BYTES}"),
        ]
    )
