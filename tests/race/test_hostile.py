"""Hostile scenarios between real processes: they are stopped, killed, and crowd in on each other.

Each scenario is arranged so that its outcome does not depend on who is faster: processes say where
they are and wait to be told to go on, and what must happen in order is proven by tokens.
"""

import json
import os
import signal
import time
from contextlib import contextmanager

import pytest
from hostile_processes import SWARM, WAIT_S, until

from swarm_memory import Swarm


def owners(swarm, name, state):
    return [seat.owner for seat in swarm.leases.list(name) if seat.state == state]


@contextmanager
def held_until_in_line(swarm, processes, name="x"):
    """Hold `name` until all processes, let go one by one, stand in line."""
    lease = swarm.leases.acquire(name, ttl_s=600)
    for count, process in enumerate(processes, 1):
        process.go()
        until(lambda count=count: len(owners(swarm, name, "waiting")) == count)
    yield
    lease.release()


# --- leases ---

HOLD = """
lease = leases.acquire("x", ttl_s=0.3)
say(lease.token)
go()
late = lambda: records.put("late", agent, fence=lease)
say([outcome(late), outcome(lease.renew), outcome(lease.release)])
"""


def test_a_holder_stopped_past_its_time_can_neither_write_nor_renew_nor_release(swarm, start):
    (holder,) = start(HOLD, ("stopped",))
    holder.go()
    token = holder.hear()
    holder.send(signal.SIGSTOP)

    with swarm.leases.hold("x", wait_s=WAIT_S) as lease:
        swarm.records.put("late", "mine", fence=lease)
        holder.go()
        holder.send(signal.SIGCONT)

        assert [["lease_lost"] * 3] == holder.finish()
        assert ["test"] == owners(swarm, "x", "held")
    assert token < lease.token
    assert "mine" == swarm.records.get("late").value


SERVED = """
with leases.hold("x", wait_s=60, ttl_s=60) as lease:
    try:
        inside = arguments[0] + "/inside"
        os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
        alone = True
        os.unlink(inside)
    except FileExistsError:
        alone = False
    say([agent, lease.token, alone])
"""


def test_a_stopped_waiter_is_passed_over_and_served_once_it_goes_on(swarm, start, tmp_path):
    stopped, other = start(SERVED, ("stopped", tmp_path), ("other", tmp_path))
    with held_until_in_line(swarm, [stopped, other]):
        stopped.send(signal.SIGSTOP)

    ((_, others_token, _),) = other.finish()
    stopped.send(signal.SIGCONT)

    ((_, token, _),) = stopped.finish()
    assert others_token < token


def test_a_herd_of_64_processes_is_served_once_each_in_the_order_in_which_they_came(
    swarm, start, tmp_path
):
    herd = start(SERVED, *((f"p{number}", tmp_path) for number in range(64)))
    with held_until_in_line(swarm, herd):
        order = owners(swarm, "x", "waiting")

    served = [line for process in herd for line in process.finish()]

    served.sort(key=lambda line: line[1])
    assert [f"p{number}" for number in range(64)] == order == [agent for agent, _, _ in served]
    assert 64 == len({token for _, token, _ in served})
    assert all(alone for _, _, alone in served)
    assert [] == swarm.leases.list()


RING = """
mine, wanted = arguments
lease = leases.acquire(mine, ttl_s=60)
say("holds")
go()
try:
    with leases.hold(wanted, wait_s=60, ttl_s=60):
        say(["finished"])
except SwarmMemoryError as error:
    say([error.code, error.cycle])
lease.release()
"""


@pytest.mark.parametrize("parties", [2, 5])
def test_one_of_a_deadlock_ring_is_refused_and_the_others_finish(swarm, start, parties):
    ring = start(RING, *((f"p{n}", f"x{n}", f"x{(n + 1) % parties}") for n in range(parties)))
    for process in ring:
        process.go()
    for process in ring:
        assert "holds" == process.hear()
    for process in ring:
        process.go()

    said = sorted(line for process in ring for line in process.finish())

    (victim,) = [line for line in said if line != ["finished"]]
    assert "deadlock" == victim[0]
    assert {f"p{n}" for n in range(parties)} == set(victim[1])
    assert parties == len(victim[1])
    assert [["finished"]] * (parties - 1) == said[1:]
    assert [] == swarm.leases.list()


UPGRADE = """
lease = leases.acquire("x", "read", ttl_s=60)
say("reads")
go()
said = outcome(lambda: lease.upgrade(wait_s=60))
if said == "done":
    records.put("upgraded", agent, fence=lease)
say([said, lease.mode, lease.release()])
"""


def test_of_two_processes_that_upgrade_one_is_refused_and_the_other_writes(swarm, start):
    readers = start(UPGRADE, ("a",), ("b",))
    for process in readers:
        process.go()
    for process in readers:
        assert "reads" == process.hear()
    for process in readers:
        process.go()

    said = sorted(line for process in readers for line in process.finish())

    assert [["done", "exclusive", True], ["lease_held", "read", True]] == said
    assert 1 == swarm.records.get("upgraded").version


READ_ON_AND_ON = """
while records.get("stop") is None:
    asked = time.monotonic_ns()
    with leases.hold("x", "read", wait_s=60, ttl_s=60) as lease:
        say([asked, lease.token])
"""

WRITE = """
with leases.hold("x", "write", wait_s=60, ttl_s=60) as lease:
    say(lease.token)
"""


def test_a_stream_of_readers_does_not_overtake_a_writer(swarm, start):
    readers = start(READ_ON_AND_ON, *((f"r{number}",) for number in range(6)))
    (writer,) = start(WRITE, ("writer",))
    read = swarm.leases.acquire("x", "read", ttl_s=600)  # the lease is never free
    for process in readers:
        process.go()
    before = [process.hear() for process in readers]
    writer.go()
    until(lambda: ["writer"] == owners(swarm, "x", "waiting")[:1])
    in_line_ns = time.monotonic_ns()
    until(lambda: 7 == len(owners(swarm, "x", "waiting")))
    read.release()

    (token,) = writer.finish()
    swarm.records.put("stop", True)
    said = [line for process in readers for line in process.finish()]

    assert all(earlier < token for _, earlier in before)
    after = [later for asked, later in said if asked > in_line_ns]
    assert after
    assert all(later > token for later in after)


# --- messages ---

CONSUME = """
order, pause_at = arguments
options = {"limit": 1, "visible_after_s": 0.5, "wait_s": 0.2, "order": order}
while sum(messages.counts()[:3]):
    for message in messages.claim("t", **options):
        if message.body == pause_at:
            say(["claimed", message.body, message.attempts])
            go()
        if message.body == "poison":
            os.kill(os.getpid(), signal.SIGKILL)
        say([time.monotonic_ns(), message.body, message.attempts])
        message.ack()
"""


def test_the_order_of_a_topic_survives_a_consumer_killed_before_it_acknowledged(swarm, start):
    for number in range(20):
        swarm.messages.send(f"m{number}", topic="t")
    (doomed,) = start(CONSUME, ("doomed", "strict", "m7"))
    others = start(CONSUME, *((f"p{number}", "strict", "") for number in range(3)))
    doomed.go()
    done = [doomed.hear() for _ in range(7)]
    assert ["claimed", "m7", 1] == doomed.hear()
    for process in others:
        process.go()
    doomed.popen.kill()

    done += [line for process in others for line in process.finish()]

    assert [f"m{number}" for number in range(20)] == [body for _, body, _ in sorted(done)]
    assert {"m7": 2} == {body: attempts for _, body, attempts in done if attempts != 1}
    assert (0, 0, 0, 0) == swarm.messages.counts()[:4]


def test_a_message_that_kills_its_consumers_dies_and_the_queue_moves_on(swarm, start):
    for body in ("before", "poison", "after 1", "after 2"):
        swarm.messages.send(body, topic="t", attempts_max=3)
    killed, done = 0, []
    for number in range(5):
        (process,) = start(CONSUME, (f"p{number}", "fifo", ""))
        process.go()
        done += [body for _, body, _ in process.end()]
        killed += process.popen.returncode == -signal.SIGKILL
        if process.popen.returncode == 0:
            break

    assert 3 == killed
    assert ["after 1", "after 2", "before"] == sorted(done)
    (dead,) = swarm.messages.dead("t")
    assert ("poison", 3) == (dead.body, dead.attempts)
    assert dead.reason.startswith("not acknowledged in time by p")


SEND_ONCE = """
say([messages.send({"n": n}, topic="t", op_id=f"op-{n}").message_id for n in range(10)])
"""


def test_a_send_repeated_by_many_processes_with_one_op_id_sends_once(swarm, start):
    senders = start(SEND_ONCE, *[("sender",)] * 8)
    for process in senders:
        process.go()

    said = [line for process in senders for line in process.finish()]

    messages = swarm.messages.claim("t", limit=100)
    assert [{"n": number} for number in range(10)] == [message.body for message in messages]
    assert [[message.message_id for message in messages]] * 8 == said


# --- quotas ---

CROWD_A_SCOPE = """
import random
from swarm_memory.errors import LimitExceededError
choose, refused, most = random.Random(agent), 0, 0
for number in range(int(arguments[0])):
    key = f"swarm-hostile/agent-q/knowledge/{agent}-{choose.randrange(4)}"
    if choose.random() < 0.15:
        records.delete(key)
    else:
        try:
            records.put(key, os.urandom(choose.randrange(40)).hex())
        except LimitExceededError:
            refused += 1
    most = max(most, records.count("swarm-hostile/agent-q")[1])
say([refused, most])
"""


def test_a_race_for_the_last_bytes_of_a_quota_passes_no_limit_and_loses_no_count(
    url, start, tmp_path, monkeypatch
):
    limit, path = 100_000, tmp_path / "schema.json"
    path.write_text(json.dumps({"settings": {"agent_bytes_max": limit}}))
    monkeypatch.setenv("SWARM_MEMORY_CONFIG", str(path))
    scope = f"swarm-{SWARM}/agent-q"
    with Swarm.open(url, agent="q", swarm=SWARM, durability="relaxed") as swarm:
        while (used := swarm.records.count(scope)[1]) < 0.999 * limit:
            size = min(900, (limit - used) // 2)
            swarm.records.put(f"{scope}/knowledge/{used}", os.urandom(size // 2 + 1).hex()[:size])
        assert used <= limit
        crowd = start(CROWD_A_SCOPE, *((f"p{number}", 60) for number in range(16)))
        for process in crowd:
            process.go()

        said = [line for process in crowd for line in process.finish()]

        assert all(0 < most <= limit for _, most in said)
        assert sum(refused for refused, _ in said) > 0, "the limit was never met"
        count, size = swarm.records.count(scope)
        metrics = swarm.health.report().metrics
        assert size <= limit
        assert (count, size) == (metrics["records"], metrics["bytes"])
        assert {"agent-q": size} == metrics["agents"]
