"""What auto-tuning gains: three workloads, by the defaults and by what the tuner made of them.

Each workload is a list of operations that is played again and again: recorded ones where the data
are there (see `recorded`), else those that are made here from seeds. First the tuner works on a
store of its own until it has no more trial to make: a window plays the list twice or for two
seconds, and stands for the minute that it would be in operation. What it set is then compared
with the defaults on the same store, in turns: the figure is the median over rounds of the ratio of
operations a second. A round is many short blocks, of which every second begins with the other
side, so both sides meet what the machine does beside them; processor time of the thread is
measured, and the time on the clock beside it. A third side is by the defaults, too: what it
differs by is noise. Nothing in here says which value is the better one.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from pathlib import Path

import recorded
from subjects import at_least, value
from swarm_memory import Put, Swarm
from swarm_memory.testing import ManualClock
from swarm_memory.tuned import CACHE

ROUNDS = 11
WINDOWS_MAX = 60  # of the tuner's
PLAYS_A_WINDOW = 2  # at least: the cache is empty after each switch
BUSY_S = 2.0  # and for so long: of what takes less than 1 % of a minute the tuner tries nothing
BLOCKS = 6  # that each side plays in a round, a part of the list each
MINUTE_S = 60
PLAIN, SAME, TUNED = range(3)  # the sides that are compared


def read_heavy() -> tuple[list[tuple], list[tuple]]:
    """8,000 values of 1 KB, 20,000 reads of uneven popularity: more than the cache holds."""
    pick = random.Random(1)
    keys = [f"agent/notes/{number}" for number in range(8000)]
    weights = [1 / (place + 10) ** 0.8 for place in range(len(keys))]
    reads = [("get", key) for key in pick.choices(keys, weights, k=20_000)]
    return [("put", key, value(number)) for number, key in enumerate(keys)], reads


def bursts() -> tuple[list[tuple], list[tuple]]:
    """Bursts of small writes by four agents, with a pause of reads between."""
    pick = random.Random(2)
    fill = [("put", f"agent-{n % 4}/state/{n}", {"n": n}) for n in range(400)]
    played = []
    for burst in range(24):
        for number in range(40):
            key = f"agent-{burst % 4}/state/{pick.randrange(400)}"
            played.append(("put", key, {"percent": number, "step": pick.choice("abc")}))
        played += [("get", f"agent-{n % 4}/state/{pick.randrange(400)}") for n in range(20)]
    return fill, played


def large() -> tuple[list[tuple], list[tuple]]:
    """300 reports of 30 KB that repeat themselves, read in the order of agents' turns."""
    pick = random.Random(3)
    fill = []
    for number in range(300):
        rows = [
            {
                "file": f"src/part_{pick.randrange(40)}.py",
                "status": pick.choice(["passed", "failed", "skipped"]),
                "duration_ms": pick.randrange(9999),
                "message": "expected value did not match actual value",
                "agent": f"agent-{pick.randrange(8)}",
            }
            for _ in range(200)
        ]
        fill.append(("put", f"agent/reports/{number}", {"run": number, "results": rows}))
    recent = [("get", f"agent/reports/{pick.randrange(300)}") for _ in range(1200)]
    return fill, recent


WORKLOADS = {"read_heavy": read_heavy, "bursts": bursts, "large": large}


def play(swarm: Swarm, operations: list[tuple]) -> float:
    """Play a list of operations; return operations a second."""
    get, put = swarm.records.get, swarm.records.put
    begun = time.perf_counter()
    for operation in operations:
        if operation[0] == "get":
            get(operation[1])
        else:
            put(operation[1], operation[2])
    return len(operations) / (time.perf_counter() - begun)


def tune(swarm: Swarm, clock: ManualClock, operations: list[tuple]) -> int:
    """Let the tuner work until it has nothing left to try; return how many windows that took."""
    idle = 0
    for number in range(WINDOWS_MAX):
        swarm.context.meter.look()
        begun, plays = time.perf_counter(), 0
        while plays < PLAYS_A_WINDOW or time.perf_counter() - begun < BUSY_S:
            play(swarm, operations)
            plays += 1
        swarm.context.meter.look()
        # A settled window: what the switch disturbed is played, and nothing is made of it.
        clock.advance(MINUTE_S)
        swarm.monitor.take()
        swarm.tuner.step()
        idle = 0 if swarm.tuner.knobs()[0].trying is not None else idle + 1
        if idle == 4:
            return number + 1
    return WINDOWS_MAX


def measure(made, rounds: int = ROUNDS) -> dict[str, object]:
    """Return the workload's windows, the tuned values, and the ratios of tuned to default.

    Args:
        made: Returns what to fill the store with, and the operations that are played.
    """
    fill, operations = made()
    clock = ManualClock()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'memory.db'}"
        with Swarm.open(url, durability="relaxed", clock=clock) as swarm:
            for at in range(0, len(fill), 500):
                swarm.records.put_many([Put(key, kept) for _, key, kept in fill[at : at + 500]])
            windows = tune(swarm, clock, operations)
            changes = [change.to_dict() for change in swarm.tuner.history()]
            tuned = swarm.tuner.knobs()[0].value
        ratios = compare(url, clock, operations, rounds)
    return {"windows": windows, CACHE: tuned, "changes": changes, "ratios": ratios}


def compare(
    url: str, clock: ManualClock, operations: list[tuple], rounds: int
) -> dict[str, list[float]]:
    """Return operations a second in those by the defaults, round by round.

    "cpu" and "clock" are of the tuned side, by processor time and by the time on the clock; "same"
    and "same clock" of a second side by the defaults.
    """
    os.environ["SWARM_MEMORY_TUNING"] = "off"
    try:
        sides = [Swarm.open(url, durability="relaxed", clock=clock) for _ in range(2)]
    finally:
        del os.environ["SWARM_MEMORY_TUNING"]
    sides.append(Swarm.open(url, durability="relaxed", clock=clock))
    sides[TUNED].context.meter.look()
    # Twice: what is read once is not kept.
    for swarm in sides * 2:
        play(swarm, operations)
    found: dict[str, list[float]] = {"cpu": [], "clock": [], "same": [], "same clock": []}
    for _ in range(rounds):
        cpu_s, clock_s = _round(sides, operations)
        for name, side in (("", TUNED), ("same", SAME)):
            found[name or "cpu"].append(cpu_s[PLAIN] / cpu_s[side])
            found[f"{name} clock".strip()].append(clock_s[PLAIN] / clock_s[side])
    for swarm in sides:
        swarm.close()
    return found


def _round(sides: list[Swarm], operations: list[tuple]) -> tuple[list[float], list[float]]:
    """Let all sides play the list in blocks that take turns; return what each took."""
    cpu_s, clock_s = [0.0] * len(sides), [0.0] * len(sides)
    size = -(-len(operations) // BLOCKS)
    for block in range(BLOCKS):
        played = operations[block * size : (block + 1) * size]
        order = [(block + place) % len(sides) for place in range(len(sides))]
        for side in order if block % 2 else reversed(order):
            cpu, begun = time.thread_time(), time.perf_counter()
            play(sides[side], played)
            cpu_s[side] += time.thread_time() - cpu
            clock_s[side] += time.perf_counter() - begun
    return cpu_s, clock_s


def workloads() -> dict[str, object]:
    """Return the recorded workloads, or the made ones where there are no data."""
    return recorded.WORKLOADS if recorded.is_there() else WORKLOADS


def run(rounds: int = ROUNDS) -> list[dict[str, object]]:
    """Return the figures."""
    kind = "recorded" if recorded.is_there() else "made from a seed: no recorded data here"
    figures = []
    for (name, made), goal in zip(workloads().items(), (1.1, 1.1, 0.98), strict=True):
        found = measure(made, rounds)
        ratios = {side: statistics.median(each) for side, each in found["ratios"].items()}
        note = (
            f"{found[CACHE] / 2**20:g} MiB of read cache after {found['windows']} windows; "
            f"by the clock {ratios['clock']:.2f}, defaults against themselves {ratios['same']:.2f};"
            f" {kind}"
        )
        figures.append(at_least(f"tuned against defaults, {name}", ratios["cpu"], goal, note))
    return figures


if __name__ == "__main__":
    import sys

    every = WORKLOADS | (recorded.WORKLOADS if recorded.is_there() else {})
    for name in sys.argv[1:] or workloads():
        found = measure(every[name])
        print(name, {k: v for k, v in found.items() if k not in ("ratios", "changes")})
        for change in found["changes"]:
            print("   ", change["before"], change["after"], change["why"], change["ratio"])
        for side, ratios in found["ratios"].items():
            low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
            print(f"    {side:10} {middle:.3f} ({low:.3f} to {high:.3f})", flush=True)
