"""A swarm moves while its agents write: nothing is lost, nothing is done twice, fences hold.

Real processes work before, during and after the move. What each was told is done is compared with
what the new store has in the end.
"""

import json

import pytest
from routing_worker import COUNT, GUARDED, TOPIC

from swarm_memory import Swarm
from swarm_memory.errors import SwarmMovedError
from swarm_memory.integrity import verify_store
from swarm_memory.moving import move_swarm
from swarm_memory.testing.filled import fill

WAYS = [
    ("file", "postgresql", False),
    ("file", "file", True),
    ("postgresql", "postgresql", True),
    ("postgresql", "file", False),
]


@pytest.mark.parametrize(("source", "target", "shared"), WAYS)
def test_nothing_is_lost_and_nothing_twice_while_a_swarm_moves(
    source, target, shared, store_url, routes, worker
):
    source, target = store_url(source, "one"), store_url(target, "two")
    url = routes(source)
    if shared:  # the new store has numbers of its own, of another swarm
        with Swarm.open(target, agent="a", swarm="u") as other:
            fill(other)
    with Swarm.open(source, agent="a", swarm="s") as swarm:
        fill(swarm)
        swarm.records.put(COUNT, 0)
        swarm.as_agent("a", swarm="other").records.put(COUNT, 0)
    stale = Swarm.open(source, agent="stale", swarm="s")
    counting = [worker("count", url, "s", name) for name in ("c1", "c2")]
    repeating, guarding = worker("repeat", url, "s", "r"), worker("guard", url, "s", "g1")
    sending, watching = worker("send", url, "s", "m"), worker("watch", url, "s", "w")
    consuming = [worker("consume", url, "s", name) for name in ("k1", "k2")]
    undisturbed = worker("count", source, "other", "o")
    busy = [*counting, repeating, guarding, sending, *consuming, undisturbed, watching]
    for each in busy:
        each.tell(5)

    moved = move_swarm(url, "s", target)

    for each in busy:
        each.tell(10)
    with pytest.raises(SwarmMovedError):
        stale.records.put("notes/stale", 1)
    stale.close()
    watching.tell(1)
    told = {each: each.stop() for each in busy[:-1]}
    with Swarm.open(url, agent="a", swarm="s") as swarm:
        newest = swarm.records.get(COUNT)
        assert (newest.value, newest.version) == (newest.version - 1, newest.value + 1)
        while int(watching.told[-1]) < newest.version:
            watching.tell(1)
        _check_counts(swarm, [told[each] for each in counting])
        _check_once(swarm, told[repeating])
        _check_tokens(swarm, told[guarding])
        _check_messages(swarm, told[sending], [told[each] for each in consuming])
        assert [] == verify_store(swarm).findings
    assert list(range(1, newest.version + 1)) == [int(version) for version in watching.kill()]
    with Swarm.open(source, agent="a", swarm="other") as other:
        assert len(told[undisturbed]) == other.records.get(COUNT).value
        assert [] == verify_store(other).findings
    assert moved.rows["records"] >= 600


def _check_counts(swarm, told):
    """Each acknowledged count is there, and none that was not made by a call."""
    versions = [int(version) for each in told for version in each]
    assert len(versions) == len(set(versions))
    assert len(versions) == swarm.records.get(COUNT).value


def _check_once(swarm, told):
    for number in told:
        record = swarm.records.get(f"notes/r/{number}")
        assert (int(number), 1) == (record.value, record.version)


def _check_tokens(swarm, told):
    """Nobody wrote with a token that was older than one before."""
    tokens = [int(token) for token in told]
    assert sorted(set(tokens)) == tokens
    kept = [record.value for record in swarm.records.history(GUARDED)][::-1]
    assert sorted(set(kept)) == kept
    assert tokens[-1] <= kept[-1]


def _check_messages(swarm, sent, consumed):
    """Each message that was sent is acknowledged once, or still there."""
    acknowledged = [body for each in consumed for body in each]
    assert len(acknowledged) == len(set(acknowledged))
    left = set()
    while messages := _claimed(swarm):
        left |= {message.body for message in messages}
        for message in messages:
            message.ack()
    in_hand = {body for body in sent if body not in left} - set(acknowledged)
    assert in_hand <= _kept(swarm)
    assert not set(acknowledged) & left


def _claimed(swarm):
    return swarm.messages.claim(TOPIC, limit=100)


def _kept(swarm):
    """Return what is in the hands of consumers that have ended, for a while."""
    rows = swarm._engine.all("move_messages", swarm=swarm.context.swarm, a=-1, limit=10**6)
    return {str(json.loads(row[7])) for row in rows}
