"""On PostgreSQL: what a put, a get and a list cost as a store grows to ten million records

Of 0.4 KB each, in 16 swarms. A store that stays at 100 k is measured in the same rounds, so what is
compared was measured at the same moment; all relaxed. They are filled by the server, in statements
that make the rows which our put would have written, checksums and change log included, since ten
million puts would take hours; then they are vacuumed. The server has 4 GB of shared buffers on a
machine with enough memory for all of it.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import orjson
import psycopg

from subjects import WORD, at_most, timed, told
from swarm_memory import Swarm
from swarm_memory.engine.postgres import dialect
from swarm_memory.errors import EngineUnavailableError
from swarm_memory.testing.postgres import Server, server

SIZES = (100_000, 1_000_000, 10_000_000)
SWARMS, AGENTS = 16, 4
LISTED = 100  # records of a group, which is what a list returns
ROUNDS, CALLS, LISTS = 5, 300, 50
VALUE_BYTES, BODIES = 400, 1_000
CHUNK = 250_000
FILLERS = 2
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
        began = time.monotonic()
        chunks = [(n, min(n + CHUNK, size)) for n in range(self.size, size, CHUNK)]
        with ThreadPoolExecutor(FILLERS) as pool:
            for number, _ in enumerate(pool.map(self._fill, chunks), 1):
                if number % 5 == 0 or number == len(chunks):
                    spent_s = time.monotonic() - began
                    print(f"  {chunks[number - 1][1]:,} records after {spent_s:.0f} s", flush=True)
        with psycopg.connect(self.url, autocommit=True) as db:
            newest = db.execute("SELECT max(seq) FROM events").fetchone()[0]
            with db.transaction():
                db.execute(SQL["usage_fold"], {})
                db.execute(SQL["fact_set"], {"swarm": "", "name": "folded_seq", "value": newest})
            db.execute("VACUUM (ANALYZE) records")
            db.execute("VACUUM (ANALYZE) events")
            db.execute("CHECKPOINT")
        self.size = size
        self.close()  # what it knew of the counters was before
        self._open()

    def _fill(self, chunk: tuple[int, int]) -> None:
        """Make the records of a chunk."""
        category = self.doors[0].config.category_of(key_of(0))
        keep_ms = round((category.retention_s or 0) * 1000)
        row = {
            "start": chunk[0],
            "end": chunk[1] - 1,
            "category": category.name,
            "telemetry": int(category.telemetry),
            "expires": int(time.time() * 1000) + keep_ms if keep_ms else None,
        }
        with psycopg.connect(self.url, autocommit=True) as db:
            db.execute("SET synchronous_commit = off")
            db.execute(NOTES)
            notes = [(number, note.decode()) for number, note in enumerate(_NOTES)]
            db.cursor().executemany("INSERT INTO notes VALUES (%s, %s)", notes)
            db.execute(FILL, row)


NOTES = "CREATE TEMP TABLE notes (number bigint PRIMARY KEY, note text)"
# A row as our put writes it: its frame is a format byte, the value, and the checksum of what the
# row says and of both, the lowest byte first; and one event for each. `crc32` is PostgreSQL 18's.
FILL = f"""
WITH numbered AS (
    SELECT n, n / {LISTED} %% {SWARMS} AS swarm, n / {LISTED} / {SWARMS} %% {AGENTS} AS agent,
        {AT_MS} + n AS at
    FROM generate_series(%(start)s::bigint, %(end)s::bigint) AS n
), named AS (
    SELECT n, at, 'g' || swarm AS swarm, 'agent-' || lpad(agent::text, 2, '0') AS scope,
        format('swarm-g%%s/agent-%%s/knowledge/%%s/%%s', swarm, lpad(agent::text, 2, '0'),
            lpad((n / {LISTED})::text, 6, '0'), lpad((n %% {LISTED})::text, 2, '0')) AS key,
        format('{{"task":"task-%%s","when":%%s,"note":"', n, at) AS front
    FROM numbered
), framed AS (
    SELECT swarm, key, scope, at,
        '\\x00'::bytea || convert_to(front
            || left(note, {VALUE_BYTES} - 2 - length(front)) || '"}}', 'UTF8') AS frame,
        convert_to(format('["%%s",["%%s",1,"filled",null,%%s,%%s,%%s,null]]', swarm, key, at, at,
            coalesce(%(expires)s::text, 'null')), 'UTF8') AS about
    FROM named JOIN notes ON number = n %% {BODIES}
), sealed AS (
    SELECT *, decode(lpad(to_hex(crc32(about || frame)), 8, '0'), 'hex') AS seal FROM framed
), filled AS (
    INSERT INTO records (swarm, key, version, scope, category, telemetry, author, session,
        provenance, created_ms, updated_ms, expires_ms, history_id, value)
    SELECT swarm, key, 1, scope, %(category)s, %(telemetry)s, 'filled', NULL, NULL, at, at,
        %(expires)s, NULL, frame || substr(seal, 4, 1) || substr(seal, 3, 1) || substr(seal, 2, 1)
            || substr(seal, 1, 1)
    FROM sealed
    RETURNING swarm, key, scope, updated_ms, length(value) + length(key) AS bytes
)
INSERT INTO events (swarm, key, version, op, author, at_ms, scope, category, telemetry, records,
    bytes)
SELECT swarm, key, 1, 'put', 'filled', updated_ms, scope, %(category)s, %(telemetry)s, 1, bytes
FROM filled
"""  # noqa: S608 (numbers of ours)


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
