"""The last outcomes with their contexts, and what a Gaussian process predicts from them.

The window is a ring of fixed size, so memory and time do not grow with the number of outcomes. A
prediction is a weighted sum over its rows. A new outcome corrects the weights of its neighbours and
of a few rows in turn (block coordinate descent on (C + noise) weights = residuals); when the number
of outcomes has doubled, and then once a lap, scale, variances and weights are computed afresh, step
by step with the outcomes that follow (`refit`).

It is kept in parts of a few KB: pages of rows, the weights, what changes at a refit only, and the
refit that goes on. What is in memory equals what is written, bit by bit, so every process computes
the same.
"""

from __future__ import annotations

import json
import struct

import numpy as np

from swarm_memory.lean import NamedTuple, lru_cache
from swarm_memory.learning import kernel
from swarm_memory.learning.features import (
    FACET_DIMENSIONS,
    NUMBERS_MAX,
    TEXT_DIMENSIONS,
    TYPE_DIMENSIONS,
)
from swarm_memory.learning.geometry import Geometry, standard
from swarm_memory.learning.refit import Refit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from swarm_memory.learning.features import Encoded

    Floats = NDArray[np.float32]
    Doubles = NDArray[np.float64]

ROWS = 1024
PAGE_ROWS = 8
AT_ONCE = 64  # rows that a refit takes all steps for at once
FIRST_REFIT = 4
CORRECTED, CORRECTED_IN_TURN = 4, 2
NUMBER_STEP = 16  # the columns of numbers grow by so many
ID_BYTES = 40
HASHED = TYPE_DIMENSIONS + FACET_DIMENSIONS + TEXT_DIMENSIONS
FORMAT = 2
ZERO = np.float32(0)
_WEIGHTS = struct.Struct("<HQQ")  # format, outcomes ever, when to refit next
_SINGLE = struct.Struct("<f")
_PAGE = struct.Struct("<HH")  # format, columns of numbers


class Nearness(NamedTuple):
    """How alike the rows of the window are to one context, (n_rows,) each."""

    shared: Floats  # covariance of the difficulty
    apart: Floats  # covariance within a strategy, less that of any two of its rows


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
        self.job: Refit | None = None
        self.changed: set[str] = set()
        self._local: dict[int, int] = {}
        self._locals = np.zeros(ROWS, np.int64)
        self._last: tuple[Nearness, int, Floats] | None = None  # covariances
        self._trials: Doubles | None = None  # of each strategy in the window
        self._places = np.empty((0, 0), np.int64)  # of rows in `_sums_by_arm`
        self._width = 0
        self._mortal = False  # some rows are left out
        self._derive()

    @property
    def used(self) -> int:
        """The number of rows that hold an outcome."""
        return min(self.count, ROWS)

    @property
    def known_numbers(self) -> Floats:
        """The columns of numbers that have a name, (ROWS, n_names)."""
        return self.numbers[:, : len(self.names)]

    @property
    def _blocks(self) -> list[Doubles]:
        return self.geometry.blocks

    # What is derived from the rows ----------------------------------------------------------------

    def _derive(self) -> None:
        """Compute what is not stored: the geometry, small numbers for strategies."""
        self._place()
        self._number()

    def _number(self) -> None:
        """Give the strategies of the rows small numbers, from 0."""
        self._trials, self._width, self._last = None, 0, None
        self._local = {}
        self._locals = np.array([self._small(arm) for arm in self.arm.tolist()], np.int64)

    def _place(self) -> None:
        """Compute where the rows are, by the scale and the variances of now."""
        self.geometry = Geometry(self.hashed, self.known_numbers, self.scale, self.variances)
        if self.job is not None:
            self.job.placed = None

    def _geometries(self) -> list[Geometry]:
        """Return the geometry in use, and that of a refit if it has come so far."""
        placed = None if self.job is None else self.job.placed
        return [self.geometry] if placed is None else [self.geometry, placed]

    def _small(self, arm: int) -> int:
        """Return the small number that stands for a strategy in memory."""
        return self._local.setdefault(arm, len(self._local))

    def _derive_row(self, at: int) -> None:
        for geometry in self._geometries():
            geometry.put(at, geometry.row(self.hashed[at], self.known_numbers[at]))
        self._place_row(at)

    def _place_row(self, at: int) -> None:
        self._locals[at] = self._small(int(self.arm[at]))
        self._trials, self._width = None, 0

    # Predicting -----------------------------------------------------------------------------------

    def columns(self, encoded: Encoded) -> Floats:
        """Return the numbers of a context in their columns."""
        row = np.full(self.numbers.shape[1], np.nan, np.float32)
        for name, number in encoded.numbers.items():
            if (column := self.names.get(name)) is not None:
                row[column] = number
        return row

    def _enter(self, numbers: Mapping[str, float]) -> None:
        new = sorted([name for name in numbers if name not in self.names])
        if not new:
            return
        for name in new[: NUMBERS_MAX - len(self.names)]:
            self.names[name] = len(self.names)
            self.refit_at = min(self.refit_at, self.count + 2 * FIRST_REFIT)
            self.changed.add("window/fit")
        self._widen(-(-max(1, len(self.names)) // NUMBER_STEP) * NUMBER_STEP)
        self._place()

    def _widen(self, width: int) -> None:
        """Make room for so many columns of numbers."""
        if (more := width - self.numbers.shape[1]) > 0:
            self.numbers = np.pad(self.numbers, ((0, 0), (0, more)), constant_values=np.nan)
        if (missing := width - self.scale.shape[1]) > 0:
            self.scale = np.pad(self.scale, ((0, 0), (0, missing)))
        if self.job is not None:
            self.job.widen(width)

    def nearness(self, encoded: Encoded, *, exact: bool) -> Nearness:
        """Return how alike each row is to a context, to be learned if `exact`."""
        x = self._placed(encoded)
        return Nearness(*self.geometry.covariances(x, self.used, exact=exact))

    def _placed(self, encoded: Encoded) -> list[Doubles]:
        """Return the blocks of a context, as `Geometry.row` returns those of a row."""
        return [encoded.kind, encoded.facets, encoded.text, self._standard(encoded.numbers)]

    def _standard(self, numbers: Mapping[str, float]) -> Doubles:
        """Return the numbers of a context in their columns, in standard deviations."""
        row = [0.0] * len(self.names)
        for name, number in numbers.items():
            if (column := self.names.get(name)) is not None:
                row[column] = standard(_single(number), *self.geometry.scales[column])
        return np.array(row)

    def _alike(self, apart: Floats) -> Floats:
        """Return how alike rows are to a context, weighted by what counts, in [0, 1].

        Args:
            apart: As in `Nearness`, of these rows.
        """
        most = sum(self.variances.slope)
        if not most:
            return np.ones(len(apart), np.float32)
        alike = apart * np.float32(1 / most)
        np.maximum(alike, ZERO, out=alike)
        return alike

    def _covariances(self, near: Nearness, small: int) -> Floats:
        """Return the covariances of rows with a context and a strategy, by its small number."""
        if self._last is not None and self._last[0] is near and self._last[1] == small:
            return self._last[2]
        row = near.apart + np.float32(self.variances.arm)
        row *= self._locals[: len(row)] == small
        row += near.shared
        self._last = (near, small, row)
        return row

    def forecast(self, near: Nearness, arms: Sequence[int]) -> Forecast:
        """Return what the window says about strategies, given by their hashes (n_strategies,)."""
        n, v = len(near.apart), self.variances
        weights = self.weights[:n]
        small = self._smalls(arms)
        if self._trials is None:
            self._trials = self._by_arm(self.alive[:n])
            self._mortal = not self.alive[:n].all()
        trials, total = self._trials[small], self._alike(near.apart)
        if self._mortal:
            total = total * self.alive[:n]
        rows = np.empty((3, n), np.float32)
        np.add(near.apart, np.float32(v.arm), out=rows[2])
        rows[2] *= weights
        # What correlates by k tells k² of what one knows of it (the variance of a regression).
        rows[0] = total
        np.multiply(total, total, out=rows[1])
        sums = self._sums_by_arm(rows)[:, small]
        slope, shared = sum(v.slope), sum(v.shared)
        apart = slope / (1 + sums[:2] * (slope / v.noise))
        apart += v.arm / (1 + trials * (v.arm / v.noise))
        variance, uncertainty = apart
        uncertainty += shared / (1 + float(total @ total) * shared / v.noise)
        mean = sums[2] + (self.base + float(near.shared @ weights))
        return Forecast(mean, variance, uncertainty, sums[0])

    def _by_arm(self, values: NDArray[Any]) -> Doubles:
        """Return the sums of the rows of each strategy; the last, -1, is of those without any."""
        sums: Doubles = np.bincount(self._locals[: len(values)], values, len(self._local) + 1)  # type: ignore[assignment]
        return sums

    def _sums_by_arm(self, values: Floats) -> Doubles:
        """Return the same of some columns at once, (m, n_rows): (m, n_strategies + 1)."""
        m, n = values.shape
        width = len(self._local) + 1
        if self._places.shape != (m, n) or self._width != width:
            self._places = self._locals[:n] + width * np.arange(m)[:, None]
            self._width = width
        sums: Doubles = np.bincount(self._places.ravel(), values.ravel(), m * width)  # type: ignore[assignment]
        return sums.reshape(m, width)

    def _smalls(self, arms: Sequence[int]) -> NDArray[np.int64]:
        """Return the small numbers of strategies, -1 for those without a row."""
        local = self._local
        return np.array([local.get(arm, -1) for arm in arms])

    def expected(self, near: Nearness, arm: int) -> float:
        """Return the mean of `forecast` of one strategy, given by its hash."""
        row = self._covariances(near, self._local.get(arm, -1))
        return self.base + float(row @ self.weights[: len(row)])

    # Learning -------------------------------------------------------------------------------------

    def put(
        self, encoded: Encoded, near: Nearness, arm: int, reward: float, outcome_id: str | None
    ) -> None:
        """Take a row in, in place of the oldest, and correct the weights."""
        self._enter(encoded.numbers)
        row = self.columns(encoded)
        at = self.count % ROWS
        self.numbers[at] = row
        self.hashed[at] = np.concatenate([encoded.kind, encoded.facets, encoded.text])
        self.arm[at], self.reward[at] = arm, reward
        self.ids[at] = (outcome_id or "").encode()[:ID_BYTES]
        self.weights[at], self.alive[at] = 0, True
        self.count += 1
        self.geometry.put(at, self._placed(encoded))
        if self.job is not None and (placed := self.job.placed) is not None:
            placed.put(at, placed.row(self.hashed[at], self.known_numbers[at]))
        self._place_row(at)
        self.changed |= {f"window/page/{at // PAGE_ROWS}", "window/weights"}
        if self.job is not None:
            self.job.weights[at] = 0
        elif self.count >= self.refit_at:
            self._begin()
        if self.job is None or not self._advance():
            self._correct(at, near)

    def _correct(self, at: int, near: Nearness) -> None:
        """Solve for the weights of the new row, its nearest and a few in turn, others fixed."""
        n = self.used
        strength = self._covariances(near, int(self._locals[at]))
        strength = np.append(strength, ZERO) if len(strength) < n else strength.copy()
        strength[at] = np.inf
        self.geometry.compared(at, strength)
        some = min(CORRECTED, n)
        nearest = strength.argpartition(n - some)[n - some :]
        turn = [(self.count * CORRECTED_IN_TURN + i) % n for i in range(CORRECTED_IN_TURN)]
        rows = np.array(sorted({*nearest.tolist(), *turn}))
        self._solve(rows[self.alive[rows]])

    def _solve(self, rows: NDArray[np.int64]) -> None:
        residuals = self.reward[rows] - self.base
        self.weights[rows] += self.geometry.corrections(
            rows, self.weights[: self.used], self._locals, residuals
        )

    # Refits ---------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Begin to compute scale, variances and weights afresh."""
        self.refit_at = self.count + (self.count if self.count < ROWS else ROWS)
        self.job = Refit.begun(self)

    def _advance(self) -> bool:
        """Take the next step of a refit, few rows taking all at once; tell if that was the last."""
        assert self.job is not None
        done = self.job.step(self)
        while not done and self.used <= AT_ONCE:
            done = self.job.step(self)
        self.changed |= {"window/refit"}
        if done:
            job, self.job = self.job, None
            self.base, self.scale, self.variances = job.base, job.scale, job.variances
            self.weights = job.weights
            self.geometry = job.geometry(self)
            self._number()
            self.changed |= {"window/fit", "window/weights"}
        return done

    def refit(self) -> None:
        """Compute scale, variances and weights afresh, at once."""
        self._begin()
        while not self._advance():
            pass

    def forget(self, arm: int) -> None:
        """Leave the rows of a strategy out of every prediction from now on."""
        dead = self.alive & (self.arm == np.uint64(arm))
        if dead.any():
            self.alive[dead] = False
            self.weights[dead] = 0
            self._trials = None
            self.changed.add("window/weights")
            self._begin()
            self._advance()

    def evidence(self, near: Nearness, arm: int, most: int) -> list[str]:
        """Return the outcomes of a strategy whose contexts are most alike, the closest first."""
        n = self.used
        rows = np.flatnonzero(self.alive[:n] & (self._locals[:n] == self._local.get(arm, -1)))
        order = rows[np.argsort(-self._alike(near.apart[rows]), kind="stable")[:most]]
        return [name.decode() for name in self.ids[order].tolist() if name]

    def correct(self, outcome_id: str, reward: float | None) -> None:
        """Revise the reward of a row, or leave it out (None), if the window still has it."""
        for at in np.flatnonzero(self.ids == outcome_id.encode()[:ID_BYTES]).tolist():
            self.weights[at] = 0
            if self.job is not None:
                self.job.weights[at] = 0
                self.changed.add("window/refit")
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
        return ["window/fit", "window/weights", "window/refit", *pages]

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
        if name == "window/refit":
            return b"" if self.job is None else self.job.written()
        first = int(name.removeprefix("window/page/")) * PAGE_ROWS
        page = self._page(first)
        return _PAGE.pack(FORMAT, self.numbers.shape[1]) + page.tobytes()

    def load(self, parts: Mapping[str, bytes]) -> None:
        """Take in parts as they are stored."""
        if not parts:
            return
        if (fit := parts.get("window/fit")) is not None:
            self._load_fit(fit)
        if (weights := parts.get("window/weights")) is not None:
            self._load_weights(weights)
        if (refit := parts.get("window/refit")) is not None:
            self._load_refit(refit)
        width = self.numbers.shape[1]
        loaded: list[int] = []
        for name in sorted(parts):
            if name.startswith("window/page/"):
                first = int(name.removeprefix("window/page/")) * PAGE_ROWS
                loaded += self._load_page(first, parts[name])
        if fit is None and width == self.numbers.shape[1]:
            for at in loaded:
                self._derive_row(at)
            self._trials = None
        else:
            self._derive()

    def _load_refit(self, part: bytes) -> None:
        before, self.job = self.job, Refit.read(part) if part else None
        if before is not None and self.job is not None and self.job.alike(before):
            self.job.placed = before.placed

    def _load_weights(self, part: bytes) -> None:
        form, self.count, self.refit_at = _WEIGHTS.unpack_from(part)
        _check(form)
        end = _WEIGHTS.size + 4 * ROWS
        self.weights = np.frombuffer(part[_WEIGHTS.size : end], "<f4").astype(np.float32)
        self.alive = np.unpackbits(np.frombuffer(part[end:], np.uint8)).astype(bool)

    def _load_fit(self, part: bytes) -> None:
        fit, scale = part.split(b"\n", 1)
        form, self.base, names, shared, slope, arm, noise, gamma = json.loads(fit)
        _check(form)
        self.names = {name: column for column, name in enumerate(names)}
        self.variances = kernel.Variances(tuple(shared), tuple(slope), arm, noise, tuple(gamma))
        self.scale = np.frombuffer(scale, "<f4").reshape(2, -1).astype(np.float32)
        self._widen(self.scale.shape[1])

    def _load_page(self, first: int, part: bytes) -> list[int]:
        """Take in a page of rows; return which of them are others than before."""
        form, width = _PAGE.unpack_from(part)
        _check(form)
        self._widen(width)
        page = np.frombuffer(part[_PAGE.size :], _page_type(width))
        rows = slice(first, first + PAGE_ROWS)
        before = self._page(first)
        self.numbers[rows] = np.nan
        self.numbers[rows, :width], self.hashed[rows] = page["numbers"], page["hashed"]
        self.arm[rows], self.reward[rows], self.ids[rows] = page["arm"], page["reward"], page["id"]
        one, other = (np.frombuffer(p.tobytes(), np.uint8) for p in (before, self._page(first)))
        moved = (one.reshape(PAGE_ROWS, -1) != other.reshape(PAGE_ROWS, -1)).any(axis=1)
        return [first + at for at in np.flatnonzero(moved).tolist()]

    def _page(self, first: int) -> NDArray[np.void]:
        """Return some rows as they are stored."""
        rows = slice(first, first + PAGE_ROWS)
        page = np.zeros(PAGE_ROWS, _page_type(self.numbers.shape[1]))
        page["numbers"], page["hashed"] = self.numbers[rows], self.hashed[rows]
        page["arm"], page["reward"], page["id"] = self.arm[rows], self.reward[rows], self.ids[rows]
        return page


def _single(number: float) -> float:
    """Return a number as single precision keeps it."""
    (single,) = _SINGLE.unpack(_SINGLE.pack(number))
    return float(single)


def _check(form: int) -> None:
    if form != FORMAT:
        raise ValueError(f"a part of the model is of format {form}, not {FORMAT}; rebuild it")


@lru_cache(maxsize=8)
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
