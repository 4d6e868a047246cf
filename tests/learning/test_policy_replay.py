"""The replay of the benchmark: its scenarios, its accounts, and what the policy gains on them."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def bench():
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("learning")
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def scenarios(bench):
    return importlib.import_module("learning_scenarios")


def test_chance_earns_nothing_and_the_best_strategy_one(bench, scenarios, monkeypatch):
    scenario = scenarios.drawn("made", 300, 4, slope=0.0, seed=1)
    best = int(scenario.rewards.mean(axis=0).argmax())
    peers = importlib.import_module("learning_peers")

    class Best(peers.Peer):
        def choose(self, task, rng):
            return best, None

    monkeypatch.setitem(peers.POLICIES, "best", Best)

    gains, _ = bench.replay(scenario, "best", 0)
    assert 1 == pytest.approx(gains.mean() / bench.scale(scenario))
    chance = [bench.replay(scenario, "random", seed)[0].mean() for seed in range(40)]
    assert 0 == pytest.approx(np.mean(chance) / bench.scale(scenario), abs=0.1)


def test_after_a_reversal_the_best_strategy_earns_what_the_worst_did(bench, scenarios, monkeypatch):
    scenario = scenarios.drawn("made", 400, 3, slope=0.0, seed=2)
    means = scenario.rewards.mean(axis=0)
    peers = importlib.import_module("learning_peers")

    class Best(peers.Peer):
        def choose(self, task, rng):
            return int(means.argmax()), None

    monkeypatch.setitem(peers.POLICIES, "best", Best)

    gains, _ = bench.replay(scenario, "best", 0, reversal=True)
    assert gains[:200].mean() > 0 > gains[200:].mean()


def test_the_policy_gains_from_context_and_finds_the_best_without(bench, scenarios):
    facets = scenarios.drawn("made", 400, 3, slope=2.0, seed=3, facets=3)
    plain = scenarios.drawn("made", 300, 4, slope=0.0, seed=4)

    with_context = [bench.replay(facets, bench.OURS, seed)[0] for seed in range(2)]
    without = [bench.replay(plain, bench.OURS, seed)[0] for seed in range(2)]

    assert np.mean(with_context) / bench.scale(facets) > 1.0
    assert np.mean(without) / bench.scale(plain) > 0.4


def test_a_scenario_of_ones_own_is_read_from_a_file(scenarios, tmp_path):
    held = {"rewards": [[1, 0], [0, 0.5]], "contexts": [{"a": "x"}, {}], "cost_weight": 0.1}
    held["costs"] = [[1, 2], [3, 4]]
    (tmp_path / "one.json").write_text(json.dumps(held))
    texts = np.array([json.dumps(context) for context in held["contexts"]])
    np.savez(tmp_path / "two.npz", **(held | {"contexts": texts}))

    one, two = (scenarios.read(tmp_path / name) for name in ("one.json", "two.npz"))

    assert [{"a": "x"}, {}] == one.contexts == two.contexts
    assert scenarios.utilities(one).tolist() == scenarios.utilities(two).tolist()
    assert 0.9 == pytest.approx(scenarios.utilities(one)[0, 0])


def test_without_data_the_missing_files_are_named(scenarios, tmp_path):
    found, missing = scenarios.real(tmp_path)

    assert [] == found
    assert "aslib_*.npz" in missing


def test_the_calibration_error_of_sure_and_wrong_is_one(bench):
    assert 1 == bench.calibration_error(np.ones(5), np.zeros(5))
    assert 0 == bench.calibration_error(np.full(10, 0.5), np.array([0, 1] * 5))
