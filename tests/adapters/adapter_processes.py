"""Processes that begin at the same moment, for the races of the adapters."""

import subprocess
import sys

PROCESSES = 4
PRELUDE = """
import asyncio, sys
from swarm_memory import Swarm
url, name, *arguments = sys.argv[1:]
swarm = Swarm.open(url, agent=name, durability="relaxed")
def go():
    print("ready", flush=True)
    sys.stdin.readline()
"""


def run_all(program, url, *arguments):
    """Run the program in four processes; return what each says between ready and its good end."""
    pipe = subprocess.PIPE
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PRELUDE + program, url, f"p{n}", *map(str, arguments)],
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )
        for n in range(PROCESSES)
    ]
    for process in running:
        assert "ready\n" == process.stdout.readline(), process.communicate()[1]
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=240) for process in running]
    assert [""] * PROCESSES == [stderr for _, stderr in said]
    assert [0] * PROCESSES == [process.returncode for process in running]
    return [stdout for stdout, _ in said]
