"""The cluster itself leaves nothing behind."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from swarm_memory.testing.programs import working_in

pytestmark = [pytest.mark.cluster, pytest.mark.long]
WAIT_S = 60
RUNS = """
from swarm_memory.errors import EngineUnavailableError
from swarm_memory.testing.cluster import cluster
try:
    with cluster(hosts=3, disk_mb=300) as it:
        print(it.folder, it.network.name, flush=True)
        input()
except EngineUnavailableError as error:
    print("none:", error)
"""


def test_a_cluster_whose_process_was_killed_leaves_nothing():
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", RUNS], stdin=pipe, stdout=pipe, text=True) as run:
        folder, network = run.stdout.readline().split()[:2]
        if folder == "none:":
            pytest.skip("no cluster on hosts of their own")
        run.kill()
    deadline = time.monotonic() + WAIT_S
    while os.path.exists(folder):
        assert time.monotonic() < deadline
        time.sleep(0.1)

    assert [] == working_in(folder)
    assert folder not in Path("/proc/mounts").read_text()
    assert (
        network not in subprocess.run(["ip", "netns", "list"], capture_output=True).stdout.decode()
    )
    assert network not in os.listdir("/sys/class/net")
