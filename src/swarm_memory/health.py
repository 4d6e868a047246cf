"""Health: what the swarm holds against its limits, and what to do about it."""

from __future__ import annotations

from swarm_memory.reports import HealthReport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from swarm_memory.context import Context
    from swarm_memory.engine import Engine, Row
    from swarm_memory.model import Json
    from swarm_memory.monitor.alerts import Alert

HEALTHY, WARNING, CRITICAL = "healthy", "warning", "critical"


class Health:
    """Reads one swarm's counters and judges them by the rules of alerts; writes nothing."""

    def __init__(self, engine: Engine, context: Context) -> None:
        self._engine = engine
        self._context = context

    def report(
        self, more: dict[str, Json] | None = None, agent: dict[str, Json] | None = None
    ) -> HealthReport:
        """Return the health of the swarm's memory.

        Issues are the alerts that there would be if a sample was taken now (see `monitor`), so
        one that is over is none, and no sample has to have been taken.

        `more` are metrics of other services, `agent` what they know of the one who asks.
        """
        from swarm_memory.monitor.live import standing
        from swarm_memory.monitor.trends import trends_in

        rows = self._engine.all("usage_list", swarm=self._context.swarm)
        metrics = self._metrics(rows, self._engine.usage()) | (more or {})
        alerts = standing(self._engine, self._context)
        trends = trends_in(self._engine, self._context)
        info = self._agent_info(rows) | (agent or {})
        return HealthReport(*_judged(alerts), metrics, info, trends.to_dict())

    def near_limits(self, now_ms: int) -> HealthReport:
        """Return what usage and the size of the file alone tell, for who only looks into a file."""
        from swarm_memory.monitor.live import near_limits

        rows = self._engine.all("usage_list", swarm=self._context.swarm)
        disk = self._engine.usage()
        alerts = near_limits(rows, disk, self._context, now_ms)
        return HealthReport(*_judged(alerts), self._metrics(rows, disk), self._agent_info(rows))

    def _metrics(self, rows: list[Row], disk: dict[str, int]) -> dict[str, Any]:
        memory = [row for row in rows if not row[2]]
        used = sum(row[4] for row in memory)
        categories: dict[str, dict[str, int]] = {}
        for _, category, _, records, size in rows:
            known = categories.setdefault(category, {"records": 0, "bytes": 0})
            known["records"] += records
            known["bytes"] += size
        file_bytes = disk["file_bytes"]
        return {
            "records": sum(row[3] for row in memory),
            "telemetry": sum(row[3] for row in rows if row[2]),
            "bytes": used,
            "limit_bytes": self._context.config.total_bytes_max,
            "memory_utilization": used / self._context.config.total_bytes_max,
            "fragmentation_level": disk["free_bytes"] / file_bytes if file_bytes else 0.0,
            "file_bytes": file_bytes,
            "wal_bytes": disk["wal_bytes"],
            "categories": categories,
            "agents": {r[0]: r[4] for r in _by_scope(memory) if r[0].startswith("agent-")},
            "sessions": {r[0]: r[4] for r in _by_scope(memory) if r[0].startswith("session-")},
        }

    def _agent_info(self, rows: list[Row]) -> dict[str, Json]:
        scope = f"agent-{self._context.agent}"
        own = [row for row in rows if row[0] == scope]
        return {
            "agent_name": self._context.agent,
            "swarm_id": self._context.swarm,
            "records": sum(row[3] for row in own),
            "bytes": sum(row[4] for row in own),
            "limit_bytes": self._context.config.agent_bytes_max,
        }


def _by_scope(rows: list[Row]) -> list[tuple[str, str, int, int, int]]:
    sums: dict[str, list[int]] = {}
    for scope, _, _, records, size in rows:
        known = sums.setdefault(scope, [0, 0])
        known[0] += records
        known[1] += size
    return [(scope, "", 0, records, size) for scope, (records, size) in sums.items()]


def _judged(alerts: list[Alert]) -> tuple[str, list[str], list[str]]:
    """Return the overall health, the issues, and what to do about them, each once."""
    severities = {alert.severity for alert in alerts}
    overall = CRITICAL if CRITICAL in severities else WARNING if severities else HEALTHY
    advice = dict.fromkeys(alert.advice for alert in alerts)
    return overall, [alert.text for alert in alerts], list(advice)
