"""A process that dies or freezes at a named step of a durable write, with others at work."""

import os
import signal
import subprocess
import sys

import pytest

from swarm_memory import Swarm
from swarm_memory.engine import sync

# Writes calls a.0, a.1, … each with an op_id, and says so after each.
WRITER = """
import os, sys
from swarm_memory import Swarm
url, agent, first, calls = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
with Swarm.open(url, agent=agent) as swarm:
    for number in range(first, first + calls):
        record = swarm.records.put("x/shared", f"{agent}.{number}", op_id=f"{agent}.{number}")
        os.write(1, b"%d\\n" % record.version)
"""
BEFORE_COMMIT = {"gate-held", "begun", "numbered"}
INSIDE = {"begun", "numbered"}  # with SQLite's write lock
ALL_VERSIONS = '{"categories": {"all": {"keys": ["x/**"], "versions_max": 1000}}}'
CALLS_MAX = 300


@pytest.fixture
def url(quick_path, monkeypatch):
    with open(f"{quick_path}/config.json", "w") as file:
        file.write(ALL_VERSIONS)
    monkeypatch.setenv("SWARM_MEMORY_CONFIG", f"{quick_path}/config.json")
    url = f"sqlite:///{quick_path}/memory.db"
    Swarm.open(url).close()
    return url


@pytest.fixture
def start(url):
    running = []

    def begin(agent, *, first=0, calls, failpoint=None):
        environment = dict(os.environ)
        if failpoint:
            environment["SWARM_MEMORY_FAILPOINT"] = failpoint
        command = [sys.executable, "-c", WRITER, url, agent, str(first), str(calls)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def finish(process):
    out, err = process.communicate(timeout=60)
    assert (0, "") == (process.returncode, err)
    return out.splitlines()


def written(url):
    """Return what was written in order, each once."""
    with Swarm.open(url) as swarm:
        records = swarm.records.history("x/shared", limit=1000)
        assert len(records) == swarm.events.newest()
    values = [record.value for record in reversed(records)]
    assert len(values) == len(set(values)), "something was applied twice"
    return values


def test_the_names_are_known():
    assert BEFORE_COMMIT < set(sync.FAILPOINTS)


@pytest.mark.parametrize("turn", [1, 5])
@pytest.mark.parametrize("name", sync.FAILPOINTS)
def test_a_writer_that_dies_loses_nothing_and_holds_up_nobody(url, start, name, turn):
    others = [start(agent, calls=30) for agent in ("b", "c")]
    victim = start("a", calls=CALLS_MAX, failpoint=f"{name}:kill:{turn}")
    told = victim.communicate(timeout=60)[0].splitlines()
    assert -signal.SIGKILL == victim.returncode, "it never came by"

    assert [30, 30] == [len(finish(other)) for other in others]
    values = written(url)
    done = [value for value in values if value.startswith("a.")]
    assert [f"a.{n}" for n in range(len(told) + (name not in BEFORE_COMMIT))] == done
    assert told == [str(1 + values.index(f"a.{n}")) for n in range(len(told))]

    # The next life makes the call again that was under way, and goes on.
    assert 3 == len(finish(start("a", first=len(told), calls=3)))
    assert len(told) + 3 == sum(value.startswith("a.") for value in written(url))


@pytest.mark.parametrize("name", sync.FAILPOINTS)
def test_a_frozen_writer_holds_up_nobody_or_is_named(url, start, name, monkeypatch):
    victim = start("a", calls=1, failpoint=f"{name}:stop")
    assert os.WIFSTOPPED(os.waitpid(victim.pid, os.WUNTRACED)[1]), "it never came by"
    monkeypatch.setenv("SWARM_MEMORY_BUSY_TIMEOUT_S", "1")
    other = start("b", calls=2)
    if name in INSIDE:
        err = other.communicate(timeout=60)[1]
        assert "EngineBusyError" in err
        assert str(victim.pid) in err
    else:
        assert 2 == len(finish(other))
    victim.send_signal(signal.SIGCONT)
    assert 1 == len(finish(victim))
    assert 1 == written(url).count("a.0")
