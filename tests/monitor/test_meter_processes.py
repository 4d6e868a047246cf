"""Calls are counted once, whoever makes them and however a process ends."""

import os
import subprocess
import sys

import pytest

from swarm_memory import Swarm
from swarm_memory.errors import (
    AmbiguousCommitError,
    CorruptValueError,
    EngineBusyError,
    NotFoundError,
)
from swarm_memory.meter import HAND_IN_NS, NOTED_MAX, Meter, bucket_of, duration_of

PUTS = """
import sys
from swarm_memory import Swarm
with Swarm.open(sys.argv[1], swarm="s") as swarm:
    for n in range(int(sys.argv[2])):
        swarm.records.put(f"{sys.argv[3]}/{n}", n)
    swarm.context.meter.hand_in()
"""


def handed_in(swarm, verb):
    rows = swarm._engine.all("meter_list", swarm=swarm.context.swarm)
    return sum(row[2] for row in rows if row[0] == verb)


@pytest.mark.parametrize("duration_ns", [4, 5, 999, 10_000, 123_456_789, 60_000_000_000])
def test_a_bucket_is_right_to_within_an_eighth(duration_ns):
    assert 0.875 <= duration_of(bucket_of(duration_ns)) * 1e6 / duration_ns <= 1.125


def test_calls_of_several_processes_add_up(store):
    swarm = store.open()
    began = [
        subprocess.Popen([sys.executable, "-c", PUTS, store.url, str(puts), f"p{puts}"])
        for puts in (3, 5)
    ]
    assert [0, 0] == [process.wait(30) for process in began]

    assert 8 == swarm.monitor.take().sample.calls("put")
    assert 0 == swarm.monitor.take().sample.calls("put")


@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_forked_child_counts_its_own_calls_and_not_its_parents(store):
    swarm = store.open()
    for n in range(3):
        swarm.records.put(f"x/{n}", n)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            swarm.records.put("x/child", 1)
            swarm.context.meter.hand_in()
            status = 0
        finally:
            os._exit(status)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert 1 == handed_in(swarm, "put")
    assert 4 == swarm.monitor.take().sample.calls("put")


def test_the_next_write_hands_in_when_it_is_due(store, timed):
    swarm = store.open()
    swarm.context.meter.clock_ns = timed
    swarm.context.meter.hand_in()
    swarm.records.put("x/1", 1)
    assert 0 == handed_in(swarm, "put")

    timed.now_ns += HAND_IN_NS
    swarm.records.scan("x/")
    assert 0 == handed_in(swarm, "put")  # a read begins no write
    swarm.records.put("x/2", 1)

    assert 2 == handed_in(swarm, "put")


def test_a_process_that_ends_early_writes_nothing_of_its_own(store, timed):
    swarm = store.open()
    other = Swarm.open(store.url, swarm="s")
    other.records.put("x/1", 1)
    other.close()

    assert 0 == handed_in(swarm, "put")


def test_damage_is_handed_in_however_short_a_process_lives(store):
    swarm = store.open()
    other = Swarm.open(store.url, swarm="s")
    other.context.meter.failed("get", CorruptValueError.code)
    other.close()

    assert 1 == handed_in(swarm, "get!corrupt_value")


class Refusing:
    """An engine whose writes fail in one way."""

    def __init__(self, error):
        self.error = error
        self.rows = []

    def write(self, fn, *, durability):
        if self.error is not None:
            raise self.error
        fn(self)

    def many(self, statement, rows):
        self.rows += rows


def test_what_could_not_be_handed_in_is_handed_in_later():
    engine = Refusing(EngineBusyError("locked"))
    meter = Meter(engine, "s", None)
    meter.count("a", 2)
    meter.hand_in()
    engine.error = None

    meter.hand_in()

    assert {("a", 2), ("hand_in!engine_busy", 1)} == {(r["verb"], r["calls"]) for r in engine.rows}


def test_what_may_have_been_handed_in_is_not_handed_in_again():
    engine = Refusing(AmbiguousCommitError("half-way"))
    meter = Meter(engine, "s", None)
    meter.count("a", 2)
    meter.hand_in()
    engine.error = None

    meter.hand_in()

    assert [] == engine.rows


def test_calls_that_all_fail_take_no_more_and_more_memory():
    meter = Meter(Refusing(None), "s", None)

    for _ in range(2 * NOTED_MAX):
        meter.failed("put", "storage_full")

    assert len(meter.noted) < NOTED_MAX
    meter.hand_in()
    assert [2 * NOTED_MAX] == [row["calls"] for row in meter._engine.rows]


def test_calls_in_a_transaction_are_not_counted(store):
    swarm = store.open()
    swarm.transact(lambda tx: tx.records.put("x/1", 1))
    with pytest.raises(NotFoundError):
        swarm.records.rollback("x/none", 1)

    sample = swarm.monitor.take().sample

    assert (0, 1) == (sample.calls("put"), sample.errors["rollback!not_found"])
