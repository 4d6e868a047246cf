"""Of many processes that tick one takes each sample; servers tick, and end cleanly."""

import subprocess
import sys
import threading
import time
from itertools import pairwise

import pytest

from swarm_memory import Swarm
from swarm_memory.config import load_config
from swarm_memory.errors import EngineBusyError
from swarm_memory.ticker import Ticker

WAIT_S = 30
RACER = """
import sys
from swarm_memory.testing import ManualClock
from swarm_memory import Swarm
clock = ManualClock()
swarm = Swarm.open(sys.argv[1], agent=sys.argv[2], swarm="s", clock=clock)
for line in sys.stdin:
    clock.advance(float(line))
    swarm.tick()
    print("done", flush=True)
"""


def until(true):
    ends_s = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < ends_s
        time.sleep(0.02)


@pytest.fixture
def fast(monkeypatch):
    monkeypatch.setenv("SWARM_MEMORY_MONITOR_INTERVAL_S", "1")


def monitors():
    return [t for t in threading.enumerate() if t.name == "swarm-memory monitor"]


def test_exactly_one_of_many_processes_takes_each_sample(store):
    swarm = store.open()
    command = [sys.executable, "-c", RACER, store.url]
    racers = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in "abcd"
    ]
    for _ in range(5):
        for racer in racers:  # all at once: nobody waits for another one's answer
            racer.stdin.write("60\n")
            racer.stdin.flush()
        for racer in racers:
            assert "done\n" == racer.stdout.readline()
    for racer in racers:
        racer.stdin.close()
        assert 0 == racer.wait(WAIT_S)
        racer.stdout.close()
    store.clock.advance(300)

    times = [sample.at_ms for sample in swarm.monitor.series()]
    assert 5 == len(times)
    assert [60_000] * 4 == [b - a for a, b in pairwise(times)]


def test_a_ticker_samples_every_swarm_in_which_something_is(tmp_path, fast):
    with Swarm.open(f"sqlite:///{tmp_path}/memory.db", swarm="a") as swarm:
        waiting = swarm.as_agent("x", swarm="b")
        waiting.messages.send("job", topic="work")
        waiting.messages.claim("work")  # and is never heard of again
        swarm.as_agent("x", swarm="quiet")
        ticker = Ticker(swarm)
        until(lambda: swarm.monitor.newest() and waiting.monitor.newest())
        ticker.stop()

        assert [] == monitors()
        assert swarm.as_agent("x", swarm="quiet").monitor.newest() is None


def test_what_is_wrong_in_one_swarm_keeps_no_other_one_waiting(store):
    swarm = store.open(swarm="b")
    store.open(swarm="a").leases.acquire("x")
    ticker = Ticker(swarm)
    broken = swarm.as_agent("monitor", swarm="a")

    def tick_one(name, each, tick=ticker._tick_one):
        if name == "a":
            each = broken
        tick(name, each)

    def busy():
        raise EngineBusyError("locked")

    broken.tick = busy
    ticker._tick_one = tick_one

    ticker.tick()
    ticker.stop()

    assert swarm.monitor.newest() is not None
    assert 1 == broken.monitor.take().sample.errors["tick!engine_busy"]


def test_a_stopped_ticker_does_nothing_more(store):
    swarm = store.open()
    ticker = Ticker(swarm)
    ticker.stop()

    ticker.stop()

    assert [] == monitors()
    assert None is swarm.monitor.newest()


def test_a_swarm_that_a_server_keeps_is_not_ticked_here(tmp_path):
    pytest.importorskip("mcp", reason="the extra [server] is not installed")
    from swarm_memory.testing.served import Server

    server = Server(lambda: Swarm.open(f"sqlite:///{tmp_path}/memory.db"))
    try:
        with Swarm.open(server.url) as swarm:
            ticker = Ticker(swarm)
            assert [] == monitors()
            ticker.stop()
    finally:
        server.close()


def test_the_server_ticks_its_store_and_ends_its_ticker(tmp_path, fast):
    pytest.importorskip("mcp", reason="the extra [server] is not installed")
    from swarm_memory.doors.http.api.calls import Caller, Calls

    calls = Calls(lambda: Swarm.open(f"sqlite:///{tmp_path}/memory.db", swarm="s"), ticks=True)
    door = calls.door(Caller("s"))
    until(lambda: door.monitor.newest())
    calls.close()

    assert [] == monitors()


def test_the_stores_of_hooks_tick_until_they_are_closed(tmp_path, fast):
    pytest.importorskip("mcp", reason="the extra [server] is not installed")
    from swarm_memory.doors.http.stores import Stores

    stores = Stores(Swarm.open)
    url = f"sqlite:///{tmp_path}/memory.db"
    with stores.lent(url, f"{tmp_path}/memory.db") as swarm:
        until(swarm.monitor.newest)
        assert 1 == len(monitors())
    stores.close()

    assert [] == monitors()


def test_mcp_on_standard_input_ticks(tmp_path, fast):
    pytest.importorskip("mcp", reason="the extra [server] is not installed")
    from swarm_memory.doors.mcp.acting import Acting, Named

    acting = Acting(Named(f"sqlite:///{tmp_path}/memory.db", "s", "a", None))
    swarm = acting.swarm()
    until(swarm.monitor.newest)
    acting.close()

    assert [] == monitors()


def test_the_interval_is_a_minute_by_default():
    assert 60 == load_config().monitor_interval_s
