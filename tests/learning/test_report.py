"""The report says what the log holds, and its numbers agree with those of the parts."""

import json

import made_logs as logs
import pytest

from swarm_memory.learning import report as reports
from swarm_memory.learning.calibration import calibrate
from swarm_memory.learning.evaluate import evaluate
from swarm_memory.learning.report import build_report

ROWS = logs.drawn(400, seed=1, logging=logs.CONFOUNDED)


def test_the_summary_counts_what_is_there():
    mixed = [*ROWS, *(logs.observation(1_000 + i, "fast", None) for i in range(100))]

    summary = build_report(mixed, seed=0, outcomes=5_000).summary

    assert (5_000, 500, 400, 0.8) == summary[:4]
    assert summary.reward.mean == pytest.approx(sum(o.reward for o in ROWS) / 400)
    assert summary.recent == pytest.approx(sum(o.reward for o in ROWS[-50:]) / 50)


def test_every_strategy_is_judged_as_evaluate_would_and_a_rule_of_the_context_too():
    judged = {j.target: j for j in build_report(ROWS, seed=3).off_policy}

    assert {*logs.STRATEGIES, "best by the model"} == set(judged)
    alone = evaluate(ROWS, "careful", seed=3)
    assert alone.value == judged["careful"].value
    assert alone.gain == judged["careful"].gain


def test_the_best_fixed_strategy_is_named_by_the_estimate_and_not_by_the_plain_mean():
    # "careful" gets the hard tasks: its plain mean is the worst of the three.
    found = build_report(logs.drawn(2_000, seed=2, logging=logs.CONFOUNDED), seed=0)

    plain = {j.target: j.naive for j in found.off_policy}
    assert plain["careful"] < plain["fast"]
    assert "careful" == found.over_time.best
    assert any("Always choosing careful" in sentence for sentence in found.findings)


def test_reward_over_time_ends_with_the_estimates_of_the_whole_log():
    found = build_report(ROWS, seed=0)

    last = found.over_time.points[-1]
    best = next(j for j in found.off_policy if j.target == found.over_time.best)
    assert 400 == last.outcomes
    assert last.reached == pytest.approx(found.summary.reward.mean)
    assert best.value == last.best
    assert found.over_time.points[0].best is None  # too few to say


@pytest.mark.parametrize("seed", [6, 48, 54])
def test_the_luckiest_of_equal_strategies_is_not_claimed_to_be_better(seed):
    even = {"easy": (0.5, 0.5, 0.5), "hard": (0.5, 0.5, 0.5)}

    found = build_report(logs.drawn(150, seed=seed, rates=even), seed=0)

    best = next(j for j in found.off_policy if j.target == found.over_time.best)
    assert best.gain.low > 0  # what its own interval would have claimed
    assert any("not told apart" in sentence for sentence in found.findings)


def test_a_strategy_that_is_better_is_said_to_be_so():
    found = build_report(logs.drawn(2_000, seed=0), seed=0)

    assert any(" more than what was done (at least" in s for s in found.findings)


def test_the_matrix_holds_the_means_as_logged():
    found = build_report(ROWS, seed=0).matrix

    cell = next(c for c in found.cells if (c.strategy, c.task_type) == ("careful", "hard"))
    rows = [o for o in ROWS if o.strategy == "careful" and o.task_type == "hard"]
    assert len(rows) == cell.outcomes
    assert cell.reward.mean == pytest.approx(sum(o.reward for o in rows) / len(rows))
    assert 0 == found.hidden


def test_many_strategies_are_cut_and_counted():
    rows = [logs.observation(i, f"s{i % 30:02}", 1.0, task_type=f"k{i % 20}") for i in range(600)]

    found = build_report(rows, seed=0).matrix

    assert reports.STRATEGIES_MAX == len(found.strategies)
    assert reports.TASK_TYPES_MAX == len(found.task_types)
    assert 600 == found.hidden + sum(c.outcomes for c in found.cells)


def test_durations_and_costs_are_there_where_somebody_recorded_them():
    rows = [
        logs.observation(i, "a", 1.0, duration_s=float(i), cost=2.0 if i else None)
        for i in range(5)
    ]

    (cell,) = build_report(rows, seed=0).matrix.cells

    assert (2.0, 2.0) == (cell.duration_s, cell.cost)


def test_a_long_log_is_read_from_its_end_and_plotted_with_200_points(monkeypatch):
    monkeypatch.setattr(reports, "OBSERVATIONS_MAX", 300)

    found = build_report(ROWS, seed=0)

    assert (400, 300) == (found.summary.outcomes, found.summary.read)
    assert reports.POINTS_MAX >= len(found.over_time.points)
    assert ROWS[-1].at_ms == found.over_time.points[-1].at_ms


def test_without_propensities_the_report_says_why_there_is_no_estimate():
    found = build_report([o._replace(propensity=None) for o in ROWS], seed=0)

    assert all(j.value is None and "probability" in j.reason for j in found.off_policy)
    assert found.over_time.best is None
    assert "probability" in found.over_time.note
    assert not any("Always choosing" in sentence for sentence in found.findings)


def test_calibration_is_that_of_the_same_rows():
    rows = [o._replace(predicted=0.5) for o in ROWS]

    assert calibrate(rows, seed=0) == build_report(rows, seed=0).calibration
    assert build_report(ROWS, seed=0).calibration is None


def test_an_empty_log_and_an_unlabelled_one_have_a_report():
    empty = build_report([], seed=0)
    unlabelled = build_report([logs.observation(i, "a", None) for i in range(5)], seed=0)

    assert (0, 0.0) == (empty.summary.outcomes, empty.summary.coverage)
    assert () == empty.off_policy == unlabelled.off_policy
    assert (5, 0) == (unlabelled.summary.outcomes, unlabelled.summary.labelled)


def test_the_report_is_json_with_the_names_of_its_fields():
    rows = [o._replace(predicted=0.5) for o in ROWS]
    patterns = [{"text": "a pattern", "support": 40, "effect": 0.2, "interval": (0.1, 0.3)}]

    found = json.loads(json.dumps(build_report(rows, seed=0, patterns=patterns).to_dict()))

    assert 400 == found["summary"]["labelled"]
    assert {"mean", "low", "high"} == set(found["summary"]["reward"])
    assert [0.1, 0.3] == found["patterns"][0]["interval"]
    assert found["calibration"]["bins"]
