"""Refits go in steps with the outcomes that follow, and end where one at once would."""

import numpy as np
import pytest

from swarm_memory.learning import arms, choice, window
from swarm_memory.learning.model import Model
from swarm_memory.learning.refit import Refit

NAMES = [f"s{index}" for index in range(3)]


def outcomes(count, seed=1):
    """Yield so many (context, strategy, reward), of which a number decides something."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        seen = {"x": float(rng.normal()), "lang": f"l{rng.integers(3)}"}
        index = int(rng.integers(len(NAMES)))
        chance = 0.8 if (seen["x"] > 0) == bool(index) else 0.3
        yield seen, NAMES[index], float(rng.random() < chance)


def learned(count, stored=None):
    """Return a model, and all its parts as they are stored."""
    model, parts = Model(stored), dict(stored or {})
    for number, (seen, name, reward) in enumerate(outcomes(count)):
        model.learn("fix", seen, name, reward, outcome_id=str(number))
    parts |= model.changed()
    return model, parts


@pytest.fixture
def stepwise(monkeypatch):
    """Let all but the smallest refits go in steps, of few rows each."""
    monkeypatch.setattr(window, "AT_ONCE", 8)
    monkeypatch.setattr("swarm_memory.learning.refit.VARIED", 0)
    monkeypatch.setattr("swarm_memory.learning.refit.SOLVED_ROWS", 16)


def test_a_process_that_starts_amid_a_refit_goes_on_with_it(stepwise):
    _, expected = learned(120)
    stored, amid = {}, 0
    for number, (seen, name, reward) in enumerate(outcomes(120)):
        model = Model(stored)
        amid += model._window.job is not None
        model.learn("fix", seen, name, reward, outcome_id=str(number))
        stored |= model.changed()

    assert amid > 20
    assert expected == stored


def test_processes_that_take_turns_learn_what_one_alone_does(stepwise):
    _, expected = learned(120)
    stored, changed, processes = {}, {}, [Model(), Model()]
    for number, (seen, name, reward) in enumerate(outcomes(120)):
        model = processes[number % 2]
        model.load(changed)
        model.learn("fix", seen, name, reward, outcome_id=str(number))
        changed = model.changed()
        stored |= changed

    assert expected == stored


def test_what_is_learned_does_not_depend_on_what_was_asked_before(stepwise):
    _, expected = learned(120)
    model = Model()
    for number, (seen, name, reward) in enumerate(outcomes(120)):
        model.estimate("fix", seen, NAMES)
        model.learn("fix", seen, name, reward, outcome_id=str(number))

    assert expected == model.changed()


def test_what_was_compared_quickly_is_compared_again_to_be_learned():
    model, _ = learned(20)
    seen = {"x": 0.5}

    _, quick = model._nearness("fix", seen)
    _, exact = model._nearness("fix", seen, exact=True)
    assert quick is not exact
    assert model._nearness("fix", seen)[1] is exact


@pytest.mark.parametrize("count", [1, 5, 40, 300])
def test_what_rows_have_in_common_does_not_depend_on_when_it_was_computed(count):
    held = learned(count)[0]._window
    rows = np.arange(held.used)

    kept = held.geometry.among(rows, held.used, held._locals)
    held._place()
    together = held.geometry.among(rows, held.used, held._locals)
    held._place()
    alone = [held.geometry.among(rows[[at]], held.used, held._locals)[0] for at in rows]
    assert np.array_equal(kept, together)
    assert np.array_equal(kept, np.array(alone))
    assert np.array_equal(kept, kept.T)


def test_a_refit_in_steps_predicts_as_if_all_were_solved_at_once(stepwise):
    model, _ = learned(64)
    held = model._window
    assert held.job is not None
    for seen, name, reward in outcomes(100, seed=7):
        if held.job is None:
            break
        model.learn("fix", seen, name, reward)
    rows = np.arange(held.used)
    pieces = window.kernel.Covariances(
        [block[rows] for block in held._blocks], held._locals[rows], held.variances.gamma
    )
    matrix = pieces.matrix(held.variances)
    noisy = matrix + held.variances.noise * np.eye(len(rows))
    exact = np.linalg.solve(noisy, held.reward[rows] - held.base)

    assert held.job is None
    assert matrix @ exact == pytest.approx(matrix @ held.weights[rows], abs=0.1)


def test_what_is_in_use_stays_until_the_last_step(stepwise):
    model, _ = learned(63)
    before = model._window.variances, model._window.scale.copy()
    (seen, name, reward), *_ = outcomes(1, seed=9)
    model.learn("fix", seen, name, reward)

    assert model._window.job is not None
    assert before[0] == model._window.variances
    assert np.array_equal(before[1], model._window.scale)
    for seen, name, reward in outcomes(30, seed=3):
        model.learn("fix", seen, name, reward)
    assert model._window.job is None
    assert not np.array_equal(before[1], model._window.scale)


def test_no_outcome_takes_more_than_one_step_of_a_large_refit(monkeypatch):
    taken = []
    step = Refit.step
    monkeypatch.setattr(
        Refit, "step", lambda self, rows: taken.append(rows.count) or step(self, rows)
    )
    learned(300)

    large = [count for count in taken if count > window.AT_ONCE]
    assert len(large) >= 20
    assert len(large) == len(set(large))


def test_a_strategy_that_starts_again_leaves_no_row_behind_amid_a_refit(stepwise):
    model, _ = learned(66)
    assert model._window.job is not None
    model._window.forget(arms.name_hash("s1"))
    for seen, name, reward in outcomes(40, seed=5):
        if name != "s1":
            model.learn("fix", seen, name, reward)

    dead = model._window.arm == np.uint64(arms.name_hash("s1"))
    assert dead.any()
    assert not model._window.weights[dead].any()
    assert 0 == model.estimate("fix", {"x": 0.0}, ["s1"]).similar[0]


def test_a_label_revised_amid_a_refit_counts_in_what_comes_of_it(stepwise):
    model, _ = learned(66)
    assert model._window.job is not None
    model.correct("fix", NAMES[0], 1.0, None, outcome_id="3")
    while model._window.job is not None:
        model._window._advance()

    assert 0 == model._window.weights[3]


def test_one_strategy_is_expected_what_it_is_among_others():
    model, _ = learned(50)
    kind = arms.kind_of("fix")
    rows = np.array([model._rows[name] for name in NAMES])

    many = arms.rates(rows, model._overall, kind).mean
    one = [arms.rate(row, model._overall, kind) for row in rows]
    assert many.T == pytest.approx(np.array(one))

    _, near = model._nearness("fix", {"x": 0.5})
    hashes = [arms.name_hash(name) for name in NAMES]
    means = [model._window.expected(near, number) for number in hashes]
    assert model._window.forecast(near, hashes).mean == pytest.approx(means, abs=1e-5)


def test_rows_are_compared_with_a_context_as_with_each_other():
    model, _ = learned(50)
    held = model._window
    rows = np.arange(held.used)
    pieces = window.kernel.Covariances(
        [block[rows] for block in held._blocks], held._locals[rows], held.variances.gamma
    )
    x = [block[7] for block in held._blocks]
    expected = pieces.matrix(held.variances)[7]

    same = held._locals[rows] == held._locals[7]
    for exact in (True, False):
        shared, apart = held.geometry.covariances(x, held.used, exact=exact)
        found = shared + np.where(same, apart + held.variances.arm, 0)
        assert found == pytest.approx(expected, abs=1e-5)


def test_two_sets_of_draws_are_what_each_is_alone():
    means = np.array([0.5, 0.45, 0.3])
    deviations = np.array([[0.1, 0.2, 0.3], [0.02, 0.04, 0.06]])

    both = choice.largest(means, deviations)
    assert np.ones(2) == pytest.approx(both.sum(axis=1))
    for alone, together in zip(deviations, both, strict=True):
        assert choice.largest(means, alone[None])[0] == pytest.approx(together)


def test_a_thousand_equal_candidates_have_equal_chances():
    (chances,) = choice.largest(np.full(1000, 0.5), np.full((1, 1000), 0.1))

    assert np.full(1000, 0.001) == pytest.approx(chances)
