"""Many histories, each recorded and then examined, as many at a time as there are cores."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(__file__)
LOG_PAGES = (3, 20, 100)  # after how many the log is moved
DEATHS = 2  # lives of a worker that end by a kill
DEADLINE_S = 300


def simulate(parent, *, histories, images, calls=30, mutant=None, seed=1):
    """Return the tally of `histories` power-loss simulations of `images` images each."""

    def one(number):
        folder = tempfile.mkdtemp(dir=parent)
        try:
            return _one(folder, seed * 1000 + number, images, calls, mutant)
        finally:
            shutil.rmtree(folder)

    tally = Counter(images=0, lost=0, broken=0, deaths=0)
    examples = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for result in pool.map(one, range(histories)):
            examples += result.pop("examples")
            tally.update(result)
    return tally, examples


def _one(folder, seed, images, calls, mutant):
    spec = {
        "folder": folder,
        "seed": seed,
        "calls": calls,
        "pages": LOG_PAGES[seed % len(LOG_PAGES)],
        "mutant": mutant,
        "deaths": DEATHS,
    }
    recorded = _run("workload.py", spec)
    examined = _run("examine.py", {"folder": folder, "images": images, "seed": seed})
    return recorded | examined


def _run(program, spec):
    run = subprocess.run(
        [sys.executable, f"{HERE}/{program}", json.dumps(spec)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    if run.returncode:
        raise RuntimeError(f"{program} {spec} failed:\n{run.stderr[-4000:]}")
    return json.loads(run.stdout)
