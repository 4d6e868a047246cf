"""Messages: to an agent, to whoever works on a topic, or to everyone; delivered at least once.

A consumer claims messages: they are hidden from others until it acknowledges them, gives them
back, or its time is over, when they come again. After `attempts_max` attempts a message is dead
and kept with the reason. Within a priority messages come in the order in which they were sent.

What is said to everyone reaches each agent once, whoever joins later included, for as long as it
has not expired. The sender is part of everyone: several processes may act as one agent.
"""

from __future__ import annotations

import json
import os
import time

from swarm_memory import codec
from swarm_memory.checks import check_name, check_number, check_whole
from swarm_memory.context import new_id
from swarm_memory.errors import (
    InvalidArgumentError,
    NotFoundError,
    StaleReceiptError,
    WaitTimeoutError,
)
from swarm_memory.letters import VISIBLE_S_DEFAULT, Counts, Letter, Message, Sent
from swarm_memory.once import digest_of, once

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
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
LOOK_S_MAX = 0.25  # look at the clock at least so often: nobody tells when a message shows
_TO_AGENT, _TO_TOPIC, _TO_REPLY = "agent:", "topic:", "reply:"


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
            ttl_s: Seconds until it is dropped, unless it is in hand at that time; None keeps it,
                or for 7 days if it is for everyone.
            op_id: Makes a retry send once and return the first result.
            reply_to: Where answers go: the name of an agent, "agent:NAME" or "topic:NAME"; None
                is the sender.
            attempts_max: Attempts after which it is dead, 1 to 1000.

        Raises:
            InvalidArgumentError, InvalidValueError, LimitExceededError: Nothing was sent.
            OpIdReusedError: The same op_id came with other arguments.
        """
        if to is not None and topic is not None:
            raise InvalidArgumentError("both to and topic", hint="give one of them, or neither")
        queue = None
        if to is not None:
            queue = _TO_AGENT + _check_name("to", to)
        elif topic is not None:
            queue = _TO_TOPIC + _check_name("topic", topic)
        letter = self._letter(
            queue, body, type, priority, delay_s, ttl_s, attempts_max, correlation, reply_to
        )
        return self._send(letter, op_id)

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
        letter = self._letter(queue, body, type, 0, 0, timeout_s, ATTEMPTS_MAX, correlation, None)
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
        letter = self._letter(address, body, type, 0, 0, ttl_s, ATTEMPTS_MAX, correlation, None)
        return self._send(letter, op_id)

    # --- receiving ---

    def claim(
        self,
        topic: str | None = None,
        *,
        limit: int = 10,
        visible_after_s: float = VISIBLE_S_DEFAULT,
        wait_s: float = 0.0,
        order: str = "fifo",
    ) -> list[Message]:
        """Return up to `limit` messages that nobody else has, from `topic` or this agent's inbox.

        One transaction takes them, so two consumers never hold the same message at once.

        Args:
            visible_after_s: Seconds until what was not acknowledged comes again, up to 7 days.
            wait_s: Seconds to wait for a first message; 0 asks once.
            order: "fifo" gives the oldest ready ones of the highest priority. "strict" gives
                nothing while an earlier attempt is open, so that redelivery keeps the order too.
        """
        if order not in ORDERS:
            raise InvalidArgumentError(f"order {order!r}", hint=" or ".join(ORDERS))
        self._check_limit(limit)
        _check_seconds("visible_after_s", visible_after_s, 0.001, VISIBLE_S_MAX)
        _check_seconds("wait_s", wait_s, 0, WAIT_S_MAX)
        self._check_can_wait("wait_s", wait_s)
        queue = self._queue(topic)
        hide_ms = _ms(visible_after_s)
        return self._receive(queue, limit, hide_ms, wait_s, strict=order == "strict")

    def inbox(self, topic: str | None = None, *, limit: int = 100) -> list[Message]:
        """Return what could be claimed now, from this agent's inbox or `topic`, without claiming.

        Their `receipt` is None.
        """
        self._check_limit(limit)
        queue = self._queue(topic)
        self._refresh_if_needed(queue)
        rows = self._db.all(
            "message_peek",
            swarm=self._context.swarm,
            queue=queue,
            now_ms=self._db.now_ms,
            limit=limit,
        )
        return [self._message(row, None) for row in rows]

    def ack(self, *messages: Message | str) -> int:
        """Delete messages that are done, by message or receipt, in one transaction.

        A receipt is current until its time is over and somebody claims from its queue or looks
        into it. Those that are current are deleted even if others are not.

        Raises:
            StaleReceiptError: Naming those that are not.
        """
        places = [_place(message) for message in messages]

        def write(tx: Tx) -> list[str]:
            return [
                receipt
                for receipt, where in places
                if not tx.run("message_ack", swarm=self._context.swarm, **where)
            ]

        _refuse_stale(self._write(write))
        return len(places)

    def nack(
        self, message: Message | str, *, delay_s: float = 0.0, reason: str | None = None
    ) -> None:
        """Give a message back; see `Message.nack`."""
        _check_seconds("delay_s", delay_s, 0, DELAY_S_MAX)
        _check_text("reason", reason, REASON_BYTES_MAX)
        receipt, where = _place(message)

        def write(tx: Tx) -> int:
            times = {"now_ms": tx.now_ms, "visible_ms": tx.now_ms + _ms(delay_s)}
            swarm = self._context.swarm
            return tx.run("message_nack", swarm=swarm, **where, **times, reason=reason)

        _refuse_stale([] if self._write(write) else [receipt])

    def extend(self, message: Message | str, visible_after_s: float = VISIBLE_S_DEFAULT) -> None:
        """Keep a message hidden from others for longer; see `Message.extend`."""
        _check_seconds("visible_after_s", visible_after_s, 0.001, VISIBLE_S_MAX)
        receipt, where = _place(message)

        def write(tx: Tx) -> int:
            visible_ms = tx.now_ms + _ms(visible_after_s)
            swarm = self._context.swarm
            return tx.run("message_extend", swarm=swarm, **where, visible_ms=visible_ms)

        _refuse_stale([] if self._write(write, relaxed=True) else [receipt])

    # --- the dead, and figures ---

    def dead(self, topic: str | None = None, *, limit: int = 100) -> list[Message]:
        """Return messages that failed every attempt, the last one first, of `topic` or of all."""
        self._check_limit(limit)
        swarm = self._context.swarm
        for row in self._db.all("message_overdue", swarm=swarm, now_ms=self._db.now_ms):
            self._refresh_if_needed(row[0])
        queue = "" if topic is None else self._queue(topic)
        rows = self._db.all("message_dead", swarm=swarm, queue=queue, limit=limit)
        return [self._message(row, None) for row in rows]

    def revive(self, message_id: str) -> int:
        """Let a dead message be tried anew; return how many (a broadcast may have died often).

        Raises:
            NotFoundError: No dead message has that id.
        """
        where = {"swarm": self._context.swarm, "message_id": message_id}
        revived = self._write(lambda tx: tx.run("message_revive", **where, now_ms=tx.now_ms))
        if not revived:
            raise NotFoundError(f"no dead message {message_id!r}", hint="list them with dead()")
        return revived

    def counts(self) -> Counts:
        """Return how many messages of the swarm are in which state."""

        def read(tx: Tx) -> Counts:
            rows = tx.all("message_counts", swarm=self._context.swarm, now_ms=tx.now_ms)
            number = {row[0]: int(row[1]) for row in rows}
            oldest = next((tx.now_ms - row[2] for row in rows if row[0] == "ready"), 0)
            states = ("ready", "delayed", "claimed", "dead")
            return Counts._make([*(number.get(state, 0) for state in states), max(0, oldest)])

        return self._db.read(read)

    def end_session(self, session: str) -> int:
        """Show what `session` has in hand to the next consumer at once; return how many."""
        where = {"swarm": self._context.swarm, "session": session}
        return self._write(lambda tx: tx.run("message_session_end", **where, now_ms=tx.now_ms))

    def prune(self) -> int:
        """Delete expired messages and those dead for `event_retention_s`, a bounded number.

        Claiming drops expired messages by itself; this is for queues nobody claims from.
        """
        config = self._context.config

        def write(tx: Tx) -> int:
            where = {"swarm": self._context.swarm, "now_ms": tx.now_ms}
            dead_ms = tx.now_ms - _ms(config.event_retention_s)
            rows = config.sweep_rows_max
            pruned = tx.run("message_prune", **where, dead_ms=dead_ms, rows=rows)
            return pruned + tx.run("broadcast_prune", **where)

        return self._write(write)

    # --- sending, inside ---

    def _letter(
        self,
        queue: str | None,
        body: Json,
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
        if ttl_s is None and queue is None:
            ttl_s = BROADCAST_TTL_S
        bounds = {"bytes_max": config.value_bytes_max, "depth_max": config.value_depth_max}
        encoded = codec.encode(body, **bounds).decode()
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

    def _send(self, letter: Letter, op_id: str | None) -> Sent:
        if op_id is None:
            return self._write(lambda tx: self._post(tx, letter))
        digest = digest_of(["send", *letter])

        def post(tx: Tx) -> Sent:
            return self._post(tx, letter)

        def dump(sent: Sent) -> str:
            return json.dumps(sent)

        def load(text: str) -> Sent:
            return Sent(*json.loads(text))

        def write(tx: Tx) -> Sent:
            return once(tx, self._context, op_id, digest, post, dump, load)

        return self._write(write)

    def _post(self, tx: Tx, letter: Letter) -> Sent:
        now_ms = tx.now_ms
        expires_ms = None if letter.ttl_ms is None else now_ms + letter.ttl_ms
        sent = Sent(new_id(now_ms), now_ms, now_ms + letter.delay_ms, expires_ms)
        fields = {
            "swarm": self._context.swarm,
            "message_id": sent.message_id,
            "rank": letter.rank,
            "sender": self._context.agent,
            "type": letter.type,
            "body": letter.body,
            "correlation": letter.correlation,
            "reply_to": letter.reply_to,
            "attempts_max": letter.attempts_max,
            "now_ms": now_ms,
            "visible_ms": sent.visible_ms,
            "expires_ms": expires_ms,
        }
        if letter.queue is None:
            tx.run("broadcast_send", **fields)
            return sent
        # What was said to everyone before comes before this message in the agent's queue.
        self._spread(tx, letter.queue)
        state = "hidden" if letter.delay_ms else "ready"
        tx.run("message_send", **fields, queue=letter.queue, state=state)
        return sent

    # --- receiving, inside ---

    def _receive(
        self, queue: str, limit: int, hide_ms: int, wait_s: float, *, strict: bool
    ) -> list[Message]:
        deadline = time.monotonic() + wait_s
        receipt = os.urandom(8).hex()
        while True:
            # Before the look: a message that comes right after it then ends the wait at once.
            seen = self._engine.version() if self._engine is not None and wait_s else 0
            found, pause_s = self._look(queue)
            if found:
                rows = self._write(
                    lambda tx: self._take(tx, queue, limit, hide_ms, receipt, strict), relaxed=True
                )
                if rows:
                    return [self._message(row, receipt) for row in rows]
            left_s = deadline - time.monotonic()
            if left_s <= 0 or self._engine is None:
                return []
            self._engine.wait(seen, min(pause_s, left_s))

    def _look(self, queue: str) -> tuple[bool, float]:
        """Tell whether a claim would find something, and how long to wait if not; only reads."""
        where = {"swarm": self._context.swarm, "queue": queue}
        if self._db.one("message_ready", **where) is not None or self._unspread(self._db, queue):
            return True, LOOK_S_MAX
        visible_ms = self._shows_ms(queue)
        if visible_ms is None:
            return False, LOOK_S_MAX
        left_ms = visible_ms - self._db.now_ms
        return left_ms <= 0, min(LOOK_S_MAX, left_ms / 1000)

    def _shows_ms(self, queue: str) -> int | None:
        row = self._db.one("message_shows", swarm=self._context.swarm, queue=queue)
        return row[0] if row else None

    def _take(
        self, tx: Tx, queue: str, limit: int, hide_ms: int, receipt: str, strict: bool
    ) -> list[Row]:
        context, now_ms = self._context, tx.now_ms
        where = {"swarm": context.swarm, "queue": queue}
        self._refresh(tx, queue)
        if strict and tx.one("message_in_hand", **where) is not None:
            return []
        claim = {
            "consumer": context.agent,
            "session": context.session,
            "receipt": receipt,
            "visible_ms": now_ms + hide_ms,
        }
        taken: list[Row] = []
        expired = True
        while expired and len(taken) < limit:
            times = {"visible_ms": now_ms + hide_ms, "limit": limit - len(taken)}
            rows = tx.all("message_next", **where, **times)
            gone = [row for row in rows if row[9] is not None and row[9] <= now_ms]
            tx.many("message_drop", [{"seq": row[14]} for row in gone])
            live = [row for row in rows if row not in gone] if gone else rows
            tx.many("message_claim", [{**claim, "seq": row[14]} for row in live])
            taken += live
            expired = bool(gone)
        return taken

    def _refresh_if_needed(self, queue: str) -> None:
        visible_ms = self._shows_ms(queue)
        overdue = visible_ms is not None and visible_ms <= self._db.now_ms
        if overdue or self._unspread(self._db, queue):
            self._write(lambda tx: self._refresh(tx, queue), relaxed=True)

    def _refresh(self, tx: Tx, queue: str) -> None:
        """Put new broadcasts into an agent's queue and show what is no longer hidden."""
        self._spread(tx, queue)
        where = {"swarm": self._context.swarm, "queue": queue}
        reason = "not acknowledged in time by "
        tx.run("message_return", **where, now_ms=tx.now_ms, reason=reason)

    def _unspread(self, db: Reader, queue: str) -> tuple[int, int] | None:
        """Return the (after, upto) of broadcasts that are not in the queue yet."""
        if not queue.startswith(_TO_AGENT):
            return None
        agent = queue.removeprefix(_TO_AGENT)
        row = db.one("broadcast_span", swarm=self._context.swarm, agent=agent)
        return (row[0], row[1]) if row is not None and row[0] < row[1] else None

    def _spread(self, tx: Tx, queue: str) -> None:
        span = self._unspread(tx, queue)
        if span is None:
            return
        after, upto = span
        where = {"swarm": self._context.swarm, "upto": upto}
        tx.run("broadcast_spread", **where, queue=queue, after=after, now_ms=tx.now_ms)
        tx.run("broadcast_cursor", **where, agent=queue.removeprefix(_TO_AGENT))

    def _message(self, row: Row, receipt: str | None) -> Message:
        queue = row[1]
        message = Message(
            message_id=row[0],
            body=codec.loads(row[4].encode()),
            sender=row[2],
            to=queue.removeprefix(_TO_AGENT) if queue.startswith(_TO_AGENT) else None,
            topic=queue.removeprefix(_TO_TOPIC) if queue.startswith(_TO_TOPIC) else None,
            type=row[3],
            priority=-row[5],
            attempts=row[6],
            receipt=None if receipt is None else f"{row[14]}-{receipt}",
            sent_ms=row[7],
            visible_ms=row[8],
            expires_ms=row[9],
            correlation=row[10],
            reply_to=row[11],
            reason=row[12],
            dead_ms=row[13],
        )
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


def _place(message: Message | str) -> tuple[str, dict[str, Json]]:
    """Return a receipt, and where in the store it points."""
    receipt = message if isinstance(message, str) else message.receipt
    seq, _, token = (receipt or "").partition("-")
    known = seq.isascii() and seq.isdigit() and len(seq) < 19
    return str(receipt), {"seq": int(seq) if known else -1, "receipt": token}


def _refuse_stale(receipts: list[str]) -> None:
    if receipts:
        raise StaleReceiptError(
            f"receipt {', '.join(receipts)} is not current: the message was given to somebody"
            " else, or acknowledged already"
        )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _check_name(what: str, name: str) -> str:
    return check_name(what, name, NAME_BYTES_MAX)


def _check_text(what: str, text: str | None, bytes_max: int) -> None:
    if text is not None:
        check_name(what, text, bytes_max)


def _check_seconds(what: str, value: float, low: float, high: float) -> None:
    check_number(what, value, low, high, "seconds")
