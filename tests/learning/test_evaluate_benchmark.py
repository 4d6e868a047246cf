"""The benchmark of off-policy evaluation measures what it says, also without others' data."""

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("learning_evaluate")


def test_the_estimates_are_those_of_a_slow_implementation_of_the_formulas(benchmark):
    scenario = benchmark.made("made", 0.0)

    assert benchmark.agreement(scenario)["reached"]


def test_without_others_outcomes_it_says_so_and_measures_the_made_scenarios(
    benchmark, monkeypatch, tmp_path
):
    monkeypatch.delenv("OUTCOME_DATA", raising=False)
    monkeypatch.setattr(benchmark, "RUNS", {300: 2})

    first, *others = benchmark.run()

    assert "skipped" == first["value"]
    assert 2 * len(benchmark.LOGGING) + 1 == len(others)
    assert all("covers" in f["value"] for f in others[:-1])
