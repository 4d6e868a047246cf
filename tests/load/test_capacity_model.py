"""The model of capacity: known answers, a simulated queue, and the numbers that the docs print."""

import heapq
import math
import random
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations-postgresql.md"
MANY = 2000  # quantiles of a distribution


@pytest.fixture
def model(bench):
    return bench("capacity_model")


def exponential(mean):
    return tuple(-mean * math.log(1 - (n + 0.5) / MANY) for n in range(MANY))


def writer(model, alone_ms):
    """Return calls that are nothing but turns, on cores that they do not need."""
    return [model.Cost(1.0, alone_ms, 1.0, 0.0)]


@pytest.mark.parametrize(
    ("busy", "cores", "chance"), [(0.3, 1, 0.3), (0.5, 2, 1 / 3), (0.8, 4, 0.596)]
)
def test_the_chance_that_all_cores_are_busy_is_erlangs(model, busy, cores, chance):
    assert chance == pytest.approx(model.erlang_c(busy, cores), abs=0.001)


def test_a_core_without_others_work_takes_no_longer(model):
    assert 1.0 == model.stretch(0.0, 2)


def test_with_exponential_turns_the_percentiles_are_those_of_m_m_1(model):
    """There the time in the system is exponential with mean S / (1 - ρ)."""
    said = model.predict(1000, writer(model, exponential(2.0)), think_s=4.0, cores=1)

    assert 0.5 == pytest.approx(said.turns, rel=0.01)
    assert math.log(2) * 4 == pytest.approx(said.p50_ms, rel=0.01)
    assert math.log(100) * 4 == pytest.approx(said.p99_ms, rel=0.01)


def test_turns_of_one_length_wait_half_as_long_as_exponential_ones(model):
    _, mean, square = model.turns(writer(model, (2.0,)))
    _, mean_exponential, square_exponential = model.turns(writer(model, exponential(2.0)))

    assert mean == pytest.approx(mean_exponential, rel=0.01)
    assert 0.5 == pytest.approx(square / square_exponential, rel=0.02)


def test_readers_do_not_wait_for_the_turn(model):
    reads = model.Cost(0.5, (1.0,), 0.0, 0.0)
    writes = model.Cost(0.5, (10.0,), 1.0, 0.0)

    said = model.predict(100, [reads, writes], think_s=1.0, cores=1)

    assert 0.5 == said.turns
    assert 1.0 == pytest.approx(said.p50_ms, abs=0.01)


def test_a_standby_makes_calls_longer_and_no_turn_longer(model):
    alone = model.Cost(1.0, (4.0,), 0.5, 0.0)
    with_standby = model.Cost(1.0, (8.0,), 0.25, 0.0)

    near, far = (model.predict(50, [c], think_s=1.0, cores=1) for c in (alone, with_standby))

    assert near.turns == far.turns
    assert 4.0 == pytest.approx(far.p99_ms - near.p99_ms, abs=0.01)


@pytest.mark.parametrize("cost", [(10.0, 1.0, 0.0), (10.0, 0.0, 10.0)], ids=["turn", "cores"])
def test_where_calls_come_faster_than_they_end_no_latency_is_promised(model, cost):
    alone, turn, cores_ms = cost
    costs = [model.Cost(1.0, (alone,), turn, cores_ms)]

    said = model.predict(2000, costs, think_s=10.0, cores=1)

    assert math.isinf(said.p99_ms)
    assert 100 == pytest.approx(said.rate)


def test_the_most_agents_are_those_that_leave_turn_and_cores_room(model):
    costs = [model.Cost(1.0, (10.0,), 0.5, 2.0)]

    most = model.agents_max(costs, think_s=10.0, cores=1)

    assert 0.7 == pytest.approx(model.predict(most, costs, think_s=10.0, cores=1).turns, rel=0.01)


def test_a_simulated_queue_has_the_percentiles_that_are_predicted(model):
    """Turns of 1 to 9 ms, half of the calls read; the seed stands for any."""
    pick = random.Random(5)
    lengths = (1.0, 2.0, 3.0, 9.0)
    costs = [model.Cost(0.5, lengths, 1.0, 0.0), model.Cost(0.5, (0.5,), 0.0, 0.0)]
    at, free, took = 0.0, 0.0, []
    for _ in range(200_000):
        at += pick.expovariate(1 / 3.125)
        if pick.random() < 0.5:
            took.append(0.5)
            continue
        free = max(at, free) + pick.choice(lengths)
        took.append(free - at)

    said = model.predict(320, costs, think_s=1.0, cores=1)

    assert 0.6 == pytest.approx(said.turns, rel=0.01)
    assert heapq.nlargest(len(took) // 100, took)[-1] == pytest.approx(said.p99_ms, rel=0.1)


# --- the docs ---


@pytest.mark.parametrize("kind", ["costs", "predictions", "played"])
def test_the_tables_of_the_docs_are_what_was_measured_and_what_the_model_says(bench, kind):
    pages = bench("capacity_page")

    shown = PAGE.read_text().splitlines()

    assert [] == [line for line in pages.tables()[kind] if line not in shown]
