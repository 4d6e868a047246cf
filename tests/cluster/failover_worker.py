"""An agent's process that works through faults, and notes whatever was acknowledged to it.

python failover_worker.py ROLE URL NAME LEDGER

A line of the ledger is JSON with the time `at` and `what` happened: `ok` is an acknowledgement,
`error` one that reached the caller, `doubt` the state in which a commit in doubt was found. Each
operation has an op_id and is repeated with it until it is settled; SIGTERM lets it come to that.
Lines are not synced: the process and its machine are not what fails here.
"""

import json
import os
import signal
import sys
import time
from contextlib import suppress

from swarm_memory import Swarm
from swarm_memory.errors import (
    AmbiguousCommitError,
    LeaseHeldError,
    LeaseLostError,
    StaleReceiptError,
    StorageFullError,
    SwarmMemoryError,
)

SWARM, TOPIC, LOCK = "s", "work", "deploy"
COUNT, GUARDED = "notes/count", "notes/guarded"
PAUSE_S = 0.01  # an agent thinks between two calls, if only for a moment
RETRY_S = 0.05
TTL_S = 3.0
HIDDEN_S = 10.0
HOLDS = 4  # writes under one lease; after each fourth lease one comes too late
TEXT_BYTES = 150_000  # of what fills disks


class Agent:
    """What all roles share."""

    def __init__(self, url, name, ledger):
        self.name = name
        self.file = os.open(ledger, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self.stopping = False
        self.parent = os.getppid()
        signal.signal(signal.SIGTERM, self.stop)
        self.swarm = self.settled(lambda: Swarm.open(url, agent=name, swarm=SWARM))

    def stop(self, *_):
        self.stopping = True

    def note(self, what, **fields):
        line = {"at": time.monotonic_ns(), "what": what, **fields}
        os.write(self.file, f"{json.dumps(line)}\n".encode())

    def settled(self, call, found=None):
        """Return what `call` returns at last; `found` tells whether a commit in doubt is there."""
        while self.parent == os.getppid():  # nobody is to outlive a campaign that was killed
            try:
                return call()
            except AmbiguousCommitError as error:
                self.note("error", code=error.code, said=str(error))
                if found is not None:
                    self.note("doubt", committed=self.settled(found))
            except SwarmMemoryError as error:
                full = isinstance(error, StorageFullError)  # somebody makes room
                if isinstance(error, LeaseHeldError) or not (error.retryable or full):
                    raise
                self.note("error", code=error.code, said=str(error))
                time.sleep(RETRY_S)
        sys.exit("the campaign has ended")

    def work(self, turn):
        number = 0
        with self.swarm:
            while not self.stopping:
                turn(self, number)
                number += 1
                time.sleep(PAUSE_S)


def put(agent, number, value=None):
    """Write a record of one's own."""
    key, records = f"notes/{agent.name}/{number}", agent.swarm.records
    value = number if value is None else value
    agent.note("try", key=key)
    record = agent.settled(
        lambda: records.put(key, value, op_id=key), lambda: records.get(key) is not None
    )
    agent.note("ok", kind="put", key=key, version=record.version)


def fill(agent, number):
    """Write a record that needs room on the disk."""
    put(agent, number, os.urandom(TEXT_BYTES // 2).hex())


def count(agent, number):
    """Count a record up that others count up as well, and write down to what."""
    key, swarm = f"ops/{agent.name}/{number}", agent.swarm

    def up(tx):
        record = tx.records.get(COUNT)
        value = 1 if record is None else record.value + 1
        tx.records.put(COUNT, value)
        tx.records.put(key, value)
        return value

    agent.note("try", key=key)
    value = agent.settled(
        lambda: swarm.transact(up, op_id=key), lambda: swarm.records.get(key) is not None
    )
    agent.note("ok", kind="count", key=key, value=value)


def hold(agent, number):
    """Write under a lease with its token, sometimes after it has lapsed."""
    try:
        lease = agent.settled(lambda: agent.swarm.leases.acquire(LOCK, ttl_s=TTL_S, wait_s=1.0))
    except LeaseHeldError:
        return
    holder = f"{agent.name}/{number}"
    agent.note("lease", holder=holder, token=lease.token)
    late = number % HOLDS == HOLDS - 1
    try:
        for turn in range(HOLDS):
            if late and turn == HOLDS - 1:
                time.sleep(TTL_S * 1.1)
            guarded(agent, lease, holder, turn)
            time.sleep(PAUSE_S)
        agent.settled(lease.release)
    except LeaseLostError:
        agent.note("refused", holder=holder)


def guarded(agent, lease, holder, turn):
    value, op_id = {"holder": holder, "token": lease.token}, f"{holder}/{turn}"
    record = agent.settled(
        lambda: agent.swarm.records.put(GUARDED, value, fence=lease, op_id=op_id)
    )
    agent.note("ok", kind="guarded", holder=holder, token=lease.token, version=record.version)


def send(agent, number):
    """Send a message."""
    body = f"{agent.name}/{number}"
    agent.settled(lambda: agent.swarm.messages.send(body, topic=TOPIC, op_id=body))
    agent.note("ok", kind="sent", body=body)


def receive(agent, number):
    """Claim messages and acknowledge them; again, if that was in doubt."""
    del number
    began = time.monotonic_ns()
    for message in agent.settled(
        lambda: agent.swarm.messages.claim(TOPIC, limit=5, visible_after_s=HIDDEN_S, wait_s=0.5)
    ):
        agent.note("got", began=began, id=message.message_id, body=message.body)
        # Stale: the claim was lost with a server, or the first try of this had worked.
        with suppress(StaleReceiptError):
            agent.settled(message.ack)
            agent.note("ok", kind="received", id=message.message_id)


ROLES = {"put": put, "fill": fill, "count": count, "hold": hold, "send": send, "receive": receive}


def careless(turn):
    """Return a role that takes what is in doubt, or not safe yet, for done: the judge sees it."""

    def carelessly(agent, number):
        key = f"notes/{agent.name}/{number}"
        agent.note("try", key=key)
        record = turn(agent.swarm.records, key, number)
        agent.note("ok", kind="put", key=key, version=record.version)

    return carelessly


ROLES["hasty"] = careless(lambda records, *of: records.put(*of, durability="relaxed"))


if __name__ == "__main__":
    role, url, name, ledger = sys.argv[1:]
    Agent(url, name, ledger).work(ROLES[role])
