"""Each fault raises the right alert with the next sample, and none other.

What is broken is real: processes that are frozen, a quota that fills, a store that is held.
"""

import itertools
import signal
import time

import pytest
from faulty import raised

from swarm_memory.clock import SystemClock
from swarm_memory.errors import ConflictError, EngineBusyError
from swarm_memory.meter import Meter
from swarm_memory.testing import ManualClock

WAIT_S = 30


def test_a_frozen_lock_holder_is_a_stale_lock(opened, started):
    swarm = opened(lock_timeout_s=1)
    assert [] == raised(swarm)
    started("holder").send_signal(signal.SIGSTOP)
    started("waiter")
    ends_s = time.monotonic() + WAIT_S
    while not any(seat.age_ms > 1000 for seat in swarm.leases.list() if seat.state == "waiting"):
        assert time.monotonic() < ends_s
        time.sleep(0.05)

    assert [("stale_lock", "deploy")] == raised(swarm)
    assert ["stale_lock"] == [a.rule for a in swarm.alerts.list("open")]
    assert "deploy" in swarm.health.report().issues[0]


def test_a_quota_that_fills_is_told_once_it_is_high_and_once_it_is_full(opened):
    swarm = opened(total_bytes_max=20_000)
    written = 0
    assert [] == raised(swarm)
    told = []
    while not told or told[-1] != [("memory_full", "")]:
        swarm.records.put(f"x/{written}", f"{written}" * 100)
        written += 1
        told.append(raised(swarm))

    steps = [alerts for n, alerts in enumerate(told) if n == 0 or alerts != told[n - 1]]
    assert [[], [("memory_high", "")], [("memory_full", "")]] == steps
    assert "critical" == swarm.health.report().overall_health


def test_a_frozen_consumer_is_a_stuck_one(opened, started):
    swarm = opened()
    swarm.messages.send("job", topic="work")
    started("consumer").send_signal(signal.SIGSTOP)
    assert [] == raised(swarm)
    # As somebody sees it who looks half a minute later.
    later = opened(clock=ManualClock(SystemClock().now_ms() + 31_000))

    assert [("stuck_consumer", "topic:work")] == raised(later)


def test_a_store_that_is_held_is_a_shift_of_latency(opened, started):
    swarm = opened()
    meter: Meter = swarm.context.meter
    usual = itertools.count(0, 500_000)  # what is usual here must not depend on the machine
    meter.clock_ns = lambda: next(usual)
    for sample in range(10):
        for n in range(20):
            swarm.records.put(f"x/{n}", sample)
        assert [] == raised(swarm)
    meter.clock_ns = time.perf_counter_ns
    blocker = started("blocker")
    for n in range(20):
        blocker.stdin.write("hold it\n")
        blocker.stdin.flush()
        blocker.stdout.readline()  # it has the store
        swarm.records.put(f"x/{n}", "held")

    assert [("latency_shift", "put")] == raised(swarm)


def test_a_strategy_that_fails_is_told(opened):
    swarm = opened()
    for strategy, ended in (("good", True), ("bad", True)) * 30:
        swarm.outcomes.record("parse", ["a"], ended, 1, strategy=strategy)
    assert [] == raised(swarm)
    for _ in range(30):
        swarm.outcomes.record("parse", ["a"], True, 1, strategy="good")
        swarm.outcomes.record("parse", ["a"], False, 1, strategy="bad")

    assert [("strategy_failing", "bad of parse")] == raised(swarm)


def test_calls_that_fail_are_told_and_answers_are_not(opened, started):
    swarm = opened(busy_timeout_s=0.01)
    keeper = started("keeper")

    def put(held, free):
        """Put while another process keeps the store locked, and then while nobody does."""
        keeper.stdin.write("keep\n")
        keeper.stdin.flush()
        assert "kept\n" == keeper.stdout.readline()
        for n in range(held):
            with pytest.raises(EngineBusyError):
                swarm.records.put(f"x/{n}", n)
        keeper.stdin.write("let go\n")
        keeper.stdin.flush()
        assert "free\n" == keeper.stdout.readline()
        for n in range(free):
            swarm.records.put(f"x/{n}", n)
        return raised(swarm)

    swarm.records.put("x/taken", 1)
    for _ in range(40):
        with pytest.raises(ConflictError):
            swarm.records.put("x/taken", 2, expect=7)
    assert [] == put(held=0, free=40)  # somebody was first: that is an answer
    assert [] == put(held=2, free=20)  # one or two may happen to anybody
    assert [("errors", "put")] == put(held=10, free=20)
    assert {"put!engine_busy": 10} == swarm.monitor.newest().errors
    assert [] == put(held=0, free=40)


def test_messages_that_fail_every_attempt_are_told_until_they_live_again(opened):
    swarm = opened()
    swarm.messages.send("poison", topic="t", attempts_max=2)
    swarm.messages.claim("t")[0].nack(reason="cannot")
    assert [] == raised(swarm)
    swarm.messages.claim("t")[0].nack(reason="cannot")

    assert [("dead_letters", "")] == raised(swarm)

    swarm.messages.revive(swarm.messages.dead()[0].message_id)
    assert [] == raised(swarm)


def test_ten_conflicts_that_nobody_settles_are_told(opened):
    ours = opened()
    theirs = ours.as_agent("other")

    def meet(key):
        base = ours.records.put(key, 1)
        theirs.records.put(key, 2, expect=base.version)
        ours.records.put(key, 3, expect=base.version, on_conflict="keep_both")

    for n in range(9):
        meet(f"x/{n}")
    assert [] == raised(ours)
    meet("x/9")

    assert [("conflicts_waiting", "")] == raised(ours)


@pytest.mark.parametrize("whose", ["agent", "session"])
def test_what_one_of_them_fills_is_told_of_it_alone(whose, opened):
    swarm = opened(**{f"{whose}_bytes_max": 20_000})
    told = []
    for n in range(200):
        if told and told[-1] == [(f"{whose}_memory_full", "greedy")]:
            break
        swarm.records.put(f"swarm-s/{whose}-greedy/notes/{n}", f"{n}" * 100)
        swarm.records.put(f"swarm-s/{whose}-modest/notes", n)
        told.append(raised(swarm))

    steps = [alerts for n, alerts in enumerate(told) if n == 0 or alerts != told[n - 1]]
    high, full = [(f"{whose}_memory_{name}", "greedy") for name in ("high", "full")]
    assert [[], [high], [full]] == steps


def test_growth_that_fills_the_memory_within_days_is_told_after_thirty_samples(opened):
    clock = ManualClock()
    swarm = opened(clock, total_bytes_max=100_000)
    told = []
    for n in range(60):
        swarm.records.put(f"x/{n}", f"{n:04}" * 150)
        clock.advance(900)
        told.append(raised(swarm))

    first = told.index([("memory_growing", "")])
    assert [[]] * first == told[:first]
    assert [[("memory_growing", "")]] * (60 - first) == told[first:]
    assert 24 <= first - 29  # a quarter of a day, and then thirty samples in a row
