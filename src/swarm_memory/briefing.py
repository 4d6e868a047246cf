"""Briefing: what an agent is shown of the shared memory, and when it is shown nothing.

A hook asks at each event; what comes back is put into the agent's context as it is. '' means that
there is nothing to say, and then nothing is written either.

- Nothing is shown twice in one context: an agent's own, until it was compacted, or in a newer
  version. An agent is not told what it wrote itself, nor the session's own agent what its
  subagents reported to it.
- Texts are facts: each line says what somebody noted, with author, age and number, and quotes it
  (see `wording`). Telemetry is never shown.
- Each event has a budget in tokens, which the estimate of `wording.tokens` keeps.
- Every line is in the log (see `injections`).

Which memories an agent that begins is told of: see `noteworthy`. What answers a prompt is found
by `search`, and shown from `ranking.MIN_SCORE` on.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarm_memory.engine import Engine, Row, Tx
    from swarm_memory.injections import Audience, Injections
    from swarm_memory.model import Json
    from swarm_memory.sources import Item, Sources
    from swarm_memory.swarm import Swarm

    Sections = Sequence[tuple[int, Sequence[Item]]]  # with what each may have of the budget

# In tokens: what one event may show, what of it may be messages, and what one line may be.
SESSION_TOKENS, SUBAGENT_TOKENS, PROMPT_TOKENS, TOOL_TOKENS = 500, 250, 200, 60
MESSAGES_TOKENS, AGENTS_TOKENS, CONFLICTS_TOKENS, OUTCOMES_TOKENS = 100, 120, 120, 80
LINE_TOKENS, LINE_TOKENS_MIN = 90, 20
START, PROMPT, SUBAGENT, TOOL = "SessionStart", "UserPromptSubmit", "SubagentStart", "PreToolUse"
FAILURE, FAILURE_TOKENS, COMMANDS_TOKENS = "PostToolUseFailure", 60, 60
SOURCES = ("startup", "resume", "clear", "compact", "fork")
COMPACT = f"{START}:compact"
RENEWED = ("clear", "compact")  # sources of a context that holds nothing of before
RENEWED_MS = 10_000  # so long after it was renewed, being told again that it was changes nothing
TOPICS = 20  # memories that a session's agent was shown for its prompts
TRUNKS = frozenset({"main", "master", "trunk", "develop", "development", "head"})
FORECAST_MS = 1_800_000  # the window of the forecast before an edit
PATHS_MAX = 20  # of one use of a tool
HEADING = "swarm-memory, noted by agents of this project, quoted (swarm-memory get %N: whole):"


class Briefing:
    """What agents of one swarm are shown.

    `agent` is the name that an agent acts by, `agent_id` which subagent of its session it is; None
    for the session's own agent. Answers are texts to be put into its context, '' for nothing.
    """

    __slots__ = ("_engine", "_swarm")

    def __init__(self, swarm: Swarm, engine: Engine) -> None:
        self._swarm = swarm
        self._engine = engine

    # What follows is imported by what has something to say: most hooks have not.

    @property
    def log(self) -> Injections:
        """What agents were shown."""
        from swarm_memory.injections import Injections

        return Injections(self._engine, self._swarm.context)

    @property
    def _sources(self) -> Sources:
        from swarm_memory.sources import Sources

        return Sources(self._swarm, self._engine)

    # --- what is shown at which event ---

    def session(
        self,
        session_id: str,
        agent: str,
        *,
        source: str,
        branch: str | None = None,
        worktree: str | None = None,
    ) -> str:
        """Return what the agent of a session that begins is told, at most 500 tokens.

        Unread messages, who else is active, open conflicts, recent outcomes, then memories.

        Args:
            source: Why it begins: startup, resume, clear, compact or fork. After clear and
                compact its context holds nothing of before.
            branch: What it works on; memories that answer its words come first.
            worktree: Where it works; shown of others, not used yet for this one.
        """
        to = _to(session_id, None, agent)
        event = f"{START}:{source if source in SOURCES else 'other'}"
        renewed = source in RENEWED
        if renewed:
            self.log.compacted(to, event, self._engine.now_ms - RENEWED_MS)
        sections = self._beginning(to, branch, renewed=renewed)
        return self._tell(to, event, SESSION_TOKENS, sections)

    def subagent(self, session_id: str, agent: str, *, agent_id: str, agent_type: str) -> str:
        """Return what a subagent that starts is told, at most 250 tokens.

        The commands that work here, then what its session's agent was shown for its prompts, and
        what answers its type.
        """
        to = _to(session_id, agent_id, agent)
        answers = self._sources.answers(_words_of(agent_type))
        topics = self.log.topics(session_id, PROMPT, TOPICS)
        for key, score in topics.items():
            known = answers.get(key)
            record = self._swarm.records.get(key) if known is None else known[0]
            if record is not None:
                answers[key] = (record, max(score, known[1] if known else 0.0))
        sections = (
            (COMMANDS_TOKENS, self._sources.commands()),
            (SUBAGENT_TOKENS, self._sources.memories(to, answers, False)),
        )
        return self._tell(to, SUBAGENT, SUBAGENT_TOKENS, sections)

    def prompt(
        self, session_id: str, agent: str, prompt: str, *, agent_id: str | None = None
    ) -> str:
        """Return the memories that answer a prompt, and unread messages, at most 200 tokens."""
        to = _to(session_id, agent_id, agent)
        return self._tell(to, PROMPT, PROMPT_TOKENS, self._answering(to, prompt))

    def tool(
        self,
        session_id: str,
        agent: str,
        *,
        tool: str,
        paths: Sequence[str],
        agent_id: str | None = None,
        worktree: str,
        branch: str | None = None,
    ) -> str:
        """Return who else is changing the files that a tool is about to write, at most 60 tokens.

        Told once for each time that somebody begins to change a file; with the setting
        `warn_edits` "deny" each time, with "off" never. Where nobody is, it is one read by an
        index for each path, and whoever is likely to come there is named once in half an hour, if
        the swarm's log is long enough to know (see `forecast`). A forecast denies nothing.

        Args:
            tool: Its name, for the log.
            paths: What it is about to write, absolute or as seen from `worktree`.
            branch: Of this agent; a merge warning names the other's.
        """
        how = self._swarm.config.warn_edits
        if not paths or how == "off":
            return ""
        others = self._swarm.edits.others
        found = [
            editor
            for path in paths[:PATHS_MAX]
            for editor in others(path, session_id=session_id, agent_id=agent_id, worktree=worktree)
        ]
        if not found:
            if how == "deny" or not self._forecasts():
                return ""
            return self._likely(_to(session_id, agent_id, agent), tool, paths, worktree)
        from swarm_memory.wording import plain

        to = _to(session_id, agent_id, agent)
        items = [self._sources.edit(editor) for editor in found]
        told = self._tell(to, f"{TOOL}:{plain(tool)}", TOOL_TOKENS, ((TOOL_TOKENS, items),), "")
        if told or how != "deny":
            return told
        return items[0].line("", TOOL_TOKENS)

    def failure(
        self,
        session_id: str,
        agent: str,
        *,
        agent_id: str | None = None,
        tool: str,
        session: str,
        call_id: str,
    ) -> str:
        """Return what made a failure like this go away before, at most 60 tokens; often nothing.

        Told once in a context, until more is known of it; and nothing more is told in a session in
        which a hint did not come true.

        Args:
            session: The short name of the session.
            call_id: Which recorded call of it has failed.
        """
        from swarm_memory.key import escape
        from swarm_memory.wording import plain

        hint = self._swarm.practice.hint(session_id, session, f"{session}/{escape(call_id)}")
        if hint is None:
            return ""
        to = _to(session_id, agent_id, agent)
        sections = ((FAILURE_TOKENS, [self._sources.hint(hint)]),)
        return self._tell(to, f"{FAILURE}:{plain(tool)}", FAILURE_TOKENS, sections, "")

    def _forecasts(self) -> bool:
        """Tell whether the swarm's log is long enough to forecast anything."""
        where = {"swarm": self._swarm.context.swarm, "window_ms": FORECAST_MS}
        return self._engine.one("forecast_ready", **where) is not None

    def _likely(self, to: Audience, tool: str, paths: Sequence[str], worktree: str) -> str:
        """Return who is likely to change one of the files soon."""
        forecast, edits = self._swarm.forecast, self._swarm.edits
        risks = [
            forecast.likely(
                edits.path_of(path, worktree), session_id=to.session_id, agent_id=to.agent_id
            )
            for path in paths[:PATHS_MAX]
        ]
        items = [self._sources.likely(risk) for risk in risks if risk is not None]
        if not items:
            return ""
        from swarm_memory.wording import plain

        return self._tell(to, f"{TOOL}:{plain(tool)}", TOOL_TOKENS, ((TOOL_TOKENS, items),), "")

    def preview(self, agent: str, *, prompt: str | None = None, branch: str | None = None) -> str:
        """Return what a new session would be told, or what would answer a prompt in it.

        For people: nothing counts as shown by it, only numbers are given.
        """
        nobody = _to("", None, agent)
        if prompt is None:
            sections = self._beginning(nobody, branch, renewed=True)
            return self._tell(nobody, START, SESSION_TOKENS, sections, logged=False)
        sections = self._answering(nobody, prompt)
        return self._tell(nobody, PROMPT, PROMPT_TOKENS, sections, logged=False)

    def compacted(self, session_id: str, agent_id: str | None = None) -> None:
        """Count what an agent was shown as gone from its context, so that it may come again.

        What a session shows because of the compaction itself stays, in whatever order the hooks
        of one compaction come.
        """
        to = _to(session_id, agent_id, "")
        self.log.compacted(to, COMPACT, self._engine.now_ms - RENEWED_MS)

    def cited(self, session_id: str, text: str) -> None:
        """Note in the log which of the items that a session was shown a message names."""
        self.log.cited(session_id, text)

    def key_of(self, text: str) -> str | None:
        """Return the key that is meant: `text`, or what a number stands for; None for no memory.

        Raises:
            InvalidArgumentError, NotFoundError: As in `named`.
        """
        if not text.startswith("%"):
            return text
        from swarm_memory.injections import MEMORY

        kind, item = self.log.named(text)
        return item if kind == MEMORY else None

    def named(self, text: str) -> dict[str, Json]:
        """Return what a number such as `%12` stands for, as every door shows it.

        Raises:
            InvalidArgumentError: It is no number of an item.
            NotFoundError: It stands for nothing, or what it stood for is gone.
        """
        from swarm_memory.errors import NotFoundError
        from swarm_memory.injections import CONFLICT, MEMORY, OUTCOME

        kind, item = self.log.named(text)
        where = {"swarm": self._swarm.context.swarm, "item": item}
        if kind == CONFLICT:
            return self._swarm.conflicts.get(item).to_dict()
        if kind == MEMORY:
            record = self._swarm.records.get(item)
            if record is not None:
                return record.to_dict()
        else:
            statement = "outcome_named" if kind == OUTCOME else "message_named"
            row = self._engine.one(statement, **where)
            if row is not None:
                return {"id": text, "kind": kind} | _fields(kind, row)
        raise NotFoundError(f"{text} was {kind} {item}, which is gone", hint="it is not kept")

    # --- telling ---

    def _beginning(self, to: Audience, branch: str | None, *, renewed: bool) -> Sections:
        answers = self._sources.answers(_words_of(branch))
        return (
            (MESSAGES_TOKENS, self._sources.messages(to.agent)),
            (AGENTS_TOKENS, self._sources.others(to.session_id)),
            (CONFLICTS_TOKENS, self._sources.conflicts()),
            (OUTCOMES_TOKENS, self._sources.outcomes()),
            (SESSION_TOKENS, self._sources.memories(to, answers, renewed)),
        )

    def _answering(self, to: Audience, prompt: str) -> Sections:
        return (
            (MESSAGES_TOKENS, self._sources.messages(to.agent)),
            (PROMPT_TOKENS, self._sources.hits(to, prompt)),
        )

    def _tell(
        self,
        to: Audience,
        event: str,
        budget: int,
        sections: Sections,
        heading: str = HEADING,
        *,
        logged: bool = True,
    ) -> str:
        """Return the lines of what the context does not hold, within the budget, and log them.

        Each section may have a part of the budget, and what the sections before it left of that.
        """
        from swarm_memory.injections import MARK, NUMBERED, Shown
        from swarm_memory.wording import tokens

        known = self.log.present(to) if logged else set()
        new = [
            (part, [i for i in items if (i.kind, i.item, i.version) not in known])
            for part, items in sections
        ]
        if not any(items for _, items in new):
            return ""

        def write(tx: Tx) -> list[str]:
            log, lines = self.log.within(tx), []
            left = budget - (tokens(heading) + 1 if heading else 0)
            for part, items in new:
                floor = max(0, left - part)
                for item in items:
                    if left - floor < LINE_TOKENS_MIN:
                        break
                    number = log.number(item.kind, item.item) if item.kind in NUMBERED else None
                    mark = "" if number is None else f"{MARK}{number} "
                    line = item.line(mark, min(left - floor, LINE_TOKENS) - 1)
                    cost = tokens(line) + 1
                    if not line or cost > left - floor:
                        continue
                    shown = Shown(item.kind, item.item, item.version, event, item.score, cost)
                    if not logged or log.add(tx, to, shown, number):
                        lines.append(line)
                        left -= cost
            return lines

        lines = self._engine.write(write, durability="relaxed")
        return "\n".join([heading, *lines] if heading and lines else lines)


def _to(session_id: str, agent_id: str | None, agent: str) -> Audience:
    from swarm_memory.injections import MAIN, Audience

    return Audience(session_id, agent_id or MAIN, agent)


def _words_of(name: str | None) -> str:
    """Return the words of a branch or of a type of agent, '' for those that everybody has."""
    if not name or name.lower() in TRUNKS:
        return ""
    return name.replace("\0", " ")


def _fields(kind: str, row: Row) -> dict[str, Json]:
    """Return an outcome or a message as it is shown by its number."""
    from swarm_memory import codec
    from swarm_memory.injections import OUTCOME

    if kind == OUTCOME:
        names = ["outcome_id", "task_type", "agents", "status", "duration_s", "strategy"]
        names += ["context", "author", "at_ms"]
        encoded = ["agents", "context"]
    else:
        names = ["message_id", "sender", "type", "body", "sent_ms"]
        encoded = ["body"]
    fields: dict[str, Json] = dict(zip(names, row, strict=True))
    for name in encoded:
        fields[name] = None if fields[name] is None else codec.loads(fields[name].encode())
    return fields
