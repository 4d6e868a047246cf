"""What claude-flow's hooks do here: each really does what its name says, or says that it does not.

    answer = Flow(swarm, session_id=None).run("pre-task", {"description": "build the parser"})

A hook returns lines for whoever called it, the same as data, and its exit status. What a caller
claims without a measurement (an accuracy), and what claude-flow invents (a session to restore, a
success that nobody stated), is not recorded.
"""

from __future__ import annotations

import os

from swarm_memory.errors import InvalidKeyError
from swarm_memory.flow import options as given
from swarm_memory.flow.tasks import TASK_TYPE, Tasks
from swarm_memory.key import check_key, escape
from swarm_memory.layout import Layout
from swarm_memory.lean import NamedTuple
from swarm_memory.locate import branch_of, root_of
from swarm_memory.redact import redact
from swarm_memory.remembering import OPERATIONS, Remembering

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from swarm_memory.flow.options import Options
    from swarm_memory.lives import Session
    from swarm_memory.model import Json
    from swarm_memory.recording import Operation
    from swarm_memory.swarm import Swarm

    _Said = tuple[int, list[str], dict[str, Json]]

DONE, REFUSED = 0, 1
NO_SESSION = "flow"  # where operations lie that belong to no session
RECORD_OFF = "nothing is recorded here: record is off"
SHOWN_MAX = 20
OPERATIONS_MAX = 1000  # of a session that are counted at its end
LEVELS = {"warn": "warning"}
# What claude-flow offers and only pretends to do, or does to its own files.
NOT_DONE = {
    "neural-trained": "an accuracy that its caller states is no measurement, so it is not kept;"
    " what ended how teaches: post-task --success true|false",
    "pretrain": "nothing is trained ahead; outcomes teach",
    "build-agents": "agents are not made here",
    "transfer": "memory comes and goes by: swarm-memory import, swarm-memory export",
    "token-optimize": "no tokens are counted here",
    "statusline": "use: swarm-memory health",
    "progress": "use: swarm-memory progress",
}


class Answer(NamedTuple):
    """What a hook did: sentences, the same as data, and the exit status of its process."""

    hook: str
    status: int
    lines: list[str]
    data: dict[str, Json]

    def to_dict(self) -> dict[str, Json]:
        """Return the answer as every door shows it."""
        return {"hook": self.hook, "ok": self.status == DONE, "said": self.lines} | self.data


class Flow:
    """The hooks of claude-flow over an open store.

    Args:
        session_id: The session in which they are called, if there is one.
        folder: Where the caller is.
        shows: Whether a session's beginning tells what the memory holds.
    """

    def __init__(
        self, swarm: Swarm, *, session_id: str | None, folder: str, shows: bool = True
    ) -> None:
        self._swarm = swarm
        self._session_id = session_id
        self._shows = shows
        self._folder = os.path.abspath(folder)
        self._tasks = Tasks(swarm)
        self._remembering = Remembering(swarm)
        self._worktree = root_of(self._folder)

    def run(self, hook: str, options: Options) -> Answer:
        """Do what a hook is for.

        Raises:
            InvalidArgumentError: An option has a value that it cannot have.
        """
        if hook in NOT_DONE or hook.startswith(("coverage-", "model-", "worker")):
            why = NOT_DONE.get(hook, "that is not done here")
            return Answer(hook, REFUSED, [f"{hook}: {why}"], {})
        do = HOOKS.get(hook)
        if do is None:
            # Both lines of claude-flow take an unknown hook for a harmless one.
            return Answer(hook, DONE, [f"unknown hook {hook!r}; known: {' '.join(HOOKS)}"], {})
        if self._session_id is not None and hook not in ("session-end", "session-restore"):
            self._session(self._session_id)
        status, lines, data = do(self, options)
        if given.asked(options, "train-neural") or given.asked(options, "train-patterns"):
            lines.append("nothing was trained: outcomes teach (post-task --success true|false)")
        return Answer(hook, status, lines, data)

    # --- tasks ---

    def pre_task(self, options: Options) -> _Said:
        description = given.text(options, "description") or "unnamed task"
        kind = given.text(options, "type") or TASK_TYPE
        task, chosen = self._tasks.begin(given.text(options, "task-id"), description, kind)
        lines = [f"task {task['task_id']} began", f"recommended strategy: {task.get('strategy')}"]
        data: dict[str, Json] = {"task": task}
        if chosen is None:
            lines[0] = f"task {task['task_id']} is under way already"
        else:
            trials = chosen.evidence.get("trials", 0)
            lines[1] += f" (of {trials} outcomes so far)" if trials else " (nothing is known yet)"
            data["recommendation"] = chosen.to_dict()
        return DONE, lines, data

    def post_task(self, options: Options) -> _Said:
        success = given.success(options)
        task_id = given.text(options, "task-id") or self._tasks.current()
        if task_id is None:
            return DONE, ["no task is under way, and none is named: nothing to complete"], {}
        duration_ms = given.number(options, "duration")
        quality = given.number(options, "quality")
        task, learned = self._tasks.end(
            task_id,
            success,
            None if duration_ms is None else duration_ms / 1000,
            {} if quality is None else {"quality": quality},
        )
        if task.pop("again", False):
            return DONE, [f"task {task_id} was over already: {task['status']}"], {"task": task}
        spent = task["duration_s"]
        took = "nobody knows how long it took" if spent is None else f"took {spent:.3g} s"
        lines = [f"task {task_id} {task['status']}, {took}"]
        performance = self._tasks.compared(task)
        if performance["tasks"]:
            lines.append(
                f"{performance['succeeded']} of {performance['tasks']} tasks of type"
                f" {task['task_type']} succeeded, median {performance['median_s']:.3g} s"
            )
        if not learned:
            missing = "whether it succeeded" if success is None else "how long it took"
            how = "--success true or false" if success is None else "--duration, or pre-task first"
            lines.append(f"nothing is learned from it, since nobody said {missing}: say {how}")
        return DONE, lines, {"task": task, "learned": learned, "performance": performance}

    def task_orchestrated(self, options: Options) -> _Said:
        task_id = given.text(options, "task-id")
        if task_id is None:
            return REFUSED, ["which task? say --task-id"], {}
        priority = given.text(options, "priority")
        more = {} if priority is None else {"priority": priority}
        task = self._tasks.follow(task_id, given.text(options, "strategy"), more)
        return DONE, [f"task {task_id} goes by {task.get('strategy')}"], {"task": task}

    def route(self, options: Options) -> _Said:
        kind = given.text(options, "type") or TASK_TYPE
        outcomes = self._swarm.outcomes
        chosen = outcomes.recommend({"task_type": kind}, explore=outcomes.may_try())
        if chosen.strategy is None:
            return DONE, [f"{chosen.why}: outcomes teach"], {"recommendation": None}
        line = f"recommended strategy: {chosen.strategy} (expected {chosen.expected:.0%})"
        return DONE, [line, chosen.why], {"recommendation": chosen.to_dict()}

    def insights(self, options: Options) -> _Said:
        found = self._swarm.outcomes.insights()
        lines = [insight.text for insight in found] or ["too few outcomes to say anything"]
        return DONE, lines, {"insights": [insight.to_dict() for insight in found]}

    # --- edits, commands ---

    def pre_edit(self, options: Options) -> _Said:
        file = given.text(options, "file")
        if file is None:
            return DONE, ["no file is named"], {}
        others = self._swarm.edits.others(
            file, session_id=self._session_id or NO_SESSION, worktree=self._worktree
        )
        lines = [f"{one.agent} is changing {file}" for one in others[:SHOWN_MAX]]
        return (
            DONE,
            lines or [f"nobody else is changing {file}"],
            {"others": [one.to_dict() for one in others]},
        )

    def post_edit(self, options: Options) -> _Said:
        file = given.text(options, "file")
        failed = given.success(options) is False
        done = self._operation("Edit", {"file_path": file} if file else {}, failed=failed)
        if done is None:
            return DONE, [RECORD_OFF], {}
        if file is not None and not failed and done.path and not done.path.startswith("["):
            self._note_edit(file)
        lines = [f"recorded: edit of {done.path or 'an unnamed file'} ({done.exit})"]
        data: dict[str, Json] = {"operation": done.to_dict()}
        if "memory-key" in options:
            data["key"] = self._under_memory_key(given.text(options, "memory-key"), done)
            lines.append(f"kept under {data['key']}")
        if given.asked(options, "format"):
            lines.append("no formatter is run here")
        return DONE, lines, data

    def _under_memory_key(self, name: str | None, done: Operation) -> str:
        """Keep an operation under the key that its caller names, or one of its file and time."""
        file = (done.path or "unnamed").rpartition("/")[2]
        key = name or f"edits/{escape(file, limit=100)}"
        try:
            check_key(key)
        except InvalidKeyError as error:
            key = error.suggestion
        self._swarm.records.put(key, done.to_dict() | {"agent": self._swarm.context.agent})
        return key

    def _note_edit(self, file: str) -> None:
        if self._session_id is None:
            return  # without a session nothing would ever let go of it
        self._swarm.edits.edited(
            [file],
            session_id=self._session_id,
            agent=self._swarm.context.agent,
            worktree=self._worktree,
            branch=branch_of(self._worktree),
            tool="Edit",
        )

    def pre_command(self, options: Options) -> _Said:
        line = "commands are not judged here: permissions do that"
        return DONE, [line] if given.asked(options, "validate-safety") else [], {}

    def post_command(self, options: Options) -> _Said:
        command = given.text(options, "command") or ""
        code = given.number(options, "exit-code")
        said = given.success(options)
        failed = said is False or (said is None and bool(code))
        error = f"Exit code {code:.0f}" if failed and code else "failed" if failed else None
        done = self._operation(
            "Bash",
            {"command": command},
            output=given.text(options, "output"),
            error=error,
            failed=failed,
            duration_ms=given.number(options, "duration"),
        )
        return self._recorded(done)

    def post_search(self, options: Options) -> _Said:
        return self._recorded(
            self._operation("Grep", {"query": given.text(options, "query") or ""})
        )

    def _recorded(self, done: Operation | None) -> _Said:
        if done is None:
            return DONE, [RECORD_OFF], {}
        what = done.command or done.operation
        return DONE, [f"recorded: {what} ({done.exit})"], {"operation": done.to_dict()}

    def _operation(
        self,
        tool: str,
        tool_input: dict[str, Json],
        *,
        output: Json = None,
        error: str | None = None,
        failed: bool = False,
        duration_ms: float | None = None,
    ) -> Operation | None:
        """Keep one operation as the policy of the store allows; None if it keeps nothing."""
        policy = self._remembering.policy(self._worktree, self._folder)
        error = error or ("failed" if failed else None)
        done = policy.decide(tool, tool_input, output, error=error, duration_ms=duration_ms)
        if done is not None:
            self._remembering.operation(
                done,
                session=self._where(),
                call_id=self._new_id(),
                event="flow-hook",
                about={"branch": branch_of(self._worktree)},
            )
        return done

    def _happening(self, event: str, value: dict[str, Json]) -> bool:
        return self._remembering.happening(
            value, session=self._where(), event=event, event_id=self._new_id()
        )

    def _new_id(self) -> str:
        from swarm_memory.context import new_id

        return new_id(self._swarm.read(lambda tx: tx.now_ms))

    def _where(self) -> str:
        if self._session_id is None:
            return NO_SESSION
        return self._session(self._session_id).short

    # --- what is said ---

    def notify(self, options: Options) -> _Said:
        message = given.text(options, "message")
        if message is None:
            return REFUSED, ["what is to be said? say --message"], {}
        message = redact(message).text
        level = given.text(options, "level") or "info"
        level = LEVELS.get(level, level)
        about = {"level": level, "swarm_status": given.text(options, "swarm-status")}
        data: dict[str, Json] = {"message": message, "level": level}

        from swarm_memory.manager import SwarmMemoryManager

        kept = SwarmMemoryManager.of(self._swarm).store_agent_decision(
            "notification", message, {n: part for n, part in about.items() if part is not None}
        )
        data["key"] = kept.key
        channel = given.text(options, "channel")
        if channel is not None or given.asked(options, "broadcast"):
            self._swarm.messages.send({"text": message, "level": level}, topic=channel)
        return DONE, [f"kept as {data['key']}"], data

    def agent_spawned(self, options: Options) -> _Said:
        name = given.text(options, "name") or "unnamed"
        kind = given.text(options, "type") or "generic"
        if self._session_id is not None:
            self._swarm.sessions.agent_started(self._session_id, name, kind)
        self._happening("agent-spawned", {"agent": name, "agent_type": kind})
        return DONE, [f"noted: {name} ({kind})"], {"agent": name, "agent_type": kind}

    def noted(self, event: str, options: Options, *names: str) -> _Said:
        value = {name.replace("-", "_"): given.text(options, name) for name in names}
        value = {name: part for name, part in value.items() if part is not None}
        kept = self._happening(event, value)
        return (
            DONE,
            [f"noted: {event}" if kept else RECORD_OFF],
            value,
        )

    # --- sessions ---

    def session_start(self, options: Options) -> _Said:
        name = given.text(options, "session-id") or self._session_id or f"flow-{self._new_id()}"
        session = self._session(name)
        lines = [f"session {session.session_id} is active"]
        return DONE, lines + self._briefed(session), {"session": session.to_dict()}

    def session_restore(self, options: Options) -> _Said:
        name = given.text(options, "session-id") or "latest"
        known = self._swarm.sessions.list(limit=1) if name == "latest" else self._called(name)
        if not known:
            return REFUSED, [f"there is no session to restore ({name})"], {}
        session = self._session(known[0].session_id)
        lines = [f"session {session.session_id} is active again"]
        return DONE, lines + self._briefed(session), {"session": session.to_dict()}

    def session_end(self, options: Options) -> _Said:
        name = given.text(options, "session-id") or self._session_id
        known = self._called(name) if name else self._swarm.sessions.list("active", limit=1)
        if not known or known[0].state != "active":
            return REFUSED, ["no session is active"], {}
        session = known[0]
        counts = self._counted(session)
        key = f"{Layout(self._swarm.context.swarm, '').swarm}/session-"
        key += f"{escape(session.session_id, limit=60)}/context"
        summary = {"session_id": session.session_id, "began_ms": session.began_ms} | counts
        self._swarm.records.put(key, summary)
        self._swarm.sessions.end(session.session_id, reason="session-end")
        said = ", ".join(f"{number} {what}" for what, number in counts.items() if number)
        return (
            DONE,
            [f"session {session.session_id} ended: {said or 'nothing was recorded'}"],
            {
                "session": session.session_id,
                "summary": summary,
                "key": key,
            },
        )

    def _counted(self, session: Session) -> dict[str, int]:
        """Count what was recorded of a session, failures among them."""
        found = self._swarm.records.scan(
            f"{OPERATIONS}/{session.short}/", limit=OPERATIONS_MAX, telemetry=True
        )
        done = [record.value for record in found if isinstance(record.value, dict)]
        return {
            "operations": len(done),
            "edits": sum(value.get("operation") in ("edit", "write") for value in done),
            "commands": sum(value.get("operation") == "command" for value in done),
            "failed": sum(value.get("exit") in ("failed", "timeout") for value in done),
        }

    def _called(self, name: str) -> list[Session]:
        return [s for s in self._swarm.sessions.list(limit=1000) if name in (s.session_id, s.short)]

    def _session(self, name: str) -> Session:
        sessions = self._swarm.sessions
        return sessions.touch(name) or sessions.begin(name, about={"worktree": self._worktree})

    def _briefed(self, session: Session) -> list[str]:
        if not self._shows:
            return []
        text = self._swarm.briefing.session(
            session.session_id,
            self._swarm.context.agent,
            source="startup",
            branch=branch_of(self._worktree),
            worktree=self._worktree,
        )
        return [text] if text else []


HOOKS: dict[str, Callable[[Flow, Options], _Said]] = {
    "pre-task": Flow.pre_task,
    "post-task": Flow.post_task,
    "task-completed": Flow.post_task,
    "task-orchestrated": Flow.task_orchestrated,
    "pre-edit": Flow.pre_edit,
    "post-edit": Flow.post_edit,
    "pre-command": Flow.pre_command,
    "post-command": Flow.post_command,
    "post-search": Flow.post_search,
    "notify": Flow.notify,
    "agent-spawned": Flow.agent_spawned,
    "mcp-initialized": lambda flow, options: flow.noted("mcp-initialized", options, "server"),
    "teammate-idle": lambda flow, options: flow.noted("teammate-idle", options, "teammate-id"),
    "session-start": Flow.session_start,
    "session-restore": Flow.session_restore,
    "session-end": Flow.session_end,
    "route": Flow.route,
    "explain": Flow.insights,
    "metrics": Flow.insights,
}
