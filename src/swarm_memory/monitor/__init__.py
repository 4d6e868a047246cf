"""The monitor: samples of a swarm every minute, what they say of its course, and alerts.

One process of many takes each sample (see `Swarm.tick`); all of them count for it (see `meter`).
Samples are kept for a day, those of an hour as one for a month, those of a day for two years.
"""

from __future__ import annotations

import os
import shutil

from swarm_memory.checks import check_whole
from swarm_memory.errors import InvalidArgumentError
from swarm_memory.lean import NamedTuple
from swarm_memory.locate import file_of
from swarm_memory.monitor.alerts import Alert, Alerts, judge
from swarm_memory.monitor.collect import collect
from swarm_memory.monitor.facts import facts_of
from swarm_memory.monitor.rules import rules_of
from swarm_memory.monitor.sample import (
    DAY,
    HOUR,
    MINUTE,
    SPANS,
    Sample,
    merged,
    sample_of,
    tallied,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.engine import Engine, Row, Tx
    from swarm_memory.monitor.collect import Groups
    from swarm_memory.monitor.sample import Buckets
    from swarm_memory.monitor.trends import Trends
    from swarm_memory.swarm import Swarm

KEPT_S = {MINUTE: 86_400, HOUR: 31 * 86_400, DAY: 731 * 86_400}
BASELINE = 60  # samples that the newest one is compared with
OUTCOMES = 500  # whose course is looked at
SERIES_MAX = 1500
ALERTS_KEPT_S = 31 * 86_400
SWARMS_MAX = 1000


class Taken(NamedTuple):
    """A sample that was taken, and the alerts that it raised or resolved."""

    sample: Sample
    changed: list[Alert]


class Totals(NamedTuple):
    """How often each verb was called, what else was counted, and what failed; see `Sample`."""

    latencies: dict[str, Buckets]
    counts: dict[str, int]
    errors: dict[str, int]


class Monitor:
    """Takes and reads the samples of one swarm."""

    def __init__(self, swarm: Swarm, engine: Engine) -> None:
        self._swarm = swarm
        self._engine = engine
        self._context = swarm.context
        self.alerts = Alerts(engine, swarm.context)

    def take(self) -> Taken:
        """Take a sample now, keep it, and hold it against the rules of alerts.

        What others count meanwhile is in the next one. `tick` asks for one when it is due.

        Raises:
            ConfigError: A rule of the configuration is not valid.
        """
        rules = rules_of(self._context.config.alerts)
        if self._context.meter is not None:
            self._context.meter.hand_in()
        gauges, groups, outcomes = self._look()

        def write(tx: Tx) -> Taken:
            earlier = self._newest(tx, MINUTE, BASELINE)
            length_s = (tx.now_ms - earlier[0].at_ms) / 1000 if earlier else 0.0
            rows = tx.all("meter_list", swarm=self._context.swarm)
            tx.run("meter_sampled", swarm=self._context.swarm)
            sample = Sample(tx.now_ms, MINUTE, length_s, gauges, {}, groups, *tallied(rows))
            self._keep(tx, sample)
            self._roll_up(tx, MINUTE, HOUR)
            self._roll_up(tx, HOUR, DAY)
            self._prune(tx)
            facts = facts_of(sample, earlier, outcomes, self._context.config)
            return Taken(sample, judge(tx, self._context, rules, facts))

        return self._engine.write(write, durability="relaxed")

    def look(self) -> Sample:
        """Return a sample of this moment that is not kept, and tells of no calls."""
        gauges, groups, _ = self._look()
        return Sample(self._engine.now_ms, MINUTE, 0.0, gauges, {}, groups, {}, {}, {})

    def recent(self) -> Sample:
        """Return the last sample if it is at most two intervals old, else what `look` does."""
        newest = self.newest()
        oldest_ms = self._engine.now_ms - 2000 * self._context.config.monitor_interval_s
        return newest if newest is not None and newest.at_ms >= oldest_ms else self.look()

    def totals(self) -> Totals:
        """Return what was called since the store was made, as far as processes handed it in.

        This one does so now, if it has not for a while. No number of it ever falls.
        """
        meter = self._context.meter
        if meter is not None and meter.is_due:
            meter.hand_in()
        return Totals(*tallied(self._engine.all("meter_totals", swarm=self._context.swarm)))

    def newest(self) -> Sample | None:
        """Return the last sample, None before the first."""
        found = self._newest(self._engine, MINUTE, 1)
        return found[0] if found else None

    def series(
        self, span: str = MINUTE, *, since_ms: int = 0, limit: int = SERIES_MAX
    ) -> list[Sample]:
        """Return samples in the order of their time: the newest `limit` that are not older.

        Args:
            span: "minute", "hour" or "day": of what length they are.
            since_ms: Epoch milliseconds.
        """
        if span not in SPANS:
            raise InvalidArgumentError(f"span {span!r}", hint=f"give one of {', '.join(SPANS)}")
        check_whole("limit", limit, 1, SERIES_MAX)
        check_whole("since_ms", since_ms, 0, 2**53)
        found = self._newest(self._engine, span, limit)
        return [sample for sample in reversed(found) if sample.at_ms >= since_ms]

    def swarms(self) -> list[str]:
        """Return the swarms of the store in which something was called since their last sample."""
        return [row[0] for row in self._engine.all("meter_swarms")]

    def known_swarms(self, limit: int = SWARMS_MAX) -> list[str]:
        """Return swarms of the store in which anything was ever called, by name."""
        check_whole("limit", limit, 1, SWARMS_MAX)
        return sorted(row[0] for row in self._engine.all("meter_known", limit=limit))

    def trends(self) -> Trends:
        """Return how the swarm grows, what changed since yesterday, and when it is full."""
        from swarm_memory.monitor.trends import trends_of

        return trends_of(self.series(MINUTE), self.series(HOUR, limit=8 * 24), self._context.config)

    # --- looking ---

    def _look(self) -> tuple[dict[str, float], Groups, list[Row]]:
        """Return the gauges and groups of this moment, and rows of the newest outcomes."""
        disk = {name: float(size) for name, size in self._engine.usage().items()} | self._disk()
        (gauges, groups), outcomes = self._engine.read(
            lambda tx: (
                collect(tx, self._context),
                tx.all("monitor_outcomes", swarm=self._context.swarm, limit=OUTCOMES),
            )
        )
        known = {name: round(float(value), 6) for name, value in (gauges | disk).items()}
        return known, groups, outcomes

    # --- keeping ---

    def _newest(self, db: Tx | Engine, span: str, limit: int) -> list[Sample]:
        rows = db.all("sample_newest", swarm=self._context.swarm, span=span, limit=limit)
        return [sample_of(span, *row) for row in rows]

    def _keep(self, tx: Tx, sample: Sample) -> None:
        where = {"swarm": self._context.swarm, "span": sample.span, "at_ms": sample.at_ms}
        tx.run("sample_put", **where, body=sample.body())

    def _roll_up(self, tx: Tx, finer: str, span: str) -> None:
        """Keep the finer samples of each time that is over as one."""
        length_ms = 1000 * SPANS[span]
        over_ms = tx.now_ms // length_ms * length_ms
        done = tx.all("sample_newest", swarm=self._context.swarm, span=span, limit=1)
        from_ms = done[0][0] + length_ms if done else 0
        if from_ms >= over_ms:
            return
        between = {"from_ms": from_ms, "before_ms": over_ms, "limit": 2 * SERIES_MAX}
        rows: list[Row] = tx.all("sample_between", swarm=self._context.swarm, span=finer, **between)
        parts: dict[int, list[Sample]] = {}
        for row in rows:
            parts.setdefault(row[0] // length_ms * length_ms, []).append(sample_of(finer, *row))
        for begun_ms, samples in parts.items():
            self._keep(tx, merged(span, begun_ms, samples))

    def _prune(self, tx: Tx) -> None:
        swarm = self._context.swarm
        for span, kept_s in KEPT_S.items():
            tx.run("sample_prune", swarm=swarm, span=span, before_ms=tx.now_ms - 1000 * kept_s)
        tx.run("alert_prune", swarm=swarm, before_ms=tx.now_ms - 1000 * ALERTS_KEPT_S)

    def _disk(self) -> dict[str, float]:
        """Return how full the disk is on which the store lies, if that is one of this machine."""
        path = file_of(self._engine.url)
        if path is None:
            return {}
        disk = shutil.disk_usage(os.path.dirname(path))
        return {"disk_utilization": 1 - disk.free / disk.total} if disk.total else {}
