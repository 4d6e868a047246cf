"""A process whose wall clock is wrong by hours neither takes nor outlives a lease of others."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from swarm_memory import Swarm

LIBRARY = (
    Path(sysconfig.get_paths()["purelib"]) / "libfaketime/vendor/libfaketime/src/libfaketime.so.1"
)
PROGRAM = """
import sys, time
from swarm_memory import Swarm
with Swarm.open(sys.argv[1], agent="b") as swarm:
    lease = swarm.leases.try_acquire("deploy", ttl_s=30)
    print(round(time.time()), lease is not None)
"""


@pytest.mark.skipif(not LIBRARY.exists(), reason="libfaketime is not installed here")
@pytest.mark.parametrize("offset", ["+1h", "-2h"])
def test_a_wrong_wall_clock_does_not_move_leases(tmp_path, offset):
    url = f"sqlite:///{tmp_path}/memory.db"
    wrong = os.environ | {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME": offset,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }

    def try_it(environment):
        command = [sys.executable, "-c", PROGRAM, url]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        now_s, taken = run.stdout.split()
        return int(now_s), taken == "True"

    with Swarm.open(url, agent="a") as swarm:
        lease = swarm.leases.acquire("deploy", ttl_s=30)
        there_s, taken = try_it(wrong)
        here_s, _ = try_it(os.environ)

        assert abs(there_s - here_s) > 3000, "the clock was not set"
        assert not taken
        assert swarm.records.put("x/a", 1, fence=lease)
        lease.release()
        assert try_it(wrong)[1]
