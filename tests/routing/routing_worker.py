"""Processes of the tests of routing: each says on a line what was acknowledged, until it is ended.

python routing_worker.py KIND URL SWARM NAME
python routing_worker.py move URL SWARM TO [FAILPOINT]
"""

import signal
import sys

from swarm_memory import Swarm
from swarm_memory.engine.sync import arm
from swarm_memory.errors import (
    ConflictError,
    LeaseHeldError,
    LeaseLostError,
    StaleReceiptError,
)
from swarm_memory.moving import move_swarm

COUNT, GUARDED, TOPIC = "notes/count", "notes/guarded", "work"


ended = []


def say(*what):
    sys.stdout.write(" ".join(map(str, what)) + "\n")
    sys.stdout.flush()


def count(swarm, name):
    """Count one record up."""
    while not ended:
        record = swarm.records.get(COUNT)
        try:
            written = swarm.records.put(COUNT, record.value + 1, expect=record.version)
        except ConflictError:
            continue
        yield written.version


def repeat(swarm, name):
    """Make each call twice by one op_id, as whoever did not hear the first answer does."""
    number = 0
    while not ended:
        calls = [
            swarm.records.put(f"notes/{name}/{number}", number, op_id=f"{name}-{number}")
            for _ in range(2)
        ]
        assert [1, 1] == [record.version for record in calls]
        yield number
        number += 1


def guard(swarm, name):
    """Write under a lease what token it has."""
    while not ended:
        try:
            with swarm.leases.hold("deploy", ttl_s=5, wait_s=5) as lease:
                swarm.records.put(GUARDED, lease.token, fence=lease)
                token = lease.token
        except (LeaseHeldError, LeaseLostError):
            continue  # it was let go by the move, or somebody is slow
        yield token


def send(swarm, name):
    number = 0
    while not ended:
        swarm.messages.send(f"{name}-{number}", topic=TOPIC, op_id=f"send-{name}-{number}")
        yield f"{name}-{number}"
        number += 1


def consume(swarm, name):
    while not ended:
        for message in swarm.messages.claim(TOPIC, limit=3, visible_after_s=60):
            try:
                message.ack()
            except StaleReceiptError:
                continue  # the move took it out of our hands
            yield message.body  # what is left in hand at the end is nobody's for a minute


def watch(swarm, name):
    """Tell of each change of the count, by the version that it has."""
    for event in swarm.watch(COUNT, since=0):
        yield event.version


KINDS = {f.__name__: f for f in (count, repeat, guard, send, consume, watch)}


def work(kind, url, swarm_name, name):
    with Swarm.open(url, agent=name, swarm=swarm_name, busy_timeout_s=60) as swarm:
        for acknowledged in KINDS[kind](swarm, name):
            say(acknowledged)
            if ended:
                return


def move(url, swarm, to, failpoint=None):
    if failpoint is not None:
        arm(failpoint)
    say("moved", move_swarm(url, swarm, to).held_ms)


if __name__ == "__main__":
    kind, *rest = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    if kind == "move":
        move(*rest)
    else:
        work(kind, *rest)
