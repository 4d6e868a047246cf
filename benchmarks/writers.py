"""Eight processes write at once, durable and relaxed, against the same statements by raw apsw

Each process puts its own keys for a while. Raw apsw waits by SQLite's own busy handler, as
programs do. The longest wait is that of one put, over all processes; fairness is the fewest puts
of a process over the most.
"""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable

from processes import crowd
from records import LangGraph, Ours, SameStatements
from subjects import at_least, at_most, ratio, timed, told, value

CROWD = 8
ROUNDS = 5
SECONDS = 1.5
KEYS_EACH = 200
ALONE = 150
BUSY_MS = 60_000

Rows = list[dict[str, float]]
Figure = dict[str, object]


class Raw(SameStatements):
    def __init__(self, folder: str, durability: str, name: str) -> None:
        super().__init__(folder, durability, name)
        self.db.set_busy_timeout(BUSY_MS)


class Shipped(LangGraph):
    def __init__(self, folder: str, durability: str, name: str) -> None:
        super().__init__(folder, name, tuned=False)
        self.store.conn.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        self.errors = 0

    def put(self, number: int, item: object) -> None:
        try:
            super().put(number, item)
        except sqlite3.OperationalError:  # "database is locked" in spite of the timeout
            self.errors += 1


def writer(
    kind: type, folder: str, durability: str, name: str, number: int
) -> Callable[[], tuple[int, float]]:
    """Put for a while; return how many puts it were and the longest wait in ms."""
    subject = kind(folder, durability, name)
    items = [value(number * KEYS_EACH + key) for key in range(KEYS_EACH)]

    def go() -> tuple[int, float]:
        count, longest, now = 0, 0.0, time.monotonic()
        end = now + SECONDS
        while now < end:
            began = now
            subject.put(number * KEYS_EACH + count % KEYS_EACH, items[count % KEYS_EACH])
            count += 1
            now = time.monotonic()
            longest = max(longest, now - began)
        return count - getattr(subject, "errors", 0), 1000 * longest

    return go


def _crowd_of(kind: type, folder: str, durability: str, name: str) -> tuple[float, float, float]:
    """Return puts per second, fairness, and the longest wait in ms."""
    kind(folder, durability, name)
    said = crowd(*((writer, (kind, folder, durability, name, n)) for n in range(CROWD)))
    counts = [count for count, _ in said]
    return sum(counts) / SECONDS, min(counts) / max(counts), max(wait for _, wait in said)


def run() -> list[Figure]:
    folder = tempfile.mkdtemp(prefix="bench-writers-")
    try:
        return [*_crowds(folder), *_alone(folder)]
    finally:
        shutil.rmtree(folder)


def _crowds(folder: str) -> list[Figure]:
    rates, fair, longest = [], [], []
    for number in range(ROUNDS):
        said = {
            "D": _crowd_of(Ours, folder, "full", f"full-{number}"),
            "raw D": _crowd_of(Raw, folder, "full", f"raw-full-{number}"),
            "shipped": _crowd_of(Shipped, folder, "full", f"shipped-{number}"),
            "P": _crowd_of(Ours, folder, "relaxed", f"relaxed-{number}"),
            "raw P": _crowd_of(Raw, folder, "relaxed", f"raw-relaxed-{number}"),
        }
        rates.append({name: rate for name, (rate, _, _) in said.items()})
        fair.append({name: fairness for name, (_, fairness, _) in said.items()})
        longest.append({name: wait for name, (_, _, wait) in said.items()})

    def middle(rows: Rows, name: str) -> float:
        return statistics.median(row[name] for row in rows)

    return [
        at_least(
            "8 durable writers, puts against raw FULL",
            ratio(rates, "D", "raw D"),
            1.5,
            f"{middle(rates, 'D'):,.0f} a second",
        ),
        at_most(
            "longest wait against raw FULL",
            ratio(longest, "D", "raw D"),
            0.05,
            f"{middle(longest, 'D'):.0f} against {middle(longest, 'raw D'):.0f} ms",
        ),
        at_least(
            "fairness",
            middle(fair, "D"),
            0.9,
            f"raw FULL: {middle(fair, 'raw D'):.2f}",
        ),
        at_least("the same against LangGraph as shipped", ratio(rates, "D", "shipped"), 20),
        at_least(
            "8 relaxed writers, puts against raw NORMAL",
            ratio(rates, "P", "raw P"),
            0.6,
            f"{middle(rates, 'P'):,.0f} a second",
        ),
        at_least(
            "fairness, relaxed",
            middle(fair, "P"),
            0.7,
            f"raw NORMAL: {middle(fair, 'raw P'):.2f}",
        ),
        told(
            "longest wait, relaxed",
            f"{middle(longest, 'P'):.0f} ms",
            f"raw NORMAL: {middle(longest, 'raw P'):.0f} ms",
        ),
    ]


def _alone(folder: str) -> list[Figure]:
    ours, raw = Ours(folder, "full", "alone"), Raw(folder, "full", "raw-alone")
    items = [value(number) for number in range(ALONE)]
    rows = []
    for _ in range(9):
        rows.append(
            {
                name: timed(
                    lambda subject=subject: [subject.put(n, items[n]) for n in range(ALONE)], ALONE
                )
                for name, subject in (("ours", ours), ("raw", raw))
            }
        )
    return [at_most("one durable writer, a put against raw FULL", ratio(rows, "ours", "raw"), 1.25)]
