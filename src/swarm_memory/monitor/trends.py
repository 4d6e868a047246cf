"""Trends: how a swarm grows, when it is full, and what is different from yesterday."""

from __future__ import annotations

from itertools import combinations
from statistics import median

from swarm_memory.lean import NamedTuple
from swarm_memory.monitor.collect import newest_in
from swarm_memory.monitor.sample import HOUR, MINUTE, merged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarm_memory.config import Config
    from swarm_memory.context import Context
    from swarm_memory.engine import Reader
    from swarm_memory.model import Json
    from swarm_memory.monitor.sample import Sample

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
POINTS_MIN = 3
MINUTES, HOURS = 240, 8 * 24  # samples that are looked at
WORTH_TELLING = 0.2  # of what it was
COUNTS = {
    "records": "records",
    "bytes": "bytes",
    "messages_ready": "messages that wait",
    "messages_dead": "dead messages",
    "conflicts_parked": "conflicts to settle",
    "leases_waiting": "waiting for leases",
    "outcomes": "outcomes",
}


class Trends(NamedTuple):
    """The course of a swarm.

    `bytes_per_day` is its growth (None where fewer than three samples tell), `days_left` when it
    is full if that goes on (None if it does not grow); `changes` are sentences about what differs
    from the time a day before, `since_ms` is the first sample that any of it rests on.
    """

    bytes_per_day: float | None
    days_left: float | None
    changes: list[str]
    since_ms: int | None

    def to_dict(self) -> dict[str, Json]:
        """Return it as every door shows it."""
        return self._asdict()


def trends_in(db: Reader, context: Context) -> Trends:
    """Return the trends of a swarm by the samples that are kept of it."""
    minutes = newest_in(db, context, MINUTE, MINUTES)
    hours = newest_in(db, context, HOUR, HOURS)
    return trends_of(minutes[::-1], hours[::-1], context.config)


def trends_of(minutes: Sequence[Sample], hours: Sequence[Sample], config: Config) -> Trends:
    """Return the trends that samples of minutes and hours tell, each in the order of their time."""
    known = [*hours, *minutes[-1:]] if len(hours) >= POINTS_MIN else [*minutes]
    growth = slope([(sample.at_ms, sample.gauges["bytes"]) for sample in known])
    left = None
    if minutes and growth is not None and growth > 0:
        left = max(0.0, (config.total_bytes_max - minutes[-1].gauges["bytes"]) / growth)
    since_ms = known[0].at_ms if known else None
    return Trends(growth, left, _changes(minutes, hours), since_ms)


def slope(points: Sequence[tuple[int, float]]) -> float | None:
    """Return the growth a day: the median of the slopes between all pairs, None of fewer than 3.

    Args:
        points: Of (epoch milliseconds, value), in their order.

    Source:
        Theil 1950; Sen 1968.
    """
    if len(points) < POINTS_MIN:
        return None
    step = max(1, len(points) // 100)  # pairs grow with the square
    some = [*points[::step], points[-1]]
    slopes = [(b - a) / (to - at) for (at, a), (to, b) in combinations(some, 2) if to > at]
    return median(slopes) * DAY_MS if slopes else None


def _changes(minutes: Sequence[Sample], hours: Sequence[Sample]) -> list[str]:
    """Return what differs between the last hour and the one a day before."""
    if not minutes:
        return []
    now_ms = minutes[-1].at_ms
    last = [sample for sample in minutes if sample.at_ms > now_ms - HOUR_MS]
    before = [s for s in hours if s.at_ms <= now_ms - DAY_MS < s.at_ms + 2 * HOUR_MS]
    if not before:
        return []
    now, then = merged("hour", now_ms, last), before[-1]
    told = []
    for name, what in COUNTS.items():
        was, is_ = then.gauges.get(name, 0.0), minutes[-1].gauges.get(name, 0.0)
        if abs(is_ - was) > WORTH_TELLING * max(was, 1.0):
            told.append(f"{is_:,.0f} {what}, {was:,.0f} a day ago")
    for verb in sorted(now.latencies):
        was_ms, is_ms = then.percentile(verb, 0.5), now.percentile(verb, 0.5)
        if was_ms and is_ms and not 0.5 < is_ms / was_ms < 2:
            told.append(f"{verb} takes {is_ms:.3g} ms, {was_ms:.3g} ms a day ago")
    return told
