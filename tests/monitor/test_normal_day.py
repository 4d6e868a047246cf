"""Twenty-four simulated hours of ordinary work raise no alert, whatever kind of day it is.

The clock and the durations of calls are the simulation's, so nothing depends on this machine. The
work is real: it writes, meets conflicts, lets locks expire, fails a little, rests at night. Here a
sample is taken every ten minutes, of which one is worked through and of the others only the calls
are counted; of a weekday, and with --long on many more days, all is done and sampled every minute.
"""

import math
import random

import pytest

from swarm_memory.errors import ConflictError, InvalidKeyError

DAY_MINUTES = 1440
COARSE, FINE = 10, 1  # minutes between two samples
LIMIT_BYTES = 2_000_000
GROWTH = 0.08  # of the limit, in a day
VALUE_BYTES = 2000


class Calls:
    """A clock of calls: each takes a random time about its usual one, more when much goes on."""

    def __init__(self, random_):
        self.random = random_
        self.now_ns = 0
        self.load = 1.0

    def __call__(self):
        self.now_ns += round(1e6 * self.load * math.exp(self.random.gauss(0.0, 0.5)))
        return self.now_ns


class Day:
    """A day of one kind: how much is done in each minute from 0 to 1, and what else there is.

    Most of it is what every day has; a kind says otherwise by a method of its own.
    """

    slow = 1.0  # times as long as usual
    failing = 0.05  # calls in a minute of full work that fail with what is no answer
    careful = 0.85  # share of its outcomes that succeed

    def __init__(self, swarm, seed):
        self.swarm = swarm
        self.random = random.Random(seed)
        self.calls = Calls(self.random)
        swarm.context.meter.clock_ns = self.calls
        self.written = 0

    def share(self, minute):
        """Return how much is done: little at night, all at noon."""
        return 0.05 + 0.95 * max(0.0, math.sin(math.pi * (minute / DAY_MINUTES * 2 - 0.5)))

    def more(self, minute, share):
        """Do what only this kind of day has."""

    def work(self, minute, minutes=1):
        """Do the work of one minute, and count the calls of so many."""
        share = self.share(minute)
        self.calls.load = (1 + 0.5 * share) * self.slow
        self.write(minute, share)
        for _ in range(minutes):
            self.count(share)
        self.coordinate(minute, share)
        if self.random.random() < share / 2:
            self.end(self.random.choice(["fast", "careful"]))
        self.more(minute, share)

    def write(self, minute, share):
        for n in range(round(2 * share + self.random.random())):
            key = f"swarm-s/agent-{self.random.randrange(4)}/state/{self.random.randrange(50)}"
            text = "x" * self.random.randrange(200)
            self.swarm.records.put(key, {"minute": minute, "n": n, "text": text})
        if self.random.random() < 0.5 * share:
            with pytest.raises(ConflictError):
                self.swarm.records.put("x/contended", 1, expect=10**6)

    def count(self, share):
        meter = self.swarm.context.meter
        for verb in ("put", "get", "scan"):
            for _ in range(self.random.randrange(round(120 * share) + 1)):
                meter.took(verb, self.calls.now_ns, False)
        for _ in range(int(self.failing * share + self.random.random())):
            meter.failed("put", "engine_busy")

    def coordinate(self, minute, share):
        if self.random.random() < 0.3 * share:
            self.swarm.messages.send({"minute": minute}, topic="work")
            for message in self.swarm.messages.claim("work", limit=3):
                message.ack()
        if self.random.random() < 0.2:
            self.swarm.leases.acquire(f"lock/{minute}", ttl_s=30)  # nobody gives it back

    def end(self, strategy):
        well = self.random.random() < {"fast": 0.6, "careful": self.careful}[strategy]
        takes_s = self.random.random() * 9
        self.swarm.outcomes.record("parse", ["a"], well, takes_s, strategy=strategy)


class Bursts(Day):
    """Hours of nothing, and now and then minutes in which all agents work at once."""

    def share(self, minute):
        return 1.0 if random.Random(minute // 7).random() < 0.2 else 0.0


class Growth(Day):
    """What is remembered grows in the hours of work, and would for a week before it is full."""

    def more(self, minute, share):
        if not 540 <= minute < 1020:
            return
        until = GROWTH * LIMIT_BYTES * (minute - 539) / 480
        while self.written * VALUE_BYTES < until:
            text = self.random.randbytes(VALUE_BYTES // 2).hex()
            self.swarm.records.put(f"swarm-s/grown/{self.written}", text)
            self.written += 1


class Sessions(Day):
    """Agents that come for a few minutes each and work under names of their own."""

    def more(self, minute, share):
        if self.random.random() >= share:
            return
        session = self.swarm.sessions.begin(f"session-{minute}", agent="main")
        name = f"main@{session.short}"
        me = self.swarm.as_agent(name, session=session.session_id)
        self.swarm.sessions.agent_started(session.session_id, f"a{minute}", "explore")
        me.leases.acquire(f"file:src/{minute}.py", ttl_s=600)
        who = {"session_id": session.session_id, "agent": name}
        me.edits.edited([f"src/{minute}.py"], **who, worktree="/w", branch="main")
        me.records.put(f"session-{session.session_id}/notes", {"minute": minute})
        if self.random.random() < 0.9:  # the others were killed, and lapse
            self.swarm.sessions.end(session.session_id)


class Failures(Day):
    """A command that is wrong now and then, and a store that was busy for one call or two."""

    failing = 0.3

    def more(self, minute, share):
        if self.random.random() < 0.3:
            with pytest.raises(InvalidKeyError):
                self.swarm.records.put("", 1)
        if self.random.random() < 0.02:
            for _ in range(2):  # of one command that tried again
                self.swarm.context.meter.failed("get", "engine_busy")


KINDS = {
    "weekday": Day,
    "bursts": Bursts,
    "growth": Growth,
    "sessions": Sessions,
    "failures": Failures,
}


@pytest.fixture
def swarm(store, monkeypatch):
    monkeypatch.setenv("SWARM_MEMORY_TOTAL_BYTES_MAX", str(LIMIT_BYTES))
    # Compression would leave little of text that grows.
    return store.open(durability="relaxed")


def lived(store, day, step, begin=0, end=DAY_MINUTES):
    """Live through minutes of a day, with a sample each `step`; return what was raised and when."""
    told = []
    for minute in range(begin, end, step):
        day.work(minute, step)
        store.clock.advance(60 * step)
        taken = day.swarm.monitor.take()
        told += [(minute, alert.rule, alert.subject, alert.text) for alert in taken.changed]
    return told


@pytest.mark.parametrize("kind", KINDS)
def test_a_day_of_ordinary_work_raises_nothing(kind, store, swarm):
    told = lived(store, KINDS[kind](swarm, 1), COARSE)

    assert [] == told
    assert DAY_MINUTES // COARSE == len(swarm.monitor.series())
    assert 23 <= len(swarm.monitor.series("hour"))
    assert "healthy" == swarm.health.report().overall_health


def test_a_weekday_that_is_sampled_every_minute_raises_nothing(store, swarm):
    told = lived(store, Day(swarm, 1), FINE)

    assert [] == told
    assert DAY_MINUTES == len(swarm.monitor.series())
    assert 23 <= len(swarm.monitor.series("hour"))
    assert "healthy" == swarm.health.report().overall_health


def slow_calls(day):
    day.slow = 6.0


def failing_calls(day):
    day.failing = 20.0


PLANTED = {
    slow_calls: {("latency_shift", verb) for verb in ("get", "put", "scan")},
    failing_calls: {("errors", "put")},
}


@pytest.mark.parametrize("plant", PLANTED)
@pytest.mark.parametrize("kind", ["weekday", "growth"])
def test_what_is_planted_in_such_a_day_is_told_with_the_next_sample(kind, plant, store, swarm):
    day = KINDS[kind](swarm, 1)
    assert [] == lived(store, day, COARSE, 480, 720)

    plant(day)

    told = lived(store, day, COARSE, 720, 720 + COARSE)
    assert PLANTED[plant] == {(rule, subject) for _, rule, subject, _ in told}


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 14))
@pytest.mark.parametrize("kind", KINDS)
def test_many_days_raise_nothing(kind, seed, store, swarm):
    assert [] == lived(store, KINDS[kind](swarm, seed), COARSE)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_days_that_are_sampled_every_minute_raise_nothing(seed, store, swarm):
    kind = list(KINDS.values())[seed % len(KINDS)]

    assert [] == lived(store, kind(swarm, seed), FINE)
