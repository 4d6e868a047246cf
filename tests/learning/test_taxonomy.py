"""Failures by kind: classes, shares with intervals, what goes together, and whom it is due to."""

import numpy as np
import pytest

from swarm_memory.learning import taxonomy
from swarm_memory.learning.observation import (
    CONFLICT,
    FAILURE,
    PARTIAL,
    SUCCESS,
    TIMEOUT,
    UNKNOWN,
    Observation,
)


def outcome(number, status=FAILURE, *, task=None, **more):
    reward = {SUCCESS: 1.0, PARTIAL: 0.5, UNKNOWN: None}.get(status, 0.0)
    name = f"t{number}" if task is None else task
    return Observation(
        f"o{number}", 1_000 * number, name, "fix", "parallel", status, reward, **more
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("subprocess.TimeoutExpired: Command timed out after 120 seconds", "timeout"),
        ("PermissionError: [Errno 13] Permission denied: '/etc/x'", "permission"),
        ("bash: rg: command not found", "missing dependency"),
        ("ModuleNotFoundError: No module named 'yaml'", "missing dependency"),
        ("FileNotFoundError: [Errno 2] No such file or directory", "not found"),
        ("AssertionError: assert 3 == 4", "assertion"),
        ("2 tests failed, 31 passed", "assertion"),
        ("SyntaxError: invalid syntax", "syntax"),
        ("TypeError: 'NoneType' object is not callable", "type"),
        ("error[E0308]: mismatched types", "type"),
        ("requests.exceptions.ConnectionError: refused", "network"),
        ("MemoryError", "out of memory"),
        ("CONFLICT (content): Merge conflict in a.py", "conflict"),
        ("HTTP 429 Too Many Requests", "rate limit"),
        ("OSError: [Errno 28] No space left on device", "disk full"),
        ("thread 'main' panicked at src/main.rs", "crash"),
        ("timeout", "timeout"),
        ("the moon was wrong", "other"),
        ("  ", "not named"),
        (None, "not named"),
    ],
)
def test_the_class_of_an_error_is_read_off_its_text(text, expected):
    assert expected == taxonomy.error_class_of(text)


def test_the_status_names_the_class_where_the_text_does_not():
    assert "timeout" == taxonomy.error_class_of(None, TIMEOUT)
    assert "conflict" == taxonomy.error_class_of("it went wrong", CONFLICT)
    assert "permission" == taxonomy.error_class_of("permission denied", TIMEOUT)


def test_every_class_name_is_its_own_class():
    for name, _ in taxonomy._CLASSES:
        assert name == taxonomy.error_class_of(name)


def test_shares_are_of_the_failures_where_the_kind_is_known():
    rows = [outcome(n, SUCCESS) for n in range(10)]
    rows += [outcome(10 + n, error_class="timed out", failed_agent="b") for n in range(3)]
    rows += [outcome(13, error_class="permission denied", failed_step=4), outcome(14, UNKNOWN)]
    rows += [outcome(15, PARTIAL)]

    found = taxonomy.taxonomy(rows)

    assert (4, 1) == (found.failures, found.left_out)
    assert pytest.approx(4 / 15) == found.rate
    timeout, permission = found.of("error class")
    assert ("timeout", 3, 0.75) == (timeout.name, timeout.failures, timeout.share)
    assert ("o12", "o11", "o10") == timeout.outcome_ids
    assert timeout.interval[0] < 0.75 < timeout.interval[1]
    assert "permission" == permission.name
    assert [("b", 1.0)] == [(share.name, share.share) for share in found.of("agent")]
    assert [("4", 1)] == [(share.name, share.failures) for share in found.of("step")]
    assert (4, 3, 1) == tuple(found.known[kind] for kind in ("error class", "agent", "step"))


def test_one_task_that_fails_ten_times_is_one_piece_of_evidence():
    apart = [outcome(n, error_class="timeout" if n < 20 else "syntax") for n in range(40)]
    alike = [row._replace(task=f"t{n // 10}") for n, row in enumerate(apart)]

    def width(rows):
        low, high = taxonomy.taxonomy(rows).of("error class")[0].interval
        return high - low

    assert width(alike) > 2 * width(apart)


def test_what_goes_together_is_found_and_what_does_not_is_not():
    rng = np.random.default_rng(1)
    rows = []
    for n in range(300):
        agent = ("a", "b", "c")[int(rng.integers(3))]
        slow = rng.random() < (0.7 if agent == "a" else 0.2)
        rows.append(outcome(n, error_class="timeout" if slow else "syntax", failed_agent=agent))

    pairs = {(pair.one[1], pair.other[1]): pair for pair in taxonomy.taxonomy(rows).together}

    pair = pairs["timeout", "a"]
    assert pair.share > pair.elsewhere
    assert pair.interval[0] > 0
    assert {"timeout"} == {
        taxonomy.error_class_of(rows[int(i[1:])].error_class) for i in pair.outcome_ids
    }
    assert ("timeout", "b") not in pairs


def test_names_drawn_apart_seldom_go_together():
    found = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        rows = [
            outcome(
                n,
                error_class=str(rng.choice(["timeout", "syntax", "type"])),
                failed_agent=str(rng.choice(["a", "b", "c"])),
            )
            for n in range(120)
        ]
        found += len(taxonomy.taxonomy(rows).together)

    assert found <= 3


def test_nothing_or_odd_rows_are_no_crash():
    assert 0 == taxonomy.taxonomy([]).failures
    assert 1 == taxonomy.taxonomy([outcome(1, UNKNOWN)]).left_out
    assert () == taxonomy.taxonomy([outcome(1, SUCCESS)]).shares
    odd = outcome(1, error_class="", failed_agent="", task="")._replace(strategy=None)
    assert {"status", "task type"} == {s.kind for s in taxonomy.taxonomy([odd]).shares}


def test_a_failed_run_is_due_to_who_wrote_most_at_its_first_step():
    steps = [("human", 50), ("planner", 100), ("coder", 500), ("planner", 90), ("coder", 20)]

    found = taxonomy.attribute(steps)

    assert ("coder", 2) == (found.agent, found.step)
    assert pytest.approx(520 / 760) == found.share
    assert taxonomy.attribute([]) is None
    assert ("a", 0) == taxonomy.attribute([("a", 0), ("b", 0)])[:2]
