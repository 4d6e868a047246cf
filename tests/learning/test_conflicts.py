"""The forecast of who meets whom: known answers, calibration, and nothing of the future."""

import math
import random
import subprocess
import sys

import pytest

from swarm_memory.learning.conflicts import (
    COMPANY,
    DAY_S,
    HALF_LIVES,
    HOUR_S,
    PULL,
    WEEK_HOURS,
    Counts,
    Touch,
    expected_activity,
    probability,
    raised,
    untrained,
)
from swarm_memory.learning.forecaster import Forecaster, Regression, Rhythm, fitted

NOON = 1000 * 7 * DAY_S  # Thursday, as the epoch


def swarm_log(seed, *, pace_s=60.0, touches=1800, parties=6, paths=40):
    """Yield touches of parties that each stay with a file for a while; some files are hot."""
    chance = random.Random(seed)
    at_s = 0.0
    where = [chance.randrange(paths) for _ in range(parties)]
    for _ in range(touches):
        at_s += chance.expovariate(1 / pace_s)
        who = chance.randrange(parties)
        if chance.random() < 0.2:
            hot = chance.random() < 0.5
            where[who] = chance.randrange(4 if hot else paths)
        yield Touch(at_s, f"agent-{who}", f"file-{where[who]}")


def outcomes(touches, window_s):
    """Return for each touch whether another party touches the path within the window."""
    touches = list(touches)
    return [
        any(
            later.path == touch.path
            and later.party != touch.party
            and touch.at_s < later.at_s <= touch.at_s + window_s
            for later in touches[i + 1 :]
        )
        for i, touch in enumerate(touches)
    ]


# --- what is counted ---


@pytest.mark.parametrize(
    ("weights", "knee", "power"), [(COMPANY, 1.0, 1.25), (PULL, 2.0, 1.5)], ids=["company", "pull"]
)
def test_decays_together_follow_a_power_law_over_two_hundred_windows(weights, knee, power):
    for age in (0.0, 0.25, 1.0, 4.0, 16.0, 60.0, 200.0):
        decays = sum(w * 0.5 ** (age / h) for w, h in zip(weights, HALF_LIVES, strict=True))

        assert (1 + age / knee) ** -power == pytest.approx(decays, rel=0.5)


def test_touches_fade_with_their_age_in_windows_and_the_own_ones_are_left_out():
    for window_s in (60.0, DAY_S):
        counts = Counts(window_s)
        counts.add(Touch(0.0, "a", "x"))
        counts.add(Touch(0.0, "b", "x"))

        ages = (0.0, 0.5, 4.0, 32.0)
        faded = [counts.company("x", "a", age * window_s).others for age in ages]

        assert [["b"]] * 4 == [list(others) for others in faded]
        expected = [
            sum(w * 0.5 ** (age / h) for w, h in zip(COMPANY, HALF_LIVES, strict=True))
            for age in ages
        ]
        assert pytest.approx(expected) == [others["b"] for others in faded]


def test_counts_add_up_over_touches_and_others():
    counts = Counts(100.0)
    for party in "abbc":
        counts.add(Touch(0.0, party, "x"))

    found = counts.company("x", "a", 0.0)

    assert pytest.approx(3.0) == found.touches
    assert pytest.approx({"b": 2.0, "c": 1.0}) == found.others


def test_who_is_active_elsewhere_only_pulls_at_its_own_files():
    idle, busy = Counts(100.0), Counts(100.0)
    for counts in (idle, busy):
        for number in range(10):
            counts.add(Touch(float(number), "b", "x"))
    for number in range(10):
        busy.add(Touch(300.0 + number, "b", "y"))

    assert idle.company("x", "a", 320.0).pull < busy.company("x", "a", 320.0).pull
    assert busy.company("x", "a", 320.0).touches == idle.company("x", "a", 320.0).touches
    assert 0 == busy.company("z", "a", 320.0).pull


def test_parties_that_belong_together_are_no_others():
    counts = Counts(100.0, same=lambda a, b: a[0] == b[0])
    counts.add(Touch(0.0, "s1 sub", "x"))
    counts.add(Touch(0.0, "t1", "x"))

    assert {"t1": 1.0} == counts.company("x", "s1", 0.0).others


# --- the rhythm of a week ---


def test_a_rhythm_is_flat_before_anything_is_known():
    assert (1.0,) * WEEK_HOURS == Rhythm().shape()


def test_hours_at_which_a_swarm_works_are_expected_to_be_active():
    rhythm = Rhythm()
    for week in range(8):
        for hour in range(9, 17):
            rhythm.add(Touch(NOON + week * 7 * DAY_S + hour * HOUR_S, "a", "x"))

    shape = rhythm.shape()

    assert pytest.approx(WEEK_HOURS) == sum(shape)
    assert expected_activity(shape, 9 * HOUR_S, 4 * HOUR_S) > 3
    assert expected_activity(shape, 20 * HOUR_S, 4 * HOUR_S) < 0.7
    assert pytest.approx(1.0) == expected_activity(shape, 0.0, 30 * DAY_S)


def test_hours_that_have_not_come_yet_are_not_taken_for_idle_ones():
    rhythm = Rhythm()
    for hour in range(13 * 24):
        rhythm.add(Touch(NOON + hour * HOUR_S, "a", "x"))
    young = rhythm.shape()
    rhythm.add(Touch(NOON + 14 * DAY_S, "a", "x"))

    assert (1.0,) * WEEK_HOURS == young
    assert young != rhythm.shape()


def test_one_that_saves_often_within_an_hour_counts_once():
    once, often = Rhythm(), Rhythm()
    for week in range(3):
        once.add(Touch(NOON + week * 7 * DAY_S, "a", "x"))
        for second in range(100):
            often.add(Touch(NOON + week * 7 * DAY_S + second, "a", "x"))

    assert once.shape()[0] > 1
    assert once.shape() == often.shape()


def test_a_window_within_an_hour_takes_the_hours_it_touches_by_their_part():
    rhythm = [0.0] * WEEK_HOURS
    rhythm[1] = 4.0

    assert pytest.approx(1.0) == expected_activity(rhythm, 0.75 * HOUR_S, HOUR_S / 3)
    assert pytest.approx(0.0) == expected_activity(rhythm, 0.0, HOUR_S / 2)
    assert pytest.approx(4.0) == expected_activity(rhythm, 1.2 * HOUR_S, HOUR_S / 2)


# --- the regression ---


def test_the_regression_finds_the_rate_of_a_stream():
    chance = random.Random(1)
    regression = Regression((0.0, 0.0), (2.0, 2.0))
    for _ in range(3000):
        x = chance.choice((0.0, 1.0))
        regression.learn((1.0, x), chance.random() < (0.1 if x == 0 else 0.6))

    assert pytest.approx(math.log(0.1 / 0.9), abs=0.3) == regression.logit((1.0, 0.0))
    assert pytest.approx(math.log(0.6 / 0.4), abs=0.3) == regression.logit((1.0, 1.0))


def test_the_regression_stays_where_it_is_sure_of():
    chance = random.Random(1)
    sure, unsure = (Regression((0.0, 1.0), (2.0, c)) for c in (10_000.0, 2.0))
    for _ in range(500):
        x = chance.choice((-1.0, 1.0))
        hit = chance.random() < 0.5
        sure.learn((1.0, x), hit)
        unsure.learn((1.0, x), hit)

    assert sure.weights[1] > 0.8
    assert abs(unsure.weights[1]) < 0.3


# --- the forecast ---


@pytest.mark.parametrize("seed", [1])
def test_forecasts_are_calibrated_and_rank_better_than_chance(seed):
    window_s = 900.0
    touches = list(swarm_log(seed))
    forecaster = Forecaster(window_s)
    chances = [forecaster.add(touch) for touch in touches]
    hits = outcomes(touches, window_s)
    scored = [(c, h) for c, h, t in zip(chances, hits, touches, strict=True)][800:-100]

    error = 0.0
    for low in range(10):
        cell = [(c, h) for c, h in scored if low / 10 <= c < (low + 1) / 10]
        error += abs(sum(c for c, _ in cell) - sum(h for _, h in cell))
    assert error / len(scored) < 0.08
    base = sum(h for _, h in scored) / len(scored)
    top = sorted(scored, reverse=True)[: len(scored) // 5]
    assert sum(h for _, h in top) / len(top) > 1.2 * base


def test_a_forecast_knows_nothing_of_what_comes_later():
    touches = list(swarm_log(3, touches=400))
    whole, part = Forecaster(900.0), Forecaster(900.0)
    with_all = [whole.add(touch) for touch in touches]
    with_part = [part.add(touch) for touch in touches[:200]]

    assert with_part == with_all[:200]


def test_the_same_log_makes_the_same_model():
    touches = list(swarm_log(4, touches=500))
    now_s = touches[-1].at_s

    assert fitted(touches, 900.0, now_s) == fitted(iter(touches), 900.0, now_s)


def test_windows_that_have_not_ended_teach_nothing():
    touches = [Touch(float(n), "ab"[n % 2], "x") for n in range(50)]

    assert 0 == fitted(touches, 900.0, 60.0).examples
    ended = fitted(touches, 900.0, 2000.0)
    assert (50, 49) == (ended.examples, ended.met)


def test_a_touch_at_the_end_of_the_window_counts_and_one_after_it_does_not():
    for later_s, met in ((900.0, 1), (901.0, 0)):
        touches = [Touch(0.0, "a", "x"), Touch(later_s, "b", "x")]

        assert met == fitted(touches, 900.0, 5000.0).met


def test_touches_of_the_same_moment_do_not_meet():
    touches = [Touch(0.0, "a", "x"), Touch(0.0, "b", "x")]

    assert 0 == fitted(touches, 900.0, 5000.0).met


def test_a_swarm_that_works_a_thousand_times_faster_gets_the_same_forecasts():
    def flat(pace_s, window_s):
        model, counts = untrained(window_s), Counts(window_s)
        for touch in swarm_log(5, pace_s=pace_s, touches=300):
            counts.add(touch)
        at_s = touch.at_s
        return [probability(model, counts.company(f"file-{n}", "a", at_s), at_s) for n in range(9)]

    fast, slow = flat(20.0, 200.0), flat(20_000.0, 200_000.0)

    assert pytest.approx(fast) == slow
    assert len(set(fast)) > 5


def test_what_is_learned_changes_no_rank_among_paths():
    window_s = 900.0
    touches = list(swarm_log(6, touches=900))
    at_s = touches[-1].at_s
    learned, counts = fitted(touches, window_s, at_s), Counts(window_s)
    for touch in touches:
        counts.add(touch)
    model = untrained(window_s)._replace(rhythm=learned.rhythm)

    paths = [f"file-{number}" for number in range(40)]
    ranks = [
        sorted(paths, key=lambda p: probability(m, counts.company(p, "new", at_s), at_s))
        for m in (model, learned)
    ]

    assert (model.intercept, model.slope) != (learned.intercept, learned.slope)
    assert ranks[0] == ranks[1]


def test_an_untrained_model_ranks_by_who_was_there():
    model = untrained(1800.0)
    counts = Counts(1800.0)
    counts.add(Touch(0.0, "b", "x"))
    counts.add(Touch(0.0, "b", "y"))
    counts.add(Touch(10.0, "c", "y"))

    chances = [probability(model, counts.company(p, "a", 60.0), 60.0) for p in ("z", "x", "y")]

    assert sorted(chances) == chances
    assert 0 == model.examples


def test_claims_raise_a_probability_and_never_above_one():
    assert pytest.approx(0.6) == raised(0.2, 1, 0.5)
    assert pytest.approx(0.8) == raised(0.2, 2, 0.5)
    assert pytest.approx(0.2) == raised(0.2, 0, 0.5)


def test_a_hook_can_forecast_without_numpy():
    code = (
        "import sys; import swarm_memory.forecast;"
        "sys.exit(bool({'numpy', 'swarm_memory.learning.forecaster'} & set(sys.modules)))"
    )

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
