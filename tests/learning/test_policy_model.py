"""What the policy promises: known answers, true propensities, and a state that is bytes."""

import math

import numpy as np
import pytest

from swarm_memory.learning import arms, choice, kernel
from swarm_memory.learning.features import NUMBERS_MAX, encode
from swarm_memory.learning.model import Model, choose

STRATEGIES = [f"strategy-{index}" for index in range(4)]
PICKS = 20_000


def context(rng):
    return {
        "repo": f"repo-{rng.integers(3)}",
        "size": float(rng.exponential(1e4)),
        "load": None if rng.random() < 0.2 else float(rng.normal()),
        "text": "fix the parser of dates in the importer, it fails on leap years " * 2,
        "tags": ["a", "b"][: rng.integers(3)],
    }


def taught(outcomes, *, seed=0, chances=(0.3, 0.7, 0.5, 0.4), of=lambda rng: {}):
    """Return a model that learned so many outcomes of strategies at random."""
    rng, model = np.random.default_rng(seed), Model()
    for number in range(outcomes):
        index = int(rng.integers(len(chances)))
        reward = float(rng.random() < chances[index])
        model.learn("fix", of(rng), STRATEGIES[index], reward, outcome_id=f"o{number}")
    return model


# Contexts -----------------------------------------------------------------------------------------


def test_the_order_of_a_context_does_not_matter():
    one = encode("t", {"a": 1.0, "b": "x", "c": {"d": True, "e": [1.0, 2.0]}})
    two = encode("t", {"c": {"e": [1.0, 2.0], "d": True}, "b": "x", "a": 1.0})

    assert one.numbers == two.numbers
    assert np.array_equal(one.facets, two.facets)


@pytest.mark.parametrize("missing", [None, math.nan, math.inf, -math.inf, 10**400, {}, []])
def test_a_value_that_says_nothing_is_missing(missing):
    found = encode("t", {"n": missing})

    assert {} == found.numbers
    assert not found.facets.any()


def test_short_strings_are_facets_and_long_ones_are_texts():
    short = encode("t", {"repo": "django/django"})
    long = encode("t", {"issue": "the parser of dates fails on leap years"})

    assert short.facets.any() and not short.text.any()
    assert long.text.any() and not long.facets.any()


def test_task_types_that_share_a_word_are_more_alike_than_others():
    python, rust, deploy = (encode(t, {}).kind for t in ("fix-python", "fix-rust", "deploy"))

    assert python @ rust > python @ deploy


def test_a_context_may_hold_anything_that_json_holds():
    odd = {"": "", "deep": {"a": {"b": {"c": {"d": {"e": 1}}}}}, "mixed": [1, "x", None, True]}

    model = Model()
    model.learn("t", odd | {"vector": [0.5] * 300, "surrogate": "\ud800"}, "a", 1.0)

    assert 0 < model.estimate("t", odd, ["a"]).mean[0] < 1


def test_more_numbers_than_there_is_room_for_are_left_out():
    model = Model()
    for number in range(6):
        model.learn("t", {f"n{i}": float(i + number) for i in range(NUMBERS_MAX + 50)}, "a", 1.0)

    assert NUMBERS_MAX == len(model._window.names)


# Counts -------------------------------------------------------------------------------------------


def test_an_untried_strategy_is_expected_to_be_like_the_others_and_less_sure():
    model = taught(60)

    estimates = model.estimate("fix", {}, [*STRATEGIES, "new"])

    tried = estimates.mean[:4]
    assert tried.min() < estimates.mean[4] < tried.max()
    assert estimates.variance[4] > estimates.variance[:4].max()


def test_strategies_are_shrunk_to_what_they_have_in_common():
    overall = np.zeros(arms.ALL_WIDTH)
    rows = np.zeros((2, arms.WIDTH))
    kind = arms.kind_of("t")
    for _ in range(4):
        arms.count(rows[0], overall, kind, 1.0)
        arms.count(rows[1], overall, kind, 0.0)

    means = arms.rates(rows, overall, kind).mean[0]

    # p0 = 5/10; two strategies differ by 1/2 - 1/16, shrunk to 0.02 with a weight of 4.
    spread = (0.5 - 0.25 / 4 + 4 * 0.02) / 5
    k = 0.25 / spread - 1
    k = min(max(k, arms.STRENGTH_MIN), arms.STRENGTH_MAX)
    assert (4 + k / 2) / (4 + k) == pytest.approx(means[0])
    assert 1 == pytest.approx(means.sum())


def test_costs_and_durations_are_learned():
    model = Model()
    for _ in range(30):
        model.learn("t", {}, "cheap", 1.0, cost=1.0, duration_s=10.0)
        model.learn("t", {}, "dear", 1.0, cost=5.0, duration_s=50.0)

    estimates = model.estimate("t", {}, ["cheap", "dear"])

    assert [1.0, 5.0] == pytest.approx(estimates.cost.tolist(), abs=0.2)
    assert [10.0, 50.0] == pytest.approx(estimates.duration_s.tolist(), abs=2)


def test_a_price_that_changed_is_believed_soon():
    model = Model()
    for number in range(100):
        model.learn("t", {}, "a", 1.0, cost=0.0)
        model.learn("t", {}, "b", 1.0, cost=1.0 + 0.1 * (number % 3))
    for _ in range(15):
        model.learn("t", {}, "a", 1.0, cost=1.0)

    assert model.estimate("t", {}, ["a", "b"]).cost[0] > 0.9


def test_one_extreme_cost_does_not_undo_what_is_known():
    model = Model()
    rng = np.random.default_rng(0)
    for _ in range(200):
        model.learn("t", {}, "a", 1.0, cost=float(rng.uniform(0.5, 1.5)))
    model.learn("t", {}, "a", 1.0, cost=100.0)

    assert model.estimate("t", {}, ["a"]).cost[0] < 2


# Choosing -----------------------------------------------------------------------------------------


def test_the_propensity_is_how_often_a_strategy_is_picked():
    estimates = taught(40).estimate("fix", {}, STRATEGIES)
    rng = np.random.default_rng(1)
    picked = np.zeros(len(STRATEGIES))
    stated = choose(estimates, uniform=0.5).propensities
    for uniform in rng.random(PICKS):
        picked[choice.pick(stated, uniform)] += 1
    chosen = [choose(estimates, uniform=u).chosen for u in rng.random(PICKS // 20)]

    for count, of in ((picked, PICKS), (np.bincount(chosen, minlength=4), len(chosen))):
        deviations = np.sqrt(stated * (1 - stated) / of)
        assert (np.abs(count / of - stated) < 4 * deviations).all()


def test_the_propensity_is_the_chance_to_have_the_largest_of_normal_draws():
    means, variance = np.array([0.5, 0.45, 0.3, 0.48]), np.array([0.01, 0.04, 0.09, 0.0001])
    draws = np.random.default_rng(0).normal(means, np.sqrt(variance), (200_000, 4)).argmax(axis=1)

    computed = choice.propensities(means, variance, scale=1.0, floor=0.0)

    expected = np.bincount(draws, minlength=4) / len(draws)
    assert expected == pytest.approx(computed, abs=0.006)


def test_no_candidate_is_unobservable():
    chances = choice.propensities(np.array([0.9, 0.1, 0.1]), np.full(3, 1e-6))

    assert chances.min() == pytest.approx(choice.FLOOR / 3)
    assert 1 == pytest.approx(chances.sum())


@pytest.mark.parametrize("means", [[0.5], [0.5, 0.5], [0.5] * 30, [0.0, 1.0]])
def test_propensities_are_fine_at_the_edges(means):
    chances = choice.propensities(np.array(means), np.zeros(len(means)))

    assert 1 == pytest.approx(chances.sum())
    assert (chances > 0).all()


def test_without_exploring_the_best_is_chosen_surely():
    estimates = taught(200).estimate("fix", {}, STRATEGIES)

    made = choose(estimates, uniform=0.99, explore=False)

    assert 1 == made.chosen == int(estimates.mean.argmax())
    assert 1.0 == made.propensities[1]
    assert made.utility[list(made.runners_up)].tolist() == sorted(
        made.utility[[0, 2, 3]].tolist(), reverse=True
    )


def test_what_a_strategy_costs_can_outweigh_its_success():
    model = Model()
    for number in range(80):
        model.learn("t", {}, "dear", float(number % 10 < 8), cost=1.0)
        model.learn("t", {}, "cheap", float(number % 10 < 7), cost=0.0)
    estimates = model.estimate("t", {}, ["dear", "cheap"])

    assert 0 == choose(estimates, uniform=0.5, explore=False).chosen
    assert 1 == choose(estimates, uniform=0.5, explore=False, cost_weight=0.3).chosen


def test_equal_numbers_choose_alike():
    numbers = np.random.default_rng(3).random(50)
    one, two = (
        [choose(taught(30).estimate("fix", {}, STRATEGIES), uniform=u).chosen for u in numbers]
        for _ in range(2)
    )

    assert one == two
    assert len(set(one)) > 1


# Learning -----------------------------------------------------------------------------------------


def test_a_context_that_decides_is_used():
    rng, model = np.random.default_rng(3), Model()
    for _ in range(300):
        x, index = float(rng.normal()), int(rng.integers(2))
        chance = 0.85 if (x > 0) == bool(index) else 0.25
        model.learn("t", {"x": x}, STRATEGIES[index], float(rng.random() < chance))

    low = model.estimate("t", {"x": -1.0}, STRATEGIES[:2]).mean
    high = model.estimate("t", {"x": 1.0}, STRATEGIES[:2]).mean

    assert low[0] - low[1] > 0.35
    assert high[1] - high[0] > 0.35


def test_a_context_that_says_nothing_changes_little():
    model = taught(300, of=context)
    rng = np.random.default_rng(9)

    means = [model.estimate("fix", context(rng), STRATEGIES).mean for _ in range(40)]

    assert np.std(means, axis=0).max() < 0.1


def test_a_strategy_that_got_worse_is_left_within_sixty_tasks():
    rng, model = np.random.default_rng(5), Model()
    chosen = []
    for number in range(500):
        chances = [0.7, 0.4, 0.3] if number < 300 else [0.2, 0.4, 0.7]
        made = choose(model.estimate("t", {}, STRATEGIES[:3]), uniform=rng.random())
        chosen.append(made.chosen)
        reward = float(rng.random() < chances[made.chosen])
        model.learn("t", {}, STRATEGIES[made.chosen], reward)

    assert chosen[200:300].count(0) > 80
    assert chosen[360:500].count(0) < 30


def test_intervals_hold_the_truth_where_it_is_known():
    inside = []
    for seed in range(12):
        rng = np.random.default_rng(100 + seed)
        chances = rng.beta(4, 4, 4)
        model = taught(80, seed=seed, chances=chances)
        estimates = model.estimate("fix", {}, STRATEGIES)
        inside += [*(estimates.low <= chances) & (chances <= estimates.high)]

    assert np.mean(inside) >= 0.93


def test_a_strategy_that_fails_when_sure_of_it_starts_again_and_luck_does_not():
    rng = np.random.default_rng(2)
    row = np.zeros(arms.WIDTH)
    as_expected = [arms.shifted(row, 0.7, float(rng.random() < 0.7)) for _ in range(100)]
    row[:] = 0
    failures = [arms.shifted(row, 0.7, 0.0) for _ in range(12)]

    assert not any(as_expected)
    # Each failure adds log(0.587 / 0.3) = 0.672 to the sum; above 5 it is told.
    assert 8 == failures.index(True) + 1


def test_the_weight_of_a_new_outcome_solves_its_equation():
    model = taught(150, of=lambda rng: {"x": float(rng.normal())}, seed=4)
    window = model._window
    rows, newest = np.arange(window.used), window.used - 1
    pieces = kernel.Covariances(
        [b[rows] for b in window._blocks], window._locals[rows], window.variances.gamma
    )
    weights = window.weights[rows].astype(float)

    explained = pieces.matrix(window.variances)[newest] @ weights
    left = window.reward[newest] - window.base - explained
    assert window.variances.noise * weights[newest] == pytest.approx(left, abs=1e-4)


@pytest.mark.parametrize("reward", [-0.1, 1.1, math.nan])
def test_a_reward_outside_of_zero_to_one_is_refused(reward):
    model = Model()

    with pytest.raises(ValueError, match="reward"):
        model.learn("t", {}, "a", reward)

    assert {} == model.changed()


# Corrections and priors ---------------------------------------------------------------------------


def test_a_corrected_label_counts_as_if_it_had_always_been_so():
    wrong, right = Model(), Model()
    for number in range(20):
        wrong.learn("t", {}, "a", 1.0, outcome_id=f"o{number}")
        right.learn("t", {}, "a", 0.0 if number == 19 else 1.0, outcome_id=f"o{number}")
    wrong.correct("t", "a", 1.0, 0.0, outcome_id="o19")

    for column in (arms.TRIALS, arms.SUCCESS, arms.kind_of("t"), arms.kind_of("t") + 1):
        assert right._rows["a"][column] == wrong._rows["a"][column]
    assert np.allclose(right._overall, wrong._overall)
    assert right._window.reward[19] == wrong._window.reward[19] == 0


def test_a_withdrawn_label_no_longer_counts():
    model = taught(50)
    trials = model.estimate("fix", {}, STRATEGIES).trials.sum()

    model.correct("fix", STRATEGIES[0], 1.0, None, outcome_id="o3")

    assert trials - 1 == model.estimate("fix", {}, STRATEGIES).trials.sum()
    assert not model._window.alive[3]


def test_priors_of_another_swarm_favour_what_worked_there():
    model = Model()
    for name, rewards in zip(STRATEGIES, (12.0, 28.0, 20.0, 16.0), strict=True):
        model.inherit("fix", name, 40.0, rewards, weight=0.5)

    estimates = model.estimate("fix", {}, STRATEGIES)

    assert 1 == int(estimates.mean.argmax())
    assert 20 == pytest.approx(estimates.trials.max())


def test_little_that_others_have_seen_is_worth_a_part_of_ones_own():
    model = Model()
    model.inherit("fix", "a", 4.0, 4.0, weight=0.5)
    model.inherit("fix", "b", 0.0, 0.0, weight=0.5)

    assert [2.0, 0.0] == model.estimate("fix", {}, ["a", "b"]).trials.tolist()


# Parts --------------------------------------------------------------------------------------------


def replayed(outcomes, *, restart_every, strategies=5):
    """Return the stored parts after some outcomes, the model being read anew now and then."""
    rng, stored, model = np.random.default_rng(1), {}, Model()
    for number in range(outcomes):
        name = f"s{rng.integers(strategies)}"
        seen = context(rng)
        reward = float(rng.random() < 0.3 + 0.4 * (name == "s1"))
        if number % restart_every == 0:
            wanted = [*Model.parts_for([name])]
            model = Model({part: stored[part] for part in wanted if part in stored})
        elif f"arm/{arms.name_hash(name):016x}" in stored:
            part = f"arm/{arms.name_hash(name):016x}"
            model.load({part: stored[part]})
        model.learn("t", seen, name, reward, cost=float(number % 7), outcome_id=str(number))
        stored |= model.changed()
    return stored


def test_the_same_outcomes_give_the_same_bytes_however_often_a_process_starts():
    one = replayed(90, restart_every=1000)

    assert one == replayed(90, restart_every=1000)
    assert one == replayed(90, restart_every=7)
    assert one == replayed(90, restart_every=1)


def test_an_outcome_changes_few_kilobytes_in_few_parts():
    model = taught(150, of=context)
    model.changed()
    model.learn("fix", context(np.random.default_rng(0)), STRATEGIES[0], 1.0)

    changed = model.changed()

    assert len(changed) <= 5
    assert sum(map(len, changed.values())) < 10_000
    assert {} == model.changed()


def test_the_state_does_not_grow_once_the_window_is_full(monkeypatch):
    monkeypatch.setattr("swarm_memory.learning.window.ROWS", 64)
    rows = replayed(70, restart_every=5000, strategies=2)
    later = replayed(200, restart_every=5000, strategies=2)

    assert rows.keys() == later.keys()
    # The digits of the fitted variances, and no more.
    assert sum(map(len, later.values())) == pytest.approx(sum(map(len, rows.values())), abs=100)


def test_a_full_window_predicts_as_if_it_were_solved_afresh(monkeypatch):
    monkeypatch.setattr("swarm_memory.learning.window.ROWS", 64)
    model = taught(180, of=context)
    seen = context(np.random.default_rng(7))
    before = model.estimate("fix", seen, STRATEGIES).mean
    variances = model._window.variances
    monkeypatch.setattr("swarm_memory.learning.kernel.fitted", lambda *args: variances)
    model._window.refit()
    model._last = None

    assert model.estimate("fix", seen, STRATEGIES).mean == pytest.approx(before, abs=0.05)


def test_a_part_of_another_format_is_refused():
    parts = taught(10).changed()

    with pytest.raises(ValueError, match="format"):
        Model(parts | {"shared": b"\0" * 16})
    with pytest.raises(ValueError, match="format"):
        Model(parts | {"window/weights": b"\xff" * 100})


def test_similar_outcomes_are_named_as_evidence():
    model = Model()
    for number in range(40):
        model.learn("t", {"x": float(number)}, "a", 1.0, outcome_id=f"o{number}")

    assert "o7" in model.evidence("t", {"x": 7.0}, "a", 3)
    assert [] == model.evidence("t", {"x": 7.0}, "unknown")
