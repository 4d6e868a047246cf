"""kill -9 of a writer: everything it had acknowledged is there, and the store is whole."""

import signal
import subprocess
import sys

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
