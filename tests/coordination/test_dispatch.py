"""Callbacks by type: done, failed, unknown, and late."""

import pytest

from swarm_memory import dispatch
from swarm_memory.errors import InvalidArgumentError
from swarm_memory.testing import Store


@pytest.fixture
def store():
    store = Store("sqlite:///:memory:")
    yield store
    store.close()


@pytest.fixture
def swarm(store):
    return store.open()


def test_each_message_goes_to_the_callback_of_its_type(swarm):
    seen = []
    worker = swarm.dispatcher("t")
    worker.on("a", lambda m: seen.append(("a", m.body))).on("*", lambda m: seen.append(m.body))
    for body, kind in ((1, "a"), (2, "b"), (3, None)):
        swarm.messages.send(body, topic="t", type=kind)

    assert 3 == worker.run_once()
    assert [("a", 1), 2, 3] == seen
    assert 0 == worker.run_once()


def test_a_callback_that_raises_gets_the_message_again_until_it_is_dead(swarm):
    calls = []

    def fail(message):
        calls.append(message.attempts)
        raise ValueError("cannot parse \0 this")

    swarm.messages.send("poison", topic="t", type="a", attempts_max=3)
    swarm.messages.send("fine", topic="t", type="b")
    done = []
    worker = swarm.dispatcher("t").on("a", fail).on("b", done.append)

    assert 4 == worker.run(timeout_s=0.05)
    assert [1, 2, 3] == calls
    assert 1 == len(done)
    (dead,) = swarm.messages.dead("t")
    assert "ValueError: cannot parse" in dead.reason


def test_a_message_without_a_callback_is_given_back_with_the_reason(swarm):
    swarm.messages.send("x", topic="t", type="unknown", attempts_max=1)

    swarm.dispatcher("t").on("known", print).run_once()

    assert "no callback for type 'unknown'" in swarm.messages.dead("t")[0].reason


def test_a_late_callback_does_not_take_the_message_from_whoever_has_it_now(store, swarm):
    other = swarm.as_agent("b")
    taken = []

    def slow(message):
        store.clock.advance(120)
        taken.extend(other.messages.claim("t"))

    swarm.messages.send("x", topic="t", type="a")
    swarm.dispatcher("t").on("a", slow).run_once()

    assert 1 == len(taken)
    taken[0].ack()


def test_what_is_done_is_acknowledged_with_the_next_claim_and_at_the_end(swarm):
    in_hand = []
    worker = swarm.dispatcher("t").on(
        "*", lambda m: in_hand.append(swarm.messages.counts().claimed)
    )
    swarm.messages.send_many(range(25), topic="t")

    assert 25 == worker.run(timeout_s=0.05)
    assert [10] * 20 + [5] * 5 == in_hand
    assert (0, 0, 0, 0) == swarm.messages.counts()[:4]


def test_what_was_done_before_a_callback_was_interrupted_is_acknowledged(swarm):
    def interrupted(message):
        if message.body == 2:
            raise KeyboardInterrupt

    swarm.messages.send_many([1, 2, 3], topic="t")
    with pytest.raises(KeyboardInterrupt):
        swarm.dispatcher("t").on("*", interrupted).run_once()

    assert (0, 0, 2, 0) == swarm.messages.counts()[:4]


def test_a_slow_worker_acknowledges_each_message_by_itself(swarm, monkeypatch):
    monkeypatch.setattr(dispatch, "ACK_S_MAX", 0.0)
    in_hand = []
    swarm.messages.send_many([1, 2, 3], topic="t")
    swarm.dispatcher("t").on(
        "*", lambda m: in_hand.append(swarm.messages.counts().claimed)
    ).run_once()

    assert [3, 2, 1] == in_hand


def test_a_worker_without_callbacks_claims_nothing(swarm):
    swarm.messages.send("x", topic="t")
    with pytest.raises(InvalidArgumentError):
        swarm.dispatcher("t").run_once()
    with pytest.raises(InvalidArgumentError):
        swarm.dispatcher("t").on("a", "no function")
    assert 1 == len(swarm.messages.inbox("t"))
