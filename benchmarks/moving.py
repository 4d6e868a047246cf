"""A swarm moves to another store while one agent puts, D: how long that takes, who is held up

20,000 records, a tenth of them with a version before the current one. The agent puts one record
again and again by way of routes: its longest wait is what the switch costs whoever writes. In the
end what it was told is compared with what the new store has.
"""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path

from subjects import told, value
from swarm_memory import Swarm
from swarm_memory.errors import EngineUnavailableError
from swarm_memory.moving import move_swarm
from swarm_memory.testing.postgres import server

ROUNDS, RECORDS, AGAIN, PAGE = 3, 20_000, 2_000, 1_000
KEY = "notes/agent"
PAUSE_S = 0.005

Figure = dict[str, object]


def run() -> list[Figure]:
    folder = Path(tempfile.mkdtemp(prefix="swarm-memory-moving-"))
    try:
        with server() as running:
            names = iter(f"{n}" for n in range(1_000))
            stores = {
                "a file": lambda: f"sqlite:///{folder}/{next(names)}.db",
                "PostgreSQL": lambda: running.url(f"moving{next(names)}"),
            }
            ways = [("a file", "a file"), ("a file", "PostgreSQL"), ("PostgreSQL", "PostgreSQL")]
            return [figure for way in ways for figure in _measured(way, stores, folder)]
    except EngineUnavailableError as error:
        return [told("a swarm moves", f"skipped: {error}")]
    finally:
        shutil.rmtree(folder)


def _measured(way: tuple[str, str], stores: dict[str, object], folder: Path) -> list[Figure]:
    rates, held, waits, usual = [], [], [], []
    for number in range(ROUNDS):
        print(f"  {way[0]} to {way[1]}, round {number + 1} of {ROUNDS}", flush=True)
        source, target = (stores[kind]() for kind in way)
        _fill(source)
        took_s, held_ms, puts = _move(source, target, folder / "routes.json")
        rates.append(RECORDS / took_s)
        held.append(held_ms)
        waits.append(1000 * max(puts))
        usual.append(1000 * statistics.median(puts))
    what = f"from {way[0]} to {way[1]}"
    note = f"a put takes {statistics.median(usual):.0f} ms meanwhile"
    return [
        told(f"{what}, records a second", f"{statistics.median(rates):,.0f}"),
        told(f"{what}, the switch holds writers up", f"{statistics.median(held):.0f} ms"),
        told(f"{what}, the longest put", f"{statistics.median(waits):.0f} ms", note=note),
    ]


def _fill(url: str) -> None:
    with Swarm.open(url, agent="a", swarm="s", durability="relaxed") as swarm:
        for start in range(0, RECORDS, PAGE):
            page = range(start, start + PAGE)
            swarm.records.put_many((f"notes/{n:06}", value(n)) for n in page)
        swarm.records.put_many((f"notes/{n:06}", value(n + 1)) for n in range(AGAIN))


def _move(source: str, target: str, routes: Path) -> tuple[float, int, list[float]]:
    """Return how long the move took, how long it held writers up, and each put meanwhile."""
    routes.write_text(json.dumps({"default": source}))
    url, puts, stop = f"routes:{routes}", [], threading.Event()

    def work() -> None:
        with Swarm.open(url, agent="b", swarm="s") as swarm:
            while not stop.is_set():
                began = time.monotonic()
                swarm.records.put(KEY, len(puts))
                puts.append(time.monotonic() - began)
                time.sleep(PAUSE_S)

    agent = threading.Thread(target=work)
    agent.start()
    began = time.monotonic()
    moved = move_swarm(url, "s", target)
    took_s = time.monotonic() - began
    stop.set()
    agent.join()
    with Swarm.open(url, agent="a", swarm="s") as swarm:
        assert len(puts) == swarm.records.get(KEY).version
    return took_s, moved.held_ms, puts
