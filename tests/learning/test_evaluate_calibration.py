"""Calibration says how far predictions were off, and how much of that is luck."""

import made_logs as logs
import numpy as np
import pytest

from swarm_memory.learning.calibration import calibrate


def forecasts(n, *, seed, shift=0.0, rows_of_a_task=1):
    """Return outcomes whose forecasts are `shift` too high."""
    generator = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        if i % rows_of_a_task == 0:
            rate, luck = generator.uniform(0.1, 0.9), generator.random()
        rows.append(
            logs.observation(
                i,
                "a",
                float(luck < rate),
                task=f"t{i // rows_of_a_task}",
                predicted=min(1.0, rate + shift),
            )
        )
    return rows


def test_scores_are_those_computed_by_hand():
    rows = [
        logs.observation(i, "a", float(i < 12), predicted=0.75 if i % 2 else 0.35)
        for i in range(20)
    ]

    found = calibrate(rows, seed=0)

    # Of ten at 0.75 and of ten at 0.35, six came true each.
    assert found.brier.mean == pytest.approx(
        (6 * 0.0625 + 4 * 0.5625 + 6 * 0.4225 + 4 * 0.1225) / 20
    )
    assert found.ece.mean == pytest.approx((0.15 + 0.25) / 2)
    assert found.constant == pytest.approx(0.24)
    assert [(0.3, 10, 0.6), (0.7, 10, 0.6)] == [
        (b.low, b.outcomes, pytest.approx(b.reward.mean)) for b in found.bins
    ]


def test_what_luck_does_to_a_perfect_forecast_is_told_apart_from_a_shifted_one():
    perfect = calibrate(forecasts(400, seed=1), seed=0)
    shifted = calibrate(forecasts(400, seed=1, shift=0.2), seed=0)

    assert perfect.ece.mean < perfect.ece_of_luck_high
    assert perfect.ece_of_luck == pytest.approx(perfect.ece.mean, abs=0.03)
    assert shifted.ece.mean > 2 * shifted.ece_of_luck_high
    assert shifted.ece.low < 0.19 < shifted.ece.high


def test_intervals_of_the_brier_score_cover_it():
    generator = np.random.default_rng(0)
    rates = generator.uniform(0.1, 0.9, 200_000)
    true = float(np.mean(rates * (1 - rates)))

    found = [calibrate(forecasts(150, seed=s), seed=0).brier for s in range(25)]

    assert 23 <= sum(b.low <= true <= b.high for b in found)


def test_outcomes_of_one_task_widen_intervals_and_luck():
    apart, alike = (calibrate(forecasts(400, seed=2, rows_of_a_task=k), seed=0) for k in (1, 8))

    assert 50 == alike.tasks
    assert alike.brier.high - alike.brier.low > 1.8 * (apart.brier.high - apart.brier.low)
    assert alike.ece_of_luck > 1.8 * apart.ece_of_luck


def test_too_few_predictions_give_no_score():
    rows = forecasts(19, seed=3)
    unknown = [logs.observation(100 + i, "a", None, predicted=0.5) for i in range(5)]
    unpredicted = [logs.observation(200 + i, "a", 1.0) for i in range(5)]

    assert calibrate(rows + unknown + unpredicted, seed=0) is None
    assert calibrate([], seed=0) is None


def test_predictions_of_0_and_1_have_a_bin():
    rows = [logs.observation(i, "a", 1.0, predicted=float(i % 2)) for i in range(40)]

    assert [0.0, 0.9] == [b.low for b in calibrate(rows, seed=0).bins]
