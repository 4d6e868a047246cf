"""The meter: every call is counted once, in the bucket of its duration, and costs no write."""

import gc
from threading import Barrier, Thread
from time import perf_counter_ns

import pytest

from swarm_memory import Swarm, meter
from swarm_memory.errors import InvalidKeyError
from swarm_memory.meter import bucket_of, duration_of

THREADS, CALLS = 4, 500


@pytest.fixture
def swarm(tmp_path):
    with Swarm.open(f"sqlite:///{tmp_path}/memory.db", agent="a", swarm="s") as swarm:
        yield swarm


def test_a_call_is_in_the_bucket_of_its_duration(swarm):
    durations = [0, 3, 4, 7, 8, 1000, 123_456, 2**30, 2**40 + 1]
    for duration_ns in durations:
        swarm.context.meter.clock_ns = lambda ns=duration_ns: 10 + ns
        swarm.context.meter.took("get", 10, False)

    counted = swarm.monitor.take().sample.latencies["get"]

    assert {bucket_of(ns): counted[bucket_of(ns)] for ns in durations} == counted
    assert len(durations) == sum(counted.values())
    for duration_ns in durations[5:]:
        assert duration_ns / 1e6 == pytest.approx(duration_of(bucket_of(duration_ns)), rel=0.125)


def test_a_read_that_is_not_timed_is_counted_like_the_timed_one_before_it(swarm):
    ticks = iter(range(0, 10**9, 1000))
    mine = swarm.context.meter
    mine.clock_ns = lambda: next(ticks)
    reads = 3 * meter.TIMED + 3

    for _ in range(reads):
        swarm.records.history("notes/x")

    assert 2 * (meter.FEW + 3) == next(ticks) // 1000  # two of the clock for each that is timed
    mine.clock_ns = perf_counter_ns
    mine.hand_in()
    swarm.records.history("notes/x")
    mine.hand_in()
    counted = swarm.monitor.totals().latencies["history"]
    assert reads + 1 == sum(counted.values())
    assert reads <= counted[bucket_of(1000)]


def test_what_is_left_over_from_handing_in_is_counted_like_what_was_handed_in(swarm):
    mine = swarm.context.meter
    mine.took("get", mine.clock_ns(), False)
    mine.hand_in()
    mine.noted["get"].append(meter.UNTIMED)
    mine.hand_in()

    (counted,) = swarm.monitor.totals().latencies["get"].values()
    assert 2 == counted


def test_a_read_that_fails_is_counted_as_an_error_only(swarm):
    swarm.records.history("notes/x")
    for _ in range(3):
        with pytest.raises(InvalidKeyError):
            swarm.records.history("/x")
    swarm.context.meter.hand_in()

    totals = swarm.monitor.totals()
    assert 1 == sum(totals.latencies["history"].values())
    assert {"history!invalid_key": 3} == totals.errors


def test_calls_of_threads_are_counted_while_others_hand_in(swarm):
    mine, start = swarm.context.meter, Barrier(THREADS + 1, timeout=5)

    def call():
        start.wait()
        for _ in range(CALLS):
            mine.took("get", 5, False)

    threads = [Thread(target=call) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    start.wait()
    while any(thread.is_alive() for thread in threads):
        mine.hand_in()
    for thread in threads:
        thread.join()
    mine.hand_in()

    assert THREADS * CALLS == sum(swarm.monitor.totals().latencies["get"].values())


def test_who_only_reads_adds_up_when_there_is_much_and_not_at_each_call(swarm, monkeypatch):
    mine = swarm.context.meter
    mine._due_ns = 0  # long ago, and no write came by
    added = []
    monkeypatch.setattr(meter.Meter, "_add_up", lambda self: added.append(1))

    for _ in range(100):
        mine.took("get", 5, False)

    assert [] == added


def test_a_call_leaves_nothing_for_the_garbage_collector(swarm):
    mine = swarm.context.meter
    mine.took("get", 5, False)
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(1000):
        mine.took("get", 5, False)

    assert len(gc.get_objects()) - before < 100
