"""A sample: the state of a swarm at one moment, and what was done since the one before."""

from __future__ import annotations

import json

from swarm_memory.lean import NamedTuple
from swarm_memory.meter import COUNTED, FAILED, duration_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from swarm_memory.engine import Row
    from swarm_memory.model import Json

    Buckets = dict[int, int]

MINUTE, HOUR, DAY = "minute", "hour", "day"
SPANS = {MINUTE: 60, HOUR: 3600, DAY: 86_400}
GROUP_MAX = 20  # agents, sessions, queues … of which a sample tells; those with most come first


class Sample(NamedTuple):
    """One sample, or those of an hour or a day as one.

    `gauges` are what was there: counts, bytes, milliseconds and ratios, by name; of several
    samples their mean, and `peaks` the highest. `groups` tell the same of parts: {"agent": {name:
    [records, bytes]}, "category": …, "session": …, "queue": {name: [messages, age_ms, lapsed_ms]},
    "lease": {name: [owner, waiting, wait_ms]}}, of several samples those of the last. What
    happened in the `length_s` seconds before: `latencies` count the calls of each verb by their
    duration (see `meter`), `counts` what has none, `errors` failed calls, by "verb!code".
    """

    at_ms: int
    span: str
    length_s: float
    gauges: dict[str, float]
    peaks: dict[str, float]
    groups: dict[str, dict[str, list[Json]]]
    latencies: dict[str, dict[int, int]]
    counts: dict[str, int]
    errors: dict[str, int]

    def calls(self, verb: str) -> int:
        """Return how often a verb was called and returned."""
        return sum(self.latencies.get(verb, {}).values())

    def percentile(self, verb: str, share: float) -> float | None:
        """Return the duration in milliseconds that a share of a verb's calls stays below."""
        return percentile(self.latencies.get(verb, {}), share)

    def body(self) -> str:
        """Return it as it is stored."""
        said = self._asdict()
        del said["at_ms"], said["span"]
        return json.dumps(said, separators=(",", ":"), ensure_ascii=False)

    def to_dict(self) -> dict[str, Json]:
        """Return the sample as every door shows it, with percentiles for buckets."""
        verbs = {
            verb: {
                "calls": sum(buckets.values()),
                "per_s": round(sum(buckets.values()) / self.length_s, 3) if self.length_s else None,
                "p50_ms": percentile(buckets, 0.5),
                "p99_ms": percentile(buckets, 0.99),
            }
            for verb, buckets in sorted(self.latencies.items())
        }
        said = self._asdict()
        del said["latencies"]
        return said | {"verbs": verbs}


def sample_of(span: str, at_ms: int, body: str) -> Sample:
    """Return a sample that was stored."""
    said = json.loads(body)
    latencies = {
        verb: {int(bucket): calls for bucket, calls in buckets.items()}
        for verb, buckets in said.pop("latencies").items()
    }
    return Sample(at_ms=at_ms, span=span, latencies=latencies, **said)


def percentile(buckets: Buckets, share: float) -> float | None:
    """Return the middle of the bucket that holds a share of all, in milliseconds; None of none."""
    left = share * sum(buckets.values())
    for bucket, calls in sorted(buckets.items()):
        left -= calls
        if left <= 0:
            return round(duration_of(bucket), 4)
    return None


def tallied(rows: Iterable[Row]) -> tuple[dict[str, Buckets], dict[str, int], dict[str, int]]:
    """Return the latencies, counts and errors that rows (verb, bucket, calls) of a meter tell."""
    latencies: dict[str, Buckets] = {}
    counts: dict[str, int] = {}
    errors: dict[str, int] = {}
    for verb, bucket, calls in rows:
        if FAILED in verb:
            errors[verb] = calls
        elif bucket == COUNTED:
            counts[verb] = calls
        else:
            latencies.setdefault(verb, {})[bucket] = calls
    return latencies, counts, errors


def merged(span: str, at_ms: int, samples: Sequence[Sample]) -> Sample:
    """Return several samples as one; there must be one at least."""
    gauges, peaks = {}, {}
    for name in sorted({name for sample in samples for name in sample.gauges}):
        known = [sample.gauges[name] for sample in samples if name in sample.gauges]
        gauges[name] = round(sum(known) / len(known), 6)
        highest = [sample.peaks.get(name, sample.gauges.get(name, 0.0)) for sample in samples]
        peaks[name] = max(highest)
    latencies: dict[str, Buckets] = {}
    for sample in samples:
        for verb, buckets in sample.latencies.items():
            _add(latencies.setdefault(verb, {}), buckets)
    counts: dict[str, int] = {}
    errors: dict[str, int] = {}
    for sample in samples:
        _add(counts, sample.counts)
        _add(errors, sample.errors)
    length_s = sum(sample.length_s for sample in samples)
    last = samples[-1]
    return Sample(at_ms, span, length_s, gauges, peaks, last.groups, latencies, counts, errors)


def _add(sums: dict[Json, int], more: dict[Json, int]) -> None:
    for name, count in more.items():
        sums[name] = sums.get(name, 0) + count
