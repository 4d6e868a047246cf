"""Condition: whether the swarm is well, what its alerts say, and how it went lately."""

from __future__ import annotations

from swarm_memory.monitor.alerts import RESOLVED
from swarm_memory.monitor.sample import percentile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.engine import Engine
    from swarm_memory.model import Json
    from swarm_memory.monitor.sample import Sample
    from swarm_memory.swarm import Swarm

SAMPLES = 180
RESOLVED_SHOWN = 20


def look(swarm: Swarm, engine: Engine) -> dict[str, Json]:
    """Return the health `report`, `alerts` (open ones, then those that were over last), `trends`,
    the last `sample` (None before the first), and `course`: of each of the last samples, in order,
    [epoch ms, calls a second, p50 of writes in ms, p99 of them, bytes, messages that wait].
    """
    monitor = swarm.monitor
    samples = monitor.series(limit=SAMPLES)
    return {
        "now_ms": engine.now_ms,
        "report": swarm.health.report().to_dict(),
        "alerts": [alert.to_dict() for alert in monitor.alerts.list()],
        "resolved": [a.to_dict() for a in monitor.alerts.list(RESOLVED, limit=RESOLVED_SHOWN)],
        "trends": monitor.trends().to_dict(),
        "sample": samples[-1].to_dict() if samples else None,
        "course": [_point(sample) for sample in samples],
    }


def _point(sample: Sample) -> list[float | None]:
    calls = sum(sum(buckets.values()) for buckets in sample.latencies.values())
    writes: dict[int, int] = {}
    for verb in ("put", "put_many"):
        for bucket, count in sample.latencies.get(verb, {}).items():
            writes[bucket] = writes.get(bucket, 0) + count
    return [
        sample.at_ms,
        round(calls / sample.length_s, 3) if sample.length_s else None,
        percentile(writes, 0.5),
        percentile(writes, 0.99),
        sample.gauges["bytes"],
        sample.gauges["messages_ready"],
    ]
