"""What to expect of a strategy on a task: a model whose state is a set of small parts.

Four experts learn from every outcome: the strategy's counts, its counts on this kind of task, its
recent counts (`arms`), and a Gaussian process over context and strategy (`window`). They are mixed
by how well each predicted what then happened, so context counts as far as it earns its keep.

The model has no clock, no store and no randomness. Its state is bytes by name, equal for the same
outcomes in the same order; an outcome changes about 10 KB of it, however many there are.

Source:
    Vovk 1990, aggregating by log-loss; Herbster and Warmuth 1998, "Tracking the Best Expert".
"""

from __future__ import annotations

import math

import numpy as np

from swarm_memory.lean import NamedTuple
from swarm_memory.learning import arms, choice
from swarm_memory.learning.features import encode
from swarm_memory.learning.window import Window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from swarm_memory.learning.features import Encoded
    from swarm_memory.learning.window import Nearness

    Json = Any
    Doubles = NDArray[np.float64]

FORMAT = 1
COUNTED_MAX = 64  # kept answers of the counts
EXPERTS = 4
SHARE = 0.005  # of all weight that is dealt out evenly after each outcome, so no expert dies
CERTAIN = 0.01  # no expert is believed to be surer than this
SURE, SURER = 0.4, 0.08  # how far from 1/2 a regression is believed, and how much further
Z_95 = 1.96
DOUBT = 1.8  # of the variance that the experts state: none of them is quite right
EVIDENCE_MAX = 5
PRIOR_TRIALS_MAX = 20.0  # that a strategy brings along from elsewhere


class Estimates(NamedTuple):
    """What is expected of strategies, (n_strategies,) each.

    `low` and `high` are the 95 % interval of the probability of success of the strategy on such a
    task. `variance` is what a choice draws from: without what strategies have in common.
    """

    strategies: tuple[str, ...]
    mean: Doubles
    variance: Doubles
    low: Doubles
    high: Doubles
    duration_s: Doubles
    duration_variance: Doubles
    cost: Doubles
    cost_variance: Doubles
    trials: Doubles  # outcomes of the strategy that still count
    similar: Doubles  # of those in the window, each as far as its context is alike
    outcomes: float  # that the model has learned from


class _Counted(NamedTuple):
    """What the counts say of strategies for a kind of task, (n_strategies,) each.

    All but the last three are sums over the experts that count, by their weights.
    """

    hashes: tuple[int, ...]
    mean: Doubles
    square: Doubles  # of the means
    variance: Doubles
    trials: Doubles
    dearer: Doubles  # what is expected of strategies for being dearer
    amounts: tuple[Doubles, Doubles, Doubles, Doubles]  # duration and its variance, cost and its


class Model:
    """The state of a swarm's learning; see `parts_for`, `load` and `changed` for its storage."""

    def __init__(self, parts: Mapping[str, bytes] | None = None) -> None:
        self._window = Window()
        self._rows: dict[str, Doubles] = {}
        self._names: dict[str, str] = {}  # of strategies, by the hash that their part is named by
        self._overall = np.zeros(arms.ALL_WIDTH)
        self._mix = np.full(EXPERTS, 1 / EXPERTS)
        self._changed: set[str] = set()
        self._last: tuple[str, Any, int, bool, Encoded, Nearness] | None = None
        self._counted: dict[tuple[int, tuple[str, ...]], _Counted] = {}
        if parts:
            self.load(parts)

    # Parts ----------------------------------------------------------------------------------------

    @staticmethod
    def parts_for(strategies: Iterable[str]) -> list[str]:
        """Return the names of the parts that a choice among `strategies`, or an outcome, needs.

        Parts that do not exist yet are left out of what is loaded.
        """
        return ["shared", *Window.part_names(), *(f"arm/{_hex(name)}" for name in strategies)]

    def load(self, parts: Mapping[str, bytes]) -> None:
        """Take in parts that were written by this or another process, all or those that changed.

        Raises:
            ValueError: A part is of another format.
        """
        for name in sorted(parts):
            if name == "shared":
                self._load_shared(parts[name])
            elif name.startswith("arm/"):
                strategy, row = _read_arm(parts[name])
                self._rows[strategy] = row
                self._names[_hex(strategy)] = strategy
        self._window.load({name: part for name, part in parts.items() if "window/" in name})
        self._last = None
        self._counted.clear()

    def changed(self) -> dict[str, bytes]:
        """Return the parts that changed since the last call, to be written with the outcome."""
        names, self._changed = self._changed, set()
        names |= self._window.taken_changes()
        return {name: self._written(name) for name in sorted(names)}

    def _written(self, name: str) -> bytes:
        if name == "shared":
            return np.concatenate([[FORMAT], self._overall, self._mix]).astype("<f8").tobytes()
        if name.startswith("arm/"):
            strategy = name.removeprefix("arm/")
            name = self._names[strategy]
            row = self._rows[name].astype("<f8").tobytes()
            return row + name.encode("utf-8", "surrogatepass")
        return self._window.written(name)

    def _load_shared(self, part: bytes) -> None:
        values = np.frombuffer(part, "<f8")
        if len(values) != 1 + arms.ALL_WIDTH + EXPERTS or values[0] != FORMAT:
            raise ValueError("the shared part of the model is of another format; rebuild it")
        self._overall = values[1 : 1 + arms.ALL_WIDTH].astype(np.float64)
        self._mix = values[1 + arms.ALL_WIDTH :].astype(np.float64)

    # Estimating -----------------------------------------------------------------------------------

    def estimate(
        self,
        task_type: str,
        context: Mapping[str, Json] | None,
        strategies: Sequence[str],
    ) -> Estimates:
        """Return what is expected of each strategy on a task; nothing is changed.

        Args:
            context: What is known before the work, as in `features.encode`.
            strategies: The candidates, known or not, without duplicates.
        """
        _, near = self._nearness(task_type, context)
        counted = self._counts(task_type, tuple(strategies))
        process = self._window.forecast(near, counted.hashes)
        share, told = float(self._mix[-1]), _softened(process.mean)
        mean = counted.mean + share * told
        variance = counted.variance + share * process.variance
        # All that the experts doubt, and what they disagree in.
        doubt = counted.variance + share * process.uncertainty
        doubt += counted.square + share * (told * told) - mean * mean
        mean = _bounded(mean + counted.dearer)
        low, high = _interval(mean, DOUBT * doubt)
        return Estimates(
            tuple(strategies),
            *(mean, variance, low, high),
            *counted.amounts,
            *(counted.trials, process.similar),
            float(self._overall[arms.ALL_TRIALS]),
        )

    def evidence(
        self,
        task_type: str,
        context: Mapping[str, Json] | None,
        strategy: str,
        most: int = EVIDENCE_MAX,
    ) -> list[str]:
        """Return the ids of a strategy's outcomes in the most similar contexts, in that order."""
        _, near = self._nearness(task_type, context)
        return self._window.evidence(near, arms.name_hash(strategy), most)

    def _nearness(
        self, task_type: str, context: Json, *, exact: bool = False
    ) -> tuple[Encoded, Nearness]:
        """Return a context encoded and compared, for what is asked of it one after the other.

        Args:
            exact: For what is learned, which must be the same to the bit in every process.
        """
        last, now = self._last, self._window.count
        same = last and last[:1] == (task_type,) and last[1] is context and last[2] == now
        if last and same and last[3] >= exact:
            return last[4], last[5]
        encoded = encode(task_type, context)
        near = self._window.nearness(encoded, exact=exact)
        self._last = (task_type, context, now, exact, encoded, near)
        return encoded, near

    def _row(self, strategy: str) -> Doubles:
        row = self._rows.get(strategy)
        return _NO_ROW if row is None else row

    def _own_row(self, strategy: str) -> Doubles:
        """Return the row of a strategy, to be changed."""
        row = self._rows.get(strategy)
        if row is None:
            row = self._rows[strategy] = np.zeros(arms.WIDTH)
            self._names[_hex(strategy)] = strategy
        self._changed |= {"shared", f"arm/{_hex(strategy)}"}
        self._counted.clear()
        return row

    def _counts(self, task_type: str, strategies: tuple[str, ...]) -> _Counted:
        """Return what the counts say, kept until they change."""
        kind = arms.kind_of(task_type)
        counted = self._counted.get((kind, strategies))
        if counted is not None:
            return counted
        rows, weights = np.array([self._row(name) for name in strategies]), self._mix[:-1]
        rates = arms.rates(rows, self._overall, kind)
        (cost, duration), (cost_variance, duration_variance) = arms.amounts(rows, self._overall)
        counted = _Counted(
            tuple([arms.name_hash(name) for name in strategies]),
            weights @ rates.mean,
            weights @ (rates.mean * rates.mean),
            weights @ rates.variance,
            rows[:, arms.TRIALS],
            arms.by_cost(rows, self._overall, cost),
            (duration, duration_variance, cost, cost_variance),
        )
        if len(self._counted) >= COUNTED_MAX:
            self._counted.clear()
        self._counted[kind, strategies] = counted
        return counted

    def _expectations(self, task_type: str, near: Nearness, strategy: str) -> list[float]:
        """Return what each expert expects of one strategy."""
        means = arms.rate(self._row(strategy), self._overall, arms.kind_of(task_type))
        told = self._window.expected(near, arms.name_hash(strategy))
        return [min(max(m, CERTAIN), 1 - CERTAIN) for m in (*means, _soft(told))]

    # Learning -------------------------------------------------------------------------------------

    def learn(
        self,
        task_type: str,
        context: Mapping[str, Json] | None,
        strategy: str,
        reward: float,
        *,
        duration_s: float | None = None,
        cost: float | None = None,
        outcome_id: str | None = None,
    ) -> None:
        """Learn from an outcome.

        Args:
            reward: In [0, 1].
            outcome_id: What `correct` finds it by, and what is named as evidence.
        """
        if not 0 <= reward <= 1:
            raise ValueError(f"reward {reward!r} is not in [0, 1]")
        encoded, near = self._nearness(task_type, context, exact=True)
        row = self._own_row(strategy)
        means = self._expectations(task_type, near, strategy)
        expected = sum([w * m for w, m in zip(self._mix.tolist(), means, strict=True)])
        self._reweigh(means, reward)
        if arms.shifted(row, expected, reward):
            arms.start_again(row, self._overall)
            self._window.forget(arms.name_hash(strategy))
            near = self._window.nearness(encoded, exact=True)
        arms.count(row, self._overall, arms.kind_of(task_type), reward)
        for first, amount in ((arms.COST, cost), (arms.TIME, duration_s)):
            if amount is not None:
                arms.measure(row, self._overall, first, amount)
        self._window.put(encoded, near, arms.name_hash(strategy), reward, outcome_id)

    def _reweigh(self, means: list[float], reward: float) -> None:
        """Multiply each expert's weight by the likelihood it gave to what happened."""
        weights = [
            weight * math.exp(reward * math.log(mean) + (1 - reward) * math.log(1 - mean))
            for weight, mean in zip(self._mix.tolist(), means, strict=True)
        ]
        kept = (1 - SHARE) / sum(weights)
        self._mix = np.array([kept * weight + SHARE / EXPERTS for weight in weights])

    def correct(
        self,
        task_type: str,
        strategy: str,
        old: float | None,
        new: float | None,
        *,
        outcome_id: str | None = None,
    ) -> None:
        """Revise the reward of an earlier outcome; None is an outcome whose label is unknown.

        Counts are as if it had always been so, unless the strategy started again since; the
        window is, while it holds the outcome; recent counts and the weights of experts are not.
        An outcome that had no label is counted, without its context.
        """
        row = self._own_row(strategy)
        trials = (new is not None) - (old is not None)
        arms.recount(
            row, self._overall, arms.kind_of(task_type), trials, (new or 0.0) - (old or 0.0)
        )
        if outcome_id is not None:
            self._window.correct(outcome_id, new)
        self._last = None

    # What other swarms learned ----------------------------------------------------------------

    def inherit(
        self, task_type: str, strategy: str, trials: float, rewards: float, *, weight: float
    ) -> None:
        """Begin with what others counted, each outcome being worth `weight` of one's own.

        A strategy brings along 20 trials of a kind at most, so one's own outcomes soon count for
        more.

        Args:
            trials: Outcomes of `strategy` on tasks of this type.
            rewards: Their sum.
        """
        if trials <= 0:
            return
        row = self._own_row(strategy)
        part = weight * min(1.0, PRIOR_TRIALS_MAX / (weight * trials))
        n, s = trials * part, rewards * part
        arms.recount(row, self._overall, arms.kind_of(task_type), n, s)
        row[arms.RECENT : arms.RECENT + 2] += (n, s)


def weigh(
    estimates: Estimates,
    *,
    cost_weight: float = 0.0,
    duration_weight: float = 0.0,
    explore: bool = True,
    floor: float = choice.FLOOR,
) -> choice.Chances:
    """Return how likely each strategy is to be chosen; without `explore` the best is, surely.

    Utility is expected success less `cost_weight` times expected cost and `duration_weight` times
    expected duration in seconds. Both weights are 0 unless given: only the caller knows what a
    success is worth.

    Args:
        cost_weight: Success that one unit of cost is worth.
        duration_weight: Success that one second is worth.
        floor: As in `choice.propensities`.
    """
    e = estimates
    utility, variance = e.mean, e.variance
    if cost_weight or duration_weight:
        utility = utility - cost_weight * e.cost - duration_weight * e.duration_s
        variance = variance + cost_weight**2 * e.cost_variance
        variance += duration_weight**2 * e.duration_variance
    order = tuple((-utility).argsort(kind="stable").tolist())
    deviations = np.sqrt(variance)
    if explore:
        widths = np.array([[choice.width(e.outcomes)], [1.0]])
        drawn, whole = choice.largest(utility, widths * deviations)
        return choice.Chances(choice.spread(drawn, floor), utility, order, whole)
    (whole,) = choice.largest(utility, deviations[None])
    sure = np.zeros(len(utility))
    sure[order[0]] = 1.0
    return choice.Chances(sure, utility, order, whole)


def choose(
    estimates: Estimates,
    *,
    uniform: float,
    cost_weight: float = 0.0,
    duration_weight: float = 0.0,
    explore: bool = True,
    floor: float = choice.FLOOR,
) -> choice.Choice:
    """Return a strategy, drawn from its propensities; without `explore` the best, surely.

    Args:
        uniform: In [0, 1): decides, where several may be chosen.
        cost_weight: This and the others are as in `weigh`.
    """
    chances = weigh(
        estimates,
        cost_weight=cost_weight,
        duration_weight=duration_weight,
        explore=explore,
        floor=floor,
    )
    return choice.chosen(chances, uniform)


_NO_ROW = np.zeros(arms.WIDTH)
_NO_ROW.flags.writeable = False


def _bounded(rates: Doubles) -> Doubles:
    return np.minimum(np.maximum(rates, CERTAIN), 1 - CERTAIN)


def _softened(means: Doubles) -> Doubles:
    """Return what a regression says as a rate: above 0.9 and below 0.1 it gives way, to 0.98.

    It knows no bounds, and to be sure and wrong once costs an expert its weight; to cut it off
    would make the best of strategies look alike.
    """
    away = means - 0.5
    size = np.abs(away)
    if size.max() <= SURE:
        return means
    beyond = np.maximum(size - SURE, 0)
    size = np.minimum(size, SURE) + SURER * (1 - np.exp(-beyond / SURER))
    result: Doubles = 0.5 + np.copysign(size, away)
    return result


def _soft(mean: float) -> float:
    """Return the same of one."""
    away = mean - 0.5
    size = min(abs(away), SURE)
    size += SURER * (1 - math.exp(-max(abs(away) - SURE, 0.0) / SURER))
    return 0.5 + math.copysign(size, away)


def _hex(strategy: str) -> str:
    return f"{arms.name_hash(strategy):016x}"


def _read_arm(part: bytes) -> tuple[str, Doubles]:
    length = 8 * arms.WIDTH
    if len(part) < length:
        raise ValueError("the part of a strategy is of another format; rebuild the model")
    row = np.frombuffer(part[:length], "<f8").astype(np.float64)
    return part[length:].decode("utf-8", "surrogatepass"), row


def _interval(mean: Doubles, variance: Doubles) -> tuple[Doubles, Doubles]:
    """Return the 95 % score interval of a rate as sure as `variance` says.

    Source:
        Wilson 1927; Brown, Cai and DasGupta 2001.
    """
    spread = mean * (1 - mean)
    part = Z_95 * Z_95 * np.minimum(variance / spread, 1.0)
    half = np.sqrt(part * (spread + 0.25 * part))
    centre = mean + 0.5 * part
    return (centre - half) / (1 + part), (centre + half) / (1 + part)
