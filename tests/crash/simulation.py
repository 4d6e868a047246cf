"""Many histories, each recorded and then examined, as many at a time as there are cores."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(__file__)
LOG_PAGES = (3, 20, 100)  # after how many the log is moved
DEATHS = 3  # lives of a worker that end by a kill
DEADLINE_S = 300


def simulate(disk, memory, *, histories, images, calls=30, seed=1, protocol="shared", mutant=None):
    """Return the tally of `histories` power-loss simulations of `images` images each.

    What is recorded lies on a real `disk`, where numbers of inodes come again; nothing waits for
    it. The images lie in `memory`, for speed only.
    """

    def one(number):
        folder = tempfile.mkdtemp(dir=disk)
        scratch = tempfile.mkdtemp(dir=memory)
        turn = seed * 1000 + number
        spec = {
            "folder": folder,
            "seed": turn,
            "calls": calls,
            "pages": LOG_PAGES[turn % len(LOG_PAGES)],
            "protocol": protocol,
            "mutant": mutant,
            "deaths": DEATHS,
        }
        try:
            recorded = _run("workload.py", spec)
            spec = {"folder": folder, "scratch": scratch, "images": images, "seed": turn}
            return recorded | _run("examine.py", spec)
        finally:
            shutil.rmtree(folder)
            shutil.rmtree(scratch)

    tally = Counter(images=0, lost=0, broken=0, deaths=0)
    examples = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for result in pool.map(one, range(histories)):
            examples += result.pop("examples")
            tally.update(result)
    return tally, examples


def _run(program, spec):
    # A session of its own, so that none of its processes outlives it, whatever happens.
    running = subprocess.Popen(
        [sys.executable, f"{HERE}/{program}", json.dumps(spec)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = running.communicate(timeout=DEADLINE_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    if running.returncode:
        raise RuntimeError(f"{program} {spec} failed:\n{err[-4000:]}")
    return json.loads(out)
