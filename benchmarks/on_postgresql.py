"""On PostgreSQL: against raw psycopg, pgbench and LangGraph's PostgresStore

One server for all, on a socket, with fsync. "The same statements" are the writes of a put: lock and
read the current version, push it to history, write the next one, append an event, on the same
tables. One after the other each takes a trip to the server; at once they are one statement and one
trip, the fewest there can be. D: the server has it on disk when the call returns
(synchronous_commit=on, our "full"); P: not yet (off, our "relaxed").
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import orjson
import psycopg
from langgraph.store.postgres import PostgresStore
from psycopg.rows import dict_row

from coordination import percentile
from pgbench import Pgbench
from postgres import Postgres, PostgresAtOnce
from processes import crowd
from subjects import at_least, at_most, ratio, timed, told, value
from swarm_memory import Swarm
from swarm_memory.errors import EngineUnavailableError
from swarm_memory.testing.postgres import USER, Server, server

ROUNDS = 9
KEYS, CALLS = 200, 300
PAIRS = 200
CROWD, CROWD_ROUNDS, CROWD_S = 8, 5, 2
KEYS_EACH = 200
WAKE_ROUNDS, PACED, PACE_S = 3, 300, 0.005
SETTLE_S, LIMIT_S = 0.3, 60.0
BODY = "x" * 400
SYNCS = {"full": "on", "relaxed": "off"}
CLASSES = {"full": "D", "relaxed": "P"}

Figure = dict[str, object]
Rows = list[dict[str, float]]
Job = tuple[Callable[..., Callable[[], list[float]]], tuple[str, ...]]


def run() -> list[Figure]:
    try:
        with server() as running:
            return [
                told("the server", _about(running)),
                *_alone(running),
                *_crowds(running),
                *_leases(running),
                *_wakes(running),
            ]
    except EngineUnavailableError as error:
        return [told("on PostgreSQL", f"skipped: {error}")]


def _about(running: Server) -> str:
    with psycopg.connect(running.url()) as db:
        return "PostgreSQL " + db.execute("SHOW server_version").fetchone()[0]


def address(running: Server, name: str) -> str:
    return f"host={running.folder} user={USER} dbname={name}"


# --- one process ---


class Ours:
    def __init__(self, url: str, durability: str) -> None:
        self.swarm = Swarm.open(url, agent="a", swarm="s", durability=durability)
        self.records = self.swarm.records

    def put(self, number: int, item: object) -> None:
        self.records.put(key(number), item)

    def get(self, number: int) -> object:
        return self.records.get(key(number)).value


class RawGet:
    """All that a record holds, on our table, and its JSON."""

    SELECT = (
        "SELECT key, version, author, session, created_ms, updated_ms, expires_ms, provenance,"
        " value FROM records WHERE swarm = 's' AND key = %(key)s AND value IS NOT NULL"
    )

    def __init__(self, url: str) -> None:
        self.db = psycopg.connect(url, autocommit=True, prepare_threshold=0)

    def get(self, number: int) -> object:
        row = self.db.execute(self.SELECT, {"key": key(number)}).fetchone()
        return orjson.loads(row[8][1:-4])  # within a frame: its format, and its checksum


class LangGraph:
    def __init__(self, conninfo: str, durability: str) -> None:
        self.db = psycopg.connect(
            conninfo, autocommit=True, prepare_threshold=0, row_factory=dict_row
        )
        self.db.execute(f"SET synchronous_commit = {SYNCS[durability]}")
        self.db.execute("SET client_min_messages = warning")
        self.store = PostgresStore(self.db)
        self.store.setup()

    def put(self, number: int, item: object) -> None:
        self.store.put(("swarm-s", "agent-a", "knowledge"), f"item-{number:05}", item)

    def get(self, number: int) -> object:
        return self.store.get(("swarm-s", "agent-a", "knowledge"), f"item-{number:05}").value


def key(number: int) -> str:
    return f"swarm-s/agent-a/knowledge/item-{number:05}"


def _alone(running: Server) -> list[Figure]:
    return [figure for durability in SYNCS for figure in _put_and_get(running, durability)]


def _put_and_get(running: Server, durability: str) -> list[Figure]:
    url = running.url(f"alone_{durability}")
    puts = {
        "ours": Ours(url, durability),
        "raw": Postgres(running.folder, durability, f"raw-{durability}"),
        "at once": PostgresAtOnce(running.folder, durability, f"once-{durability}"),
    }
    with psycopg.connect(address(running, "postgres"), autocommit=True) as db:
        db.execute(f'CREATE DATABASE "graph-{durability}"')
    puts["langgraph"] = LangGraph(address(running, f"graph-{durability}"), durability)
    gets = {"ours": puts["ours"], "raw": RawGet(url), "langgraph": puts["langgraph"]}
    items = [value(number) for number in range(KEYS)]
    for subject in puts.values():
        for number in range(KEYS):
            subject.put(number, items[number])
    put_rows, get_rows = [], []
    for _ in range(ROUNDS):
        put_rows.append({name: _rate(s.put, items) for name, s in puts.items()})
        get_rows.append({name: _rate(s.get) for name, s in gets.items()})
    puts["ours"].swarm.close()
    return _alone_figures(CLASSES[durability], put_rows, get_rows)


def _rate(call: Callable[..., object], items: list[object] | None = None) -> float:
    """Return calls per second."""

    def calls() -> None:
        for number in range(CALLS):
            if items is None:
                call(number % KEYS)
            else:
                call(number % KEYS, items[(number + 1) % KEYS])

    return 1 / timed(calls, CALLS)


def _alone_figures(which: str, puts: Rows, gets: Rows) -> list[Figure]:
    figures = [
        versus(f"put ({which}) against the same statements, one by one", puts, "raw", 0.7),
        versus(f"put ({which}) against the same statements at once", puts, "at once", 0.7),
        versus(f"put ({which}) against LangGraph's PostgresStore", puts, "langgraph", 1.0),
    ]
    if which == "D":  # a get waits for no disk, so it has no class
        figures += [
            versus("get against a raw SELECT of all that a record holds", gets, "raw", 0.8),
            versus("get against LangGraph's PostgresStore", gets, "langgraph", 1.5),
        ]
    return figures


def versus(what: str, rows: Rows, peer: str, goal: float | None) -> Figure:
    """Compare the rates of ours and of a peer."""
    ours, theirs = (statistics.median(row[name] for row in rows) for name in ("ours", peer))
    note = f"{1e6 / ours:,.0f} against {1e6 / theirs:,.0f} µs"
    measured = ratio(rows, "ours", peer)
    if goal is None:
        return told(what, f"{measured:.2f} ×", note)
    return at_least(what, measured, goal, note)


# --- eight writers ---


class Share(NamedTuple):
    puts: int
    longest_ms: float


def writer(place: str, durability: str, number: int) -> Callable[[], Share]:
    """Put for a while."""
    subject = Ours(place, durability)
    items = [value(number * KEYS_EACH + n) for n in range(KEYS_EACH)]

    def go() -> Share:
        count, longest, now = 0, 0.0, time.monotonic()
        end = now + CROWD_S
        while now < end:
            began = now
            subject.put(number * KEYS_EACH + count % KEYS_EACH, items[count % KEYS_EACH])
            count += 1
            now = time.monotonic()
            longest = max(longest, now - began)
        return Share(count, 1000 * longest)

    return go


def _crowds(running: Server) -> list[Figure]:
    figures = []
    for durability, which in CLASSES.items():
        rows, shares = [], []
        for number in range(CROWD_ROUNDS):
            print(f"  writers {which}, round {number + 1} of {CROWD_ROUNDS}", flush=True)
            row, found = _crowd_round(running, durability, number)
            rows.append(row)
            shares.append(found)
        figures += _crowd_figures(which, rows, shares)
    return figures


def _crowd_round(
    running: Server, durability: str, number: int
) -> tuple[dict[str, float], list[Share]]:
    """Return the puts a second of each subject, and what each of our processes did."""
    url = running.url(f"crowd_{durability}_{number}")
    Ours(url, durability).swarm.close()
    shares = crowd(*((writer, (url, durability, n)) for n in range(CROWD)))
    row = {"ours": sum(share.puts for share in shares) / CROWD_S}
    for name, turns in (("pgbench", False), ("turns", True)):
        database = f"{name}-{durability}-{number}"
        Postgres(running.folder, durability, database).db.close()
        bench = Pgbench(address(running, database), CROWD, KEYS_EACH)
        row[name] = bench.rate(CROWD_S, SYNCS[durability], turns=turns)
    return row, shares


def _crowd_figures(which: str, rows: Rows, shares: list[list[Share]]) -> list[Figure]:
    fairness = statistics.median(
        min(s.puts for s in found) / max(s.puts for s in found) for found in shares
    )
    longest = statistics.median(max(s.longest_ms for s in found) for found in shares)
    ours, peer = (statistics.median(row[name] for row in rows) for name in ("ours", "pgbench"))
    what = f"{CROWD} writers ({which})"
    return [
        at_least(
            f"{what}, puts against pgbench with the same statements",
            ratio(rows, "ours", "pgbench"),
            0.7,
            f"{ours:,.0f} against {peer:,.0f} a second; pgbench is written in C",
        ),
        told(
            f"{what} against pgbench that takes turns as ours do",
            f"{ratio(rows, 'ours', 'turns'):.2f} ×",
            f"{statistics.median(row['turns'] for row in rows):,.0f} a second",
        ),
        told(f"{what}: fairness, fewest / most", f"{fairness:.2f}", f"longest {longest:.0f} ms"),
    ]


# --- leases ---


class RawLease:
    """One upsert takes the row and counts its fence, if nobody has it."""

    TAKE = (
        "INSERT INTO pairs AS p VALUES ('x', 'a', 1, %(until)s) ON CONFLICT (name) DO UPDATE SET"
        " owner = excluded.owner, fence = p.fence + 1, expires_ms = excluded.expires_ms"
        " WHERE p.owner IS NULL OR p.expires_ms <= %(now)s RETURNING fence"
    )
    FREE = "UPDATE pairs SET owner = NULL WHERE name = 'x' AND owner = 'a' AND fence = %(fence)s"

    def __init__(self, conninfo: str) -> None:
        self.db = psycopg.connect(conninfo, autocommit=True, prepare_threshold=0)
        self.db.execute("SET synchronous_commit = off")
        self.db.execute(
            "CREATE TABLE pairs (name text PRIMARY KEY, owner text, fence bigint NOT NULL,"
            " expires_ms bigint NOT NULL)"
        )

    def pair(self) -> None:
        now = int(time.time() * 1000)
        took = self.db.execute(self.TAKE, {"now": now, "until": now + 30_000}).fetchone()
        self.db.execute(self.FREE, {"fence": took[0]})


class OurLease:
    def __init__(self, url: str) -> None:
        self.leases = Swarm.open(url, agent="a", swarm="s", durability="relaxed").leases

    def pair(self) -> None:
        self.leases.acquire("x", ttl_s=30).release()


def _leases(running: Server) -> list[Figure]:
    locks = {
        "ours": OurLease(running.url("leases")),
        "raw": RawLease(address(running, "postgres")),
    }
    rows = []
    for number in range(ROUNDS + 1):
        row = {}
        for name, lock in locks.items():
            row[name] = 1 / timed(lambda lock=lock: [lock.pair() for _ in range(PAIRS)], PAIRS)
        rows += [row] if number else []  # the first round prepares statements
    return [versus("lease acquire + release (P) against a raw pair", rows, "raw", 0.7)]


# --- how soon ---


def our_watcher(url: str) -> Callable[[], list[float]]:
    """Return when each of the changes was seen."""
    swarm = Swarm.open(url, agent="w", swarm="s")

    def go() -> list[float]:
        seen: list[float] = []
        for _ in swarm.watch("swarm-s/", since=0):
            seen.append(time.monotonic())
            if len(seen) == PACED:
                break
        return seen

    return go


def raw_watcher(conninfo: str) -> Callable[[], list[float]]:
    """The same on a raw connection: told of a change, it reads the change log from where it was."""
    db = psycopg.connect(conninfo, autocommit=True, prepare_threshold=0)
    db.execute("LISTEN wake")

    def go() -> list[float]:
        seen: list[float] = []
        newest, end = 0, time.monotonic() + LIMIT_S
        while len(seen) < PACED and time.monotonic() < end:
            for _ in db.notifies(timeout=1, stop_after=1):
                pass
            rows = db.execute(
                "SELECT seq, key, version, op, author, at_ms FROM events"
                " WHERE seq > %(newest)s ORDER BY seq",
                {"newest": newest},
            ).fetchall()
            newest = rows[-1][0] if rows else newest
            seen += [time.monotonic()] * len(rows)
        return seen

    return go


def bare_listener(conninfo: str) -> Callable[[], list[float]]:
    """The least: a notification that nothing was written for."""
    db = psycopg.connect(conninfo, autocommit=True)
    db.execute("LISTEN wake")

    def go() -> list[float]:
        return [time.monotonic() for _ in db.notifies(timeout=LIMIT_S, stop_after=PACED)]

    return go


def our_writer(url: str) -> Callable[[], list[float]]:
    records = Swarm.open(url, agent="a", swarm="s", durability="relaxed").records
    return _paced(lambda number: records.put(key(number), BODY))


def raw_writer(folder: str, name: str) -> Callable[[], list[float]]:
    subject = Postgres(folder, "relaxed", name)

    def put(number: int) -> None:
        subject.put(number, BODY)
        subject.db.execute("NOTIFY wake")

    return _paced(put)


def bare_notifier(conninfo: str) -> Callable[[], list[float]]:
    db = psycopg.connect(conninfo, autocommit=True)
    return _paced(lambda _: db.execute("NOTIFY wake"))


def _paced(call: Callable[[int], object]) -> Callable[[], list[float]]:
    """Call now and then; return when each call began."""

    def go() -> list[float]:
        time.sleep(SETTLE_S)
        begun = []
        for number in range(PACED):
            time.sleep(PACE_S)
            begun.append(time.monotonic())
            call(number)
        return begun

    return go


def _wakes(running: Server) -> list[Figure]:
    rows, tails = [], []
    for number in range(WAKE_ROUNDS):
        url = running.url(f"watched_{number}")
        Ours(url, "relaxed").swarm.close()
        name = f"watched-{number}"
        Postgres(running.folder, "relaxed", name).db.close()
        place = address(running, name)
        late = {
            "ours": _late((our_writer, (url,)), (our_watcher, (url,))),
            "raw": _late((raw_writer, (running.folder, name)), (raw_watcher, (place,))),
            "bare": _late((bare_notifier, (place,)), (bare_listener, (place,))),
        }
        rows.append({name: percentile(found, 0.5) for name, found in late.items()})
        tails.append(percentile(late["ours"], 0.99))
    ours, raw, bare = (statistics.median(r[name] for r in rows) for name in ("ours", "raw", "bare"))
    return [
        at_most(
            "a watcher sees a put (P) after, p50, against raw statements with LISTEN and NOTIFY",
            ratio(rows, "ours", "raw"),
            2,
            f"{ours:.2f} against {raw:.2f} ms, p99 {statistics.median(tails):.1f} ms",
        ),
        told("a bare NOTIFY that nothing is written for, p50", f"{bare:.2f} ms"),
    ]


def _late(sends: Job, sees: Job) -> list[float]:
    """Return after how many ms each change was seen."""
    begun, seen = crowd(sends, sees)
    return [1000 * (at - since) for since, at in zip(begun, seen, strict=True)]
