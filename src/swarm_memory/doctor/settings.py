"""Checks of what was set: variables, the configuration file, Claude Code's hooks."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import shutil

from swarm_memory.config import load_config, unknown_variables
from swarm_memory.doctor.finding import error, note, ok, warning
from swarm_memory.errors import ConfigError, SwarmMemoryError
from swarm_memory.wiring.files import settings_of
from swarm_memory.wiring.hooks import EVENTS, handlers, is_ours, words
from swarm_memory.wiring.places import place_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarm_memory.doctor.case import Case
    from swarm_memory.doctor.finding import Finding

_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")


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
    place = place_of(case.directory, case.environment)
    wired, found = 0, []
    for path in filter(os.path.isfile, place.settings):
        try:
            document = settings_of(path)
        except SwarmMemoryError as problem:
            found.append(
                warning(
                    "Claude Code's settings cannot be read, so none of their hooks run",
                    str(problem),
                    "correct the file",
                )
            )
            continue
        ours = [
            (event, command, matcher)
            for event, matcher, handler in handlers(document)
            if is_ours(command := words(handler))
        ]
        wired += len(ours)
        found += _judge_hooks(path, ours, place.root, case)
        if ours and document.get("disableAllHooks") is True:
            found.append(note("hooks are switched off", f"{path}: disableAllHooks"))
    yield from found
    if not found:
        yield ok("Claude Code's hooks are wired well", f"{wired or 'none'} of swarm-memory")


def _judge_hooks(
    path: str, ours: list[tuple[str, list[str], str]], project: str, case: Case
) -> Iterator[Finding]:
    seen: dict[tuple[str, ...], str] = {}
    for event, command, matcher in ours:
        shown = shlex.join(command)
        if event not in EVENTS:
            near = difflib.get_close_matches(event, sorted(EVENTS), n=1)
            yield warning(
                "Claude Code has no such event, so this hook never runs",
                f"{path}: {event}: {shown}",
                f"call the event {near[0]}" if near else "see Claude Code's list of hook events",
            )
        if not _runs(command[0], project, case):
            yield warning(
                "the command of a hook does not exist, so the hook fails each time",
                f"{path}: {event}: {command[0]}",
                "install swarm-memory where hooks find it, or write its whole path",
            )
        same = (event, matcher, *_without_path(command))
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
