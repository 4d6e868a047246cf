"""The verbs of what agents are shown: brief, injected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from swarm_memory.doors.cli.agents import AGENTS
from swarm_memory.doors.cli.coordination import Limit
from swarm_memory.doors.cli.frame import Door, verb
from swarm_memory.doors.cli.listing import readable
from swarm_memory.doors.cli.show import cell, table, time_of

if TYPE_CHECKING:
    from rich.console import Console

    from swarm_memory.injections import Injection


@verb("brief", AGENTS)
def brief(
    door: Door,
    prompt: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PROMPT...]", help="Show what would answer it instead."),
    ] = None,
    branch: Annotated[
        str | None, typer.Option(metavar="NAME", help="What the session would work on.")
    ] = None,
) -> None:
    """Print what an agent would be shown when its session begins, or with PROMPT.

    Nothing printed is nothing shown. It does not count as shown to anybody.

    Example: swarm-memory brief --branch fix/session-cache
    """
    with door.open(create=False) as swarm:
        asked = " ".join(prompt) if prompt else None
        text = swarm.briefing.preview(door.agent, prompt=asked, branch=branch)
    lines = text.splitlines()
    door.show.result({"text": text}, [[line] for line in lines])


@verb("injected", AGENTS)
def injected(
    door: Door,
    session: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only to this session; its short name will do."),
    ] = None,
    limit: Limit = 100,
) -> None:
    """List what agents were shown, the last first: what, to whom, why, and whether it was cited.

    In a pipe each line is time, agent, number, kind, item, version, event, score, tokens, when it
    was cited, session, and the subagent's id.

    Example: swarm-memory injected --session 3f2a9c1b
    """
    with door.open(create=False) as swarm:
        found = swarm.briefing.log.list(session, limit=limit)

    def pretty(console: Console) -> None:
        if not found:
            console.print(cell("nobody was shown anything"))
            return
        shown = table("shown", "to", "why", "cited", "what", right=["shown"])
        for one in found:
            age, cited = cell(door.show.age(one.at_ms), "dim"), "yes" if one.cited_ms else ""
            what = f"{one.id or ''} {one.kind} {readable(one.item)}".strip()
            who = cell(one.agent, "green")
            shown.add_row(age, who, cell(one.event), cell(cited), cell(what))
        console.print(shown)

    door.show.result([one.to_dict() for one in found], map(_line, found), pretty)


def _line(one: Injection) -> list[object]:
    what = [one.id, one.kind, one.item, one.version, one.event, one.score, one.tokens]
    cited = None if one.cited_ms is None else time_of(one.cited_ms)
    return [time_of(one.at_ms), one.agent, *what, cited, one.session_id, one.agent_id]
