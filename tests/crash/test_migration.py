"""A store is being made by two processes and one of them is killed, at every I/O call in turn."""

import json
import os
import subprocess
import sys
from pathlib import Path

import apsw

from swarm_memory import Swarm
from swarm_memory.engine import migrate

HERE = Path(__file__).parent
POINTS = 280  # more than there are changes of files until a new store is made

# Forks both makers for each point: A dies after so many changes of files, B lives and writes.
MAKERS = """
import json, os, sys, traceback
from recording_vfs import Journal, RecordingVFS
from swarm_memory import Swarm
import swarm_memory.engine.sqlite
folder, together, points = sys.argv[1], sys.argv[2] == "together", int(sys.argv[3])
journal = Journal("/dev/null")
RecordingVFS(journal)
def fork(function):
    pid = os.fork()
    if not pid:
        status = 1
        try:
            function()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return pid
def end(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
def make(point, agent, left):
    journal.left = left
    with Swarm.open(f"sqlite:///{folder}/{point}.db", agent=agent) as swarm:
        swarm.records.put(f"x/{agent}", agent)
ends = []
for point in range(1, points + 1):
    dying = fork(lambda: make(point, "a", point))
    if together:
        living = fork(lambda: make(point, "b", None))
        ends.append([end(dying), end(living)])
    else:
        ends.append([end(dying), end(fork(lambda: make(point, "b", None)))])
print(json.dumps(ends))
"""


def make_and_kill(folder, how, points):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    run = subprocess.run(
        [sys.executable, "-c", MAKERS, folder, how, str(points)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (0, "") == (run.returncode, run.stderr)
    return json.loads(run.stdout)


def check_all(folder, ends):
    for point in range(1, len(ends) + 1):
        with Swarm.open(f"sqlite:///{folder}/{point}.db") as swarm:
            assert "b" == swarm.records.get("x/b").value
        db = apsw.Connection(f"{folder}/{point}.db")
        numbers = [number for (number,) in db.execute("SELECT number FROM migrations")]
        assert list(range(1, migrate.newest() + 1)) == numbers
        assert migrate.newest() == db.pragma("user_version")
        assert "ok" == db.pragma("integrity_check")
        db.close()


def test_a_killed_migration_is_finished_by_the_next_process(quick_path):
    ends = make_and_kill(quick_path, "after", POINTS)

    killed = [dying for dying, _ in ends].index(0)
    assert killed > POINTS // 2, "few calls: what was killed?"
    assert [[-9, 0]] * killed + [[0, 0]] * (POINTS - killed) == ends
    check_all(quick_path, ends)


def test_of_two_that_migrate_at_once_one_may_be_killed(quick_path):
    ends = make_and_kill(quick_path, "together", POINTS)

    assert {0} == {living for _, living in ends}
    assert {-9} <= {dying for dying, _ in ends} <= {-9, 0}
    check_all(quick_path, ends)
