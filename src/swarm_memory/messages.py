"""Messages: to an agent, to whoever works on a topic, or to everyone; delivered at least once.

A consumer claims messages: they are hidden from others until it acknowledges them, gives them
back, or its time is over, when they come again. After `attempts_max` attempts a message is dead
and kept with the reason. Within a priority messages come in the order in which they were sent.

A message that expires before anybody claimed it is dropped. One that is in hand then may still be
acknowledged; if it is not, it is dead with the reason "expired" instead of coming again.

What is said to everyone reaches each agent once, whoever joins later included, for as long as it
has not expired. The sender is part of everyone: several processes may act as one agent.

How it is kept: see `runs`.
"""

from __future__ import annotations

import json
import os
import time

from swarm_memory import codec, runs
from swarm_memory.checks import check_name, check_number, check_whole
from swarm_memory.claims import Claim, claims_of, place_of, refuse_stale, shown
from swarm_memory.context import new_ids
from swarm_memory.errors import (
    InvalidArgumentError,
    LimitExceededError,
    NotFoundError,
    WaitTimeoutError,
)
from swarm_memory.letters import VISIBLE_S_DEFAULT, Counts, Letter, Message, Sent
from swarm_memory.meter import metered
from swarm_memory.once import digest_of, once

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeVar

    from swarm_memory.context import Context
    from swarm_memory.engine import Engine, Reader, Row, Tx
    from swarm_memory.model import Json

    T = TypeVar("T")

ORDERS = ("fifo", "strict")
ATTEMPTS_MAX = 5
ATTEMPTS_MAX_MAX = 1000
PRIORITY_MAX = 1000
NAME_BYTES_MAX = 1024
LABEL_BYTES_MAX = 255  # of a type, a correlation, an op_id
REASON_BYTES_MAX = 1024
VISIBLE_S_MAX = 604_800.0
DELAY_S_MAX = 31_536_000.0
TTL_S_MAX = 3_153_600_000.0
WAIT_S_MAX = 86_400.0
BROADCAST_TTL_S = 604_800.0  # else whoever joins would be told everything ever said
REPLY_TTL_S = 3600.0  # an answer that nobody waits for any more
PAUSE_S = 0.0005  # between two looks for nothing
LOOK_S_MAX = 0.25  # look at the clock at least so often: nobody tells when a message shows
_VISIBLE_MS = 14  # column of a message as it is read
_TO_AGENT, _TO_TOPIC, _TO_REPLY = runs.TO_AGENT, "topic:", "reply:"


class Messages:
    """The messages of one swarm, on an engine or inside a transaction.

    Args:
        engine: What to wait on for a change; None in a transaction, where nothing is waited for.
    """

    __slots__ = ("_context", "_db", "_engine", "_home")

    def __init__(self, db: Reader, context: Context, engine: Engine | None = None) -> None:
        self._db = db
        self._context = context
        self._engine = engine
        self._home = self

    def within(self, tx: Tx) -> Messages:
        """Return these messages bound to a transaction: what is sent there is seen if it commits.

        What is claimed there is acknowledged there too with `messages.ack(message)`, or with
        `message.ack()` once it has committed.
        """
        bound = Messages(tx, self._context)
        bound._home = self._home
        return bound

    # --- sending ---

    def send(
        self,
        body: Json,
        *,
        to: str | None = None,
        topic: str | None = None,
        type: str | None = None,
        priority: int = 0,
        delay_s: float = 0.0,
        ttl_s: float | None = None,
        op_id: str | None = None,
        correlation: str | None = None,
        reply_to: str | None = None,
        attempts_max: int = ATTEMPTS_MAX,
    ) -> Sent:
        """Send `body` to one agent, to a topic of which one consumer gets it, or to everyone.

        Args:
            to: The agent. With neither `to` nor `topic` each agent of the swarm gets it once.
            priority: -1000 to 1000; what is higher comes first.
            delay_s: Seconds until it can be claimed.
            ttl_s: Seconds until it expires; None keeps it, or for 7 days if it is for everyone.
            op_id: Makes a retry send once and return the first result.
            reply_to: Where answers go: the name of an agent, "agent:NAME" or "topic:NAME"; None
                is the sender.
            attempts_max: Attempts after which it is dead, 1 to 1000.

        Raises:
            InvalidArgumentError, InvalidValueError, LimitExceededError: Nothing was sent.
            OpIdReusedError: The same op_id came with other arguments.
        """
        (sent,) = self.send_many(
            (body,),
            to=to,
            topic=topic,
            type=type,
            priority=priority,
            delay_s=delay_s,
            ttl_s=ttl_s,
            op_id=op_id,
            correlation=correlation,
            reply_to=reply_to,
            attempts_max=attempts_max,
        )
        return sent

    @metered("send_many", writes=True)
    def send_many(
        self,
        bodies: Iterable[Json],
        *,
        to: str | None = None,
        topic: str | None = None,
        type: str | None = None,
        priority: int = 0,
        delay_s: float = 0.0,
        ttl_s: float | None = None,
        op_id: str | None = None,
        correlation: str | None = None,
        reply_to: str | None = None,
        attempts_max: int = ATTEMPTS_MAX,
    ) -> list[Sent]:
        """Send one message per body, in this order, all or none of them; arguments as in `send`.

        A batch of ten costs a fifth of what ten calls cost.

        Raises:
            LimitExceededError: There are more than `batch_rows_max`, or one is too large.
        """
        if to is not None and topic is not None:
            raise InvalidArgumentError("both to and topic", hint="give one of them, or neither")
        queue = runs.EVERYONE
        if to is not None:
            queue = _TO_AGENT + _check_name("to", to)
        elif topic is not None:
            queue = _TO_TOPIC + _check_name("topic", topic)
        letter = self._letter(
            queue, bodies, type, priority, delay_s, ttl_s, attempts_max, correlation, reply_to
        )
        return self._send(letter, op_id) if letter.bodies else []

    def request(
        self, body: Json, *, to: str, timeout_s: float = 30.0, type: str | None = None
    ) -> Message:
        """Send `body` to the agent `to` and return its answer.

        The request expires with the wait, so nobody works on what nobody waits for.

        Raises:
            WaitTimeoutError: No answer came within `timeout_s` seconds.
        """
        _check_seconds("timeout_s", timeout_s, 0.001, WAIT_S_MAX)
        self._check_can_wait("timeout_s", timeout_s)
        correlation = os.urandom(12).hex()
        queue = _TO_AGENT + _check_name("to", to)
        address = _TO_REPLY + correlation
        letter = self._letter(
            queue, (body,), type, 0, 0, timeout_s, ATTEMPTS_MAX, correlation, None
        )
        self._send(letter._replace(reply_to=address), None)
        answers = self._receive(address, 1, 60_000, timeout_s, strict=False)
        if not answers:
            raise WaitTimeoutError(
                f"{to} did not answer within {timeout_s} s", hint="is that agent running?"
            )
        self.ack(answers[0])
        return answers[0]

    def reply(
        self, message: Message, body: Json, *, type: str | None = None, op_id: str | None = None
    ) -> Sent:
        """Send an answer to `message`; see `Message.reply`."""
        address = message.reply_to or _TO_AGENT + message.sender
        ttl_s = REPLY_TTL_S if address.startswith(_TO_REPLY) else None
        correlation = message.correlation or message.message_id
        letter = self._letter(address, (body,), type, 0, 0, ttl_s, ATTEMPTS_MAX, correlation, None)
        (sent,) = self._send(letter, op_id)
        return sent

    # --- receiving ---

    @metered("claim", writes=True)
    def claim(
        self,
        topic: str | None = None,
        *,
        limit: int = 10,
        visible_after_s: float = VISIBLE_S_DEFAULT,
        wait_s: float = 0.0,
        order: str = "fifo",
        done: Sequence[Message | str] = (),
    ) -> list[Message]:
        """Return up to `limit` messages that nobody else has, from `topic` or this agent's inbox.

        One transaction takes them, so two consumers never hold the same message at once.

        Args:
            visible_after_s: Seconds until what was not acknowledged comes again, up to 7 days.
            wait_s: Seconds to wait for a first message; 0 asks once.
            order: "fifo" gives the oldest ready ones of the highest priority. "strict" gives
                nothing while an earlier attempt is open, so that redelivery keeps the order too.
            done: Messages or receipts that are acknowledged first, as by `ack`, from whatever
                queue. What is there at once is claimed in the same transaction, which saves half
                of the work; if there is nothing they are acknowledged before the wait.

        Raises:
            StaleReceiptError: Naming those of `done` that are not current; the others are
                deleted, and nothing was claimed.
        """
        if order not in ORDERS:
            raise InvalidArgumentError(f"order {order!r}", hint=" or ".join(ORDERS))
        self._check_limit(limit)
        _check_seconds("visible_after_s", visible_after_s, 0.001, VISIBLE_S_MAX)
        _check_seconds("wait_s", wait_s, 0, WAIT_S_MAX)
        self._check_can_wait("wait_s", wait_s)
        queue = self._queue(topic)
        hide_ms = _ms(visible_after_s)
        return self._receive(queue, limit, hide_ms, wait_s, strict=order == "strict", done=done)

    def inbox(self, topic: str | None = None, *, limit: int = 100) -> list[Message]:
        """Return what could be claimed now, from this agent's inbox or `topic`, without claiming.

        Their `receipt` is None.
        """
        self._check_limit(limit)
        swarm, queue = self._context.swarm, self._queue(topic)
        if runs.place_of(self._db, swarm, queue).due(self._db.now_ms):
            self._write(lambda tx: runs.refresh(tx, swarm, queue), relaxed=True)
        rows = self._db.read(lambda tx: runs.look(tx, swarm, queue, limit))
        return [self._message(row, queue, None, row[_VISIBLE_MS]) for row in rows]

    @metered("ack", writes=True)
    def ack(self, *messages: Message | str) -> int:
        """Delete messages that are done, by message or receipt, in one transaction.

        A receipt is current until its time is over and somebody claims from its queue or looks
        into it. Those that are current are deleted even if others are not.

        Raises:
            StaleReceiptError: Naming those that are not.
        """
        swarm = self._context.swarm
        claims, twice = claims_of(messages)
        known = runs.claimed(self._db, swarm, claims)
        stale = self._write(lambda tx: runs.acknowledge(tx, swarm, claims, known))
        refuse_stale(stale + twice)
        return len(messages)

    def nack(
        self, message: Message | str, *, delay_s: float = 0.0, reason: str | None = None
    ) -> None:
        """Give a message back; see `Message.nack`."""
        _check_seconds("delay_s", delay_s, 0, DELAY_S_MAX)
        _check_text("reason", reason, REASON_BYTES_MAX)
        swarm, (seq, receipt) = self._context.swarm, place_of(message)

        def write(tx: Tx) -> bool:
            visible_ms = tx.now_ms + _ms(delay_s)
            return runs.give_back(tx, swarm, receipt, seq, visible_ms=visible_ms, reason=reason)

        refuse_stale([] if self._write(write) else [shown(message)])

    def extend(self, message: Message | str, visible_after_s: float = VISIBLE_S_DEFAULT) -> None:
        """Keep a message hidden from others for longer; see `Message.extend`."""
        _check_seconds("visible_after_s", visible_after_s, 0.001, VISIBLE_S_MAX)
        swarm, (seq, receipt) = self._context.swarm, place_of(message)

        def write(tx: Tx) -> bool:
            visible_ms = tx.now_ms + _ms(visible_after_s)
            return runs.extend(tx, swarm, receipt, seq, visible_ms)

        refuse_stale([] if self._write(write, relaxed=True) else [shown(message)])

    # --- the dead, and figures ---

    def dead(self, topic: str | None = None, *, limit: int = 100) -> list[Message]:
        """Return messages that failed every attempt, the last one first, of `topic` or of all."""
        self._check_limit(limit)
        swarm = self._context.swarm
        overdue = self._db.all("run_overdue", swarm=swarm, now_ms=self._db.now_ms)
        if overdue:
            self._write(lambda tx: _refresh_all(tx, swarm, overdue), relaxed=True)
        queue = "" if topic is None else self._queue(topic)
        rows = self._db.all("run_dead", swarm=swarm, queue=queue, limit=limit)
        return [self._message(row, row[1], None, row[_VISIBLE_MS]) for row in rows]

    def revive(self, message_id: str) -> int:
        """Let a dead message be tried anew; return how many (a broadcast may have died often).

        Raises:
            NotFoundError: No dead message has that id.
        """
        where = {"swarm": self._context.swarm, "message_id": message_id}
        revived = self._write(lambda tx: tx.run("run_revive", **where, now_ms=tx.now_ms))
        if not revived:
            raise NotFoundError(f"no dead message {message_id!r}", hint="list them with dead()")
        return revived

    def counts(self) -> Counts:
        """Return how many messages of the swarm are in which state."""

        def read(tx: Tx) -> Counts:
            number, oldest_ms = runs.counts(tx, self._context.swarm)
            age_ms = 0 if oldest_ms is None else max(0, tx.now_ms - oldest_ms)
            return Counts(**number, oldest_ms=age_ms)

        return self._db.read(read)

    def end_session(self, session: str) -> int:
        """Show what `session` has in hand to the next consumer at once; return how many."""
        where = {"swarm": self._context.swarm, "session": session}

        def write(tx: Tx) -> int:
            (size,) = tx.one("run_session_size", **where) or (0,)
            tx.run("run_session_end", **where, now_ms=tx.now_ms)
            return int(size)

        return self._write(write)

    def prune(self) -> int:
        """Delete expired messages and those dead for `event_retention_s`, a bounded number.

        Claiming drops expired messages by itself; this is for queues nobody claims from.
        """
        config, swarm = self._context.config, self._context.swarm

        def write(tx: Tx) -> int:
            _refresh_all(tx, swarm, tx.all("run_overdue", swarm=swarm, now_ms=tx.now_ms))
            dead_ms = tx.now_ms - _ms(config.event_retention_s)
            return runs.prune(tx, swarm, dead_ms=dead_ms, rows=config.sweep_rows_max)

        return self._write(write)

    # --- sending, inside ---

    def _letter(
        self,
        queue: str,
        bodies: Iterable[Json],
        type: str | None,
        priority: int,
        delay_s: float,
        ttl_s: float | None,
        attempts_max: int,
        correlation: str | None,
        reply_to: str | None,
    ) -> Letter:
        """Check everything before the write lock is taken."""
        config = self._context.config
        _check_text("type", type, LABEL_BYTES_MAX)
        _check_text("correlation", correlation, LABEL_BYTES_MAX)
        check_whole("priority", priority, -PRIORITY_MAX, PRIORITY_MAX)
        check_whole("attempts_max", attempts_max, 1, ATTEMPTS_MAX_MAX)
        _check_seconds("delay_s", delay_s, 0, DELAY_S_MAX)
        if ttl_s is not None:
            _check_seconds("ttl_s", ttl_s, 0.001, TTL_S_MAX)
        if ttl_s is None and queue == runs.EVERYONE:
            ttl_s = BROADCAST_TTL_S
        bounds = {"bytes_max": config.value_bytes_max, "depth_max": config.value_depth_max}
        encoded = [codec.encode(body, **bounds).decode() for body in bodies]
        if len(encoded) > config.batch_rows_max:
            raise LimitExceededError(
                "the batch",
                limit=config.batch_rows_max,
                actual=len(encoded),
                hint="send it in parts",
            )
        if reply_to is not None and not reply_to.startswith((_TO_AGENT, _TO_TOPIC)):
            reply_to = _TO_AGENT + _check_name("reply_to", reply_to)
        return Letter(
            queue,
            type,
            encoded,
            -priority,
            _ms(delay_s),
            None if ttl_s is None else _ms(ttl_s),
            attempts_max,
            correlation,
            reply_to,
        )

    def _send(self, letter: Letter, op_id: str | None) -> list[Sent]:
        ids = new_ids(self._db.now_ms, len(letter.bodies))
        rows = self._rows(letter, ids)

        def post(tx: Tx) -> list[Sent]:
            return self._post(tx, letter, ids, rows)

        if op_id is None:
            return self._write(post)
        digest = digest_of(["send", *letter])

        def dump(sent: list[Sent]) -> str:
            return json.dumps(sent)

        def load(text: str) -> list[Sent]:
            return [Sent(*each) for each in json.loads(text)]

        def write(tx: Tx) -> list[Sent]:
            return once(tx, self._context, op_id, digest, post, dump, load)

        return self._write(write)

    def _rows(self, letter: Letter, ids: list[str]) -> list[dict[str, Json]]:
        """Return what is written, but for the times; made before the lock is taken."""
        odd = letter.rank or letter.delay_ms or letter.attempts_max != ATTEMPTS_MAX
        # A queue for one answer would leave a cursor behind.
        odd = odd or letter.queue.startswith(_TO_REPLY)
        fields = {
            "swarm": self._context.swarm,
            "queue": letter.queue,
            "odd": 1 if odd else None,
            "rank": letter.rank,
            "sender": self._context.agent,
            "type": letter.type,
            "correlation": letter.correlation,
            "reply_to": letter.reply_to,
            "attempts_max": letter.attempts_max,
        }
        return [
            {**fields, "message_id": message_id, "body": body}
            for message_id, body in zip(ids, letter.bodies, strict=True)
        ]

    def _post(
        self, tx: Tx, letter: Letter, ids: list[str], rows: list[dict[str, Json]]
    ) -> list[Sent]:
        now_ms = tx.now_ms
        visible_ms = now_ms + letter.delay_ms
        expires_ms = None if letter.ttl_ms is None else now_ms + letter.ttl_ms
        times = {"now_ms": now_ms, "visible_ms": visible_ms, "expires_ms": expires_ms}
        tx.many("message_send", [row | times for row in rows])
        if rows[0]["odd"] and letter.queue != runs.EVERYONE:
            tx.run("run_post", swarm=self._context.swarm, count=len(rows), now_ms=now_ms)
        return [Sent(message_id, now_ms, visible_ms, expires_ms) for message_id in ids]

    # --- receiving, inside ---

    def _receive(
        self,
        queue: str,
        limit: int,
        hide_ms: int,
        wait_s: float,
        *,
        strict: bool,
        done: Sequence[Message | str] = (),
    ) -> list[Message]:
        deadline = time.monotonic() + wait_s
        claim = Claim(self._context, queue, limit, hide_ms, strict, self._engine is not None)
        rows = self._swap(claim, done) if done else []
        seen, looks = None, 0
        if done and not rows and wait_s and self._engine is not None:
            seen = self._engine.version()
        while not rows:
            place, now_ms = claim.look(self._db), self._db.now_ms
            if place.filled(now_ms):
                rows = self._write(claim.take, relaxed=True)
            left_s = deadline - time.monotonic()
            if rows or left_s <= 0 or self._engine is None:
                break
            if seen is None:
                # Look again: what was sent before this is seen then, what is sent after it ends
                # the wait.
                seen = self._engine.version()
                continue
            if looks > 1:
                # It was woken for what is for others. Where much is written, many who wait and
                # look at each commit would cost more than those who work.
                time.sleep(min(PAUSE_S, left_s))
            seen = self._engine.wait(seen, min(place.pause_s(now_ms, LOOK_S_MAX), left_s))
            looks += 1
        return [self._message(row, queue, claim.receipt, claim.visible_ms) for row in rows]

    def _swap(self, claim: Claim, done: Sequence[Message | str]) -> list[Row]:
        """Acknowledge `done` and take what is there, in one transaction."""
        swarm = self._context.swarm
        claims, twice = claims_of(done)
        known = runs.claimed(self._db, swarm, claims)
        filled = claim.look(self._db).filled(self._db.now_ms)

        def write(tx: Tx) -> tuple[list[str], list[Row]]:
            stale = runs.acknowledge(tx, swarm, claims, known) + twice
            return stale, claim.take(tx) if filled and not stale else []

        stale, rows = self._write(write)
        refuse_stale(stale)
        return rows

    def _message(self, row: Row, queue: str, receipt: str | None, visible_ms: int) -> Message:
        seq, _, message_id, sender, type, body, rank, sent_ms, expires_ms, *rest = row
        correlation, reply_to, _, attempts, reason, _, dead_ms = rest
        delivery = (
            message_id,
            codec.loads(body.encode()),
            sender,
            queue[len(_TO_AGENT) :] if queue.startswith(_TO_AGENT) else None,
            queue[len(_TO_TOPIC) :] if queue.startswith(_TO_TOPIC) else None,
            type,
            -rank,
            attempts if receipt is None else attempts + 1,
            None if receipt is None else f"{seq}-{receipt}",
            sent_ms,
            visible_ms,
            expires_ms,
            correlation,
            reply_to,
            reason,
            dead_ms,
        )
        message = Message._make(delivery)
        message._home = self._home
        return message

    # --- small things ---

    def _write(self, fn: Callable[[Tx], T], *, relaxed: bool = False) -> T:
        # A claim that power loss undoes is a message that comes again, which may happen anyway.
        if relaxed and self._engine is not None:
            return self._db.write(fn, durability="relaxed")
        return self._db.write(fn)

    def _queue(self, topic: str | None) -> str:
        if topic is None:
            return _TO_AGENT + self._context.agent
        return _TO_TOPIC + _check_name("topic", topic)

    def _check_limit(self, limit: int) -> None:
        check_whole("limit", limit, 1, self._context.config.batch_rows_max)

    def _check_can_wait(self, what: str, seconds: float) -> None:
        if seconds and self._engine is None:
            raise InvalidArgumentError(
                f"{what} {seconds} in a transaction, which sees one moment",
                hint="wait outside of transact()",
            )


def _refresh_all(tx: Tx, swarm: str, queues: list[Row]) -> None:
    for (queue,) in queues:
        runs.refresh(tx, swarm, queue)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _check_name(what: str, name: str) -> str:
    return check_name(what, name, NAME_BYTES_MAX)


def _check_text(what: str, text: str | None, bytes_max: int) -> None:
    if text is not None:
        check_name(what, text, bytes_max)


def _check_seconds(what: str, value: float, low: float, high: float) -> None:
    check_number(what, value, low, high, "seconds")
