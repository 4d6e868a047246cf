"""Backups and restores while real processes write, and killed in the middle."""

import os
import signal
import subprocess
import sys
import time

import pytest
from backup_content import content

from swarm_memory import Swarm
from swarm_memory.backup import backups_in, restore_backup, verify_backup, write_backup
from swarm_memory.integrity import verify_store

WRITER = """
import sys
from swarm_memory import Swarm
url, name = sys.argv[1:]
keys = [f"notes/{name}-{n}" for n in range(6)]
with Swarm.open(url, agent=name, swarm="s", durability="relaxed") as swarm:
    count = 0
    while True:
        count += 1
        def write(tx):
            for key in keys:
                tx.records.put(key, {"count": count, "text": "x" * (count % 500)})
            total = tx.records.get("notes/total")
            tx.records.put("notes/total", (total.value if total else 0) + 1)
            tx.messages.send(count, topic=name)
            tx.outcomes.record("write", [name], True, 0.1, strategy=name)
        swarm.transact(write)
        if count == 1:
            print("writing", flush=True)
"""
KILLED = """
import os, signal, sys
from swarm_memory import Swarm
from swarm_memory.backup import restore_backup, restore_new, write_backup
url, verb, path, rows = sys.argv[1:]
def die(done, total):
    if done >= int(rows):
        os.kill(os.getpid(), signal.SIGKILL)
if verb == "new":
    restore_new(path, url.removeprefix("sqlite:///"), progress=die)
with Swarm.open(url, agent="a", swarm="s") as swarm:
    if verb == "backup":
        write_backup(swarm, path, progress=die)
    if verb == "replace":
        restore_backup(swarm, path, replace=True, progress=die)
"""
WRITERS = 4


def run_killed(url, verb, path, rows):
    run = subprocess.run([sys.executable, "-c", KILLED, url, verb, str(path), str(rows)])
    assert -signal.SIGKILL == run.returncode


@pytest.fixture
def writers(swarm):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, swarm.url, f"w{n}"], stdout=subprocess.PIPE, text=True
        )
        for n in range(WRITERS)
    ]
    try:
        assert ["writing\n"] * WRITERS == [p.stdout.readline() for p in processes]
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def counted(swarm):
    """Return the counts of each writer's six keys, and what all of them must add up to."""
    counts = {}
    for record in swarm.records.each("notes/"):
        if record.key != "notes/total":
            name = record.key.removeprefix("notes/").partition("-")[0]
            counts.setdefault(name, set()).add(record.value["count"])
    return counts, swarm.records.get("notes/total").value


def test_a_backup_under_four_writers_is_of_one_moment_and_ends(writers, swarm, folder, tmp_path):
    before = counted(swarm)[1]
    backups = [write_backup(swarm, folder, incremental=True) for _ in range(5)]
    assert [True] + [False] * 4 == [backup.full for backup in backups]
    assert counted(swarm)[1] > before, "nobody wrote meanwhile"
    assert all(process.poll() is None for process in writers)
    totals = []
    for number, backup in enumerate(backups):
        with Swarm.open(f"sqlite:///{tmp_path}/{number}.db", agent="a", swarm="s") as copy:
            restore_backup(copy, backup.path)
            counts, total = counted(copy)
            assert [1] * WRITERS == [len(values) for values in counts.values()]
            assert total == sum(value for values in counts.values() for value in values)
            assert total == copy.outcomes.count() == copy.messages.counts().ready
            assert [] == verify_store(copy).findings
        totals.append(total)
    assert totals == sorted(totals)
    verify_backup(backups[-1].path)


def test_a_restore_under_four_writers_is_of_one_moment(writers, swarm, folder):
    backup = write_backup(swarm, folder)
    total = counted(swarm)[1]
    restore_backup(swarm, backup.path, replace=True)

    deadline = time.monotonic() + 20
    while counted(swarm)[1] < total + 20:  # the writers go on from what was restored
        assert all(process.poll() is None for process in writers)
        assert time.monotonic() < deadline
    assert [] == verify_store(swarm).findings


@pytest.mark.parametrize("rows", [0, 300, 600, 1200])
def test_a_killed_backup_leaves_no_file_under_a_backups_name(filled, folder, rows):
    kept = write_backup(filled, folder)
    run_killed(filled.url, "backup", folder, rows)

    assert [kept.path] == [found.path for found in backups_in(str(folder))]
    assert write_backup(filled, folder, incremental=True).manifest.parent is not None


def test_a_killed_restore_leaves_the_store_as_it_was(filled, folder):
    backup = write_backup(filled, folder)
    filled.records.put("notes/new", 1)
    before = content(filled)
    run_killed(filled.url, "replace", backup.path, 1000)

    assert before == content(filled)
    assert [] == verify_store(filled).findings
    restore_backup(filled, backup.path, replace=True)
    assert filled.records.get("notes/new") is None


def test_a_killed_restore_of_a_new_store_leaves_no_store(filled, folder, tmp_path):
    backup = write_backup(filled, folder)
    run_killed(f"sqlite:///{tmp_path}/new.db", "new", backup.path, 1000)

    assert not os.path.exists(tmp_path / "new.db")
