"""A store that is opened for one put, and a record that is read again and again, in one process

One-shot: open an existing store, put (D), close, as a hook or a command does after Python has
started. Raw apsw opens a connection with SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE and synchronous=FULL
and runs the same statements. Each has a store of its own. Whoever opens a store that nobody else
has open reads its log first; nobody moves that of raw apsw before it has a thousand pages.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time

import apsw
import orjson

from records import Ours, Raw, SameStatements, key
from subjects import at_most, ratio, timed, told, value
from swarm_memory import Swarm

ROUNDS = 25
SHOTS = 20
KEYS = 100
HIT_ROUNDS = 301  # short ones: most of them have the processor to themselves


class Shots(SameStatements):
    """Raw apsw, opened and closed around each put."""

    def __init__(self, folder: str, name: str, *, leave_log: bool) -> None:
        super().__init__(folder, "full", name)
        self.db.close()
        self.path = f"{folder}/{name}.db"
        self.leave_log = leave_log

    def put(self, number: int, item: object) -> None:
        self.db = apsw.Connection(self.path)
        self.db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, self.leave_log)
        self.db.pragma("synchronous", 2)
        self.execute = self.db.cursor().execute
        super().put(number, item)
        self.db.close()


class OurShots:
    def __init__(self, folder: str, name: str) -> None:
        self.url = f"sqlite:///{folder}/{name}.db"

    def put(self, number: int, item: object) -> None:
        with Swarm.open(self.url, agent="a", swarm="s") as swarm:
            swarm.records.put(key(number), item)


def run() -> list[dict[str, object]]:
    folder = tempfile.mkdtemp(prefix="bench-oneshot-")
    try:
        return [*_shots(folder), *_hits(folder)]
    finally:
        shutil.rmtree(folder)


def _shots(folder: str) -> list[dict[str, object]]:
    subjects = {
        "ours": OurShots(folder, "ours"),
        "raw": Shots(folder, "raw", leave_log=True),
        "moved": Shots(folder, "moved", leave_log=False),
    }
    items = [value(number) for number in range(SHOTS)]

    def puts(subject: OurShots | Shots) -> None:
        for number, item in enumerate(items):
            subject.put(number, item)

    for subject in subjects.values():
        puts(subject)
    rows = [
        {name: timed(lambda subject=each: puts(subject), SHOTS) for name, each in subjects.items()}
        for _ in range(ROUNDS)
    ]
    ours, raw, moved = (1000 * statistics.median(row[name] for row in rows) for name in subjects)
    return [
        at_most(
            "open, put (D), close, against raw FULL",
            ratio(rows, "ours", "raw"),
            2,
            f"{ours:.1f} against {raw:.1f} ms",
        ),
        told(
            "the same, against raw that moves its log at each close",
            f"{ratio(rows, 'ours', 'moved'):.2f} ×",
            f"{moved:.1f} ms",
        ),
    ]


def _hits(folder: str) -> list[dict[str, object]]:
    subjects = {"ours": Ours(folder, "relaxed", "hits"), "raw": Raw(folder, 1, "raw-hits")}
    for number in range(KEYS):
        for subject in subjects.values():
            subject.put(number, value(number))

    keys = [key(number) for number in range(KEYS)]
    get, execute = subjects["ours"].records.get, subjects["raw"].execute

    def hits() -> None:
        for name in keys:
            get(name).value  # noqa: B018

    def selects() -> None:
        for name in keys:
            orjson.loads(execute(Raw.SELECT, (name,)).fetchall()[0][1])

    hits()
    hits()  # the first pass finds that nobody writes, the second keeps
    rows = [{"ours": timed(hits, KEYS), "raw": timed(selects, KEYS)} for _ in range(HIT_ROUNDS)]
    check_s = _check_s(subjects["ours"].swarm)
    hit_us = 1e6 * statistics.median(row["ours"] for row in rows)
    return [
        at_most(
            "cached get against raw SELECT + JSON",
            ratio(rows, "ours", "raw"),
            0.3,
            f"{1e6 * check_s:.2f} of {hit_us:.2f} µs is the look whether anybody wrote",
        )
    ]


def _check_s(swarm: Swarm) -> float:
    touched = swarm._engine.touched
    looks = []
    for _ in range(HIT_ROUNDS):
        began = time.perf_counter()
        for _ in range(KEYS):
            touched()
        looks.append((time.perf_counter() - began) / KEYS)
    return statistics.median(looks)
