"""What a swarm has learned, as it lies in the store: a fold over the log of outcomes.

The log is the truth: outcomes and revisions of their labels, in one order. The model is what comes
out when they are learned one after the other, so whoever learns the same log has the same bytes.
It is kept in parts, and an outcome writes only those that it changes, in its own transaction. A
process keeps the parts that it has read, with what they were learned from; that tells whether they
are still the store's.
"""

from __future__ import annotations

import json
import os
from zlib import crc32

from swarm_memory.lean import NamedTuple, suppress
from swarm_memory.locks import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, TypeVar

    from swarm_memory.context import Context
    from swarm_memory.engine import Reader, Row, Tx
    from swarm_memory.learning.model import Estimates, Model

    Json = Any
    Answer = TypeVar("Answer")

BATCH = 2000  # of the log that one transaction learns: others wait for it
PRIORS_MAX = 500  # strategies that other swarms have tried
PRIORS = "priors"  # the part that holds what a swarm began with
PRIOR_WEIGHT = 0.5  # of an outcome of another swarm
NONCE_BYTES = 8
ANSWERS_MAX = 256  # that one process keeps
CONTEXTS_MAX = 64  # likewise, contexts
TASK_TYPES_MAX = 64  # likewise, sums


def sealed(part: str, state: bytes) -> bytes:
    """Return the state of a part as it is stored: with a checksum, of its name too."""
    return state + crc32(state, crc32(part.encode())).to_bytes(4, "little")


def unsealed(part: str, stored: bytes) -> bytes:
    """Return the state of a part that was stored.

    Raises:
        ValueError: Its checksum does not match.
    """
    state = bytes(stored[:-4])
    if sealed(part, state) != stored:
        raise ValueError(f"the checksum of {part} does not match")
    return state


class Head(NamedTuple):
    """Up to where the log was learned, and a random mark of whoever learned that last."""

    version: int
    nonce: bytes


class Counted(NamedTuple):
    """What the outcomes of one strategy add up to, in one task type."""

    trials: int
    successes: float
    ended: int  # with the unlabelled
    mean_duration_s: float | None


NOTHING = Counted(0, 0.0, 0, None)


class _Sums:
    """The sums of the strategies of one task type, as of a head. It never changes.

    So whoever has got it has what was true at that head, whatever others learn meanwhile, and what
    a transaction counts that is undone nobody sees.
    """

    __slots__ = ("_sums", "counted", "head")

    def __init__(
        self, head: Head, sums: dict[str, tuple[Any, ...]], counted: dict[str, Counted]
    ) -> None:
        self.head = head
        self._sums = sums
        self.counted = counted

    @staticmethod
    def read(head: Head, rows: list[Row]) -> _Sums:
        sums = {row[1]: tuple(row[2:]) for row in rows}
        return _Sums(head, sums, {name: _counted(*one) for name, one in sums.items()})

    def at(self, head: Head) -> _Sums:
        """Return the same as of a head at which nothing was added to it."""
        return _Sums(head, self._sums, self.counted)

    def plus(
        self, head: Head, strategy: str, reward: float | None, duration_s: float, cost: float
    ) -> _Sums:
        """Add an outcome as the store does, so that the sums are equal to the last bit."""
        known = reward is not None
        before = self._sums.get(strategy, (0, 0.0, 0.0, 0.0, 0))
        more = (int(known), reward or 0.0, duration_s, cost, int(not known))
        sums = tuple([one + other for one, other in zip(before, more, strict=True)])
        return _Sums(
            head, self._sums | {strategy: sums}, self.counted | {strategy: _counted(*sums)}
        )


class _Kept:
    """A model as this process last had it."""

    __slots__ = ("confirmed", "head", "mine", "model")

    def __init__(self, model: Model, head: Head) -> None:
        self.model = model
        self.head = head
        self.confirmed = head.version  # a commit that was seen
        self.mine: set[str] = set()  # parts written since, by transactions that may be undone


class Learned:
    """The model of one swarm. Its methods take the transaction that they read and write in."""

    __slots__ = ("_answers", "_context", "_contexts", "_kept", "_lock", "_sums")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._kept: _Kept | None = None
        self._answers: dict[tuple[Any, ...], tuple[Head, Any]] = {}
        self._contexts: dict[str, dict[str, Json]] = {}  # by their text
        self._sums: dict[str, _Sums] = {}  # by task type
        self._lock = Lock()

    def head(self, tx: Tx) -> Head:
        """Return what was learned last; from here on nobody else learns in this swarm."""
        row = tx.one("model_head", swarm=self._context.swarm)
        if row is None:
            tx.run("model_open", swarm=self._context.swarm, version=0, state=b"")
            row = tx.one("model_head", swarm=self._context.swarm) or (0, b"")
        return Head(row[0], bytes(row[1]))

    def newest(self, db: Reader) -> int:
        """Return the number of the log's last line, 0 if it has none."""
        row = db.one("learn_newest", swarm=self._context.swarm)
        return int(row[0]) if row else 0

    def catch_up(self, tx: Tx) -> tuple[Model, Head]:
        """Return the model, with what the log has since learned: at most `BATCH` lines of it."""
        kept = self._take(tx, self.head(tx))
        version = kept.head.version
        if self.newest(tx) > version:
            self._fold(tx, kept, self._lines(tx, version))
        return self._keep(kept)

    def learn(self, tx: Tx, head: Head, line: Row) -> None:
        """Learn a line that was just added to the log, and first what others left unlearned.

        Args:
            head: What `head` returned in this transaction.
            line: As `_lines` yields it.
        """
        if head.version + 1 != line[0]:
            self.catch_up(tx)
            return
        kept = self._take(tx, head)
        # A model that could not be read was thrown away, and then there is more to learn.
        lines = [line] if kept.head.version == head.version else self._lines(tx, kept.head.version)
        self._fold(tx, kept, lines)
        self._count_on(head, kept.head, line)
        self._keep(kept)

    def _keep(self, kept: _Kept) -> tuple[Model, Head]:
        # Kept before the commit: should it fail, the head in the store will tell.
        with self._lock:
            self._kept = kept
        return kept.model, kept.head

    def kept(self, head: Head, asked: tuple[Any, ...], answer: Callable[[], Answer]) -> Answer:
        """Return the answer to a question, the same object until the log moves.

        Every outcome and every revision moves it, in whatever process.
        """
        known = self._answers.get(asked)
        if known is None or known[0] != head:
            if len(self._answers) >= ANSWERS_MAX:
                self._answers.clear()
            known = self._answers[asked] = (head, answer())
        result: Answer = known[1]
        return result

    def estimate(
        self, model: Model, task_type: str, context: str, strategies: tuple[str, ...]
    ) -> Estimates:
        """Return what each strategy promises for a task.

        Args:
            context: As it is logged, JSON.
        """
        return model.estimate(task_type, self._parsed(context), strategies)

    def counts(self, tx: Tx, head: Head, task_type: str) -> dict[str, Counted]:
        """Return the counts of all strategies for a kind of task; "" gives those of any kind."""
        known = self._sums.get(task_type)
        if known is None or known.head != head:
            if len(self._sums) >= TASK_TYPES_MAX:
                self._sums.clear()
            rows = tx.all("arm_list", swarm=self._context.swarm, task_type=task_type)
            known = self._sums[task_type] = _Sums.read(head, rows)
        return known.counted

    def _count_on(self, before: Head, head: Head, line: Row) -> None:
        """Count a line into the sums that are kept, by what `arm_add` has just done with it."""
        _, _, task_type, strategy, _, reward, duration_s, cost, _ = line
        self._sums.pop("", None)
        for kind, sums in [*self._sums.items()]:
            if sums.head != before:
                continue
            if kind == task_type:
                sums = sums.plus(head, strategy or "", reward, duration_s, cost or 0.0)
            else:
                sums = sums.at(head)
            self._sums[kind] = sums

    def alike(self, task_type: str, context: str, strategy: str) -> list[str]:
        """Return the ids of the most similar outcomes of a strategy that was just estimated."""
        with self._lock:
            kept = self._kept
        if kept is None:
            return []
        return kept.model.evidence(task_type, self._parsed(context), strategy)

    def _parsed(self, text: str | None) -> dict[str, Json]:
        """Return a context, the same object for the same text, by which a model knows it again."""
        if not text:
            return {}
        known = self._contexts.get(text)
        if known is None:
            if len(self._contexts) >= CONTEXTS_MAX:
                self._contexts.clear()
            known = self._contexts[text] = json.loads(text)
        return known

    def clear(self, tx: Tx) -> None:
        """Forget what was learned, for whoever learns it anew."""
        tx.run("model_clear", swarm=self._context.swarm)

    def parts(self, db: Reader) -> dict[str, bytes]:
        """Return the model as it is stored.

        Raises:
            ValueError: A part is damaged.
        """
        rows = db.all("model_parts", swarm=self._context.swarm, known=-1)
        return _states(rows)

    # --- reading ---

    def _take(self, tx: Tx, head: Head) -> _Kept:
        """Return the model that `head` tells of, for this caller alone."""
        with self._lock:
            kept, self._kept = self._kept, None
        if kept is None or head.version == 0 or kept.confirmed > head.version:
            return self._read(tx, head)
        if kept.head != head:
            rows = tx.all("model_parts", swarm=self._context.swarm, known=kept.confirmed)
            if kept.mine - {row[0] for row in rows}:
                return self._read(tx, head)  # what this process wrote was undone
            try:
                kept.model.load(_states(rows))
            except ValueError:
                return self._read(tx, head)
        kept.head, kept.confirmed = head, head.version
        kept.mine.clear()
        return kept

    def _read(self, tx: Tx, head: Head) -> _Kept:
        from swarm_memory.learning.model import Model

        if head.version:
            try:
                return _Kept(Model(self.parts(tx)), head)
            except ValueError:
                # Damaged, or of another version of this code: the log is there to learn anew.
                self.clear(tx)
                self._answers.clear()
                head = self.head(tx)
        model = Model()
        for task_type, strategy, trials, rewards in self._priors(tx):
            model.inherit(task_type, strategy, trials, rewards, weight=PRIOR_WEIGHT)
        return _Kept(model, head)

    def _priors(self, tx: Tx) -> list[list[Json]]:
        """Return what other swarms of the store had seen when this one began to learn."""
        swarm = self._context.swarm
        row = tx.one("model_priors", swarm=swarm)
        if row is not None:
            with suppress(ValueError):
                known: list[list[Json]] = json.loads(unsealed(PRIORS, bytes(row[0])))
                return known
        rows = tx.all("arm_elsewhere", swarm=swarm, limit=PRIORS_MAX)
        priors = [[*row[:2], *map(float, row[2:4])] for row in rows]
        state = sealed(PRIORS, json.dumps(priors).encode())
        tx.run("model_put", swarm=swarm, part=PRIORS, version=0, state=state)
        return priors

    # --- learning ---

    def _fold(self, tx: Tx, kept: _Kept, lines: Iterable[Row]) -> None:
        """Learn the next lines of the log and write the parts that this changes."""
        version = kept.head.version
        for line in lines:
            version = line[0]
            self._learn(kept.model, line)
        swarm = self._context.swarm
        changed = kept.model.changed()
        rows = [
            {"swarm": swarm, "part": part, "version": version, "state": sealed(part, state)}
            for part, state in sorted(changed.items())
        ]
        nonce = os.urandom(NONCE_BYTES)
        rows.append({"swarm": swarm, "part": "", "version": version, "state": nonce})
        tx.many("model_put", rows)
        kept.mine.update(changed)
        kept.head = Head(version, nonce)

    def _learn(self, model: Model, line: Row) -> None:
        """Learn one line, if it says how a strategy did."""
        _, outcome_id, task_type, strategy, before, reward, duration_s, cost, context = line
        if strategy is None or reward is None:
            return
        if before is None:
            model.learn(
                task_type,
                self._parsed(context),
                strategy,
                reward,
                duration_s=duration_s,
                cost=cost,
                outcome_id=outcome_id,
            )
        else:
            model.correct(task_type, strategy, before, reward, outcome_id=outcome_id)

    def _lines(self, tx: Tx, after: int) -> Iterator[Row]:
        """Yield what the log has after a line, in its order.

        A line is (seq, outcome_id, task_type, strategy, reward before, reward, duration_s, cost,
        context). What an outcome said at first is learned in its place, what it says since in
        that of the revision.
        """
        swarm = self._context.swarm
        rows = tx.all("outcome_learn", swarm=swarm, after=after, limit=BATCH)
        last = rows[-1][0] if len(rows) == BATCH else 2**62
        revised = tx.all("relabel_learn", swarm=swarm, after=after, last=last, limit=BATCH)
        if len(revised) == BATCH:
            last = min(last, revised[-1][0])
        first: dict[str, float | None] = {}
        if rows and (len(rows) > 1 or revised):
            span = {"after": after, "last": rows[-1][0]}
            for outcome_id, reward in tx.all("relabel_first", swarm=swarm, **span):
                first.setdefault(outcome_id, reward)
        lines = [(*r[:4], None, first.get(r[1], r[4]), *r[5:]) for r in rows if r[0] <= last]
        yield from sorted([*lines, *revised], key=lambda line: line[0])


def _counted(
    trials: int, successes: float, duration_s: float, cost: float, unlabelled: int
) -> Counted:
    ended = trials + unlabelled
    mean = round(duration_s / ended, 6) if ended else None
    return Counted(trials, round(successes, 6), ended, mean)


def line_of(row: dict[str, Json]) -> Row:
    """Return the line of the log that an outcome is, given by its columns."""
    amounts = (row["duration_s"], row["cost"], row["context"])
    return (row["seq"], row["outcome_id"], row["task_type"], row["strategy"], None, row["reward"],
            *amounts)  # fmt: skip


def _states(rows: list[Row]) -> dict[str, bytes]:
    return {part: unsealed(part, bytes(stored)) for part, _, stored in rows}
