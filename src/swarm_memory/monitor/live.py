"""How a swarm stands at this moment, by the rules of alerts: what health tells between samples."""

from __future__ import annotations

from swarm_memory.monitor.alerts import PENDING, RESOLVED, known_in, outlook
from swarm_memory.monitor.collect import (
    BASELINE,
    first_in,
    look,
    newest_in,
    sampled,
    usage_of,
)
from swarm_memory.monitor.facts import facts_of, limits_of
from swarm_memory.monitor.rules import rules_of
from swarm_memory.monitor.sample import MINUTE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarm_memory.context import Context
    from swarm_memory.engine import Engine, Row
    from swarm_memory.monitor.alerts import Alert, Known
    from swarm_memory.monitor.facts import Facts

CRITICAL = "critical"


def standing(engine: Engine, context: Context) -> list[Alert]:
    """Return the alerts that there would be if a sample was taken now, the worst first.

    Nothing is written. What needs several samples in a row is told once it was raised.
    """
    seen = look(engine, context)
    earlier = newest_in(engine, context, MINUTE, BASELINE)
    now_ms = engine.now_ms
    rows = engine.all("meter_list", swarm=context.swarm)
    sample = sampled(seen, now_ms, earlier, rows)
    first = first_in(engine, context, now_ms)
    facts = facts_of(sample, earlier, first, seen.outcomes, context.config)
    return _open(known_in(engine, context), facts, context, now_ms)


def near_limits(
    usage: Sequence[Row], disk: dict[str, int], context: Context, now_ms: int
) -> list[Alert]:
    """Return the alerts that usage and the size of the file alone would raise."""
    gauges, groups = usage_of(usage, context)
    sizes = {name: float(size) for name, size in disk.items()}
    return _open({}, limits_of(gauges | sizes, groups, context.config), context, now_ms)


def _open(known: Known, facts: Facts, context: Context, now_ms: int) -> list[Alert]:
    rules = rules_of(context.config)
    patient = {rule.name for rule in rules if rule.samples > 1}
    alerts = [
        alert
        for where, alert in outlook(known, rules, facts, now_ms).items()
        if alert is not None
        and alert.state not in (PENDING, RESOLVED)
        # One look more is no sample more.
        and not (alert.rule in patient and (where not in known or known[where].state == PENDING))
    ]
    return sorted(alerts, key=lambda a: (a.severity != CRITICAL, a.raised_ms, a.rule, a.subject))
