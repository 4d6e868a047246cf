"""A state machine drives messages of several agents, and compares every answer with a model.

The model keeps every message of every queue by itself, what is said to everyone once per agent,
with its state at each moment; the store keeps them in runs. Nothing may be lost on the way: what
was sent is ready, delayed, claimed or dead until it is acknowledged, or expires unclaimed.
"""

import re

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from swarm_memory.backup.writing import COUNTED
from swarm_memory.errors import NotFoundError, StaleReceiptError
from swarm_memory.messages import ATTEMPTS_MAX, BROADCAST_TTL_S
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
    "attempts_max": st.sampled_from([ATTEMPTS_MAX, ATTEMPTS_MAX, 1, 2, 3]),
}


class Copy:
    """One message in one queue; `number` is its place in the order of all that was sent."""

    def __init__(self, number, sent, body, priority, attempts_max, now):
        self.number, self.id, self.body, self.revived = number, sent.message_id, body, False
        self.rank, self.attempts_max = -priority, attempts_max
        self.visible, self.expires = sent.visible_ms, sent.expires_ms
        self.state = "hidden" if sent.visible_ms > now else "ready"
        self.attempts, self.receipt, self.session = 0, None, None

    def expired(self, now):
        return self.expires is not None and self.expires <= now

    def due(self, now):
        """Tell whether a look at its queue changes its state."""
        if self.state == "hidden":
            return self.visible <= now
        return self.state == "ready" and self.attempts > 0 and self.expired(now)


class MessageMachine(RuleBasedStateMachine):
    @initialize()
    def start(self):
        self.store = Store("sqlite:///:memory:")
        first = self.store.open()
        self.doors = [first.as_agent(agent, session=session) for agent, session in DOORS]
        self.queues = {queue: [] for queue in QUEUES}
        self.broadcasts = []
        # What is said to everyone and an agent has not claimed; what is odd until it looks.
        self.unheard = {agent: [] for agent in AGENTS}
        self.unspread = {agent: [] for agent in AGENTS}
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

    def append(self, queue, sent, body, priority=0, attempts_max=ATTEMPTS_MAX):
        self.sent += 1
        copy = Copy(self.sent, sent, body, priority, attempts_max, self.now)
        self.queues[queue].append(copy)

    def spread(self, queue):
        """Put what is odd and was said to everyone into an agent's queue."""
        kind, agent = queue
        if kind == "agent":
            alive = [copy for copy in self.unspread[agent] if not copy.expired(self.now)]
            for copy in alive:
                copy.state = "hidden" if copy.visible > self.now else "ready"
            self.queues[queue] += alive
            self.unspread[agent] = []

    def refresh_if_due(self, queue):
        if self.overdue(queue) or (queue[0] == "agent" and self.unspread[queue[1]]):
            self.refresh(queue)

    def refresh_overdue(self):
        for queue in filter(self.overdue, QUEUES):
            self.refresh(queue)

    def overdue(self, queue):
        return any(copy.due(self.now) for copy in self.queues[queue])

    def refresh(self, queue):
        self.spread(queue)
        for copy in self.queues[queue]:
            if copy.due(self.now):
                self.come_back(copy)

    def come_back(self, copy):
        copy.receipt = None
        lapsed = copy.attempts > 0 and copy.expired(self.now)
        copy.state = "dead" if lapsed or copy.attempts >= copy.attempts_max else "ready"

    def unclaimed(self, queue):
        """Return what is plain, was said to everyone, and this queue's agent has not claimed."""
        return self.unheard[queue[1]] if queue[0] == "agent" else []

    def ready(self, queue):
        """Return what is shown, the highest priority first, then as it was sent."""
        found = [copy for copy in self.queues[queue] if copy.state == "ready"]
        return sorted(found + self.unclaimed(queue), key=lambda copy: (copy.rank, copy.number))

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

    @rule(number=st.integers(0, 3), queue=SOME_QUEUE, count=st.integers(1, 4), **TIMES)
    def send(self, number, queue, count, priority, delay_s, ttl_s, attempts_max):
        kind, name = queue
        where = {"to" if kind == "agent" else "topic": name}
        bodies = [self.sent + n for n in range(count)]
        sent = self.doors[number].messages.send_many(
            bodies,
            **where,
            priority=priority,
            delay_s=delay_s,
            ttl_s=ttl_s,
            attempts_max=attempts_max,
        )
        for each, body in zip(sent, bodies, strict=True):
            self.expect_sent(each, delay_s, ttl_s)
            self.append(queue, each, body, priority, attempts_max)

    @rule(number=st.integers(0, 3), **TIMES)
    def say_to_everyone(self, number, priority, delay_s, ttl_s, attempts_max):
        self.sent += 1
        body = self.sent
        sent = self.doors[number].messages.send(
            body, priority=priority, delay_s=delay_s, ttl_s=ttl_s, attempts_max=attempts_max
        )
        self.expect_sent(sent, delay_s, BROADCAST_TTL_S if ttl_s is None else ttl_s)
        self.broadcasts.append(sent)
        odd = (priority, delay_s, attempts_max) != (0, 0, ATTEMPTS_MAX)
        waiting = self.unspread if odd else self.unheard
        for agent in AGENTS:
            copy = Copy(body, sent, body, priority, attempts_max, self.now)
            waiting[agent].append(copy)

    @rule(number=st.integers(0, 3), op_id=st.sampled_from(["one", "two"]))
    def send_again_with_one_op_id(self, number, op_id):
        agent = DOORS[number][0]
        first = self.op_ids.get((agent, op_id))
        sent = self.doors[number].messages.send(op_id, topic="t", op_id=op_id)
        if first is None:
            self.append(("topic", "t"), sent, op_id)
            self.op_ids[agent, op_id] = sent
        else:
            assert first == sent

    # --- receiving ---

    @rule(
        number=st.integers(0, 3),
        topic=SOME_TOPIC,
        limit=st.integers(1, 6),
        seconds=st.sampled_from([1, 3, 30, 30]),
        order=st.sampled_from(["fifo", "fifo", "strict"]),
        done=st.one_of(st.just([]), st.lists(NUMBERS, max_size=4)),
    )
    def claim(self, number, topic, limit, seconds, order, done):
        done = self.deliveries(done)
        current = [self.of_receipt(*delivery) for delivery in done]
        claims = {"limit": limit, "visible_after_s": seconds, "order": order}
        claims["done"] = [message for _, message in done]
        self.remove(done, current)
        if None in current:
            with pytest.raises(StaleReceiptError) as caught:
                self.doors[number].messages.claim(topic, **claims)
            self.expect_named(done, current, caught)
            return
        queue = self.queue_of(number, topic)
        expected = self.expect_claim(queue, limit, order)

        messages = self.doors[number].messages.claim(topic, **claims)

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
            assert copy.expires == message.expires_ms
            kind, name = queue
            address = (name, None) if kind == "agent" else (None, name)
            assert address == (message.to, message.topic)
            self.taken.append((queue, message))

    def expect_claim(self, queue, limit, order):
        """Take from the model what a claim should give."""
        self.refresh_if_due(queue)
        copies, unclaimed = self.queues[queue], self.unclaimed(queue)
        in_hand = any(copy.state == "hidden" and copy.attempts for copy in copies)
        expected = []
        for copy in self.ready(queue) if order == "fifo" or not in_hand else ():
            if len(expected) == limit:
                break
            if copy in unclaimed:
                unclaimed.remove(copy)
                copies.append(copy)
            if copy.expired(self.now):
                copies.remove(copy)
            else:
                expected.append(copy)
        return expected

    @precondition(lambda self: self.taken)
    @rule(numbers=st.lists(NUMBERS, max_size=4))
    def ack_many(self, numbers):
        done = self.deliveries(numbers)
        current = [self.of_receipt(*delivery) for delivery in done]
        messages = [message for _, message in done]
        if None in current:
            with pytest.raises(StaleReceiptError) as caught:
                self.doors[0].messages.ack(*messages)
            self.expect_named(done, current, caught)
        else:
            assert len(messages) == self.doors[0].messages.ack(*messages)
        self.remove(done, current)

    @precondition(lambda self: self.taken)
    @rule(leave=st.sets(st.integers(0, 5), max_size=2))
    def ack_the_last_batch_but_some(self, leave):
        token = self.taken[-1][1].receipt.partition("-")[2]
        batch = [each for each in self.taken if each[1].receipt.endswith(token)]
        done = [each for n, each in enumerate(batch) if n not in leave]
        done = [each for each in done if self.of_receipt(*each) is not None]
        current = [self.of_receipt(*delivery) for delivery in done]
        assert len(done) == self.doors[0].messages.ack(*(message for _, message in done))
        self.remove(done, current)

    def deliveries(self, numbers):
        """Return different ones of the deliveries."""
        found = [self.delivery(number) for number in numbers] if self.taken else []
        return [each for n, each in enumerate(found) if each not in found[:n]]

    def expect_named(self, done, current, caught):
        for copy, (_, message) in zip(current, done, strict=True):
            assert (copy is None) == (message.receipt in re.split(r"[ ,]+", str(caught.value)))

    def remove(self, done, current):
        for (queue, _), copy in zip(done, current, strict=True):
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
        self.refresh_overdue()
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
        self.refresh_overdue()
        gone = 0
        for copies in self.queues.values():
            for copy in list(copies):
                if copy.state != "dead" and copy.attempts == 0 and copy.expired(self.now):
                    copies.remove(copy)
                    gone += 1
        referred = {copy.id for copies in self.queues.values() for copy in copies}
        expired = {sent.message_id for sent in self.broadcasts if sent.expires_ms <= self.now}
        forgotten = expired - referred
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
                if copy.attempts or not copy.expired(self.now):
                    expected[self.shown(copy)] += 1
        assert tuple(expected.values()) == counts[:4]

    @invariant()
    def no_row_is_left_of_what_is_done(self):
        if not hasattr(self, "queues"):
            return
        said = {sent.message_id for sent in self.broadcasts} - self.forgotten
        own = {c.id for copies in self.queues.values() for c in copies} - self.forgotten - said
        rows = self.doors[0].read(lambda tx: tx.tx.one("backup_counts"))
        assert len(own | said) == rows[COUNTED.index("messages")]

    def shown(self, copy):
        if copy.state == "hidden" and copy.visible > self.now:
            return "claimed" if copy.receipt else "delayed"
        if copy.state == "dead" or (copy.state == "hidden" and copy.attempts >= copy.attempts_max):
            return "dead"
        return "dead" if copy.attempts and copy.expired(self.now) else "ready"

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
        self.refresh_overdue()
        found = sorted(message.message_id for message in self.doors[0].messages.dead())
        dead = [c for copies in self.queues.values() for c in copies if c.state == "dead"]
        assert sorted(copy.id for copy in dead) == found
        assert all(copy.attempts <= copy.attempts_max for copy in dead)


MessageMachine.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestMessages = MessageMachine.TestCase
