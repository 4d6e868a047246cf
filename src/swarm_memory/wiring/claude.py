"""What Claude Code is told, by scope, and how all of it goes again.

| scope | hooks and permissions | MCP server | skill |
|---|---|---|---|
| user | `~/.claude/settings.json` | `~/.claude.json` | `~/.claude/skills/` |
| local | `.claude/settings.local.json` | `~/.claude.json`, under the project | |
| project | `.claude/settings.json`, silent without us | `~/.claude.json`, under the project | |
| team | as project | as project | `.claude/skills/` |

No MCP server is written into a committed file: Claude Code asks every colleague about it and
shows it as failed to those who lack the command.
"""

from __future__ import annotations

import os

from swarm_memory.wiring import hooks, teaching
from swarm_memory.wiring.entries import Entry
from swarm_memory.wiring.plan import (
    enter,
    enter_block,
    enter_file,
    leave,
    leave_block,
    leave_file,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from swarm_memory.wiring.ledger import Ledger
    from swarm_memory.wiring.places import Place
    from swarm_memory.wiring.plan import Change

SCOPES = ("user", "project", "team", "local")
SERVER_NAME = "swarm-memory"
SERVER = {"command": hooks.COMMAND, "args": ["mcp"]}
# Tools that only read: nobody needs to be asked for them.
READ_TOOLS = ("recall", "retrieve", "inbox")
PERMISSIONS = tuple(f"mcp__{SERVER_NAME}__{tool}" for tool in READ_TOOLS)
_SKILL = os.path.join("skills", "swarm-memory", "SKILL.md")


def settings(
    *, quiet: bool = False, http_port: int | None = None, extract: bool = False
) -> list[Entry]:
    """Return the entries of a settings file: the hooks, and what may be read without asking."""
    wired = [
        Entry(("hooks", hook.event), None, hooks.group(hook, quiet=quiet, http_port=http_port))
        for hook in hooks.HOOKS
    ]
    if extract:
        wired.append(Entry(("hooks", "Stop"), None, hooks.asking(teaching.EXTRACTION)))
    return wired + [Entry(("permissions", "allow"), None, name) for name in PERMISSIONS]


def handler(*, quiet: bool = False) -> dict[str, Any]:
    """Return the handler that each event starts, as it stands in a settings file.

    By HTTP the first one starts it still: Claude Code sends SessionStart to no server.
    """
    handlers: list[dict[str, Any]] = hooks.group(hooks.HOOKS[0], quiet=quiet)["hooks"]
    return handlers[0]


def server(*above: str) -> list[Entry]:
    """Return the entry of the MCP server below `above`."""
    return [Entry((*above, "mcpServers"), SERVER_NAME, {"type": "stdio", **SERVER})]


def plan(
    ledger: Ledger,
    place: Place,
    scope: str = "user",
    *,
    block: bool = False,
    http_port: int | None = None,
    extract: bool = False,
) -> list[Change]:
    """Return what `init --claude` changes.

    Args:
        scope: user, project, team or local.
        block: Also put the marked block into the project's CLAUDE.md or AGENTS.md.
        extract: Ask a model at the end of each turn whether a decision or lesson was left unsaid.
        http_port: Send the hooks to a server at this port, as far as Claude Code does that.

    Raises:
        ConfigError: A file cannot be understood; nothing is planned.
    """
    shared = scope in {"project", "team"}
    path = {"user": place.user_settings, "local": place.local_settings}.get(
        scope, place.project_settings
    )
    above = () if scope == "user" else ("projects", place.root)
    changes = [
        enter(ledger, path, settings(quiet=shared, http_port=http_port, extract=extract)),
        enter(ledger, place.claude_state, server(*above), private=True, also=True),
    ]
    if scope in {"user", "team"}:
        changes.append(enter_file(ledger, _skill(place, scope), teaching.SKILL))
    if block:
        changes.append(enter_block(ledger, _guide(place), teaching.BLOCK))
    return changes


def removal(ledger: Ledger, place: Place) -> list[Change]:
    """Return what `uninstall` changes of Claude Code's files: of the user, here, and as noted."""
    ours = [*settings(extract=True), *settings(quiet=True)]
    servers = [*server(), *server("projects", place.root)]
    return [
        *(leave(ledger, path, ours) for path in place.settings),
        leave(ledger, place.claude_state, servers, private=True),
        *(leave_file(ledger, _skill(place, scope), teaching.SKILL) for scope in ("user", "team")),
        *(leave_block(ledger, path, teaching.BLOCK) for path in _guides(place)),
    ]


def _skill(place: Place, scope: str) -> str:
    return os.path.join(
        place.claude if scope == "user" else os.path.join(place.root, ".claude"), _SKILL
    )


def _guides(place: Place) -> list[str]:
    return [os.path.join(place.root, name) for name in ("CLAUDE.md", "AGENTS.md")]


def _guide(place: Place) -> str:
    """Return the file that the block goes to: the one that is there, CLAUDE.md before AGENTS.md."""
    there = [path for path in _guides(place) if os.path.exists(path)]
    return (there or _guides(place))[0]
