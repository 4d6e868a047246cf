"""Upkeep: verify, backup and restore, against SQLite's own copy in the same round.

The store holds `MB` megabytes of values of 0.4 to 2 KB (UPKEEP_MB sets another size); what is said
of 1 GB is extrapolated from it and says so. Two processes write all the time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import apsw

from subjects import ratio, told, value
from swarm_memory import Swarm
from swarm_memory.backup import restore_new, verify_backup, write_backup
from swarm_memory.integrity import verify_store

MB = int(os.environ.get("UPKEEP_MB", "100"))
ROUNDS = 5
WRITERS = 2
GOAL_MB_PER_S = 50
GOAL_GB_S = 30
WRITER = """
import itertools, sys, time
from swarm_memory import Swarm
with Swarm.open(sys.argv[1], agent=sys.argv[2], swarm="s", durability="relaxed") as swarm:
    for n in itertools.count():
        swarm.records.put(f"notes/{sys.argv[2]}-{n % 1000}", {"n": n, "text": "x" * 500})
        if n == 0:
            print("writing", flush=True)
"""


def run() -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/memory.db"
        with Swarm.open(url, agent="a", swarm="s", durability="relaxed") as swarm:
            _fill(swarm)
            size_mb = swarm.file_bytes() / 1e6
            quiet = [_round(swarm, folder) for _ in range(ROUNDS)]
            writers = [_writer(url, n) for n in range(WRITERS)]
            try:
                loaded = [_round(swarm, folder, under_load=True) for _ in range(ROUNDS)]
                writing = all(writer.poll() is None for writer in writers)
            finally:
                for writer in writers:
                    writer.kill()
                    writer.communicate()
    assert writing, "a writer ended"
    return _figures(size_mb, quiet, loaded)


def _fill(swarm: Swarm) -> None:
    number = 0
    while swarm.file_bytes() < MB * 1e6:
        swarm.records.put_many((f"notes/{n:08}", value(n)) for n in range(number, number + 2000))
        number += 2000
    for n in range(0, number, 10):
        swarm.records.put(f"notes/{n:08}", value(n + 1))


def _writer(url: str, number: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, url, f"w{number}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


def _round(swarm: Swarm, folder: str, *, under_load: bool = False) -> dict[str, float]:
    """Run every subject once; return MB of the store a second each gets through."""
    size_mb = swarm.file_bytes() / 1e6
    path, copy = Path(folder, "b.jsonl.zst"), Path(folder, "copy.db")
    row: dict[str, float] = {}
    row["verify"] = size_mb / _spent(lambda: _check(swarm))
    row["backup"] = size_mb / _spent(lambda: write_backup(swarm, path))
    row["ratio"] = size_mb * 1e6 / path.stat().st_size
    row["vacuum"] = size_mb / _spent(lambda: _vacuum(swarm, copy))
    if not under_load:
        row["restore"] = size_mb / _spent(lambda: restore_new(path, f"{folder}/new.db"))
        row["check"] = size_mb / _spent(lambda: verify_backup(path))
        os.unlink(f"{folder}/new.db")
    path.unlink()
    copy.unlink()
    return row


def _check(swarm: Swarm) -> None:
    report = verify_store(swarm)
    assert report.ok, report.findings[:3]


def _vacuum(swarm: Swarm, copy: Path) -> None:
    db = apsw.Connection(swarm.url.removeprefix("sqlite:///"))
    db.execute("VACUUM INTO ?", (str(copy),))
    db.close()


def _spent(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _median(rows: list[dict[str, float]], name: str) -> float:
    return sorted(row[name] for row in rows)[len(rows) // 2]


def _figures(
    size_mb: float, quiet: list[dict[str, float]], loaded: list[dict[str, float]]
) -> list[dict[str, object]]:
    about = f"a store of {size_mb:.0f} MB"
    figures = []
    for name, rows, load in (("verify", quiet, ""), ("verify", loaded, ", two writers")):
        speed = _median(rows, name)
        figures.append(_at_least(f"verify{load}", speed, GOAL_MB_PER_S, about))
    for rows, load in ((quiet, ""), (loaded, ", two writers")):
        speed = _median(rows, "backup")
        seconds = 1000 / speed
        figures.append(
            {
                "what": f"backup of 1 GB{load}",
                "value": f"{seconds:.0f} s",
                "goal": f"≤ {GOAL_GB_S} s",
                "reached": seconds <= GOAL_GB_S,
                "note": f"extrapolated from {speed:.0f} MB/s on {about}",
            }
        )
        slower = ratio(rows, "vacuum", "backup")
        figures.append(
            told(
                f"time of a backup against VACUUM INTO{load}",
                f"{slower:.1f} ×",
                "which copies pages of SQLite, uncompressed, without sums",
            )
        )
    figures.append(
        told("size of the store against its backup", f"{_median(quiet, 'ratio'):.1f} ×", about)
    )
    figures.append(told("restore", f"{_median(quiet, 'restore'):.0f} MB/s", about))
    figures.append(told("verify of a backup", f"{_median(quiet, 'check'):.0f} MB/s", about))
    return figures


def _at_least(what: str, speed: float, goal: float, note: str) -> dict[str, object]:
    return {
        "what": what,
        "value": f"{speed:.0f} MB/s",
        "goal": f"≥ {goal:g} MB/s",
        "reached": speed >= goal,
        "note": note,
    }
