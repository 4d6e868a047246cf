"""Which insights still hold: each is tested again on outcomes that came after its last test.

On those alone, so that the data which made it cannot confirm it. An insight is gone when they
exclude half of what it says, and holds when they exclude nothing of that kind being there; else
it is undecided and waits for more.
"""

from __future__ import annotations

import bisect
import math

import numpy as np

from swarm_memory.lean import NamedTuple
from swarm_memory.learning import expected, facets, insights, statistics, taxonomy, trends
from swarm_memory.learning.facets import Condition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarm_memory.learning.insights import Insight
    from swarm_memory.learning.observation import Observation
    from swarm_memory.learning.statistics import Floats

HOLDS, GONE, UNDECIDED = "holds", "gone", "undecided"
ROWS_MIN = 15  # newer rows that say anything about an insight
# Looked at after every few outcomes: at 95 % one in six true insights would be dropped in a while.
GONE_LEVEL = 0.99
HOLDS_LEVEL = 0.95
STRENGTH = 2.0
RECENT_PART = 3  # the newest third of the log may contradict the whole
UNDECIDED_ROWS_MAX = 2000


class Measured(NamedTuple):
    """What an insight says, measured anew on `rows` rows, and half its interval by level."""

    value: float
    half_width: Callable[[float], float]
    rows: int


class Verdict(NamedTuple):
    """What newer outcomes say of an insight: holds, gone or undecided.

    `value` is what it says measured on `rows` newer rows, with its 95 % `interval`.
    """

    insight: Insight
    state: str
    value: float
    interval: tuple[float, float]
    rows: int


def judge(earlier: Sequence[Insight], observations: Sequence[Observation]) -> list[Verdict]:
    """Return whether each insight still holds, by the rows newer than its `confirmed_ms`."""
    return [_judge(insight, observations) for insight in earlier]


def kept(
    earlier: Sequence[Insight], fresh: Sequence[Insight], observations: Sequence[Observation]
) -> list[Insight]:
    """Return the insights to show: the fresh ones, and the earlier ones that still hold.

    What the newest third of the log contradicts is not shown, although the whole log says it. A
    fresh insight that was said before keeps the time when it was first said. An earlier one that
    newer outcomes do not decide stays for 2,000 of them, unless a fresh one speaks of the same.
    """
    times = sorted(row.at_ms for row in observations)
    latest = times[-1] if times else 0
    third = times[len(times) - 1 - len(times) // RECENT_PART] if times else 0
    before = {insight.key: insight for insight in earlier}
    shown: dict[str, Insight] = {}
    for insight in fresh:
        start = max(third, insight.facts.get("at_ms", 0))
        if _judge(insight._replace(confirmed_ms=start), observations).state != GONE:
            first = before.get(insight.key, insight).first_ms
            shown[insight.key] = insight._replace(first_ms=first)
    spoken = {_about(insight) for insight in fresh}
    for verdict in judge([i for i in earlier if _about(i) not in spoken], observations):
        insight = verdict.insight
        newer = len(times) - bisect.bisect_right(times, insight.confirmed_ms)
        if verdict.state == HOLDS:
            shown[insight.key] = insight._replace(confirmed_ms=latest)
        elif verdict.state == UNDECIDED and newer <= UNDECIDED_ROWS_MAX:
            shown[insight.key] = insight
    return list(shown.values())


def _about(insight: Insight) -> object:
    """Return what an insight speaks of: of two that speak of the same, the later counts."""
    facts = insight.facts
    if insight.kind in (insights.PATTERN, insights.WARNING):
        # Another quantile of the same number, as the log grows, is the same pattern.
        numbers = (facets.AT_MOST, facets.ABOVE)
        parts = [tuple(p[:3]) if p[2] in numbers else tuple(p) for p in facts["conditions"]]
        return insight.kind, insight.value > 0, tuple(parts)
    if insight.kind in (insights.BEST, insights.OPEN):
        return insights.BEST, facts["task_type"]
    if insight.kind in (insights.CHANGE, insights.TREND):
        return insights.CHANGE, tuple(facts["series"])
    return insight.key


def _judge(insight: Insight, observations: Sequence[Observation]) -> Verdict:
    newer = [row for row in observations if row.at_ms > insight.confirmed_ms]
    measure = _MEASURES.get(insight.kind)
    measured = measure(insight, expected.labelled(newer)) if measure else None
    if measured is None:
        return Verdict(insight, UNDECIDED, math.nan, (-1.0, 1.0), 0)
    value, half_width, rows = measured
    half, wide = half_width(HOLDS_LEVEL), half_width(GONE_LEVEL)
    state = _state(insight, value, half, wide)
    return Verdict(insight, state, value, (max(-1.0, value - half), min(1.0, value + half)), rows)


def _state(insight: Insight, value: float, half: float, wide: float) -> str:
    if insight.kind == insights.TASK_TYPE:
        return GONE if abs(value - insight.value) > wide else HOLDS
    sign = 1 if insight.value > 0 else -1
    if insight.kind == insights.OPEN:
        # One strategy leads by now, or trails for sure: it is open no longer.
        return GONE if abs(value) > wide else UNDECIDED
    said, now = abs(insight.value), sign * value
    if now + wide < said / 2:
        return GONE
    least = said / 2 if insight.kind.startswith("failure_") else 0.0
    return HOLDS if now - half > least else UNDECIDED


def _slope_of(
    indicator: Floats, rewards: Floats, rows: Sequence[Observation]
) -> tuple[float, Callable[[float], float]] | None:
    """Return the effect of the indicator among rows of one strategy and type, and its error."""
    if len(rows) < 2 or indicator.min() == indicator.max():
        return None
    order = sorted(range(len(rows)), key=lambda i: rows[i].task or rows[i].outcome_id)
    tasks = statistics.numbered([rows[i].task or rows[i].outcome_id for i in order])
    cells = statistics.numbered([(rows[i].strategy, rows[i].task_type) for i in order])
    columns = np.stack([indicator[order], rewards[order]], axis=1)
    within = statistics.demeaned(columns, cells, STRENGTH)
    test = statistics.contrasts(within[:, :1], within[:, 1], tasks)
    if not math.isfinite(float(test.error[0])):
        return None
    return float(test.effect[0]), lambda level: test.half_width(0, level)


def _pattern(insight: Insight, rows: Sequence[Observation]) -> Measured | None:
    conditions = [Condition(*parts) for parts in insight.facts["conditions"]]
    inside = np.array(
        [all(facets.holds(c, row) for c in conditions) for row in rows], dtype=np.float64
    )
    if inside.sum() < ROWS_MIN:
        return None
    sources = {condition.source for condition in conditions}
    if sources <= {facets.STRATEGY, facets.TASK_TYPE}:  # no cell of itself
        rows = [
            row._replace(
                strategy=None if facets.STRATEGY in sources else row.strategy,
                task_type="" if facets.TASK_TYPE in sources else row.task_type,
            )
            for row in rows
        ]
    found = _slope_of(inside, expected.rewards_of(rows), rows)
    return None if found is None else Measured(*found, int(inside.sum()))


def _level(values: Floats, rows: Sequence[Observation], centre: float) -> Measured:
    """Return mean − centre of the values, and its error clustered by task."""
    tasks = statistics.numbered([row.task or row.outcome_id for row in rows])
    mean, (low, high) = statistics.clustered_rate(values, tasks)
    half = max(mean - low, high - mean) / statistics.student_quantile(0.975, 1e6)
    return Measured(
        mean - centre,
        lambda level: half * statistics.student_quantile((1 + level) / 2, 1e6),
        len(rows),
    )


def _in_series(series: Sequence[str], rows: Sequence[Observation]) -> list[Observation]:
    kind, name = series
    return [
        row
        for row in rows
        if kind == trends.OVERALL
        or (kind == trends.STRATEGY and row.strategy == name)
        or (kind == trends.TASK_TYPE and row.task_type == name)
        or (kind == trends.AGENT and name in row.agents)
    ]


def _change(insight: Insight, rows: Sequence[Observation]) -> Measured | None:
    """Measure how far the series is still from where it was before the change."""
    mine = _in_series(insight.facts["series"], rows)
    if len(mine) < ROWS_MIN:
        return None
    return _level(expected.rewards_of(mine), mine, insight.facts["figures"]["before"])


def _trend(insight: Insight, rows: Sequence[Observation]) -> Measured | None:
    mine = _in_series(insight.facts["series"], rows)
    if len(mine) < 2 * ROWS_MIN:
        return None
    found = _slope_of(np.arange(len(mine)) / 100.0, expected.rewards_of(mine), mine)
    return None if found is None else Measured(*found, len(mine))


def _share(insight: Insight, rows: Sequence[Observation]) -> Measured | None:
    kind, name = insight.facts["failure"]
    failed = [row for row in rows if row.status in taxonomy.FAILURES]
    named = [(taxonomy.name_of(kind, row), row) for row in failed]
    known = [(other, row) for other, row in named if other is not None]
    if len(known) < ROWS_MIN:
        return None
    values = np.array([other == name for other, _ in known], dtype=np.float64)
    return _level(values, [row for _, row in known], 0.0)


def _together(insight: Insight, rows: Sequence[Observation]) -> Measured | None:
    (kind, one), (other, two) = insight.facts["pair"]
    failed = [row for row in rows if row.status in taxonomy.FAILURES]
    named = [(taxonomy.name_of(kind, row), taxonomy.name_of(other, row), row) for row in failed]
    known = [triple for triple in named if triple[0] is not None and triple[1] is not None]
    x = np.array([first == one for first, _, _ in known], dtype=np.float64)
    if x.sum() < ROWS_MIN / 3:
        return None
    y = np.array([second == two for _, second, _ in known], dtype=np.float64)
    alike = [row._replace(strategy=None, task_type="") for _, _, row in known]
    found = _slope_of(x, y, alike)
    return None if found is None else Measured(*found, len(known))


def _strategies(insight: Insight, rows: Sequence[Observation]) -> Measured | None:
    mine = [row for row in rows if row.task_type == insight.facts["task_type"]]
    name = insight.facts["strategy"]
    compared = insights.compare(mine)
    if compared is None:
        return None
    if name is None or name == compared.best:
        other, best = compared.rates[1][0], compared.best
    elif name in [rate[0] for rate in compared.rates]:
        other, best = compared.best, name
    else:
        return None
    pair = [row for row in mine if row.strategy in (best, other)]
    leading = np.array([row.strategy == best for row in pair], dtype=np.float64)
    alike = [row._replace(strategy=None) for row in pair]
    found = _slope_of(leading, expected.rewards_of(pair), alike)
    return None if found is None else Measured(*found, len(pair))


def _task_type(insight: Insight, rows: Sequence[Observation]) -> Measured | None:
    mine = [row for row in rows if row.task_type == insight.facts["task_type"]]
    return _level(expected.rewards_of(mine), mine, 0.0) if len(mine) >= ROWS_MIN else None


_MEASURES = {
    insights.PATTERN: _pattern,
    insights.WARNING: _pattern,
    insights.CHANGE: _change,
    insights.TREND: _trend,
    insights.FAILURE_CLASS: _share,
    insights.FAILURE_AGENT: _share,
    insights.FAILURE_STEP: _share,
    insights.TOGETHER: _together,
    insights.BEST: _strategies,
    insights.OPEN: _strategies,
    insights.TASK_TYPE: _task_type,
}
