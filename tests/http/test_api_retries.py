"""Nothing is lost and nothing applied twice: answers get lost, servers are killed."""

import os
import signal
import subprocess
import sys
import threading
from itertools import count

import pytest
from lossy import Lossy

from swarm_memory import Swarm, errors
from swarm_memory.remote.client import Asked, Client

WRITER = """
import json, sys
from swarm_memory import Swarm
url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with Swarm.open(url, swarm="s", agent=name, busy_timeout_s=60) as swarm:
    for number in range(count):
        swarm.records.put(f"{name}/{number}", number, expect=0)
        swarm.journal.share("step", {"by": name, "n": number})
        swarm.messages.send([name, number], topic="all")

        def add(tx):
            before = tx.records.get("count")
            tx.records.put("count", 1 if before is None else before.value + 1)

        swarm.transact(add)
        print(number, flush=True)
"""


@pytest.fixture
def lossy(api):
    way = Lossy(int(api.url.rpartition(":")[2]), 0.0, seed=1)
    yield way
    way.close()


def test_lost_answers_are_asked_for_again_and_applied_once(lossy, opened):
    beside = opened("reader")
    with Swarm.open(lossy.url, swarm="s", agent="writer", busy_timeout_s=60) as swarm:
        lossy.share = 0.3
        for number in range(40):
            assert 1 == swarm.records.put(f"w/{number}", number, expect=0).version
            swarm.records.put("same", number)
            swarm.journal.share("step", number)
            swarm.messages.send(number, topic="t")
        for number in range(0, 40, 4):
            assert swarm.records.delete(f"w/{number}")
        lossy.share = 0.0

    assert lossy.lost > 10
    assert 30 == beside.records.count("w")[0]
    assert (40, 39) == beside.records.get("same")[2:0:-1]
    shared = beside.records.scan("swarm-s/global/knowledge/step")
    assert list(range(40)) == [record.value["knowledge_data"] for record in shared]
    assert list(range(40)) == [message.body for message in beside.messages.claim("t", limit=100)]


def test_a_transaction_whose_answers_are_lost_applies_once(lossy, opened):
    def add(tx):
        before = tx.records.get("count")
        tx.records.put("count", 1 if before is None else before.value + 1)

    with Swarm.open(lossy.url, swarm="s", agent="writer", busy_timeout_s=60) as swarm:
        lossy.share = 0.05
        for _ in range(20):
            swarm.transact(add)
        lossy.share = 0.0

    assert lossy.lost > 0
    assert 20 == opened("reader").records.get("count").value


def test_a_lease_whose_answer_was_lost_is_not_taken_twice(lossy, opened):
    with Swarm.open(lossy.url, swarm="s", agent="writer", busy_timeout_s=60) as swarm:
        lossy.share = 0.4
        for number in range(15):
            lease = swarm.leases.acquire("deploy", wait_s=0, ttl_s=600)
            assert number + 1 == lease.token
            assert lease.release()
        lossy.share = 0.0

    assert lossy.lost > 3
    assert [] == opened("reader").leases.list()


def test_without_a_key_a_lost_answer_is_said_to_be_ambiguous(lossy):
    lossy.share = 1.0
    client = Client(lossy.url, None, patience_s=30)
    asked = Asked("POST", "/swarms/s/upkeep/tick", None, b"{}", {}, False)

    with pytest.raises(errors.AmbiguousCommitError):
        client.ask(asked)


def test_patience_ends_and_says_whether_it_may_have_been_applied(lossy):
    with Swarm.open(lossy.url, swarm="s", busy_timeout_s=0.2) as swarm:
        lossy.share = 1.0
        with pytest.raises(errors.AmbiguousCommitError):
            swarm.records.put("x/a", 1)
        with pytest.raises(errors.EngineUnavailableError):
            swarm.records.get("x/a")
        lossy.share = 0.0
        assert 1 == swarm.records.get("x/a").version


def test_servers_that_are_killed_lose_nothing_and_do_nothing_twice(served, tmp_path):
    url = f"sqlite:///{tmp_path}/memory.db"
    steps, names = 25, ("one", "two", "three")
    served.start(SWARM_MEMORY_URL=url)
    port = served.port
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, served.base, name, str(steps)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    progress = threading.Semaphore(0)
    readers = [
        threading.Thread(target=lambda w=w: [progress.release() for _ in w.stdout]) for w in writers
    ]
    for reader in readers:
        reader.start()
    for _ in range(4):
        for _ in range(9):
            progress.acquire()
        os.kill(served.server.pid, signal.SIGKILL)
        served.kill()
        served.start(port=port, SWARM_MEMORY_URL=url)
    for writer, reader in zip(writers, readers, strict=True):
        reader.join()
        assert (0, "") == (writer.wait(), writer.stderr.read())
        writer.stdout.close()
        writer.stderr.close()
    served.kill()

    with Swarm.open(url, swarm="s", agent="reader") as swarm:
        for name in names:
            assert [1] * steps == [record.version for record in swarm.records.scan(name)]
        assert steps * len(names) == swarm.records.get("count").value
        shared = [r.value["knowledge_data"] for r in swarm.records.each("swarm-s/global/knowledge")]
        sent = [message.body for message in swarm.messages.claim("all", limit=1000)]
        expected = sorted([name, number] for name in names for number in range(steps))
        assert expected == sorted([each["by"], each["n"]] for each in shared)
        assert expected == sorted(sent)


def test_a_server_that_ends_finishes_what_it_acknowledges(served, tmp_path):
    url = f"sqlite:///{tmp_path}/memory.db"
    served.start(SWARM_MEMORY_URL=url)
    acknowledged = []

    def write():
        with Swarm.open(served.base, swarm="s", agent="w", busy_timeout_s=0.1) as swarm:
            try:
                for number in count():
                    record = swarm.records.put(f"w/{number}", number)
                    acknowledged.append(record.key)
            except errors.SwarmMemoryError:
                return

    writing = threading.Thread(target=write)
    writing.start()
    while len(acknowledged) < 50:
        assert writing.is_alive()
    served.server.terminate()
    assert 0 == served.server.wait(60)
    writing.join()

    with Swarm.open(url, swarm="s") as swarm:
        kept = {record.key for record in swarm.records.each("w")}
    assert set(acknowledged) <= kept
    assert len(kept) <= len(acknowledged) + 1
