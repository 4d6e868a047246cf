"""The monitor: samples of a swarm every minute, what they say of its course, and alerts.

One process of many takes each sample (see `Swarm.tick`); all of them count for it (see `meter`).
Samples are kept for a day, those of an hour as one for a month, those of a day for two years.
"""

from __future__ import annotations

from swarm_memory.checks import check_whole
from swarm_memory.errors import InvalidArgumentError
from swarm_memory.lean import NamedTuple
from swarm_memory.monitor.alerts import Alert, Alerts, judge
from swarm_memory.monitor.collect import BASELINE, first_in, look, newest_in, sampled
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
    from swarm_memory.engine import Engine, Tx
    from swarm_memory.monitor.delivery import Delivery
    from swarm_memory.monitor.sample import Buckets
    from swarm_memory.monitor.trends import Trends
    from swarm_memory.swarm import Swarm

KEPT_S = {MINUTE: 86_400, HOUR: 31 * 86_400, DAY: 731 * 86_400}
SERIES_MAX = 1500
MESSAGE_TYPE = "alert"
PART_MAX = 10_000  # samples that one of an hour or a day is made of
PARTS_MAX = 100  # of these made at once: more than there are hours whose minutes are kept
AHEAD_MS = 60_000  # how far clocks of several machines may lie apart
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
            ConfigError: A rule of the configuration is not valid; nothing was written.
        """
        rules = rules_of(self._context.config)
        seen = look(self._engine, self._context)
        if self._context.meter is not None:
            self._context.meter.hand_in()  # with the damage that the look met
        # Read before the others have to wait: of these only the very newest may be another by then.
        earlier = newest_in(self._engine, self._context, MINUTE, BASELINE)
        first = first_in(self._engine, self._context, self._engine.now_ms)

        def write(tx: Tx) -> Taken:
            self._prune(tx)
            newest = newest_in(tx, self._context, MINUTE, 1)
            # Two at the same moment: neither may take the place of the other.
            at_ms = max(tx.now_ms, newest[0].at_ms + 1) if newest else tx.now_ms
            rows = tx.all("meter_list", swarm=self._context.swarm)
            tx.run("meter_sampled", swarm=self._context.swarm)
            sample = sampled(seen, at_ms, newest, rows)
            self._keep(tx, sample)
            self._roll_up(tx, MINUTE, HOUR)
            self._roll_up(tx, HOUR, DAY)
            facts = facts_of(sample, earlier, first, seen.outcomes, self._context.config)
            changed = judge(tx, self._context, rules, facts)
            self._send(tx, changed)
            return Taken(sample, changed)

        return self._engine.write(write, durability="relaxed")

    def look(self) -> Sample:
        """Return a sample of this moment that is not kept, and tells of no calls."""
        seen = look(self._engine, self._context)
        return sampled(seen, self._engine.now_ms, (), ())

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
        found = newest_in(self._engine, self._context, MINUTE, 1)
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
        found = newest_in(self._engine, self._context, span, limit)
        return [sample for sample in reversed(found) if sample.at_ms >= since_ms]

    def swarms(self) -> list[str]:
        """Return the swarms of the store in which something happens, waits or is wrong."""
        return [row[0] for row in self._engine.all("monitor_swarms")]

    def known_swarms(self, limit: int = SWARMS_MAX) -> list[str]:
        """Return swarms of the store in which anything was ever called, by name."""
        check_whole("limit", limit, 1, SWARMS_MAX)
        return sorted(row[0] for row in self._engine.all("meter_known", limit=limit))

    def trends(self) -> Trends:
        """Return how the swarm grows, what changed since yesterday, and when it is full."""
        from swarm_memory.monitor.trends import trends_in

        return trends_in(self._engine, self._context)

    def delivery(self, *, logs: bool = True) -> Delivery:
        """Return what tells of the alerts that change from now on."""
        from swarm_memory.monitor.delivery import Delivery

        return Delivery(self._swarm, self._engine, logs=logs)

    def _send(self, tx: Tx, changed: list[Alert]) -> None:
        """Send alerts to the agent that wants them; they are seen if the sample is kept."""
        to = self._context.config.alert_agent
        if to and changed:
            bodies = [alert.to_dict() for alert in changed]
            self._swarm.messages.within(tx).send_many(bodies, to=to, type=MESSAGE_TYPE)

    # --- keeping ---

    def _keep(self, tx: Tx, sample: Sample) -> None:
        where = {"swarm": self._context.swarm, "span": sample.span, "at_ms": sample.at_ms}
        tx.run("sample_put", **where, body=sample.body())

    def _roll_up(self, tx: Tx, finer: str, span: str) -> None:
        """Keep the finer samples of each time that is over as one."""
        length_ms = 1000 * SPANS[span]
        over_ms = tx.now_ms // length_ms * length_ms
        done = tx.all("sample_newest", swarm=self._context.swarm, span=span, limit=1)
        from_ms = done[0][0] + length_ms if done else 0
        where = {"swarm": self._context.swarm, "span": finer}
        for _ in range(PARTS_MAX):
            first = tx.all("sample_between", **where, from_ms=from_ms, before_ms=over_ms, limit=1)
            if not first:
                return
            begun_ms = first[0][0] // length_ms * length_ms
            from_ms = begun_ms + length_ms
            rows = tx.all(
                "sample_between", **where, from_ms=begun_ms, before_ms=from_ms, limit=PART_MAX
            )
            self._keep(tx, merged(span, begun_ms, [sample_of(finer, *row) for row in rows]))

    def _prune(self, tx: Tx) -> None:
        # A sample of the future is one of a clock that was ahead: nothing would be newer for long.
        swarm, ahead_ms = self._context.swarm, tx.now_ms + AHEAD_MS
        for span, kept_s in KEPT_S.items():
            before_ms = tx.now_ms - 1000 * kept_s
            tx.run("sample_prune", swarm=swarm, span=span, before_ms=before_ms, ahead_ms=ahead_ms)
        tx.run("alert_prune", swarm=swarm, before_ms=tx.now_ms - 1000 * ALERTS_KEPT_S)
