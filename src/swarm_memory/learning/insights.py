"""Insights: sentences that a person acts on, each with its evidence.

They are made of what the other parts have confirmed, and of the strategies that are best by a
test; `ageing` tells which of them still hold.
"""

from __future__ import annotations

import datetime

import numpy as np

from swarm_memory.lean import NamedTuple
from swarm_memory.learning import expected, facets, patterns, statistics, taxonomy, trends

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from swarm_memory.learning.facets import Condition
    from swarm_memory.learning.observation import Observation

    Json = Any

PATTERN, WARNING, CHANGE, TREND = "pattern", "early_warning", "change", "trend"
FAILURE_CLASS, FAILURE_AGENT, FAILURE_STEP = "failure_class", "failure_agent", "failure_step"
TOGETHER = "failures_together"
BEST, OPEN, TASK_TYPE = "best_strategy", "open", "task_type"
KINDS = (
    *(PATTERN, WARNING, CHANGE, TREND, BEST, FAILURE_CLASS, FAILURE_AGENT, FAILURE_STEP),
    *(TOGETHER, OPEN, TASK_TYPE),
)
TRIALS_MIN = 5
FAILURES_MIN, FAILED_TASKS_MIN = 5, 3
CLASS_SHARE_MIN, STEP_SHARE_MIN = 0.1, 0.2
BEST_ALPHA = 0.05
EVIDENCE_MAX = 20
TYPES_MAX = 200
_CURES = {
    "timeout": "Give such tasks more time, or split them.",
    "permission": "Grant the permission beforehand, or tell the agents what they may not do.",
    "not found": "Tell the agents the paths and names that exist before they start.",
    "missing dependency": "Install what is missing before the work starts.",
    "network": "Check the connection, and retry with a pause.",
    "rate limit": "Run fewer agents at once, or retry with a longer pause.",
    "out of memory": "Run fewer at once, or give the work more memory.",
    "disk full": "Free disk space before the next run.",
    "conflict": "Do not give tasks that touch the same files to several agents at once.",
    "syntax": "Let the agents run a syntax check before they finish.",
    "type": "Let the agents run the type checker before they finish.",
    "lint": "Let the agents run the formatter and the linter before they finish.",
    "assertion": "Let the agents run the tests before they finish.",
}


class Insight(NamedTuple):
    """A sentence about outcomes and what to do about it.

    `outcome_ids` show it, `support` rows of `tasks` are behind it. `value` is the size of what is
    said, with its 95 % `interval`: an effect in [-1, 1], a difference or a share. `first_ms` is
    when it was first said, `confirmed_ms` the newest outcome that it was last tested on. `facts`
    are JSON values, enough to test it again.
    """

    kind: str
    text: str
    action: str
    outcome_ids: tuple[str, ...]
    support: int
    tasks: int
    value: float
    interval: tuple[float, float]
    first_ms: int
    confirmed_ms: int
    facts: dict[str, Json]

    @property
    def key(self) -> str:
        """Return what makes two insights the same one, said at different times."""
        about = [f"{name}={self.facts[name]}" for name in sorted(self.facts) if name != "figures"]
        return " ".join([self.kind, *about])


def insights(
    observations: Sequence[Observation],
    *,
    mined: patterns.Mined | None = None,
    found: trends.Trends | None = None,
    failures: taxonomy.Taxonomy | None = None,
) -> list[Insight]:
    """Return what the outcomes say, the most telling first.

    Args:
        observations: The rows that the others were made of.
        mined: Of `patterns.mine`; no patterns without it.
        found: Of `trends.trends`; no changes without it.
        failures: Of `taxonomy.taxonomy`; no failures without it.
    """
    now_ms = max((row.at_ms for row in observations), default=0)
    made = [_of_pattern(pattern, now_ms) for pattern in (mined.patterns if mined else ())]
    for trend in found.series if found else ():
        made += _of_trend(trend, now_ms)
    if failures:
        made += _of_failures(failures, observations, now_ms)
    made += _of_strategies(expected.labelled(observations), now_ms)
    return sorted(made, key=lambda one: (_place(one), -abs(one.value) * one.support, one.text))


def _place(insight: Insight) -> int:
    """Return 0 for what to act on, 1 for failures, 2 for the state of things."""
    if insight.kind in (OPEN, TASK_TYPE):
        return 2
    return int(insight.kind.startswith("failure"))


def date_of(at_ms: int) -> str:
    """Return a time as a person reads it, "2026-03-01 14:05 UTC"."""
    start = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    try:
        moment = start + datetime.timedelta(milliseconds=at_ms)
    except OverflowError:
        return f"{at_ms} ms"
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _of_pattern(pattern: patterns.Pattern, now_ms: int) -> Insight:
    warning = pattern.kind == patterns.WARNING
    return Insight(
        WARNING if warning else PATTERN,
        pattern.text,
        _advice(pattern, warning=warning),
        pattern.outcome_ids,
        pattern.rows,
        pattern.tasks,
        pattern.effect,
        pattern.interval,
        now_ms,
        now_ms,
        {"conditions": [list(condition) for condition in pattern.conditions]},
    )


def _advice(pattern: patterns.Pattern, *, warning: bool) -> str:
    bad = pattern.effect < 0
    clause = patterns.when(pattern.conditions)
    if warning:
        then = "stop and look before going on" if bad else "let it go on"
        return f"When {clause}, {then}: {pattern.rate:.0%} of such runs end well."
    strategies = _values(pattern.conditions, facets.STRATEGY)
    agents = _values(pattern.conditions, facets.AGENT)
    rest = [c for c in pattern.conditions if c.source not in (facets.STRATEGY, facets.AGENT)]
    tail = f" when {patterns.when(rest)}" if rest else ""
    if strategies:
        verb = "Choose another strategy than" if bad else "Prefer the strategy"
        return f"{verb} {strategies[0]}{_with(agents)}{tail}."
    if agents:
        verb = "Do not give tasks to" if bad else "Give tasks to"
        both = " together" if len(agents) > 1 else ""
        return f"{verb} {' and '.join(agents)}{both}{tail}."
    if bad:
        return f"Split or check such tasks more when {clause}: {pattern.rate:.0%} end well."
    return f"Such tasks need less care: when {clause}, {pattern.rate:.0%} end well."


def _values(conditions: Sequence[Condition], source: str) -> list[str]:
    return [str(c.value) for c in conditions if c.source == source]


def _with(agents: Sequence[str]) -> str:
    return f" with {' and '.join(agents)}" if agents else ""


def _series_name(kind: str, name: str) -> str:
    nouns = {trends.STRATEGY: "strategy", trends.AGENT: "agent", trends.TASK_TYPE: "task type"}
    return f"{nouns[kind]} {name}" if kind in nouns else "the whole swarm"


def _of_trend(trend: trends.Trend, now_ms: int) -> list[Insight]:
    name = _series_name(trend.kind, trend.name)
    made = []
    if trend.changes:
        made.append(_of_change(trend, trend.changes[-1], now_ms))
    elif trend.direction in (trends.RISING, trends.FALLING):
        verb = "rises" if trend.direction == trends.RISING else "falls"
        action = "Find out why, before it is normal." if verb == "falls" else "Use it more."
        made.append(
            Insight(
                TREND,
                f"Success of {name} {verb} by {abs(trend.slope) * 100:.0f} points in 100 outcomes "
                f"(95 % interval {_points(trend.slope_interval)}; the last 50: "
                f"{trend.recent:.0%}).",
                action,
                trend.outcome_ids,
                trend.rows,
                trend.tasks,
                trend.slope,
                trend.slope_interval,
                now_ms,
                now_ms,
                {"series": [trend.kind, trend.name], "direction": trend.direction},
            )
        )
    return made


def _of_change(trend: trends.Trend, change: trends.Change, now_ms: int) -> Insight:
    name = _series_name(trend.kind, trend.name)
    date = date_of(change.at_ms)
    worse = change.size < 0
    action = f"Look at what changed around {date}"
    if worse and trend.kind in (trends.STRATEGY, trends.AGENT):
        action += f", and prefer others to {trend.name} until it recovers"
    return Insight(
        CHANGE,
        f"Since {date} {name} does {'worse' if worse else 'better'}: from {change.before:.0%} to "
        f"{change.after:.0%} ({change.rows[0]} and {change.rows[1]} outcomes; difference "
        f"{_points(change.interval)} points).",
        action + ".",
        change.outcome_ids,
        sum(change.rows),
        trend.tasks,
        change.size,
        change.interval,
        now_ms,
        now_ms,
        {
            "series": [trend.kind, trend.name],
            "at_ms": change.at_ms,
            "figures": {"before": change.before, "after": change.after},
        },
    )


def _points(interval: tuple[float, float]) -> str:
    return f"{100 * interval[0]:.0f} to {100 * interval[1]:.0f}"


def _of_failures(
    failures: taxonomy.Taxonomy, rows: Sequence[Observation], now_ms: int
) -> list[Insight]:
    made = []
    for share in failures.shares:
        if share.failures < FAILURES_MIN or share.tasks < FAILED_TASKS_MIN:
            continue
        text, action = _told(share, rows)
        if text:
            facts = {"failure": [share.kind, share.name]}
            made.append(_of_share(share, text, action, facts, now_ms))
    for pair in failures.together:
        one, other = (f"{kind} {name}" for kind, name in (pair.one, pair.other))
        made.append(
            Insight(
                TOGETHER,
                f"Failures of {one} are more often of {other}: {pair.share:.0%} against "
                f"{pair.elsewhere:.0%} of the others ({pair.failures} failures).",
                f"Look at {one} together with {other} first.",
                pair.outcome_ids,
                pair.failures,
                len(pair.outcome_ids),
                pair.share - pair.elsewhere,
                pair.interval,
                now_ms,
                now_ms,
                {"pair": [list(pair.one), list(pair.other)]},
            )
        )
    return made


def _of_share(
    share: taxonomy.Share, text: str, action: str, facts: dict[str, Json], now_ms: int
) -> Insight:
    kinds = {taxonomy.CLASS: FAILURE_CLASS, taxonomy.AGENT: FAILURE_AGENT}
    return Insight(
        kinds.get(share.kind, FAILURE_STEP),
        text,
        action,
        share.outcome_ids,
        share.failures,
        share.tasks,
        share.share,
        share.interval,
        now_ms,
        now_ms,
        facts,
    )


def _told(share: taxonomy.Share, rows: Sequence[Observation]) -> tuple[str, str]:
    """Return the sentence and the action of a share of failures, "" if it says nothing."""
    low, name = share.interval[0], share.name
    figures = f"95 % interval {_points(share.interval)} %, {share.failures} failures"
    if share.kind == taxonomy.CLASS and name != taxonomy.OTHER and low >= CLASS_SHARE_MIN:
        text = f"{share.share:.0%} of the failures are of the class {name} ({figures})."
        return text, _CURES.get(name, f"Look at the failures of the class {name} together.")
    if share.kind == taxonomy.AGENT:
        part = participation(name, rows)
        if low > part:
            text = (
                f"{share.share:.0%} of the failures begin with {name}, which takes part in "
                f"{part:.0%} of the work of those tasks ({figures})."
            )
            return text, f"Have the work of {name} checked, or give it to another."
    if share.kind == taxonomy.STEP and low >= STEP_SHARE_MIN:
        text = f"{share.share:.0%} of the failures begin at step {name} ({figures})."
        return text, f"Check the result of step {name} before going on."
    return "", ""


def participation(agent: str, rows: Sequence[Observation]) -> float:
    """Return an agent's part in the failures whose culprit is known: 1/n of each with n agents."""
    shares = []
    blamed = set()
    for row in rows:
        if row.failed_agent and row.status in taxonomy.FAILURES:
            blamed.add(row.failed_agent)
            agents = dict.fromkeys((*row.agents, row.failed_agent))
            shares.append(1 / len(agents) if agent in agents else 0.0)
    alone = 1 / len(blamed) if blamed else 1.0
    return sum(shares) / len(shares) if any(row.agents for row in rows) and shares else alone


def _of_strategies(rows: Sequence[Observation], now_ms: int) -> list[Insight]:
    by_type: dict[str, list[Observation]] = {}
    for row in rows:
        by_type.setdefault(row.task_type, []).append(row)
    enough = {kind: some for kind, some in by_type.items() if len(some) >= TRIALS_MIN}
    ranked = sorted(enough, key=lambda kind: (-len(enough[kind]), kind))[:TYPES_MAX]
    compared = {kind: compare(enough[kind]) for kind in ranked}
    tested = [kind for kind in ranked if compared[kind] is not None]
    q = statistics.adjusted([compared[kind].p for kind in tested])  # type: ignore[union-attr]
    stands = {kind for kind, value in zip(tested, q, strict=True) if value <= BEST_ALPHA}
    made = []
    for kind in ranked:
        made.append(_of_type(kind, enough[kind], now_ms))
        comparison = compared[kind]
        if comparison is not None:
            made.append(_of_comparison(kind, comparison, now_ms, certain=kind in stands))
    return made


class Comparison(NamedTuple):
    """The leading strategy of a task type against the closest of the others.

    `p` is that of its being no better than every other one, `lead` its advantage over the next
    with its 95 % `interval`; `rates` are (strategy, mean reward, rows), best first.
    """

    best: str
    p: float
    lead: float
    interval: tuple[float, float]
    rates: tuple[tuple[str, float, int], ...]
    tasks: int
    outcome_ids: tuple[str, ...]


def compare(rows: Sequence[Observation]) -> Comparison | None:
    """Return how the strategies of one task type compare; None if fewer than two were tried.

    The leader is best if it is better than every other one, each tested at the full level since
    all have to be rejected; twice, for it was not named beforehand. Only strategies with at least
    five rows take part.

    Source:
        Berger 1982, intersection-union tests.
    """
    counts: dict[str, list[float]] = {}
    for row in rows:
        if row.strategy and row.reward is not None:
            counts.setdefault(row.strategy, []).append(row.reward)
    tried = {name: some for name, some in counts.items() if len(some) >= TRIALS_MIN}
    if len(tried) < 2:
        return None
    rates = sorted(
        ((name, sum(some) / len(some), len(some)) for name, some in tried.items()),
        key=lambda rate: (-rate[1], rate[0]),
    )
    best = rates[0][0]
    tests = [_difference(rows, best, name) for name, _, _ in rates[1:]]
    p, lead, half = max(tests)
    mine = [row for row in rows if row.strategy == best]
    newest = sorted(mine, key=lambda row: (-row.at_ms, row.outcome_id))[:EVIDENCE_MAX]
    return Comparison(
        best,
        min(1.0, 2 * p),
        lead,
        (max(-1.0, lead - half), min(1.0, lead + half)),
        tuple(rates),
        len({row.task or row.outcome_id for row in rows}),
        tuple(row.outcome_id for row in newest),
    )


def _difference(rows: Sequence[Observation], best: str, other: str) -> tuple[float, float, float]:
    """Return one-sided p, difference and half its interval of two strategies."""
    both = sorted(
        (row for row in rows if row.strategy in (best, other)),
        key=lambda row: row.task or row.outcome_id,
    )
    tasks = statistics.numbered([row.task or row.outcome_id for row in both])
    x = np.array([row.strategy == best for row in both], dtype=np.float64)
    y = expected.rewards_of(both)
    test = statistics.contrasts((x - x.mean())[:, None], y - y.mean(), tasks)
    half = test.half_width(0, 0.95)
    return test.tails([1])[0], float(test.effect[0]), min(half, 2.0)


def _of_comparison(task_type: str, found: Comparison, now_ms: int, *, certain: bool) -> Insight:
    rates = ", ".join(f"{name} {rate:.0%} of {rows}" for name, rate, rows in found.rates[:5])
    if certain:
        text = f"{task_type}: {found.best} works best ({rates})."
        action = f"Use {found.best} for {task_type}."
    else:
        text = f"{task_type}: no strategy stands out yet ({rates})."
        action = f"Keep trying several strategies for {task_type}."
    return Insight(
        BEST if certain else OPEN,
        text,
        action,
        found.outcome_ids,
        sum(rows for _, _, rows in found.rates),
        found.tasks,
        found.lead,
        found.interval,
        now_ms,
        now_ms,
        {"task_type": task_type, "strategy": found.best if certain else None},
    )


def _of_type(task_type: str, rows: Sequence[Observation], now_ms: int) -> Insight:
    rewards = expected.rewards_of(rows)
    tasks = statistics.numbered([row.task or row.outcome_id for row in rows])
    rate, interval = statistics.clustered_rate(rewards, tasks)
    durations = [row.duration_s for row in rows if row.duration_s is not None]
    seconds = f", {sum(durations) / len(durations):.3g} s each" if durations else ""
    newest = sorted(rows, key=lambda row: (-row.at_ms, row.outcome_id))[:EVIDENCE_MAX]
    return Insight(
        TASK_TYPE,
        f"{task_type}: {rate:.0%} of {len(rows)} outcomes succeeded{seconds}.",
        "",
        tuple(row.outcome_id for row in newest),
        len(rows),
        int(tasks.max()) + 1,
        rate,
        interval,
        now_ms,
        now_ms,
        {"task_type": task_type},
    )
