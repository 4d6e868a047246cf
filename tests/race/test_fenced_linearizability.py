"""Histories of writes under leases: who lost its lease never writes, and a missing fence is found.

Each process takes a lease for the shortest time there is, now and then sleeps past its end as a
stopped process would, and then writes with its token. Grants, writes and reads of one resource
must fit into one order in which tokens only rise.
"""

import json
import subprocess
import sys

import pytest
from linearizability import FencedModel, Operation, first_failure, is_linearizable

from swarm_memory import Swarm

PROCESSES = 8
OPERATIONS = 40
KEYS = 2

WORKER = """
import json, random, sys, time
from swarm_memory import Swarm
from swarm_memory.errors import LeaseLostError
url, seed, count, keys, bug = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
choose = random.Random(seed)
clock = time.monotonic_ns  # one clock for all processes of a machine
out = []
def note(key, called, name, arguments, result):
    out.append((key, called, clock(), name, arguments, result))
with Swarm.open(url, agent=f"p{seed}", swarm="lin", durability="relaxed") as swarm:
    records, leases = swarm.records, swarm.leases
    def put(key, lease, value):
        try:
            records.put(key, value, fence=None if bug == "no-fence" else lease)
            return "written"
        except LeaseLostError:
            return "refused"
    sys.stdin.readline()
    for number in range(count):
        key, value = f"lin/{choose.randrange(keys)}", f"{seed}.{number}"
        if choose.random() < 0.4:
            called = clock()
            record = records.get(key)
            note(key, called, "get", (), record.value if record else None)
            continue
        called = clock()
        lease = leases.acquire(key, ttl_s=0.1, wait_s=60)
        note(key, called, "acquire", (lease.token,), "granted")
        if choose.random() < 0.15:
            time.sleep(0.12)
        called = clock()
        result = put(key, lease, value)
        note(key, called, "put", (lease.token, value), result)
        try:
            lease.release()
        except LeaseLostError:
            pass
print(json.dumps(out))
"""


class LeaseModel:
    """One resource and its lease: (highest token given, value). Only the newest token writes."""

    START = (0, None)

    @staticmethod
    def step(state, name, arguments):
        newest, value = state
        if name == "get":
            return state, value
        if name == "acquire":
            (token,) = arguments
            return ((token, value), "granted") if token > newest else (state, "given before")
        if name == "put":
            token, new = arguments
            return ((token, new), "written") if token == newest else (state, "refused")
        if name == "late put":  # whether a lease has lapsed is up to a clock that is not modelled
            return state, "refused"
        raise ValueError(name)


def record_history(folder, bug="none"):
    url = f"sqlite:///{folder}/memory.db"
    Swarm.open(url, swarm="lin").close()
    command = [sys.executable, "-c", WORKER, url]
    running = [
        subprocess.Popen(
            [*command, str(seed), str(OPERATIONS), str(KEYS), bug],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in range(PROCESSES)
    ]
    histories = {}
    try:
        for process in running:
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in running:
            stdout, _ = process.communicate(timeout=120)
            for key, called, returned, name, arguments, result in json.loads(stdout):
                name = "late put" if result == "refused" else name
                operation = Operation(called, returned, name, tuple(arguments), result)
                histories.setdefault(key, []).append(operation)
    finally:
        for process in running:
            process.kill()
            process.communicate()
    return histories


def writes_and_reads(histories):
    """Return the histories for a model that knows of no leases; what was refused did nothing."""
    return {
        key: [operation for operation in operations if operation.name in ("get", "put")]
        for key, operations in histories.items()
    }


def failure(histories):
    return first_failure(writes_and_reads(histories), FencedModel) or first_failure(
        histories, LeaseModel
    )


def test_writes_under_leases_are_linearizable_and_late_ones_do_nothing(tmp_path):
    histories = record_history(tmp_path)

    names = [operation.name for operations in histories.values() for operation in operations]
    assert PROCESSES * OPERATIONS == names.count("get") + names.count("acquire")
    assert names.count("acquire") == names.count("put") + names.count("late put")
    assert names.count("put") > 0
    assert names.count("late put") > 0
    assert failure(histories) is None


def test_a_write_without_its_fence_is_found(tmp_path):
    # A late write nearly always meets a newer one; five times none would mean a blind checker.
    for attempt in range(5):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        histories = record_history(folder, "no-fence")
        if first_failure(writes_and_reads(histories), FencedModel) is not None:
            assert first_failure(histories, LeaseModel) is not None
            return
    pytest.fail("it was not found")


GRANTED = ("acquire", (1,), "granted")


@pytest.mark.parametrize(
    ("operations", "verdict"),
    [
        ([GRANTED, ("put", (1, "a"), "written"), ("get", (), "a")], True),
        ([GRANTED, ("late put", (1, "a"), "refused"), ("get", (), "a")], False),
        ([GRANTED, GRANTED], False),
        ([("acquire", (2,), "granted"), GRANTED], False),
        ([GRANTED, ("acquire", (2,), "granted"), ("put", (1, "a"), "written")], False),
    ],
)
def test_the_model_knows_what_may_follow_what(operations, verdict):
    history = [Operation(2 * n, 2 * n + 1, *operation) for n, operation in enumerate(operations)]

    assert verdict == is_linearizable(history, LeaseModel)
