"""Leases, messages, changes and increments between processes, against raw SQLite, filelock, redis

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
import orjson  # noqa: F401 a process that stays has loaded it; it takes 20 ms

from processes import crowd
from subjects import at_least, ratio, timed, told
from swarm_memory import Swarm
from swarm_memory.errors import ConflictError
from swarm_memory.messages import Message

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
MESSAGES, SPREAD, BATCH = 8000, 2000, 10
BODY_BYTES = 400
PACED, PACE_S = 300, 0.005
IDLE_S = 4.0
LIMIT_S = 60.0

Rows = list[dict[str, float]]
Figure = dict[str, object]


def run() -> list[Figure]:
    folder = tempfile.mkdtemp(prefix="bench-coordination-")
    try:
        with _redis(folder) as port:
            return [
                *_alone(folder, port),
                *_contended(folder),
                *_messages(folder, port),
                *_latency(folder, port),
                *_changes(folder),
                *_increments(folder),
            ]
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def _redis(folder: str) -> Iterator[int | None]:
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


def _open(url: str, agent: str = "a") -> Swarm:
    return Swarm.open(url, agent=agent, swarm="s", durability="relaxed")


def _raw(path: str) -> apsw.Connection:
    db = apsw.Connection(path)
    db.set_busy_timeout(10_000)
    db.pragma("journal_mode", "wal")
    db.pragma("synchronous", 1)
    return db


def now_ms() -> int:
    return int(time.time() * 1000)


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _speed(what: str, rows: Rows, subject: str, reference: str, goal: float) -> Figure:
    """Compare two rates, if the reference could run."""
    if reference not in rows[0]:
        return told(what, f"skipped: {reference.split()[0]} is not installed")
    return at_least(what, ratio(rows, subject, reference), goal)


def _bound(what: str, value: float, goal: float, unit: str, note: str = "") -> Figure:
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
        self.leases = _open(f"sqlite:///{place}", owner).leases

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
        db = _raw(place)
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
        _speed("acquire + release alone, against the raw pair", rows, "ours", "raw", 0.8),
        told(
            "the same, against the raw pair in BEGIN IMMEDIATE … COMMIT",
            f"{ratio(rows, 'ours', 'begun'):.2f} ×",
        ),
        _speed("the same, against filelock", rows, "ours", "filelock", 1.5),
        _speed("the same, against the Lock of redis-py", rows, "ours", "redis", 3),
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
        waits.append(_percentile([wait for each in ours for wait, _ in each], 0.99))
        holds += [hold for each in ours for _, hold in each]
    mean = f"a hold took {statistics.mean(holds):.2f} ms"
    return [
        _speed("8 processes that hold 1 ms, against barging raw pairs", rows, "ours", "raw", 0.3),
        at_least("fairness among them, fewest / most", statistics.median(fairness), 0.8),
        _bound("p99 wait of one", statistics.median(waits), 3 * 1000 * HOLD_S * CROWD, "ms", mean),
    ]


# --- messages ---


class OurQueue:
    """Acknowledges a batch with the claim of the next one, as our Dispatcher does."""

    def __init__(self, url: str, agent: str, topic: str | None) -> None:
        self.messages, self.topic = _open(url, agent).messages, topic
        self.done: list[Message] = []

    def send(self, bodies: list[object]) -> None:
        self.messages.send_many(bodies, topic=self.topic)

    def receive(self) -> list[object]:
        done = self.done
        self.done = self.messages.claim(self.topic, limit=BATCH, wait_s=LIMIT_S, done=done)
        return [message.body for message in self.done]

    def finish(self) -> None:
        self.messages.ack(*self.done)


class RawQueue:
    """The least that SQLite has to do: a log, a cursor and a run in hand, and no questions.

    No order but that of the log, no second attempt, nothing checked: a floor, not a queue.
    """

    TABLES = """
        CREATE TABLE IF NOT EXISTS log
            (seq INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT, id TEXT, sent_ms INT, body TEXT);
        CREATE INDEX IF NOT EXISTS log_queue ON log (queue, seq);
        CREATE TABLE IF NOT EXISTS cursors (reader TEXT PRIMARY KEY, seq INT) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS hands (reader TEXT, first INT, last INT, until_ms INT,
            PRIMARY KEY (reader, first)) WITHOUT ROWID
    """

    def __init__(self, path: str, reader: str, topic: str | None) -> None:
        self.db = _raw(path)
        self.db.execute(self.TABLES)
        self.execute = self.db.cursor().execute
        self.reader, self.topic, self.seq = reader, topic, 0
        self.hand: tuple[int, int] | None = None

    def send(self, bodies: list[object]) -> None:
        now = now_ms()
        rows = [(self.topic, f"{now}-{n}", now, body) for n, body in enumerate(bodies)]
        self.execute("BEGIN IMMEDIATE")
        self.db.executemany("INSERT INTO log (queue, id, sent_ms, body) VALUES (?, ?, ?, ?)", rows)
        self.execute("COMMIT")

    def receive(self) -> list[object]:
        self.execute("BEGIN IMMEDIATE")
        self._done()
        rows = self.execute(
            "SELECT seq, id, sent_ms, body FROM log WHERE queue IS ? AND seq > ? ORDER BY seq"
            " LIMIT ?",
            (self.topic, self.seq, BATCH),
        ).fetchall()
        if rows:
            self.hand, self.seq = (rows[0][0], rows[-1][0]), rows[-1][0]
            self.execute(
                "INSERT INTO hands VALUES (?, ?, ?, ?)",
                (self.reader, *self.hand, now_ms() + 60_000),
            )
            self.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (self.reader, self.seq))
        self.execute("COMMIT")
        if not rows:
            time.sleep(0.0005)
        return [row[3] for row in rows]

    def finish(self) -> None:
        self._done()

    def _done(self) -> None:
        if self.hand is None:
            return
        self.execute(
            "DELETE FROM hands WHERE reader = ? AND first = ?", (self.reader, self.hand[0])
        )
        if self.topic is not None:
            self.execute(
                "DELETE FROM log WHERE queue = ? AND seq BETWEEN ? AND ?", (self.topic, *self.hand)
            )
        self.hand = None


class RedisQueue:
    """A stream; what is acknowledged stays in it, ours is deleted."""

    def __init__(self, port: int, group: str, stream: str) -> None:
        self.client, self.group, self.stream = redis.Redis(port=port), group, stream
        with contextlib.suppress(redis.ResponseError):  # it is there already
            self.client.xgroup_create(stream, group, id="0", mkstream=True)

    def send(self, bodies: list[object]) -> None:
        pipe = self.client.pipeline(transaction=False)
        for body in bodies:
            pipe.xadd(self.stream, {"body": body})
        pipe.execute()

    def receive(self) -> list[object]:
        client, stream = self.client, self.stream
        found = client.xreadgroup(self.group, "c", {stream: ">"}, count=BATCH, block=10_000)
        client.xack(stream, self.group, *(name for name, _ in found[0][1]))
        return [fields[b"body"] for _, fields in found[0][1]]

    def finish(self) -> None:
        """All is acknowledged."""


class PipedRedisQueue(RedisQueue):
    """Acknowledges a batch in the round trip that asks for the next one."""

    def __init__(self, port: int, group: str, stream: str) -> None:
        super().__init__(port, group, stream)
        self.done: list[bytes] = []

    def receive(self) -> list[object]:
        pipe = self.client.pipeline(transaction=False)
        if self.done:
            pipe.xack(self.stream, self.group, *self.done)
        pipe.xreadgroup(self.group, "c", {self.stream: ">"}, count=BATCH, block=10_000)
        messages = pipe.execute()[-1][0][1]
        self.done = [name for name, _ in messages]
        return [fields[b"body"] for _, fields in messages]

    def finish(self) -> None:
        self.client.xack(self.stream, self.group, *self.done)


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


def receiver(
    queue: type, place: tuple[object, ...], count: int
) -> Callable[[], tuple[float, list[float]]]:
    """Receive and acknowledge; return when it ended, and how many ms late each message was."""
    end = queue(*place)
    receive = end.receive

    def go() -> tuple[float, list[float]]:
        late: list[float] = []
        while len(late) < count:
            bodies, now = receive(), time.monotonic()
            late += [1000 * (now - float(body)) for body in bodies]
        end.finish()
        return time.monotonic(), late

    return go


def _rate(
    queue: type, count: int, size: int, source: tuple[object, ...], *ends: tuple[object, ...]
) -> float:
    """Return how many messages a second were sent, received and acknowledged."""
    receivers = [(receiver, (queue, end, count)) for end in ends]
    began, *ended = crowd((sender, (queue, source, count, size)), *receivers)
    return len(ends) * count / (max(end for end, _ in ended) - began)


def _messages(folder: str, port: int | None) -> list[Figure]:
    rows = []
    for number in range(ROUNDS):
        row = {}
        for name, size in (("one", 1), ("ten", BATCH)):
            url = f"sqlite:///{folder}/{name}-{number}.db"
            place = (url, "a", "work")
            _open(url).close()
            row[name] = _rate(OurQueue, MESSAGES, size, place, place)
            if port is not None:
                place = (port, "g", f"{name}-{number}")
                row[f"redis {name}"] = _rate(RedisQueue, MESSAGES, size, place, place)
        agents = [(url, f"a{n}", None) for n in range(CROWD)]
        row["all"] = _rate(OurQueue, SPREAD, BATCH, (url, "sender", None), *agents)
        floor = f"{folder}/floor-{number}.db"
        place = (floor, "a", "work")
        RawQueue(*place)
        row["floor ten"] = _rate(RawQueue, MESSAGES, BATCH, place, place)
        agents = [(floor, f"a{n}", None) for n in range(CROWD)]
        row["floor all"] = _rate(RawQueue, SPREAD, BATCH, (floor, "sender", None), *agents)
        if port is not None:
            groups = [(port, f"g{n}", f"all-{number}") for n in range(CROWD)]
            row["redis all"] = _rate(RedisQueue, SPREAD, BATCH, groups[0], *groups)
            place = (port, "g", f"piped-{number}")
            row["redis piped"] = _rate(PipedRedisQueue, MESSAGES, BATCH, place, place)
        rows.append(row)
    return _message_figures(rows)


def _message_figures(rows: Rows) -> list[Figure]:
    def told_speed(what: str, subject: str, reference: str) -> Figure:
        if reference not in rows[0]:
            return told(what, f"skipped: {reference.split()[0]} is not installed")
        return told(what, f"{ratio(rows, subject, reference):.2f} ×")

    rate = statistics.median(row["ten"] for row in rows)
    rate_all = statistics.median(row["all"] for row in rows)
    return [
        _speed("messages 1:1, sent, claimed and acked by 10", rows, "ten", "redis ten", 2),
        told("the same per second", f"{rate:,.0f}"),
        told_speed("the same, of the least that SQLite has to do", "ten", "floor ten"),
        told_speed("that least, against redis", "floor ten", "redis ten"),
        told_speed(
            "the same, against redis with XACK in the next XREADGROUP", "ten", "redis piped"
        ),
        _speed("messages 1:1, sent one by one", rows, "one", "redis one", 2),
        _speed("messages 1:8, to everyone, by 10", rows, "all", "redis all", 2.5),
        told("the same per second, to all", f"{rate_all:,.0f}"),
        told_speed("the same, of the least that SQLite has to do", "all", "floor all"),
        told_speed("that least, against redis", "floor all", "redis all"),
    ]


# --- how soon ---


def _latency(folder: str, port: int | None) -> list[Figure]:
    url = f"sqlite:///{folder}/paced.db"
    _open(url).close()
    late = _late(OurQueue, (url, "a", "work"))
    note = f"p99 {_percentile(late, 0.99):.1f} ms"
    if port is not None:
        peer = _late(RedisQueue, (port, "g", "paced"))
        note += f"; redis {_percentile(peer, 0.5):.2f} and {_percentile(peer, 0.99):.1f} ms"
    what = "a message is claimed and acked after, p50"
    return [_bound(what, _percentile(late, 0.5), 2, "ms", note)]


def _late(queue: type, place: tuple[object, ...]) -> list[float]:
    sends = (sender, (queue, place, PACED, 1, PACE_S))
    return crowd(sends, (receiver, (queue, place, PACED)))[1][1]


class Writer:
    """Writes a record where a queue sends."""

    def __init__(self, url: str) -> None:
        self.records = _open(url, "writer").records

    def send(self, bodies: list[str]) -> None:
        self.records.put("swarm-s/agent-writer/knowledge/at", bodies[0])


def watcher(url: str) -> Callable[[], tuple[list[float], float]]:
    swarm = _open(url, "watcher")

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
    _open(url).close()
    late, idle = crowd((sender, (Writer, (url,), PACED, 1, PACE_S)), (watcher, (url,)))[1]
    return [
        _bound("a change is seen by a watcher after, p50", _percentile(late, 0.5), 2, "ms"),
        _bound("the same, p99", _percentile(late, 0.99), 20, "ms"),
        _bound("a watcher while nothing happens, of a core", idle, 1, "%"),
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
        db = _raw(place)
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


COUNTERS = {
    "D": OurDurableCounter,
    "raw D": RawDurableCounter,
    "P": OurCounter,
    "optimistic": OurOptimisticCounter,
    "raw P": RawCounter,
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
        _speed(f"{what} (D), against raw BEGIN IMMEDIATE and FULL", rows, "D", "raw D", 0.5),
        _speed(f"{what} (P), against raw BEGIN IMMEDIATE", rows, "P", "raw P", 0.5),
        told("the same by get + put(expect=)", f"{ratio(rows, 'optimistic', 'raw P'):.2f} ×"),
        told("of those writes no other came first for", f"{100 * made / tries:.0f} %"),
        _bound("increments lost", lost, 0, ""),
    ]
