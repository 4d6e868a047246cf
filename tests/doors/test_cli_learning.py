"""What the command line says of outcomes and of what was learned from them."""

import random

import pytest

from swarm_memory import Swarm


@pytest.fixture
def worked(call):
    """A store in which one strategy is better, with choices whose propensity is known."""
    assert 0 == call("init").status
    pick = random.Random(3)
    with Swarm.open() as swarm:
        for number in range(120):
            asked = {"task_type": "parse", "size": number % 5}
            choice = swarm.outcomes.recommend(asked, ["good", "bad"], seed=number)
            success = pick.random() < {"good": 0.8, "bad": 0.3}[choice.strategy]
            swarm.outcomes.record(
                "parse",
                ["a"],
                success,
                1.0,
                decision=choice,
                context=asked,
                outcome_id=f"o{number}",
            )


def test_the_report_is_one_page_and_the_same_in_json(worked, call, call_json, tmp_path):
    page = tmp_path / "learned.html"
    ran = call("learn", "report", "-o", page)

    assert 0 == ran.status
    assert f"written to {page}" in ran.err
    assert "outcomes\t120" in ran.out
    text = page.read_text()
    assert text.lower().startswith("<!doctype html>")
    assert "://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "good" in text
    assert 120 == call_json("learn")["summary"]["outcomes"]


def test_a_policy_is_judged_by_the_log(worked, call, call_json):
    found = call_json("learn", "evaluate", "good")
    low, high = found["value"][1:] if isinstance(found["value"], list) else (
        found["value"]["low"], found["value"]["high"],
    )  # fmt: skip

    assert low < 0.8 < high
    name, mean, *_ = call("learn", "evaluate", "good").out.split("\t")
    assert "good" == name
    assert low < float(mean) < high


def test_a_policy_that_the_log_cannot_judge_is_refused_with_the_reason(call):
    call("init")
    with Swarm.open() as swarm:
        for number in range(50):
            swarm.outcomes.record("parse", ["a"], number % 2 == 0, 1.0, strategy="x")
    ran = call("learn", "evaluate", "x")

    assert 1 == ran.status
    assert ran.out.startswith("x\trefused\t")
    assert "probability" in ran.out


@pytest.mark.parametrize("arguments", [["learn", "evaluate"], ["learn", "dance"]])
def test_what_is_no_action_is_a_usage_error(call, arguments):
    assert 2 == call(*arguments).status


def test_a_policy_that_is_no_text_is_a_usage_error(worked, call):
    assert 2 == call("learn", "evaluate", '{"parse": 1}').status


def test_choices_wait_until_their_outcome_is_told(call, call_json):
    choice = call_json("strategy", "parse", "--candidates", "a,b")
    assert [choice["choice_id"]] == [one["choice_id"] for one in call_json("learn", "waiting")]

    call("outcome", "parse", "--success", "--duration-s", "1", "--decision", choice["choice_id"])
    assert [] == call_json("learn", "waiting")


def test_learning_anew_says_whether_the_model_was_what_the_log_says(worked, call):
    assert "120\tsame\n" == call("learn", "rebuild").out
    with Swarm.open() as swarm:
        put = {"swarm": swarm.context.swarm, "part": "shared", "version": 10**6, "state": b"x"}
        swarm.transact(lambda tx: tx.tx.run("model_put", **put))
    ran = call("learn", "rebuild")

    assert (1, "120\treplaced\n") == (ran.status, ran.out)
    assert (0, "120\tsame\n") == (call("learn", "rebuild").status, call("learn", "rebuild").out)


def test_a_label_can_be_revised_unless_a_surer_one_is_there(call, call_json):
    call("outcome", "parse", "--duration-s", "1", "--outcome-id", "o1")
    assert "unknown" == call_json("outcomes")[0]["status"]

    assert "success" == call_json("relabel", "o1", "success", "--label-source", "check")["status"]
    ran = call("relabel", "o1", "failure", "--label-source", "reverted")
    assert (1, "o1\tsuccess\t1.0\tcheck\n") == (ran.status, ran.out)
    assert 1 == call("relabel", "no-such", "failure").status


def test_two_endings_of_one_task_are_a_usage_error(call):
    ran = call("outcome", "parse", "--success", "--status", "timeout", "--duration-s", "1")
    assert 2 == ran.status
