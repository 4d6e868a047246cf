"""The verbs of hooks, for help: the command itself runs hooks without the command line."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from swarm_memory.doors import flow_hook as flow
from swarm_memory.doors import hooks
from swarm_memory.doors.cli.coordination import PANEL
from swarm_memory.doors.cli.frame import Door, verb


@verb("hook", PANEL)
def hook(
    door: Door,
    event: Annotated[
        str | None,
        typer.Argument(
            metavar="[EVENT]", help="What it is called if its JSON does not say so; or tick."
        ),
    ] = None,
) -> None:
    """Answer an event of Claude Code, given as one JSON object on stdin.

    It prints nothing, or one JSON object with what the agent is shown. Whatever happens, the exit
    status is 0 and stderr is empty: what went wrong stands in memory.db-hooks.log beside the
    store. The options above have no effect here: the store is that of CLAUDE_PROJECT_DIR, or of
    the event's cwd.

    With `tick` it stays as long as the event's session does, and takes the samples of the
    monitor, unless another process does.

    Example: swarm-memory hook < event.json
    """
    hooks.main([] if event is None else [event])


@verb("flow-hook", PANEL, others=True)
def flow_hook(
    door: Door,
    words: Annotated[
        list[str],
        typer.Argument(metavar="NAME [OPTIONS]", help="The hook, and options as it has them."),
    ],
) -> None:
    """Do what a hook of claude-flow is for: what `npx claude-flow hooks NAME …` pretends to do.

    Hooks and options are those of both its lines, and options that it does not know are left
    out; `swarm-memory flow-hook help` lists the hooks. pre-task begins a task and recommends a
    strategy, post-task ends it and says how others of its type went, post-edit records an edit
    under --memory-key, notify keeps a decision, session-end writes a summary. The exit status is
    1 if it was refused or failed.

    Example: swarm-memory flow-hook pre-task --description "build the parser"
    """
    chosen = {"URL": door.url, "SWARM": door.swarm, "AGENT": door.named_agent}
    given = {f"SWARM_MEMORY_{name}": value for name, value in chosen.items() if value}
    flow.main([*words, *(["--json"] if door.as_json else [])], os.environ | given)
