"""What the command sets before anything of it runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TASKS = Path("/proc/self/task")
ASKED = """
import os, sys
from swarm_memory.doors import command
sys.argv = ["swarm-memory", "--version"]
try:
    command.main()
except SystemExit:
    pass
import numpy
matrix = numpy.ones((400, 400))
matrix @ matrix
print(len(os.listdir("/proc/self/task")), file=sys.stderr)
"""


@pytest.mark.skipif(not TASKS.exists(), reason="threads are counted in /proc")
@pytest.mark.parametrize(("said", "threads"), [(None, 1), ("2", 2)])
def test_what_is_learned_is_computed_by_one_thread_unless_somebody_says_how_many(said, threads):
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    if said is not None:
        environment["OPENBLAS_NUM_THREADS"] = said

    ran = subprocess.run(
        [sys.executable, "-c", ASKED], env=environment, capture_output=True, text=True, check=True
    )

    assert min(threads, os.cpu_count() or 1) == int(ran.stderr)
