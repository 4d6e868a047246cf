"""Adapters: LangGraph's interfaces on a swarm against its own SQLite stores

Both sides are called through LangGraph's interface, and in the same class of durability: WAL and
NORMAL against relaxed (P), WAL and FULL against full (D). LangGraph sets neither by itself.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from langgraph.checkpoint.base import create_checkpoint, empty_checkpoint
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.store.sqlite import SqliteStore

from subjects import at_least, ratio, timed, told, value
from swarm_memory import Swarm
from swarm_memory.adapters.langgraph import SwarmStore
from swarm_memory.adapters.langgraph_checkpoint import SwarmSaver

ROUNDS = 9
KEYS = 600
DURABLE = 100
LISTED = 42
STEPS = 60  # of a thread, each a checkpoint and the writes of a task
PROCESSES, INCREMENTS = 4, 150
SPACE = ("team", "agent-a", "knowledge")


def connection(path: str, synchronous: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA synchronous = {synchronous}")
    return db


def theirs(path: str, synchronous: str) -> SqliteStore:
    store = SqliteStore(connection(path, synchronous))
    store.setup()
    return store


def run() -> list[dict[str, object]]:
    folder = tempfile.mkdtemp(prefix="bench-adapters-")
    try:
        return [*_stores(folder), *_savers(folder), *_counters(folder)]
    finally:
        shutil.rmtree(folder)


# --- the store ---


def _stores(folder: str) -> list[dict[str, object]]:
    values = [value(number) for number in range(KEYS)]
    swarms = {
        "ours": Swarm.open(f"sqlite:///{folder}/p.db", durability="relaxed"),
        "ours D": Swarm.open(f"sqlite:///{folder}/d.db"),
    }
    stores: dict[str, Any] = {name: SwarmStore(swarm) for name, swarm in swarms.items()}
    stores["peer"] = theirs(f"{folder}/p-peer.db", "NORMAL")
    stores["peer D"] = theirs(f"{folder}/d-peer.db", "FULL")
    for name in ("ours", "peer"):
        for number in range(LISTED):
            stores[name].put(("team", "listed"), f"item-{number}", values[number])

    def puts(store: Any, count: int) -> Callable[[], object]:
        return lambda: [store.put(SPACE, f"item-{n:05}", values[n]) for n in range(count)]

    def gets(store: Any) -> Callable[[], object]:
        return lambda: [store.get(SPACE, f"item-{n:05}").value for n in range(KEYS)]

    def lists(store: Any) -> Callable[[], object]:
        return lambda: [len(store.search(("team", "listed"), limit=LISTED)) for _ in range(50)]

    def fresh(store: Any) -> Callable[[], object]:
        # A write of anybody makes every cached get read again.
        def get() -> None:
            for number in range(KEYS // 4):
                store.put(("team", "other"), "item", values[number])
                store.get(SPACE, f"item-{number:05}")

        return get

    jobs = {}
    for name in ("ours", "peer"):
        jobs[f"put {name}"] = (puts(stores[name], KEYS), KEYS)
        jobs[f"once {name}"] = (gets(stores[name]), KEYS)
        jobs[f"twice {name}"] = (gets(stores[name]), KEYS)
        jobs[f"again {name}"] = (gets(stores[name]), KEYS)
        jobs[f"list {name}"] = (lists(stores[name]), 50)
        jobs[f"mixed {name}"] = (fresh(stores[name]), KEYS // 4)
        jobs[f"durable {name}"] = (puts(stores[f"{name} D"], DURABLE), DURABLE)
    for call, _ in jobs.values():
        call()  # fills the stores and the caches
    rows = [{n: timed(*job) for n, job in jobs.items()} for _ in range(ROUNDS)]
    for swarm in swarms.values():
        swarm.close()
    return [
        at_least("store: put (P)", 1 / ratio(rows, "put ours", "put peer"), 1),
        at_least("store: put (D)", 1 / ratio(rows, "durable ours", "durable peer"), 1),
        at_least(
            "store: get", 1 / ratio(rows, "once ours", "once peer"), 1, "the first since a put"
        ),
        told(
            "store: get, the second time",
            f"{1 / ratio(rows, 'twice ours', 'twice peer'):.2f} ×",
            "this one puts it into the cache",
        ),
        told("store: get, from then on", f"{1 / ratio(rows, 'again ours', 'again peer'):.2f} ×"),
        told("store: put and get in turn", f"{1 / ratio(rows, 'mixed ours', 'mixed peer'):.2f} ×"),
        at_least(f"store: list of {LISTED}", 1 / ratio(rows, "list ours", "list peer"), 2),
    ]


# --- the checkpointer ---


def _savers(folder: str) -> list[dict[str, object]]:
    swarm = Swarm.open(f"sqlite:///{folder}/s.db", durability="relaxed")
    peer = SqliteSaver(connection(f"{folder}/s-peer.db", "NORMAL"))
    peer.setup()
    savers: dict[str, Any] = {"ours": SwarmSaver(swarm), "peer": peer}
    messages = [value(number) for number in range(STEPS)]
    rounds = iter(range(10_000))

    def thread(saver: Any) -> Callable[[], object]:
        """Run a thread whose state grows by a message with each step."""

        def play() -> None:
            at: Any = {"configurable": {"thread_id": f"t{next(rounds)}", "checkpoint_ns": ""}}
            checkpoint = empty_checkpoint()
            for step in range(STEPS):
                checkpoint = create_checkpoint(checkpoint, {}, step)
                checkpoint["channel_values"] = {"messages": messages[: step + 1]}
                at = saver.put(at, checkpoint, {"source": "loop", "step": step}, {})
                saver.put_writes(at, [("messages", messages[step])], f"task-{step}")

        return play

    where: Any = {"configurable": {"thread_id": "read", "checkpoint_ns": ""}}

    def read(saver: Any) -> Callable[[], object]:
        return lambda: [saver.get_tuple(where).checkpoint for _ in range(STEPS)]

    jobs = {}
    for name, saver in savers.items():
        checkpoint = create_checkpoint(empty_checkpoint(), {}, 1)
        checkpoint["channel_values"] = {"messages": messages}
        saver.put_writes(saver.put(where, checkpoint, {"step": 1}, {}), [("a", 1)], "task")
        jobs[f"thread {name}"] = (thread(saver), STEPS)
        jobs[f"read {name}"] = (read(saver), STEPS)
    rows = [{n: timed(*job) for n, job in jobs.items()} for _ in range(ROUNDS)]
    swarm.close()
    peer.conn.close()
    sizes = [os.path.getsize(f"{folder}/{name}.db") for name in ("s", "s-peer")]
    return [
        told(
            "checkpointer: a step of a thread (P)",
            f"{1 / ratio(rows, 'thread ours', 'thread peer'):.2f} ×",
            "a checkpoint that grows to 60 messages, compressed here, and a task's writes",
        ),
        told(
            "checkpointer: the newest checkpoint",
            f"{1 / ratio(rows, 'read ours', 'read peer'):.2f} ×",
        ),
        told(
            "checkpointer: the files after that", f"{sizes[0] / sizes[1]:.2f} ×", "less is better"
        ),
    ]


# --- one counter, four processes ---

OURS = """
import sys
from swarm_memory import Swarm
from swarm_memory.adapters.langgraph import SwarmStore
with Swarm.open("sqlite:///" + sys.argv[1]) as swarm:
    store = SwarmStore(swarm)
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(int(sys.argv[2])):
        store.update(("c",), "count", lambda value: {"n": value["n"] + 1})
"""
THEIRS = """
import sqlite3, sys
from langgraph.store.sqlite import SqliteStore
db = sqlite3.connect(sys.argv[1], check_same_thread=False, isolation_level=None, timeout=30)
db.execute("PRAGMA journal_mode = WAL")
store = SqliteStore(db)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[2])):
    try:
        store.put(("c",), "count", {"n": store.get(("c",), "count").value["n"] + 1})
    except sqlite3.OperationalError:
        pass  # what is told to the caller is lost all the same
"""


def _counters(folder: str) -> list[dict[str, object]]:
    total = PROCESSES * INCREMENTS
    with Swarm.open(f"sqlite:///{folder}/count.db") as swarm:
        SwarmStore(swarm).put(("c",), "count", {"n": 0})
    peer = theirs(f"{folder}/count-peer.db", "FULL")
    peer.put(("c",), "count", {"n": 0})
    for program, name in ((OURS, "count.db"), (THEIRS, "count-peer.db")):
        _count(program, f"{folder}/{name}")
    with Swarm.open(f"sqlite:///{folder}/count.db") as swarm:
        ours = total - SwarmStore(swarm).get(("c",), "count").value["n"]
    lost = total - peer.get(("c",), "count").value["n"]
    return [
        {
            "what": f"store: {total} increments by {PROCESSES} processes, update()",
            "value": f"{ours} lost",
            "goal": "0 lost",
            "reached": ours == 0,
            "note": "",
        },
        told(
            "the same with LangGraph's SqliteStore, get and put",
            f"{lost} lost",
            "WAL, waits 30 s for a lock",
        ),
    ]


def _count(program: str, path: str) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, path, str(INCREMENTS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    for process in running:
        process.stdout.readline()
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        process.communicate(timeout=300)


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
