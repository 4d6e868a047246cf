"""Patterns: what is planted is found and confirmed, and nothing where nothing is."""

import math

import numpy as np
import pytest

from swarm_memory.learning import expected, facets, mining, patterns, statistics
from swarm_memory.learning.facets import Condition
from swarm_memory.learning.observation import FAILURE, SUCCESS, UNKNOWN, Observation


def swarm(seed, *, rows=1200, per_task=1, hardness=0.1, effect=0.0, support=0.2, facets=6):
    """Return outcomes: tasks with a shared difficulty, and `planted` that changes their rate."""
    rng = np.random.default_rng(seed)
    tasks = rows // per_task
    hard = rng.normal(0, hardness, tasks)
    flags = rng.random((tasks, facets)) < np.linspace(0.1, 0.6, facets)
    planted = rng.random(tasks) < support
    result = []
    for row in range(rows):
        task = row // per_task
        strategy = ("parallel", "sequential")[int(rng.integers(2))]
        rate = 0.45 + 0.1 * (strategy == "parallel") + hard[task] + effect * planted[task]
        context = {f"flag{n}": bool(flags[task, n]) for n in range(facets)}
        context["planted"] = bool(planted[task])
        context["language"] = ("rust", "go", "python")[task % 3]
        context["files"] = task % 17
        result.append(observation(row, f"t{task}", rng.random() < rate, strategy, context))
    return result


def observation(number, task, success, strategy="parallel", context=None, **more):
    status = SUCCESS if success else FAILURE
    return Observation(
        f"o{number}",
        1_000 * number,
        task,
        "fix",
        strategy,
        status,
        float(success),
        context=context,
        **more,
    )


def names(pattern):
    return {condition.name for condition in pattern.conditions}


def test_a_planted_facet_is_found_with_its_effect_support_and_evidence():
    rows = swarm(1, effect=-0.35)

    (pattern,) = patterns.mine(rows, seed=7).patterns

    assert (Condition("context", "planted", "is", True),) == pattern.conditions
    assert pattern.interval[0] < -0.35 < pattern.interval[1]
    assert pattern.q <= 0.05
    inside = {row.outcome_id: row for row in rows if row.context["planted"]}
    assert len(inside) == pattern.rows == pattern.tasks
    assert {0.0} == {inside[i].reward for i in pattern.outcome_ids}
    assert "When planted is yes, tasks fail " in pattern.text
    assert " points more often than expected (95 % interval " in pattern.text


def test_an_interaction_of_facet_and_strategy_is_named_with_both():
    rng = np.random.default_rng(3)
    rows = []
    for number in range(1500):
        strategy = ("parallel", "sequential")[int(rng.integers(2))]
        language = ("rust", "go", "python")[int(rng.integers(3))]
        bad = strategy == "parallel" and language == "rust"
        success = rng.random() < (0.25 if bad else 0.6)
        rows.append(observation(number, f"t{number}", success, strategy, {"language": language}))

    found = patterns.mine(rows, seed=1).patterns

    text = [patterns.when(pattern.conditions) for pattern in found]
    assert "language is rust and the strategy is parallel" in text


def test_two_agents_together_make_a_pattern_that_neither_makes_alone():
    rng = np.random.default_rng(5)
    rows = []
    for number in range(1500):
        agents = tuple(sorted(f"a{i}" for i in rng.choice(4, 2, replace=False)))
        success = rng.random() < (0.2 if agents == ("a0", "a1") else 0.6)
        rows.append(observation(number, f"t{number}", success, agents=agents))

    found = patterns.mine(rows, seed=1).patterns

    assert "a0 and a1 work together" == patterns.when(found[0].conditions)


def test_a_signal_is_an_early_warning_and_no_ground_for_choosing():
    rng = np.random.default_rng(6)
    rows = []
    for number in range(900):
        calls = int(rng.integers(100))
        success = rng.random() < (0.2 if calls > 74 else 0.6)
        rows.append(observation(number, f"t{number}", success, signals={"calls": calls}))

    found = patterns.mine(rows, seed=1).patterns

    assert patterns.WARNING == found[0].kind
    assert {"above"} == {condition.relation for condition in found[0].conditions}
    assert "seen only while the work goes on" in found[0].text


@pytest.mark.parametrize(("per_task", "hardness"), [(1, 0.1), (6, 0.3)])
def test_shuffled_facets_give_at_most_half_a_false_pattern(per_task, hardness):
    found = [
        len(patterns.mine(swarm(s, rows=600, per_task=per_task, hardness=hardness), seed=s)[0])
        for s in range(12)
    ]

    assert sum(found) / len(found) <= 0.25


def test_nothing_reliable_says_why_and_what_it_would_take():
    few = patterns.mine(swarm(1, rows=60), seed=1)
    none = patterns.mine(swarm(2, rows=1200), seed=1)

    assert () == few.patterns == none.patterns
    assert few.reason.startswith("No reliable pattern yet: 60 labelled outcomes of 60 tasks; ")
    assert f"needs about {few.rows_needed}" in few.reason
    assert "none held in the other" in none.reason


def test_rows_of_one_task_are_no_independent_evidence():
    """A facet of a third of the tasks, where every task ends alike each of 20 times."""
    found = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        ends, facet = rng.random(60) < 0.5, rng.random((60, 4)) < 0.3
        rows = [
            observation(
                number,
                f"t{number % 60}",
                ends[number % 60],
                context={f"x{k}": bool(facet[number % 60, k]) for k in range(4)},
            )
            for number in range(1200)
        ]
        found += len(patterns.mine(rows, seed=seed).patterns)

    assert found <= 2


def test_a_dozen_rows_that_end_alike_are_no_certainty():
    """Of a rate of 0.9 a dozen successes are nothing, though they have no variance at all."""
    rng = np.random.default_rng(1)
    rewards = (rng.random(400) < 0.9).astype(float)
    rewards[:12] = 1.0
    column = np.zeros(400)
    column[:12] = 1.0

    tested = statistics.contrasts(
        (column - column.mean())[:, None], rewards - rewards.mean(), np.arange(400)
    )

    assert 0.05 < tested.tails()[0]
    assert tested.half_width(0, 0.95) > tested.effect[0]


def test_the_same_rows_and_seed_give_the_same_answer_in_any_order():
    rows = swarm(1, effect=-0.35)
    backwards = sorted(rows, key=lambda row: row.outcome_id)

    assert patterns.mine(rows, seed=3) == patterns.mine(rows, seed=3)
    assert patterns.mine(rows, seed=3).patterns == patterns.mine(backwards, seed=3).patterns


def test_a_task_stays_in_its_third_while_the_log_grows():
    early = [f"t{n}" for n in range(500)]
    late = early + [f"u{n}" for n in range(50)]

    before, after = patterns._folds(early, 1), patterns._folds(late, 1)

    assert list(range(500)) == sorted(int(row) for fold in before for row in fold)
    moved = {early[i] for one, two in zip(before, after, strict=True) for i in {*one} - {*two}}
    assert len(moved) < 50


def test_no_task_is_in_two_thirds():
    names = [f"t{n % 90}" for n in range(900)]

    folds = patterns._folds(names, 3)

    assert [30, 30, 30] == [len({names[i] for i in fold}) for fold in folds]
    assert 90 == len({(names[i], number) for number, fold in enumerate(folds) for i in fold})


def test_odd_rows_are_left_out_and_counted_and_never_a_crash():
    odd = [
        observation(1, "t", True)._replace(reward=None, status=UNKNOWN),
        observation(2, "t", True)._replace(reward=math.nan),
        observation(3, "", True, None, {"": None, "deep": {"a": {"b": {"c": 1}}}}),
        observation(4, "t", False, context={"list": [1, "a", {"x": 1}], "nan": math.nan, 5: "x"}),
        observation(5, "t", False, context={"long": "x" * 500, "yes": True, "one": 1}),
    ]

    mined = patterns.mine(odd, seed=1)

    assert (3, 2, ()) == (mined.rows, mined.left_out, mined.patterns)
    assert "no outcome has a label (0 without)" in patterns.mine([], seed=1).reason
    alike = [observation(n, f"t{n}", True) for n in range(100)]
    assert "ended alike" in patterns.mine(alike, seed=1).reason


def test_a_forecast_that_knew_leaves_nothing_unexpected():
    rows = [
        row._replace(predicted=0.15 if row.context["planted"] else 0.5)
        for row in swarm(1, effect=-0.35)
    ]

    assert () == patterns.mine(rows, seed=7, basis=expected.PREDICTED).patterns
    (pattern,) = patterns.mine(rows, seed=7).patterns
    assert {"planted"} == names(pattern)
    assert abs(pattern.unforeseen) < 0.1
    points = round(-100 * pattern.effect)
    assert f"fail {points} points" in pattern.text
    assert "; the forecasts allow for " in pattern.text
    (blind,) = patterns.mine([row._replace(predicted=0.5) for row in rows], seed=7).patterns
    assert blind.unforeseen < -0.25


def test_a_facet_that_follows_the_strategy_is_no_pattern_of_its_own():
    rng = np.random.default_rng(8)
    rows = []
    for number in range(1200):
        strategy = ("good", "bad")[int(rng.integers(2))]
        mostly = (strategy == "good") != (rng.random() < 0.1)
        success = rng.random() < (0.8 if strategy == "good" else 0.3)
        rows.append(observation(number, f"t{number}", success, strategy, {"follows": mostly}))

    found = patterns.mine(rows, seed=1).patterns

    assert ["follows"] not in [[c.name for c in pattern.conditions] for pattern in found]


def test_options_out_of_range_are_refused():
    for options in ({"alpha": 0.0}, {"alpha": 0.6}, {"method": "none"}, {"basis": "guess"}):
        with pytest.raises(ValueError):
            patterns.mine([], seed=1, **options)


def test_conditions_hold_of_the_rows_that_they_were_made_from():
    rows = swarm(4, rows=300)
    found, masks = facets.conditions(rows, rows_min=20, limit=60)

    for column, condition in enumerate(found):
        held = [facets.holds(condition, row) for row in rows]
        assert masks[:, column].tolist() == held, condition.text


def test_yes_is_not_the_number_one():
    yes = Condition("context", "x", "is", True)

    assert facets.holds(yes, observation(1, "t", True, context={"x": True}))
    assert not facets.holds(yes, observation(1, "t", True, context={"x": 1}))


def test_a_longer_conjunction_that_explains_nothing_more_is_not_shown():
    for seed in range(5):
        rows = swarm(20 + seed, rows=1000, effect=-0.35, facets=9)

        shown = [pattern.conditions for pattern in patterns.mine(rows, seed=seed).patterns]

        assert [(Condition("context", "planted", "is", True),)] == shown


def test_false_discovery_control_gives_the_known_q_values():
    p = [0.01, 0.04, 0.03, 0.5]

    assert pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5]) == statistics.adjusted(p, "bh")
    factor = 1 + 1 / 2 + 1 / 3 + 1 / 4
    assert pytest.approx(0.04 * factor) == statistics.adjusted(p, "by")[0]


def test_the_tail_of_students_t_agrees_with_the_tables():
    for t, freedom, tail in ((2.228, 10, 0.025), (3.365, 5, 0.01), (1.96, 1e6, 0.025)):
        assert pytest.approx(tail, rel=0.03) == statistics.student_tail(t, freedom)
    assert pytest.approx(2.228, abs=0.02) == statistics.student_quantile(0.975, 10)


def test_clustered_intervals_are_wider_than_independent_ones_where_tasks_differ():
    rng = np.random.default_rng(1)
    tasks = np.repeat(np.arange(40), 10)
    alike = np.repeat(rng.random(40) < 0.5, 10).astype(float)

    mean, (low, high) = statistics.clustered_rate(alike, tasks)

    apart = statistics.wilson(mean * 400, 400)
    assert high - low > 2.5 * (apart[1] - apart[0])


def test_what_is_discovered_is_discovered_once():
    """A chosen column leaves rounding behind, which looks like a perfect pattern."""
    for seed in range(8):
        rows = swarm(seed, rows=800, per_task=8, hardness=0.2, effect=0.5)
        tasks = statistics.numbered([row.task for row in rows])
        one = np.zeros(len(rows), dtype=np.intp)
        conditions, masks = facets.conditions(rows, rows_min=40, limit=60)
        found = mining.candidates(conditions, masks, tasks, limit=300)
        residual = expected.rewards_of(rows) - expected.expected(rows)
        sample = mining.Sample(residual, tasks, mining.cells(one, one))
        discovered = [i for i, _ in mining.discover(found, sample, range(len(found.members)))]
        assert len(set(discovered)) == len(discovered)


def test_the_confirming_part_decides_and_not_the_discovering_one():
    rng = np.random.default_rng(1)
    column = (rng.random(400) < 0.3)[:, None]
    found = mining.Candidates([(0,)], column, [mining.FACETS], {(0,): 0})
    residual = np.where(column[:, 0], 0.4, 0.0) + rng.normal(0, 0.3, 400)
    residual[200:] = rng.normal(0, 0.3, 200)  # the second half knows nothing of it
    one = np.zeros(400, dtype=np.intp)
    sample = mining.Sample(residual, np.arange(400), mining.cells(one, one))
    halves = (np.arange(200), np.arange(200, 400))

    assert [(0, 1)] == mining.discover(*mining.part(found, sample, halves[0]), [0])
    assert [] == mining.all_ways(found, sample, halves, 0.05, "bh")[0]


def test_a_pattern_of_thirty_tasks_of_ten_rows_is_found():
    found = 0
    for seed in range(6):
        rows = swarm(700 + seed, rows=2000, per_task=10, hardness=0.22, effect=0.3, support=0.15)
        mined = patterns.mine(rows, seed=seed, candidates_max=60)
        found += any({"planted"} == names(pattern) for pattern in mined.patterns)

    assert 5 <= found


def test_the_levels_of_all_directions_add_up_to_the_whole():
    """A p-value of .02 confirms on its own, but not as one of three that share .05."""
    rng = np.random.default_rng(2)
    column = (rng.random(300) < 0.3)[:, None]
    found = mining.Candidates([(0,)], column, [mining.FACETS], {(0,): 0})
    noise, one = rng.normal(0, 0.3, 300), np.zeros(300, dtype=np.intp)
    cells, tasks = mining.cells(one, one), np.arange(300)
    effects = np.linspace(0.0, 0.3, 61)
    samples = [mining.Sample(noise + e * column[:, 0], tasks, cells) for e in effects]
    p = [mining.confirm(found, sample, [(0, 1)], 1.0, "bh")[0].q for sample in samples]
    between = next(s for s, value in zip(samples, p, strict=True) if 0.018 < value < 0.045)

    assert [] != mining.confirm(found, between, [(0, 1)], 0.05, "bh")
    assert [] == mining.confirm(found, between, [(0, 1)], 0.05, "bh", ways=3)


def test_what_a_facet_changes_is_not_counted_as_noise():
    column = np.tile([0.5, -0.5], 100)[:, None]
    noise = np.tile([0.1, 0.1, -0.1, -0.1], 50)

    tested = statistics.contrasts(column, 2.0 * column[:, 0] + noise, np.arange(200))

    assert pytest.approx(0.1 * math.sqrt(200 / 198 / 50)) == tested.common[0]


@pytest.mark.parametrize("rows_per_task", [1, 8])
def test_a_facet_whose_tasks_only_vary_more_is_rarely_called_better_or_worse(rows_per_task):
    """Fifteen of a hundred tasks vary by .35, the others by .15, about the same mean."""
    rng = np.random.default_rng(5)
    called = 0
    for _ in range(400):
        inside = rng.random(100) < 0.15
        hard = rng.normal(0, 1, 100) * np.where(inside, 0.35, 0.15)
        tasks = np.repeat(np.arange(100), rows_per_task)
        outcome = 0.5 + hard[tasks] + rng.normal(0, 0.1, len(tasks))
        column = inside[tasks].astype(float)
        column, outcome = (column - column.mean())[:, None], outcome - outcome.mean()
        called += 2 * statistics.contrasts(column, outcome, tasks).tails()[0] <= 0.05

    assert called / 400 <= 0.1
