"""What has expired is swept as often as it is worth, within bounds, and not at all when off."""

import pytest

from swarm_memory import Swarm
from swarm_memory.config import load_config
from swarm_memory.testing import ManualClock
from swarm_memory.tuning.sweeping import EVERY_S_MIN, PARAMETER, interval_s, next_s

DAY_S = 86_400
FIRST_S = DAY_S // 24
CONFIG = load_config()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def swarm(engine_url, clock):
    with Swarm.open(engine_url, agent="a", swarm="s", clock=clock) as swarm:
        yield swarm


def pass_by(swarm, clock, seconds, expiring):
    """Let time pass, with a tick each five minutes and records that expire before the next."""
    for at in range(0, seconds, 300):
        for number in range(expiring):
            swarm.records.put(f"x/{at}-{number}", at, ttl_s=60)
        clock.advance(300)
        swarm.tick()


def test_where_much_expires_it_is_swept_soon_and_by_and_by_as_soon_as_it_may(swarm, clock):
    for number in range(20):
        swarm.records.put(f"kept/{number}", number)
    swarm.tick()  # the first sweep is of a store that is new
    assert 2 * FIRST_S == interval_s(swarm)

    pass_by(swarm, clock, 3 * FIRST_S, expiring=4)

    assert EVERY_S_MIN <= interval_s(swarm) < FIRST_S
    newest = swarm.tuner.history()[0]
    assert (PARAMETER, "much", True, "s") == (
        newest.parameter, newest.reason, newest.kept, newest.swarm,
    )  # fmt: skip
    assert newest.after < newest.before
    # What is there is what lives, and what expired since the last sweep.
    assert swarm.monitor.take().sample.gauges["records"] < 20 + 4 * 3 * FIRST_S / 300
    assert 20 == swarm.records.count("kept")[0]


def test_where_nothing_expires_it_is_swept_once_a_day(swarm, clock):
    swarm.records.put("kept/1", 1)
    for _ in range(60):
        clock.advance(3600)
        swarm.tick()

    assert DAY_S == interval_s(swarm)
    assert {"little"} == {change.reason for change in swarm.tuner.history()}


def test_off_is_off(swarm, clock):
    swarm.tuner.turn(False)
    pass_by(swarm, clock, FIRST_S, expiring=4)

    assert [] == swarm.tuner.history()
    assert (DAY_S, "default") == (swarm.tuner.knobs()[-1].value, swarm.tuner.knobs()[-1].source)


def test_what_somebody_has_set_stays(engine_url, clock, monkeypatch):
    monkeypatch.setenv("SWARM_MEMORY_CLEANUP_INTERVAL_S", "7200")
    with Swarm.open(engine_url, agent="a", swarm="s", clock=clock) as swarm:
        pass_by(swarm, clock, FIRST_S, expiring=4)

        assert [] == swarm.tuner.history()
        assert (7200, "given") == (swarm.tuner.knobs()[-1].value, swarm.tuner.knobs()[-1].source)


@pytest.mark.parametrize(
    ("every_s", "expired", "records", "then_s"),
    [
        (3600, 0, 100, 7200),
        (3600, 5, 100, 3600),
        (3600, 10, 100, 1800),
        (3600, 100, 100, 450),
        (3600, 9, 0, 450),  # of no sample
        (400, 100, 100, EVERY_S_MIN),
        (80_000, 0, 100, DAY_S),
    ],
)
def test_the_next_sweep_comes_as_soon_as_the_last_one_was_worth(every_s, expired, records, then_s):
    assert then_s == next_s(every_s, expired, records, CONFIG)
