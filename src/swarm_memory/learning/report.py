"""The learning report as plain values: what was learned from the outcomes, and how surely.

Doors render it. Everything is computed from the log but patterns, shifts and failures, which other
parts of learning find and hand in.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from swarm_memory.lean import NamedTuple
from swarm_memory.learning import interval
from swarm_memory.learning.calibration import Calibration, calibrate
from swarm_memory.learning.evaluate import ByModel, Log, Refusal
from swarm_memory.learning.interval import Interval
from swarm_memory.learning.observation import LABEL_SOURCES, STATUSES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from swarm_memory.learning.evaluate import Evaluation
    from swarm_memory.learning.observation import Json, Observation

OBSERVATIONS_MAX = 20_000  # the last ones; older ones are in the counts that the caller hands in
POINTS_MAX = 200
POINTS_FROM = 10  # the mean of fewer jumps between 0 and 1, and hides the rest
RECENT = 50  # outcomes of the moving mean
STRATEGIES_MAX = 12
TASK_TYPES_MAX = 8
ITEMS_MAX = 50  # of patterns, shifts, failures and waiting decisions


class Summary(NamedTuple):
    """The log at a glance: `read` of `outcomes` outcomes, the last ones, were looked at.

    `reward` is the mean of the `labelled` ones; `recent` that of the last fifty; times are epoch
    milliseconds; `duration_s` and `cost` are sums, None where nobody recorded them.
    """

    outcomes: int
    read: int
    labelled: int
    coverage: float
    tasks: int
    strategies: int
    first_ms: int | None
    last_ms: int | None
    reward: Interval | None
    recent: float | None
    duration_s: float | None
    cost: float | None


class Counted(NamedTuple):
    """How many outcomes have this name."""

    name: str
    outcomes: int


class Point(NamedTuple):
    """After so many labelled outcomes: mean reward since the start, of the last fifty, and what
    the best fixed strategy would have reached until then, None where that cannot be said."""

    outcomes: int
    at_ms: int
    reached: float
    recent: float
    best: Interval | None


class OverTime(NamedTuple):
    """Reward over time against the fixed strategy that is best at the end; `note` says why none."""

    best: str | None
    points: tuple[Point, ...]
    note: str


class Cell(NamedTuple):
    """How a strategy went on a task type, as it was logged: clustered 95 % interval of the mean.

    `duration_s` is the median, `cost` the mean.
    """

    strategy: str
    task_type: str
    outcomes: int
    tasks: int
    reward: Interval
    duration_s: float | None
    cost: float | None


class Matrix(NamedTuple):
    """What each strategy is good at; the busiest strategies and task types, `hidden` are not."""

    strategies: tuple[str, ...]
    task_types: tuple[str, ...]
    cells: tuple[Cell, ...]
    hidden: int


class Judged(NamedTuple):
    """One policy judged on the log; without an estimate, `reason` says why."""

    target: str
    value: Interval | None
    gain: Interval | None
    snips: Interval | None
    naive: float | None
    matching: int
    effective: float
    reason: str
    warnings: tuple[str, ...]


class LearningReport(NamedTuple):
    """What was learned. Mappings are as their finders made them, each with a `text`."""

    summary: Summary
    findings: tuple[str, ...]
    statuses: tuple[Counted, ...]
    label_sources: tuple[Counted, ...]
    over_time: OverTime
    matrix: Matrix
    off_policy: tuple[Judged, ...]
    calibration: Calibration | None
    shifts: tuple[Mapping[str, Json], ...]
    patterns: tuple[Mapping[str, Json], ...]
    failures: tuple[Mapping[str, Json], ...]
    waiting: tuple[Mapping[str, Json], ...]
    waiting_count: int

    def to_dict(self) -> dict[str, Json]:
        """Return the report as JSON values."""
        return {name: plain(value) for name, value in self._asdict().items()}


def build_report(
    observations: Sequence[Observation],
    *,
    seed: int,
    outcomes: int | None = None,
    patterns: Sequence[Mapping[str, Json]] = (),
    shifts: Sequence[Mapping[str, Json]] = (),
    failures: Sequence[Mapping[str, Json]] = (),
    waiting: Sequence[Mapping[str, Json]] = (),
    waiting_count: int | None = None,
) -> LearningReport:
    """Return the report on a log, in its order; of a long one, the last 20,000 are read.

    Args:
        outcomes: How many there are, if more than are handed in.
        patterns: Each with `text`, `support`, `effect` and `interval` (low, high).
        shifts: Each with `text`, `at_ms` and, where known, `before` and `after`.
        failures: Each with `text` and `support`.
        waiting: Decisions without an outcome: `decision`, `task`, `strategy`, `at_ms`.
        waiting_count: How many there are, if more than are handed in.
    """
    read = observations[-OBSERVATIONS_MAX:]
    labelled = [o for o in read if o.reward is not None]
    log = Log(read, seed=seed)
    matrix = _matrix(labelled)
    judged = {name: log.evaluate(name) for name in matrix.strategies}
    learned = log.evaluate(ByModel())
    known = {name: e for name, e in judged.items() if not isinstance(e, Refusal)}
    best = max(known, key=lambda name: known[name].value.mean, default=None)
    summary = _summary(read, labelled, max(outcomes or 0, len(observations)))
    return LearningReport(
        summary,
        _findings(summary, known.get(best) if best is not None else None, len(known)),
        _counted((o.status for o in read), STATUSES),
        _counted((o.label_source for o in read if o.reward is not None), LABEL_SOURCES),
        _over_time(labelled, log, best, [e for e in judged.values() if isinstance(e, Refusal)]),
        matrix,
        tuple(_judged(e) for e in [*judged.values(), learned]) if labelled else (),
        calibrate(read, seed=seed),
        tuple(shifts[:ITEMS_MAX]),
        tuple(patterns[:ITEMS_MAX]),
        tuple(failures[:ITEMS_MAX]),
        tuple(waiting[:ITEMS_MAX]),
        max(waiting_count or 0, len(waiting)),
    )


def _summary(
    read: Sequence[Observation], labelled: Sequence[Observation], outcomes: int
) -> Summary:
    durations = [o.duration_s for o in read if o.duration_s is not None]
    costs = [o.cost for o in read if o.cost is not None]
    rewards = [float(o.reward) for o in labelled if o.reward is not None]
    return Summary(
        outcomes,
        len(read),
        len(labelled),
        len(labelled) / len(read) if read else 0.0,
        len({o.task for o in read}),
        len({o.strategy for o in read if o.strategy is not None}),
        read[0].at_ms if read else None,
        read[-1].at_ms if read else None,
        _mean(labelled) if labelled else None,
        float(np.mean(rewards[-RECENT:])) if rewards else None,
        float(sum(durations)) if durations else None,
        float(sum(costs)) if costs else None,
    )


def _mean(labelled: Sequence[Observation]) -> Interval:
    """Return the mean reward with the interval that is clustered by task."""
    rewards = np.array([o.reward for o in labelled], dtype=float)
    _, tasks = np.unique([o.task for o in labelled], return_inverse=True)
    n_tasks = int(tasks.max()) + 1
    mean = float(rewards.mean())
    variance = interval.clustered_variance((rewards - mean) / len(rewards), tasks)
    return interval.score_interval(mean, variance, n_tasks, n_tasks - 1)


def _findings(summary: Summary, best: Evaluation | None, compared: int) -> tuple[str, ...]:
    """Return what a reader should know first, in sentences.

    Args:
        best: The fixed strategy with the highest estimate, chosen among `compared`.
    """
    if summary.reward is None:
        return ()
    found = [
        f"What was done reached a mean reward of {_said(summary.reward)}"
        f" over {summary.labelled:,} labelled outcomes."
    ]
    if best is not None:
        gain = _among(best.gain, compared)
        verdict = "which is not told apart from what was done"
        if gain.low > 0:
            verdict = f"{gain.mean:.2f} more than what was done (at least {gain.low:.2f})"
        elif gain.high < 0:
            verdict = f"{-gain.mean:.2f} less than what was done (at least {-gain.high:.2f})"
        found.append(
            f"Always choosing {best.target} would have reached {_said(best.value)}, {verdict}."
        )
    if summary.coverage < 0.5:
        found.append(
            f"Only {summary.coverage:.0%} of the outcomes have a known label:"
            " what is said here is about those."
        )
    return tuple(found)


def _among(gain: Interval, compared: int) -> Interval:
    """Return the interval that holds for the best of so many: the best is partly the luckiest.

    Source:
        Bonferroni.
    """
    wider = NormalDist().inv_cdf(1 - 0.025 / max(compared, 1)) / interval.Z_95
    return Interval(
        gain.mean,
        gain.mean - wider * (gain.mean - gain.low),
        gain.mean + wider * (gain.high - gain.mean),
    )


def _said(value: Interval) -> str:
    return f"{value.mean:.2f} ({value.low:.2f} to {value.high:.2f})"


def _counted(names: Iterable[str], order: Sequence[str]) -> tuple[Counted, ...]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    known = [name for name in order if name in counts]
    return tuple(Counted(n, counts[n]) for n in [*known, *sorted(counts.keys() - set(order))])


def _over_time(
    labelled: Sequence[Observation], log: Log, best: str | None, refused: Sequence[Refusal]
) -> OverTime:
    if not labelled:
        return OverTime(None, (), "no outcome has a known label yet")
    n = len(labelled)
    ends = np.unique(np.linspace(min(n, POINTS_FROM), n, min(n, POINTS_MAX)).round().astype(int))
    total = np.concatenate([[0.0], np.cumsum([float(o.reward or 0.0) for o in labelled])])
    # How many rows of the log that can be weighed lie before each end.
    weighable, row = {id(o) for o in log.rows}, 0
    before = [row := row + (id(o) in weighable) for o in labelled]
    bests: list[Interval | None] = [None] * len(ends)
    if best is not None:
        bests = log.path(best, [before[end - 1] for end in ends])
    points = tuple(
        Point(
            int(end),
            labelled[end - 1].at_ms,
            float(total[end] / end),
            float((total[end] - total[max(0, end - RECENT)]) / min(end, RECENT)),
            reached,
        )
        for end, reached in zip(ends, bests, strict=True)
    )
    note = refused[0].reason if best is None and refused else ""
    return OverTime(best, points, note)


def _matrix(labelled: Sequence[Observation]) -> Matrix:
    groups: dict[tuple[str, str], list[Observation]] = {}
    for o in labelled:
        if o.strategy is not None:
            groups.setdefault((o.strategy, o.task_type), []).append(o)
    strategies = _busiest([(s, len(rows)) for (s, _), rows in groups.items()], STRATEGIES_MAX)
    task_types = _busiest([(t, len(rows)) for (_, t), rows in groups.items()], TASK_TYPES_MAX)
    shown = [(s, t) for s in strategies for t in task_types if (s, t) in groups]
    cells = tuple(_cell(s, t, groups[s, t]) for s, t in shown)
    hidden = sum(map(len, groups.values())) - sum(cell.outcomes for cell in cells)
    return Matrix(strategies, task_types, cells, hidden)


def _busiest(counts: Sequence[tuple[str, int]], most: int) -> tuple[str, ...]:
    total: dict[str, int] = {}
    for name, count in counts:
        total[name] = total.get(name, 0) + count
    return tuple(sorted(total, key=lambda name: (-total[name], name))[:most])


def _cell(strategy: str, task_type: str, rows: Sequence[Observation]) -> Cell:
    durations = [o.duration_s for o in rows if o.duration_s is not None]
    costs = [o.cost for o in rows if o.cost is not None]
    return Cell(
        strategy,
        task_type,
        len(rows),
        len({o.task for o in rows}),
        _mean(rows),
        float(np.median(durations)) if durations else None,
        float(np.mean(costs)) if costs else None,
    )


def _judged(found: Evaluation | Refusal) -> Judged:
    support = found.support
    if isinstance(found, Refusal):
        return Judged(
            found.target,
            None,
            None,
            None,
            None,
            support.matching,
            support.effective,
            found.reason,
            (),
        )
    return Judged(
        found.target,
        found.value,
        found.gain,
        found.snips,
        found.naive.mean,
        support.matching,
        support.effective,
        "",
        found.warnings,
    )


def plain(value: Json) -> Json:
    """Return named tuples as objects and tuples as lists, however deep."""
    if hasattr(value, "_asdict"):
        return {name: plain(part) for name, part in value._asdict().items()}
    if isinstance(value, dict):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value
