"""Where the settings of agents' tools lie, for one user in one project."""

from __future__ import annotations

import os
import sys

from swarm_memory.lean import NamedTuple
from swarm_memory.locate import root_of, user_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Place(NamedTuple):
    """The folders and files that are ours to look into.

    Args:
        home: The user's folder.
        root: The checkout around the caller, else the nearest folder with a store, else his own.
        claude: The user's folder of Claude Code, `~/.claude` or CLAUDE_CONFIG_DIR.
        claude_state: Where Claude Code keeps the user's MCP servers.
        codex: The user's folder of Codex, `~/.codex` or CODEX_HOME.
        skills: The user's folder of skills that Codex reads.
        records: Where it is remembered what was written into which file.
    """

    home: str
    root: str
    claude: str
    claude_state: str
    codex: str
    skills: str
    records: str

    @property
    def user_settings(self) -> str:
        """Claude Code's settings of the user."""
        return os.path.join(self.claude, "settings.json")

    @property
    def project_settings(self) -> str:
        """Claude Code's settings of the project, which are committed."""
        return os.path.join(self.root, ".claude", "settings.json")

    @property
    def local_settings(self) -> str:
        """Claude Code's settings of the user in the project, which are not committed."""
        return os.path.join(self.root, ".claude", "settings.local.json")

    @property
    def project_servers(self) -> str:
        """The MCP servers of the project, which are committed."""
        return os.path.join(self.root, ".mcp.json")

    @property
    def settings(self) -> list[str]:
        """All settings files that Claude Code reads here, each once."""
        files = (self.user_settings, self.project_settings, self.local_settings)
        return list(dict.fromkeys(files))


def place_of(directory: str, environment: Mapping[str, str], platform: str = sys.platform) -> Place:
    """Return where the settings lie for somebody in `directory`; nothing need exist."""
    home = environment.get("HOME") or os.path.expanduser("~")
    own = environment.get("CLAUDE_CONFIG_DIR")
    return Place(
        home=home,
        root=root_of(directory),
        claude=own or os.path.join(home, ".claude"),
        claude_state=os.path.join(own or home, ".claude.json"),
        codex=environment.get("CODEX_HOME") or os.path.join(home, ".codex"),
        skills=os.path.join(home, ".agents", "skills"),
        records=os.path.join(user_folder(environment, platform), "wiring"),
    )
