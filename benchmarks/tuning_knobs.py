"""What the knobs gain that are not tuned: each value against the default, in turns.

A figure is the median over rounds of what a value reaches in what the default reaches in the same
round; more is better everywhere. The default runs twice in each round: "noise" is the second
against the first. 1.1 is what a knob would have to gain to be worth turning.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from processes import crowd
from subjects import told, value
from swarm_memory import Put, Swarm
from swarm_memory.engine import gate, sync
from swarm_memory.testing import ManualClock

ROUNDS = 7
SECONDS = 0.6
WRITERS = 4
LIVE, EXPIRED = 100, (0, 1000, 10_000)
SWEPT = 8000

Figure = dict[str, object]
# Takes a folder and a value of the knob; returns how good it is, more is better.
Measure = Callable[[str, float], float]


def pause_before_sync(folder: str, pause_s: float) -> float:
    """Durable puts a second of four processes; whoever leads a sync waits first, for company."""
    return _writers(folder, "full", "pause", pause_s)


def run_at_gate(folder: str, run: float) -> float:
    """Unsynced puts a second of four processes, of which each goes through so often in a row."""
    return _writers(folder, "relaxed", "run", run)


def _writers(folder: str, durability: str, knob: str, setting: float) -> float:
    url = f"sqlite:///{folder}/{knob}.db"
    Swarm.open(url).close()
    jobs = ((_writer, (url, durability, knob, setting, number)) for number in range(WRITERS))
    return sum(crowd(*jobs)) / SECONDS


def _writer(url: str, durability: str, knob: str, setting: float, number: int) -> Callable:
    if knob == "run":
        gate.RUN = int(setting)
    lead = sync.CommitGroup._lead

    def late(group, mark, wanted) -> None:
        time.sleep(setting)
        lead(group, mark, wanted)

    if knob == "pause" and setting:
        sync.CommitGroup._lead = late
    swarm = Swarm.open(url, agent=f"w{number}", durability=durability)

    def go() -> int:
        count, end = 0, time.monotonic() + SECONDS
        while time.monotonic() < end:
            swarm.records.put(f"x/{number}/{count % 100}", value(count % 100))
            count += 1
        return count

    return go


def interval_of_a_watcher(folder: str, interval_s: float) -> float:
    """One in the seconds from a put to the watcher that has it."""
    seen: list[float] = []
    with _open(folder, "watch", sync_interval_s=interval_s) as swarm:
        watch, began = swarm.watch("x", timeout_s=5), threading.Event()

        def follow() -> None:
            for _ in range(20):
                began.set()
                next(watch)
                seen.append(time.perf_counter())

        thread = threading.Thread(target=follow)
        thread.start()
        began.wait()
        put = []
        for number in range(20):
            time.sleep(0.005)
            put.append(time.perf_counter())
            swarm.records.put("x/a", number)
        thread.join()
    return 1 / statistics.median(b - a for a, b in zip(put, seen, strict=True))


def rows_of_a_step(folder: str, rows: float) -> float:
    """Rows a second that a sweep looks at, of 8,000 of which a quarter has expired."""
    clock = ManualClock()
    with _open(folder, f"rows{int(rows)}", clock, sweep_rows_max=int(rows)) as swarm:
        _fill(swarm, "kept", SWEPT * 3 // 4, None)
        _fill(swarm, "gone", SWEPT // 4, 10)
        clock.advance(20)
        began = time.perf_counter()
        swarm.retention.sweep()
        return SWEPT / (time.perf_counter() - began)


def puts_beside_a_sweep(folder: str, rows: float) -> float:
    """One in the longest wait of a writer beside a sweep of 8,000 rows, a quarter expired."""
    clock, waits = ManualClock(), [0.0]
    done = threading.Event()
    with _open(folder, f"beside{int(rows)}", clock, sweep_rows_max=int(rows)) as swarm:
        _fill(swarm, "kept", SWEPT * 3 // 4, None)
        _fill(swarm, "gone", SWEPT // 4, 10)
        clock.advance(20)

        def put() -> None:
            while not done.is_set():
                began = time.perf_counter()
                swarm.records.put("y", 1)
                waits.append(time.perf_counter() - began)

        thread = threading.Thread(target=put)
        thread.start()
        swarm.retention.sweep()
        done.set()
        thread.join()
    return 1 / max(waits)


def scans_among_expired(folder: str, expired: float) -> float:
    """Scans a second of 100 records, among so many that have expired and are not swept yet."""
    clock = ManualClock()
    with _open(folder, f"scan{int(expired)}", clock, cache_bytes_max=0) as swarm:
        _fill(swarm, "x/a", int(expired), 10)
        _fill(swarm, "x/b", LIVE, None)
        clock.advance(20)
        began = time.perf_counter()
        for _ in range(30):
            swarm.records.scan("x")
        return 30 / (time.perf_counter() - began)


def length_of_a_lease(folder: str, ttl_s: float) -> float:
    """Leases a second that are taken and given back, with this time to live."""
    with _open(folder, "leases") as swarm:
        began = time.perf_counter()
        for _ in range(300):
            swarm.leases.acquire("x", ttl_s=ttl_s).release()
        return 300 / (time.perf_counter() - began)


def _open(folder: str, name: str, clock: ManualClock | None = None, **settings: float) -> Swarm:
    config = Path(folder) / f"{name}.json"
    config.write_text(json.dumps({"settings": settings}))
    url = f"sqlite:///{tempfile.mkdtemp(dir=folder)}/{name}.db"
    return Swarm.open(url, durability="relaxed", clock=clock, config_path=str(config))


def _fill(swarm: Swarm, prefix: str, count: int, ttl_s: float | None) -> None:
    for at in range(0, count, 1000):
        numbers = range(at, min(count, at + 1000))
        swarm.records.put_many(
            [Put(f"{prefix}/{number:06}", value(number % 50), ttl_s=ttl_s) for number in numbers]
        )


# What is measured, the default, and the other values.
KNOBS: dict[str, tuple[Measure, float, tuple[float, ...]]] = {
    "pause before a shared sync, s": (pause_before_sync, 0, (0.0002, 0.001)),
    "writes in a row at the gate": (run_at_gate, 32, (8, 128)),
    "sync_interval_s": (interval_of_a_watcher, 5, (0.05, 60)),
    "sweep_rows_max, the sweep itself": (rows_of_a_step, 2000, (200, 8000)),
    "sweep_rows_max, a writer beside it": (puts_beside_a_sweep, 2000, (200, 8000)),
    "time to live of a lease, s": (length_of_a_lease, 30, (5, 300)),
    "expired and not swept, of 100 live": (scans_among_expired, EXPIRED[1], (0, EXPIRED[2])),
}


def measure(name: str, rounds: int = ROUNDS) -> dict[float | str, float]:
    """Return by value the median of its ratio to the default; "noise" of the default again."""
    call, default, others = KNOBS[name]
    ratios: dict[float | str, list[float]] = {"noise": [], **{other: [] for other in others}}
    subjects: list[float | str] = ["default", "noise", *others]
    for number in range(rounds):
        found = {}
        for place in range(len(subjects)):
            subject = subjects[(number + place) % len(subjects)]
            setting = subject if isinstance(subject, (int, float)) else default
            with tempfile.TemporaryDirectory() as folder:
                found[subject] = call(folder, setting)
        for subject, each in ratios.items():
            each.append(found[subject] / found["default"])
    return {subject: statistics.median(each) for subject, each in ratios.items()}


def run(rounds: int = ROUNDS) -> list[Figure]:
    """Return the figures."""
    figures = []
    for name, (_, default, _) in KNOBS.items():
        found = measure(name, rounds)
        noise = found.pop("noise")
        shown = ", ".join(f"{setting:g}: {ratio:.2f}" for setting, ratio in found.items())
        note = f"default {default:g}; the default against itself {noise:.2f}"
        figures.append(told(name, shown, note))
    return figures


if __name__ == "__main__":
    import sys

    for knob in sys.argv[1:] or KNOBS:
        print(knob, {k: round(v, 3) for k, v in measure(knob).items()}, flush=True)
