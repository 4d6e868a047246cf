"""Prompts: what a person can put before an agent: a briefing, and the request for a hand-over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    GetPromptResult,
    ListPromptsResult,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
)

from swarm_memory.manager import SwarmMemoryManager

if TYPE_CHECKING:
    from collections.abc import Callable

    from swarm_memory.swarm import Swarm

BRIEFING, HANDOVER = "briefing", "handover"
NOTHING_NEW = "The shared memory has nothing for this session that it was not told already."
SHARED_MAX = 50  # of the newest shared memories, those of the session are named
SOURCE = "mcp"


def listed() -> ListPromptsResult:
    """Return which prompts there are."""
    topic = PromptArgument(name="topic", description="Only what answers this", required=False)
    task = PromptArgument(name="task", description="What is handed over", required=False)
    return ListPromptsResult(
        prompts=[
            Prompt(
                name=BRIEFING,
                description="What the shared memory has for this session and it was not told yet",
                arguments=[topic],
            ),
            Prompt(
                name=HANDOVER,
                description="A hand-over to the next session, kept in the shared memory",
                arguments=[task],
            ),
        ]
    )


def filled(swarm: Swarm, name: str, arguments: dict[str, str]) -> GetPromptResult:
    """Return a prompt with what the memory has for it.

    Raises:
        MCPError: There is no such prompt, or it takes no such argument.
    """
    made = _PROMPTS.get(name)
    if made is None:
        raise MCPError(INVALID_PARAMS, f"no prompt {name!r:.80}; there are: {', '.join(_PROMPTS)}")
    argument, fill = made
    if arguments.keys() - {argument}:
        raise MCPError(INVALID_PARAMS, f"{name} takes one argument: {argument}")
    text = fill(swarm, arguments.get(argument))
    message = PromptMessage(role="user", content=TextContent(type="text", text=text))
    return GetPromptResult(messages=[message])


def briefed(swarm: Swarm, topic: str | None) -> str:
    """Return what this session has not been told yet, of one topic or of all."""
    context = swarm.context
    session = context.session or context.agent
    if topic:
        told = swarm.briefing.prompt(session, context.agent, topic)
    else:
        told = swarm.briefing.session(session, context.agent, source=SOURCE)
    return told or NOTHING_NEW


def _handed_over(swarm: Swarm, task: str | None) -> str:
    """Return the request for a hand-over, with what the session shared and what it holds."""
    session = swarm.context.session
    shared = SwarmMemoryManager.of(swarm).get_shared_knowledge(limit=SHARED_MAX)
    keys = [record.key for record in shared if record.session == session]
    locks = [
        f"{seat.name} (token {seat.token})"
        for seat in swarm.leases.list()
        if seat.session == session and seat.state == "held"
    ]
    lines = [
        f"Please write a hand-over{f' of {task}' if task else ''} for an agent that goes on"
        " without this conversation: what is done, what is not and why, what was decided and"
        " refused, what to look out for. Keep it with the tool store, kind fact, and say its key.",
        "",
        f"Shared by this session so far: {', '.join(keys) or 'nothing'}.",
        f"Locks that it holds: {', '.join(locks) or 'none'}.",
    ]
    return "\n".join(lines)


_PROMPTS: dict[str, tuple[str, Callable[[Swarm, str | None], str]]] = {
    BRIEFING: ("topic", briefed),
    HANDOVER: ("task", _handed_over),
}
