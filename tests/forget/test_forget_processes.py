"""Forgetting under others, and killed anywhere: nothing else is lost, and a repeat finishes it."""

import os
import signal
import subprocess
import sys

from traces import SECRET, places_of

from swarm_memory import Swarm
from swarm_memory.backup import backup_folder, verify_backup, write_backup
from swarm_memory.exchange.lines import make_folder
from swarm_memory.forgetting import forget
from swarm_memory.integrity import verify_store

WAIT_S = 120
WRITES = 150

# Dies at the N-th step of its own; steps are transactions and finished files.
DIES = """
import os, signal, sys
from swarm_memory import Swarm
from swarm_memory.exchange import lines
from swarm_memory.forgetting import backups, forget
left = int(sys.argv[2])
def step():
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
transact, replace = Swarm.transact, os.replace
def stepping(self, fn, **options):
    step()
    return transact(self, fn, **options)
def replacing(a, b):
    replace(a, b)
    step()
Swarm.transact, os.replace = stepping, replacing
with Swarm.open(sys.argv[1], agent="a", swarm="s") as swarm:
    forget(swarm, "text", sys.stdin.read())
print("finished")
"""
WRITER = """
import sys
from swarm_memory import Swarm
with Swarm.open(sys.argv[1], agent=sys.argv[2], swarm="s") as swarm:
    for n in range(int(sys.argv[3])):
        swarm.records.put(f"busy/{sys.argv[2]}/{n}", {"n": n, "by": sys.argv[2]})
"""


def fill(swarm):
    folder = backup_folder(swarm)
    make_folder(folder)
    swarm.records.put("plans/mine", "kept")
    swarm.records.put("plans/mine", SECRET)
    write_backup(swarm, folder)
    for n in range(5):
        swarm.records.put(f"plans/{n}", SECRET)
    swarm.messages.send({"text": SECRET}, to="b")
    return write_backup(swarm, folder, incremental=True)


def test_killed_at_any_step_a_repeat_finishes_it(tmp_path):
    steps = 0
    while True:
        folder = tmp_path / str(steps)
        folder.mkdir()
        url = f"sqlite:///{folder}/memory.db"
        with Swarm.open(url, agent="a", swarm="s") as swarm:
            last = fill(swarm)
        ran = subprocess.run(
            [sys.executable, "-c", DIES, url, str(steps)],
            input=SECRET.encode(),
            capture_output=True,
            timeout=WAIT_S,
        )
        with Swarm.open(url, agent="a", swarm="s") as swarm:
            assert [] == verify_store(swarm).findings
            done = forget(swarm, "text", SECRET)
            assert [] == [text for text in done.left if "half a backup" not in text]
            assert ["kept"] == [r.value for r in swarm.records.history("plans/mine") if r.value]
        assert [] == places_of(folder, SECRET), steps
        verify_backup(last.path)
        if ran.stdout:
            break
        assert -signal.SIGKILL == ran.returncode, ran.stderr
        steps += 1
    assert steps >= 5


def test_writers_go_on_and_lose_nothing(tmp_path):
    url = f"sqlite:///{tmp_path}/memory.db"
    with Swarm.open(url, agent="a", swarm="s") as swarm:
        fill(swarm)
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, url, name, str(WRITES)])
            for name in ("w1", "w2")
        ]
        for _ in range(3):
            forget(swarm, "text", SECRET)
        assert [0, 0] == [writer.wait(WAIT_S) for writer in writers]
        assert 2 * WRITES == len(swarm.records.scan("busy/", limit=10_000))
        assert [] == forget(swarm, "text", SECRET).left
        assert [] == verify_store(swarm).findings
    assert [] == places_of(tmp_path, SECRET)


def test_dictionaries_wait_for_others_and_go_afterwards(tmp_path):
    url = f"sqlite:///{tmp_path}/memory.db"
    with Swarm.open(url, agent="a", swarm="s") as swarm:
        swarm.records.put_many(
            [(f"plans/{n}", {"n": n, "text": f"{SECRET} of plan {n}"}) for n in range(600)]
        )
        swarm.retention.pack()
        assert 1 == swarm.context.compressor._newest()
        other = subprocess.Popen(
            [sys.executable, "-c", HOLDER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert b"open\n" == other.stdout.readline()

        waiting = forget(swarm, "text", SECRET)

        other.stdin.close()
        assert 0 == other.wait(WAIT_S)
        other.stdout.close()
        assert ["compression dictionaries"] == [text[:24] for text in waiting.left]
        assert "written with it" == swarm.records.get("notes/late").value["text"][-15:]
        assert [] == forget(swarm, "text", SECRET).left
        assert "written with it" == swarm.records.get("notes/late").value["text"][-15:]
        assert [] == verify_store(swarm).findings
    assert [] == places_of(tmp_path, SECRET)


# Has the old dictionary in hand, and packs with it after it was to be forgotten.
HOLDER = """
import sys
from swarm_memory import Swarm
with Swarm.open(sys.argv[1], agent="h", swarm="s") as swarm:
    for n in range(40):
        swarm.records.put("notes/warm", {"n": n, "text": "of plan of plan of plan of plan " * 9})
    print("open", flush=True)
    sys.stdin.read()
    swarm.records.put("notes/late", {"n": 1, "text": "plan of plan " * 9 + "written with it"})
"""


def test_half_a_backup_is_named(tmp_path):
    with Swarm.open(f"sqlite:///{tmp_path}/memory.db", agent="a", swarm="s") as swarm:
        folder = backup_folder(swarm)
        make_folder(folder)
        path = os.path.join(folder, ".memory.jsonl.zst.x.part")
        with open(path, "wb") as file:
            file.write(SECRET.encode())

        done = forget(swarm, "text", SECRET)

        assert [path] == [text.partition(" ")[0] for text in done.left]
