"""Each fault raises the right alert with the next sample, and none other.

What is broken is real: processes that are frozen, a quota that fills, a store that is held.
"""

import itertools
import signal
import subprocess
import sys
import time

import pytest

from swarm_memory import Swarm
from swarm_memory.clock import SystemClock
from swarm_memory.meter import Meter
from swarm_memory.testing import ManualClock

WAIT_S = 30
HELD_S = 0.05
PROGRAMS = {
    "holder": """
lease = swarm.leases.acquire("deploy", ttl_s=3600)
print("ready", flush=True)
time.sleep(60)
""",
    "waiter": """
print("ready", flush=True)
swarm.leases.acquire("deploy", wait_s=60)
""",
    "consumer": """
(message,) = swarm.messages.claim("work", visible_after_s=20)
print("ready", flush=True)
time.sleep(60)
message.ack()
""",
    "blocker": f"""
def hold(tx):
    print("ready", flush=True)
    time.sleep({HELD_S})
print("ready", flush=True)
for line in sys.stdin:
    swarm.transact(hold)
""",
}
BEGIN = """
import sys, time
from swarm_memory import Swarm
swarm = Swarm.open(sys.argv[1], agent=sys.argv[2], swarm="s")
"""


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/memory.db"


@pytest.fixture
def started(url):
    """Return a function that starts a program and waits until it is ready."""
    running = []

    def start(name):
        command = [sys.executable, "-c", BEGIN + PROGRAMS[name], url, name]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        running.append(process)
        assert "ready\n" == process.stdout.readline()
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.fixture
def opened(url, monkeypatch):
    doors = []

    def open_door(clock=None, **settings):
        for name, value in settings.items():
            monkeypatch.setenv(f"SWARM_MEMORY_{name.upper()}", str(value))
        doors.append(Swarm.open(url, swarm="s", clock=clock, durability="relaxed"))
        return doors[-1]

    yield open_door
    for door in doors:
        door.close()


def raised(swarm):
    """Take the next sample, and return the rules and subjects of all alerts after it."""
    swarm.monitor.take()
    return [(alert.rule, alert.subject) for alert in swarm.alerts.list()]


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


def test_calls_that_fail_are_told_and_answers_are_not(opened):
    swarm = opened()
    for n in range(40):
        swarm.records.put(f"x/{n}", n)
        swarm.context.meter.failed("put", "conflict")
    assert [] == raised(swarm)
    for n in range(20):
        swarm.records.put(f"x/{n}", n)
    swarm.context.meter.failed("put", "engine_busy")
    swarm.context.meter.failed("put", "engine_busy")
    assert [] == raised(swarm)  # one may happen to anybody
    for n in range(40):
        swarm.records.put(f"x/{n}", n)
        swarm.context.meter.failed("put", "storage_full")

    assert [("errors", "put")] == raised(swarm)


def test_damage_is_told_until_a_person_says_that_it_is_over(opened):
    swarm = opened()
    meter: Meter = swarm.context.meter
    meter.failed("get", "corrupt_value")

    assert [("damage", "")] == raised(swarm)
    for _ in range(10):
        assert [("damage", "")] == raised(swarm)
    (alert,) = swarm.alerts.list()
    assert "reads that met damaged data: 1" == alert.text

    swarm.alerts.resolve(alert.alert_id)

    assert [] == raised(swarm)
