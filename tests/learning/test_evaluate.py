"""Off-policy evaluation gives the truth of made-up logs, or says what is missing."""

import made_logs as logs
import numpy as np
import pytest

from swarm_memory.learning.evaluate import (
    ByModel,
    Comparison,
    Evaluation,
    Refusal,
    compare,
    evaluate,
)

TRUTH = logs.truth("careful")


def test_the_self_normalised_estimate_is_the_weighted_mean_by_hand():
    rows = [
        logs.observation(i, "a" if i % 2 else "b", float(i % 3 == 0), propensity=p)
        for i, p in enumerate([0.25, 0.5, 0.8, 0.4] * 20)
    ]
    weighted = [(1 / o.propensity, o.reward) for o in rows if o.strategy == "a"]

    found = evaluate(rows, "a", seed=0)

    expected = sum(w * r for w, r in weighted) / sum(w for w, _ in weighted)
    assert found.snips.mean == pytest.approx(expected)
    assert found.naive.mean == pytest.approx(sum(r for _, r in weighted) / len(weighted))


def test_a_confounded_log_misleads_the_plain_mean_and_not_the_estimate():
    rows = logs.drawn(4_000, seed=1, logging=logs.CONFOUNDED)

    found = evaluate(rows, "careful", seed=0)

    assert found.naive.mean < TRUTH - 0.1
    for estimate in (found.value, found.doubly_robust, found.snips):
        assert estimate.mean == pytest.approx(TRUTH, abs=0.03)
        assert estimate.low <= TRUTH <= estimate.high
    assert "biased" in found.naive.warning


@pytest.mark.parametrize("logging", [logs.EVEN, logs.CONFOUNDED], ids=["plain", "confounded"])
def test_intervals_cover_the_truth_in_93_of_100_logs_of_300_outcomes(logging):
    covered = [
        evaluate(logs.drawn(300, seed=s, logging=logging), "careful", seed=s).value
        for s in range(60)
    ]

    # 55.8 of 60 at 93 %; a fixed seed makes it no matter of luck.
    assert 56 <= sum(e.low <= TRUTH <= e.high for e in covered)
    assert max(e.high - e.low for e in covered) < 0.3


def test_differences_cover_the_truth_and_know_who_is_better():
    true = logs.truth("careful") - logs.truth("fast")
    found = [
        compare(logs.drawn(300, seed=s, logging=logs.CONFOUNDED), "careful", "fast", seed=s)
        for s in range(30)
    ]

    assert 28 <= sum(c.difference.low <= true <= c.difference.high for c in found)
    assert 15 <= sum(c.difference.low > 0 for c in found)


def test_a_policy_is_no_better_than_itself():
    found = compare(logs.drawn(300, seed=1), "careful", "careful", seed=0)

    assert isinstance(found, Comparison)
    assert 0 == found.difference.mean
    assert found.difference.low <= 0 <= found.difference.high


def test_the_gain_over_the_log_is_the_difference_to_its_own_mean():
    found = evaluate(logs.drawn(1_000, seed=2), "careful", seed=0)

    assert found.gain.mean == pytest.approx(found.value.mean - found.logged.mean)
    assert 0 < found.gain.low


def test_outcomes_of_one_task_are_no_independent_evidence():
    once = logs.drawn(300, seed=3)
    fourfold = [o._replace(outcome_id=f"{o.outcome_id}.{copy}") for o in once for copy in range(4)]
    pretended = [o._replace(task=f"{o.task}.{i}") for i, o in enumerate(fourfold)]

    one, four, fooled = (evaluate(rows, "careful", seed=0) for rows in (once, fourfold, pretended))

    def width(found):
        return found.snips.high - found.snips.low

    assert width(one) == pytest.approx(width(four), rel=0.02)
    assert width(fooled) < 0.6 * width(one)
    assert one.support.effective == pytest.approx(four.support.effective)


def test_successes_alone_do_not_make_an_interval_of_no_width():
    rows = [logs.observation(i, "a" if i % 2 else "b", 1.0) for i in range(80)]

    found = evaluate(rows, "a", seed=0)

    # Forty of forty: Wilson's interval begins at 0.91.
    assert 0.85 < found.value.low < 0.95
    assert 1.0 == found.value.high


def test_rows_without_a_propensity_inform_the_model_and_never_the_weights():
    rows = logs.drawn(300, seed=4)
    lies = [
        logs.observation(1_000 + i, "careful", 0.0, propensity=None, task_type="easy")
        for i in range(300)
    ]

    honest, mixed = evaluate(rows, "careful", seed=0), evaluate(rows + lies, "careful", seed=0)

    assert honest.snips == mixed.snips
    assert mixed.direct < honest.direct - 0.05
    assert 300 == mixed.support.without_propensity
    # The weights mend what the lies did to the model.
    assert mixed.value.mean == pytest.approx(honest.value.mean, abs=0.03)


@pytest.mark.parametrize("propensity", [None, 0.0, -0.1, 1.5, float("nan")])
def test_without_valid_propensities_it_refuses_and_says_what_is_missing(propensity):
    rows = [o._replace(propensity=propensity) for o in logs.drawn(100, seed=5)]

    found = evaluate(rows, "careful", seed=0)

    assert isinstance(found, Refusal)
    assert "propensity" == found.missing
    assert "probability" in found.reason
    assert 100 == found.support.without_propensity


def test_too_few_matching_or_effective_outcomes_are_refused():
    few = evaluate(logs.drawn(40, seed=6), "careful", seed=0)
    rows = [logs.observation(i, "a", 1.0, propensity=0.5) for i in range(40)]
    rows.append(logs.observation(99, "a", 0.0, propensity=0.001))

    assert "matching" == few.missing
    assert f"only {few.support.matching} of 40" in few.reason
    assert "effective" == evaluate(rows, "a", seed=0).missing


def test_a_choice_that_the_log_could_not_make_is_refused():
    never = {"easy": (0.0, 0.5, 0.5), "hard": (0.6, 0.2, 0.2)}

    found = evaluate(logs.drawn(400, seed=7, logging=never), "careful", seed=0)

    assert "overlap" == found.missing
    assert found.support.overlap == pytest.approx(0.5, abs=0.1)


def test_nothing_labelled_is_refused_and_nothing_at_all_too():
    unlabelled = [logs.observation(i, "a", None) for i in range(50)]

    assert "outcomes" == evaluate(unlabelled, "a", seed=0).missing
    assert "outcomes" == evaluate([], ByModel(), seed=0).missing
    assert "matching" == evaluate(logs.drawn(50, seed=0), "unheard of", seed=0).missing


def test_unknown_labels_are_counted_and_left_out():
    rows = logs.drawn(300, seed=8)
    mixed = rows + [logs.observation(1_000 + i, "careful", None) for i in range(100)]

    found = evaluate(mixed, "careful", seed=0)

    assert 0.75 == found.support.coverage
    assert evaluate(rows, "careful", seed=0).value == found.value


def test_a_rule_by_task_type_is_evaluated_where_it_says_something():
    rows = logs.drawn(3_000, seed=9)
    rule = {"easy": "plain", "hard": "careful"}

    whole, half = evaluate(rows, rule, seed=0), evaluate(rows, {"hard": "careful"}, seed=0)

    assert whole.value.mean == pytest.approx((0.7 + 0.5) / 2, abs=0.03)
    assert half.value.mean == pytest.approx(0.5, abs=0.04)
    assert len(rows) == half.support.used + half.support.not_covered


def test_the_best_by_the_model_finds_the_rule_that_the_context_asks_for():
    crossed = {"easy": (0.9, 0.3, 0.3), "hard": (0.2, 0.2, 0.8)}
    rows = logs.drawn(1_500, seed=10, rates=crossed)

    found = evaluate(rows, ByModel(), seed=0)

    assert found.value.mean == pytest.approx(0.85, abs=0.04)
    assert "best by the model" == found.target


def test_a_function_of_context_and_candidates_is_a_target():
    def rule(context, candidates):
        return [0.5 if name == "careful" else 0.25 for name in candidates]

    found = evaluate(logs.drawn(3_000, seed=11), rule, seed=0, name="mostly careful")

    true = TRUTH / 2 + (logs.truth("fast") + logs.truth("plain")) / 4
    assert "mostly careful" == found.target
    assert found.value.mean == pytest.approx(true, abs=0.02)
    assert found.support.mean_weight == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("given", [[1.0], [0.5, 0.5, 0.5], [1.5, -0.5, 0.0]])
def test_a_function_that_gives_no_probabilities_is_told_so(given):
    with pytest.raises(ValueError, match="the target"):
        evaluate(logs.drawn(100, seed=12), lambda context, candidates: given, seed=0)


def test_wrong_propensities_are_noticed():
    rows = [o._replace(propensity=min(1.0, 2 * o.propensity)) for o in logs.drawn(300, seed=13)]

    found = evaluate(rows, "careful", seed=0)

    assert isinstance(found, Evaluation)
    assert any("weights average 0.5" in text for text in found.warnings)
    assert () == evaluate(logs.drawn(300, seed=13), "careful", seed=0).warnings


def test_the_same_seed_gives_the_same_answer_and_the_order_of_rows_no_other_truth():
    rows = logs.drawn(300, seed=14)
    shuffled = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]

    assert evaluate(rows, "fast", seed=3) == evaluate(rows, "fast", seed=3)
    there = evaluate(shuffled, "fast", seed=3)
    assert there.snips.mean == pytest.approx(evaluate(rows, "fast", seed=3).snips.mean)
