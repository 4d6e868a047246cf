"""Twenty-four simulated hours of ordinary work, 1,440 samples, raise no alert.

The clock and the durations of calls are the simulation's, so nothing depends on this machine. The
work is real: it writes, meets conflicts, lets locks expire, fails a little, rests at night.
"""

import math
import random

import pytest

from swarm_memory.errors import ConflictError

MINUTES = 1440


class Calls:
    """A clock of calls: each takes a random time about its usual one, more when much goes on."""

    def __init__(self, random_):
        self.random = random_
        self.now_ns = 0
        self.load = 1.0

    def __call__(self):
        self.now_ns += round(1e6 * self.load * math.exp(self.random.gauss(0.0, 0.5)))
        return self.now_ns


def busy(minute):
    """Return how much is done in a minute of the day, from 0.05 at night to 1 at noon."""
    return 0.05 + 0.95 * max(0.0, math.sin(math.pi * (minute / MINUTES * 2 - 0.5)))


def work(swarm, random_, minute, calls):
    """Do the work of one minute."""
    share = busy(minute)
    calls.load = 1 + 0.5 * share
    meter = swarm.context.meter
    for n in range(round(5 * share) + 1):
        key = f"swarm-s/agent-{random_.randrange(4)}/state/{random_.randrange(50)}"
        swarm.records.put(key, {"minute": minute, "n": n, "text": "x" * random_.randrange(200)})
    for verb in ("put", "get", "scan"):
        for _ in range(random_.randrange(round(120 * share) + 1)):
            meter.took(verb, calls.now_ns, False)
    if random_.random() < 0.5 * share:
        with pytest.raises(ConflictError):
            swarm.records.put("x/contended", 1, expect=10**6)
    if random_.random() < 0.02:
        meter.failed("put", "engine_busy")
    if random_.random() < 0.3 * share:
        swarm.messages.send({"minute": minute}, topic="work")
    for message in swarm.messages.claim("work", limit=3):
        message.ack()
    if random_.random() < 0.2:
        swarm.leases.acquire(f"lock/{minute}", ttl_s=30)  # nobody gives it back
    if random_.random() < share:
        strategy = random_.choice(["fast", "careful"])
        ended = random_.random() < {"fast": 0.6, "careful": 0.85}[strategy]
        swarm.outcomes.record("parse", ["a"], ended, random_.random() * 9, strategy=strategy)


@pytest.mark.parametrize("seed", [1])
def test_a_day_of_ordinary_work_raises_nothing(store, seed):
    random_ = random.Random(seed)
    swarm = store.open(durability="relaxed")
    calls = Calls(random_)
    swarm.context.meter.clock_ns = calls

    told = []
    for minute in range(MINUTES):
        work(swarm, random_, minute, calls)
        store.clock.advance(60)
        told += [(minute, alert.rule, alert.text) for alert in swarm.monitor.take().changed]

    assert [] == told
    assert MINUTES == len(swarm.monitor.series())
    assert 23 <= len(swarm.monitor.series("hour"))
    assert "healthy" == swarm.health.report().overall_health
