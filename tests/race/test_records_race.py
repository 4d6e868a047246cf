"""Eight processes on one store: nothing lost, nothing doubled, nobody told "database is locked"."""

import json
import subprocess
import sys

import pytest

from swarm_memory import Swarm

PROCESSES = 8
PUTS = 500
INCREMENTS = 200

PUT = """
import sys
from swarm_memory import Swarm
url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with Swarm.open(url, agent=name, swarm="race") as swarm:
    sys.stdin.readline()
    for number in range(count):
        swarm.records.put(f"race/{name}/{number}", {"by": name, "number": number}, expect=0)
print("done")
"""

INCREMENT = """
import json, sys
from swarm_memory import ConflictError, Swarm
url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
retries, versions = 0, []
with Swarm.open(url, agent=name, swarm="race") as swarm:
    sys.stdin.readline()
    for _ in range(count):
        while True:
            record = swarm.records.get("race/counter")
            try:
                put = swarm.records.put("race/counter", record.value + 1, expect=record.version)
                break
            except ConflictError:
                retries += 1
        versions.append(put.version)
print(json.dumps({"retries": retries, "versions": versions}))
"""


def run_all(program, url, count):
    """Start all, let them open the store, then let them go at the same moment."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, url, f"p{n}", str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(PROCESSES)
    ]
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    outcomes = [process.communicate(timeout=240) for process in running]
    assert [""] * PROCESSES == [stderr for _, stderr in outcomes]
    return [stdout for stdout, _ in outcomes]


@pytest.fixture
def url(tmp_path):
    url = f"sqlite:///{tmp_path}/memory.db"
    with Swarm.open(url, swarm="race") as swarm:
        swarm.records.put("race/counter", 0)
    return url


def test_eight_processes_put_and_every_record_is_there(url):
    assert ["done\n"] * PROCESSES == run_all(PUT, url, PUTS)

    with Swarm.open(url, swarm="race") as swarm:
        found = {r.key: (r.value["by"], r.author) for r in swarm.records.each("race/p*")}
        expected = {
            f"race/p{p}/{n}": (f"p{p}", f"p{p}") for p in range(PROCESSES) for n in range(PUTS)
        }
        assert expected == found
        assert PROCESSES * PUTS + 1 == swarm.health.report().metrics["records"]
        assert PROCESSES * PUTS + 1 == swarm.events.newest()


def test_eight_processes_increment_and_no_update_is_lost(url):
    outputs = [json.loads(line) for line in run_all(INCREMENT, url, INCREMENTS)]

    with Swarm.open(url, swarm="race") as swarm:
        record = swarm.records.get("race/counter")
    total = PROCESSES * INCREMENTS
    assert (total, total + 1) == (record.value, record.version)
    versions = sorted(v for output in outputs for v in output["versions"])
    assert list(range(2, total + 2)) == versions
    assert sum(output["retries"] for output in outputs) > 0, "the processes never met"
