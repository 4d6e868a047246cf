"""Leases, changes and increments between processes, against raw SQLite, filelock, redis

All in the class that survives a killed process, not power loss: relaxed here, WAL with NORMAL
sync for raw apsw, everysec for redis. The redis server runs on the same cores as its clients. The
raw lease is a row with a fencing number that whoever asks first gets; ours are taken in turn.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator

import apsw

from processes import crowd
from records import SameStatements
from subjects import at_least, ratio, timed, told
from swarm_memory import Swarm
from swarm_memory.errors import ConflictError

try:
    import filelock
except ImportError:
    filelock = None
try:
    import redis
except ImportError:
    redis = None

PAIRS, PAIR_ROUNDS = 400, 9
ROUNDS = 3
CROWD = 8
HOLD_S = 0.001
CROWD_S = 1.5
BODY_BYTES = 400
PACED, PACE_S = 300, 0.005
IDLE_S = 4.0
LIMIT_S = 60.0

Rows = list[dict[str, float]]
Figure = dict[str, object]


def run() -> list[Figure]:
    folder = tempfile.mkdtemp(prefix="bench-coordination-")
    try:
        with redis_server(folder) as port:
            return [
                *_alone(folder, port),
                *_contended(folder),
                *_changes(folder),
                *_increments(folder),
            ]
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def redis_server(folder: str) -> Iterator[int | None]:
    """Run a server of our own on a free loopback port; None if it or its client is missing."""
    if redis is None or shutil.which("redis-server") is None:
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = f"port {port}\nbind 127.0.0.1\ndir {folder}\nlogfile redis.log\n"
    settings += 'appendonly yes\nappendfsync everysec\nsave ""\n'
    server = subprocess.Popen(
        ["redis-server", "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    try:
        with server.stdin as config:
            config.write(settings)
        client = redis.Redis(port=port)
        deadline = time.monotonic() + LIMIT_S
        while True:
            with contextlib.suppress(redis.ConnectionError):
                client.ping()
                break
            if time.monotonic() > deadline:
                raise TimeoutError("redis-server did not start")
            time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        server.wait()


def open_relaxed(url: str, agent: str = "a") -> Swarm:
    return Swarm.open(url, agent=agent, swarm="s", durability="relaxed")


def open_raw(path: str) -> apsw.Connection:
    db = apsw.Connection(path)
    db.set_busy_timeout(10_000)
    db.pragma("journal_mode", "wal")
    db.pragma("synchronous", 1)
    return db


def now_ms() -> int:
    return int(time.time() * 1000)


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def speed(what: str, rows: Rows, subject: str, reference: str, goal: float) -> Figure:
    """Compare two rates, if the reference could run."""
    if reference not in rows[0]:
        return told(what, f"skipped: {reference.split()[0]} is not installed")
    return at_least(what, ratio(rows, subject, reference), goal)


def bound(what: str, value: float, goal: float, unit: str, note: str = "") -> Figure:
    return {
        "what": what,
        "value": f"{value:.2f} {unit}",
        "goal": f"≤ {goal:g} {unit}",
        "reached": value <= goal,
        "note": note,
    }


# --- leases ---


class Held:
    """A lease that is held for a while: a step tells the wait and the hold in ms."""

    def step(self) -> tuple[float, float]:
        asked = time.monotonic()
        self.acquire()
        got = time.monotonic()
        time.sleep(HOLD_S)
        freed = time.monotonic()
        self.release()
        return 1000 * (got - asked), 1000 * (freed - got)


class OurLease(Held):
    def __init__(self, place: str, owner: str) -> None:
        self.leases = open_relaxed(f"sqlite:///{place}", owner).leases

    def acquire(self) -> None:
        self.lease = self.leases.acquire("x", ttl_s=30, wait_s=LIMIT_S)

    def release(self) -> None:
        self.lease.release()


class RawLease(Held):
    """One upsert takes the row and counts its fence, if nobody has it; pollers barge."""

    TAKE = (
        "INSERT INTO leases VALUES (?1, ?2, 1, ?3) ON CONFLICT (name) DO UPDATE SET"
        " owner = excluded.owner, fence = fence + 1, expires_ms = excluded.expires_ms"
        " WHERE owner IS NULL OR expires_ms <= ?4 RETURNING fence"
    )
    FREE = "UPDATE leases SET owner = NULL WHERE name = ?1 AND owner = ?2 AND fence = ?3"

    def __init__(self, place: str, owner: str, *, begin: bool = False) -> None:
        db = open_raw(place)
        db.execute(
            "CREATE TABLE IF NOT EXISTS leases (name TEXT PRIMARY KEY, owner TEXT,"
            " fence INTEGER NOT NULL, expires_ms INTEGER NOT NULL)"
        )
        self.execute, self.owner, self.begin = db.cursor().execute, owner, begin

    def acquire(self) -> None:
        while not (rows := self._write(self.TAKE, ("x", self.owner, now_ms() + 30_000, now_ms()))):
            time.sleep(random.uniform(0.0005, 0.0015))
        self.fence = rows[0][0]

    def release(self) -> None:
        self._write(self.FREE, ("x", self.owner, self.fence))

    def _write(self, sql: str, parameters: tuple[object, ...]) -> list[tuple[int]]:
        if not self.begin:
            return self.execute(sql, parameters).fetchall()
        self.execute("BEGIN IMMEDIATE")
        rows = self.execute(sql, parameters).fetchall()
        self.execute("COMMIT")
        return rows


def _alone(folder: str, port: int | None) -> list[Figure]:
    locks = {
        "ours": OurLease(f"{folder}/lease.db", "a"),
        "raw": RawLease(f"{folder}/raw.db", "a"),
        "begun": RawLease(f"{folder}/begun.db", "a", begin=True),
    }
    if filelock is not None:
        locks["filelock"] = filelock.FileLock(f"{folder}/file.lock")
    if port is not None:
        locks["redis"] = redis.Redis(port=port).lock("x", timeout=30)

    def pairs(lock) -> None:
        for _ in range(PAIRS):
            lock.acquire()
            lock.release()

    for lock in locks.values():
        pairs(lock)
    rows = [
        {name: 1 / timed(lambda lock=lock: pairs(lock), PAIRS) for name, lock in locks.items()}
        for _ in range(PAIR_ROUNDS)
    ]
    return [
        speed("acquire + release alone, against the raw pair", rows, "ours", "raw", 0.8),
        told(
            "the same, against the raw pair in BEGIN IMMEDIATE … COMMIT",
            f"{ratio(rows, 'ours', 'begun'):.2f} ×",
        ),
        speed("the same, against filelock", rows, "ours", "filelock", 1.5),
        speed("the same, against the Lock of redis-py", rows, "ours", "redis", 3),
    ]


def repeat(kind: type, place: str, owner: str) -> Callable[[], list[object]]:
    """Do the step of a lease or a counter for a while; return what each returned."""
    step = kind(place, owner).step

    def go() -> list[object]:
        done, end = [], time.monotonic() + CROWD_S
        while time.monotonic() < end:
            done.append(step())
        return done

    return go


def _crowd_of(kind: type, place: str) -> list[list[object]]:
    kind(place, "setup")
    return crowd(*((repeat, (kind, place, f"a{number}")) for number in range(CROWD)))


def _contended(folder: str) -> list[Figure]:
    rows, waits, holds, fairness = [], [], [], []
    for number in range(ROUNDS):
        raw = _crowd_of(RawLease, f"{folder}/crowd-raw-{number}.db")
        ours = _crowd_of(OurLease, f"{folder}/crowd-{number}.db")
        rows.append({"raw": sum(map(len, raw)), "ours": sum(map(len, ours))})
        fairness.append(min(map(len, ours)) / max(map(len, ours)))
        waits.append(percentile([wait for each in ours for wait, _ in each], 0.99))
        holds += [hold for each in ours for _, hold in each]
    mean = f"a hold took {statistics.mean(holds):.2f} ms"
    return [
        speed("8 processes that hold 1 ms, against barging raw pairs", rows, "ours", "raw", 0.3),
        at_least("fairness among them, fewest / most", statistics.median(fairness), 0.8),
        bound("p99 wait of one", statistics.median(waits), 3 * 1000 * HOLD_S * CROWD, "ms", mean),
    ]


# --- how soon ---


def sender(
    queue: type, place: tuple[object, ...], count: int, size: int, pace_s: float = 0
) -> Callable[[], float]:
    """Send messages of 400 bytes that say when they were sent; return when it began."""
    send = queue(*place).send

    def go() -> float:
        began = time.monotonic()
        for _ in range(count // size):
            if pace_s:
                time.sleep(pace_s)
            send([f"{time.monotonic():<{BODY_BYTES}}"] * size)
        return began

    return go


class Writer:
    """Writes a record where a queue sends."""

    def __init__(self, url: str) -> None:
        self.records = open_relaxed(url, "writer").records

    def send(self, bodies: list[str]) -> None:
        self.records.put("swarm-s/agent-writer/knowledge/at", bodies[0])


def watcher(url: str) -> Callable[[], tuple[list[float], float]]:
    swarm = open_relaxed(url, "watcher")

    def go() -> tuple[list[float], float]:
        late: list[float] = []
        for event in swarm.watch("swarm-s/", since=0):
            at = float(swarm.records.get(event.key).value)
            late.append(1000 * (time.monotonic() - at))
            if len(late) == PACED:
                break
        began = time.process_time()
        for _ in swarm.watch("swarm-s/", timeout_s=IDLE_S):
            pass
        return late, 100 * (time.process_time() - began) / IDLE_S

    return go


def _changes(folder: str) -> list[Figure]:
    url = f"sqlite:///{folder}/watched.db"
    open_relaxed(url).close()
    late, idle = crowd((sender, (Writer, (url,), PACED, 1, PACE_S)), (watcher, (url,)))[1]
    return [
        bound("a change is seen by a watcher after, p50", percentile(late, 0.5), 2, "ms"),
        bound("the same, p99", percentile(late, 0.99), 20, "ms"),
        bound("a watcher while nothing happens, of a core", idle, 1, "%"),
    ]


# --- increments ---


class OurCounter:
    """Read, add one, write back what was read: in one transaction, as the raw loop does."""

    KEY = "swarm-s/shared/counter"
    durability = "relaxed"

    def __init__(self, place: str, owner: str) -> None:
        self.swarm = Swarm.open(
            f"sqlite:///{place}", agent=owner, swarm="s", durability=self.durability
        )
        if owner == "setup":
            self.swarm.records.put(self.KEY, 0)

    def step(self) -> bool:
        self.swarm.transact(self.count)
        return True

    def count(self, tx) -> None:
        tx.records.put(self.KEY, tx.records.get(self.KEY).value + 1)


class OurDurableCounter(OurCounter):
    durability = "full"


class OurOptimisticCounter(OurCounter):
    """Read, and write if nobody did meanwhile: two transactions, and some in vain."""

    def step(self) -> bool:
        records = self.swarm.records
        record = records.get(self.KEY)
        try:
            records.put(self.KEY, record.value + 1, expect=record.version, on_conflict="reject")
        except ConflictError:
            return False
        return True


class RawCounter:
    synchronous = 1

    def __init__(self, place: str, owner: str) -> None:
        db = open_raw(place)
        db.pragma("synchronous", self.synchronous)
        self.execute = db.cursor().execute
        if owner == "setup":
            self.execute("CREATE TABLE counter (value); INSERT INTO counter VALUES (0)")

    def step(self) -> bool:
        self.execute("BEGIN IMMEDIATE")
        value = self.execute("SELECT value FROM counter").fetchall()[0][0]
        self.execute("UPDATE counter SET value = ?", (value + 1,))
        self.execute("COMMIT")
        return True


class RawDurableCounter(RawCounter):
    synchronous = 2


class StatementsCounter:
    """The statements of a put, with nothing around them: what version, history and feed cost."""

    durability = "relaxed"

    def __init__(self, place: str, owner: str) -> None:
        folder, _, name = place.rpartition("/")
        self.statements = SameStatements(folder, self.durability, name.removesuffix(".db"))
        self.statements.db.set_busy_timeout(10_000)

    def step(self) -> bool:
        self.statements.put(0, 0)
        return True


class DurableStatementsCounter(StatementsCounter):
    durability = "full"


COUNTERS = {
    "D": OurDurableCounter,
    "raw D": RawDurableCounter,
    "P": OurCounter,
    "optimistic": OurOptimisticCounter,
    "raw P": RawCounter,
    "statements D": DurableStatementsCounter,
    "statements P": StatementsCounter,
}


def _increments(folder: str) -> list[Figure]:
    rows, lost, tries, made = [], 0, 0, 0
    for number in range(ROUNDS):
        row = {}
        for name, kind in COUNTERS.items():
            place = f"{folder}/count-{kind.__name__}-{number}.db"
            steps = _crowd_of(kind, place)
            row[name] = sum(map(sum, steps))
            if issubclass(kind, OurCounter):
                lost += row[name] - kind(place, "reader").swarm.records.get(kind.KEY).value
            if name == "optimistic":
                tries, made = tries + sum(map(len, steps)), made + row[name]
        rows.append(row)
    what = "8 processes count one record up"
    return [
        speed(f"{what} (D), against raw BEGIN IMMEDIATE and FULL", rows, "D", "raw D", 0.5),
        speed(f"{what} (P), against raw BEGIN IMMEDIATE", rows, "P", "raw P", 0.5),
        told(
            "the statements of a put in that loop, D and P",
            f"{ratio(rows, 'statements D', 'raw D'):.2f} × "
            f"and {ratio(rows, 'statements P', 'raw P'):.2f} ×",
            "a version, a history and an event each, with nothing around them",
        ),
        told("the same by get + put(expect=)", f"{ratio(rows, 'optimistic', 'raw P'):.2f} ×"),
        told("of those writes no other came first for", f"{100 * made / tries:.0f} %"),
        bound("increments lost", lost, 0, ""),
    ]
