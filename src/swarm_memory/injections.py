"""Injections: the log of what agents were shown, which also keeps them from being shown it twice.

Each agent of a session has a context of its own. An item is shown there once for each version,
until the context was compacted. The log and the look at it are one transaction, so of two hooks
that run at once one shows the item.

Items have short numbers (`%12`), by which an agent may ask for them and cite them. A number never
means anything else. `%` is in no key.

All writes are relaxed: what power loss undoes is a line of the log, and the context is gone too.
"""

from __future__ import annotations

from swarm_memory.checks import check_whole
from swarm_memory.errors import InvalidArgumentError, NotFoundError
from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    import builtins
    from typing import Any

    from swarm_memory.context import Context
    from swarm_memory.engine import Reader, Tx
    from swarm_memory.model import Json

MEMORY, OUTCOME, CONFLICT, MESSAGE = "memory", "outcome", "conflict", "message"
SESSION, EDIT, PRACTICE = "session", "edit", "practice"
NUMBERED = frozenset({MEMORY, OUTCOME, CONFLICT, MESSAGE})
MARK = "%"  # what a number is written with
MAIN = ""  # the agent_id of a session's own agent, as it is stored
LIST_LIMIT = 100
DIGITS_MAX = 12
_CITED = rf"(?<![\w%]){MARK}(\d{{1,{DIGITS_MAX}}})(?!\w)"


class Audience(NamedTuple):
    """Whose context it is."""

    session_id: str
    agent_id: str | None
    agent: str


class Shown(NamedTuple):
    """One item as it is shown: which, in which version, why, how well it fits, what it costs."""

    kind: str
    item: str
    version: int
    event: str
    score: float | None
    tokens: int


class Injection(NamedTuple):
    """One line of the log: what was shown to whom, why, and what became of it.

    `kind` is memory, outcome, conflict, message, session, edit or practice; `item` its key or id,
    `id` the number that it was shown with (`%12`); `event` why it was shown, `score` how well it
    fitted (None where nothing is measured), `tokens` the estimate of what it cost; `present`
    whether the agent's context still holds it; `cited_ms` when it was cited first, None if it was
    not.
    """

    injection_id: int
    session_id: str
    agent_id: str
    agent: str
    kind: str
    item: str
    version: int
    id: str | None
    event: str
    score: float | None
    tokens: int
    at_ms: int
    present: bool
    cited_ms: int | None

    def to_dict(self) -> dict[str, Json]:
        """Return it as every door shows it."""
        return self._asdict()


class Injections:
    """What agents of one swarm were shown, on an engine or inside a transaction."""

    __slots__ = ("_context", "_db")

    def __init__(self, db: Reader, context: Context) -> None:
        self._db = db
        self._context = context

    def within(self, tx: Tx) -> Injections:
        """Return this log bound to a transaction."""
        return Injections(tx, self._context)

    def present(self, audience: Audience) -> set[tuple[str, str, int]]:
        """Return kind, item and version of what a context holds."""
        return {tuple(row) for row in self._db.all("injection_present", **self._at(audience))}

    def number(self, kind: str, item: str) -> int:
        """Return the number of an item, giving it one if it has none; in a transaction."""
        what = {"swarm": self._context.swarm, "kind": kind, "item": item}
        row = self._db.one("handle_find", **what) or self._db.write_one("handle_make", **what)
        assert row is not None
        return int(row[0])

    def add(self, tx: Tx, audience: Audience, shown: Shown, number: int | None) -> bool:
        """Note that an item is shown; False, and nothing is noted, if the context holds it."""
        at = self._at(audience)
        what = {"kind": shown.kind, "item": shown.item, "version": shown.version}
        tx.run("injection_replace", **at, **what)
        more = {"agent": audience.agent, "number": number, "at_ms": tx.now_ms}
        why = {"event": shown.event, "score": shown.score, "tokens": shown.tokens}
        return tx.one("injection_add", **at, **what, **more, **why) is not None

    def compacted(self, audience: Audience, renewing: str, since_ms: int) -> None:
        """Count a context as empty, but for what the event `renewing` has shown since."""
        at = self._at(audience)
        if self._db.one("injection_present", **at) is not None:
            self._db.write_one("injection_compact", **at, renewing=renewing, since_ms=since_ms)

    def cited(self, session_id: str, text: str) -> int:
        """Note which items a text names, by their number or their key; return how many."""
        if MARK not in text and "/" not in text and "-" not in text:
            return 0
        at = {"swarm": self._context.swarm, "session_id": session_id}
        numbers = _numbers(text) if MARK in text else set()
        rows = [
            row[0]
            for row in self._db.all("injection_uncited", **at)
            if row[3] in numbers or (row[1] in NUMBERED and _names(text, row[2]))
        ]
        if rows:
            self._db.write(lambda tx: _cite(tx, rows), durability="relaxed")
        return len(rows)

    def topics(self, session_id: str, event: str, limit: int) -> dict[str, float]:
        """Return the memories that a session's own agent was shown because of `event`."""
        at = {"swarm": self._context.swarm, "session_id": session_id}
        rows = self._db.all("injection_topics", **at, event=event, limit=limit)
        return {item: score or 0.0 for item, score in rows}

    def list(
        self, session_id: str | None = None, *, limit: int = LIST_LIMIT
    ) -> builtins.list[Injection]:
        """Return what was shown, the last first; of one session by its id or its short name."""
        check_whole("limit", limit, 1, self._context.config.batch_rows_max)
        where = {"swarm": self._context.swarm, "session_id": session_id or "", "limit": limit}
        return [_injection(row) for row in self._db.all("injection_list", **where)]

    def named(self, text: str) -> tuple[str, str]:
        """Return kind and item of a number such as `%12`.

        Raises:
            InvalidArgumentError: It is none.
            NotFoundError: It was never given to anything, or is long forgotten.
        """
        digits = text.removeprefix(MARK)
        if (
            digits == text
            or not (digits.isascii() and digits.isdigit())
            or len(digits) > DIGITS_MAX
        ):
            raise InvalidArgumentError(f"{text!r:.80} is no number of an item", hint="such as %12")
        row = self._db.one("handle_get", swarm=self._context.swarm, number=int(digits))
        if row is None:
            raise NotFoundError(
                f"{text} stands for nothing", hint="swarm-memory injected lists them"
            )
        return row[0], row[1]

    def prune(self) -> int:
        """Forget what was shown `event_retention_s` ago, and its numbers; return how many lines."""
        age_ms = round(1000 * self._context.config.event_retention_s)
        swarm = self._context.swarm

        def write(tx: Tx) -> int:
            gone = tx.run("injection_prune", swarm=swarm, at_ms=tx.now_ms - age_ms)
            tx.run("handle_prune", swarm=swarm)
            return gone

        return self._db.write(write, durability="relaxed")

    def _at(self, audience: Audience) -> dict[str, Any]:
        where = {"session_id": audience.session_id, "agent_id": audience.agent_id}
        return {"swarm": self._context.swarm, **where}


def _numbers(text: str) -> set[int]:
    import re  # most messages name none, and a hook waits for each import

    return {int(digits) for digits in re.findall(_CITED, text)}


def _cite(tx: Tx, rows: builtins.list[int]) -> None:
    for row in rows:
        tx.run("injection_cite", id=row, at_ms=tx.now_ms)


def _names(text: str, item: str) -> bool:
    """Tell whether a text names an item as a whole, not as the beginning of a longer one."""
    at = text.find(item)
    while at >= 0:
        before, behind = text[at - 1 : at] if at else "", text[at + len(item) :][:1]
        if not (before.isalnum() or behind.isalnum() or behind in ("/", "-", "_")):
            return True
        at = text.find(item, at + 1)
    return False


def _injection(row: Any) -> Injection:
    fields = list(row)
    fields[7] = None if row[7] is None else f"{MARK}{row[7]}"
    fields[12] = bool(row[12])
    return Injection(*fields)
