"""The verb of hooks, for help: the command itself runs hooks without the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from swarm_memory.doors import hooks
from swarm_memory.doors.cli.coordination import PANEL
from swarm_memory.doors.cli.frame import Door, verb


@verb("hook", PANEL)
def hook(
    door: Door,
    event: Annotated[
        str | None,
        typer.Argument(metavar="[EVENT]", help="What it is called if its JSON does not say so."),
    ] = None,
) -> None:
    """Answer an event of Claude Code, given as one JSON object on stdin.

    It prints nothing, or one JSON object with what the agent is shown. Whatever happens, the exit
    status is 0 and stderr is empty: what went wrong stands in memory.db-hooks.log beside the
    store. The options above have no effect here: the store is that of CLAUDE_PROJECT_DIR, or of
    the event's cwd.

    Example: swarm-memory hook < event.json
    """
    hooks.main([] if event is None else [event])
