"""What was read before the lock was taken, and somebody else who came first."""

import pytest

from swarm_memory import runs

QUEUES = ["topic:t", "agent:b"]


@pytest.fixture(params=QUEUES)
def queue(request):
    return request.param


@pytest.fixture
def send(store, queue):
    """Send to the queue; to an agent's both ways in turn."""
    where = {"topic": "t"} if queue == "topic:t" else {"to": "b"}

    def send(*bodies, **options):
        for number, body in enumerate(bodies):
            everyone = queue == "agent:b" and number % 2
            store.messages("a").send(body, **options, **({} if everyone else where))

    return send


def hand(store, receipt):
    return runs.Hand(receipt, "b", None, store.clock.now_ms() + 60_000)


def offered(store, queue, limit=3):
    place = runs.place_of(store.engine, "s", queue)
    return runs.offer(store.engine, "s", queue, place, limit)


def accept(store, offer, receipt="r"):
    taker = hand(store, receipt)
    return store.engine.write(lambda tx: runs.accept(tx, offer, taker))


def begin(store, send, queue):
    """Send two messages and finish them: the queue has a cursor then."""
    send("first", "second")
    messages = store.messages("b")
    messages.ack(*messages.claim("t" if queue == "topic:t" else None))


def left(store, queue):
    offer = offered(store, queue, 100)
    return [] if offer is None else [row[runs.MESSAGE_ID] for row in offer.rows]


def test_of_two_who_are_offered_the_same_one_gets_it(store, send, queue):
    begin(store, send, queue)
    send(1, 2, 3, 4)
    first, second = offered(store, queue), offered(store, queue)
    assert 3 == len(first.rows)

    assert accept(store, first, "r1")
    assert not accept(store, second, "r2")
    assert 1 == len(left(store, queue))
    assert {"r2": []} == runs.claimed(store.engine, "s", ["r2"])


def test_what_expired_since_it_was_offered_is_not_accepted(store, send, queue, clock):
    begin(store, send, queue)
    send(1, 2, ttl_s=1)
    offer = offered(store, queue)
    clock.advance(1)

    assert not accept(store, offer)
    store.messages().prune()
    assert not accept(store, offer)


def test_what_is_not_there_any_more_is_not_accepted(store, send, queue, clock):
    begin(store, send, queue)
    send(1, 2, ttl_s=1)
    offer = offered(store, queue)._replace(first_end_ms=None)
    clock.advance(1)
    store.messages().prune()

    assert not accept(store, offer)
    assert {"r": []} == runs.claimed(store.engine, "s", ["r"])


def test_nothing_is_offered_past_what_is_ready_due_or_odd(store, send, queue, clock):
    begin(store, send, queue)
    send(1, 2)
    assert 2 == len(left(store, queue))
    send(3, 4, priority=1)
    assert [] == left(store, queue)
    topic = "t" if queue == "topic:t" else None
    store.messages("b").claim(topic, visible_after_s=1)
    send(5, 6)
    assert 2 == len(left(store, queue))
    clock.advance(1)
    assert [] == left(store, queue)


def test_a_batch_that_changed_since_it_was_looked_at_is_acknowledged_as_far_as_it_is_left(
    store, send, queue
):
    topic = "t" if queue == "topic:t" else None
    send(1, 2, 3, 4)
    messages = store.messages("b").claim(topic)
    receipt = messages[0].receipt.partition("-")[2]
    seqs = {int(message.receipt.partition("-")[0]) for message in messages}
    known = runs.claimed(store.engine, "s", [receipt])
    messages[2].nack()

    def acknowledge(tx):
        return runs.acknowledge(tx, "s", {receipt: seqs}, known)

    assert [messages[2].receipt] == store.engine.write(acknowledge)
    assert sorted(message.receipt for message in messages) == sorted(
        store.engine.write(acknowledge)
    )
    assert [3] == [message.body for message in store.messages("b").claim(topic)]
