"""A state machine drives messages of several agents, and compares every answer with a model.

The model keeps every message of every queue, what is said to everyone once per agent, with its
state at each moment. Nothing may be lost on the way: what was sent is ready, delayed, claimed or
dead until it is acknowledged or expires.
"""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from swarm_memory.errors import NotFoundError, StaleReceiptError
from swarm_memory.messages import BROADCAST_TTL_S
from swarm_memory.testing import Store

# Agent and session: b's two sessions consume from one inbox.
DOORS = [("a", "s1"), ("b", "s1"), ("b", "s2"), ("b", None)]
AGENTS = ["a", "b"]
TOPICS = ["t", "a"]  # a topic and an agent of one name are two queues
QUEUES = [*(("agent", agent) for agent in AGENTS), *(("topic", topic) for topic in TOPICS)]
SOME_QUEUE = st.sampled_from([*QUEUES, *[("topic", "t")] * 4])  # most meet in one queue
SOME_TOPIC = st.sampled_from([None, "a", "t", "t", "t"])
NUMBERS = st.integers(0, 9)
TIMES = {
    "priority": st.sampled_from([-1, 0, 0, 0, 5]),
    "delay_s": st.sampled_from([0, 0, 0, 1, 4]),
    "ttl_s": st.sampled_from([None, None, 1, 2, 10]),
    "attempts_max": st.integers(1, 3),
}


class Copy:
    """One message in one queue."""

    def __init__(self, sent, priority, attempts_max, now):
        self.id, self.body, self.revived = sent.message_id, None, False
        self.rank, self.attempts_max = -priority, attempts_max
        self.visible, self.expires = sent.visible_ms, sent.expires_ms
        self.state = "hidden" if sent.visible_ms > now else "ready"
        self.attempts, self.receipt, self.session = 0, None, None

    def expired(self, now):
        return self.expires is not None and self.expires <= now


class MessageMachine(RuleBasedStateMachine):
    @initialize()
    def start(self):
        self.store = Store("sqlite:///:memory:")
        first = self.store.open()
        self.doors = [first.as_agent(agent, session=session) for agent, session in DOORS]
        self.queues = {queue: [] for queue in QUEUES}
        self.broadcasts = []
        self.told = dict.fromkeys(AGENTS, 0)  # how many broadcasts an agent's queue has got
        self.heard = set()  # (queue, id) of each first delivery
        self.taken = []  # every delivery there was: (queue, message)
        self.forgotten = set()  # broadcasts of which nothing is left
        self.sent = 0
        self.op_ids = {}

    def teardown(self):
        self.store.close()

    @property
    def now(self):
        return self.store.clock.now_ms()

    def queue_of(self, number, topic):
        return ("agent", DOORS[number][0]) if topic is None else ("topic", topic)

    # --- the model ---

    def spread(self, queue):
        """Put what was said to everyone into an agent's queue."""
        kind, agent = queue
        if kind == "agent":
            for sent, body, priority, attempts_max in self.broadcasts[self.told[agent] :]:
                if sent.expires_ms > self.now:
                    self.append(queue, sent, body, priority, attempts_max)
            self.told[agent] = len(self.broadcasts)

    def append(self, queue, sent, body, priority, attempts_max):
        copy = Copy(sent, priority, attempts_max, self.now)
        copy.body = body
        self.queues[queue].append(copy)

    def refresh(self, queue):
        self.spread(queue)
        for copy in self.queues[queue]:
            if copy.state == "hidden" and copy.visible <= self.now:
                self.come_back(copy)

    def come_back(self, copy):
        copy.receipt = None
        copy.state = "dead" if copy.attempts >= copy.attempts_max else "ready"

    def ready(self, queue):
        """Return what is shown, the highest priority first, then as it was sent."""
        found = [copy for copy in self.queues[queue] if copy.state == "ready"]
        return sorted(found, key=lambda copy: copy.rank)  # stable: the queue is in that order

    def refresh_if_due(self, queue):
        due = any(c.state == "hidden" and c.visible <= self.now for c in self.queues[queue])
        if due or (queue[0] == "agent" and self.told[queue[1]] < len(self.broadcasts)):
            self.refresh(queue)

    def of_receipt(self, queue, message):
        found = [c for c in self.queues[queue] if message.receipt == c.receipt]
        assert len(found) <= 1
        return found[0] if found and found[0].state == "hidden" else None

    def delivery(self, number):
        """Return one of the deliveries, 0 for the last one: older ones are mostly stale."""
        return self.taken[-1 - number % len(self.taken)]

    # --- sending ---

    def expect_sent(self, sent, delay_s, ttl_s):
        assert self.now == sent.sent_ms
        assert self.now + 1000 * delay_s == sent.visible_ms
        assert (None if ttl_s is None else self.now + 1000 * ttl_s) == sent.expires_ms

    @rule(number=st.integers(0, 3), queue=SOME_QUEUE, **TIMES)
    def send(self, number, queue, priority, delay_s, ttl_s, attempts_max):
        self.sent += 1
        kind, name = queue
        where = {"to" if kind == "agent" else "topic": name}
        sent = self.doors[number].messages.send(
            self.sent,
            **where,
            priority=priority,
            delay_s=delay_s,
            ttl_s=ttl_s,
            attempts_max=attempts_max,
        )
        self.expect_sent(sent, delay_s, ttl_s)
        self.spread(queue)  # what was said to everyone before is before it
        self.append(queue, sent, self.sent, priority, attempts_max)

    @rule(number=st.integers(0, 3), **TIMES)
    def say_to_everyone(self, number, priority, delay_s, ttl_s, attempts_max):
        self.sent += 1
        sent = self.doors[number].messages.send(
            self.sent, priority=priority, delay_s=delay_s, ttl_s=ttl_s, attempts_max=attempts_max
        )
        self.expect_sent(sent, delay_s, BROADCAST_TTL_S if ttl_s is None else ttl_s)
        self.broadcasts.append((sent, self.sent, priority, attempts_max))

    @rule(number=st.integers(0, 3), op_id=st.sampled_from(["one", "two"]))
    def send_again_with_one_op_id(self, number, op_id):
        agent = DOORS[number][0]
        first = self.op_ids.get((agent, op_id))
        sent = self.doors[number].messages.send(op_id, topic="t", op_id=op_id)
        if first is None:
            self.append(("topic", "t"), sent, op_id, 0, 5)
            self.op_ids[agent, op_id] = sent
        else:
            assert first == sent

    # --- receiving ---

    @rule(
        number=st.integers(0, 3),
        topic=SOME_TOPIC,
        limit=st.integers(1, 4),
        seconds=st.sampled_from([1, 3, 30, 30]),
        order=st.sampled_from(["fifo", "fifo", "strict"]),
    )
    def claim(self, number, topic, limit, seconds, order):
        queue = self.queue_of(number, topic)
        self.refresh_if_due(queue)
        copies = self.queues[queue]
        in_hand = any(copy.state == "hidden" and copy.attempts for copy in copies)
        expected = []
        for copy in self.ready(queue) if order == "fifo" or not in_hand else ():
            if len(expected) == limit:
                break
            if copy.expired(self.now):
                copies.remove(copy)
            else:
                expected.append(copy)

        door = self.doors[number]
        messages = door.messages.claim(topic, limit=limit, visible_after_s=seconds, order=order)

        assert [copy.id for copy in expected] == [message.message_id for message in messages]
        for copy, message in zip(expected, messages, strict=True):
            if copy.attempts == 0 and not copy.revived:
                assert (queue, copy.id) not in self.heard, "it was delivered before"
                self.heard.add((queue, copy.id))
            copy.attempts += 1
            copy.state, copy.visible = "hidden", self.now + 1000 * seconds
            copy.receipt, copy.session = message.receipt, DOORS[number][1]
            assert (copy.body, copy.attempts) == (message.body, message.attempts)
            assert (-copy.rank, copy.visible) == (message.priority, message.visible_ms)
            kind, name = queue
            address = (name, None) if kind == "agent" else (None, name)
            assert address == (message.to, message.topic)
            self.taken.append((queue, message))

    @precondition(lambda self: self.taken)
    @rule(numbers=st.lists(NUMBERS, max_size=4))
    def ack_many(self, numbers):
        deliveries = [self.delivery(number) for number in numbers]
        deliveries = [each for n, each in enumerate(deliveries) if each not in deliveries[:n]]
        current = [self.of_receipt(*delivery) for delivery in deliveries]
        messages = [message for _, message in deliveries]
        if None in current:
            with pytest.raises(StaleReceiptError) as caught:
                self.doors[0].messages.ack(*messages)
            for copy, message in zip(current, messages, strict=True):
                assert (copy is None) == (message.receipt in str(caught.value))
        else:
            assert len(messages) == self.doors[0].messages.ack(*messages)
        for (queue, _), copy in zip(deliveries, current, strict=True):
            if copy is not None:
                self.queues[queue].remove(copy)

    @precondition(lambda self: self.taken)
    @rule(
        number=NUMBERS,
        how=st.sampled_from(["ack", "nack", "nack", "extend"]),
        seconds=st.sampled_from([0, 0, 2, 20]),
    )
    def use(self, number, how, seconds):
        queue, message = self.delivery(number)
        copy = self.of_receipt(queue, message)
        arguments = {"ack": (), "nack": (seconds, "it did not work"), "extend": (seconds + 1,)}[how]
        if copy is None:
            with pytest.raises(StaleReceiptError):
                getattr(message, how)(*arguments)
            return
        getattr(message, how)(*arguments)
        if how == "ack":
            self.queues[queue].remove(copy)
        elif how == "extend":
            copy.visible = self.now + 1000 * (seconds + 1)
        else:
            self.come_back(copy)
            copy.visible = self.now + 1000 * seconds
            if copy.state == "ready" and seconds:
                copy.state = "hidden"

    @rule(number=NUMBERS)
    def revive(self, number):
        for queue in QUEUES:
            self.refresh_if_overdue(queue)
        self.doors[0].messages.dead()
        dead = [c for copies in self.queues.values() for c in copies if c.state == "dead"]
        if not dead:
            with pytest.raises(NotFoundError):
                self.doors[0].messages.revive("01JZZZZZZZZZZZZZZZZZZZZZZZ")
            return
        chosen = dead[number % len(dead)]
        alike = [copy for copy in dead if copy.id == chosen.id]
        assert len(alike) == self.doors[0].messages.revive(chosen.id)
        for copy in alike:
            copy.state, copy.attempts, copy.visible = "ready", 0, self.now
            copy.revived = True
            copy.expires = None if copy.expired(self.now) else copy.expires

    def refresh_if_overdue(self, queue):
        if any(c.state == "hidden" and c.visible <= self.now for c in self.queues[queue]):
            self.refresh(queue)

    # --- the world ---

    @rule(seconds=st.sampled_from([0.5, 1, 2, 5]))
    def pass_time(self, seconds):
        self.store.clock.advance(seconds)

    @rule(session=st.sampled_from(["s1", "s2", "s3"]))
    def end_session(self, session):
        in_hand = [
            copy
            for copies in self.queues.values()
            for copy in copies
            if copy.state == "hidden" and copy.receipt and copy.session == session
        ]
        assert len(in_hand) == self.doors[0].messages.end_session(session)
        for copy in in_hand:
            copy.visible = self.now

    @rule()
    def prune(self):
        gone = 0
        for copies in self.queues.values():
            for copy in list(copies):
                if copy.state != "dead" and copy.receipt is None and copy.expired(self.now):
                    copies.remove(copy)
                    gone += 1
        referred = {copy.id for copies in self.queues.values() for copy in copies}
        kept = [
            sent
            for sent, *_ in self.broadcasts
            if sent.expires_ms > self.now
            or sent is self.broadcasts[-1][0]
            or sent.message_id in referred
        ]
        forgotten = {sent.message_id for sent, *_ in self.broadcasts} - {
            sent.message_id for sent in kept
        }
        gone += len(forgotten - self.forgotten)
        self.forgotten |= forgotten
        assert gone == self.doors[0].messages.prune()

    # --- what always holds ---

    @invariant()
    def nothing_is_lost_and_nothing_doubled(self):
        if not hasattr(self, "queues"):
            return
        counts = self.doors[0].messages.counts()
        expected = dict.fromkeys(["ready", "delayed", "claimed", "dead"], 0)
        for copies in self.queues.values():
            for copy in copies:
                if copy.state == "dead" or not copy.expired(self.now):
                    expected[self.shown(copy)] += 1
        assert tuple(expected.values()) == counts[:4]

    def shown(self, copy):
        if copy.state != "hidden":
            return copy.state
        if copy.visible <= self.now:
            return "ready"
        return "claimed" if copy.receipt else "delayed"

    @rule(number=st.integers(0, 3), topic=SOME_TOPIC)
    def look(self, number, topic):
        queue = self.queue_of(number, topic)
        self.refresh_if_due(queue)
        expected = [c.id for c in self.ready(queue) if not c.expired(self.now)]
        found = self.doors[number].messages.inbox(topic)
        assert expected == [message.message_id for message in found]
        assert all(message.receipt is None for message in found)
        self.look_at_the_dead()

    def look_at_the_dead(self):
        for queue in QUEUES:
            self.refresh_if_overdue(queue)
        found = sorted(message.message_id for message in self.doors[0].messages.dead())
        dead = [c for copies in self.queues.values() for c in copies if c.state == "dead"]
        assert sorted(copy.id for copy in dead) == found
        assert all(copy.attempts <= copy.attempts_max for copy in dead)


MessageMachine.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestMessages = MessageMachine.TestCase
