"""The events of a session and of its turns."""

from __future__ import annotations

from swarm_memory.doors.hooks import render
from swarm_memory.doors.hooks.actor import identify, session_of
from swarm_memory.prompts import correction_of
from swarm_memory.recording import OFF
from swarm_memory.remembering import NOTE, REPORT, SUMMARY, digest, notes_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.doors.hooks import Handler
    from swarm_memory.doors.hooks.event import Event
    from swarm_memory.doors.hooks.place import Place
    from swarm_memory.swarm import Swarm

REASON_CHARS_MAX = 200


def session_start(swarm: Swarm, event: Event, place: Place, shows: bool) -> str:
    """SessionStart: begin the session, or go on with it, and brief its agent."""
    actor = identify(swarm, event, place)
    if not shows:
        return ""
    text = actor.swarm.briefing.session(
        actor.session_id,
        actor.agent,
        source=event.text("source") or "startup",
        branch=place.branch,
        worktree=place.worktree,
    )
    return render.context(event.name, text)


def prompt(swarm: Swarm, event: Event, place: Place, shows: bool) -> str:
    """UserPromptSubmit: keep what it asks to remember, and show what bears on it.

    Of a prompt that says that what was done is wrong it is kept that one did.
    """
    actor = identify(swarm, event, place)
    text = event.text("prompt") or ""
    for note in notes_of(text):
        actor.remember(NOTE, note)
    says = correction_of(text)
    if says is not None:
        actor.remembering.happening(
            {"says": says},
            session=actor.session.short,
            event=event.name,
            event_id=event.text("prompt_id") or digest(event.raw),
        )
    if not shows:
        return ""
    shown = actor.swarm.briefing.prompt(
        actor.session_id, actor.agent, text, agent_id=actor.agent_id
    )
    return render.context(event.name, shown)


def stop(swarm: Swarm, event: Event, place: Place, shows: bool) -> str:
    """Stop: keep what the agent said last, and let go of the files it changed.

    Nothing is ever shown here: a context would make the agent go on.
    """
    actor = identify(swarm, event, place)
    said = event.text("last_assistant_message")
    if said is not None:
        actor.remember(REPORT, said)
        actor.swarm.briefing.cited(actor.session_id, said)
    actor.swarm.edits.released(actor.session_id, actor.agent_id)
    # Nobody waits for an agent whose turn is over: what takes its time is done here.
    from swarm_memory.duties import tick_in_passing

    if swarm.config.record != OFF:
        from swarm_memory.labelling import turn_ended

        turn_ended(actor.swarm, actor.session_id, actor.session.short)
    actor.swarm.forecast.keep_up()
    tick_in_passing(actor.swarm)
    return ""


def compacting(swarm: Swarm, event: Event, place: Place, shows: bool) -> str:
    """PreCompact: keep that it happened."""
    _happened(swarm, event, place, "trigger")
    return ""


def compacted(swarm: Swarm, event: Event, place: Place, shows: bool) -> str:
    """PostCompact: keep the summary; what the agent was shown before is gone for it."""
    actor = identify(swarm, event, place)
    actor.swarm.briefing.compacted(actor.session_id)
    summary = event.text("compact_summary")
    if summary is not None:
        actor.remember(SUMMARY, summary)
    return ""


def notified(swarm: Swarm, event: Event, place: Place, shows: bool) -> str:
    """Notification: keep of which kind it was, and not its text."""
    _happened(swarm, event, place, "notification_type")
    return ""


def _happened(swarm: Swarm, event: Event, place: Place, field: str) -> None:
    actor = identify(swarm, event, place)
    actor.remembering.happening(
        {field: event.text(field)},
        session=actor.session.short,
        event=event.name,
        event_id=digest(event.raw),
    )


def session_end(swarm: Swarm, event: Event, place: Place, shows: bool) -> str:
    """SessionEnd: end the session and free all that it holds; nothing else, time is short."""
    reason = event.text("reason")
    swarm.sessions.end(session_of(event), reason=reason and reason[:REASON_CHARS_MAX])
    return ""


HANDLERS: dict[str, Handler] = {
    "SessionStart": session_start,
    "UserPromptSubmit": prompt,
    "Stop": stop,
    "PreCompact": compacting,
    "PostCompact": compacted,
    "Notification": notified,
    "SessionEnd": session_end,
}
