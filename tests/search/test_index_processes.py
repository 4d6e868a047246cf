"""Many processes bring one index up to date at once, and some are killed in the middle."""

import os
import signal
import subprocess
import sys

import pytest
from index_content import whole

from swarm_memory import Swarm

WAIT_S = 120
# Says that it is ready, waits for a line, then follows the log in steps until it is done.
FOLLOWER = """
import sys
from swarm_memory import Swarm, indexing
indexing.BATCH_ROWS = 7
with Swarm.open(sys.argv[1]) as swarm:
    print("ready", flush=True)
    sys.stdin.readline()
    while not swarm.finder.index.catch_up(20, 60):
        pass
"""
# Changes, deletes and brings back records while others follow.
WRITER = """
import sys
from swarm_memory import Swarm
with Swarm.open(sys.argv[1], agent=sys.argv[2], durability="relaxed") as swarm:
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range(int(sys.argv[3])):
        key = f"notes/{n % 37}"
        if n % 5 == 4:
            swarm.records.delete(key)
        else:
            swarm.records.put(key, f"redis {sys.argv[2]} {n}")
"""
KILLED_AT = [
    "begun:kill:3",
    "numbered:kill:3",
    "committed:kill:3",
    "begun:kill:1",
    "numbered:kill:1",
]


@pytest.fixture
def url(tmp_path):
    url = f"sqlite:///{tmp_path}/memory.db"
    with Swarm.open(url, durability="relaxed") as swarm:
        swarm.records.put_many([(f"notes/{n}", f"redis {n}") for n in range(100)])
        swarm.records.put_many([(f"memory/operations/{n}", "redis") for n in range(10)])
    return url


@pytest.fixture
def start(url):
    running = []

    def begin(program, *arguments, failpoint=None):
        environment = dict(os.environ)
        if failpoint:
            environment["SWARM_MEMORY_FAILPOINT"] = failpoint
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", program, url, *map(str, arguments)]
        process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def go(*processes):
    """Let processes begin together and return how each ended."""
    for process in processes:
        assert "ready\n" == process.stdout.readline(), process.stderr.read()
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=WAIT_S)[1] for process in processes]
    assert [""] * len(processes) == said
    return [process.returncode for process in processes]


def test_many_that_follow_at_once_enter_everything_once(url, start):
    assert [0] * 4 == go(*(start(FOLLOWER) for _ in range(4)))

    with Swarm.open(url) as swarm:
        assert 100 == len(whole(swarm))


def test_an_index_that_is_followed_while_others_write_ends_up_right(url, start):
    writers = [start(WRITER, f"w{n}", 300) for n in range(2)]
    assert [0] * 4 == go(*writers, start(FOLLOWER), start(FOLLOWER))

    with Swarm.open(url) as swarm:
        whole(swarm)
        live = {r.key: r.value for r in swarm.records.each("notes")}
        found = {h.record.key: h.record.value for h in swarm.search("redis", limit=1000)}
        assert live == found


@pytest.mark.parametrize("failpoint", KILLED_AT)
def test_who_is_killed_in_the_middle_leaves_an_index_that_the_next_completes(url, start, failpoint):
    assert [-signal.SIGKILL] == go(start(FOLLOWER, failpoint=failpoint))
    with Swarm.open(url) as swarm:
        swarm.records.put("notes/3", "postgres")
        swarm.records.delete("notes/99")
        entries = whole(swarm)

        assert 99 == len(entries)
        assert 98 == len(swarm.search("redis", limit=1000))


def test_some_are_killed_while_others_follow_and_write(url, start):
    killed = [start(FOLLOWER, failpoint=failpoint) for failpoint in KILLED_AT[:3]]
    ended = go(start(WRITER, "w", 300), start(FOLLOWER), *killed)

    assert [0, 0] == ended[:2]
    # Who finds all done by the others has nothing left to be killed at.
    assert set(ended[2:]) <= {0, -signal.SIGKILL}
    with Swarm.open(url) as swarm:
        whole(swarm)
