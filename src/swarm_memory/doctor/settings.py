"""Checks of what was set: variables, the configuration file, Claude Code's hooks."""

from __future__ import annotations

import difflib
import json
import os
import re
import shlex
import shutil

from swarm_memory.config import load_config, unknown_variables
from swarm_memory.doctor.finding import error, note, ok, warning
from swarm_memory.errors import ConfigError
from swarm_memory.locate import project_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from swarm_memory.doctor.case import Case
    from swarm_memory.doctor.finding import Finding

COMMAND = "swarm-memory"
MODULE = "swarm_memory"
SETTINGS_BYTES_MAX = 4 * 2**20
# https://code.claude.com/docs/en/hooks, as of v2.1.236
EVENTS = {
    "SessionStart", "Setup", "InstructionsLoaded", "UserPromptSubmit", "UserPromptExpansion",
    "MessageDisplay", "PreToolUse", "PermissionRequest", "PermissionDenied", "PostToolUse",
    "PostToolUseFailure", "PostToolBatch", "Notification", "SubagentStart", "SubagentStop",
    "TaskCreated", "TaskCompleted", "TeammateIdle", "Stop", "StopFailure", "PreCompact",
    "PostCompact", "SessionEnd", "ConfigChange", "CwdChanged", "DirectoryAdded", "FileChanged",
    "WorktreeCreate", "WorktreeRemove", "Elicitation", "ElicitationResult",
}  # fmt: skip
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


def environment(case: Case) -> Iterator[Finding]:
    """Variables SWARM_MEMORY_* that mean nothing."""
    unknown = unknown_variables(case.environment)
    for sentence in unknown:
        yield warning(
            "a variable that means nothing is set, so what it should do is not done",
            sentence,
            "correct its name, or unset it",
        )
    if not unknown:
        yield ok("every SWARM_MEMORY_ variable that is set means something")


def configuration(case: Case) -> Iterator[Finding]:
    """The configuration file and the values of variables."""
    path = case.environment.get("SWARM_MEMORY_CONFIG")
    try:
        load_config(path, case.environment)
    except ConfigError as refused:
        yield error(
            "the settings are refused, so no store can be opened", str(refused), refused.hint
        )
        return
    yield ok("the settings are valid", path or "the defaults")


def hooks(case: Case) -> Iterator[Finding]:
    """Claude Code's settings: our handlers exist, once, at events that there are."""
    project = os.path.dirname(project_folder(case.directory))
    folders = [os.path.join(base, ".claude") for base in (case.home, project)]
    paths = [os.path.join(folders[0], "settings.json")]
    paths += [os.path.join(folders[1], f"settings{kind}.json") for kind in ("", ".local")]
    wired, found = 0, []
    for path in dict.fromkeys(filter(os.path.isfile, paths)):
        try:
            document = _read(path)
        except (OSError, ValueError) as problem:
            found.append(
                warning(
                    "Claude Code's settings cannot be read, so none of their hooks run",
                    f"{path}: {problem}",
                    "correct the file",
                )
            )
            continue
        ours = [entry for entry in _handlers(document) if is_ours(entry[1])]
        wired += len(ours)
        found += _judge_hooks(path, ours, project, case)
        if ours and document.get("disableAllHooks") is True:
            found.append(note("hooks are switched off", f"{path}: disableAllHooks"))
    yield from found
    if not found:
        yield ok("Claude Code's hooks are wired well", f"{wired or 'none'} of swarm-memory")


def _read(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8-sig") as file:
        document = json.loads(file.read(SETTINGS_BYTES_MAX) or "{}")
    if not isinstance(document, dict):
        raise ValueError("it holds no JSON object")
    return document


def _handlers(document: dict[str, Any]) -> Iterator[tuple[str, list[str], str]]:
    """Yield (event, words of the command, matcher) of every command; odd shapes are not ours."""
    events = document.get("hooks")
    for event, groups in events.items() if isinstance(events, dict) else ():
        for group in groups if isinstance(groups, list) else ():
            inner = group.get("hooks") if isinstance(group, dict) else None
            for handler in inner if isinstance(inner, list) else ():
                if isinstance(handler, dict) and isinstance(handler.get("command"), str):
                    yield event, _words(handler), str(group.get("matcher") or "*")


def _words(handler: dict[str, Any]) -> list[str]:
    if isinstance(handler.get("args"), list):  # run as it is, without a shell
        return [handler["command"], *map(str, handler["args"])]
    try:
        words = shlex.split(handler["command"])
    except ValueError:
        words = handler["command"].split()
    while words and _ASSIGNMENT.match(words[0]):
        words = words[1:]
    return words


def is_ours(words: list[str]) -> bool:
    """Tell whether a command runs swarm-memory, under whatever path or runner."""
    return any(os.path.basename(word) == COMMAND or word == MODULE for word in words)


def _judge_hooks(
    path: str, ours: list[tuple[str, list[str], str]], project: str, case: Case
) -> Iterator[Finding]:
    seen: dict[tuple[str, ...], str] = {}
    for event, words, matcher in ours:
        shown = shlex.join(words)
        if event not in EVENTS:
            near = difflib.get_close_matches(event, sorted(EVENTS), n=1)
            yield warning(
                "Claude Code has no such event, so this hook never runs",
                f"{path}: {event}: {shown}",
                f"call the event {near[0]}" if near else "see Claude Code's list of hook events",
            )
        if not _runs(words[0], project, case):
            yield warning(
                "the command of a hook does not exist, so the hook fails each time",
                f"{path}: {event}: {words[0]}",
                "install swarm-memory where hooks find it, or write its whole path",
            )
        same = (event, matcher, *_without_path(words))
        if same in seen:
            yield warning(
                "the same hook is wired twice, so it runs twice each time",
                f"{path}: {event}: {seen[same]} and {shown}",
                "remove one of them",
            )
        seen[same] = shown


def _without_path(words: list[str]) -> list[str]:
    return [os.path.basename(words[0]), *words[1:]]


def _runs(word: str, project: str, case: Case) -> bool:
    known = {**case.environment, "CLAUDE_PROJECT_DIR": project, "HOME": case.home}
    command = _VARIABLE.sub(lambda match: known.get(match[1], ""), word)
    if command.startswith("~/"):
        command = case.home + command[1:]
    if os.sep in command:
        command = os.path.join(case.directory, command)
    return shutil.which(command, path=case.environment.get("PATH")) is not None
