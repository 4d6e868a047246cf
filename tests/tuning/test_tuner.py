"""The tuner finds the better value within bounds, and takes back what is worse."""

import pytest

from swarm_memory import NotFoundError, Swarm
from swarm_memory.config import load_config
from swarm_memory.meter import bucket_of
from swarm_memory.testing import ManualClock
from swarm_memory.tuned import CACHE, SWARM
from swarm_memory.tuning.measure import MIB, PAIRS_MAX, PAIRS_MIN, PARAMETERS, compare, score_of

DEFAULT = load_config().cache_bytes_max
MINUTES_MAX = 4 * 2 * PAIRS_MAX  # of one trial: each window has one minute to settle, if it must
BY_SIZE = {0: 40, DEFAULT: 40, 24 * MIB: 20, 64 * MIB: 20.1}  # µs of a read


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def swarm(tmp_path, clock):
    with Swarm.open(f"sqlite:///{tmp_path}/memory.db", agent="a", swarm="s", clock=clock) as swarm:
        swarm.records.put("x", 1)  # a store that nothing was written to keeps nothing in the cache
        yield swarm


def value_of(swarm):
    """The value that the processes of the store use now."""
    swarm.context.meter.look()
    return swarm._cache.bytes_max


def minute(swarm, clock, read_us, calls=50_000):
    """Let a minute pass in which other processes read, and the monitor look."""
    row = {"swarm": "s", "verb": "get", "bucket": bucket_of(round(1000 * read_us)), "calls": calls}
    clock.advance(60)
    swarm.transact(lambda tx: tx.tx.many("meter_add", [row]))
    swarm.monitor.take()
    return swarm.tuner.step()


def work(swarm, clock, costs, minutes=MINUTES_MAX):
    """Let minutes pass until a change ends, in which a read costs what the size makes of it."""
    for number in range(minutes):
        noise = 1 + 0.02 * (-1) ** number
        change = minute(swarm, clock, costs[value_of(swarm)] * noise)
        if change is not None:
            return change
    return None


def test_the_better_size_is_found_one_step_at_a_time_and_kept(swarm, clock):
    change = work(swarm, clock, BY_SIZE)

    assert (CACHE, DEFAULT, 24 * MIB, True, "better") == change[2:7]
    assert 0.3 < change.low <= change.ratio <= change.high < 0.7
    assert 2 * PAIRS_MIN <= change.windows <= 2 * PAIRS_MAX
    assert 24 * MIB == value_of(swarm)
    assert [change] == swarm.tuner.history()


def test_a_step_that_gains_nothing_is_not_taken(swarm, clock):
    work(swarm, clock, BY_SIZE)
    change = work(swarm, clock, BY_SIZE)

    assert (24 * MIB, 64 * MIB, False) == (change.before, change.after, change.kept)
    assert 24 * MIB == value_of(swarm)


def test_nothing_changes_until_a_whole_trial_says_so(swarm, clock):
    assert work(swarm, clock, dict.fromkeys(BY_SIZE, 40), 2 * PAIRS_MIN - 1) is None
    knob = swarm.tuner.knobs()[0]
    assert (DEFAULT, "default") == (knob.value, knob.source)


def test_a_value_that_does_harm_is_taken_back_after_one_window(swarm, clock):
    change = work(swarm, clock, BY_SIZE | {24 * MIB: 80})

    assert ("worse", False, 2) == (change.reason, change.kept, change.windows)
    assert DEFAULT == value_of(swarm)


def test_what_was_not_better_is_left_alone_for_a_while(swarm, clock):
    costs = dict.fromkeys(BY_SIZE, 40)
    tried = [work(swarm, clock, costs).after, work(swarm, clock, costs).after]

    assert [24 * MIB, 0] == tried
    assert work(swarm, clock, costs, 20) is None
    assert DEFAULT == value_of(swarm)


def test_an_alert_stops_a_trial_and_puts_back_what_was(swarm, clock):
    for _ in range(3):
        minute(swarm, clock, 40)
    assert 24 * MIB == value_of(swarm)
    raise_alert(swarm, clock)

    assert ("alert", False) == swarm.tuner.history()[0][6:4:-1]
    assert DEFAULT == value_of(swarm)
    assert work(swarm, clock, BY_SIZE, 5) is None


def raise_alert(swarm, clock):
    rows = [
        {"swarm": "s", "verb": "get!corrupt_value", "bucket": 0, "calls": 1},
    ]
    swarm.transact(lambda tx: tx.tx.many("meter_add", rows))
    minute(swarm, clock, 40)


def test_a_change_can_be_undone_and_is_not_made_again_soon(swarm, clock):
    made = work(swarm, clock, BY_SIZE)
    undone = swarm.tuner.undo()

    assert (made.after, made.before, "undone") == (undone.before, undone.after, undone.reason)
    assert DEFAULT == value_of(swarm)
    assert work(swarm, clock, BY_SIZE) is None
    with pytest.raises(NotFoundError):
        swarm.tuner.undo()


def test_off_puts_every_process_on_its_defaults_and_on_takes_up_again(swarm, clock):
    work(swarm, clock, BY_SIZE)
    swarm.tuner.turn(False)

    assert DEFAULT == value_of(swarm)
    assert work(swarm, clock, BY_SIZE, 20) is None
    swarm.tuner.turn(True)
    assert 24 * MIB == value_of(swarm)


@pytest.mark.parametrize("name", ["TUNING", "CACHE_BYTES_MAX"])
def test_what_a_person_has_set_is_not_touched(swarm, clock, tmp_path, monkeypatch, name):
    work(swarm, clock, BY_SIZE)
    monkeypatch.setenv(f"SWARM_MEMORY_{name}", {"TUNING": "off"}.get(name, str(4 * MIB)))
    with Swarm.open(swarm.url, swarm="s", clock=clock) as other:
        mine = other._cache.bytes_max
        assert mine == value_of(other)
        assert work(other, clock, dict.fromkeys([mine, *BY_SIZE], 40), 20) is None
        assert mine == value_of(other)


def test_idle_swarms_and_those_with_little_to_do_are_left_alone(swarm, clock):
    for _ in range(20):
        assert minute(swarm, clock, 40, calls=100) is None
    assert [] == swarm.tuner.history()
    assert swarm.tuner.knobs()[0].trying is None


def test_every_window_is_in_the_learners_log_with_its_propensity(swarm, clock):
    change = work(swarm, clock, BY_SIZE)
    measured = swarm.as_agent("a", swarm=SWARM).outcomes.recent()

    assert change.windows == len(measured)
    assert {(CACHE, "check")} == {(one.task_type, one.label_source) for one in measured}
    assert None not in {one.propensity for one in measured}
    better = [one.reward for one in measured if one.strategy == str(24 * MIB)]
    other = [one.reward for one in measured if one.strategy == str(DEFAULT)]
    assert max(other) < min(better)


def test_a_window_counts_only_what_was_measured_after_all_had_looked(swarm, clock):
    records = swarm.as_agent("a", swarm=SWARM).records
    minute(swarm, clock, 40)  # begins
    minute(swarm, clock, 40)  # of what was before, so there is nothing to settle
    minute(swarm, clock, 20)  # of these 60 s the first 20 had the other value
    assert 1 == len(records.get("tuning/trial").value["costs"])
    minute(swarm, clock, 20)
    assert 2 == len(records.get("tuning/trial").value["costs"])


@pytest.mark.parametrize(
    ("costs", "verdict"),
    [
        ([10, 5, 5, 10, 10], None),
        ([10, 5, 5.1, 10, 9.9, 5], "better"),
        ([10, 11, 11.1, 10, 10, 11.2], "worse"),
        ([10, 14], "worse"),
        ([10, 10, 10, 10] * (PAIRS_MAX // 2), "same"),
        ([10, 9.9, 9.9, 10, 10, 9.9, 9.9, 10] * 2, "same"),
    ],
)
def test_windows_are_compared_in_pairs(costs, verdict):
    assert verdict == compare(costs).verdict


def test_a_load_that_grows_steadily_is_not_taken_for_a_gain_or_a_loss():
    assert "same" == compare([10 * 1.02**n for n in range(2 * PAIRS_MAX)]).verdict


def test_scores_are_within_bounds_and_half_for_the_default():
    assert 0.5 == score_of(1.0)
    assert 0 < score_of(100.0) < score_of(0.5) < 1


def test_one_change_moves_by_one_place():
    (cache,) = PARAMETERS
    assert [24 * MIB, 0] == cache.neighbours(8 * MIB, 8 * MIB)
    assert [24 * MIB] == cache.neighbours(64 * MIB, 8 * MIB)
