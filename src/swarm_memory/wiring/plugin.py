"""The plugin for Claude Code: the files of the repository that make one, from the same tables.

`./dev docs` writes them, and a test holds that they are as they would be written.
"""

from __future__ import annotations

import json

from swarm_memory.wiring import claude, hooks, teaching

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAME = "swarm-memory"
DESCRIPTION = (
    "One shared, persistent memory for all agents of a project: across sessions, terminals, "
    "worktrees and tools. Needs the command swarm-memory (pipx install swarm-memory[all])."
)


def contents(version: str) -> dict[str, str]:
    """Return the text of each file of the plugin by its path in the repository."""
    return {
        ".claude-plugin/plugin.json": _json(_manifest(version)),
        ".claude-plugin/marketplace.json": _json(_marketplace()),
        "hooks/hooks.json": _json(_hooks()),
        ".mcp.json": _json({"mcpServers": {claude.SERVER_NAME: claude.SERVER}}),
        "skills/swarm-memory/SKILL.md": teaching.SKILL,
    }


def _manifest(version: str) -> dict[str, Any]:
    return {
        "name": NAME,
        "version": version,
        "description": DESCRIPTION,
        "author": {"name": "swarm-memory"},
        "license": "MIT",
        "keywords": ["memory", "agents", "swarm", "coordination"],
    }


def _marketplace() -> dict[str, Any]:
    # The version stands in the manifest only: two places would have to agree.
    return {
        "name": NAME,
        "owner": {"name": "swarm-memory"},
        "plugins": [{"name": NAME, "source": "./", "description": DESCRIPTION}],
    }


def _hooks() -> dict[str, Any]:
    # Not the silent form: whoever installs the plugin wants to hear that the command is missing.
    wired: dict[str, list[dict[str, Any]]] = {}
    for hook in hooks.HOOKS:
        wired.setdefault(hook.event, []).append(hooks.group(hook))
    return {
        "description": "Remembers what agents do and shows what others learned.",
        "hooks": wired,
    }


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2) + "\n"
