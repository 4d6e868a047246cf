"""Histories of many processes on few keys are linearizable, and the checker finds planted bugs.

One history mixes everything: gets, puts, compare-and-sets, deletes, leases that are taken,
renewed, released and that lapse, and writes under them. Each key has its lease of the same name.
"""

import json
import math
import random
from collections import Counter
from itertools import combinations, permutations

import pytest
from histories import operations_of, record
from history_worker import BUGS
from linearizability import Operation, StoreModel, first_failure, is_linearizable

NAMES = {"get", "put", "cas", "delete", "lock", "write", "renew", "unlock"}


def flat(histories):
    return [operation for operations in histories.values() for operation in operations]


def outcomes(histories):
    """Count the outcomes of each operation by its name and kind."""
    return Counter(
        (each.name, each.result[0] if each.name == "cas" and each.result else each.result)
        for each in flat(histories)
        if each.name != "get" and isinstance(each.result, (str, tuple))
    )


def overlaps(histories):
    return sum(
        one.returned > other.called
        for operations in histories.values()
        for one, other in zip(sorted(operations), sorted(operations)[1:], strict=False)
    )


@pytest.mark.parametrize("waits", [False, True], ids=["asks", "waits"])
def test_histories_of_eight_processes_are_linearizable(tmp_path, waits):
    histories = record(tmp_path, processes=8, rounds=100, keys=4, waits=waits, late=0.1)

    operations, seen = flat(histories), outcomes(histories)
    assert 800 <= len(operations)
    assert NAMES == {each.name for each in operations} - {"lapse"}
    assert overlaps(histories) > 0, "no two operations met"
    assert seen["cas", "conflict"] > 0
    assert seen["write", "refused"] > 0
    assert seen["unlock", "released"] > 0
    assert (seen["lock", "busy"] > 0) != waits
    assert first_failure(histories, StoreModel) is None


def test_a_history_of_64_processes_is_linearizable(tmp_path):
    histories = record(tmp_path, processes=64, rounds=10, keys=8)

    assert 64 * 10 <= len(flat(histories))
    assert first_failure(histories, StoreModel) is None


def test_what_killed_processes_did_happened_once_or_not_at_all(tmp_path):
    dies = ("before", "after") * 4
    histories = record(tmp_path, processes=12, rounds=60, keys=4, dies=dies, kills=2)

    ambiguous = [each for each in flat(histories) if each.returned == math.inf]
    assert len(dies) <= len(ambiguous) <= len(dies) + 2
    assert first_failure(histories, StoreModel) is None


@pytest.mark.long
def test_a_long_history_of_64_processes_is_linearizable(tmp_path, progress):
    dies = ("before", "after") * 8
    histories = record(
        tmp_path, processes=64, rounds=1_800, keys=40, late=0.02, dies=dies, kills=4,
        progress=progress,
    )  # fmt: skip

    operations = flat(histories)
    progress(f"checking {len(operations):,} operations on {len(histories)} keys")
    assert 100_000 <= len(operations)
    assert NAMES == {each.name for each in operations} - {"lapse"}
    assert first_failure(histories, StoreModel) is None


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(tmp_path, bug):
    # A race shows itself in nearly every history; five without one would mean a blind checker.
    for attempt in range(5):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        histories = record(folder, processes=3, rounds=50, keys=2, late=0.3, bug=bug)
        if first_failure(histories, StoreModel) is not None:
            return
    pytest.fail(f"{bug} was not found")


# --- the checker and the model ---

MS = 1_000_000
TTL = 100 * MS


def history(*operations):
    """Each operation begins 10 ms after the one before, or at its own time, and takes 1 ms."""
    made = []
    for number, operation in enumerate(operations):
        name, arguments, result, *at_ms = operation
        called = (at_ms[0] if at_ms else 10 * number) * MS
        returned = math.inf if result is None else called + MS
        made.append(Operation(called, returned, name, arguments, result))
    return made


LOCK = ("lock", (TTL,), 1)


@pytest.mark.parametrize(
    ("operations", "verdict"),
    [
        ([LOCK, ("write", (1, "a"), 1), ("get", (), (1, "a"))], True),
        ([LOCK, ("write", (1, "a"), "refused")], False),
        ([LOCK, ("write", (1, "a"), "refused", 150)], True),
        ([LOCK, ("write", (1, "a"), 1, 150)], False),
        ([LOCK, ("write", (1, "a"), 1, 100)], True),  # whether it has lapsed is open just then
        ([LOCK, ("write", (1, "a"), "refused", 100)], True),
        ([LOCK, LOCK], False),
        ([LOCK, ("lock", (TTL,), 2)], False),
        ([LOCK, ("lock", (TTL,), 2, 150)], True),
        ([LOCK, ("lock", (TTL,), 1, 150)], False),
        ([LOCK, ("lock", (TTL,), "busy")], True),
        ([LOCK, ("lock", (TTL,), "busy", 150)], False),
        ([("lock", (TTL,), "busy")], False),
        ([LOCK, ("unlock", (1,), "released"), ("lock", (TTL,), 2)], True),
        ([LOCK, ("unlock", (1,), "released"), ("lock", (TTL,), 1)], False),
        ([LOCK, ("unlock", (1,), "released"), ("write", (1, "a"), 1)], False),
        ([LOCK, ("unlock", (1,), "refused")], False),
        ([LOCK, ("renew", (1, TTL), "renewed", 90), ("write", (1, "a"), 1, 180)], True),
        ([LOCK, ("renew", (1, TTL), "renewed", 90), ("lock", (TTL,), 2, 180)], False),
        ([LOCK, ("renew", (1, TTL), "renewed", 150)], False),
        # What was never answered: it happened, or it did not, but not twice and not before.
        ([("put", ("a",), None), ("get", (), (1, "a"))], True),
        ([("put", ("a",), None), ("get", (), (0, None))], True),
        ([("put", ("a",), None), ("get", (), (1, "a")), ("get", (), (0, None))], False),
        ([("put", ("a",), None), ("put", ("b",), 3)], False),
        ([("get", (), (1, "a")), ("put", ("a",), None)], False),
        ([("put", ("a",), 1), ("delete", (), None), ("put", ("b",), 3)], True),
        ([("lock", (TTL,), None), ("lock", (TTL,), "busy")], True),
        ([("lock", (TTL,), None), ("lock", (TTL,), 2, 50)], True),
        ([LOCK, ("unlock", (1,), None), ("lock", (TTL,), 2, 50)], True),
        ([LOCK, ("write", (1, "a"), None), ("get", (), (1, "a"))], True),
        ([LOCK, ("write", (1, "a"), None, 150), ("get", (), (1, "a"), 160)], False),
    ],
)
def test_the_model_knows_what_may_follow_what(operations, verdict):
    assert verdict == is_linearizable(history(*operations), StoreModel)


def test_a_lock_that_stood_still_may_have_held_and_lost_the_lease_meanwhile(tmp_path):
    calls = [
        ["k", "lock", [TTL], 0],
        [150 * MS, "busy"],
        ["k", "lock", [TTL], 160 * MS],
        [161 * MS, 2],
    ]
    (tmp_path / "notes").write_text("".join(json.dumps(call) + "\n" for call in calls))
    stood_still = [operation for _, operation in operations_of(tmp_path / "notes")]
    refused = Operation(50 * MS, 51 * MS, "lock", (TTL,), "busy")
    known = [operation for operation in stood_still if operation.name != "lapse"]

    assert ["lock", "lapse", "lock"] == [operation.name for operation in stood_still]
    assert is_linearizable([*stood_still, refused], StoreModel)
    assert not is_linearizable([*known, refused], StoreModel)


def test_the_checker_agrees_with_trying_all_orders():
    choose = random.Random(3)
    verdicts = Counter()
    for _ in range(800):
        operations = [random_operation(choose) for _ in range(5)]

        verdict = is_linearizable(operations, StoreModel)

        assert verdict == any(
            fits(order)
            for some in with_and_without(operations)
            for order in permutations(some)
            if in_time(order)
        )
        verdicts[verdict] += 1
    assert min(verdicts[True], verdicts[False]) > 30


def random_operation(choose):
    called = choose.randrange(10)
    name, arguments, results = choose.choice(
        [
            ("get", (), [(0, None), (1, "a"), (2, "a")]),
            ("put", ("a",), [1, 2, 3]),
            ("delete", (), [True, False]),
            ("lock", (TTL,), [1, "busy"]),
            ("write", (1, "a"), [1, 2, "refused"]),
            ("unlock", (1,), ["released", "refused"]),
        ]
    )
    if choose.random() < 0.2:
        return Operation(called, math.inf, name, arguments, None)
    return Operation(
        called, called + choose.randrange(1, 8), name, arguments, choose.choice(results)
    )


def with_and_without(operations):
    """Yield the operations with each choice of those that were never answered."""
    answered = [each for each in operations if each.returned < math.inf]
    others = [each for each in operations if each.returned == math.inf]
    for count in range(len(others) + 1):
        for some in combinations(others, count):
            yield [*answered, *some]


def in_time(order):
    return all(
        later.returned >= earlier.called
        for index, earlier in enumerate(order)
        for later in order[index + 1 :]
    )


def fits(order):
    states = [StoreModel.START]
    for operation in order:
        states = [each for state in states for each in StoreModel.step(state, operation)]
    return bool(states)
