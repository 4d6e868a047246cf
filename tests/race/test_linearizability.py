"""Histories of many processes on few keys are linearizable, and the checker finds planted bugs."""

import json
import random
import subprocess
import sys
from itertools import permutations

import pytest
from linearizability import Operation, RecordModel, first_failure, is_linearizable

from swarm_memory import Swarm

PROCESSES = 8
OPERATIONS = 150
KEYS = 5

WORKER = """
import json, random, sys, time
from swarm_memory import ConflictError, Swarm
url, seed, count, keys, bug = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
choose = random.Random(seed)
clock = time.monotonic_ns  # one clock for all processes of a machine
cache, seen, out = {}, {}, []
with Swarm.open(url, agent=f"p{seed}", swarm="lin", durability="relaxed") as swarm:
    records = swarm.records
    def get(key):
        if bug == "stale-cache" and key in cache and choose.random() < 0.5:
            return cache[key]
        record = records.get(key)
        cache[key] = (record.version, record.value) if record else (0, None)
        return cache[key]
    def cas(key, expect, value):
        if bug == "no-transaction":
            actual = get(key)[0]
            if actual != expect:
                return ("conflict", actual)
            return records.put(key, value).version
        try:
            return records.put(key, value, expect=expect).version
        except ConflictError as error:
            return ("conflict", error.actual)
    sys.stdin.readline()
    for number in range(count):
        key = f"lin/{choose.randrange(keys)}"
        value = f"{seed}.{number}"
        name = choose.choices(["get", "put", "cas", "delete"], [40, 20, 30, 10])[0]
        expect = seen.get(key, 0)
        called = clock()
        if name == "get":
            arguments, result = (), get(key)
            seen[key] = result[0]
        elif name == "put":
            arguments, result = (value,), records.put(key, value).version
            seen[key] = result
        elif name == "cas":
            arguments, result = (expect, value), cas(key, expect, value)
            seen[key] = result if isinstance(result, int) else result[1]
        else:
            arguments, result = (), records.delete(key)
        out.append((key, called, clock(), name, arguments, result))
print(json.dumps(out))
"""


def as_tuple(value):
    return tuple(map(as_tuple, value)) if isinstance(value, list) else value


def record_history(tmp_path, bug="none", processes=PROCESSES):
    url = f"sqlite:///{tmp_path}/memory.db"
    Swarm.open(url, swarm="lin").close()
    command = [sys.executable, "-c", WORKER, url]
    running = [
        subprocess.Popen(
            [*command, str(seed), str(OPERATIONS), str(KEYS), bug],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in range(processes)
    ]
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    histories = {}
    for process in running:
        stdout, _ = process.communicate(timeout=120)
        for key, called, returned, name, arguments, result in json.loads(stdout):
            operation = Operation(called, returned, name, as_tuple(arguments), as_tuple(result))
            histories.setdefault(key, []).append(operation)
    return histories


@pytest.mark.parametrize("processes", [8, 16])
def test_gets_puts_compare_and_sets_and_deletes_are_linearizable(tmp_path, processes):
    histories = record_history(tmp_path, processes=processes)

    assert processes * OPERATIONS == sum(map(len, histories.values()))
    overlaps = sum(
        one.returned > other.called
        for operations in histories.values()
        for one, other in zip(sorted(operations), sorted(operations)[1:], strict=False)
    )
    assert overlaps > 0, "no two operations met"
    assert first_failure(histories, RecordModel) is None


@pytest.mark.parametrize("bug", ["stale-cache", "no-transaction"])
def test_a_planted_bug_is_found(tmp_path, bug):
    # A race shows itself in nearly every history; five without one would mean a blind checker.
    for attempt in range(5):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        if first_failure(record_history(folder, bug), RecordModel) is not None:
            return
    pytest.fail(f"{bug} was not found")


def test_the_checker_agrees_with_trying_all_orders():
    choose = random.Random(3)
    verdicts = set()
    for _ in range(600):
        operations = [random_operation(choose) for _ in range(5)]

        verdict = is_linearizable(operations, RecordModel)

        assert verdict == any(fits(order) for order in permutations(operations) if in_time(order))
        verdicts.add(verdict)
    assert {True, False} == verdicts


def random_operation(choose):
    called = choose.randrange(10)
    name = choose.choice(["get", "put", "delete"])
    result = {
        "get": choose.choice([(0, None), (1, "a"), (2, "a")]),
        "put": choose.randrange(1, 4),
        "delete": choose.random() < 0.5,
    }[name]
    arguments = ("a",) if name == "put" else ()
    return Operation(called, called + choose.randrange(1, 8), name, arguments, result)


def in_time(order):
    return all(
        later.returned >= earlier.called
        for index, earlier in enumerate(order)
        for later in order[index + 1 :]
    )


def fits(order):
    state = RecordModel.START
    for operation in order:
        state, result = RecordModel.step(state, operation.name, operation.arguments)
        if result != operation.result:
            return False
    return True
