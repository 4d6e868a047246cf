"""Sources: what there is to tell an agent, each kind as items with their lines.

Which of them an agent is shown, and when, is `briefing`'s.
"""

from __future__ import annotations

from swarm_memory.injections import (
    CONFLICT,
    EDIT,
    MAIN,
    MEMORY,
    MESSAGE,
    OUTCOME,
    PRACTICE,
    SESSION,
    Audience,
)
from swarm_memory.lean import NamedTuple
from swarm_memory.wording import age, plain, quoted, said, tokens

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarm_memory.edits import Editor
    from swarm_memory.engine import Engine
    from swarm_memory.forecast import Risk
    from swarm_memory.learning.hints import Hint
    from swarm_memory.model import Json, Record
    from swarm_memory.search import Hit
    from swarm_memory.swarm import Swarm

OUTCOME_WORDS = {
    "success": "succeeded", "partial": "half succeeded", "failure": "failed",
    "timeout": "ran out of time", "conflict": "met a conflict",
}  # fmt: skip
QUOTE_TOKENS_MIN = 12  # of a quotation: less says nothing
EVENTS_MAX = 20_000  # of the change log's end, where memories are looked for
CANDIDATES, ANSWERS = 200, 20
MEMORIES_MAX = 10  # that a beginning may be told of: the best, whether or not they are known
VALUE_BYTES_MAX = 65_536  # as it is stored: what is longer says nothing in a line
CATCH_UP_ROWS, CATCH_UP_S = 1000, 0.25  # of the search index: an agent waits for its hook
TERMS_MIN = 2  # of a prompt: one word, such as "continue", asks for nothing
ACTIVE_MS, ACTIVE_MAX, FILES_MAX = 1_800_000, 4, 3
# Our own MCP server beside a session that hooks tell of: not another agent.
SHADOW = {"via": "mcp", "client": "claude-code"}
SUBJECT = "swarm-memory: "
OUTCOME_MS, OUTCOMES_MAX = 7 * 86_400_000, 3
CONFLICTS_MAX, MESSAGES_MAX = 3, 20


class Item(NamedTuple):
    """Something to show: `line` makes its text of its mark and the tokens that it may have."""

    kind: str
    item: str
    version: int
    score: float | None
    line: Callable[[str, int], str]


class Sources:
    """What there is in one swarm."""

    __slots__ = ("_engine", "_swarm")

    def __init__(self, swarm: Swarm, engine: Engine) -> None:
        self._swarm = swarm
        self._engine = engine

    def memories(
        self, to: Audience, answers: dict[str, tuple[Record, float]], renewed: bool
    ) -> list[Item]:
        """Return what an agent that begins is told of, best first."""
        from swarm_memory.noteworthy import HEARD, rank
        from swarm_memory.ranking import MIN_SCORE

        records = {record.key: record for record in self._changed()}
        records |= {key: record for key, (record, _) in answers.items()}
        relevance = {key: score for key, (_, score) in answers.items()}
        ranked = rank(records.values(), relevance, self._engine.now_ms, MIN_SCORE)
        told = [n for n in ranked if renewed or not _is_known(to, n.record, n.kind in HEARD)]
        return [
            self._memory(n.record, n.kind, n.score, said(n.record.value))
            for n in told[:MEMORIES_MAX]
        ]

    def hits(self, to: Audience, prompt: str) -> list[Item]:
        """Return the memories that answer a prompt, best first."""
        from swarm_memory.noteworthy import HEARD, kind_of
        from swarm_memory.text import SNIPPET_CHARS, question_of

        asked = prompt.replace("\0", " ")
        if sum(term.part for term in question_of(asked)) < TERMS_MIN:
            return []
        items = []
        for hit in self._search(asked):
            kind, text = kind_of(hit.record), said(hit.record.value)
            if kind is None or _is_known(to, hit.record, kind in HEARD):
                continue
            text = text if len(text) <= SNIPPET_CHARS else hit.snippet
            items.append(self._memory(hit.record, kind, hit.score, text))
        return items

    def _memory(self, record: Record, kind: str, score: float, text: str) -> Item:
        ago = age(self._engine.now_ms - record.updated_ms)
        known = (record.provenance or {}).get("verified", True)
        author = plain(record.author) + ("" if known else " (unverified)")
        head = f"{kind} by {author}, {ago} ago: "

        def line(mark: str, room: int) -> str:
            return _quoting(f"{mark}{head}", text, room)

        return Item(MEMORY, record.key, record.version, score, line)

    def _changed(self) -> list[Record]:
        """Return the memories that changed last, some twice; damaged ones are left to `verify`."""
        from swarm_memory.errors import CorruptValueError
        from swarm_memory.rows import records_of

        context, engine = self._swarm.context, self._engine
        where = {"swarm": context.swarm, "now_ms": engine.now_ms, "bytes": VALUE_BYTES_MAX}
        rows = engine.all("memory_changed", **where, events=EVENTS_MAX, limit=CANDIDATES)
        state = self._swarm.finder.index.state(engine)
        if len(rows) < CANDIDATES and state is not None:
            span = {"first": state.first, "last": state.last}
            rows += engine.all("memory_entered", **where, **span, limit=CANDIDATES - len(rows))
        records = []
        for row in rows:
            try:
                records += records_of(context, (row,))
            except CorruptValueError:
                continue
        return records

    def answers(self, words: str) -> dict[str, tuple[Record, float]]:
        """Return by key the memories that answer words, with how certainly they do."""
        if not words:
            return {}
        return {hit.record.key: (hit.record, hit.score) for hit in self._search(words)}

    def _search(self, asked: str) -> Sequence[Hit]:
        from swarm_memory.ranking import MIN_SCORE

        return self._swarm.finder.search(
            asked, limit=ANSWERS, min_score=MIN_SCORE, rows_max=CATCH_UP_ROWS, within_s=CATCH_UP_S
        )

    def messages(self, agent: str) -> list[Item]:
        """Return an agent's unread messages, in the order in which it would get them."""
        inbox = self._swarm.as_agent(agent).messages.inbox(limit=MESSAGES_MAX)
        now_ms = self._engine.now_ms
        items = []
        for message in inbox:
            if message.sender == agent:
                continue  # what it said to everyone itself
            ago = age(now_ms - message.sent_ms)
            head = f"unread message from {plain(message.sender)}, {ago} ago: "

            def line(mark: str, room: int, head: str = head, body: Json = message.body) -> str:
                return _quoting(f"{mark}{head}", said(body), room)

            items.append(Item(MESSAGE, message.message_id, 1, None, line))
        return items

    def others(self, session_id: str) -> list[Item]:
        """Return who else is active, whoever was seen last first."""
        from swarm_memory.lives import Life, Now

        engine = self._engine
        now = Now(engine.boot_id, engine.uptime_ms, engine.now_ms)
        lives = [
            Life._make(r) for r in engine.all("session_active", swarm=self._swarm.context.swarm)
        ]
        active = [
            life
            for life in lives
            if life.session_id != session_id
            and life.left_ms(now) > 0
            and now.wall_ms - life.touched_ms < ACTIVE_MS
        ]
        active.sort(key=lambda life: (-life.touched_ms, life.session_id))
        if not active:
            return []
        editing: dict[str, list[str]] = {}
        for editor in self._swarm.edits.list():
            editing.setdefault(editor.session_id, []).append(editor.path)
        return [
            self._active(other, editing.get(other.session_id, []), now.wall_ms)
            for other in (life.shown(now) for life in active)
            if not SHADOW.items() <= other.about.items()
        ][:ACTIVE_MAX]

    def _active(self, other: Json, files: list[str], now_ms: int) -> Item:
        branch = other.about.get("branch")
        who = other.agent if "@" in other.agent else f"{other.agent}@{other.short}"
        parts = [f"active: {plain(who)} for {age(now_ms - other.began_ms)}"]
        parts += [f"on branch {plain(branch)}"] if isinstance(branch, str) and branch else []
        if files:
            named = ", ".join(plain(path, 20) for path in files[:FILES_MAX])
            more = f" and {len(files) - FILES_MAX} more" if len(files) > FILES_MAX else ""
            parts.append(f"changing {named}{more}")

        def line(mark: str, room: int) -> str:
            return _joined(parts, room)

        return Item(SESSION, other.session_id, other.began_ms, None, line)

    def conflicts(self) -> list[Item]:
        items = []
        for conflict in self._swarm.conflicts.list("parked", limit=CONFLICTS_MAX):
            ago = age(self._engine.now_ms - conflict.at_ms)
            who, key = plain(conflict.author, 20), plain(conflict.key, 20)
            text = f"open conflict, {ago} ago, by {who} at {key}"

            def line(mark: str, room: int, text: str = text) -> str:
                return f"{mark}{text}"

            items.append(Item(CONFLICT, conflict.conflict_id, 1, None, line))
        return items

    def outcomes(self) -> list[Item]:
        items, now_ms = [], self._engine.now_ms
        swarm = self._swarm.context.swarm
        for row in self._engine.all("outcome_latest", swarm=swarm, limit=OUTCOMES_MAX):
            outcome_id, task_type, status, duration_s, strategy, author, at_ms = row
            if now_ms - at_ms > OUTCOME_MS:
                continue
            how = OUTCOME_WORDS.get(status, "ended, nobody knows how,")
            parts = [
                f"outcome by {plain(author)}, {age(now_ms - at_ms)} ago: task {plain(task_type)}"
                f" {how} after {duration_s:.0f} s"
            ]
            parts += [f"strategy {plain(strategy)}"] if strategy else []

            def line(mark: str, room: int, parts: list[str] = parts) -> str:
                return _joined([mark + parts[0], *parts[1:]], room)

            items.append(Item(OUTCOME, outcome_id, 1, None, line))
        return items

    def edit(self, editor: Editor) -> Item:
        """Return that somebody changes a file, will meet it in a merge, or has reserved it."""
        now_ms = self._engine.now_ms
        often = f"{editor.edits} edit{'s' if editor.edits > 1 else ''}"
        last = f"{often}, last {age(now_ms - editor.at_ms)} ago"
        since = age(now_ms - editor.since_ms)
        branch = [f"branch {plain(editor.branch, 12)}"] if editor.branch else []
        with_ = [f"with {plain(editor.tool, 8)}"] if editor.tool else []
        if editor.how == "merge":
            file, who, where = (plain(n, 9) for n in (editor.path, editor.agent, editor.worktree))
            parts = [f"{SUBJECT}{file} is being changed in worktree {where} by {who}"]
            parts += [*branch, last, *with_]
        else:
            file, who = plain(editor.path, 15), plain(editor.agent, 15)
            if editor.how == "same":
                parts = [f"{SUBJECT}{file} is being changed by {who} for {since}"]
                parts += [*branch, last, *with_]
            else:
                parts = [f"{SUBJECT}{file} is reserved by {who} for {since}"]
                why = quoted(editor.branch or "", QUOTE_TOKENS_MIN)
                parts += [f"reason {why}"] if why else []

        def line(mark: str, room: int) -> str:
            return _joined(parts, room)

        item = f"{editor.how} {editor.path} {editor.session_id} {editor.agent_id or editor.agent}"
        return Item(EDIT, item, editor.since_ms, None, line)

    def commands(self) -> list[Item]:
        """Return the commands that work in this project, as one item; none if none is known."""
        known = self._swarm.practice.working()
        if not known:
            return []
        parts = []
        for one in known:
            took = "" if one.seconds is None else f"{max(1, round(one.seconds))} s, "
            often = f"{one.passed}/{one.runs} passed"
            parts.append(f"{one.check} {_shown(one.form)} ({took}{often})")
        first = f"worked here: {parts[0]}"

        def line(mark: str, room: int) -> str:
            return _joined([first, *parts[1:]], room)

        return [Item(PRACTICE, " ".join(one.form for one in known), 1, None, line)]

    def hint(self, hint: Hint) -> Item:
        """Return what made a failure go away before."""
        from swarm_memory.learning.hints import name_of, sentence_of

        names = [hint.command, *(fix.partition(":")[2] for fix in hint.fixes)]
        shown = dict(zip((hint.command, *hint.fixes), map(_shown, names), strict=True))
        text = f"{SUBJECT}{sentence_of(hint, shown)}"

        def line(mark: str, room: int) -> str:
            return text if tokens(text) <= room else ""

        return Item(PRACTICE, name_of(hint), hint.of, hint.lower, line)

    def likely(self, risk: Risk) -> Item:
        """Return that another agent is likely to change a file soon; once for each window."""
        agent, at_ms = risk.others[0]
        now_ms = self._engine.now_ms
        minutes = round(risk.window_s / 60)
        file, who = plain(risk.path, 15), plain(agent, 12)
        parts = [
            f"{SUBJECT}another agent will likely change {file} within {minutes} min"
            f" ({risk.probability:.0%})",
            f"last was {who} {age(now_ms - at_ms)} ago",
        ]

        def line(mark: str, room: int) -> str:
            return _joined(parts, room)

        version = 1 + now_ms // round(1000 * risk.window_s)
        return Item(EDIT, f"likely {risk.path}", version, risk.probability, line)


def _shown(name: str) -> str:
    """Return a command or a path as it may stand in a sentence."""
    clean = plain(name, 12)
    return clean if clean.startswith('"') else f"`{clean}`"


def _is_known(to: Audience, record: Record, heard: bool) -> bool:
    """Tell whether an agent knows a record without being told: it wrote it, or was sent it."""
    if record.session != to.session_id:
        return False
    return record.author == to.agent or (heard and to.agent_id == MAIN)


def _quoting(head: str, text: str, room: int) -> str:
    """Return a line that quotes as much of a text as fits, '' if that says nothing."""
    left = room - tokens(head)
    quote = quoted(text, left) if left >= QUOTE_TOKENS_MIN else ""
    return f"{head}{quote}" if quote else ""


def _joined(parts: Sequence[str], room: int) -> str:
    """Return as many parts as fit, '' if the first one does not."""
    line = ""
    for part in parts:
        longer = f"{line}, {part}" if line else part
        if tokens(longer) > room:
            break
        line = longer
    return line
