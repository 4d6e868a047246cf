"""Messages between processes, against redis and the least that SQLite has to do

All in the class that survives a killed process, not power loss: relaxed here, WAL with NORMAL
sync for raw apsw, everysec for redis, whose server runs on the same cores as its clients. Beside
it the class that survives power loss, too, which is compared with nothing.
"""

from __future__ import annotations

import contextlib
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable

import orjson  # noqa: F401 a process that stays has loaded it; it takes 20 ms

from coordination import (
    CROWD,
    LIMIT_S,
    PACE_S,
    PACED,
    ROUNDS,
    Figure,
    Rows,
    bound,
    now_ms,
    open_raw,
    open_relaxed,
    percentile,
    redis,
    redis_server,
    sender,
    speed,
)
from processes import crowd
from subjects import ratio, told
from swarm_memory import Swarm
from swarm_memory.messages import Message

MESSAGES, SPREAD, BATCH = 8000, 2000, 10


def run() -> list[Figure]:
    folder = tempfile.mkdtemp(prefix="bench-messages-")
    try:
        with redis_server(folder) as port:
            return [*_messages(folder, port), *_latency(folder, port)]
    finally:
        shutil.rmtree(folder)


class OurQueue:
    """Acknowledges a batch with the claim of the next one, as our Dispatcher does."""

    durability = "relaxed"

    def __init__(self, url: str, agent: str, topic: str | None) -> None:
        swarm = Swarm.open(url, agent=agent, swarm="s", durability=self.durability)
        self.messages, self.topic = swarm.messages, topic
        self.done: list[Message] = []

    def send(self, bodies: list[object]) -> None:
        self.messages.send_many(bodies, topic=self.topic)

    def receive(self) -> list[object]:
        done = self.done
        self.done = self.messages.claim(self.topic, limit=BATCH, wait_s=LIMIT_S, done=done)
        return [message.body for message in self.done]

    def finish(self) -> None:
        self.messages.ack(*self.done)


class OurDurableQueue(OurQueue):
    durability = "full"


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
        self.db = open_raw(path)
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
            open_relaxed(url).close()
            row[name] = _rate(OurQueue, MESSAGES, size, place, place)
            if port is not None:
                place = (port, "g", f"{name}-{number}")
                row[f"redis {name}"] = _rate(RedisQueue, MESSAGES, size, place, place)
        agents = [(url, f"a{n}", None) for n in range(CROWD)]
        row["all"] = _rate(OurQueue, SPREAD, BATCH, (url, "sender", None), *agents)
        place = (url, "a", "durable work")
        row["ten (D)"] = _rate(OurDurableQueue, MESSAGES, BATCH, place, place)
        row["all (D)"] = _rate(OurDurableQueue, SPREAD, BATCH, (url, "sender", None), *agents)
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

    def per_second(subject: str) -> str:
        return f"{statistics.median(row[subject] for row in rows):,.0f}"

    return [
        speed("messages 1:1, sent, claimed and acked by 10", rows, "ten", "redis ten", 2),
        told("the same per second", per_second("ten")),
        told("the same per second (D)", per_second("ten (D)")),
        told_speed("the same, of the least that SQLite has to do", "ten", "floor ten"),
        told_speed("that least, against redis", "floor ten", "redis ten"),
        told_speed(
            "the same, against redis with XACK in the next XREADGROUP", "ten", "redis piped"
        ),
        speed("messages 1:1, sent one by one", rows, "one", "redis one", 2),
        speed("messages 1:8, to everyone, by 10", rows, "all", "redis all", 2.5),
        told("the same per second, to all", per_second("all")),
        told("the same per second, to all (D)", per_second("all (D)")),
        told_speed("the same, of the least that SQLite has to do", "all", "floor all"),
        told_speed("that least, against redis", "floor all", "redis all"),
    ]


def _latency(folder: str, port: int | None) -> list[Figure]:
    url = f"sqlite:///{folder}/paced.db"
    open_relaxed(url).close()
    late = _late(OurQueue, (url, "a", "work"))
    note = f"p99 {percentile(late, 0.99):.1f} ms"
    if port is not None:
        peer = _late(RedisQueue, (port, "g", "paced"))
        note += f"; redis {percentile(peer, 0.5):.2f} and {percentile(peer, 0.99):.1f} ms"
    what = "a message is claimed and acked after, p50"
    return [bound(what, percentile(late, 0.5), 2, "ms", note)]


def _late(queue: type, place: tuple[object, ...]) -> list[float]:
    sends = (sender, (queue, place, PACED, 1, PACE_S))
    return crowd(sends, (receiver, (queue, place, PACED)))[1][1]
