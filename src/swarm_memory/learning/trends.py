"""Trends and change points: how a strategy, an agent or a kind of task does over time.

Two instruments. `Drift` is fed one reward at a time, in constant time and space, and raises an
alarm soon after a change. `trends` looks back over the log, dates the changes, and reports only
those that a test over all series confirms.
"""

from __future__ import annotations

import math

import numpy as np

from swarm_memory.lean import NamedTuple
from swarm_memory.learning import expected, statistics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarm_memory.learning.facets import Masks
    from swarm_memory.learning.observation import Observation
    from swarm_memory.learning.statistics import Floats, Integers

ALPHA = 0.02
SEGMENT_MIN = 15  # rows on either side of a change
SERIES_ROWS_MIN = 2 * SEGMENT_MIN
SERIES_ROWS_MAX = 2000
SERIES_MAX = 200
CHANGES_MAX = 8  # of a series
SHUFFLES = 499
SHUFFLE_CELLS = 1_000_000
RECENT_ROWS = 50
MIX_STRENGTH = 3.0
OVERALL, STRATEGY, AGENT, TASK_TYPE = "overall", "strategy", "agent", "task_type"
RISING, FALLING, STEADY, UNCLEAR = "rising", "falling", "steady", "unclear"
STEADY_SLOPE = 0.05  # a slope whose interval is within this, per 100 outcomes, is none
EVIDENCE_MAX = 20


class Change(NamedTuple):
    """A confirmed change of level before row number `row` of a series, at `at_ms`.

    `before` and `after` are mean rewards of the rows up to the next change on either side, with
    95 % intervals clustered by task; `size` their difference among comparable rows, so that
    harder tasks coming in are no change of a strategy. `p` is for the largest of all splits.
    """

    row: int
    at_ms: int
    before: float
    before_interval: tuple[float, float]
    after: float
    after_interval: tuple[float, float]
    size: float
    interval: tuple[float, float]
    p: float
    rows: tuple[int, int]
    outcome_ids: tuple[str, ...]


class Trend(NamedTuple):
    """One series: `kind` is overall, strategy, agent or task_type.

    `rate` is the mean reward of the last `rows` rows, `recent` that of the last 50. `slope` is
    the change of the mean reward in 100 outcomes of the series, `direction` what its interval
    allows to say: rising, falling, steady or unclear.
    """

    kind: str
    name: str
    rows: int
    tasks: int
    rate: float
    interval: tuple[float, float]
    recent: float
    recent_interval: tuple[float, float]
    slope: float
    slope_interval: tuple[float, float]
    direction: str
    changes: tuple[Change, ...]
    outcome_ids: tuple[str, ...]
    first_ms: int
    last_ms: int


class Trends(NamedTuple):
    """All series with enough rows, and how many rows and series were left out."""

    series: tuple[Trend, ...]
    left_out: int
    too_short: int

    @property
    def changes(self) -> list[tuple[Trend, Change]]:
        """Return every confirmed change with its series, newest first."""
        found = [(trend, change) for trend in self.series for change in trend.changes]
        return sorted(found, key=lambda pair: (-pair[1].at_ms, pair[0].kind, pair[0].name))


class _Series(NamedTuple):
    kind: str
    name: str
    rows: list[Observation]
    values: Floats
    tasks: Integers


def trends(observations: Sequence[Observation], *, seed: int, alpha: float = ALPHA) -> Trends:
    """Return the trend of every strategy, agent and task type, with its confirmed changes.

    A change is reported if its p-value stands among those of all series (Benjamini-Hochberg at
    `alpha`). Strategies are compared within their task types, task types within strategies,
    agents within both, so that another mix of tasks is no change.

    Args:
        observations: In the order of time; each series keeps its last 2,000 labelled rows.
        seed: For the permutations; the same rows and seed give the same answer.
        alpha: The rate of false ones among the series that are said to have changed.
    """
    known = expected.labelled(observations)
    series, too_short = _all_series(known)
    rng = np.random.default_rng(seed)
    first = [_largest(s, 0, len(s.rows), rng) for s in series]
    q = statistics.adjusted([p for p, _ in first])
    slopes = [_slope(s) for s in series]
    slope_q = statistics.adjusted([p for _, _, p in slopes])
    found = []
    for at, one in enumerate(series):
        splits = _segments(one, first[at], alpha, rng) if q[at] <= alpha else []
        found.append(_trend(one, splits, slopes[at][:2], certain=slope_q[at] <= 0.05))
    return Trends(tuple(found), len(observations) - len(known), too_short)


def _all_series(rows: Sequence[Observation]) -> tuple[list[_Series], int]:
    members: dict[tuple[str, str], list[int]] = {}
    for index, row in enumerate(rows):
        members.setdefault((OVERALL, ""), []).append(index)
        members.setdefault((TASK_TYPE, row.task_type), []).append(index)
        if row.strategy:
            members.setdefault((STRATEGY, row.strategy), []).append(index)
        for agent in dict.fromkeys(row.agents):
            members.setdefault((AGENT, agent), []).append(index)
    enough = {key: some for key, some in members.items() if len(some) >= SERIES_ROWS_MIN}
    order = sorted(enough, key=lambda key: (-len(enough[key]), key))[:SERIES_MAX]
    found = [_series(rows, key, enough[key][-SERIES_ROWS_MAX:]) for key in sorted(order)]
    return found, len(members) - len(found)


def _series(rows: Sequence[Observation], key: tuple[str, str], indices: list[int]) -> _Series:
    kind, name = key
    mine = [rows[i] for i in indices]
    rewards = expected.rewards_of(mine)
    groups = statistics.numbered([_mix(kind, row) for row in mine])
    values = statistics.demeaned(rewards[:, None], groups, MIX_STRENGTH)[:, 0] + rewards.mean()
    tasks = statistics.numbered([row.task or row.outcome_id for row in mine])
    return _Series(kind, name, mine, values, tasks)


def _mix(kind: str, row: Observation) -> tuple[str | None, str | None]:
    """Return what the rows of a series are compared within: what the series does not fix."""
    strategy = None if kind == STRATEGY else row.strategy
    return strategy, None if kind == TASK_TYPE else row.task_type


def _points(series: _Series, start: int, end: int) -> tuple[Floats, Floats, Integers]:
    """Return mean, weight and end of each run of rows of one task: they vary together."""
    tasks, values = series.tasks[start:end], series.values[start:end]
    starts = np.flatnonzero(np.r_[True, tasks[1:] != tasks[:-1]])
    weights = np.diff(np.r_[starts, len(tasks)]).astype(np.float64)
    return np.add.reduceat(values, starts) / weights, weights, np.r_[starts[1:], len(tasks)]


def _largest(series: _Series, start: int, end: int, rng: np.random.Generator) -> tuple[float, int]:
    """Return the p-value of the largest split of these rows, and the row that it is before.

    The statistic is the largest |Z| of a difference of means over all splits with at least 15
    rows on either side. Its tail is 4 φ(b) / b + φ(b) (b − 1/b) ln((1 − e)² / e²), e the share
    of the shortest side; permutations of the tasks guard against skew, where that is too small.

    Source:
        Miller and Siegmund 1982, "Maximally selected chi square statistics".
    """
    values, weights, ends = _points(series, start, end)
    count = int(weights.sum())
    good = (ends >= SEGMENT_MIN) & (ends <= count - SEGMENT_MIN)
    good[-1] = False
    if not good.any():
        return 1.0, start
    centred = values - np.average(values, weights=weights)
    z = _splits(centred[None, :], weights[None, :], good)[0]
    best = int(np.argmax(z))
    b, share = float(z[best]), SEGMENT_MIN / count
    if b < 1.5:
        return 1.0, start
    density = math.exp(-b * b / 2) / math.sqrt(2 * math.pi)
    tail = 4 * density / b + density * (b - 1 / b) * 2 * math.log((1 - share) / share)
    p = min(1.0, tail)
    if p <= 0.1:
        p = max(p, _shuffled(centred, weights, b, rng))
    return p, start + int(ends[np.flatnonzero(good)[best]])


def _splits(values: Floats, weights: Floats, good: Masks) -> Floats:
    """Return |Z| of each allowed split of each series, (n_series, n_splits)."""
    parts = values * weights
    variance = (parts**2).sum(axis=1, keepdims=True)
    total = weights.sum(axis=1, keepdims=True)
    before = np.cumsum(weights, axis=1)[:, good] / total
    sums = np.cumsum(parts, axis=1)[:, good]
    spread = np.sqrt(np.maximum(variance * before * (1 - before), 1e-12))
    return np.asarray(np.abs(sums) / spread, dtype=np.float64)


def _shuffled(centred: Floats, weights: Floats, b: float, rng: np.random.Generator) -> float:
    """Return the share of permutations with a split as large, 0 if none of them has."""
    count, exceeded, done = len(centred), 0, 0
    ends = np.cumsum(weights)
    while done < SHUFFLES:
        some = min(SHUFFLES - done, max(1, SHUFFLE_CELLS // count))
        order = rng.permuted(np.tile(np.arange(count), (some, 1)), axis=1)
        low = np.searchsorted(ends, SEGMENT_MIN)
        high = np.searchsorted(ends, ends[-1] - SEGMENT_MIN, side="right")
        good = np.zeros(count, dtype=np.bool_)
        good[low : max(high, low + 1)] = True
        good[-1] = False
        if good.any():
            z = _splits(centred[order], weights[order], good)
            exceeded += int((z.max(axis=1) >= b - 1e-9).sum())
        done += some
        if exceeded >= 20:
            break
    return exceeded / done


def _segments(
    series: _Series, first: tuple[float, int], alpha: float, rng: np.random.Generator
) -> list[tuple[float, int]]:
    """Return (p, row) of each change: the largest split, then the largest of either side of it.

    Source:
        Scott and Knott 1974; Vostrikova 1981, binary segmentation.
    """
    found: list[tuple[float, int]] = []
    waiting = [(0, len(series.rows), first)]
    while waiting and len(found) < CHANGES_MAX:
        start, end, (p, at) = waiting.pop(0)
        if p > alpha:
            continue
        found.append((p, at))
        for low, high in ((start, at), (at, end)):
            if high - low >= SERIES_ROWS_MIN:
                waiting.append((low, high, _largest(series, low, high, rng)))
    return sorted(found, key=lambda split: split[1])


def _slope(series: _Series) -> tuple[float, float, float]:
    """Return the change per 100 rows, half its 95 % interval, and its two-sided p."""
    order = np.argsort(series.tasks, kind="stable")
    time = (np.arange(len(order)) / 100)[order]
    values = series.values[order]
    tested = statistics.contrasts(
        (time - time.mean())[:, None], values - values.mean(), series.tasks[order]
    )
    half = tested.half_width(0, 0.95)
    return float(tested.effect[0]), half, min(1.0, 2 * tested.tails()[0])


def _trend(
    series: _Series,
    splits: list[tuple[float, int]],
    slope: tuple[float, float],
    *,
    certain: bool,
) -> Trend:
    rewards = expected.rewards_of(series.rows)
    rate, interval = statistics.clustered_rate(rewards, series.tasks)
    late = slice(max(0, len(rewards) - RECENT_ROWS), len(rewards))
    recent, recent_interval = statistics.clustered_rate(rewards[late], series.tasks[late])
    per_100, half = slope
    low, high = (per_100 - half, per_100 + half) if math.isfinite(half) else (-1.0, 1.0)
    direction = UNCLEAR
    if certain and not low <= 0 <= high:
        direction = RISING if per_100 > 0 else FALLING
    elif -STEADY_SLOPE <= low and high <= STEADY_SLOPE:
        direction = STEADY
    times = [row.at_ms for row in series.rows]
    return Trend(
        series.kind,
        series.name,
        len(series.rows),
        int(series.tasks.max()) + 1,
        rate,
        interval,
        recent,
        recent_interval,
        per_100,
        (low, high),
        direction,
        _changes(series, splits, rewards),
        tuple(row.outcome_id for row in series.rows[late][-EVIDENCE_MAX:][::-1]),
        min(times),
        max(times),
    )


def _changes(
    series: _Series, splits: list[tuple[float, int]], rewards: Floats
) -> tuple[Change, ...]:
    borders = [0, *(at for _, at in splits), len(rewards)]
    found = []
    for place, (p, at) in enumerate(splits):
        start, end = borders[place], borders[place + 2]
        before, before_interval = statistics.clustered_rate(
            rewards[start:at], series.tasks[start:at]
        )
        after, after_interval = statistics.clustered_rate(rewards[at:end], series.tasks[at:end])
        size, half = _size(series, start, at, end)
        if (after > before) != (size > 0):
            continue  # another mix of tasks, not another level
        found.append(
            Change(
                at,
                series.rows[at].at_ms,
                before,
                before_interval,
                after,
                after_interval,
                size,
                (max(-1.0, size - half), min(1.0, size + half)),
                p,
                (at - start, end - at),
                tuple(row.outcome_id for row in series.rows[at:end][:EVIDENCE_MAX]),
            )
        )
    return tuple(found)


def _size(series: _Series, start: int, at: int, end: int) -> tuple[float, float]:
    """Return the difference of the levels, and half its 95 % interval, clustered by task."""
    order = start + np.argsort(series.tasks[start:end], kind="stable")
    after = (order >= at).astype(np.float64)
    values = series.values[order]
    tested = statistics.contrasts(
        (after - after.mean())[:, None], values - values.mean(), series.tasks[order]
    )
    half = tested.half_width(0, 0.95)
    return float(tested.effect[0]), half if math.isfinite(half) else 2.0
