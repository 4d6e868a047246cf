"""Trends and change points: found soon, dated, sized, and not where there are none."""

import statistics as standard

import numpy as np
import pytest

from swarm_memory.learning import trends
from swarm_memory.learning.observation import FAILURE, SUCCESS, Observation
from swarm_memory.learning.page_hinkley import Drift, advance


def stream(seed, *parts):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.random(n) < rate for n, rate in parts]).astype(float).tolist()


def observations(rewards, *, strategy="parallel", task_type="fix", agents=("a",), tasks=None):
    return [
        Observation(
            outcome_id=f"{strategy}{n}",
            at_ms=1_000 * n,
            task=f"{strategy}-t{n if tasks is None else tasks[n]}",
            task_type=task_type if isinstance(task_type, str) else task_type[n],
            strategy=strategy,
            status=SUCCESS if reward else FAILURE,
            reward=reward,
            agents=agents,
        )
        for n, reward in enumerate(rewards)
    ]


def alarms(rewards):
    state, found = Drift(), []
    for n, reward in enumerate(rewards):
        state, alarm = advance(state, reward)
        if alarm:
            found.append((n, alarm))
    return found


def of(found, kind, name):
    return next(s for s in found.series if (kind, name) == (s.kind, s.name))


def test_a_fall_raises_an_alarm_within_35_outcomes_and_seldom_before():
    found = [alarms(stream(seed, (150, 0.7), (150, 0.4))) for seed in range(200)]

    early = [f for f in found if f and f[0][0] < 150]
    delays = [f[0][0] - 150 for f in found if f and f[0][0] >= 150]
    assert len(early) <= 0.02 * 200 + 3
    assert len(delays) >= 0.95 * (200 - len(early))
    assert standard.median(delays) <= 36


@pytest.mark.parametrize("rate", [0.5, 0.9])
def test_a_steady_rate_raises_no_alarm(rate):
    found = [alarms(stream(seed, (150, rate))) for seed in range(200)]

    assert sum(bool(f) for f in found) <= 0.02 * 200 + 3


def test_an_alarm_tells_when_and_from_what_to_what():
    n, alarm = alarms(stream(3, (200, 0.9), (100, 0.2)))[0]

    assert abs(n + 1 - alarm.since - 200) <= 10
    assert pytest.approx(0.9, abs=0.06) == alarm.before
    assert pytest.approx(0.2, abs=0.2) == alarm.after


def test_after_an_alarm_the_new_level_is_the_normal_one():
    assert 2 >= len(alarms(stream(3, (200, 0.9), (400, 0.2)))) >= 1
    found = alarms(stream(4, (150, 0.9), (150, 0.2), (150, 0.9)))
    assert [False, True] == [alarm.after > alarm.before for _, alarm in found]


def test_the_state_survives_storing_at_every_outcome():
    stored = Drift().to_bytes()
    state = Drift()
    for reward in stream(1, (100, 0.7), (60, 0.2)):
        state, alarm = advance(state, reward)
        again, stored_alarm = advance(Drift.from_bytes(stored), reward)
        stored = again.to_bytes()
        assert (state, alarm) == (again, stored_alarm)

    assert 81 == len(stored)


def test_foreign_bytes_and_rewards_are_refused():
    for stored in (b"", b"\x09" + bytes(80), bytes(81)):
        with pytest.raises(ValueError):
            Drift.from_bytes(stored)
    for reward in (float("nan"), 1.1, -0.1):
        with pytest.raises(ValueError):
            advance(Drift(), reward)


def test_looking_back_a_change_is_dated_and_sized():
    found = trends.trends(observations(stream(5, (150, 0.7), (150, 0.35))), seed=1)

    (change,) = of(found, "strategy", "parallel").changes
    assert abs(change.row - 150) <= 12
    assert change.at_ms == 1_000 * change.row
    assert change.interval[0] < -0.35 < change.interval[1] < 0
    assert change.before_interval[0] < 0.7 < change.before_interval[1]
    assert change.after_interval[0] < 0.35 < change.after_interval[1]
    assert f"parallel{change.row}" == change.outcome_ids[0]


def test_a_change_there_and_back_is_two_changes():
    found = trends.trends(observations(stream(6, (120, 0.8), (120, 0.3), (120, 0.8))), seed=1)

    signs = [change.size > 0 for change in of(found, "overall", "").changes]
    assert [False, True] == signs


def test_steady_streams_show_no_change():
    changed = sum(
        bool(trends.trends(observations(stream(seed, (150, 0.6))), seed=seed).changes)
        for seed in range(100)
    )

    assert changed <= 5


def test_rows_of_one_task_in_a_row_are_no_change():
    """Each task is run 15 times, and all its runs end alike."""
    rng = np.random.default_rng(1)
    changed = 0
    for seed in range(40):
        rewards = np.repeat(rng.random(12) < 0.5, 15).astype(float).tolist()
        rows = observations(rewards, tasks=[n // 15 for n in range(180)])
        changed += bool(trends.trends(rows, seed=seed).changes)

    assert changed <= 3


def test_harder_tasks_coming_in_are_no_change_of_the_strategy():
    rng = np.random.default_rng(2)
    types, rewards = [], []
    for n in range(400):
        hard = rng.random() < (0.1 if n < 200 else 0.9)
        types.append("migration" if hard else "fix")
        rewards.append(float(rng.random() < (0.3 if hard else 0.8)))

    found = trends.trends(observations(rewards, task_type=types), seed=1)

    assert [] == found.changes
    assert of(found, "strategy", "parallel").recent < 0.5


def test_a_slow_rise_is_a_trend_and_a_level_rate_is_not():
    rng = np.random.default_rng(3)
    slow = [float(rng.random() < 0.3 + 0.5 * n / 600) for n in range(600)]
    rows = observations(slow) + observations(stream(4, (600, 0.5)), strategy="level")

    found = trends.trends(rows, seed=1)

    rising = of(found, "strategy", "parallel")
    assert trends.RISING == rising.direction
    assert rising.slope_interval[0] < 0.5 / 6 < rising.slope_interval[1]
    assert trends.RISING != of(found, "strategy", "level").direction


def test_short_and_odd_series_are_counted_and_no_crash():
    rows = observations([1.0] * 40) + observations([0.0, 1.0], strategy="new")
    rows.append(rows[0]._replace(reward=None, strategy=None))

    found = trends.trends(rows, seed=1)

    assert (1, 1) == (found.left_out, found.too_short)
    assert [] == found.changes
    assert () == trends.trends([], seed=1).series
    assert 1.0 == of(found, "strategy", "parallel").rate


def test_the_same_seed_gives_the_same_trends():
    rows = observations(stream(5, (150, 0.7), (150, 0.45)))

    assert trends.trends(rows, seed=1) == trends.trends(rows, seed=1)
