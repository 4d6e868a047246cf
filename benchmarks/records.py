"""Records against raw apsw and LangGraph's SqliteStore, one process

Raw apsw runs on a reused cursor with orjson. "The same statements" are the ones our put runs, on
our schema, with the checks, checksums and objects left out: what is above them is our own cost.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from unittest import mock

import apsw
import orjson
from langgraph.store.sqlite import SqliteStore

from subjects import at_least, at_most, ratio, timed, told, value
from swarm_memory import Swarm
from swarm_memory.engine import statements

ROUNDS = 9
KEYS = 1500
DURABLE = 150
LISTED = 42
SQL = statements.load()


class Ours:
    def __init__(self, folder: str, durability: str, name: str) -> None:
        url = f"sqlite:///{folder}/{name}.db"
        self.swarm = Swarm.open(url, agent="a", swarm="s", durability=durability)
        self.records = self.swarm.records

    def put(self, number: int, item: object) -> None:
        self.records.put(key(number), item)

    def get(self, number: int) -> object:
        return self.records.get(key(number)).value

    def list(self) -> list[object]:
        return [record.value for record in self.records.scan("swarm-s/agent-a/knowledge/list/")]

    def put_many(self, items: list[tuple[int, object]]) -> None:
        self.records.put_many([(key(number), item) for number, item in items])


class Raw:
    """A bare table: one upsert per put."""

    def __init__(self, folder: str, synchronous: int, name: str) -> None:
        self.db = apsw.Connection(f"{folder}/{name}.db")
        self.db.pragma("journal_mode", "wal")
        self.db.pragma("synchronous", synchronous)
        self.db.execute("CREATE TABLE kv (key TEXT PRIMARY KEY, version INTEGER, value BLOB)")
        self.execute = self.db.cursor().execute

    UPSERT = (
        "INSERT INTO kv VALUES (?, 1, ?) ON CONFLICT (key) DO UPDATE SET"
        " version = kv.version + 1, value = excluded.value"
    )

    def put(self, number: int, item: object) -> None:
        self.execute(self.UPSERT, (key(number), orjson.dumps(item)))

    SELECT = "SELECT version, value FROM kv WHERE key = ?"

    def get(self, number: int) -> object:
        rows = self.execute(self.SELECT, (key(number),))
        return orjson.loads(rows.fetchall()[0][1])

    def list(self) -> list[object]:
        low, high = "swarm-s/agent-a/knowledge/list/", "swarm-s/agent-a/knowledge/list0"
        rows = self.execute(
            "SELECT key, version, value FROM kv WHERE key >= ? AND key < ? ORDER BY key",
            (low, high),
        )
        return [orjson.loads(row[2]) for row in rows.fetchall()]


class SameStatements:
    """Our statements on our schema through raw apsw, with nothing around them."""

    def __init__(self, folder: str, durability: str, name: str) -> None:
        url = f"sqlite:///{folder}/{name}.db"
        Swarm.open(url, agent="a", swarm="s").close()
        self.db = apsw.Connection(f"{folder}/{name}.db")
        self.db.pragma("synchronous", {"full": 2, "relaxed": 1}[durability])
        self.db.pragma("cache_size", -8192)
        self.execute = self.db.cursor().execute

    def put(self, number: int, item: object) -> None:
        self.execute("BEGIN IMMEDIATE")
        self.statements(number, orjson.dumps(item))
        self.execute("COMMIT")

    def put_many(self, items: list[tuple[int, object]]) -> None:
        self.execute("BEGIN IMMEDIATE")
        for number, item in items:
            self.statements(number, orjson.dumps(item))
        self.execute("COMMIT")

    def statements(self, number: int, encoded: bytes) -> None:
        execute, name = self.execute, key(number)
        where = {"swarm": "s", "key": name}
        head = execute(SQL["record_head"], where).fetchall()
        version, history_id = 1, None
        grown, count = len(encoded) + len(name), 1
        if head:
            version, count = head[0][0] + 1, 0
            grown -= head[0][6] + len(name)
            if version % 10 == 0:
                execute(SQL["history_trim"], {**where, "keep": 9})
            history_id = execute(SQL["history_push"], where).fetchall()[0][0]
        else:
            execute(SQL["fact_get"], {"swarm": "s", "name": "version_floor"}).fetchall()
        row = {
            **where,
            "version": version,
            "scope": "agent-a",
            "category": "agent_knowledge",
            "telemetry": 0,
            "author": "a",
            "session": None,
            "provenance": None,
            "created_ms": 1_750_000_000_000,
            "updated_ms": 1_750_000_000_000,
            "expires_ms": 1_950_000_000_000,
            "history_id": history_id,
            "value": encoded,
        }
        execute(SQL["record_put"], row)
        event = {
            "version": version,
            "op": "put",
            "author": "a",
            "at_ms": 1_750_000_000_000,
            "scope": "agent-a",
            "category": "agent_knowledge",
            "telemetry": 0,
            "records": count,
            "bytes": grown,
        }
        seq = execute(SQL["event_append"], {**where, **event}).fetchall()[0][0]
        if seq % 256 == 0:
            execute(SQL["usage_fold"])
            execute(SQL["fact_set"], {"swarm": "", "name": "folded_seq", "value": seq})

    def get(self, number: int) -> object:
        rows = self.execute(SQL["record_get"], {"swarm": "s", "key": key(number)}).fetchall()
        return orjson.loads(rows[0][8])


class LangGraph:
    def __init__(self, folder: str, name: str, *, tuned: bool) -> None:
        db = sqlite3.connect(f"{folder}/{name}.db", check_same_thread=False, isolation_level=None)
        if tuned:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
        self.store = SqliteStore(db)
        self.store.setup()

    def put(self, number: int, item: object) -> None:
        self.store.put(("swarm-s", "agent-a", "knowledge"), f"item-{number:05}", item)

    def get(self, number: int) -> object:
        return self.store.get(("swarm-s", "agent-a", "knowledge"), f"item-{number:05}").value

    def list(self) -> list[object]:
        found = self.store.search(("swarm-s", "agent-a", "list"), limit=LISTED)
        return [item.value for item in found]


def key(number: int) -> str:
    folder = "list/" if number < 0 else ""
    return f"swarm-s/agent-a/knowledge/{folder}item-{abs(number):05}"


def run() -> list[dict[str, object]]:
    folder = tempfile.mkdtemp(prefix="bench-records-")
    # What is measured here are uncached gets; who comes after this has his cache.
    with mock.patch.dict(os.environ, {"SWARM_MEMORY_CACHE_BYTES_MAX": "0"}):
        try:
            return _run(folder)
        finally:
            shutil.rmtree(folder)


def _run(folder: str) -> list[dict[str, object]]:
    ours, raw = Ours(folder, "relaxed", "ours"), Raw(folder, 1, "raw")
    same, peer = SameStatements(folder, "relaxed", "same"), LangGraph(folder, "lg", tuned=True)
    durable, raw_full = Ours(folder, "full", "ours-full"), Raw(folder, 2, "raw-full")
    same_full = SameStatements(folder, "full", "same-full")
    shipped = LangGraph(folder, "lg-shipped", tuned=False)
    values = [value(number) for number in range(KEYS)]
    for number in range(1, LISTED + 1):
        ours.put(-number, values[number])
        raw.put(-number, values[number])
        peer.store.put(("swarm-s", "agent-a", "list"), f"item-{number}", values[number])

    def puts(subject: Ours, count: int) -> Callable[[], None]:
        return lambda: [subject.put(number, values[number]) for number in range(count)]

    def gets(subject: Ours) -> Callable[[], None]:
        return lambda: [subject.get(number) for number in range(KEYS)]

    def lists(subject: Ours) -> Callable[[], None]:
        return lambda: [subject.list() for _ in range(50)]

    batches = [list(enumerate(values))[start : start + 100] for start in range(0, KEYS, 100)]
    jobs = {
        "put raw": (puts(raw, KEYS), KEYS),
        "put same": (puts(same, KEYS), KEYS),
        "put ours": (puts(ours, KEYS), KEYS),
        "put peer": (puts(peer, KEYS), KEYS),
        "get raw": (gets(raw), KEYS),
        "get same": (gets(same), KEYS),
        "get ours": (gets(ours), KEYS),
        "get peer": (gets(peer), KEYS),
        "list raw": (lists(raw), 50),
        "list ours": (lists(ours), 50),
        "list peer": (lists(peer), 50),
        "many same": (lambda: [same.put_many(batch) for batch in batches], KEYS),
        "many ours": (lambda: [ours.put_many(batch) for batch in batches], KEYS),
        "durable raw": (puts(raw_full, DURABLE), DURABLE),
        "durable same": (puts(same_full, DURABLE), DURABLE),
        "durable ours": (puts(durable, DURABLE), DURABLE),
        "durable peer": (puts(shipped, DURABLE), DURABLE),
    }
    for call, _ in jobs.values():
        call()  # fills the stores and the caches
    rows = [{n: timed(*job) for n, job in jobs.items()} for _ in range(ROUNDS)]
    return _figures(rows) + _packed(ours, raw, gets)


def _figures(rows: list[dict[str, float]]) -> list[dict[str, object]]:
    return [
        at_most("uncached get against raw SELECT + JSON", ratio(rows, "get ours", "get raw"), 1.5),
        told(
            "the same against a raw SELECT of all that a record holds",
            f"{ratio(rows, 'get ours', 'get same'):.2f} ×",
        ),
        at_most("put (P) against the same statements", ratio(rows, "put ours", "put same"), 1.5),
        at_most("put (P) against a bare upsert", ratio(rows, "put ours", "put raw"), 5),
        at_most("put_many against the same statements", ratio(rows, "many ours", "many same"), 2),
        at_most(
            "list of 42 against raw",
            ratio(rows, "list ours", "list raw"),
            1.5,
            "reading nine columns and decoding alone is 1.4 ×; checksums and objects are the rest",
        ),
        at_least(
            "get against LangGraph (WAL)",
            1 / ratio(rows, "get ours", "get peer"),
            3,
            f"raw apsw itself: {1 / ratio(rows, 'get raw', 'get peer'):.2f} ×",
        ),
        at_least("put (P) against LangGraph (WAL)", 1 / ratio(rows, "put ours", "put peer"), 1.3),
        at_least(
            "list against LangGraph (WAL)",
            1 / ratio(rows, "list ours", "list peer"),
            2.5,
            f"raw apsw itself: {1 / ratio(rows, 'list raw', 'list peer'):.2f} ×",
        ),
        at_least(
            "put (D) against LangGraph as shipped",
            1 / ratio(rows, "durable ours", "durable peer"),
            3,
        ),
        told(
            "put (D) against the same statements, FULL",
            f"{ratio(rows, 'durable ours', 'durable same'):.2f} ×",
        ),
        told(
            "put (D) against a bare upsert, FULL",
            f"{ratio(rows, 'durable ours', 'durable raw'):.2f} ×",
        ),
    ]


def _packed(ours: Ours, raw: Raw, gets) -> list[dict[str, object]]:
    ours.swarm.retention.pack()
    rows = [{"raw": timed(gets(raw), KEYS), "ours": timed(gets(ours), KEYS)} for _ in range(ROUNDS)]
    return [
        told(
            "get of values compressed with a dictionary, against raw",
            f"{ratio(rows, 'ours', 'raw'):.2f} ×",
            "expanding costs about 2 µs; a store that was never packed does not pay it",
        )
    ]
