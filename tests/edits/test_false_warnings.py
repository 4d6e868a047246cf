"""Warnings are few, and few of them are false: counted over recordings of agents at work."""

import json
from pathlib import Path

import pytest
from replaying import AFTER, BEFORE, COMMIT, END, STOP, Counted, Step, imagined, replay, steps_of

from swarm_memory.testing import Store

RECORDINGS = sorted((Path(__file__).parents[1] / "hooks" / "recordings").rglob("*.jsonl"))
SETTINGS = {
    "two terminals": {"terminals": 2},
    "three subagents": {"terminals": 1, "subagents": 3},
    "three terminals with subagents": {"terminals": 3, "subagents": 2},
    "three worktrees": {"terminals": 3, "worktrees": True},
}
LATE_PER_HOUR_MAX, FALSE_PER_HOUR_MAX = 2.0, 1.0
SEEDS = range(5)


@pytest.fixture
def counted(tmp_path):
    """Return a function that replays a recording in a store of its own."""
    stores = []

    def count(steps):
        stores.append(Store(f"sqlite:///{tmp_path}/{len(stores)}.db"))
        return replay(stores[-1].open(), stores[-1].clock, steps)

    yield count
    for store in stores:
        store.close()


def steps(*rows):
    return [Step(at_s, session, None, what, "a.py", "/r") for at_s, session, what in rows]


# --- the measure itself, on recordings whose count is known ---


def test_a_warning_of_somebody_who_goes_on_is_right(counted):
    found = counted(
        steps((0, "s1", AFTER), (60, "s2", BEFORE), (61, "s2", AFTER), (90, "s1", AFTER))
    )

    assert (3, 1, 0, 0, 0) == found[:5]


def test_a_warning_of_somebody_who_is_done_is_false(counted):
    late = counted(steps((0, "s1", AFTER), (60, "s2", BEFORE), (3600, "s2", AFTER)))
    false = counted(steps((0, "s1", AFTER), (600, "s2", BEFORE), (3600, "s2", AFTER)))

    assert (2, 1, 1, 0, 0) == late[:5]
    assert (2, 1, 1, 1, 0) == false[:5]
    assert 1 == false.per_hour("false")


@pytest.mark.parametrize("end", [STOP, COMMIT, END])
def test_who_stopped_or_committed_is_not_warned_of(counted, end):
    found = counted(steps((0, "s1", AFTER), (1, "s1", end), (60, "s2", BEFORE)))

    assert (1, 0, 0, 0, 0) == found[:5]


def test_a_warning_is_given_once(counted):
    found = counted(
        steps((0, "s1", AFTER), (60, "s2", BEFORE), (70, "s2", BEFORE), (80, "s1", AFTER),
              (90, "s2", BEFORE))
    )  # fmt: skip

    assert 1 == found.warnings


def test_another_worktree_counts_as_a_merge(counted):
    one, two = steps((0, "s1", AFTER), (60, "s2", BEFORE))
    found = counted([one, two._replace(worktree="/r2")])

    assert (1, 0, 0, 0, 1) == found[:5]


# --- and what it says ---


@pytest.mark.parametrize("setting", SETTINGS)
def test_few_warnings_are_false(counted, setting):
    each = [counted(imagined(seed, **SETTINGS[setting])) for seed in SEEDS]
    found = Counted(*(sum(parts) for parts in zip(*each, strict=True)))

    assert 100 < found.edits
    assert 0 < found.warnings + found.merges < found.edits / 10
    assert LATE_PER_HOUR_MAX >= found.per_hour("late")
    assert FALSE_PER_HOUR_MAX >= found.per_hour("false")


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_recorded_sessions_have_no_false_warnings(counted, path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    played = steps_of([line["event"] for line in lines if "event" in line])
    if not any(step.what == AFTER for step in played):
        pytest.skip("nothing is edited in it")
    found = counted(played)

    assert 0 == found.false
