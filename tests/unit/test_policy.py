"""The maths of choosing: known answers, exact propensities, and a swarm that learns by them."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_memory.learning import policy

COUNTS = st.lists(
    st.integers(0, 50).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
    min_size=1,
    max_size=12,
)


def test_an_untried_arm_sits_at_the_common_mean_with_a_wide_interval():
    tried, untried = policy.estimate_arms([100, 0], [80, 0])

    assert untried.mean == pytest.approx((1 + 80) / (2 + 100))
    assert untried.high - untried.low > 4 * (tried.high - tried.low)


def test_the_estimate_is_the_shrunken_rate():
    (arm,) = policy.estimate_arms([10], [8])

    common = 9 / 12
    assert arm.mean == pytest.approx((8 + 3 * common) / 13)
    assert arm.variance == pytest.approx(arm.mean * (1 - arm.mean) / 14)


@pytest.mark.parametrize(("trials", "exact_low"), [(70, 0.958), (46, 0.937)])
def test_the_interval_of_a_strategy_that_never_failed_is_not_too_narrow(trials, exact_low):
    """The exact one is of Clopper and Pearson; ours has the prior's failures in it as well."""
    (arm,) = policy.estimate_arms([trials], [trials])

    assert arm.low <= exact_low + 0.01


@pytest.mark.parametrize("trials", [10, 40, 100])
def test_the_interval_covers_the_true_rate_as_often_as_it_says(trials):
    draw = random.Random(11)
    covered = total = 0
    for rate in (0.05, 0.3, 0.5, 0.9, 0.97):
        for _ in range(400):
            wins = sum(draw.random() < rate for _ in range(trials))
            (arm,) = policy.estimate_arms([trials], [wins])
            covered += arm.low <= rate <= arm.high
            total += 1
    assert covered / total >= 0.88


@given(COUNTS)
def test_estimates_and_propensities_are_probabilities(counts):
    trials, successes = zip(*counts, strict=True)

    estimates = policy.estimate_arms(trials, successes)
    chances = policy.propensities(estimates)

    assert all(0 <= e.low <= e.mean <= e.high <= 1 for e in estimates)
    assert sum(chances) == pytest.approx(1)
    assert min(chances) >= min(policy.PROPENSITY_MIN, 1 / len(chances)) - 1e-9


def test_equal_arms_are_equally_likely():
    chances = policy.propensities(policy.estimate_arms([10] * 4, [5] * 4))

    assert [0.25] * 4 == pytest.approx(chances)


def test_the_computed_propensities_are_those_of_drawing():
    estimates = policy.estimate_arms([30, 20, 5, 0], [20, 11, 4, 0])
    draw = random.Random(7)
    picks = [0] * 4
    for _ in range(40_000):
        values = [draw.gauss(e.mean, policy.POSTERIOR_SCALE * e.variance**0.5) for e in estimates]
        picks[values.index(max(values))] += 1

    expected = [max(n / 40_000, 0.01) for n in picks]
    assert policy.propensities(estimates) == pytest.approx(expected, abs=0.015)


def test_pick_follows_the_probabilities():
    assert [0, 0, 1, 2, 2] == [
        policy.pick([0.5, 0.25, 0.25], u) for u in (0.0, 0.49, 0.5, 0.75, 0.999999)
    ]


def test_choosing_by_it_finds_the_better_strategy_sooner_than_chance():
    rates = [0.3, 0.4, 0.5, 0.7]
    won = 0
    for seed in range(20):
        draw = random.Random(seed)
        trials, successes = [0] * 4, [0] * 4
        for _ in range(200):
            estimates = policy.estimate_arms(trials, successes)
            arm = policy.pick(policy.propensities(estimates), draw.random())
            success = draw.random() < rates[arm]
            trials[arm] += 1
            successes[arm] += success
            won += success
    mean = won / (20 * 200)
    assert mean > 0.58  # chance earns 0.475, the best strategy known beforehand 0.7
