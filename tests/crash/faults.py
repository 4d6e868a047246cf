"""One kind of fault at every call of a scenario, in a process of its own.

Run as a program: `faults.py SPEC` with a JSON object (folder, operation, error, sticky). For
every n a store is copied, a program of calls runs while the n-th call fails, and then everything
that was said to the caller is compared with what is there.
"""

import gc
import json
import os
import shutil
import sys
from collections import Counter

import apsw
from faulty_vfs import Fault, FaultyVFS

from swarm_memory import (
    AmbiguousCommitError,
    EngineUnavailableError,
    StorageFullError,
    Swarm,
    SwarmMemoryError,
)
from swarm_memory.engine import checkpoint, sync
from swarm_memory.errors import EXIT_STATUS

POINTS_MAX = 2000
EXPECTED = (AmbiguousCommitError, EngineUnavailableError, StorageFullError)

# (op, key, durability); an op that comes again is a retry.
CALLS = (
    ("one", "x/a", "full"),
    ("two", "x/a", "full"),
    ("loose", "x/b", "relaxed"),
    ("three", "x/own/3", "full"),
    ("two", "x/a", "full"),
    ("four", "x/a", "full"),
    ("five", "x/own/5", "full"),
)


class Run:
    """One store, one fault, and what the caller was told."""

    def __init__(self, url):
        self.url = url
        self.placed = {}  # op → (key, version) as acknowledged
        self.absent = set()  # ops of which was only ever said that nothing was written
        self.unknown = set()  # ops of which was once said that they may have been written
        self.problems = []
        self.errors = Counter()
        self.last_error = None

    def open(self):
        """Return a door, or None if the store refuses to open."""
        return self._told(lambda: Swarm.open(self.url, agent="a"))

    def call(self, swarm, op, key, durability):
        """Make one call; tell whether it was acknowledged."""
        record = self._told(
            lambda: swarm.records.put(key, {"op": op}, op_id=op, durability=durability)
        )
        self.absent.discard(op)
        if record is None:
            if self.last_error is AmbiguousCommitError:
                self.unknown.add(op)
            elif op not in self.placed and op not in self.unknown:
                self.absent.add(op)
            return False
        if self.placed.setdefault(op, (key, record.version)) != (key, record.version):
            self.problems.append(f"{op} at {record.version}, was {self.placed[op]}")
        return True

    def compare(self, swarm):
        """Note every difference between what was said and what is there."""
        found = {}
        for record in swarm.records.each():
            for version in swarm.records.history(record.key):
                op = version.value["op"]
                if op in found:
                    self.problems.append(f"{op} was applied twice")
                found[op] = (version.key, version.version)
        for op, place in self.placed.items():
            if found.get(op) != place:
                self.problems.append(f"{op} acknowledged at {place}, is at {found.get(op)}")
        self.problems += [f"{op} is there, but was refused" for op in self.absent & found.keys()]
        return found

    def _told(self, function):
        try:
            return function()
        except SwarmMemoryError as error:
            self.last_error = type(error)
            self.errors[type(error).__name__] += 1
            if not isinstance(error, EXPECTED) or error.code not in EXIT_STATUS or not error.hint:
                self.problems.append(f"unexpected {type(error).__name__}: {error}")
        except Exception as error:
            self.last_error = type(error)
            self.errors[type(error).__name__] += 1
            self.problems.append(f"foreign {type(error).__name__}: {error}")
        return None


def template(folder):
    """Make the store that each run starts from: with a log, and free pages in the file."""
    with Swarm.open(f"sqlite:///{folder}/memory.db", agent="a") as swarm:
        for number in range(6):
            swarm.records.put(f"x/old/{number}", {"op": f"old{number}"})
    db = apsw.Connection(f"{folder}/memory.db")
    db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    db.close()
    with Swarm.open(f"sqlite:///{folder}/memory.db", agent="a") as swarm:
        swarm.records.put("x/old/0", {"op": "old6"})


def run_point(folder, fault, nth):
    """Run the scenario with the nth call failing; return the run and whether any call failed."""
    shutil.copytree(f"{folder}/template", f"{folder}/run", dirs_exist_ok=True)
    run = Run(f"sqlite:///{folder}/run/memory.db")
    fault.arm(nth)
    swarm = run.open()
    if swarm is not None:
        for call in CALLS:
            run.call(swarm, *call)
        run._told(swarm.close)
        gc.collect()
    hit = fault.disarm()
    settle(run)
    shutil.rmtree(f"{folder}/run")
    return run, hit


def settle(run):
    """With the fault gone: the store opens, is whole, and repeating settles every call."""
    swarm = run.open()
    if swarm is None:
        run.problems.append("the store does not open afterwards")
        return
    with swarm:
        run.compare(swarm)
        for op, key, _ in dict.fromkeys((op, key, "full") for op, key, _ in CALLS):
            if not run.call(swarm, op, key, "full"):
                run.problems.append(f"{op} cannot be settled: {run.last_error.__name__}")
        found = run.compare(swarm)
        if {op for op, _, _ in CALLS} - found.keys():
            run.problems.append("calls are missing after they were repeated")
        db = apsw.Connection(run.url.removeprefix("sqlite:///"))
        if db.pragma("integrity_check") != "ok":
            run.problems.append("the database is damaged")
        db.close()


def main(given):
    """Run all points of one kind of fault and print what was found."""
    fault = Fault(given["operation"], given["error"], sticky=given["sticky"])
    FaultyVFS(fault)
    checkpoint.PAGES = {"full": 3, "relaxed": 3}
    sync.datasync = fault.failing(sync.datasync)
    folder = given["folder"]
    os.mkdir(f"{folder}/template")
    template(f"{folder}/template")
    errors, problems, point = Counter(), [], 0
    for point in range(1, POINTS_MAX):
        run, hit = run_point(folder, fault, point)
        errors.update(run.errors)
        problems += [f"call {point}: {problem}" for problem in run.problems]
        if not hit:
            break
    sys.stdout.write(json.dumps({"points": point - 1, "errors": errors, "problems": problems}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
