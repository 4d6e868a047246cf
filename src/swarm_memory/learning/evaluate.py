"""Off-policy evaluation: what another policy would have reached on the log of this one.

The rewards of the rows that the other policy would have chosen alike are weighted by how much
likelier it would have chosen so. That needs the probability with which each choice was made; where
nobody knows it, a row informs the direct model only, and without any there is a refusal, no guess.
"""

from __future__ import annotations

import numpy as np

from swarm_memory.lean import NamedTuple
from swarm_memory.learning import direct, interval
from swarm_memory.learning.interval import Interval

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from swarm_memory.learning.observation import Json, Observation

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Probabilities = Callable[[dict[str, Json], tuple[str, ...]], Sequence[float]]

MATCHING_MIN = 20  # below, no interval holds what it promises
EFFECTIVE_MIN = 15.0  # rows' worth
OVERLAP_MIN = 0.95  # of the target's choices must have been possible for the log
WEIGHT_ALARM = 3.0  # standard errors that the mean weight may be off 1
PROBABILITY_SLACK = 1e-6


class ByModel(NamedTuple):
    """The target that takes the strategy with the highest predicted reward on each task.

    The prediction is cross-fitted: what is evaluated is the rule learned on four fifths of the
    tasks, on the fifth that it has not seen. `name` is what results call it.
    """

    name: str = "best by the model"


class Support(NamedTuple):
    """What an evaluation rests on.

    Of `outcomes`, `labelled` have a known label (a share of `coverage`). Of those
    `without_strategy` and `without_propensity` (unknown, or outside (0, 1]) are left out of the
    weights, and on `not_covered` the target had nothing to choose or was no candidate. The `used`
    rows are of `tasks` tasks; on `matching` the log chose what the target may choose, worth
    `effective` equally weighted tasks. `overlap` is the share of the target's choices that the
    log could have made, None where the candidates' propensities were not recorded. `mean_weight`
    is about 1 when the recorded propensities are right.
    """

    outcomes: int
    labelled: int
    coverage: float
    without_strategy: int
    without_propensity: int
    not_covered: int
    used: int
    tasks: int
    matching: int
    effective: float
    overlap: float | None
    mean_weight: float
    weight_max: float


class Naive(NamedTuple):
    """The plain mean reward of the matching rows. Not an estimate of what the target reaches."""

    mean: float
    rows: int
    warning: str = (
        "the mean of the rows that happen to match is biased wherever the task decided who got"
        " which strategy"
    )


class Evaluation(NamedTuple):
    """What the target would have reached: mean reward in [0, 1] with 95 % intervals.

    `value` is the self-normalised doubly robust estimate, the one to use; `doubly_robust` and
    `snips` stand beside it for comparison, `direct` is the model alone, without an interval
    because its bias is unknown. `logged` is what the log itself reached on the same rows, and
    `gain` the difference of `value` to it.
    """

    target: str
    value: Interval
    doubly_robust: Interval
    snips: Interval
    direct: float
    logged: Interval
    gain: Interval
    naive: Naive
    support: Support
    warnings: tuple[str, ...]


class Comparison(NamedTuple):
    """How much more `first` would have reached than `second`, on the rows both cover."""

    first: str
    second: str
    difference: Interval
    support: tuple[Support, Support]
    warnings: tuple[str, ...]


class Refusal(NamedTuple):
    """Why there is no estimate: `missing` is outcomes, propensity, matching, effective, overlap."""

    target: str
    missing: str
    reason: str
    support: Support


if TYPE_CHECKING:
    Target = str | Mapping[str, str] | Probabilities | ByModel


def evaluate(
    observations: Sequence[Observation], target: Target, *, seed: int, name: str | None = None
) -> Evaluation | Refusal:
    """Return what `target` would have reached on this log, or why that cannot be said.

    Args:
        target: One strategy; a strategy for each task type; `ByModel()`; or a function that gets
            the context (with `task_type` in it) and the candidates, and returns a probability for
            each candidate.
        seed: Of the folds that the direct model is cross-fitted on.
        name: What the result calls a function.

    Source:
        Swaminathan and Joachims 2015 (SNIPS); Dudík, Langford and Li 2011 (doubly robust).
    """
    return Log(observations, seed=seed).evaluate(target, name=name)


def compare(
    observations: Sequence[Observation], first: Target, second: Target, *, seed: int
) -> Comparison | Refusal:
    """Return the difference of two targets with its interval, narrower than the two apart."""
    return Log(observations, seed=seed).compare(first, second)


class _Scores(NamedTuple):
    """One target on the rows it covers, each field (n_covered,)."""

    rows: Integers
    weights: Floats
    expected: Floats  # by the model, of the target's choice
    residual: Floats  # reward − model, of the logged choice
    predicted: Floats  # by the model, of the logged choice


class Log:
    """A log of outcomes with its direct model, to evaluate many targets on."""

    def __init__(self, observations: Sequence[Observation], *, seed: int) -> None:
        known = [o for o in observations if o.reward is not None]
        chosen = [o for o in known if o.strategy is not None]
        self._counts = (len(observations), len(known), len(known) - len(chosen))
        names = {str(o.strategy) for o in chosen}
        for o in chosen:
            names.update(o.candidates or ())
        self.strategies = tuple(sorted(names))
        self._index = {name: k for k, name in enumerate(self.strategies)}
        weighable = [i for i, o in enumerate(chosen) if _valid(o.propensity)]
        self.rows = [chosen[i] for i in weighable]
        self._fit(chosen, np.array(weighable, dtype=np.int64), seed)

    def _fit(self, chosen: list[Observation], weighable: Integers, seed: int) -> None:
        tasks = _numbered([o.task for o in chosen])
        arms = np.array([self._index[str(o.strategy)] for o in chosen], dtype=np.int64)
        reward = np.array([o.reward for o in chosen], dtype=float)
        self._without_propensity = len(chosen) - len(weighable)
        self.tasks, self._arms, self.reward = tasks[weighable], arms[weighable], reward[weighable]
        self._propensity = np.array([o.propensity for o in self.rows], dtype=float)
        self.predicted = np.zeros((len(weighable), len(self.strategies)))
        if len(weighable):
            # Of all rows: a task whose propensity is unknown is no less known to the model.
            folds = direct.folds_by_task(tasks, np.random.default_rng(seed))
            self.predicted = direct.cross_fitted(
                direct.encode(chosen), arms, reward, folds, len(self.strategies)
            )[weighable]
        self._look_at_candidates()

    def _look_at_candidates(self) -> None:
        """Keep which strategies each row could choose, and which had a propensity above 0."""
        shape = (len(self.rows), len(self.strategies))
        self._candidate, self._possible = np.ones(shape, bool), np.zeros(shape, bool)
        self._told = np.zeros(len(self.rows), bool)  # whether it says what was possible
        for row, observation in enumerate(self.rows):
            names, propensities = observation.candidates, observation.propensities
            if names is None:
                continue
            columns = [self._index[name] for name in names]
            self._candidate[row] = False
            self._candidate[row, columns] = True
            if propensities is not None and len(propensities) == len(names):
                self._possible[row, columns] = np.array(propensities) > 0
                self._told[row] = True

    def evaluate(self, target: Target, *, name: str | None = None) -> Evaluation | Refusal:
        """Return what `target` would have reached; see `evaluate`."""
        label = name or _label(target)
        probabilities = self._probabilities(target)
        scores = self._scores(probabilities)
        support = self._support(scores, probabilities)
        if refusal := _refusal(label, support):
            return refusal
        tasks, reward = self.tasks[scores.rows], self.reward[scores.rows]
        degrees = support.effective - 1
        logged, deviation = float(reward.mean()), (reward - reward.mean()) / len(reward)
        logged_variance = interval.clustered_variance(deviation, tasks)
        value, influence = _self_normalised(scores)
        variance = interval.clustered_variance(influence, tasks)
        apart = interval.clustered_variance(influence - deviation, tasks)
        apart += _unseen(value, variance, support.effective)
        matching = scores.weights > 0
        return Evaluation(
            label,
            interval.score_interval(value, variance, support.effective, degrees),
            _doubly_robust(scores, tasks, support.effective),
            _snips(scores, reward, tasks, support.effective),
            float(scores.expected.mean()),
            interval.score_interval(logged, logged_variance, support.tasks, support.tasks - 1),
            interval.plain_interval(_clipped(value) - logged, apart, degrees),
            Naive(float(reward[matching].mean()), int(matching.sum())),
            support,
            _warnings(scores, support, tasks),
        )

    def compare(self, first: Target, second: Target) -> Comparison | Refusal:
        """Return the difference of two targets; see `compare`."""
        pair = [self._probabilities(target) for target in (first, second)]
        common = np.all([p.sum(axis=1) > 0 for p in pair], axis=0)
        labels = (_label(first), _label(second))
        values, influences, supports, unseen = [], [], [], 0.0
        warnings: list[str] = []
        for label, probabilities in zip(labels, pair, strict=True):
            probabilities = probabilities * common[:, None]
            scores = self._scores(probabilities)
            support = self._support(scores, probabilities)
            if refusal := _refusal(label, support):
                return refusal
            tasks = self.tasks[scores.rows]
            value, influence = _self_normalised(scores)
            variance = interval.clustered_variance(influence, tasks)
            unseen += _unseen(value, variance, support.effective)
            values.append(_clipped(value))
            influences.append(influence)
            supports.append(support)
            warnings += [f"{label}: {text}" for text in _warnings(scores, support, tasks)]
        apart = interval.clustered_variance(influences[0] - influences[1], tasks) + unseen
        degrees = min(support.effective for support in supports) - 1
        difference = interval.plain_interval(values[0] - values[1], apart, degrees)
        return Comparison(*labels, difference, (supports[0], supports[1]), tuple(warnings))

    def path(self, target: Target, counts: Sequence[int]) -> list[Interval | None]:
        """Return what the target would have reached over the first so many rows of the log.

        None where these are too few to say. The rows are those with a known label, strategy and
        propensity (`rows`), in their order.
        """
        scores = self._scores(self._probabilities(target))
        found: list[Interval | None] = []
        for count in counts:
            part = _first(scores, int(np.searchsorted(scores.rows, count)))
            tasks = self.tasks[part.rows]
            size = interval.effective_size(part.weights, tasks) if len(tasks) else 0.0
            if size < EFFECTIVE_MIN or np.sum(part.weights > 0) < MATCHING_MIN:
                found.append(None)
                continue
            mean, influence = _self_normalised(part)
            variance = interval.clustered_variance(influence, tasks)
            found.append(interval.score_interval(mean, variance, size, size - 1))
        return found

    def _probabilities(self, target: Target) -> Floats:
        """Return the target's probability of each strategy on each row; a row of 0: not covered."""
        probabilities = np.zeros((len(self.rows), len(self.strategies)))
        if not self.rows:
            return probabilities
        if isinstance(target, ByModel):
            best = np.argmax(np.where(self._candidate, self.predicted, -1.0), axis=1)
            probabilities[np.arange(len(best)), best] = 1.0
            return probabilities
        if callable(target):
            for row, observation in enumerate(self.rows):
                columns = np.flatnonzero(self._candidate[row])
                names = tuple(self.strategies[k] for k in columns)
                context = {**(observation.context or {}), "task_type": observation.task_type}
                probabilities[row, columns] = _checked(target(context, names), names)
            return probabilities
        for row, observation in enumerate(self.rows):
            name = target if isinstance(target, str) else target.get(observation.task_type)
            index = self._index.get(name) if name is not None else None
            if index is not None:
                probabilities[row, index] = float(self._candidate[row, index])
        return probabilities

    def _scores(self, probabilities: Floats) -> _Scores:
        rows = np.flatnonzero(probabilities.sum(axis=1) > 0)
        arms = self._arms[rows]
        predicted = self.predicted[rows, arms]
        return _Scores(
            rows,
            probabilities[rows, arms] / self._propensity[rows],
            np.sum(probabilities[rows] * self.predicted[rows], axis=1),
            self.reward[rows] - predicted,
            predicted,
        )

    def _support(self, scores: _Scores, probabilities: Floats) -> Support:
        outcomes, labelled, without_strategy = self._counts
        weights, tasks = scores.weights, self.tasks[scores.rows]
        return Support(
            outcomes,
            labelled,
            labelled / outcomes if outcomes else 0.0,
            without_strategy,
            self._without_propensity,
            len(self.rows) - len(scores.rows),
            len(scores.rows),
            len(np.unique(tasks)),
            int(np.sum(weights > 0)),
            interval.effective_size(weights, tasks) if len(weights) else 0.0,
            self._overlap(scores, probabilities),
            float(weights.mean()) if len(weights) else 0.0,
            float(weights.max(initial=0.0)),
        )

    def _overlap(self, scores: _Scores, probabilities: Floats) -> float | None:
        """Return the share of the target's choices to which the log gave a propensity above 0."""
        told = scores.rows[self._told[scores.rows]]
        if not len(told):
            return None
        return float(np.sum(probabilities[told] * self._possible[told])) / len(told)


def _first(scores: _Scores, count: int) -> _Scores:
    rows, weights, expected, residual, predicted = scores
    return _Scores(
        rows[:count], weights[:count], expected[:count], residual[:count], predicted[:count]
    )


def _self_normalised(scores: _Scores) -> tuple[float, Floats]:
    """Return mean(model) + Σ w (r − model) / Σ w, and what each row moves it by."""
    n, total = len(scores.rows), float(scores.weights.sum())
    correction = float(np.sum(scores.weights * scores.residual)) / total
    expected = float(scores.expected.mean())
    return expected + correction, (scores.expected - expected) / n + _pulls(
        scores.weights, scores.residual - correction
    )


def _pulls(weights: Floats, deviation: Floats) -> Floats:
    """Return what each row moves a weighted mean by, as if it had not pulled the mean to itself.

    Without the last factor a heavy row hides its own deviation, and intervals are too narrow.

    Source:
        MacKinnon and White 1985 (HC3).
    """
    share = weights / weights.sum()
    return np.asarray(share * deviation / np.maximum(1 - share, 0.05))


def _unseen(mean: float, variance: float, size: float) -> float:
    """Return the variance to add for what few successes or failures cannot show."""
    return interval.steadied(mean, variance, size) - variance


def _clipped(mean: float) -> float:
    return min(max(mean, 0.0), 1.0)


def _doubly_robust(scores: _Scores, tasks: Integers, size: float) -> Interval:
    n = len(scores.rows)
    contributions = scores.expected + scores.weights * scores.residual
    mean = float(contributions.mean())
    variance = interval.clustered_variance((contributions - mean) / n, tasks)
    return interval.score_interval(mean, variance, size, size - 1)


def _snips(scores: _Scores, reward: Floats, tasks: Integers, size: float) -> Interval:
    mean = float(np.sum(scores.weights * reward) / scores.weights.sum())
    variance = interval.clustered_variance(_pulls(scores.weights, reward - mean), tasks)
    return interval.score_interval(mean, variance, size, size - 1)


def _valid(propensity: float | None) -> bool:
    return propensity is not None and 0 < propensity <= 1


def _numbered(names: Sequence[str]) -> Integers:
    """Return a number for each name, (n,), the same for the same name."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)


def _checked(given: Sequence[float], names: tuple[str, ...]) -> Floats:
    probabilities = np.asarray(given, dtype=float)
    if probabilities.shape != (len(names),):
        raise ValueError(f"the target gave {probabilities.shape} probabilities for {names}")
    total = float(probabilities.sum())
    if not (probabilities >= 0).all() or abs(total - 1) > PROBABILITY_SLACK:
        raise ValueError(f"the target's probabilities {probabilities.tolist()} do not sum to 1")
    return probabilities


def _label(target: Target) -> str:
    if isinstance(target, str):
        return target
    if isinstance(target, ByModel):
        return target.name
    if callable(target):
        return "a function of the context"
    return ", ".join(f"{task_type}: {name}" for task_type, name in sorted(target.items()))


def _refusal(label: str, support: Support) -> Refusal | None:
    """Return what is missing for an estimate, or None."""
    s = support
    with_propensity = s.labelled - s.without_strategy - s.without_propensity
    overlap = 1.0 if s.overlap is None else s.overlap
    checks = (
        (
            s.labelled > s.without_strategy,
            "outcomes",
            f"none of {s.outcomes} outcomes has both a known label and a strategy",
        ),
        (
            with_propensity > 0,
            "propensity",
            f"none of {s.labelled} labelled outcomes says with which probability its strategy was"
            " chosen; take strategies from recommendations, which record it",
        ),
        (
            s.matching >= MATCHING_MIN,
            "matching",
            f"only {s.matching} of {with_propensity} outcomes chose as {label!r} would;"
            f" {MATCHING_MIN} are needed",
        ),
        (
            s.effective >= EFFECTIVE_MIN,
            "effective",
            f"the {s.matching} matching outcomes are worth {s.effective:.1f} independent ones;"
            f" {EFFECTIVE_MIN:.0f} are needed",
        ),
        (
            overlap >= OVERLAP_MIN,
            "overlap",
            f"the log could have made only {overlap:.0%} of the choices of {label!r};"
            f" {OVERLAP_MIN:.0%} are needed",
        ),
    )
    for holds, missing, reason in checks:
        if not holds:
            return Refusal(label, missing, reason, support)
    return None


def _warnings(scores: _Scores, support: Support, tasks: Integers) -> tuple[str, ...]:
    """Return what makes the estimate doubtful, a sentence each."""
    found = []
    deviation = (scores.weights - support.mean_weight) / len(scores.weights)
    error = interval.clustered_variance(deviation, tasks) ** 0.5
    if abs(support.mean_weight - 1) > WEIGHT_ALARM * error + PROBABILITY_SLACK:
        found.append(
            f"the weights average {support.mean_weight:.2f}, not 1: recorded propensities are"
            " wrong, or the log never chooses some strategies on some tasks"
        )
    if support.overlap is not None and support.overlap < 1 - PROBABILITY_SLACK:
        found.append(f"the log could have made only {support.overlap:.0%} of the target's choices")
    left_out = support.without_propensity + support.not_covered
    if left_out > support.used:
        found.append(
            f"{left_out} labelled outcomes are left out, more than the {support.used} used"
        )
    return tuple(found)
