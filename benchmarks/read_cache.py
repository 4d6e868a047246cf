"""The read cache where more is read than fits: against no cache, in turns, by processor time

Both sides read the same list; a figure is the median over rounds of reads a second with a cache of
8 MiB in those without, each round in another order. "Oldest first" keeps everything that is read
twice and drops what came first, as the cache did before it looked at what is asked for.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from pathlib import Path

import tuning
from subjects import at_least, value
from swarm_memory import Put, Swarm
from swarm_memory.cache import Cache

ROUNDS = 7
MIB = 2**20
Figure = dict[str, object]


class OldestFirst(Cache):
    """The rule of before."""

    __slots__ = ()

    def _was_seen(self, name, number) -> bool:
        self._full = self._crowded = False
        return super()._was_seen(name, number)

    def _make_room(self, size: int) -> None:
        while self._bytes + size > self._bytes_max:
            self._drop(next(iter(self._entries)))


def values(count: int) -> list[tuple]:
    return [("put", f"x/{number}", value(number)) for number in range(count)]


def uneven() -> tuple[list[tuple], list[str]]:
    fill, reads = tuning.read_heavy()
    return fill, [key for _, key in reads]


def reports() -> tuple[list[tuple], list[str]]:
    fill, reads = tuning.large()
    return fill, [key for _, key in reads]


def loop() -> tuple[list[tuple], list[str]]:
    return values(8000), [f"x/{number}" for number in range(8000)]


def far_too_many() -> tuple[list[tuple], list[str]]:
    pick = random.Random(5)
    return values(16_000), [f"x/{pick.randrange(16_000)}" for _ in range(16_000)]


def hot_beside_a_scan() -> tuple[list[tuple], list[str]]:
    pick = random.Random(6)
    keys = []
    for number in range(10_000):
        keys += [f"x/{pick.randrange(1500)}", f"x/{1500 + number % 6500}"]
    return values(8000), keys


# What is read, and by how much it must at least be as fast as without a cache.
LISTS = {
    "uneven popularity, 27 MB": (uneven, 1.5),
    "300 reports of 30 KB at random": (reports, 0.98),
    "8,000 values round and round": (loop, 0.98),
    "16,000 values at random": (far_too_many, 0.98),
    "1,500 hot ones beside a scan": (hot_beside_a_scan, 1.1),
}


def play(swarm: Swarm, keys: list[str]) -> float:
    """Return the seconds of the processor that reading the keys took."""
    get, begun = swarm.records.get, time.thread_time()
    for key in keys:
        get(key)
    return time.thread_time() - begun


def measure(made, rounds: int = ROUNDS) -> dict[str, float]:
    """Return reads a second with a cache, and with that of before, in those without."""
    fill, keys = made()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'memory.db'}"
        sides = {name: Swarm.open(url, durability="relaxed") for name in ("none", "now", "before")}
        for at in range(0, len(fill), 500):
            puts = [Put(key, kept) for _, key, kept in fill[at : at + 500]]
            sides["none"].records.put_many(puts)
        for name, kind in (("none", None), ("now", Cache), ("before", OldestFirst)):
            swarm = sides[name]
            swarm.records._cache = None if kind is None else kind(swarm._engine, 8 * MIB)
            for _ in range(3):
                play(swarm, keys)
        ratios: dict[str, list[float]] = {"now": [], "before": []}
        for number in range(rounds):
            order = random.Random(number).sample(sorted(sides), len(sides))
            took = {name: play(sides[name], keys) for name in order}
            for name, each in ratios.items():
                each.append(took["none"] / took[name])
        for swarm in sides.values():
            swarm.close()
    return {name: statistics.median(each) for name, each in ratios.items()}


def run(rounds: int = ROUNDS) -> list[Figure]:
    """Return the figures."""
    figures = []
    for name, (made, goal) in LISTS.items():
        found = measure(made, rounds)
        note = f"oldest first {found['before']:.2f}"
        figures.append(at_least(f"cache against none, {name}", found["now"], goal, note))
    return figures


if __name__ == "__main__":
    import sys

    for name in sys.argv[1:] or LISTS:
        print(name, {k: round(v, 3) for k, v in measure(LISTS[name][0]).items()}, flush=True)
