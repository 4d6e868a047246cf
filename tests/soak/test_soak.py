"""Hours of mixed work by eight processes: nothing is lost, nothing grows.

The long form takes SOAK_MINUTES minutes, 10 if it is not set.
"""

import os
import subprocess
import sys
import time

import pytest
from soaking import WAYS, Soak, quarters

from swarm_memory.engine.checkpoint import BEYOND_MEASURE, PAGES

MINUTES = float(os.environ.get("SOAK_MINUTES", "10"))
MIB = 1024 * 1024
# Whoever finds a log beyond measure moves it at once; a last transaction may come on top.
LOG_BYTES_MAX = (BEYOND_MEASURE + 1) * PAGES["relaxed"] * (4096 + 24)
GROWTH_MAX = (2 * MIB, 1.5, 0.5)  # of a quarter's average: memory, descriptors, threads
GROWTH_MAX_SHORT = (16 * MIB, 1.5, 0.5)  # while caches still fill


def check(soak, result, growth_max):
    """The first quarter fills the caches; the last is compared with the second."""
    assert [] == result.errors
    assert [] == soak.missing()
    assert [] == soak.left_over()
    assert all(result.actions[way.__name__] for way in WAYS)
    assert result.kills > 0
    for samples in result.open + result.closed:
        for limit, series in zip(growth_max, zip(*samples, strict=True), strict=True):
            _, second, _, last = quarters(series)
            assert limit >= last - second
    for samples in result.closed:
        # What a closed store leaves open is exactly nothing.
        assert 1 == len({descriptors for _, descriptors, _ in samples})
        assert {1} == {threads for _, _, threads in samples}
    verified = verify(soak.url)
    assert 0 == verified.returncode, verified.stdout + verified.stderr
    assert LOG_BYTES_MAX >= max(sizes.log for sizes in result.sizes)


def verify(url):
    program = "import sys; from swarm_memory.doors.cli import main; sys.exit(main(['verify']))"
    environment = {**os.environ, "SWARM_MEMORY_URL": url}
    return subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_eight_processes_do_everything_and_nothing_is_lost_or_left(tmp_path):
    soak = Soak(tmp_path)

    result = soak.run(lambda done: done < 2000)

    check(soak, result, GROWTH_MAX_SHORT)


@pytest.mark.long
def test_nothing_is_lost_or_grows_in_the_long_run(tmp_path, progress):
    soak = Soak(tmp_path, kill_every=2000)
    end = time.monotonic() + 60 * MINUTES

    result = soak.run(lambda done: time.monotonic() < end, progress)

    for what, series in curves(result).items():
        progress(f"{what}, by quarter: {' '.join(f'{value:.2f}' for value in quarters(series))}")
    check(soak, result, GROWTH_MAX)
    for sizes in zip(*result.sizes, strict=True):
        _, second, _, last = quarters(sizes)
        assert 1.25 * second + MIB >= last


def curves(result):
    """Return what was measured, by its name; of one process that stays and one that reopens."""
    lines = {}
    for state, samples in (("open", result.open[0]), ("closed", result.closed[0])):
        memory, descriptors, threads = zip(*samples, strict=True)
        lines[f"memory, MiB, {state}"] = [b / MIB for b in memory]
        lines[f"descriptors, {state}"] = descriptors
        lines[f"threads, {state}"] = threads
    log, store = zip(*result.sizes, strict=True)
    return {**lines, "log, MiB": [b / MIB for b in log], "store, MiB": [b / MIB for b in store]}
