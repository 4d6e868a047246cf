"""Sessions between real processes: killed, frozen, forked, and renewed while others reap.

What a test waits for is bounded, and what it says does not depend on how long that took.
"""

import os
import signal

import pytest
from hostile_processes import SWARM, until

from swarm_memory import Swarm
from swarm_memory.errors import InvalidArgumentError
from swarm_memory.lives import GONE, NOT_RENEWED
from swarm_memory.processes import has_ended, this_process

LONG_S, SHORT_S = 3600, 0.5

KEEP = """
ttl_s = float(arguments[0])
mine = Swarm.open(url, agent=agent, swarm="hostile", session=agent, session_ttl_s=ttl_s)
lease = mine.leases.acquire("x", ttl_s=3600)
(message,) = mine.messages.claim("work", visible_after_s=3600)
mine.sessions.agent_started(None, "a1", "explore")
say("holds")
go()
say([outcome(lease.renew), outcome(message.ack)])
go()
again = outcome(lambda: mine.leases.acquire("x", wait_s=0))
mine.close()
say(again)
"""

FORK = """
mine = Swarm.open(url, agent=agent, swarm="hostile", session=agent, session_ttl_s=3600)
lease = mine.leases.acquire("x", ttl_s=3600)
child = os.fork()
if child == 0:
    mine.close()
    os._exit(0)
assert os.waitpid(child, 0) == (child, 0)
say("the child closed")
go()
mine.close()
"""

# What a renewed session promises is asked of the row of the life that ended: nobody ended it
# before it was over, counted from the last renewal that somebody was told of.
RENEW = """
import random
chance = random.Random(agent)
mine = swarm.as_agent(agent, session=agent)
kept = lapsed = 0
for turn in range(60):
    last = mine.sessions.begin(ttl_s=0.1)
    lease = mine.leases.acquire(f"lease of {agent}", ttl_s=3600)
    while True:
        touched = mine.sessions.touch(share=chance.choice([0.0, 1 / 3]))
        renewed = outcome(lease.renew)
        if touched is None:
            break
        last, kept = touched, kept + 1
        if renewed != "done":
            assert mine.sessions.touch() is None, "a live session lost its lease"
            break
        time.sleep(chance.choice([0.0, 0.0, 0.05, 0.11]))
    over = mine.sessions.get()
    assert (over.state, over.reason) == ("lapsed", "not renewed"), over
    assert over.touched_ms >= last.touched_ms, "a renewal was lost"
    assert over.ended_ms + 2 >= over.touched_ms + 100, "a live session was ended"
    lapsed += 1
    # A lease that came after the end goes with the next beginning, all others went before.
    mine.sessions.begin(ttl_s=0.1)
    assert outcome(lease.renew) == "lease_lost", "a lease outlived its session"
say([kept, lapsed])
"""

REAP = """
ended = 0
while not os.path.exists(arguments[0]):
    ended += swarm.sessions.reap()
say(ended)
"""


@pytest.fixture
def work(swarm):
    swarm.messages.send("something", topic="work")
    return swarm


def is_free(swarm):
    lease, found = swarm.leases.try_acquire("x"), swarm.messages.claim("work")
    assert (lease is None) == (not found)
    return lease is not None


def test_a_killed_process_frees_what_it_held_long_before_its_time_is_over(work, start):
    (process,) = start(KEEP, ("p", LONG_S))
    process.go()
    assert "holds" == process.hear()
    assert 0 == work.sessions.reap()
    assert not is_free(work)
    assert (1, 1, 1) == work.sessions.get("p").held

    process.send(signal.SIGKILL)  # and nobody asks how it ended, so the system keeps its pid
    until(lambda: work.sessions.reap() == 1)
    assert ("lapsed", GONE) == (work.sessions.get("p").state, work.sessions.get("p").reason)
    assert is_free(work)


def test_a_frozen_process_loses_its_session_in_time_and_begins_it_anew(work, start):
    (process,) = start(KEEP, ("p", SHORT_S))
    process.go()
    assert "holds" == process.hear()
    process.send(signal.SIGSTOP)
    until(lambda: work.sessions.get("p").state == "lapsed")
    assert NOT_RENEWED == work.sessions.get("p").reason
    lease = work.leases.try_acquire("x", ttl_s=LONG_S)
    assert ["something"] == [m.body for m in work.messages.claim("work", visible_after_s=LONG_S)]

    process.send(signal.SIGCONT)
    process.go()
    assert ["lease_lost", "stale_receipt"] == process.hear()
    until(lambda: work.sessions.get("p").state == "active")
    assert 0 == work.sessions.get("p").held.leases
    lease.renew()
    process.go()
    assert "lease_held" == process.hear()
    assert [] == process.finish()
    assert ("ended", "closed") == (work.sessions.get("p").state, work.sessions.get("p").reason)


def test_a_heartbeat_keeps_a_session_over_many_times_to_live(work, start):
    (process,) = start(KEEP, ("p", LONG_S))
    process.go()
    assert "holds" == process.hear()
    # The heartbeat of another session does its part while this one only waits.
    with Swarm.open(work.url, swarm=SWARM, session="short", session_ttl_s=SHORT_S) as short:
        began = short.sessions.get()
        until(lambda: short.sessions.get().touched_ms > began.touched_ms + 3000 * SHORT_S)
        assert "active" == short.sessions.get().state


def test_an_ended_session_stays_ended_though_its_process_lives(work, start):
    (process,) = start(KEEP, ("p", SHORT_S))
    process.go()
    assert "holds" == process.hear()
    assert work.sessions.end("p", reason="operator")
    assert is_free(work)

    with Swarm.open(work.url, swarm=SWARM, session="other", session_ttl_s=SHORT_S) as other:
        began = other.sessions.get().touched_ms
        # The other's heart has beaten several times, so this one's would have as well.
        until(lambda: other.sessions.get().touched_ms > began + 2000 * SHORT_S)
    assert ("ended", "operator") == (work.sessions.get("p").state, work.sessions.get("p").reason)


def test_a_session_of_a_live_process_belongs_to_no_other(work, start):
    (process,) = start(KEEP, ("p", LONG_S))
    process.go()
    assert "holds" == process.hear()
    with pytest.raises(InvalidArgumentError, match=f"process {process.popen.pid}, which is alive"):
        Swarm.open(work.url, swarm=SWARM, session="p", session_ttl_s=LONG_S)
    assert not is_free(work)

    process.send(signal.SIGKILL)
    process.popen.wait()
    with Swarm.open(work.url, swarm=SWARM, session="p", session_ttl_s=LONG_S) as mine:
        assert os.getpid() == mine.sessions.get().pid
        assert is_free(work)


def test_a_forked_child_that_closes_the_store_ends_nothing(work, start):
    work.messages.claim("work")
    (process,) = start(FORK, ("p",))
    process.go()
    assert "the child closed" == process.hear()
    assert "active" == work.sessions.get("p").state
    assert work.leases.try_acquire("x") is None

    process.go()
    assert [] == process.finish()
    assert "ended" == work.sessions.get("p").state
    assert work.leases.try_acquire("x") is not None


def test_a_live_session_is_never_ended_while_many_renew_and_reap(work, start, tmp_path):
    done = tmp_path / "done"
    renewing = start(RENEW, *((f"r{number}",) for number in range(4)))
    reaping = start(REAP, *((f"e{number}", done) for number in range(2)))
    for process in [*renewing, *reaping]:
        process.go()
    counts = [process.finish() for process in renewing]
    done.touch()
    ended = [process.finish() for process in reaping]

    assert [60] * 4 == [lapsed for ((_, lapsed),) in counts]
    assert all(kept > 0 for ((kept, _),) in counts)
    assert all(count > 0 for (count,) in ended), "the reapers took no part"


def test_what_the_system_does_not_tell_of_a_process_is_not_guessed():
    pid, start, namespaces = this_process().split(" ")

    assert not has_ended(this_process())
    assert has_ended(f"{pid} {int(start) - 1} {namespaces}")
    assert not has_ended(f"{pid} {int(start) - 1} 1.1")
    assert not has_ended(f"999999999 {start} ?")
    assert not has_ended(f"1 {start} ?")
