"""Findings: what the last outcomes of a swarm say, as insights and as a report."""

from __future__ import annotations

import json

from swarm_memory.lean import NamedTuple
from swarm_memory.reports import Insight

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from swarm_memory.learning.insights import Insight as Found
    from swarm_memory.learning.observation import Observation
    from swarm_memory.learning.report import LearningReport
    from swarm_memory.reports import Choice

    Json = Any

OBSERVATIONS_MAX = 10_000  # that findings are made from
SEED = 1  # the same log says the same
FAILURES_SHOWN = 10
BY_MODEL = "model"  # the policy that takes what the model thinks best


def find(observations: Sequence[Observation], earlier: Sequence[Found] = ()) -> list[Found]:
    """Return what the outcomes say, the most telling first.

    `earlier` is what was said before: what newer outcomes contradict is left out, and what was
    said before keeps its date.
    """
    from swarm_memory.learning import ageing, insights
    from swarm_memory.learning.patterns import mine
    from swarm_memory.learning.taxonomy import taxonomy
    from swarm_memory.learning.trends import trends

    fresh = insights.insights(
        observations,
        mined=mine(observations, seed=SEED),
        found=trends(observations, seed=SEED),
        failures=taxonomy(observations),
    )
    return ageing.kept(earlier, fresh, observations)


def dump(found: Sequence[Found]) -> bytes:
    """Return insights as they are kept."""
    return json.dumps([one._asdict() for one in found]).encode()


def load(state: bytes) -> list[Found]:
    """Return insights that were kept."""
    from swarm_memory.learning.insights import Insight as Found

    rows: list[dict[str, Json]] = json.loads(state)
    return [
        Found(
            **row | {"outcome_ids": tuple(row["outcome_ids"]), "interval": tuple(row["interval"])}
        )
        for row in rows
    ]


def insight_of(found: Found) -> Insight:
    """Return an insight as every door shows it."""
    return Insight(
        found.kind,
        found.text,
        found.support,
        found.interval,
        found.facts,
        found.action,
        list(found.outcome_ids),
        found.first_ms,
        found.confirmed_ms,
    )


def learning_report(
    observations: Sequence[Observation],
    waiting: Sequence[Choice],
    *,
    outcomes: int,
) -> LearningReport:
    """Return the report on a log of which `observations` are the last of so many `outcomes`."""
    from swarm_memory.learning.patterns import mine
    from swarm_memory.learning.report import build_report
    from swarm_memory.learning.taxonomy import AGENT, CLASS, STEP, taxonomy
    from swarm_memory.learning.trends import trends

    recent = observations[-OBSERVATIONS_MAX:]
    mined = mine(recent, seed=SEED)
    shifts = trends(recent, seed=SEED).changes
    failures = [one for one in taxonomy(recent).shares if one.kind in (CLASS, AGENT, STEP)]
    return build_report(
        observations,
        seed=SEED,
        outcomes=outcomes,
        patterns=[
            {
                "text": one.text,
                "support": one.rows,
                "effect": one.effect,
                "interval": one.interval,
            }
            for one in mined.patterns
        ],
        shifts=[
            {
                "text": f"{trend.name or 'all outcomes'} changed by {change.size:+.0%}",
                "at_ms": change.at_ms,
                "before": change.before,
                "after": change.after,
            }
            for trend, change in shifts
        ],
        failures=[
            {
                "text": f"{one.kind} {one.name}: {one.share:.0%} of the failures",
                "support": one.failures,
                "interval": one.interval,
            }
            for one in failures[:FAILURES_SHOWN]
        ],
        waiting=[
            {
                "decision": one.choice_id,
                "task": one.task_type,
                "strategy": one.strategy,
                "at_ms": one.at_ms,
            }
            for one in waiting
        ],
        waiting_count=len(waiting),
    )


class Judgement(NamedTuple):
    """What the log says of a policy: an estimate (mean, low, high), or the reason for none.

    `what` names it, `lines` say what the estimate rests on, `detail` is all of it as JSON.
    """

    what: str
    estimate: tuple[float, float, float] | None
    reason: str
    lines: list[str]
    detail: Json


def judge(
    observations: Sequence[Observation],
    policy: str | Mapping[str, str],
    against: str | Mapping[str, str] | None = None,
) -> Judgement:
    """Return what a policy would have reached on this log, or how much more than another.

    A policy is a strategy, a strategy for each task type, or "model" for what is best by what was
    learned.
    """
    from swarm_memory.learning import evaluate
    from swarm_memory.learning.report import plain

    if against is not None:
        two = evaluate.compare(observations, _target(policy), _target(against), seed=SEED)
        if isinstance(two, evaluate.Refusal):
            return Judgement(two.target, None, two.reason, [], plain(two))
        what = f"{two.first} against {two.second}"
        return Judgement(what, two.difference, "", list(two.warnings), plain(two))
    one = evaluate.evaluate(observations, _target(policy), seed=SEED)
    if isinstance(one, evaluate.Refusal):
        return Judgement(one.target, None, one.reason, [], plain(one))
    gain, support = one.gain, one.support
    lines = [
        f"the log itself {one.logged.mean:.3f}, gain {gain.mean:+.3f}"
        f" ({gain.low:+.3f} to {gain.high:+.3f})",
        f"{support.matching} of {support.used} outcomes match, worth {support.effective:.0f}",
    ]
    return Judgement(one.target, one.value, "", [*lines, *one.warnings], plain(one))


def _target(policy: str | Mapping[str, str]) -> Any:
    from swarm_memory.learning.evaluate import ByModel

    return ByModel() if policy == BY_MODEL else policy
