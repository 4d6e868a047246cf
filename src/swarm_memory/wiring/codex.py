"""What Codex is told: hooks, the MCP server and the skill, in the user's files.

Its hooks have Claude Code's form and names, so the same command answers them; each has to be
trusted once in Codex (`/hooks`). It has no event for failed tools, tasks and notifications.

Source:
    https://developers.openai.com/codex/hooks and the schemas of codex-rs/hooks, as of 0.160.
"""

from __future__ import annotations

import os

from swarm_memory.errors import ConfigError
from swarm_memory.wiring import files, hooks, marked, teaching
from swarm_memory.wiring.entries import Entry
from swarm_memory.wiring.plan import (
    Change,
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

# A table at the end of a TOML file is valid wherever the file stands; comments stay as they are.
SERVER = """\
# swarm-memory: begin
[mcp_servers.swarm-memory]
command = "swarm-memory"
args = ["mcp"]
# swarm-memory: end
"""
MISSING = (
    "Codex reports no failed tools, tasks or notifications to hooks, so those are not recorded",
    "Codex runs a hook only after it was reviewed: type /hooks there once",
)


def wired() -> list[Entry]:
    """Return the entries of Codex's hooks.json."""
    return [
        Entry(("hooks", hook.event), None, hooks.codex_group(hook)) for hook in hooks.CODEX_HOOKS
    ]


def plan(ledger: Ledger, place: Place, *, block: bool = False) -> list[Change]:
    """Return what `init --codex` changes.

    Raises:
        ConfigError: A file cannot be understood; nothing is planned.
    """
    changes = [
        enter(ledger, _hooks_file(place), wired()),
        _enter_server(ledger, _config(place)),
        enter_file(ledger, _skill(place), teaching.SKILL),
    ]
    if block:
        changes.append(enter_block(ledger, _guide(place), teaching.BLOCK))
    return changes


def removal(ledger: Ledger, place: Place) -> list[Change]:
    """Return what `uninstall` changes of Codex's files."""
    return [
        leave(ledger, _hooks_file(place), wired()),
        leave_block(ledger, _config(place), SERVER),
        leave_file(ledger, _skill(place), teaching.SKILL),
        leave_block(ledger, _guide(place), teaching.BLOCK),
    ]


def _enter_server(ledger: Ledger, path: str) -> Change:
    old = files.read(path) or ""
    known = _tables(path, old).get("mcp_servers", {})
    ours = marked.find(old, SERVER) is not None
    if not ours and isinstance(known, dict) and "swarm-memory" in known:
        return Change(path, old, old, ledger.recall(path))  # somebody's own: it stays
    change = enter_block(ledger, path, SERVER)
    _tables(path, change.new or "")
    return change._replace(private=True)


def _tables(path: str, text: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(
            f"{path}: it is no valid TOML, or would not be with our table: {problem}",
            hint="correct the file, or add the table [mcp_servers.swarm-memory] by hand",
        ) from problem


def _hooks_file(place: Place) -> str:
    return os.path.join(place.codex, "hooks.json")


def _config(place: Place) -> str:
    return os.path.join(place.codex, "config.toml")


def _skill(place: Place) -> str:
    return os.path.join(place.skills, "swarm-memory", "SKILL.md")


def _guide(place: Place) -> str:
    return os.path.join(place.root, "AGENTS.md")
