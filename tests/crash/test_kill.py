"""kill -9 of a writer: everything it had acknowledged is there, and the store is whole."""

import random
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import apsw
import pytest

from swarm_memory import Swarm

WRITER = """
import os, sys
from swarm_memory import Swarm
url, durability = sys.argv[1], sys.argv[2]
with Swarm.open(url, agent="writer", durability=durability) as swarm:
    number = 0
    while True:
        record = swarm.records.put("x/counter", {"number": number, "pad": "v" * 2000})
        swarm.records.put_many([(f"y/{number % 50}/{i}", number) for i in range(3)])
        os.write(1, b"%d %d\\n" % (number, record.version))
        number += 1
"""


@pytest.mark.parametrize("durability", ["full", "relaxed"])
@pytest.mark.parametrize("acknowledged", [1, 40, 333])
def test_everything_acknowledged_survives_a_kill(tmp_path, durability, acknowledged):
    url = f"sqlite:///{tmp_path}/memory.db"
    command = [sys.executable, "-c", WRITER, url, durability]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        lines = [writer.stdout.readline() for _ in range(acknowledged)]
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read()
    complete = rest[: rest.rfind(b"\n") + 1].splitlines()
    number, version = map(int, (lines + complete)[-1].split())

    with Swarm.open(url, agent="reader") as swarm:
        record = swarm.records.get("x/counter")
        assert record.version >= version
        assert record.value["number"] == record.version - 1
        batch = [r.value for r in swarm.records.scan(f"y/{number % 50}")]
        assert len(batch) == 3
        assert len(set(batch)) == 1, "a batch was torn"
        assert max(batch) >= number
        assert (swarm.health.report().metrics["records"],) == swarm.records.count()[:1]
    assert "ok" == apsw.Connection(f"{tmp_path}/memory.db").pragma("integrity_check")


# Each call has an op_id; a call whose acknowledgement was not read is made again.
REPEATER = """
import os, sys
from swarm_memory import Swarm
url, agent, first, calls = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
with Swarm.open(url, agent=agent) as swarm:
    for number in range(first, calls):
        op = f"{agent}.{number}"
        key = f"x/shared/{number % 5}" if number % 2 else f"x/own/{op}"
        record = swarm.records.put(key, op, op_id=op)
        os.write(1, b"%s %d\\n" % (record.key.encode(), record.version))
"""
PROCESSES = 8
ALL_VERSIONS = '{"categories": {"all": {"keys": ["x/**"], "versions_max": 1000}}}'


def repeat_through_kills(url, agent, calls, kills):
    """Let an agent make its calls while its process is killed and begun again; return the places.

    `kills` are the numbers of acknowledgements after which the next process is killed.
    """
    told = []
    for patience in [*kills, None]:
        command = [sys.executable, "-c", REPEATER, url, agent, str(len(told)), str(calls)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            if patience is None:
                lines = writer.stdout.readlines()
            else:
                lines = [writer.stdout.readline() for _ in range(patience)]
                writer.kill()
                # What was written before the kill was acknowledged, whether we were quick or not.
                lines += writer.stdout.readlines()
        told += [line.decode().split() for line in lines if line.endswith(b"\n")]
    return {f"{agent}.{n}": (key, int(version)) for n, (key, version) in enumerate(told)}


def kill_many(tmp_path, monkeypatch, *, calls, kills, seed):
    (tmp_path / "config.json").write_text(ALL_VERSIONS)
    monkeypatch.setenv("SWARM_MEMORY_CONFIG", str(tmp_path / "config.json"))
    url = f"sqlite:///{tmp_path}/memory.db"
    Swarm.open(url).close()
    choose = random.Random(seed)
    patience = [[choose.randrange(calls // kills) for _ in range(kills)] for _ in range(PROCESSES)]
    with ThreadPoolExecutor(PROCESSES) as pool:
        agents = [
            pool.submit(repeat_through_kills, url, f"p{n}", calls, patience[n])
            for n in range(PROCESSES)
        ]
        told = {op: place for agent in agents for op, place in agent.result().items()}

    assert PROCESSES * calls == len(told)
    found = {}
    with Swarm.open(url) as swarm:
        for key in {key for key, _ in told.values()}:
            for record in swarm.records.history(key, limit=PROCESSES * calls):
                assert record.value not in found, f"{record.value} was applied twice"
                found[record.value] = (key, record.version)
        assert PROCESSES * calls == swarm.events.newest()
    assert told == found
    assert "ok" == apsw.Connection(f"{tmp_path}/memory.db").pragma("integrity_check")


def test_calls_of_killed_processes_are_applied_once_when_they_are_repeated(tmp_path, monkeypatch):
    kill_many(tmp_path, monkeypatch, calls=60, kills=4, seed=1)


@pytest.mark.long
def test_hundreds_of_killed_processes(tmp_path, monkeypatch):
    kill_many(tmp_path, monkeypatch, calls=900, kills=60, seed=2)
