"""The product's own parameters are chosen by what was measured with them."""

import pytest

from swarm_memory import InvalidArgumentError, Swarm
from swarm_memory.tuning import SWARM, Tuning


@pytest.fixture
def swarm(tmp_path):
    with Swarm.open(f"sqlite:///{tmp_path}/memory.db", agent="a", swarm="s") as swarm:
        yield swarm


def test_the_value_that_measures_best_is_found_and_stays_within_bounds(swarm):
    tuning, values = Tuning(swarm), [1, 4, 16, 64]
    for number in range(60):
        setting = tuning.choose("cache_mb", values, seed=number)
        assert setting.value in values
        tuning.measured(setting, {1: 0.3, 4: 0.5, 16: 0.9, 64: 0.6}[setting.value])

    best = tuning.choose("cache_mb", values, explore=False)
    assert 16 == best.value
    assert not best.trying


def test_what_is_tuned_is_apart_from_the_swarms_own_outcomes(swarm):
    tuning = Tuning(swarm)
    tuning.measured(tuning.choose("cache_mb", [1, 4]), 0.7)

    assert 0 == swarm.outcomes.count()
    (measured,) = swarm.as_agent("a", swarm=SWARM).outcomes.recent()
    assert ("cache_mb", 0.7, "check") == (
        measured.task_type, measured.reward, measured.label_source,
    )  # fmt: skip
    assert measured.propensity is not None


@pytest.mark.parametrize("values", [[], [1, 1], [1, "1"], list(range(51))])
def test_what_cannot_be_chosen_from_is_refused(swarm, values):
    with pytest.raises(InvalidArgumentError):
        Tuning(swarm).choose("cache_mb", values)
