"""Histories: what many processes did to one store, by the notes of `history_worker.py`."""

import json
import math
import os
import signal
import subprocess
import sys
import time

import history_worker
from linearizability import Operation

from swarm_memory import Swarm

WAIT_S = 300.0


def record(
    folder,
    *,
    processes,
    rounds,
    keys,
    bug="none",
    waits=False,
    late=0.05,
    dies=(),
    kills=0,
    progress=lambda line: None,
):
    """Let `processes` work `rounds` each and return {key: [Operation]}.

    Args:
        waits: Whether who wants a lease stands in line for it or asks once.
        late: The share of leases under which the write comes when they have lapsed.
        dies: For the first processes, whether each dies "before" or "after" it did what it had
            noted: of these operations the outcome is unknown.
        kills: How many of the last processes are killed from outside, wherever they are then.
    """
    folder = str(folder)
    url = f"sqlite:///{folder}/memory.db"
    Swarm.open(url, swarm=history_worker.SWARM).close()
    settings = {"rounds": rounds, "keys": keys, "bug": bug, "waits": waits, "late": late}
    notes = [f"{folder}/notes-{seed}" for seed in range(processes)]
    running = []
    try:
        for seed, path in enumerate(notes):
            fate = {"dies": dies[seed], "dies_at": rounds // 3} if seed < len(dies) else {}
            own = settings | {"seed": seed, "dies": None, "dies_at": math.inf} | fate
            running.append(_start(url, path, own))
        for process in running:
            process.stdin.write("go\n")
            process.stdin.flush()
        for process, path in list(zip(running, notes, strict=True))[processes - kills :]:
            _until(lambda path=path: os.path.exists(path) and os.path.getsize(path) > 30 * rounds)
            process.kill()
        _finish(running, {-signal.SIGKILL} if dies or kills else set(), progress)
    finally:
        for process in running:
            process.kill()
            process.communicate()
    histories = {}
    for path in notes:
        for key, operation in operations_of(path):
            histories.setdefault(key, []).append(operation)
    return histories


def _start(url, path, settings):
    pipe = subprocess.PIPE
    command = [sys.executable, history_worker.__file__, url, path, json.dumps(settings)]
    return subprocess.Popen(command, stdin=pipe, stderr=pipe, text=True)


def _finish(running, allowed, progress):
    shown_at = time.monotonic()
    for number, process in enumerate(running):
        stderr = process.communicate(timeout=WAIT_S)[1]
        assert process.returncode in {0, *allowed}, stderr
        assert "" == stderr
        if time.monotonic() > shown_at + 1:
            shown_at = time.monotonic()
            progress(f"{number + 1} of {len(running)} processes are through")


def _until(condition):
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.001)


def operations_of(path):
    """Yield (key, operation) of one process; the last may have no return."""
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    for number in range(0, len(lines), 2):
        key, name, arguments, called = lines[number]
        returned, result = lines[number + 1] if number + 1 < len(lines) else (math.inf, None)
        yield key, Operation(called, returned, name, _as_tuple(arguments), _as_tuple(result))
        if name == "lock" and arguments[-1] < returned - called < math.inf:
            # Longer than the time to live: the call may have been given a lease that lapsed
            # before it could go on, and then have asked again.
            yield key, Operation(called, returned, "lapse", _as_tuple(arguments), None)


def _as_tuple(value):
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value
