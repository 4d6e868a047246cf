"""Messages in hand: done, given back, kept for longer, dead, and looked at."""

import time

import pytest
from letterbox import WAIT_S, bodies, in_thread

from swarm_memory.errors import (
    NotFoundError,
    StaleReceiptError,
)
from swarm_memory.messages import BROADCAST_TTL_S, Counts

# --- done, or not done ---


def test_what_was_not_acknowledged_comes_again(store, clock):
    store.messages().send("work", topic="t")
    (first,) = store.messages("a").claim("t", visible_after_s=1)
    clock.advance(0.999)
    assert [] == store.messages("b").claim("t")
    clock.advance(0.001)

    (second,) = store.messages("b").claim("t")

    assert (1, 2) == (first.attempts, second.attempts)
    assert "not acknowledged in time by a" == second.reason
    for call in (first.ack, first.nack, first.extend):
        with pytest.raises(StaleReceiptError):
            call()
    second.ack()
    with pytest.raises(StaleReceiptError):
        second.ack()


def test_a_late_acknowledgement_counts_if_nobody_else_got_the_message(store, clock):
    store.messages().send("work", topic="t")
    (message,) = store.messages().claim("t", visible_after_s=1)
    clock.advance(5)

    message.ack()

    assert [] == store.messages().claim("t")


def test_an_extended_message_stays_hidden(store, clock):
    store.messages().send("work", topic="t")
    (message,) = store.messages().claim("t", visible_after_s=1)
    clock.advance(0.9)
    message.extend(10)
    clock.advance(9)

    assert [] == store.messages("b").claim("t")
    message.ack()


def test_a_message_given_back_with_a_delay_comes_after_it(store, clock):
    store.messages().send("work", topic="t")
    store.messages().claim("t")[0].nack(delay_s=2, reason="not yet")
    assert [] == store.messages().claim("t")
    clock.advance(2)

    (message,) = store.messages().claim("t")
    assert (2, "not yet") == (message.attempts, message.reason)


def test_several_are_acknowledged_at_once_and_stale_ones_are_named(store, clock):
    for number in range(3):
        store.messages().send(number, topic="t")
    messages = store.messages().claim("t")
    messages[1].ack()

    with pytest.raises(StaleReceiptError) as caught:
        store.messages().ack(*messages[:2], messages[2].receipt)

    assert messages[1].receipt in str(caught.value)
    assert messages[0].receipt not in str(caught.value)
    clock.advance((3_600_000) / 1000)
    assert [] == store.messages().claim("t")
    assert 0 == store.messages().ack()


def test_one_of_a_batch_is_given_back_and_the_others_stay_in_hand(store):
    store.messages().send_many(range(10), topic="t")
    messages = store.messages().claim("t")
    messages[4].nack()

    (again,) = store.messages("b").claim("t")
    assert (4, 2) == (again.body, again.attempts)
    assert 10 == store.messages().ack(*messages[:4], again, *messages[5:])
    assert Counts(0, 0, 0, 0, 0) == store.messages().counts()


def test_what_is_left_of_a_batch_comes_again_in_its_order(store, clock):
    store.messages().send_many(range(10), topic="t")
    messages = store.messages().claim("t", visible_after_s=1)
    store.messages().send("younger", topic="t")
    store.messages().ack(*messages[2:5], messages[8])
    messages[6].extend(60)
    clock.advance(1)

    again = store.messages().claim("t", limit=20)

    assert [0, 1, 5, 7, 9, "younger"] == bodies(again)
    messages[6].ack()


def test_a_batch_is_acknowledged_in_the_transaction_that_claims_the_next(store):
    messages = store.messages()
    messages.send_many(range(25), topic="t")
    done = []
    seen = []
    while done := messages.claim("t", done=done):
        seen += bodies(done)

    assert list(range(25)) == seen
    assert Counts(0, 0, 0, 0, 0) == messages.counts()


def test_a_claim_with_a_stale_receipt_acknowledges_the_others_and_takes_nothing(store):
    messages = store.messages()
    messages.send_many(range(4), topic="t")
    first, second = messages.claim("t", limit=2)
    first.ack()

    with pytest.raises(StaleReceiptError) as caught:
        messages.claim("t", done=[first, second])

    assert first.receipt in str(caught.value) and second.receipt not in str(caught.value)
    assert (2, 0, 0, 0) == messages.counts()[:4]


def test_what_is_done_is_acknowledged_before_the_wait(store):
    store.messages().send("work", topic="t")
    (message,) = store.messages().claim("t")
    get = in_thread(lambda: store.messages().claim("t", wait_s=WAIT_S, done=[message]))
    until = time.monotonic() + WAIT_S
    while store.messages().counts().claimed and time.monotonic() < until:
        time.sleep(0.001)
    assert 0 == store.messages().counts().claimed
    store.messages().send("next", topic="t")

    assert ["next"] == bodies(get())


def test_one_message_named_twice_is_acknowledged_once(store):
    store.messages().send_many([1, 2], topic="t")
    first, second = store.messages().claim("t")

    with pytest.raises(StaleReceiptError):
        store.messages().ack(first, second, first)
    assert Counts(0, 0, 0, 0, 0) == store.messages().counts()


@pytest.mark.parametrize("receipt", ["", "x", "1", "1-", "-1-", "٣-a", "9" * 40 + "-a", "1-'"])
def test_a_made_up_receipt_is_refused(store, receipt):
    store.messages().send(1, topic="t")
    store.messages().claim("t")[0].nack()

    with pytest.raises(StaleReceiptError):
        store.messages().ack(receipt)


def test_a_poison_message_dies_after_its_attempts_and_the_topic_goes_on(store):
    store.messages().send("poison", topic="t")
    store.messages().send("good", topic="t")
    for _ in range(5):
        store.messages().claim("t", limit=1)[0].nack(reason="cannot parse")

    assert ["good"] == bodies(store.messages().claim("t"))
    (dead,) = store.messages().dead("t")
    assert ("poison", 5, "cannot parse", None) == (
        dead.body, dead.attempts, dead.reason, dead.receipt,
    )  # fmt: skip
    assert [] == store.messages().dead("other")
    assert 1 == store.messages().counts().dead


def test_a_message_whose_consumers_die_ends_among_the_dead(store, clock):
    store.messages().send("deadly", topic="t", attempts_max=2)
    for _ in range(2):
        assert ["deadly"] == bodies(store.messages().claim("t", visible_after_s=1))
        clock.advance(1)

    (dead,) = store.messages().dead()
    assert ("not acknowledged in time by a", clock.now_ms()) == (dead.reason, dead.dead_ms)
    assert [] == store.messages().claim("t")


def test_a_revived_message_begins_anew(store):
    store.messages().send("work", topic="t", attempts_max=1)
    store.messages().claim("t")[0].nack()
    (dead,) = store.messages().dead()

    assert 1 == store.messages().revive(dead.message_id)

    (message,) = store.messages().claim("t")
    assert 1 == message.attempts
    with pytest.raises(NotFoundError):
        store.messages().revive(dead.message_id)


def test_a_broadcast_that_died_for_one_agent_is_kept_with_its_text(store, clock):
    store.messages("a").send("hello", attempts_max=1)
    store.messages("b").claim()[0].nack(reason="no")
    clock.advance((round(BROADCAST_TTL_S * 1000)) / 1000)
    store.messages("a").send("next")
    store.messages("a").prune()

    assert ["hello"] == bodies(store.messages().dead())


def test_the_end_of_a_session_gives_back_what_it_had(store):
    store.messages().send(1, topic="t")
    store.messages().send(2, topic="t")
    store.messages("a", "s1").claim("t", limit=1)
    (kept,) = store.messages("a", "s2").claim("t", limit=1)

    assert 1 == store.messages().end_session("s1")

    assert [1] == bodies(store.messages("b").claim("t"))
    kept.ack()


def test_an_agents_inbox_is_claimed_across_what_is_for_it_and_what_is_for_everyone(store, clock):
    sender, receiver = store.messages("a"), store.messages("b")
    for number in range(0, 12, 2):
        sender.send(number)
        sender.send(number + 1, to="b")
    first = receiver.claim(limit=5, visible_after_s=1)
    second = receiver.claim(limit=5)
    receiver.ack(*second)
    clock.advance(1)

    assert [0, 1, 2, 3, 4] == bodies(first)
    assert [5, 6, 7, 8, 9] == bodies(second)
    assert [0, 1, 2, 3, 4, 10, 11] == bodies(receiver.claim())


def test_a_queue_that_was_emptied_and_pruned_still_delivers(store):
    messages = store.messages()
    for _ in range(3):
        messages.send_many([1, 2], topic="t")
        messages.ack(*messages.claim("t"))
        messages.prune()

    messages.send(3, topic="t")

    assert [3] == bodies(messages.claim("t"))


def test_an_agent_hears_nothing_twice_after_pruning(store):
    store.messages("a").send_many([1, 2])
    store.messages("b").ack(*store.messages("b").claim())
    store.messages("a").prune()

    assert [] == store.messages("b").claim()


# --- looking ---


def test_looking_into_the_inbox_takes_nothing(store, clock):
    store.messages("a").send("all")
    store.messages("a").send("direct", to="b")
    store.messages("a").send("gone", to="b", ttl_s=1)
    store.messages("a").send("later", to="b", delay_s=60)
    clock.advance(1)

    for _ in range(2):
        seen = store.messages("b").inbox()
        assert ["all", "direct"] == bodies(seen)
        assert {(0, None)} == {(m.attempts, m.receipt) for m in seen}
    assert ["all", "direct"] == bodies(store.messages("b").claim())
    assert [] == store.messages("b").inbox()
    with pytest.raises(StaleReceiptError):
        seen[0].ack()


def test_what_is_due_again_is_seen_in_the_inbox(store, clock):
    store.messages().send(1, topic="t")
    store.messages().claim("t", visible_after_s=1)
    clock.advance(1)

    assert [1] == bodies(store.messages().inbox("t"))


def test_counts_tell_the_states_and_the_oldest_age(store, clock):
    messages = store.messages()
    for number in range(4):
        messages.send(number, topic="t", attempts_max=1)
    messages.send("later", topic="t", delay_s=60)
    messages.claim("t", limit=1)
    messages.claim("t", limit=1)[0].nack()
    clock.advance(0.7)

    assert Counts(2, 1, 1, 1, 700) == messages.counts()
    clock.advance(60)
    # What is in hand at its last attempt is dead once its time is over, seen or not.
    assert (3, 0, 0, 2) == messages.counts()[:4]
    assert 2 == len(messages.dead())
    assert (3, 0, 0, 2) == messages.counts()[:4]
    assert {"ready": 3, "dead": 2}.items() <= messages.counts().to_dict().items()


def test_what_is_said_to_everyone_counts_for_those_who_claimed_it(store):
    store.messages("a").send_many([1, 2, 3])
    assert Counts(0, 0, 0, 0, 0) == store.messages().counts()
    store.messages("b").claim(limit=2)
    store.messages("c").claim(limit=1)

    assert (0, 0, 3, 0) == store.messages().counts()[:4]


def test_pruning_forgets_the_expired_and_the_old_dead(store, clock):
    messages = store.messages()
    messages.send("expired", topic="t", ttl_s=1)
    messages.send("kept", topic="t")
    messages.send("dead", topic="d", attempts_max=1)
    messages.claim("d")[0].nack()
    messages.send("everyone", ttl_s=1)
    messages.send("odd", ttl_s=1, priority=1)
    clock.advance(1)

    assert 3 == messages.prune()
    assert 1 == messages.counts().dead
    clock.advance((round(store.config.event_retention_s * 1000)) / 1000)
    assert 1 == messages.prune()
    assert (1, 0, 0, 0) == messages.counts()[:4]


def test_a_message_shows_the_same_json_at_every_door(store):
    store.messages().send({"a": [1, None]}, topic="t")

    shown = store.messages().claim("t")[0].to_dict()

    assert {"a": [1, None]} == shown["body"]
    assert {"message_id", "receipt", "attempts", "sender", "topic"} <= shown.keys()
