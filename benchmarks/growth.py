"""What a put, a get and a list cost as a store grows to a million records of 0.4 KB

Against a bare table of raw apsw with the same page cache; both relaxed, at the same keys, which
are drawn from all there are. Nothing is read from our cache of records.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import apsw
import orjson

from subjects import WORD, at_most, timed, told
from swarm_memory import Swarm

SIZES = (10_000, 100_000, 1_000_000)
LISTED = 100  # records of a group, which is what a list returns
AGENTS = 100
ROUNDS = 7
CALLS = 1500  # of puts so many that each round has its checkpoints
LISTS = 100
BATCH = 10_000
VALUE_BYTES = 400
CACHE_KIB = 8192  # as ours
PLOT = "growth.svg"
PANELS = (("put new", "put again"), ("get", "list of 100"))
SETTINGS = {
    "SWARM_MEMORY_AGENT_BYTES_MAX": str(2**40),
    "SWARM_MEMORY_TOTAL_BYTES_MAX": str(2**40),
    "SWARM_MEMORY_CACHE_BYTES_MAX": "0",
}

Figure = dict[str, object]
Costs = dict[str, dict[int, float]]  # seconds of a call by "ours put new" and number of records


class Ours:
    def __init__(self, folder: str) -> None:
        url = f"sqlite:///{folder}/ours.db"
        with mock.patch.dict(os.environ, SETTINGS):
            self.swarm = Swarm.open(url, agent="a", swarm="s", durability="relaxed")
        self.records = self.swarm.records

    def put(self, key: str, item: object) -> None:
        self.records.put(key, item)

    def get(self, key: str) -> object:
        return self.records.get(key).value

    def list(self, group: str) -> list[object]:
        return [record.value for record in self.records.scan(group)]

    def load(self, items: list[tuple[str, object]]) -> None:
        self.records.put_many(items)


class Raw:
    UPSERT = (
        "INSERT INTO kv VALUES (?, 1, ?) ON CONFLICT (key) DO UPDATE SET"
        " version = kv.version + 1, value = excluded.value"
    )

    def __init__(self, folder: str) -> None:
        self.db = apsw.Connection(f"{folder}/raw.db")
        self.db.pragma("journal_mode", "wal")
        self.db.pragma("synchronous", 1)
        self.db.pragma("cache_size", -CACHE_KIB)
        self.db.execute("CREATE TABLE kv (key TEXT PRIMARY KEY, version INTEGER, value BLOB)")
        self.execute = self.db.cursor().execute

    def put(self, key: str, item: object) -> None:
        self.execute(self.UPSERT, (key, orjson.dumps(item)))

    def get(self, key: str) -> object:
        rows = self.execute("SELECT version, value FROM kv WHERE key = ?", (key,)).fetchall()
        return orjson.loads(rows[0][1])

    def list(self, group: str) -> list[object]:
        rows = self.execute(
            "SELECT key, version, value FROM kv WHERE key >= ? AND key < ? ORDER BY key",
            (group, group[:-1] + "0"),
        )
        return [orjson.loads(row[2]) for row in rows.fetchall()]

    def load(self, items: list[tuple[str, object]]) -> None:
        with self.db:
            self.db.executemany(self.UPSERT, [(key, orjson.dumps(item)) for key, item in items])


def run() -> list[Figure]:
    folder = tempfile.mkdtemp(prefix="bench-growth-")
    try:
        subjects = {"ours": Ours(folder), "raw": Raw(folder)}
        costs: Costs = {}
        count = 0
        for size in SIZES:
            _load(subjects, count, size)
            count = size
            for call, seconds in _measure(subjects, size).items():
                costs.setdefault(call, {})[size] = seconds
        subjects["ours"].swarm.close()
    finally:
        shutil.rmtree(folder)
    return [*_figures(costs), _plot(costs)]


def value(number: int) -> dict[str, object]:
    """Return a JSON value of `VALUE_BYTES`."""
    pick = random.Random(number)
    item: dict[str, object] = {"task": f"task-{number}", "when": 1_750_000_000_000 + number}
    words = " ".join(pick.choices(WORD, k=VALUE_BYTES // 5))
    return {**item, "note": words[: VALUE_BYTES - len(orjson.dumps(item)) - len(',"note":""')]}


def group_of(number: int) -> str:
    group = number // LISTED
    return f"swarm-s/agent-{group % AGENTS:02}/knowledge/{group:05}/"


def key_of(number: int) -> str:
    return f"{group_of(number)}{number % LISTED:02}"


def _load(subjects: dict[str, Ours | Raw], begin: int, end: int) -> None:
    began, shown = time.monotonic(), time.monotonic()
    for start in range(begin, end, BATCH):
        numbers = range(start, min(start + BATCH, end))
        items = [(key_of(number), value(number)) for number in numbers]
        for subject in subjects.values():
            subject.load(items)
        now = time.monotonic()
        if now - shown >= 10 or numbers.stop == end:
            shown = now
            print(f"  {numbers.stop:,} records after {now - began:.0f} s", flush=True)


def _measure(subjects: dict[str, Ours | Raw], size: int) -> dict[str, float]:
    """Return the seconds of each kind of call, the median over rounds."""
    rows: list[dict[str, float]] = []
    for number in range(ROUNDS):
        calls = list(_calls(size, number))
        row = {}
        for call, make, count in calls:
            for name, subject in subjects.items():
                row[f"{name} {call}"] = timed(make(subject), count)
        rows.append(row)
    return {call: statistics.median(row[call] for row in rows) for call in rows[0]}


def _calls(
    size: int, number: int
) -> Iterator[tuple[str, Callable[[Ours | Raw], Callable[[], object]], int]]:
    """Yield name, what makes the call of a subject, and how many operations it is."""
    pick = random.Random(f"{size} {number}")

    def drawn(count: int) -> list[int]:
        return [pick.randrange(size) for _ in range(count)]

    groups = [group_of(n) for n in drawn(LISTS)]
    keys = [key_of(n) for n in drawn(CALLS)]
    again = [(key_of(n), value(n + 1)) for n in drawn(CALLS)]
    # Beside a group, so that the groups stay as large as they are.
    new = [
        (f"{group_of(n)[:-1]}+{size}-{number}-{k}", value(k)) for k, n in enumerate(drawn(CALLS))
    ]

    def puts(items: list[tuple[str, object]]) -> Callable[[Ours | Raw], Callable[[], object]]:
        return lambda subject: lambda: [subject.put(key, item) for key, item in items]

    yield "get", lambda subject: lambda: [subject.get(key) for key in keys], CALLS
    yield "list of 100", lambda subject: lambda: [subject.list(group) for group in groups], LISTS
    yield "put new", puts(new), CALLS
    yield "put again", puts(again), CALLS


def _figures(costs: Costs) -> list[Figure]:
    first, last = SIZES[0], SIZES[-1]
    growth = {call: cost[last] / cost[first] for call, cost in costs.items()}
    figures = []
    for call in (call for panel in PANELS for call in panel):
        ours, raw = (
            " → ".join(f"{1e6 * costs[f'{name} {call}'][size]:,.0f}" for size in SIZES)
            for name in ("ours", "raw")
        )
        note = f"µs at 10 k, 100 k, 1 M: {ours}; raw {raw}"
        what = f"{call}: growth of its cost from 10 k to 1 M"
        mine, theirs = growth[f"ours {call}"], growth[f"raw {call}"]
        if call.startswith("put"):
            figures.append(at_most(f"{what}, against raw", mine / theirs, 2, note))
        else:
            figures.append(told(f"{what}, against raw", f"{mine / theirs:.2f} ×", note))
    return figures


def _plot(costs: Costs) -> Figure:
    """Draw cost against number of records."""
    try:
        import matplotlib
    except ImportError:
        return told("plot", "skipped: matplotlib is not installed")
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": PLOT, "font.size": 11})
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    for panel, calls in zip(panels, PANELS, strict=True):
        for call, colour in zip(calls, ("#1f5fa8", "#c2571a"), strict=True):
            for name, style in (("ours", "-o"), ("raw", "--s")):
                cost = costs[f"{name} {call}"]
                seconds = [1e6 * cost[size] for size in SIZES]
                panel.plot(SIZES, seconds, style, color=colour, label=f"{call}, {name}")
        panel.set(xscale="log", yscale="log", xlabel="records", ylabel="µs a call")
        panel.set_xticks(SIZES, ("10 k", "100 k", "1 M"))
        panel.minorticks_off()
        low, high = panel.get_ylim()
        panel.set_ylim(low / 1.5, high * 1.5)
        ticks = [
            t for t in (5, 10, 20, 50, 100, 200, 500, 1000, 2000) if low / 1.5 <= t <= high * 1.5
        ]
        panel.set_yticks(ticks, [f"{tick:,}" for tick in ticks])
        panel.grid(alpha=0.3)
        panel.legend(frameon=False, fontsize=10)
    panels[0].set_title("writing, relaxed")
    panels[1].set_title("reading, not cached")
    path = Path(__file__).parent.parent / "docs" / PLOT
    figure.savefig(path, metadata={"Date": None})
    return told("plot", f"[{PLOT}]({PLOT})")
