"""The direct model and the intervals agree with slow or published answers."""

import made_logs as logs
import numpy as np
import pytest

from swarm_memory.learning import direct, interval


def loss(columns, chosen, reward, level, shared, own):
    """Return the penalised negative log-likelihood, written down plainly."""
    total = level**2 / direct.PRIOR_LEVEL / 2 + np.sum(shared**2) / direct.PRIOR_SHARED / 2
    total += np.sum(own[:, 0] ** 2) / direct.PRIOR_STRATEGY / 2
    total += np.sum(own[:, 1:] ** 2) / direct.PRIOR_SLOPE / 2
    for x, k, y in zip(columns, chosen, reward, strict=True):
        z = level + x @ shared + own[k, 0] + own[k, 1:] @ x
        total += np.log1p(np.exp(z)) - y * z
    return total


def test_the_direct_model_is_where_the_penalised_likelihood_is_highest():
    generator = np.random.default_rng(0)
    columns, chosen = generator.normal(size=(80, 3)), generator.integers(0, 4, 80)
    chosen[chosen == 3] = 0  # the fourth strategy was never tried
    reward = generator.random(80)
    fit = direct.fit(columns, chosen, reward, 4)
    values = [fit.level, *fit.shared, *fit.strategies.ravel()]

    def at(vector):
        return loss(columns, chosen, reward, vector[0], vector[1:4], np.reshape(vector[4:], (4, 4)))

    for i in range(len(values)):
        step = np.eye(len(values))[i] * 1e-4
        slope = (at(values + step) - at(values - step)) / 2e-4
        assert slope == pytest.approx(0.0, abs=1e-4)


def test_every_row_is_predicted_by_a_model_that_has_not_seen_its_task():
    rows = logs.drawn(200, seed=1, rows_of_a_task=4)
    tasks = np.array([int(o.task[1:]) for o in rows])
    folds = direct.folds_by_task(tasks, np.random.default_rng(0))
    columns = direct.encode(rows)
    chosen = np.array([logs.STRATEGIES.index(o.strategy) for o in rows])
    reward = np.array([o.reward for o in rows])
    before = direct.cross_fitted(columns, chosen, reward, folds, 3)

    task = tasks == 7
    after = direct.cross_fitted(columns, chosen, np.where(task, 1 - reward, reward), folds, 3)

    assert 1 == len(set(folds[task]))
    np.testing.assert_array_equal(before[task], after[task])
    assert np.abs(before - after).max() > 1e-4


def test_contexts_become_numbers_whatever_is_in_them():
    contexts = [
        {"language": "python" if i % 2 else "rust", "size": float(i), "flags": ["a", "b"][: i % 3]}
        for i in range(40)
    ]
    odd = {
        "size": float("nan"),
        "huge": 10**400,
        "endless": float("inf"),
        "deep": {"er": [1, {"x": True}]},
        "none": None,
    }
    text = {"title": "the parser fails on an empty file with a long name"}
    rows = [
        logs.observation(i, "a", 1.0, context=context)
        for i, context in enumerate([*contexts, odd, text, None])
    ]

    columns = direct.encode(rows)

    assert 43 == len(columns)
    assert 3 <= columns.shape[1] <= direct.COLUMNS_MAX
    assert np.isfinite(columns).all()


def test_columns_are_bounded_however_many_facets_there_are():
    rows = [
        logs.observation(i, "a", 1.0, context={f"f{j}": (i * j) % 7 for j in range(200)})
        for i in range(60)
    ]

    assert direct.COLUMNS_MAX == direct.encode(rows).shape[1]


@pytest.mark.parametrize(
    "degrees, expected", [(3, 3.182), (5, 2.571), (10, 2.228), (30, 2.042), (1e9, 1.960)]
)
def test_t_quantiles_are_those_of_the_tables(degrees, expected):
    assert interval.t_quantile(degrees) == pytest.approx(expected, rel=0.006)


def test_a_share_of_many_rows_has_wilsons_interval():
    found = interval.score_interval(0.3, 0.3 * 0.7 / 1_000, 1_000, 999)

    assert found.low == pytest.approx(0.2724, abs=0.001)
    assert found.high == pytest.approx(0.3291, abs=0.001)


def test_one_cluster_says_nothing():
    clusters = np.zeros(5, dtype=int)
    variance = interval.clustered_variance(np.ones(5), clusters)

    assert (0.0, 1.0) == tuple(interval.score_interval(0.5, variance, 5, 4))[1:]
