"""The hooks of claude-flow: `swarm-memory flow-hook NAME …` for `npx claude-flow hooks NAME …`.

The exit status is 0 when it was done, also for a hook that nobody knows, as callers of both lines
of claude-flow rely on; 1 when it was refused or failed, with one line on stderr that says why.
"""

from __future__ import annotations

import json
import os
import sys

from swarm_memory.errors import SwarmMemoryError
from swarm_memory.flow.options import FALSE, asked, parse, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from swarm_memory.flow import Answer
    from swarm_memory.flow.options import Options

HELP = ("", "help", "-h", "--help")


def main(arguments: list[str], environment: Mapping[str, str] = os.environ) -> None:
    """Do what a hook is for, and exit the process."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    hook, options = parse(arguments)
    try:
        answer = run(hook, options, environment)
    except SwarmMemoryError as error:
        print(f"swarm-memory flow-hook {hook}: {error}; {error.hint}", file=sys.stderr)
        sys.exit(1)
    if answer is not None:
        _show(answer, as_json=asked(options, "json"))
    sys.stdout.flush()
    sys.exit(answer.status if answer is not None else 0)


def run(hook: str, options: Options, environment: Mapping[str, str]) -> Answer | None:
    """Answer a hook in the store of the project; None while that is paused.

    Raises:
        SwarmMemoryError: It could not be done.
    """
    from swarm_memory.flow import HOOKS, Answer, Flow
    from swarm_memory.locate import file_of, locate, own_store
    from swarm_memory.pausing import is_paused
    from swarm_memory.swarm import DEFAULT_AGENT, DEFAULT_SWARM, Swarm

    if hook in HELP:
        return Answer(hook, 0, [f"swarm-memory flow-hook {' | '.join(HOOKS)}"], {})
    folder = text(options, "cwd") or os.getcwd()
    url = locate(None, folder, environment).url
    store = file_of(own_store(url))
    if store is not None and is_paused(store):
        return None
    agent = text(options, "agent-id", "agent") or environment.get("SWARM_MEMORY_AGENT")
    session = None if hook.startswith("session-") else text(options, "session-id")
    with Swarm.open(
        url,
        agent=agent or DEFAULT_AGENT,
        swarm=environment.get("SWARM_MEMORY_SWARM") or DEFAULT_SWARM,
        session=session or environment.get("SWARM_MEMORY_SESSION") or None,
    ) as swarm:
        shows = environment.get("SWARM_MEMORY_INJECT", "").lower() not in FALSE
        session_id = swarm.context.session
        flow = Flow(swarm, session_id=session_id, folder=folder, shows=shows)
        return flow.run(hook, options)


def _show(answer: Answer, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(answer.to_dict(), ensure_ascii=False))
        return
    lines = "\n".join(answer.lines)
    if lines:
        print(lines, file=sys.stderr if answer.status else sys.stdout)
