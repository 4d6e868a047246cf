"""On PostgreSQL: what a put, a get and a list cost as a store grows to ten million records

Of 0.4 KB each, in 16 swarms. A store that stays at 100 k is measured in the same rounds, so what is
compared was measured at the same moment; all relaxed. The large ones are filled by COPY with the
rows that our put would have written, checksums and change log included, since ten million puts
would take hours; then they are vacuumed. The server has 4 GB of shared buffers on a machine with
enough memory for all of it.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock
from zlib import crc32

import orjson
import psycopg

from subjects import WORD, at_most, timed, told
from swarm_memory import Swarm
from swarm_memory.engine.postgres import dialect
from swarm_memory.errors import EngineUnavailableError
from swarm_memory.key import scope_of
from swarm_memory.testing.postgres import Server, server

SIZES = (100_000, 1_000_000, 10_000_000)
SWARMS, AGENTS = 16, 4
LISTED = 100  # records of a group, which is what a list returns
ROUNDS, CALLS, LISTS = 7, 400, 50
VALUE_BYTES, BODIES = 400, 1_000
CHUNK = 1_000_000
AT_MS = 1_750_000_000_000
SERVER = {
    "shared_buffers": "4GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "maintenance_work_mem": "512MB",
}
SETTINGS = {
    "SWARM_MEMORY_AGENT_BYTES_MAX": str(2**40),
    "SWARM_MEMORY_TOTAL_BYTES_MAX": str(2**40),
}
SMALL = "stays at 100 k"
LAYOUTS = {"plain": "", "in 16 parts": "&partitions=16"}  # name → what its URL has more
PLOT = "growth-postgresql.svg"
PANELS = (("put new", "put again"), ("get", "list of 100"))
GOALS = {"put new": 1.5, "put again": 1.5}
SQL = dialect.load()

Figure = dict[str, object]
Costs = dict[str, dict[int, tuple[float, float]]]  # by "plain get" and size: seconds, × the small


def run() -> list[Figure]:
    try:
        with server(SERVER) as running:
            costs, about = _grow(running)
    except EngineUnavailableError as error:
        return [told("growth on PostgreSQL", f"skipped: {error}")]
    return [*_figures(costs, about), _plot(costs)]


class Store:
    """A store that grows; `more` is what its URL has that only we understand."""

    def __init__(self, url: str, more: str = "") -> None:
        self.url, self._whole = url, url + more
        self.size = self.new = 0
        self._open()

    def _open(self) -> None:
        with mock.patch.dict(os.environ, SETTINGS):
            self.root = Swarm.open(self._whole, agent="a", swarm="g0", durability="relaxed")
        self.doors = [self.root.as_agent("a", swarm=f"g{n}") for n in range(SWARMS)]

    def close(self) -> None:
        self.root.close()

    def door(self, number: int) -> Swarm:
        return self.doors[number // LISTED % SWARMS]

    def put(self, number: int, key: str, item: object) -> None:
        self.door(number).records.put(key, item)

    def get(self, number: int) -> object:
        return self.door(number).records.get(key_of(number)).value

    def list(self, number: int) -> list[object]:
        return [r.value for r in self.door(number).records.scan(group_of(number))]

    def grow(self, size: int) -> None:
        """Fill it up to `size` records, as if each had been put."""
        with psycopg.connect(self.url, autocommit=True) as db:
            db.execute("SET synchronous_commit = off")
            began, shown = time.monotonic(), time.monotonic()
            for start in range(self.size, size, CHUNK):
                self._copy(db, start, min(start + CHUNK, size))
                now = time.monotonic()
                if now - shown >= 10 or start + CHUNK >= size:
                    shown = now
                    done = min(start + CHUNK, size)
                    print(f"  {done:,} records after {now - began:.0f} s", flush=True)
            db.execute("VACUUM (ANALYZE, PARALLEL 0) records")
            db.execute("VACUUM (ANALYZE, PARALLEL 0) events")
            db.execute("CHECKPOINT")
        self.size = size
        self.close()  # what it knew of the counters was before
        self._open()

    def _copy(self, db: psycopg.Connection, start: int, end: int) -> None:
        category = self.doors[0].config.category_of(key_of(0))
        with db.transaction(), db.cursor() as cursor:
            cursor.execute(STAGE)
            with cursor.copy("COPY filled FROM STDIN") as copy:
                for first in range(start, end, 1000):
                    copy.write("".join(lines(first, min(first + 1000, end), category)))
            cursor.execute(RECORDS)
            cursor.execute(EVENTS)
            newest = cursor.execute("SELECT max(seq) FROM events").fetchone()[0]
            db.execute(SQL["usage_fold"], {})
            db.execute(SQL["fact_set"], {"swarm": "", "name": "folded_seq", "value": newest})


STAGE = """
CREATE TEMP TABLE filled ON COMMIT DROP AS SELECT swarm, key, version, scope, category, telemetry,
    author, session, provenance, created_ms, updated_ms, expires_ms, history_id, value
FROM records LIMIT 0
"""
RECORDS = """
INSERT INTO records (swarm, key, version, scope, category, telemetry, author, session, provenance,
    created_ms, updated_ms, expires_ms, history_id, value)
SELECT * FROM filled
"""
# One event for each record.
EVENTS = """
INSERT INTO events (swarm, key, version, op, author, at_ms, scope, category, telemetry, records,
    bytes)
SELECT swarm, key, version, 'put', author, updated_ms, scope, category, telemetry, 1,
    length(value) + length(key)
FROM filled ORDER BY updated_ms
"""


def value(number: int) -> dict[str, object]:
    """Return a JSON value of `VALUE_BYTES`."""
    return orjson.loads(body_of(number))


def body_of(number: int) -> bytes:
    head = b'{"task":"task-%d","when":%d,"note":"' % (number, AT_MS + number)
    return head + _NOTES[number % BODIES][: VALUE_BYTES - len(head) - 2] + b'"}'


_NOTES = [
    " ".join(random.Random(n).choices(WORD, k=VALUE_BYTES // 4)).encode() for n in range(BODIES)
]


def group_of(number: int) -> str:
    group = number // LISTED
    swarm, agent = group % SWARMS, group // SWARMS % AGENTS
    return f"swarm-g{swarm}/agent-{agent:02}/knowledge/{group:06}/"


def key_of(number: int) -> str:
    return f"{group_of(number)}{number % LISTED:02}"


def lines(start: int, end: int, category) -> Iterator[str]:
    """Yield the rows of records, each sealed as a put seals it, as lines of a COPY."""
    telemetry = int(category.telemetry)
    keep_ms = None if category.retention_s is None else round(category.retention_s * 1000)
    now_ms = int(time.time() * 1000)
    until = None if keep_ms is None else now_ms + keep_ms
    for number in range(start, end):
        swarm, key = f"g{number // LISTED % SWARMS}", key_of(number)
        at = AT_MS + number
        said = (key, 1, "filled", None, at, at, until, None)
        head = b"\0" + body_of(number)
        seal = crc32(head, crc32(orjson.dumps((swarm, said)))).to_bytes(4, "little")
        frame = (head + seal).hex()
        expires = "\\N" if until is None else until
        yield (
            f"{swarm}\t{key}\t1\t{scope_of(key)}\t{category.name}\t{telemetry}\tfilled\t\\N\t\\N"
            f"\t{at}\t{at}\t{expires}\t\\N\t\\\\x{frame}\n"
        )


# --- measuring ---


def _grow(running: Server) -> tuple[Costs, dict[str, str]]:
    small = Store(running.url("small"))
    small.grow(SIZES[0])
    costs: Costs = {}
    about = {}
    for layout, more in LAYOUTS.items():
        store = Store(running.url("grown"), more)
        for size in SIZES:
            store.grow(size)
            for call, found in _measure(small, store).items():
                costs.setdefault(f"{layout} {call}", {})[size] = found
                print(f"  {layout} {call} at {size:,}: {1e6 * found[0]:,.0f} µs", flush=True)
        with psycopg.connect(store.url) as db:
            about[layout] = db.execute(SIZE).fetchone()[0]
        store.close()
        with psycopg.connect(running.url(), autocommit=True) as db:
            db.execute("DROP SCHEMA grown CASCADE")
    return costs, about


SIZE = (
    "SELECT pg_size_pretty(sum(pg_total_relation_size(oid))) FROM pg_class"
    " WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
)


def _measure(small: Store, large: Store) -> dict[str, tuple[float, float]]:
    """Return seconds of each kind of call, and × those of the small store in the same round."""
    rows: list[dict[str, tuple[float, float]]] = []
    for number in range(ROUNDS + 1):
        row = {}
        for call, make, count in _calls(number):
            theirs, ours = (timed(make(store), count) for store in (small, large))
            row[call] = (ours, ours / theirs)
        rows += [row] if number else []  # the first prepares statements
    return {
        call: (
            statistics.median(row[call][0] for row in rows),
            statistics.median(row[call][1] for row in rows),
        )
        for call in rows[0]
    }


def _calls(seed: int) -> Iterator[tuple[str, Callable[[Store], Callable[[], object]], int]]:
    """Yield name, what makes the call of a store, and how many operations it is."""

    def drawn(store: Store, count: int) -> list[int]:
        pick = random.Random(f"{seed} {store.size}")
        return [pick.randrange(store.size) for _ in range(count)]

    def gets(store: Store) -> Callable[[], object]:
        numbers = drawn(store, CALLS)
        return lambda: [store.get(n) for n in numbers]

    def lists(store: Store) -> Callable[[], object]:
        numbers = drawn(store, LISTS)
        return lambda: [store.list(n) for n in numbers]

    def again(store: Store) -> Callable[[], object]:
        items = [(n, key_of(n), value(n + 1)) for n in drawn(store, CALLS)]
        return lambda: [store.put(*item) for item in items]

    def new(store: Store) -> Callable[[], object]:
        # Beside a group, so that the groups stay as large as they are.
        items = []
        for n in drawn(store, CALLS):
            store.new += 1
            items.append((n, f"{group_of(n)[:-1]}+{store.new}", value(n)))
        return lambda: [store.put(*item) for item in items]

    yield "get", gets, CALLS
    yield "list of 100", lists, LISTS
    yield "put new", new, CALLS
    yield "put again", again, CALLS


def _figures(costs: Costs, about: dict[str, str]) -> list[Figure]:
    figures = []
    last = SIZES[-1]
    for layout, size in about.items():
        for call in (call for panel in PANELS for call in panel):
            found = costs[f"{layout} {call}"]
            note = " → ".join(f"{1e6 * found[size][0]:,.0f}" for size in SIZES)
            times = " → ".join(f"{found[size][1]:.2f}" for size in SIZES)
            note = f"µs at {NAMES}: {note}; × the store that {SMALL}: {times}"
            what = f"{call}, {layout}, at 10 M against 100 k"
            if call in GOALS:
                figures.append(at_most(what, found[last][1], GOALS[call], note))
            else:
                figures.append(told(what, f"{found[last][1]:.2f} ×", note))
        figures.append(told(f"size of the tables, {layout}, 10 M records", size))
    return figures


NAMES = "100 k, 1 M, 10 M"


def _plot(costs: Costs) -> Figure:
    """Draw cost against number of records."""
    try:
        import matplotlib
    except ImportError:
        return told("plot", "skipped: matplotlib is not installed")
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": PLOT, "font.size": 11})
    from matplotlib import pyplot

    styles = dict(zip(LAYOUTS, ("-o", "--s"), strict=False))
    figure, panels = pyplot.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    for panel, calls in zip(panels, PANELS, strict=True):
        for call, colour in zip(calls, ("#1f5fa8", "#c2571a"), strict=True):
            for layout, style in styles.items():
                cost = costs[f"{layout} {call}"]
                seconds = [1e6 * cost[size][0] for size in SIZES]
                panel.plot(SIZES, seconds, style, color=colour, label=f"{call}, {layout}")
        panel.set(xscale="log", yscale="log", xlabel="records", ylabel="µs a call")
        panel.set_xticks(SIZES, NAMES.split(", "))
        panel.minorticks_off()
        low, high = panel.get_ylim()
        panel.set_ylim(low / 1.5, high * 1.5)
        ticks = [t for t in (50, 100, 200, 500, 1000, 2000, 5000) if low / 1.5 <= t <= high * 1.5]
        panel.set_yticks(ticks, [f"{tick:,}" for tick in ticks])
        panel.grid(alpha=0.3)
        panel.legend(frameon=False, fontsize=10)
    panels[0].set_title("writing, relaxed")
    panels[1].set_title("reading")
    path = Path(__file__).parent.parent / "docs" / PLOT
    figure.savefig(path, metadata={"Date": None})
    return told("plot", f"[{PLOT}]({PLOT})")
