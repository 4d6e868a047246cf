"""What a synchronous standby costs: one put, and eight writers

A second server on the same machine and disk receives the log of the first; in each round it is
waited for or not. There is no network in between, whose round trip comes on top. All D: "alone" is
on the primary's disk when the call returns, "with a standby" on both, "applied" also to be read
there.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from coordination import percentile
from on_postgresql import CROWD, CROWD_S, KEYS, Ours, writer
from processes import crowd
from subjects import ratio, told, value
from swarm_memory.errors import EngineUnavailableError
from swarm_memory.testing.postgres import USER, Server, server

ROUNDS, PUTS = 7, 300
LIMIT_S = 60.0
# What the server is told to wait for, and what each client asks for.
WAYS = {
    "alone": ("", "on"),
    "with a standby": ("*", "on"),
    "applied": ("*", "remote_apply"),
}

Figure = dict[str, object]


def run() -> list[Figure]:
    try:
        with server() as running, standby_of(running):
            rows, writers = _measure(running)
    except EngineUnavailableError as error:
        return [told("a synchronous standby", f"skipped: {error}")]
    return _figures(rows, writers)


@contextmanager
def standby_of(running: Server) -> Iterator[Server]:
    """Run a server that receives the log of another one."""
    copy = Server(tempfile.mkdtemp(prefix="swarm-memory-postgres-"), {"hot_standby": "on"})
    watch = copy.watched()
    try:
        if copy._account:
            shutil.chown(copy.folder, copy._account)
        program = str(copy._programs / "pg_basebackup")
        options = ["-D", f"{copy.folder}/data", "--checkpoint=fast", "--write-recovery-conf"]
        running._run([program, "-h", running.folder, "-U", USER, *options])
        copy.start()
        yield copy
    finally:
        watch.communicate()


def wait_for(running: Server, names: str) -> None:
    """Let the server wait for these standbys, and return when it does."""
    with psycopg.connect(running.url(), autocommit=True) as db:
        db.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        db.execute("SELECT pg_reload_conf()")
        wanted, deadline = "sync" if names else "async", time.monotonic() + LIMIT_S
        while db.execute("SELECT sync_state FROM pg_stat_replication").fetchall() != [(wanted,)]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the standby is not {wanted}")
            time.sleep(0.05)


def _measure(
    running: Server,
) -> tuple[list[dict[str, list[float]]], list[dict[str, float]]]:
    """Return the ms of each put alone, and the puts a second of all writers, of each round."""
    places = {
        way: f"{running.url('puts')}%20-csynchronous_commit%3D{level}"
        for way, (_, level) in WAYS.items()
    }
    subjects = {way: Ours(place, "full") for way, place in places.items()}
    items = [value(number) for number in range(KEYS)]
    alone, writers = [], []
    for number in range(ROUNDS + 1):
        print(f"  round {number} of {ROUNDS}", flush=True)
        took, rates = {}, {}
        for way, (names, _) in WAYS.items():
            wait_for(running, names)
            took[way] = _puts(subjects[way], items)
            members = [(writer, (places[way], "full", n)) for n in range(CROWD)]
            rates[way] = sum(share.puts for share in crowd(*members)) / CROWD_S if number else 0
        if number:  # the first round prepares statements
            alone.append(took)
            writers.append(rates)
    return alone, writers


def _puts(subject: Ours, items: list[object]) -> list[float]:
    took = []
    for number in range(PUTS):
        began = time.monotonic()
        subject.put(number % KEYS, items[(number + 1) % KEYS])
        took.append(1000 * (time.monotonic() - began))
    return took


def _figures(alone: list[dict[str, list[float]]], writers: list[dict[str, float]]) -> list[Figure]:
    rows = [{way: statistics.median(took) for way, took in row.items()} for row in alone]
    figures = []
    for way in WAYS:
        p50 = statistics.median(row[way] for row in rows)
        p99 = statistics.median(percentile(row[way], 0.99) for row in alone)
        rate = statistics.median(row[way] for row in writers)
        figures.append(
            told(
                f"a put, {way}, against alone",
                f"{ratio(rows, way, 'alone'):.2f} ×",
                f"p50 {p50:.2f} ms, p99 {p99:.1f} ms",
            )
        )
        figures.append(
            told(
                f"{CROWD} writers, {way}, against alone",
                f"{ratio(writers, way, 'alone'):.2f} ×",
                f"{rate:,.0f} puts a second",
            )
        )
    return figures
