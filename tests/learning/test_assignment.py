"""Which task to give to whom."""

import random

import pytest

from swarm_memory.learning.assignment import assigned


def plan(tasks, agents, risks=None):
    return assigned(tasks, agents, risks or {}, lambda a, b: a == b)


def test_tasks_that_share_files_go_to_one_agent():
    found = plan({"a": ["x"], "b": ["y"], "c": ["x"], "d": ["y"]}, ["one", "two"])

    assert {("a", "c"), ("b", "d")} == set(found.tasks.values())
    assert ((), 0.0) == (found.meetings, found.cost)
    assert pytest.approx(4 / 3) == found.at_random
    assert any("both touch x" in reason for reason in found.reasons)


def test_load_is_even_and_what_still_meets_is_named():
    found = plan({"a": ["x"], "b": ["x"]}, ["one", "two"])

    assert [1, 1] == [len(names) for names in found.tasks.values()]
    assert (("x", "a", "b"),) == found.meetings
    assert "let one wait" in found.reasons[0]


def test_where_a_meeting_cannot_be_avoided_the_file_with_less_risk_is_chosen():
    tasks = {"a": ["x", "y"], "b": ["x"], "c": ["y"], "d": ["z"]}
    found = plan(tasks, ["one", "two"], {"x": 0.9, "y": 0.1})

    assert [("y", "a", "c")] == list(found.meetings)
    assert pytest.approx(1.1) == found.cost


def test_a_plan_is_the_same_for_the_same_tasks_and_costs_no_more_than_chance():
    chance = random.Random(2)
    tasks = {f"t{n}": [f"f{chance.randrange(15)}" for _ in range(3)] for n in range(24)}
    agents = ["a", "b", "c", "d"]

    found = plan(tasks, agents)

    assert found == plan(tasks, agents)
    assert found.cost < 0.8 * found.at_random
    assert sorted(tasks) == sorted(n for names in found.tasks.values() for n in names)
    assert max(len(names) for names in found.tasks.values()) == 6


def test_no_tasks_are_no_work():
    assert {"one": ()} == plan({}, ["one"]).tasks
