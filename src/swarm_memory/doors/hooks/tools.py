"""The events around one use of a tool."""

from __future__ import annotations

import time

from swarm_memory.doors.hooks import render
from swarm_memory.doors.hooks.actor import identify
from swarm_memory.recording import OFF
from swarm_memory.remembering import digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from swarm_memory.doors.hooks import Handler
    from swarm_memory.doors.hooks.actor import Actor
    from swarm_memory.doors.hooks.event import Event
    from swarm_memory.doors.hooks.place import Place
    from swarm_memory.model import Json
    from swarm_memory.recording import Operation
    from swarm_memory.swarm import Swarm

PATHS = ("file_path", "notebook_path")
EDITING = ("write", "edit")
SHELLS = ("Bash", "PowerShell")
HOOK_STARTS_MS = 1000  # about how long after a command its hook may look at the clock
OURS = "swarm-memory"  # what the tools of our own server have in their names
FAILED = "<tool_use_error>"  # how a batch shows the answer of a call that failed
CALLS_MAX = 100  # of one batch


def before(swarm: Swarm, event: Event, place: Place, shows: bool) -> str:
    """PreToolUse: say what the agent should know before it touches a file."""
    actor = identify(swarm, event, place)
    tool, call_id = event.text("tool_name") or "", event.text("tool_use_id")
    if call_id is not None and tool.startswith("mcp__") and OURS in tool:
        # A call to our server does not say which agent makes it: it asks by this id.
        actor.swarm.callers.announce(call_id)
    if not shows:
        return ""
    paths = _paths(event.get("tool_input"))
    there = place.of(paths[0] if paths else None)
    text = actor.swarm.briefing.tool(
        actor.session_id,
        actor.agent,
        tool=tool,
        paths=paths,
        agent_id=actor.agent_id,
        worktree=there.worktree,
        branch=there.branch,
    )
    denies = swarm.config.warn_edits == "deny"
    return render.denial(event.name, text) if denies else render.context(event.name, text)


def after(swarm: Swarm, event: Event, place: Place, shows: bool) -> str:
    """PostToolUse, PostToolUseFailure, PermissionDenied: keep what was done and how it ended."""
    failed = event.name == "PostToolUseFailure"
    actor = identify(swarm, event, place)
    call_id = event.text("tool_use_id") or digest(event.raw)
    done = _keep(
        actor,
        event.get("tool_name"),
        event.get("tool_input"),
        call_id,
        output=event.get("tool_response"),
        error=(event.get("error") or "failed") if failed else None,
        interrupted=event.get("is_interrupt"),
        denied=event.name == "PermissionDenied",
        duration_ms=event.get("duration_ms"),
    )
    if event.text("tool_name") not in SHELLS:
        return ""
    told = _overwritten(actor, shows)
    if told or not shows or done is None:
        return told
    return render.context(event.name, _hint(actor, done, call_id))


def _hint(actor: Actor, done: Operation, call_id: str) -> str:
    """Return what made a failure like this go away before."""
    known = done.invocation
    if known is None or done.exit in ("interrupted", "denied"):
        return ""
    if done.exit == "ok" and known.get("verdict") != "failed":
        return ""
    return actor.swarm.briefing.failure(
        actor.session_id,
        actor.agent,
        agent_id=actor.agent_id,
        tool=done.tool,
        session=actor.session.short,
        call_id=call_id,
    )


def _overwritten(actor: Actor, shows: bool) -> str:
    """Note which files of others a command has written, and say so."""
    duration_ms = actor.event.get("duration_ms")
    if type(duration_ms) is not int or actor.swarm.config.record == OFF:
        return ""
    place = actor.place
    who: dict[str, Any] = {
        "session_id": actor.session_id,
        "agent_id": actor.agent_id,
        "worktree": place.worktree,
    }
    since_ms = time.time_ns() // 1_000_000 - duration_ms - HOOK_STARTS_MS
    paths = actor.swarm.edits.overwritten(**who, since_ms=since_ms)
    if not paths:
        return ""
    tool = actor.event.text("tool_name") or ""
    more: dict[str, Any] = {
        "agent": actor.agent,
        "branch": place.branch,
        "tool": tool,
        "paths": paths,
    }
    actor.swarm.edits.edited(**who, **more)
    text = actor.swarm.briefing.tool(**who, **more) if shows else ""
    return render.context(actor.event.name, text)


def batch(swarm: Swarm, event: Event, place: Place, shows: bool) -> str:
    """PostToolBatch: keep those calls of which no other event told."""
    calls = event.get("tool_calls")
    actor = identify(swarm, event, place)
    for call in calls[:CALLS_MAX] if isinstance(calls, list) else ():
        call_id = call.get("tool_use_id") if isinstance(call, dict) else None
        if not isinstance(call_id, str) or not call_id:
            continue  # nothing would tell it from a call that another event told of
        said = call.get("tool_response")
        _keep(
            actor,
            call.get("tool_name"),
            call.get("tool_input"),
            call_id,
            output=said,
            error=said if _says_failure(said) else None,
        )
    return ""


def _keep(
    actor: Actor, tool: Json, tool_input: Json, call_id: str, *, output: Json, **ended: Json
) -> Operation | None:
    """Keep one use of a tool and return it; note which files it changed, what a commit frees."""
    paths = _paths(tool_input)
    there = actor.place.of(paths[0] if paths else None)
    policy = actor.remembering.policy(there.worktree, actor.place.folder)
    done = policy.decide(tool, tool_input, output, **ended)
    if done is None:
        return None
    actor.remembering.operation(
        done,
        session=actor.session.short,
        call_id=call_id,
        event=actor.event.name,
        about=actor.about(there),
    )
    if done.exit != "ok" or actor.event.name == "PostToolBatch":
        return done
    if done.operation in EDITING:
        changed = [path for path in paths if not policy.is_denied(path)]
        if changed:
            actor.swarm.edits.edited(
                changed,
                session_id=actor.session_id,
                agent=actor.agent,
                agent_id=actor.agent_id,
                worktree=there.worktree,
                branch=there.branch,
                tool=done.tool,
            )
    elif done.operation == "command" and _commits(tool_input):
        actor.swarm.edits.committed(actor.session_id, there.worktree)
    return done


def _commits(tool_input: Json) -> bool:
    command = tool_input.get("command") if isinstance(tool_input, dict) else None
    if not isinstance(command, str) or "commit" not in command:
        return False
    from swarm_memory.commands import names_of

    return "git commit" in names_of(command)


def _paths(tool_input: Json) -> list[str]:
    fields = tool_input if isinstance(tool_input, dict) else {}
    return [fields[name] for name in PATHS if isinstance(fields.get(name), str) and fields[name]]


def _says_failure(said: Json) -> bool:
    """Tell whether the text of an answer, which is all that a batch has, is that of a failure."""
    if not isinstance(said, str):
        return False
    from swarm_memory.failures import exit_code_of

    return bool(exit_code_of(said)) or said.lstrip().startswith(FAILED)


HANDLERS: dict[str, Handler] = {
    "PreToolUse": before,
    "PostToolUse": after,
    "PostToolUseFailure": after,
    "PermissionDenied": after,
    "PostToolBatch": batch,
}
