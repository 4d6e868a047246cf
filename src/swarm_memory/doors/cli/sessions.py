"""The verb of sessions: session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from swarm_memory.doors.cli.coordination import PANEL, Limit
from swarm_memory.doors.cli.frame import Door, verb
from swarm_memory.doors.cli.show import cell, count, one_line, table, time_of

if TYPE_CHECKING:
    from rich.console import Console

    from swarm_memory.lives import Agent, Session


@verb("session", PANEL)
def session(
    door: Door,
    action: Annotated[str, typer.Argument(metavar="[list|show|end]", help="What to do.")] = "list",
    session_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="Which one; its short name will do.")
    ] = None,
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="List only active, lapsed or ended ones.")
    ] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why, for end.")] = None,
    limit: Limit = 100,
) -> int:
    """List sessions and what they hold, show one with its agents, or end one and free all of it.

    Sessions that nobody renewed, and those of processes that ended, end by being looked at. In a
    pipe each line is id, short name, state, kind, agent, leases, messages in hand, running
    agents, when it was last renewed, when it lapses, and why it ended. To end one that is over
    is exit 1.

    Example: swarm-memory session end 3f2a9c1b --reason 'its terminal is gone'
    """
    if action == "list":
        return _list(door, state, limit)
    if action not in {"show", "end"} or session_id is None:
        raise typer.BadParameter("say list, show ID, or end ID")
    with door.open(create=False) as swarm:
        found = swarm.sessions.get(session_id)
        if action == "show":
            return _show(door, found, swarm.sessions.agents(found.session_id, limit=limit))
        ended = swarm.sessions.end(found.session_id, reason=reason)
    if not ended:
        door.show.note(f"session {found.session_id} was over already ({found.state})")
        return 1
    freed = found.held
    door.show.result(
        {"session_id": found.session_id, "freed": freed._asdict() if freed else None},
        [[found.session_id, *(freed or ())]],
        lambda console: console.print(cell(f"ended {found.session_id}, freed {_held(found)}")),
    )
    return 0


def _list(door: Door, state: str | None, limit: int) -> int:
    with door.open(create=False) as swarm:
        found = swarm.sessions.list(state, limit=limit)

    def pretty(console: Console) -> None:
        if not found:
            console.print(cell(f"no {state or ''} sessions".replace("  ", " ")))
            return
        shown = table("seen", "session", "state", "by", "holds", right=["seen"])
        for one in found:
            style = "bold" if one.state == "active" else "dim"
            age = cell(door.show.age(one.touched_ms), "dim")
            state_ = f"{one.state} ({one.reason})" if one.reason else one.state
            who = cell(one.agent, "green")
            shown.add_row(age, cell(one.short, style), cell(state_), who, cell(_held(one)))
        console.print(shown)

    door.show.result([one.to_dict() for one in found], map(_line, found), pretty)
    return 0


def _show(door: Door, found: Session, agents: list[Agent]) -> int:
    document = found.to_dict() | {"agents": [agent.to_dict() for agent in agents]}
    door.show.result(document, [[name, one_line(part)] for name, part in document.items()])
    return 0


def _line(one: Session) -> list[object]:
    what = [one.session_id, one.short, one.state, one.kind, one.agent, *(one.held or ())]
    return [*what, time_of(one.touched_ms), time_of(one.expires_ms), one.reason]


def _held(one: Session) -> str:
    if one.held is None or not any(one.held):
        return "nothing"
    nouns = ("lease", "message", "agent")
    return ", ".join(count(n, noun) for n, noun in zip(one.held, nouns, strict=True) if n)
