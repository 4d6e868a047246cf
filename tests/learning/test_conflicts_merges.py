"""The forecast of merges, and which task to give to whom."""

import random

import pytest

from swarm_memory.learning.assignment import assigned
from swarm_memory.learning.merges import NO_COMMON_FILE, RATE_FIRST, Merge, MergeModel


def merge(*common, branch=5, main=20, age_s=3600.0):
    return Merge(age_s, main, branch, common, len(common), 2)


def test_without_a_common_file_a_merge_is_expected_to_go_well():
    assert NO_COMMON_FILE == MergeModel().risk(merge())


def test_more_common_files_are_more_risk_before_anything_is_known():
    model = MergeModel()

    assert model.risk(merge("a")) < model.risk(merge("a", "b", "c"))


def test_the_history_of_a_file_is_drawn_to_the_rate_of_all():
    model = MergeModel()

    assert pytest.approx(RATE_FIRST) == model.history(["a"])
    model.learn(merge("a"), ["a"])
    rate = (1 + RATE_FIRST * 3) / (1 + 3)
    assert pytest.approx((1 + 3 * rate) / (1 + 3)) == model.history(["a"])
    assert pytest.approx(rate) == model.history(["b"])
    assert pytest.approx(1 - (1 - rate) ** 2) == model.history(["b", "c"])


def test_files_that_stopped_merges_before_rank_above_those_that_did_not():
    chance = random.Random(1)
    model = MergeModel()
    for _ in range(200):
        hot = chance.random() < 0.5
        path = f"hot-{chance.randrange(3)}" if hot else f"cold-{chance.randrange(3)}"
        model.learn(merge(path), [path] if chance.random() < (0.7 if hot else 0.05) else [])

    assert model.risk(merge("hot-1")) > 0.5
    assert model.risk(merge("cold-1")) < 0.2


# --- who gets which task ---


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
