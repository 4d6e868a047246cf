"""What auto-tuning gains: three workloads, by the defaults and by what the tuner made of them.

Each workload is a list of operations, made once from a seed and played again and again. First the
tuner works on a store of its own until it has no more trial to make: a window plays the list twice,
and stands for the minute that it would be in operation. What it set is then compared with the
defaults on the same store, in turns: the figure is the median over rounds of the ratio of
operations a second. Nothing in here says which value is the better one.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from pathlib import Path

from subjects import at_least, value
from swarm_memory import Put, Swarm
from swarm_memory.testing import ManualClock
from swarm_memory.tuned import CACHE

ROUNDS = 11
WINDOWS_MAX = 60  # of the tuner's
PLAYS_A_WINDOW = 2  # the cache is empty after each switch, and a minute is longer than one play
PLAYS_A_ROUND = {"bursts": 3}  # so that a round takes about as long in each
MINUTE_S = 60


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
        for _ in range(PLAYS_A_WINDOW):
            play(swarm, operations)
        swarm.context.meter.look()
        # A settled window: what the switch disturbed is played, and nothing is made of it.
        clock.advance(MINUTE_S)
        swarm.monitor.take()
        swarm.tuner.step()
        idle = 0 if swarm.tuner.knobs()[0].trying is not None else idle + 1
        if idle == 4:
            return number + 1
    return WINDOWS_MAX


def measure(name: str, rounds: int = ROUNDS) -> dict[str, object]:
    """Return the workload's windows, the tuned values, and the ratios of tuned to default."""
    fill, operations = WORKLOADS[name]()
    clock = ManualClock()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'memory.db'}"
        with Swarm.open(url, durability="relaxed", clock=clock) as swarm:
            for at in range(0, len(fill), 500):
                swarm.records.put_many([Put(key, kept) for _, key, kept in fill[at : at + 500]])
            windows = tune(swarm, clock, operations)
            changes = [change.to_dict() for change in swarm.tuner.history()]
            tuned = swarm.tuner.knobs()[0].value
        ratios = compare(url, clock, operations * PLAYS_A_ROUND.get(name, 1), rounds)
    return {"windows": windows, CACHE: tuned, "changes": changes, "ratios": ratios}


def compare(url: str, clock: ManualClock, operations: list[tuple], rounds: int) -> list[float]:
    """Return operations a second as tuned in those by the defaults, round by round."""
    os.environ["SWARM_MEMORY_TUNING"] = "off"
    try:
        plain = Swarm.open(url, durability="relaxed", clock=clock)
    finally:
        del os.environ["SWARM_MEMORY_TUNING"]
    with plain, Swarm.open(url, durability="relaxed", clock=clock) as tuned:
        tuned.context.meter.look()
        # Twice: what is read once is not kept.
        for _ in range(2):
            play(plain, operations)
            play(tuned, operations)
        ratios = []
        for number in range(rounds):
            order = (plain, tuned) if number % 2 else (tuned, plain)
            speed = {id(swarm): play(swarm, operations) for swarm in order}
            ratios.append(speed[id(tuned)] / speed[id(plain)])
    return ratios


def run(rounds: int = ROUNDS) -> list[dict[str, object]]:
    """Return the figures."""
    goals = {"read_heavy": 1.1, "large": 1.1, "bursts": 0.98}
    figures = []
    for name, goal in goals.items():
        found = measure(name, rounds)
        ratio = statistics.median(found["ratios"])
        note = f"{found[CACHE] / 2**20:g} MiB of read cache after {found['windows']} windows"
        figures.append(at_least(f"tuned against defaults, {name}", ratio, goal, note))
    return figures


if __name__ == "__main__":
    import sys

    for name in sys.argv[1:] or WORKLOADS:
        found = measure(name)
        print(name, {k: v for k, v in found.items() if k not in ("ratios", "changes")})
        for change in found["changes"]:
            print("   ", change["before"], change["after"], change["why"], change["ratio"])
        ratios = sorted(found["ratios"])
        print("    ratio", round(statistics.median(ratios), 3), [round(r, 2) for r in ratios])
