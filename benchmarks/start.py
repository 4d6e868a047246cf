"""A whole process that opens an existing store, and the memory of an open one"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile

from subjects import at_most, ratio, timed, value
from swarm_memory import Swarm

ROUNDS = 21
GET = """
from swarm_memory import Swarm
with Swarm.open({url!r}, agent="a", swarm="s") as swarm:
    assert swarm.records.get("swarm-s/agent-a/state").value
"""
PUT = """
from swarm_memory import Swarm
with Swarm.open({url!r}, agent="a", swarm="s") as swarm:
    swarm.records.put("swarm-s/agent-a/state", {{"status": "busy"}})
"""
RESIDENT = """
from swarm_memory import Swarm
with Swarm.open({url!r}, agent="a", swarm="s") as swarm:
    for number in range(0, 100_000, 97):
        assert swarm.records.get(f"swarm-s/agent-{{number % 100}}/knowledge/{{number:06}}")
    swarm.records.scan("swarm-s/agent-7/")
    swarm.records.put("swarm-s/agent-1/state", {{"status": "busy"}})
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            print(int(line.split()[1]) / 1024)
"""


def python(program: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True
    )
    return run.stdout


def run() -> list[dict[str, object]]:
    folder = tempfile.mkdtemp(prefix="bench-start-")
    try:
        url = f"sqlite:///{folder}/memory.db"
        with Swarm.open(url, agent="a", swarm="s") as swarm:
            swarm.records.put("swarm-s/agent-a/state", {"status": "idle"})
        programs = {"bare": "", "get": GET.format(url=url), "put": PUT.format(url=url)}
        rows = [
            {name: timed(lambda p=program: python(p)) for name, program in programs.items()}
            for _ in range(ROUNDS)
        ]
        return [
            at_most(
                "process that opens and gets, against python -c ''", ratio(rows, "get", "bare"), 5
            ),
            at_most(
                "process that opens and puts (D), against python -c ''",
                ratio(rows, "put", "bare"),
                5,
            ),
            _resident(folder),
        ]
    finally:
        shutil.rmtree(folder)


def _resident(folder: str) -> dict[str, object]:
    url = f"sqlite:///{folder}/large.db"
    with Swarm.open(url, agent="a", swarm="s", durability="relaxed") as swarm:
        for start in range(0, 100_000, 5000):
            numbers = range(start, start + 5000)
            swarm.records.put_many(
                [(f"swarm-s/agent-{n % 100}/knowledge/{n:06}", value(n)) for n in numbers]
            )
    megabytes = float(python(RESIDENT.format(url=url)))
    return {
        "what": "resident memory of an open store with 100,000 records",
        "value": f"{megabytes:.0f} MB",
        "goal": "≤ 60 MB",
        "reached": megabytes <= 60,
        "note": "after a thousand gets, a scan and a put",
    }
