"""The hooks of Claude Code and Codex: which events we answer, and how a settings file says so.

One table makes the settings, the plugin and Codex's file. Why each line is as it is stands in
docs/decisions/0011-wiring.md.

Source:
    https://code.claude.com/docs/en/hooks, as of v2.1.236.
"""

from __future__ import annotations

import os
import shlex

from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

COMMAND = "swarm-memory"
MODULE = "swarm_memory"
HTTP_HOST, HTTP_PORT = "127.0.0.1", 8377  # of `swarm-memory serve`
ASKING_S = 30  # Claude Code's own limit for a prompt
TOKEN = "SWARM_MEMORY_TOKEN"
# Claude Code sends these events to no server; they start the command in either form.
NO_HTTP = {"SessionStart", "Setup"}
# In a file that colleagues share: who lacks the command must not hear of it. A shell's complaint
# on stderr with exit status 0 goes to the debug log only. This line means the same to sh, to Git
# Bash and to PowerShell.
QUIET = f"{COMMAND} hook; exit 0"
# The hook that stays (see `doors.hooks.staying`), as arguments and as a silent line.
TICK = ["hook", "tick"]
QUIET_TICK = f"{COMMAND} hook tick; exit 0"
STAYS_S = 8 * 3600  # its timeout: a day's work; it ends by itself before that
TOOLS = "Edit|Write|MultiEdit|NotebookEdit|Bash|PowerShell|Agent"
# Our own server's, of the settings and of the plugin: so the server learns which agent calls.
SERVER_TOOLS = "^mcp__(plugin_swarm-memory_)?swarm-memory__"
CODEX_TOOLS = "Bash|apply_patch"
EVENTS = {
    "SessionStart", "Setup", "InstructionsLoaded", "UserPromptSubmit", "UserPromptExpansion",
    "MessageDisplay", "PreToolUse", "PermissionRequest", "PermissionDenied", "PostToolUse",
    "PostToolUseFailure", "PostToolBatch", "Notification", "SubagentStart", "SubagentStop",
    "TaskCreated", "TaskCompleted", "TeammateIdle", "Stop", "StopFailure", "PreCompact",
    "PostCompact", "SessionEnd", "ConfigChange", "CwdChanged", "DirectoryAdded", "FileChanged",
    "WorktreeCreate", "WorktreeRemove", "Elicitation", "ElicitationResult",
}  # fmt: skip
# Events that Claude Code never had: claude-flow of July 2025 wrote them.
FLOW_KEYS = {"preEditHook", "postEditHook", "preCommandHook", "postCommandHook", "sessionEndHook"}
FLOW_WORDS = ("claude-flow", "ruflo", "hook-handler.cjs")


class Hook(NamedTuple):
    """An event we answer: of which tools, in how many seconds, whether nobody waits for it.

    One that `stays` does the duties of the store for as long as the session lasts.
    """

    event: str
    matcher: str | None = None
    timeout_s: int = 5
    background: bool = False
    stays: bool = False

    @property
    def name(self) -> str:
        """What it is called where two of one event have to be told apart."""
        return f"{self.event} (tick)" if self.stays else self.event


# A time is what a slow machine under load needs to start an interpreter, not what we take.
HOOKS = (
    Hook("SessionStart", timeout_s=10),
    Hook("SessionStart", timeout_s=STAYS_S, background=True, stays=True),
    Hook("SubagentStart"),
    Hook("UserPromptSubmit"),
    Hook("PreToolUse", TOOLS),
    Hook("PreToolUse", SERVER_TOOLS),
    Hook("PostToolUse", TOOLS),
    Hook("PostToolUseFailure", TOOLS),
    Hook("SubagentStop", timeout_s=10),
    Hook("TaskCreated"),
    Hook("TaskCompleted"),
    # Its order and its loss do not matter: the others stand in a row.
    Hook("Notification", background=True),
    Hook("PreCompact"),
    Hook("PostCompact", timeout_s=10),
    Hook("Stop", timeout_s=10),
    # Not WorktreeCreate: whoever registers for that has to make the worktree.
    Hook("WorktreeRemove"),
    # In a settings file this raises what all hooks of the event together may take, from 1.5 s.
    Hook("SessionEnd"),
)
# Codex ends SessionEnd after 3 s at most, and has no failures, tasks and notifications as events.
CODEX_HOOKS = (
    Hook("SessionStart", timeout_s=10),
    Hook("SubagentStart"),
    Hook("UserPromptSubmit"),
    Hook("PreToolUse", CODEX_TOOLS),
    Hook("PostToolUse", CODEX_TOOLS),
    Hook("SubagentStop", timeout_s=10),
    Hook("PreCompact"),
    Hook("PostCompact", timeout_s=10),
    Hook("Stop", timeout_s=10),
    Hook("SessionEnd", timeout_s=3),
)


def group(hook: Hook, *, quiet: bool = False, http_port: int | None = None) -> dict[str, Any]:
    """Return the matcher group of a hook, as it stands in a settings file.

    Args:
        quiet: Silent where the command is missing: a shell is started for it.
        http_port: Send it to the server at this port, if Claude Code does that with the event.
    """
    if http_port is not None and hook.event not in NO_HTTP:
        handler = _by_http(http_port)
    else:
        silent = QUIET_TICK if hook.stays else QUIET
        handler = {"type": "command", "command": silent if quiet else COMMAND}
        if not quiet:
            handler["args"] = TICK if hook.stays else ["hook"]
    handler["timeout"] = hook.timeout_s
    if hook.background and handler["type"] == "command":  # no other type has it
        handler["async"] = True
    return {**({"matcher": hook.matcher} if hook.matcher else {}), "hooks": [handler]}


def _by_http(port: int) -> dict[str, Any]:
    return {
        "type": "http",
        "url": f"http://{HTTP_HOST}:{port}/hook",
        # Empty without the variable; a server that has no token does not look at it.
        "headers": {"Authorization": f"Bearer ${TOKEN}"},
        "allowedEnvVars": [TOKEN],
    }


def asking(prompt: str) -> dict[str, Any]:
    """Return the matcher group that asks a model; `$ARGUMENTS` in it is the event."""
    return {"hooks": [{"type": "prompt", "prompt": prompt, "timeout": ASKING_S}]}


def codex_group(hook: Hook) -> dict[str, Any]:
    """Return the matcher group of a hook for Codex, whose commands are lines for a shell."""
    handler = {"type": "command", "command": f"{COMMAND} hook", "timeout": hook.timeout_s}
    return {**({"matcher": hook.matcher} if hook.matcher else {}), "hooks": [handler]}


def is_written(handler: object) -> bool:
    """Tell whether a handler is one that we write, whatever its timeout was changed to."""
    if not isinstance(handler, dict):
        return False
    if handler.get("type") == "http":  # at whatever port; the name of our token is in no other
        return handler.get("allowedEnvVars") == [TOKEN]
    if handler.get("type") != "command":
        return False
    if "args" in handler:
        return bool(handler.get("command") == COMMAND and handler["args"] in (["hook"], TICK))
    return handler.get("command") in {QUIET, QUIET_TICK, f"{COMMAND} hook"}


def stays(handler: dict[str, Any]) -> bool:
    """Tell whether a handler is that of the hook that stays."""
    return handler.get("args") == TICK or handler.get("command") == QUIET_TICK


def handlers(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (event, matcher, handler) of every command and URL; odd shapes are not ours."""
    events = document.get("hooks")
    for event, groups in events.items() if isinstance(events, dict) else ():
        for one in groups if isinstance(groups, list) else ():
            inner = one.get("hooks") if isinstance(one, dict) else None
            for handler in inner if isinstance(inner, list) else ():
                if not isinstance(handler, dict):
                    continue
                if isinstance(handler.get("command"), str) or isinstance(handler.get("url"), str):
                    yield event, str(one.get("matcher") or "*"), handler


def words(handler: dict[str, Any]) -> list[str]:
    """Return the words of a handler's command, without the variables that are set before it.

    A handler without one has none.
    """
    if not isinstance(handler.get("command"), str):
        return []
    if isinstance(handler.get("args"), list):  # run as it is, without a shell
        return [handler["command"], *map(str, handler["args"])]
    line = handler["command"]
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";")
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        found = list(lexer)
    except ValueError:
        found = line.split()
    while found and _assigns(found[0]):
        found = found[1:]
    return found


def _assigns(word: str) -> bool:
    name, equals, _ = word.partition("=")
    return bool(equals) and name.isidentifier()


def is_ours(command: list[str]) -> bool:
    """Tell whether a command runs swarm-memory, under whatever path or runner."""
    return any(os.path.basename(word) == COMMAND or word == MODULE for word in command)


def is_flow(handler: dict[str, Any]) -> bool:
    """Tell whether a handler runs hooks of claude-flow or ruflo."""
    line = " ".join(words(handler))
    return not is_ours(words(handler)) and any(word in line for word in FLOW_WORDS)
