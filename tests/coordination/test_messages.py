"""Messages: who gets which, how often, in which order, and what happens when nobody says done."""

import time

import pytest
from coordination_services import Services
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from letterbox import WAIT_S, bodies, in_thread

from swarm_memory.errors import (
    InvalidArgumentError,
    InvalidValueError,
    LimitExceededError,
    OpIdReusedError,
    StaleReceiptError,
    WaitTimeoutError,
)
from swarm_memory.messages import BROADCAST_TTL_S, Counts
from swarm_memory.records import Records
from swarm_memory.testing import ManualClock

# --- to whom ---


def test_a_message_to_an_agent_reaches_that_agent_only(store, clock):
    sent = store.messages("a").send(
        {"n": 1}, to="b", type="ping", priority=3, correlation="c", reply_to="d"
    )

    assert [] == store.messages("c").claim()
    (message,) = store.messages("b").claim()
    assert {"n": 1} == message.body
    assert (sent.message_id, "a", "b", None, "ping", 3, 1, clock.now_ms(), "c", "agent:d") == (
        message.message_id, message.sender, message.to, message.topic, message.type,
        message.priority, message.attempts, message.sent_ms, message.correlation,
        message.reply_to,
    )  # fmt: skip
    message.ack()
    assert Counts(0, 0, 0, 0, 0) == store.messages().counts()


def test_of_those_who_claim_from_a_topic_one_gets_a_message(store):
    for number in range(6):
        store.messages("a").send(number, topic="reviews")

    first = store.messages("b").claim("reviews", limit=4, visible_after_s=60)
    second = store.messages("c").claim("reviews")

    assert ([0, 1, 2, 3], [4, 5]) == (bodies(first), bodies(second))
    assert "reviews" == first[0].topic and first[0].to is None
    assert [] == store.messages("d").claim("reviews")


def test_topics_and_agents_of_one_name_are_different(store):
    store.messages().send("topic", topic="b")
    store.messages().send("agent", to="b")

    assert ["agent"] == bodies(store.messages("b").claim())
    assert ["topic"] == bodies(store.messages("b").claim("b"))


def test_what_is_said_to_everyone_reaches_each_agent_once(store):
    store.messages("a").send("hello")

    for agent in "abc":
        (message,) = store.messages(agent).claim()
        assert ("hello", "a", agent) == (message.body, message.sender, message.to)
        message.ack()
        assert [] == store.messages(agent).claim()


def test_who_joins_later_still_hears_what_was_said_to_everyone(store, clock):
    store.messages("a").send("early")
    store.messages("b").claim()[0].ack()
    store.messages("a").send("late")
    clock.advance((3_600_000) / 1000)

    assert ["early", "late"] == bodies(store.messages("newcomer").claim())
    assert ["late"] == bodies(store.messages("b").claim())


def test_who_joins_after_it_expired_does_not(store, clock):
    store.messages("a").send("short", ttl_s=1)
    store.messages("a").send("default")
    clock.advance(1)
    assert ["default"] == bodies(store.messages("b").claim())
    clock.advance((round(BROADCAST_TTL_S * 1000)) / 1000)

    assert [] == store.messages("c").claim()


def test_a_broadcast_comes_again_to_the_agent_that_did_not_acknowledge(store, clock):
    store.messages("a").send("hello")
    store.messages("b").claim(visible_after_s=1)
    store.messages("c").claim()[0].ack()
    clock.advance(1)

    (message,) = store.messages("b").claim()
    assert ("hello", 2) == (message.body, message.attempts)
    assert [] == store.messages("c").claim()


def test_an_inbox_keeps_the_order_of_broadcasts_and_direct_messages(store):
    sender = store.messages("a")
    sender.send(1)
    sender.send(2, to="b")
    sender.send(3)
    sender.send(4, to="b")

    assert [1, 2, 3, 4] == bodies(store.messages("b").claim())


def test_swarms_do_not_see_each_others_messages(store):
    store.messages(swarm="s").send(1, to="b")
    store.messages(swarm="s").send(2, topic="t")
    store.messages(swarm="s").send(3)
    other = store.messages("b", swarm="t")

    assert ([], [], []) == (other.claim(), other.claim("t"), other.inbox())
    assert Counts(0, 0, 0, 0, 0) == other.counts()


def test_a_receipt_of_another_swarm_is_worth_nothing(store):
    store.messages(swarm="s").send(1, topic="t")
    (message,) = store.messages(swarm="s").claim("t")

    with pytest.raises(StaleReceiptError):
        store.messages(swarm="other").ack(message.receipt)
    message.ack()


# --- in which order, and when ---


def test_a_topic_is_first_in_first_out_within_a_priority(store):
    for number, priority in enumerate([0, 5, 0, 5, -1]):
        store.messages().send(number, topic="t", priority=priority)

    assert [1, 3, 0] == bodies(store.messages().claim("t", limit=3))
    assert [2, 4] == bodies(store.messages().claim("t"))


def test_a_message_given_back_comes_before_younger_ones(store):
    for number in range(3):
        store.messages().send(number, topic="t")
    (first,) = store.messages().claim("t", limit=1)
    first.nack()

    assert [0, 1, 2] == bodies(store.messages().claim("t"))


def test_strict_order_waits_for_what_is_open(store, clock):
    for number in range(3):
        store.messages().send(number, topic="t")
    store.messages("a").claim("t", limit=1, order="strict", visible_after_s=1)

    assert [] == store.messages("b").claim("t", order="strict")
    clock.advance(1)
    again = store.messages("b").claim("t", limit=1, order="strict")
    assert ([0], [2]) == (bodies(again), [m.attempts for m in again])
    again[0].ack()
    assert [1, 2] == bodies(store.messages("b").claim("t", order="strict"))


def test_a_delayed_message_shows_when_it_is_due(store, clock):
    sent = store.messages().send("later", topic="t", delay_s=2)
    store.messages().send("for all", delay_s=2)
    assert clock.now_ms() + 2000 == sent.visible_ms
    assert ([], []) == (store.messages().claim("t"), store.messages("b").claim())
    assert 2 == store.messages().counts().delayed

    clock.advance(2)

    (message,) = store.messages().claim("t")
    assert ("later", 1) == (message.body, message.attempts)
    assert ["for all"] == bodies(store.messages("b").claim())


def test_an_expired_message_is_dropped_and_those_behind_it_are_given(store, clock):
    for number in range(20):
        store.messages().send(number, topic="t", ttl_s=1 if number % 4 else None)
    clock.advance(1)

    assert [0, 4, 8] == bodies(store.messages().claim("t", limit=3))
    assert [12, 16] == bodies(store.messages().claim("t", limit=3))
    assert Counts(0, 0, 5, 0, 0) == store.messages().counts()


@pytest.mark.parametrize("options", [{}, {"priority": 2}, {"delay_s": 1}, {"attempts_max": 2}])
@pytest.mark.parametrize("everyone", [False, True])
def test_an_expired_message_that_was_tried_is_kept_among_the_dead(store, clock, options, everyone):
    where = {} if everyone else {"to": "b"}
    messages = store.messages("b")
    store.messages("a").send_many(["late", "back", "hidden", "never"], ttl_s=3, **options, **where)
    clock.advance(1)
    _, back, hidden = messages.claim(limit=3, visible_after_s=1)
    back.nack(reason="no")
    hidden.nack(delay_s=10)
    clock.advance(2)

    assert 2 == messages.counts().dead
    assert [] == messages.claim()
    clock.advance(8)
    reasons = {message.body: message.reason for message in messages.dead()}
    late_reason = "expired: not acknowledged in time by b"
    assert {"late": late_reason, "back": "expired: no", "hidden": "expired"} == reasons
    assert Counts(0, 0, 0, 3, 0) == messages.counts()


def test_giving_an_expired_message_back_buries_it(store, clock):
    store.messages().send("work", topic="t", ttl_s=1)
    (message,) = store.messages().claim("t")
    clock.advance(1)
    assert 1 == store.messages().counts().claimed
    message.nack(reason="cannot parse")

    (dead,) = store.messages().dead("t")
    assert ("work", "expired: cannot parse", 1) == (dead.body, dead.reason, dead.attempts)


def test_an_expired_message_in_hand_can_be_acknowledged(store, clock):
    store.messages().send("work", topic="t", ttl_s=1)
    (message,) = store.messages().claim("t")
    clock.advance(2)

    message.ack()

    assert Counts(0, 0, 0, 0, 0) == store.messages().counts()


# --- sending once ---


def test_a_batch_is_sent_completely_or_not_at_all(store):
    with pytest.raises(InvalidValueError):
        store.messages().send_many([1, float("nan"), 3], topic="t")
    assert [] == store.messages().inbox("t")
    assert [] == store.messages().send_many([], topic="t")
    sent = store.messages().send_many([1, 2], topic="t", op_id="op", type="x")

    assert sent == store.messages().send_many([1, 2], topic="t", op_id="op", type="x")
    found = store.messages().claim("t")
    assert [1, 2] == bodies(found)
    assert [each.message_id for each in sent] == [message.message_id for message in found]
    assert sorted(each.message_id for each in sent) == [each.message_id for each in sent]
    with pytest.raises(LimitExceededError):
        store.messages().send_many(range(store.config.batch_rows_max + 1), topic="t")


def test_a_repeated_send_with_one_op_id_sends_once(store, clock):
    first = store.messages().send("x", topic="t", op_id="op-1")
    clock.advance(0.01)

    assert first == store.messages().send("x", topic="t", op_id="op-1")
    with pytest.raises(OpIdReusedError):
        store.messages().send("y", topic="t", op_id="op-1")
    store.messages("b").send("y", topic="t", op_id="op-1")
    assert ["x", "y"] == bodies(store.messages().claim("t"))


def test_a_send_is_seen_only_if_its_transaction_commits(store):
    def write(tx, fail):
        Records(tx, store.context()).put("k/a", 1)
        store.messages().within(tx).send("put", topic="t")
        if fail:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.engine.write(lambda tx: write(tx, True))
    assert [] == store.messages().claim("t")
    store.engine.write(lambda tx: write(tx, False))
    assert ["put"] == bodies(store.messages().claim("t"))


def test_a_message_is_claimed_and_done_in_the_transaction_of_its_work(store):
    store.messages().send("work", topic="t")

    def work(tx, fail):
        messages = store.messages().within(tx)
        (message,) = messages.claim("t")
        Records(tx, store.context()).put("k/a", message.body)
        messages.ack(message)
        if fail:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.engine.write(lambda tx: work(tx, True))
    store.engine.write(lambda tx: work(tx, False))
    assert [] == store.messages().inbox("t")


def test_nothing_is_waited_for_in_a_transaction(store):
    def wait(tx):
        messages = store.messages().within(tx)
        with pytest.raises(InvalidArgumentError):
            messages.claim("t", wait_s=1)
        with pytest.raises(InvalidArgumentError):
            messages.request(1, to="b")
        assert [] == messages.claim("t")

    store.engine.write(wait)


# --- waiting, asking and answering ---


def test_a_claim_waits_for_a_message(store):
    get = in_thread(lambda: store.messages("b").claim("t", wait_s=WAIT_S))
    store.messages("a").send("now", topic="t")

    assert ["now"] == bodies(get())


def test_a_claim_waits_for_what_is_said_to_everyone(store):
    get = in_thread(lambda: store.messages("b").claim(wait_s=WAIT_S))
    store.messages("a").send("now")

    assert ["now"] == bodies(get())


def test_what_is_sent_between_the_look_and_the_wait_is_not_waited_for(store, monkeypatch):
    version = store.engine.version

    def send_before(*_):
        store.messages("a").send("just now", topic="t")
        return version()

    def wait(*_):
        raise AssertionError("it waits although there is something")

    messages = store.messages("b")
    monkeypatch.setattr(store.engine, "version", send_before)
    monkeypatch.setattr(store.engine, "wait", wait)

    assert ["just now"] == bodies(messages.claim("t", wait_s=WAIT_S))


def test_a_claim_notices_when_something_becomes_due(store, clock):
    store.messages().send("later", topic="t", delay_s=60)
    get = in_thread(lambda: store.messages().claim("t", wait_s=WAIT_S))
    clock.advance((60_000) / 1000)

    assert ["later"] == bodies(get())


def test_a_wait_that_is_over_gives_nothing(store):
    began = time.monotonic()

    assert [] == store.messages().claim("t", wait_s=0.05)
    assert 0.05 <= time.monotonic() - began < WAIT_S


def test_a_request_gets_its_answer_and_others_do_not(store):
    get = in_thread(lambda: store.messages("a").request("2 + 2", to="b", timeout_s=WAIT_S))
    (question,) = store.messages("b").claim(wait_s=WAIT_S)
    question.reply(4)
    question.ack()

    answer = get()

    assert (4, "b", question.correlation) == (answer.body, answer.sender, answer.correlation)
    assert [] == store.messages("a").claim()
    assert Counts(0, 0, 0, 0, 0) == store.messages().counts()


def test_a_request_without_an_answer_ends_and_is_never_worked_on(store, clock):
    with pytest.raises(WaitTimeoutError):
        store.messages("a").request("anybody?", to="b", timeout_s=0.05)
    clock.advance(0.05)

    assert [] == store.messages("b").claim()


def test_an_answer_to_an_ordinary_message_goes_to_its_sender_or_where_it_asked(store):
    sent = store.messages("a").send("question", to="b")
    store.messages("a").send("question", to="b", reply_to="topic:answers", correlation="c-1")
    for message in store.messages("b").claim():
        message.reply("answer", type="answer")

    (direct,) = store.messages("a").claim()
    (other,) = store.messages("c").claim("answers")
    assert (sent.message_id, "c-1") == (direct.correlation, other.correlation)
    assert "answer" == other.type


# --- what is refused ---


@pytest.mark.parametrize(
    "options",
    [
        {"to": "b", "topic": "t"}, {"to": ""}, {"topic": ""}, {"topic": "a\0b"},
        {"topic": "t" * 1025}, {"to": 7}, {"priority": 1001}, {"priority": True},
        {"delay_s": -1}, {"delay_s": float("nan")}, {"ttl_s": 0}, {"ttl_s": "1"}, {"type": ""},
        {"op_id": ""}, {"attempts_max": 0}, {"correlation": "c" * 256}, {"reply_to": ""},
    ],
)  # fmt: skip
def test_a_send_out_of_range_is_refused(store, options):
    with pytest.raises(InvalidArgumentError):
        store.messages().send(1, **options)


@pytest.mark.parametrize(
    "options",
    [{"limit": 0}, {"limit": 10**9}, {"visible_after_s": 0}, {"wait_s": -1}, {"order": "lifo"},
     {"topic": ""}],
)  # fmt: skip
def test_a_claim_out_of_range_is_refused(store, options):
    with pytest.raises(InvalidArgumentError):
        store.messages().claim(**options)


def test_a_body_that_is_no_json_or_too_large_is_refused(store):
    with pytest.raises(InvalidValueError):
        store.messages().send(float("nan"), topic="t")
    with pytest.raises(LimitExceededError):
        store.messages().send("x" * (store.config.value_bytes_max + 1), topic="t")
    assert Counts(0, 0, 0, 0, 0) == store.messages().counts()


# --- against a model ---


class Sheet:
    """What the model knows of one message."""

    def __init__(self, body, priority, attempts_max):
        self.body, self.priority, self.attempts_max = body, priority, attempts_max
        self.attempts, self.state, self.until, self.message = 0, "ready", 0, None


class MessageMachine(RuleBasedStateMachine):
    """Send, claim, ack, nack, extend, revive and time on one topic, against a list."""

    def __init__(self):
        super().__init__()
        self.clock = ManualClock()
        self.store = Services("sqlite:///:memory:", self.clock)
        self.messages = self.store.messages()
        self.sheets, self.stale = [], []
        self.number = 0

    def refresh(self):
        for sheet in self.sheets:
            if sheet.state == "hidden" and sheet.until <= self.clock.now_ms():
                sheet.state = "dead" if sheet.attempts >= sheet.attempts_max else "ready"
                self.stale.append(sheet.message)

    def hidden(self):
        return [sheet for sheet in self.sheets if sheet.state == "hidden"]

    @rule(priority=st.integers(-1, 1), attempts_max=st.integers(1, 3))
    def send(self, priority, attempts_max):
        self.number += 1
        self.messages.send(self.number, topic="t", priority=priority, attempts_max=attempts_max)
        self.sheets.append(Sheet(self.number, priority, attempts_max))

    @rule(limit=st.integers(1, 3), seconds=st.integers(1, 3))
    def claim(self, limit, seconds):
        self.refresh()
        ready = [sheet for sheet in self.sheets if sheet.state == "ready"]
        ready.sort(key=lambda sheet: (-sheet.priority, sheet.body))
        messages = self.messages.claim("t", limit=limit, visible_after_s=seconds)
        assert bodies(messages) == [sheet.body for sheet in ready[:limit]]
        for sheet, message in zip(ready, messages, strict=False):
            sheet.state, sheet.until, sheet.message = "hidden", message.visible_ms, message
            sheet.attempts += 1
            assert (sheet.attempts, self.clock.now_ms() + 1000 * seconds) == (
                message.attempts,
                message.visible_ms,
            )

    @precondition(lambda self: self.hidden())
    @rule(data=st.data(), how=st.sampled_from(["ack", "nack", "extend"]))
    def use(self, data, how):
        sheet = data.draw(st.sampled_from(self.hidden()))
        getattr(sheet.message, how)()
        if how == "extend":
            sheet.until = self.clock.now_ms() + 60_000
            return
        self.stale.append(sheet.message)
        if how == "ack":
            self.sheets.remove(sheet)
        else:
            sheet.state = "dead" if sheet.attempts >= sheet.attempts_max else "ready"

    @precondition(lambda self: self.stale)
    @rule(data=st.data(), how=st.sampled_from(["ack", "nack", "extend"]))
    def use_a_stale_receipt(self, data, how):
        self.messages.inbox("t")
        message = data.draw(st.sampled_from(self.stale))
        with pytest.raises(StaleReceiptError):
            getattr(message, how)()

    @rule(data=st.data())
    def revive(self, data):
        dead = [message.message_id for message in self.messages.dead()]
        self.refresh()
        if dead:
            chosen = data.draw(st.sampled_from(self.messages.dead()))
            self.messages.revive(chosen.message_id)
            sheet = next(sheet for sheet in self.sheets if sheet.body == chosen.body)
            sheet.state, sheet.attempts = "ready", 0

    @rule(ms=st.integers(1, 2500))
    def pass_time(self, ms):
        self.clock.advance((ms) / 1000)

    @invariant()
    def nothing_is_lost_and_nothing_doubled(self):
        self.refresh()
        states = [sheet.state for sheet in self.sheets]
        assert sorted(s.body for s in self.sheets if s.state == "dead") == sorted(
            bodies(self.messages.dead("t"))
        )
        seen = bodies(self.messages.inbox("t"))
        ready = [sheet for sheet in self.sheets if sheet.state == "ready"]
        ready.sort(key=lambda sheet: (-sheet.priority, sheet.body))
        assert [sheet.body for sheet in ready] == seen
        assert states.count("hidden") == self.messages.counts().claimed

    def teardown(self):
        self.store.engine.close()


TestMessageMachine = MessageMachine.TestCase
TestMessageMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
