"""Collecting: what a sample says of the moment, from counters and indexes and never by a scan."""

from __future__ import annotations

import os

from swarm_memory import codec, runs
from swarm_memory.errors import CorruptValueError, DamagedError
from swarm_memory.lean import NamedTuple
from swarm_memory.locate import file_of
from swarm_memory.monitor.sample import GROUP_MAX, MINUTE, Sample, sample_of, tallied
from swarm_memory.rows import meaning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarm_memory.context import Context
    from swarm_memory.engine import Engine, Reader, Row, Tx
    from swarm_memory.model import Json

    Gauges = dict[str, float]
    Groups = dict[str, dict[str, list[Json]]]

BASELINE = 60  # samples that the newest one is compared with
OUTCOMES = 500  # whose course is looked at
DAY_MS = 86_400_000
VALUES = 32  # whose compression is measured
EVENTS_BACK = 10_000  # how far back those are looked for
SAMPLING = "sample"  # as what a meter counts the damage that a look meets


class Seen(NamedTuple):
    """What a look at a swarm found: gauges, groups and its newest outcomes."""

    gauges: dict[str, float]
    groups: dict[str, dict[str, list[Json]]]
    outcomes: list[Row]


def look(engine: Engine, context: Context) -> Seen:
    """Return the state of a swarm at this moment; nothing is written."""
    disk = {name: float(size) for name, size in engine.usage().items()} | _disk(engine.url)

    def read(tx: Tx) -> Seen:
        gauges, groups = collect(tx, context)
        outcomes = tx.all("monitor_outcomes", swarm=context.swarm, limit=OUTCOMES)
        return Seen(gauges, groups, outcomes)

    seen = engine.read(read)
    gauges = seen.gauges | disk | _values(engine, context)
    known = {name: round(float(value), 6) for name, value in gauges.items()}
    return seen._replace(gauges=known)


def sampled(seen: Seen, at_ms: int, earlier: Sequence[Sample], rows: Sequence[Row]) -> Sample:
    """Return what was seen as a sample, with the calls that the rows of a meter tell of."""
    length_s = (at_ms - earlier[0].at_ms) / 1000 if earlier else 0.0
    return Sample(at_ms, MINUTE, length_s, seen.gauges, {}, seen.groups, *tallied(rows))


def newest_in(db: Reader, context: Context, span: str, limit: int) -> list[Sample]:
    """Return the newest samples of a span, the newest first."""
    rows = db.all("sample_newest", swarm=context.swarm, span=span, limit=limit)
    return [sample_of(span, *row) for row in rows]


def first_in(db: Reader, context: Context, now_ms: int) -> Sample | None:
    """Return the oldest sample of the last day."""
    between = {"from_ms": now_ms - DAY_MS, "before_ms": now_ms, "limit": 1}
    rows = db.all("sample_between", swarm=context.swarm, span=MINUTE, **between)
    return sample_of(MINUTE, *rows[0]) if rows else None


def _disk(url: str) -> Gauges:
    """Return how full the disk is on which a store lies, if that is one of this machine."""
    path = file_of(url)
    if path is None:
        return {}
    try:
        used, free = _used_and_free(os.path.dirname(path) or os.curdir)
    except FileNotFoundError:
        return {}  # the folder was removed under us: whoever reads the store is told so
    # Of what users may have: file systems keep some back.
    return {"disk_utilization": used / max(1, used + free), "disk_free_bytes": float(free)}


def _used_and_free(folder: str) -> tuple[int, int]:
    """Return the bytes of a disk that are used, and that users may have."""
    if hasattr(os, "statvfs"):
        disk = os.statvfs(folder)
        return (disk.f_blocks - disk.f_bfree) * disk.f_frsize, disk.f_bavail * disk.f_frsize
    import shutil  # only here: with what it imports it costs a hook more than all of a sample

    usage = shutil.disk_usage(folder)
    return usage.used, usage.free


def collect(tx: Tx, context: Context) -> tuple[Gauges, Groups]:
    """Return the gauges and groups of a swarm (see `Sample`) as a transaction sees it."""
    gauges: Gauges = {}
    groups: Groups = {}
    for part in (_usage, _seats, _messages, _work, _learned):
        more, grouped = part(tx, context)
        gauges |= more
        groups |= grouped
    return gauges, groups


def _usage(tx: Tx, context: Context) -> tuple[Gauges, Groups]:
    gauges, groups = usage_of(tx.all("usage_list", swarm=context.swarm), context)
    return gauges | {"event_seq": _newest(tx)}, groups


def usage_of(rows: Sequence[Row], context: Context) -> tuple[Gauges, Groups]:
    """Return the gauges and groups that the counters of a swarm's usage tell."""
    memory = [row for row in rows if not row[2]]
    used = sum(row[4] for row in memory)
    agents, sessions = _scopes(memory, "agent-"), _scopes(memory, "session-")
    categories: dict[str, list[int]] = {}
    for _, category, _, records, size in rows:
        known = categories.setdefault(category, [0, 0])
        known[0] += records
        known[1] += size
    gauges = {
        "records": sum(row[3] for row in memory),
        "telemetry": sum(row[3] for row in rows if row[2]),
        "bytes": used,
        "memory_utilization": used / context.config.total_bytes_max,
    }
    groups = {"category": _most(categories), "agent": _most(agents), "session": _most(sessions)}
    return gauges, groups


def _scopes(rows: Sequence[Row], prefix: str) -> dict[str, list[int]]:
    sums: dict[str, list[int]] = {}
    for scope, _, _, records, size in rows:
        if scope.startswith(prefix):
            known = sums.setdefault(scope[len(prefix) :], [0, 0])
            known[0] += records
            known[1] += size
    return sums


def _most(sums: dict[str, list[int]]) -> dict[str, list[Json]]:
    named = sorted(sums.items(), key=lambda item: (-item[1][1], item[0]))
    return dict(named[:GROUP_MAX])


def _seats(tx: Tx, context: Context) -> tuple[Gauges, Groups]:
    where = {"swarm": context.swarm, "now_ms": tx.uptime_ms}
    (held,) = tx.one("monitor_held", **where) or (0,)
    rows = tx.all("monitor_seats", **where, limit=GROUP_MAX)
    leases = {
        name: [owner, waiting, max(0, tx.uptime_ms - since_ms)]
        for name, owner, waiting, since_ms in rows
    }
    gauges = {
        "leases_held": held,
        "leases_waiting": sum(row[2] for row in rows),
        "lease_wait_ms": max((wait[2] for wait in leases.values()), default=0),
    }
    return gauges, {"lease": leases}


def _messages(tx: Tx, context: Context) -> tuple[Gauges, Groups]:
    swarm, now_ms = context.swarm, tx.now_ms
    number, oldest_ms = runs.counts(tx, swarm)
    queues: dict[str, list[Json]] = {}
    where = {"swarm": swarm, "now_ms": now_ms, "limit": GROUP_MAX}
    for queue, size, sent_ms, lapsed_ms in tx.all("monitor_queues", **where):
        age_ms = 0 if sent_ms is None else max(0, now_ms - sent_ms)
        queues[queue] = [size, age_ms, 0 if lapsed_ms is None else max(1, now_ms - lapsed_ms)]
    for queue, size, sent_ms in tx.all("monitor_fresh", **where):
        if queue != runs.EVERYONE:
            known = queues.setdefault(queue, [0, 0, 0])
            known[0] += size
            known[1] = max(known[1], now_ms - sent_ms)
    gauges: Gauges = {f"messages_{state}": count for state, count in number.items()}
    gauges["message_age_ms"] = 0 if oldest_ms is None else max(0, now_ms - oldest_ms)
    return gauges, {"queue": queues}


def _work(tx: Tx, context: Context) -> tuple[Gauges, Groups]:
    names = ("conflicts_parked", "sessions_active", "agents_running")
    asked = ("monitor_conflicts", "monitor_sessions", "monitor_agents")
    gauges: Gauges = {}
    for name, statement in zip(names, asked, strict=True):
        (gauges[name],) = tx.one(statement, swarm=context.swarm) or (0,)
    return gauges, {}


def _learned(tx: Tx, context: Context) -> tuple[Gauges, Groups]:
    ended, labelled = tx.one("monitor_learned", swarm=context.swarm) or (0, 0)
    gauges = {"outcomes": ended}
    if ended:
        gauges["label_coverage"] = labelled / ended
    return gauges, {}


def _values(engine: Engine, context: Context) -> Gauges:
    """Measure how well some values are compressed that lie beside one that was written lately.

    A place that is damaged is counted as what it is and not measured: it must not keep everything
    else from being known, least of all that something is damaged.
    """
    try:
        rows = engine.read(lambda tx: _some_values(tx, context))
    except DamagedError as error:
        _met_damage(context, error.code)
        return {}
    plain = stored = 0
    for row in rows:
        try:
            format_, body = codec.unseal(row[8], meaning(context.swarm, *row[:8]))
            plain += len(context.compressor.expand(format_, body))
        except ValueError:
            _met_damage(context, CorruptValueError.code)
            continue
        stored += len(row[8])
    return {"compression_ratio": stored / plain} if plain else {}


def _some_values(tx: Tx, context: Context) -> list[Row]:
    newest = _newest(tx)
    # Another place each time; not by chance, so that nobody has to import what draws it.
    back = tx.now_ms * 2_654_435_761 % max(1, min(newest, EVENTS_BACK))
    row = tx.one("sample_key", swarm=context.swarm, seq=max(1, newest - back))
    if row is None:
        return []
    return tx.all("sample_values", swarm=context.swarm, from_key=row[0], limit=VALUES)


def _met_damage(context: Context, code: str) -> None:
    if context.meter is not None:
        context.meter.failed(SAMPLING, code)


def _newest(tx: Tx) -> int:
    row = tx.one("event_span")
    return int(row[1]) if row and row[1] else 0
