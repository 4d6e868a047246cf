"""Facts: what rules are held against, worked out from samples: a number for each subject.

A fact of the whole swarm has the subject "".
"""

from __future__ import annotations

import math

from swarm_memory.lean import median
from swarm_memory.learning.page_hinkley import Drift, advance
from swarm_memory.meter import DAMAGE, FAILED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from swarm_memory.config import Config
    from swarm_memory.engine import Row
    from swarm_memory.model import Json
    from swarm_memory.monitor.sample import Sample

    Facts = dict[str, dict[str, float]]

# Errors that are answers: somebody was first, or nothing is there. The others are trouble.
ANSWERS = frozenset(
    {
        "invalid_key", "invalid_value", "invalid_argument", "not_found", "conflict",
        "op_id_reused", "lease_held", "lease_lost", "deadlock", "wait_timeout", "stale_receipt",
        "cursor_expired", "access_denied", "limit_exceeded", "swarm_moved",
    }
)  # fmt: skip
CALLS_MIN = 20  # of a verb in a sample; a share or a percentile of fewer says nothing
FAILED_MIN = 3  # of a verb in a sample; less may happen to anybody
BASELINE_MIN = 10  # samples with enough calls that a latency is compared with
WAITS = frozenset({"acquire", "claim"})  # how long these take is up to others
LATENCY_MS_MIN = 1.0  # of a median; what is faster keeps nobody waiting, however slow it was
SPREAD_MIN = 0.15  # of a log latency: what a quiet machine shows anyway
DAY_MS = 86_400_000
GROWTH_DAYS_MIN = 0.25  # a forecast of days does not rest on less
DISK_AMPLE_BYTES = 10 * 2**30  # what leaves so much free is not full, whatever its share
FILE_LOOSE_BYTES_MIN = 2**20
BACKUP_MADE, BACKUP_FAILED = "backup.made", "backup.failed"  # as the meter counts them
# Of these a subject is missing when there is nothing of it any more.
GONE_IS_OVER = frozenset(
    {"lease_wait", "lapsed_messages_ms", "agent_utilization", "session_utilization"}
)


def facts_of(
    sample: Sample,
    earlier: Sequence[Sample],
    first: Sample | None,
    outcomes: Sequence[Row],
    config: Config,
) -> Facts:
    """Return all facts of a swarm.

    Args:
        earlier: The samples before it, the newest first.
        first: The oldest sample of the last day, from which its growth is reckoned.
        outcomes: Rows (task type, strategy, reward), the newest first.
    """
    facts = limits_of(sample.gauges, sample.groups, config)
    groups = sample.groups
    patience_ms = 1000 * max(1.0, config.lock_timeout_s)
    facts["lease_wait"] = {n: row[2] / patience_ms for n, row in groups["lease"].items()}
    facts["lapsed_messages_ms"] = {n: row[2] for n, row in groups["queue"].items()}
    facts["error_ratio"] = _error_ratios(sample)
    facts["damage"] = {"": float(sum(_of(sample, DAMAGE).values()))}
    facts["backup_failed"] = {"": _backup_failed([sample, *earlier])}
    facts["latency_shift"] = _shifts(sample, earlier)
    facts["strategy_drop"] = drops(outcomes)
    facts["days_left"] = _days_left(sample, first, config)
    return facts


def limits_of(
    gauges: dict[str, float], groups: dict[str, dict[str, list[Json]]], config: Config
) -> Facts:
    """Return the facts that a swarm's usage and its disk alone tell."""
    facts: Facts = {name: {"": value} for name, value in gauges.items()}
    agents = {name: row[1] / config.agent_bytes_max for name, row in groups["agent"].items()}
    sessions = {name: row[1] / config.session_bytes_max for name, row in groups["session"].items()}
    facts["agent_utilization"], facts["session_utilization"] = agents, sessions
    file_bytes, free_bytes = gauges.get("file_bytes", 0.0), gauges.get("free_bytes", 0.0)
    loose = free_bytes > FILE_LOOSE_BYTES_MIN and file_bytes
    facts["file_free"] = {"": free_bytes / file_bytes if loose else 0.0}
    if "disk_utilization" in gauges:
        ample = gauges["disk_free_bytes"] > DISK_AMPLE_BYTES
        facts["disk_pressure"] = {"": 0.0 if ample else gauges["disk_utilization"]}
    return facts


def _of(sample: Sample, codes: frozenset[str]) -> dict[str, int]:
    return {n: c for n, c in sample.errors.items() if n.partition(FAILED)[2] in codes}


def _backup_failed(newest_first: Sequence[Sample]) -> float:
    """Return 1 if the last backup that was tried was not made."""
    for sample in newest_first:
        if sample.counts.get(BACKUP_MADE):
            return 0.0
        if sample.counts.get(BACKUP_FAILED):
            return 1.0
    return 0.0


def _error_ratios(sample: Sample) -> dict[str, float]:
    """Return which share of a verb's calls failed that should not, for those with enough calls.

    One or two that fail are none: of twenty calls they would be a tenth.
    """
    failed: dict[str, int] = {}
    for name, count in sample.errors.items():
        verb, _, code = name.partition(FAILED)
        if code not in ANSWERS:
            failed[verb] = failed.get(verb, 0) + count
    ratios = {}
    for verb in {*sample.latencies, *failed}:
        count = failed.get(verb, 0)
        calls = sample.calls(verb) + count
        if calls >= CALLS_MIN:
            ratios[verb] = count / calls if count >= FAILED_MIN else 0.0
    return ratios


def _shifts(sample: Sample, earlier: Sequence[Sample]) -> dict[str, float]:
    """Return for each verb how many times its usual median its calls took, where that is news.

    The logarithm of a sample's median is compared with those before it: 1 where it lies within six
    of their robust standard deviations (1.4826 × the median absolute deviation).
    """
    shifts = {}
    for verb in sample.latencies:
        now_ms = sample.percentile(verb, 0.5)
        if verb in WAITS or sample.calls(verb) < CALLS_MIN or now_ms is None:
            continue
        enough = [one for one in earlier if one.calls(verb) >= CALLS_MIN]
        if len(enough) < BASELINE_MIN:
            continue
        before = [math.log(one.percentile(verb, 0.5) or now_ms) for one in enough]
        usual = median(before)
        spread = max(1.4826 * median([abs(x - usual) for x in before]), SPREAD_MIN)
        score = (math.log(now_ms) - usual) / spread
        news = score > 6 and now_ms >= LATENCY_MS_MIN
        shifts[verb] = now_ms / math.exp(usual) if news else 1.0
    return shifts


def drops(outcomes: Iterable[Row]) -> dict[str, float]:
    """Return by how much the mean reward of a strategy has fallen, where that is no chance.

    Each strategy's outcomes go through a Page-Hinkley test (see `learning.page_hinkley`); what
    counts is the last alarm, if it was a fall and what came since is no better.
    """
    rewards: dict[str, list[float]] = {}
    for task_type, strategy, reward in outcomes:
        rewards.setdefault(f"{strategy} of {task_type}", []).append(reward)
    found = {}
    for name, newest_first in rewards.items():
        state, last = Drift(), None
        for reward in reversed(newest_first):
            state, alarm = advance(state, reward)
            last = alarm or last
        fallen = 0.0 if last is None else last.before - max(last.after, state.mean)
        found[name] = max(0.0, fallen)
    return found


def _days_left(sample: Sample, first: Sample | None, config: Config) -> dict[str, float]:
    """Return in how many days the swarm is full if it grows as it did since the first sample."""
    days = (sample.at_ms - first.at_ms) / DAY_MS if first else 0.0
    if first is None or days < GROWTH_DAYS_MIN:
        return {}
    grown = sample.gauges["bytes"] - first.gauges["bytes"]
    left = (config.total_bytes_max - sample.gauges["bytes"]) * days
    return {"": max(0.0, left / grown) if grown > 0 else math.inf}
