"""The events of subagents, teammates, tasks and worktrees."""

from __future__ import annotations

from swarm_memory.doors.hooks import render
from swarm_memory.doors.hooks.actor import UNTYPED, identify
from swarm_memory.recording import OFF
from swarm_memory.remembering import REPORT, TASK, digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.doors.hooks import Handler
    from swarm_memory.doors.hooks.event import Event
    from swarm_memory.doors.hooks.place import Place
    from swarm_memory.swarm import Swarm


def started(swarm: Swarm, event: Event, place: Place, shows: bool) -> str:
    """SubagentStart: note that it runs, and brief it."""
    actor = identify(swarm, event, place)
    if not shows or actor.agent_id is None:
        return ""
    text = actor.swarm.briefing.subagent(
        actor.session_id,
        actor.agent,
        agent_id=actor.agent_id,
        agent_type=event.text("agent_type") or UNTYPED,
    )
    return render.context(event.name, text)


def stopped(swarm: Swarm, event: Event, place: Place, shows: bool) -> str:
    """SubagentStop: keep what it said last, and let go of the files it changed.

    Nothing is ever shown here: a context would make it go on.
    """
    actor = identify(swarm, event, place, ends=True)
    said = event.text("last_assistant_message")
    if said is not None:
        actor.remember(REPORT, said)
        actor.swarm.briefing.cited(actor.session_id, said)
    if actor.agent_id is not None:
        actor.swarm.edits.released(actor.session_id, actor.agent_id)
        swarm.sessions.agent_stopped(actor.session_id, actor.agent_id)
        actor.swarm.practice.agent_ended(actor.session_id, actor.session.short, actor.agent_id)
        actor.swarm.forecast.keep_up()
    return ""


def task(swarm: Swarm, event: Event, place: Place, shows: bool) -> str:
    """TaskCreated, TaskCompleted: keep that it happened; what was completed is a memory."""
    actor = identify(swarm, event, place)
    task_id = event.text("task_id")
    actor.remembering.happening(
        {"task_id": task_id},
        session=actor.session.short,
        event=event.name,
        event_id=task_id or digest(event.raw),
    )
    subject = event.text("task_subject")
    if event.name == "TaskCompleted" and subject is not None:
        actor.remember(TASK, subject)
    if event.name == "TaskCompleted" and task_id is not None and swarm.config.record != OFF:
        from swarm_memory.labelling import completed

        completed(actor.swarm, actor.session_id, actor.session.short, task_id, actor.agent)
    return ""


def worktree(swarm: Swarm, event: Event, place: Place, shows: bool) -> str:
    """WorktreeCreate, WorktreeRemove: keep that it happened.

    Who registers for WorktreeCreate has to print the path of the worktree. We do not register;
    where somebody else sends it to us, it is looked at like any other event.
    """
    actor = identify(swarm, event, place)
    path = event.text("name") or event.text("worktree_path") or ""
    actor.remembering.happening(
        {"name": path.replace("\\", "/").rstrip("/").rpartition("/")[2]},
        session=actor.session.short,
        event=event.name,
        event_id=digest(event.raw),
    )
    return ""


HANDLERS: dict[str, Handler] = {
    "SubagentStart": started,
    "SubagentStop": stopped,
    "TaskCreated": task,
    "TaskCompleted": task,
    "WorktreeCreate": worktree,
    "WorktreeRemove": worktree,
}
