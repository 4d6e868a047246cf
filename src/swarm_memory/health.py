"""Health: what the swarm holds against its limits, and what to do about it."""

from __future__ import annotations

from swarm_memory.reports import HealthReport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from swarm_memory.context import Context
    from swarm_memory.engine import Engine, Row
    from swarm_memory.model import Json

FRAGMENTATION_WARN = 0.3
WAL_BYTES_WARN = 256 * 1024 * 1024
HEALTHY, WARNING, CRITICAL = "healthy", "warning", "critical"


class Health:
    """Reads one swarm's counters and judges them; writes nothing."""

    def __init__(self, engine: Engine, context: Context) -> None:
        self._engine = engine
        self._context = context

    def report(
        self, more: dict[str, Json] | None = None, agent: dict[str, Json] | None = None
    ) -> HealthReport:
        """Return the health of the swarm's memory.

        `more` are metrics of other services, `agent` what they know of the one who asks.
        """
        rows = self._engine.all("usage_list", swarm=self._context.swarm)
        disk = self._engine.usage()
        metrics = self._metrics(rows, disk) | (more or {})
        judge = _Judge()
        self._judge_limits(judge, rows, metrics)
        _judge_disk(judge, disk, metrics)
        _judge_messages(judge, metrics)
        info = self._agent_info(rows) | (agent or {})
        return HealthReport(judge.overall, judge.issues, judge.recommendations, metrics, info)

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

    def _judge_limits(self, judge: _Judge, rows: list[Row], metrics: dict[str, Any]) -> None:
        config = self._context.config
        used = [("the swarm", metrics["bytes"], config.total_bytes_max)]
        for name, size in metrics["agents"].items():
            used.append((name, size, config.agent_bytes_max))
        for name, size in metrics["sessions"].items():
            used.append((name, size, config.session_bytes_max))
        for name, size, limit in used:
            ratio = size / limit
            if ratio < config.warn_ratio:
                continue
            level = CRITICAL if ratio >= config.clean_ratio else WARNING
            judge.add(
                level,
                f"{name} uses {ratio:.0%} of its {_bytes(limit)}",
                f"delete what {name} no longer needs, or raise the limit in the configuration",
            )

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


class _Judge:
    def __init__(self) -> None:
        self.overall = HEALTHY
        self.issues: list[str] = []
        self.recommendations: list[str] = []

    def add(self, level: str, issue: str, recommendation: str) -> None:
        self.issues.append(issue)
        if recommendation not in self.recommendations:
            self.recommendations.append(recommendation)
        if self.overall != CRITICAL:
            self.overall = level


def _judge_disk(judge: _Judge, disk: dict[str, int], metrics: dict[str, Any]) -> None:
    if metrics["fragmentation_level"] > FRAGMENTATION_WARN and disk["free_bytes"] > 2**20:
        judge.add(
            WARNING,
            f"{metrics['fragmentation_level']:.0%} of the file is free space",
            "give it back: swarm-memory optimize, or optimize_memory(auto_apply=True)",
        )
    if disk["wal_bytes"] > WAL_BYTES_WARN:
        judge.add(
            WARNING,
            f"the write-ahead log has grown to {_bytes(disk['wal_bytes'])}",
            "look for a process that keeps a read open, and end it",
        )


def _judge_messages(judge: _Judge, metrics: dict[str, Any]) -> None:
    if dead := metrics.get("messages_dead"):
        judge.add(
            WARNING,
            f"{dead} messages failed every attempt",
            "look at them with messages.dead(), then revive or forget them",
        )


def _bytes(size: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} GiB"
