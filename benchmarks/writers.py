"""Eight processes write at once, against raw apsw, PostgreSQL and LangGraph's SqliteStore

Each process puts its own keys for a while. "Raw" are our statements on our schema through apsw,
waiting by SQLite's own busy handler, as programs do. PostgreSQL has synchronous_commit=on, its
clients use a socket and prepared statements. The longest wait is that of one put, over all
processes; fairness is the fewest puts of a process over the most. A disk that syncs within 0.2 ms
leaves a shared sync little to win: the figures say how long a sync took.
"""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import NamedTuple

from postgres import Postgres, PostgresAtOnce, server
from processes import crowd
from records import LangGraph, Ours, SameStatements
from subjects import at_least, at_most, ratio, timed, told, value
from swarm_memory.engine import sync

CROWD = 8
ROUNDS = 7
SECONDS = 1.0
KEYS_EACH = 200
ALONE, ALONE_ROUNDS = 100, 25
BUSY_MS = 60_000

Figure = dict[str, object]


class Share(NamedTuple):
    """What one process did."""

    puts: int
    longest_ms: float
    syncs: int
    sync_ms: float


class Crowd(NamedTuple):
    """What all did together."""

    rate: float  # puts per second
    fairness: float
    longest_ms: float
    per_sync: float  # puts
    sync_ms: float  # how long one took


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


def writer(kind: type, folder: str, durability: str, name: str, number: int) -> Callable[[], Share]:
    """Put for a while."""
    syncs = _counted_syncs()
    subject = kind(folder, durability, name)
    items = [value(number * KEYS_EACH + key) for key in range(KEYS_EACH)]

    def go() -> Share:
        syncs.clear()
        count, longest, now = 0, 0.0, time.monotonic()
        end = now + SECONDS
        while now < end:
            began = now
            subject.put(number * KEYS_EACH + count % KEYS_EACH, items[count % KEYS_EACH])
            count += 1
            now = time.monotonic()
            longest = max(longest, now - began)
        done = count - getattr(subject, "errors", 0)
        return Share(done, 1000 * longest, len(syncs), 1000 * sum(syncs))

    return go


def _counted_syncs() -> list[float]:
    """Return a list that gets the seconds of every sync of our protocol in this process."""
    taken: list[float] = []
    datasync = sync.datasync

    def counted(descriptor: int) -> None:
        began = time.monotonic()
        datasync(descriptor)
        taken.append(time.monotonic() - began)

    sync.datasync = counted
    return taken


def _crowd_of(kind: type, folder: str, durability: str, name: str) -> Crowd:
    kind(folder, durability, name)
    shares = crowd(*((writer, (kind, folder, durability, name, n)) for n in range(CROWD)))
    puts, longest, syncs, sync_ms = zip(*shares, strict=True)
    return Crowd(
        sum(puts) / SECONDS,
        min(puts) / max(puts),
        max(longest),
        sum(puts) / max(1, sum(syncs)),
        sum(sync_ms) / max(1, sum(syncs)),
    )


def run() -> list[Figure]:
    folder = tempfile.mkdtemp(prefix="bench-writers-")
    try:
        with server() as (socket, about):
            rounds = [_round(folder, socket, number) for number in range(ROUNDS)]
        return [
            *_durable(rounds),
            *_peers(rounds, about),
            *_relaxed(rounds),
            *_alone(folder),
        ]
    finally:
        shutil.rmtree(folder)


def _round(folder: str, socket: str | None, number: int) -> dict[str, Crowd]:
    subjects = {
        "ours D": (Ours, folder, "full"),
        "raw D": (Raw, folder, "full"),
        "shipped": (Shipped, folder, "full"),
        "ours P": (Ours, folder, "relaxed"),
        "raw P": (Raw, folder, "relaxed"),
    }
    if socket is not None:
        subjects["postgres"] = (Postgres, socket, "full")
        subjects["postgres at once"] = (PostgresAtOnce, socket, "full")
    print(f"  round {number + 1} of {ROUNDS}", flush=True)
    return {
        name: _crowd_of(*subject, f"{name.replace(' ', '-')}-{number}")
        for name, subject in subjects.items()
    }


def _middle(rounds: list[dict[str, Crowd]], name: str, field: str) -> float:
    return statistics.median(getattr(row[name], field) for row in rounds)


def _against(rounds: list[dict[str, Crowd]], subject: str, peer: str, field: str) -> float:
    """Return the median over rounds of the ratio of a field."""
    rows = [{name: getattr(crowd, field) for name, crowd in row.items()} for row in rounds]
    return ratio(rows, subject, peer)


def _rates(rounds: list[dict[str, Crowd]], subject: str, peer: str) -> str:
    ours, theirs = (_middle(rounds, name, "rate") for name in (subject, peer))
    return f"{ours:,.0f} against {theirs:,.0f} a second"


def _durable(rounds: list[dict[str, Crowd]]) -> list[Figure]:
    waits = [_middle(rounds, name, "longest_ms") for name in ("ours D", "raw D")]
    return [
        at_least(
            "8 durable writers, puts against raw FULL",
            _against(rounds, "ours D", "raw D", "rate"),
            1.5,
            _rates(rounds, "ours D", "raw D"),
        ),
        at_most(
            "their longest wait against raw FULL",
            _against(rounds, "ours D", "raw D", "longest_ms"),
            0.05,
            f"{waits[0]:.0f} against {waits[1]:.0f} ms",
        ),
        at_least(
            "their fairness",
            _middle(rounds, "ours D", "fairness"),
            0.9,
            f"raw FULL: {_middle(rounds, 'raw D', 'fairness'):.2f}",
        ),
        told(
            "puts made durable by one sync",
            f"{_middle(rounds, 'ours D', 'per_sync'):.1f}",
            f"a sync took {_middle(rounds, 'ours D', 'sync_ms'):.2f} ms",
        ),
    ]


def _peers(rounds: list[dict[str, Crowd]], about: str) -> list[Figure]:
    figures = [
        at_least(
            "8 durable writers against LangGraph as shipped",
            _against(rounds, "ours D", "shipped", "rate"),
            20,
            _rates(rounds, "ours D", "shipped"),
        )
    ]
    if "postgres" not in rounds[0]:
        return [*figures, told("8 durable writers against PostgreSQL", about)]
    return [
        *figures,
        at_least(
            "8 durable writers against PostgreSQL, statement by statement",
            _against(rounds, "ours D", "postgres", "rate"),
            1.5,
            f"{_rates(rounds, 'ours D', 'postgres')}; {about}",
        ),
        told(
            "the same, all of a put in one statement",
            f"{_against(rounds, 'ours D', 'postgres at once', 'rate'):.2f} ×",
            f"{_rates(rounds, 'ours D', 'postgres at once')}; it never trims its history",
        ),
    ]


def _relaxed(rounds: list[dict[str, Crowd]]) -> list[Figure]:
    return [
        at_least(
            "8 relaxed writers, puts against raw NORMAL",
            _against(rounds, "ours P", "raw P", "rate"),
            0.6,
            _rates(rounds, "ours P", "raw P"),
        ),
        at_least(
            "their fairness",
            _middle(rounds, "ours P", "fairness"),
            0.7,
            f"raw NORMAL: {_middle(rounds, 'raw P', 'fairness'):.2f}",
        ),
        told(
            "their longest wait",
            f"{_middle(rounds, 'ours P', 'longest_ms'):.0f} ms",
            f"raw NORMAL: {_middle(rounds, 'raw P', 'longest_ms'):.0f} ms",
        ),
    ]


def _alone(folder: str) -> list[Figure]:
    syncs = _counted_syncs()
    subjects = {"ours": Ours(folder, "full", "alone"), "raw": Raw(folder, "full", "raw-alone")}
    items = [value(number) for number in range(ALONE)]

    def puts(subject: Ours) -> None:
        for number, item in enumerate(items):
            subject.put(number, item)

    for subject in subjects.values():
        puts(subject)
    rows = [
        {name: timed(lambda subject=each: puts(subject), ALONE) for name, each in subjects.items()}
        for _ in range(ALONE_ROUNDS)
    ]
    return [
        at_most(
            "one durable writer, a put against raw FULL",
            ratio(rows, "ours", "raw"),
            1.25,
            f"a sync took {1000 * statistics.median(syncs):.2f} ms",
        )
    ]
