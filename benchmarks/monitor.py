"""What monitoring costs: of a put, of a get, of a store with a million records, of a hook

On is what everybody has: calls are metered, handed in every ten seconds and sampled every minute.
Off is the same code without the wrapper that counts. Both run in one process on stores of their
own, in short blocks that take turns, so that what else the machine does meets both. The interval
is that of the median of the ratios, 95 %, by bootstrap.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from unittest import mock

from subjects import timed, told
from swarm_memory import Swarm
from swarm_memory.meter import HAND_IN_NS
from swarm_memory.records import Records

SIZE = int(os.environ.get("MONITOR_SIZE", "1000000"))
BATCH = 10_000
AGENTS = 100
PAIRS = 400  # of blocks
PUTS, DURABLE_PUTS, GETS = 50, 4, 100  # of a block
KEYS = 200
LIMIT = 1.02
TAKES = 15
TAKE_MS_MAX = 50.0
ENDS = 200
STARTS = 21
RESAMPLES = 2000
SETTINGS = {
    "SWARM_MEMORY_AGENT_BYTES_MAX": str(2**40),
    "SWARM_MEMORY_TOTAL_BYTES_MAX": str(2**40),
}

ITEM = {"task": "review", "note": "tests pass " * 30}

Figure = dict[str, object]
Call = Callable[[Records, int], object]


def run() -> list[Figure]:
    folder = tempfile.mkdtemp(prefix="bench-monitor-")
    try:
        with mock.patch.dict(os.environ, SETTINGS):
            return [*_overhead(folder), *_snapshot(folder), *_start()]
    finally:
        shutil.rmtree(folder)


# --- calls ---


class Unmetered(Records):
    """Records whose calls nobody counts."""

    put = Records.put.__wrapped__  # type: ignore[attr-defined]
    _read = Records._read.__wrapped__  # type: ignore[attr-defined]


def _overhead(folder: str) -> list[Figure]:
    figures = []
    for durability, block in (("relaxed", PUTS), ("full", DURABLE_PUTS)):
        stores = {name: _store(folder, durability, name) for name in ("on", "off")}
        on, off = stores["on"], stores["off"]
        records = {
            "on": on.records,
            "off": Unmetered(off._engine, off.context, cache=off._cache),
        }
        pairs = _pairs(records, lambda records, n: records.put(f"notes/{n % KEYS}", ITEM), block)
        what = f"put, {durability}, monitoring on against off"
        figures.append(_ratio(what, pairs, _shares(on), LIMIT))
        if durability == "relaxed":
            # A get that the cache answers is not metered: the cache counts, always.
            pairs = _pairs(records, lambda records, n: records.get(f"notes/{n % KEYS}"), GETS)
            figures.append(_ratio("get past the cache, on against off", pairs, {}, None))
        for swarm in stores.values():
            swarm.close()
    return figures


def _store(folder: str, durability: str, name: str) -> Swarm:
    with mock.patch.dict(os.environ, {"SWARM_MEMORY_CACHE_BYTES_MAX": "0"}):
        url = f"sqlite:///{folder}/{durability}-{name}.db"
        swarm = Swarm.open(url, durability=durability)
    swarm.records.put_many((f"notes/{n}", ITEM) for n in range(KEYS))
    return swarm


def _pairs(records: dict[str, Records], call: Call, block: int) -> list[tuple[float, ...]]:
    """Return the seconds of a call with monitoring and without, of blocks that took turns."""

    def seconds(name: str, number: int) -> float:
        mine = records[name]
        return timed(lambda: [call(mine, number + n) for n in range(block)], block)

    pairs = []
    for number in range(PAIRS):
        order = ("on", "off") if number % 2 else ("off", "on")
        took = {name: seconds(name, number * block) for name in order}
        pairs.append((took["on"], took["off"]))
    return pairs


def _shares(swarm: Swarm) -> dict[str, float]:
    """Return which share of a process's time handing in takes, and that of taking samples."""
    meter, record = swarm.context.meter, swarm.records

    def handed_in() -> float:
        record.put("notes/0", 1)
        for verb in range(8):  # as many verbs, over 40 buckets each
            for bucket in range(40):
                meter.begin(f"verb-{verb}").append(60 + bucket)
        return timed(meter.hand_in)

    hand_in_s = statistics.median(handed_in() for _ in range(TAKES))
    take_s = statistics.median(timed(swarm.monitor.take) for _ in range(TAKES))
    interval_s = swarm.config.monitor_interval_s
    return {"handing in": hand_in_s / (HAND_IN_NS / 1e9), "sampling": take_s / interval_s}


def _ratio(
    what: str, pairs: list[tuple[float, ...]], shares: dict[str, float], limit: float | None
) -> Figure:
    ratios = [on / off for on, off in pairs]
    extra = sum(shares.values())
    pick = random.Random(1)
    medians = sorted(
        statistics.median(pick.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES)
    )
    low, high = (medians[int(q * RESAMPLES)] + extra for q in (0.025, 0.975))
    ratio = statistics.median(ratios) + extra
    on_us, off_us = (1e6 * statistics.median(column) for column in zip(*pairs, strict=True))
    note = f"95 %: {low:.3f} to {high:.3f}; {on_us:,.1f} µs, without {off_us:,.1f} µs"
    for name, share in shares.items():
        note += f"; {name} {share:.2%}"
    return {
        "what": what,
        "value": f"{ratio:.3f} ×",
        "goal": "" if limit is None else f"≤ {limit:g} ×",
        "reached": None if limit is None else ratio <= limit,
        "note": note,
    }


# --- a large store ---


def _snapshot(folder: str) -> list[Figure]:
    url = f"sqlite:///{folder}/large.db"
    with Swarm.open(url, agent="a", swarm="s", durability="relaxed") as swarm:
        for start in range(0, SIZE, BATCH):
            swarm.records.put_many(
                (f"swarm-s/agent-{n // 100 % AGENTS:02}/knowledge/{n:07}", {"n": n, "text": "done"})
                for n in range(start, min(start + BATCH, SIZE))
            )
        taken = [1000 * timed(swarm.monitor.take) for _ in range(TAKES)]
        looked = [1000 * timed(swarm.monitor.look) for _ in range(TAKES)]
        ends = _ends(swarm)
    return [
        {
            "what": f"a snapshot of a store with {SIZE:,} records",
            "value": f"{statistics.median(taken):.1f} ms",
            "goal": f"≤ {TAKE_MS_MAX:g} ms",
            "reached": statistics.median(taken) <= TAKE_MS_MAX,
            "note": f"slowest {max(taken):.1f} ms; only looking {statistics.median(looked):.1f} ms",
        },
        told(
            "handing in three calls at the end of a process",
            f"{1e6 * statistics.median(ends):,.0f} µs",
            "which a process does only ten seconds after it began, so that of a hook does not",
        ),
    ]


def _ends(swarm: Swarm) -> list[float]:
    meter = swarm.context.meter

    def end(number: int) -> float:
        for verb in ("get", "put", "acquire"):
            meter.begin(verb).append(60 + number % 20)
        return timed(meter.hand_in)

    return [end(number) for number in range(ENDS)]


# --- the start of a process ---


def _start() -> list[Figure]:
    """Return what the import of the meter adds to what a hook imports anyway."""
    # Code is compiled once, and not at each start.
    environment = {n: v for n, v in os.environ.items() if n != "PYTHONDONTWRITEBYTECODE"}
    lines = [
        subprocess.run(
            [sys.executable, "-X", "importtime", "-c", "import swarm_memory.records"],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        ).stderr
        for _ in range(STARTS)
    ]
    own = [
        int(line.removeprefix("import time:").split("|")[0])
        for text in lines
        for line in text.splitlines()
        if line.endswith(" swarm_memory.meter")
    ]
    note = "its own code; all else that it imports is imported anyway"
    return [told("import of the meter", f"{statistics.median(own):,.0f} µs", note)]
