"""Metrics: what samples, totals and alerts say, as the families that other people's tools take.

A family is what Prometheus means by it: a name, a unit and points that differ by their labels. What
a label says is bounded: swarms as many as are asked for, of agents, queues and categories those of
which a sample tells (see `GROUP_MAX`), of verbs and error codes what there is. Sessions and leases
are no labels: there is a new one every few minutes, and Prometheus keeps each for good.
"""

from __future__ import annotations

from swarm_memory.lean import NamedTuple
from swarm_memory.meter import COUNTED, FAILED, HITS, MISSES, duration_of
from swarm_memory.monitor.facts import BACKUP_FAILED, BACKUP_MADE
from swarm_memory.monitor.sample import MINUTE, Sample

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from swarm_memory.monitor import Monitor, Totals
    from swarm_memory.monitor.sample import Buckets

    Labels = tuple[str, ...]
    Value = float | tuple[list[int], float]

GAUGE, COUNTER, HISTOGRAM = "gauge", "counter", "histogram"
SECONDS, BYTES, RATIO = "seconds", "bytes", "ratio"
OK = "ok"  # the code of calls that returned
# Upper bounds of the histogram: each the end of an octave of nanoseconds, at which the meter's
# buckets end too, so no call is counted on the wrong side. From 16 µs to 17 s.
OCTAVES = range(14, 35)
BOUNDS_S = tuple(2.0**octave / 1e9 for octave in OCTAVES)
# How a sample's gauges are called, their unit, and what they are; others go by their own name.
GAUGES = {
    "records": ("records", "", "Records, those of telemetry left out."),
    "telemetry": ("telemetry_records", "", "Records of telemetry."),
    "bytes": ("used", BYTES, "Bytes of keys and values, of which total_bytes_max allows so many."),
    "memory_utilization": ("utilization", RATIO, "Share of total_bytes_max that is used."),
    "leases_held": ("leases_held", "", "Leases that somebody has."),
    "leases_waiting": ("lease_waiters", "", "Those who wait for a lease."),
    "lease_wait_ms": ("lease_wait", SECONDS, "How long the first of those who wait has waited."),
    "message_age_ms": (
        "message_age",
        SECONDS,
        "Age of the oldest message that is ready to be taken.",
    ),
    "conflicts_parked": ("conflicts_parked", "", "Conflicts that wait for somebody."),
    "sessions_active": ("sessions_active", "", "Sessions that are active."),
    "agents_running": ("agents_running", "", "Agents that run in active sessions."),
    "outcomes": ("outcomes", "", "Outcomes that are learned from."),
    "label_coverage": ("label_coverage", RATIO, "Share of outcomes whose end is known."),
    "compression_ratio": ("compression", RATIO, "Stored size of values by their plain size."),
    "file_bytes": ("file", BYTES, "Size of the store that the swarm is in, its log left out."),
    "free_bytes": ("file_free", BYTES, "Free space in the file of that store."),
    "wal_bytes": ("wal", BYTES, "Size of the log of that store."),
    "disk_free_bytes": ("disk_free", BYTES, "How much of the disk of that store is free."),
    "disk_utilization": ("disk_utilization", RATIO, "How full the disk of that store is."),
}
SUFFIXES = {"_ms": (SECONDS, 1e-3), "_bytes": (BYTES, 1.0), "_utilization": (RATIO, 1.0)}
OTHER = "A gauge of the newest sample."
STATES = "messages_"  # and a state: gauges that are one family
LEFT_OUT = frozenset({"event_seq", "page_bytes"})  # a counter; a constant
GROUPS = ("agent", "category")
# What has no duration, of which family it is, and by which labels.
COUNTS: dict[str, tuple[str, str, dict[str, str]]] = {
    what: (name, text, {"result": result})
    for name, text, results in (
        ("cache_reads", "Reads that found a record in a process's cache, or did not.",
         {HITS: "hit", MISSES: "miss"}),
        ("backups", "Backups that were due, by whether they were made.",
         {BACKUP_MADE: "made", BACKUP_FAILED: "failed"}),
    )
    for what, result in results.items()
}  # fmt: skip
OTHER_COUNT = "What was counted and has no name of its own."


class Family(NamedTuple):
    """One metric: `points` are its values by those of its labels.

    A histogram's value is (the number of calls up to each of `BOUNDS_S` and of all, the sum of
    their seconds). `unit` is "seconds", "bytes", "ratio" or nothing and no part of the name.
    """

    name: str
    kind: str
    unit: str
    text: str
    labels: Labels
    points: dict[Labels, Value]


def families_of(swarms: Iterable[tuple[str, Monitor]]) -> list[Family]:
    """Return the metrics of swarms, each by its name and its monitor.

    Gauges are at most two intervals of sampling old. Counters are those of the store: which
    process is asked makes no difference.
    """
    made = _Made()
    for swarm, monitor in swarms:
        made.sampled(swarm, monitor.recent())
        made.counted(swarm, monitor.totals())
        newest = monitor.newest()
        if newest is not None:
            made.taken(swarm, newest.at_ms)
        for alert in monitor.alerts.list():
            made.raised(swarm, alert.rule, alert.severity, alert.state)
    return list(made.families.values())


def catalogue() -> list[Family]:
    """Return all families that there may be, without points."""
    from swarm_memory.monitor import Totals

    groups: dict[str, dict[str, list[Any]]] = {group: {"": [0, 0]} for group in GROUPS}
    gauges = dict.fromkeys([*GAUGES, f"{STATES}ready", "event_seq"], 0.0)
    groups["queue"] = {"": [0, 0, 0]}
    made = _Made()
    made.sampled("", Sample(0, MINUTE, 0.0, gauges, {}, groups, {}, {}, {}))
    made.counted("", Totals({"": {COUNTED: 0}}, dict.fromkeys([*COUNTS, ""], 0), {}))
    made.taken("", 0)
    made.raised("", "", "", "")
    return [family._replace(points={}) for family in made.families.values()]


class _Made:
    """Families as they are put together."""

    def __init__(self) -> None:
        self.families: dict[tuple[str, str], Family] = {}

    def sampled(self, swarm: str, sample: Sample) -> None:
        """Add what a sample says of the moment."""
        for gauge, value in sample.gauges.items():
            if gauge.startswith(STATES):
                state = gauge.removeprefix(STATES)
                self.add("messages", value, "Messages, by state.", swarm=swarm, state=state)
            elif gauge not in LEFT_OUT:
                name, unit, factor, text = _named(gauge)
                self.add(name, value * factor, text, unit, swarm=swarm)
        for group in GROUPS:
            for of, (records, size) in sample.groups.get(group, {}).items():
                self.add(f"{group}_records", records, _of(group), swarm=swarm, **{group: of})
                self.add(f"{group}_used", size, _of(group), BYTES, swarm=swarm, **{group: of})
        for queue, (size, age_ms, lapsed_ms) in sample.groups.get("queue", {}).items():
            about = {"swarm": swarm, "queue": queue}
            self.add("queue_messages", size, "Messages in the longest queues.", **about)
            text = "Age of the oldest message in one of the longest queues."
            self.add("queue_age", age_ms / 1000, text, SECONDS, **about)
            text = "How long a message lies that a consumer took and let lapse; 0 if none does."
            self.add("queue_lapsed", lapsed_ms / 1000, text, SECONDS, **about)
        if "event_seq" in sample.gauges:
            text = "Changes that were logged in the store that the swarm is in."
            self.add("changes", sample.gauges["event_seq"], text, kind=COUNTER, swarm=swarm)

    def counted(self, swarm: str, totals: Totals) -> None:
        """Add what was called since the store was made."""
        text = "Calls, by verb and by the code of their error, ok for those that returned."
        for verb, buckets in totals.latencies.items():
            about = {"swarm": swarm, "verb": verb}
            self.add("calls", sum(buckets.values()), text, kind=COUNTER, **about, code=OK)
            self._family(
                "call_duration", HISTOGRAM, SECONDS, "How long calls took that returned.", about
            )[tuple(about.values())] = _histogram(buckets)
        for failed, calls in totals.errors.items():
            verb, _, code = failed.partition(FAILED)
            self.add("calls", calls, text, kind=COUNTER, swarm=swarm, verb=verb, code=code)
        for what, count in totals.counts.items():
            name, text, about = COUNTS.get(what, ("occurrences", OTHER_COUNT, {"what": what}))
            self.add(name, count, text, kind=COUNTER, swarm=swarm, **about)

    def taken(self, swarm: str, at_ms: int) -> None:
        """Add when the newest sample was taken."""
        text = "When the newest sample was taken."
        self.add("sample_timestamp", at_ms / 1000, text, SECONDS, swarm=swarm)

    def raised(self, swarm: str, rule: str, severity: str, state: str) -> None:
        """Add an alert."""
        about = {"rule": rule, "severity": severity, "state": state}
        self.add("alerts", 1, "Alerts that are not over.", swarm=swarm, **about)

    def add(
        self,
        name: str,
        value: float,
        text: str,
        unit: str = "",
        *,
        kind: str = GAUGE,
        **about: str,
    ) -> None:
        """Add to a point of a family."""
        points: Any = self._family(name, kind, unit, text, about)
        point = tuple(about.values())
        points[point] = points.get(point, 0) + value

    def _family(
        self, name: str, kind: str, unit: str, text: str, about: dict[str, str]
    ) -> dict[Labels, Value]:
        new = Family(name, kind, unit, text, tuple(about), {})
        return self.families.setdefault((name, unit), new).points


def _named(gauge: str) -> tuple[str, str, float, str]:
    """Return the name, the unit, the factor to get there and the text of a sample's gauge."""
    if gauge in GAUGES:
        name, unit, text = GAUGES[gauge]
        return name, unit, 1e-3 if gauge.endswith("_ms") else 1.0, text
    for suffix, (unit, factor) in SUFFIXES.items():
        if gauge.endswith(suffix):
            return gauge.removesuffix(suffix), unit, factor, OTHER
    return gauge, "", 1.0, OTHER


def _of(group: str) -> str:
    return f"By {group}, of those with most."


def _histogram(buckets: Buckets) -> tuple[list[int], float]:
    """Return how many calls took up to each of `BOUNDS_S`, how many there are, and their seconds.

    The sum is that of the middles of the buckets, so it is right to within an eighth.
    """
    upto = [sum(n for b, n in buckets.items() if b >> 2 <= octave) for octave in OCTAVES]
    seconds = sum(duration_of(bucket) * calls for bucket, calls in buckets.items()) / 1000
    return [*upto, sum(buckets.values())], seconds
