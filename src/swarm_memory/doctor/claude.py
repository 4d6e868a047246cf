"""Checks of how Claude Code is wired: what `swarm-memory doctor --claude` looks at."""

from __future__ import annotations

import shutil

from swarm_memory.doctor.finding import error, note, ok, warning
from swarm_memory.pausing import is_paused
from swarm_memory.wiring import claude, trial
from swarm_memory.wiring.files import settings_of
from swarm_memory.wiring.hooks import (
    COMMAND,
    FLOW_KEYS,
    HOOKS,
    HTTP_HOST,
    Hook,
    handlers,
    is_flow,
    is_written,
    stays,
)
from swarm_memory.wiring.places import place_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from swarm_memory.doctor.case import Case
    from swarm_memory.doctor.finding import Finding

PLUGIN = "swarm-memory@"  # a plugin's name and its marketplace's
ANSWER_S_MAX = 20.0
_AGAIN = "swarm-memory init --claude"


def command(case: Case) -> Iterator[Finding]:
    """The command that hooks start is there, and of this version."""
    import subprocess
    from importlib import metadata

    path = shutil.which(COMMAND, path=case.environment.get("PATH"))
    if path is None:
        yield error(
            "the command that hooks start is not on PATH, so no hook runs",
            f"no {COMMAND} in PATH={case.environment.get('PATH', '')}",
            "pipx ensurepath, then open a new terminal and start Claude Code from it",
        )
        return
    ran = subprocess.run([path, "--version"], capture_output=True, timeout=ANSWER_S_MAX)
    found = ran.stdout.decode(errors="replace").strip().removeprefix(f"{COMMAND} ")
    own = metadata.version(COMMAND)
    if ran.returncode != 0 or not found:
        yield error(
            "the command that hooks start does not run",
            f"{path}: {ran.stderr.decode(errors='replace').strip()[:200]}",
            "install swarm-memory anew: pipx reinstall swarm-memory",
        )
    elif found != own:
        yield warning(
            "hooks start another version than this one, so both write to the same store",
            f"{path} is {found}, this is {own}",
            "remove one of the two installations",
        )
    else:
        yield ok("the command that hooks start is of this version", f"{path}, {found}")


def wired(case: Case) -> Iterator[Finding]:
    """Hooks of ours are wired, for all events, by settings or by the plugin."""
    by_settings = {path: events for path, events in _wired(case).items() if events}
    plugin = _plugin(case)
    missing = {hook.name for hook in HOOKS} - {e for events in by_settings.values() for e in events}
    if not by_settings and not plugin:
        yield warning("no hook of swarm-memory is wired, so nothing is recorded", "", _AGAIN)
    elif by_settings and not plugin and missing:
        yield warning(
            "some events are not wired; an earlier version may have written the settings",
            ", ".join(sorted(missing)),
            _AGAIN,
        )
    else:
        where = [*by_settings, *([f"the plugin {plugin}"] if plugin else [])]
        if len(where) > 1:
            yield note(
                "hooks are wired in several places: harmless, each event is recorded once",
                "; ".join(where),
            )
        else:
            yield ok("hooks are wired for all events", where[0])


def live(case: Case) -> Iterator[Finding]:
    """Nothing has switched the hooks off."""
    off = [path for path in place_of(case.directory, case.environment).settings
           if "disableAllHooks" in _settings(path)]  # fmt: skip
    # The last of user, project and local that says something decides.
    if off and _settings(off[-1])["disableAllHooks"] is True:
        yield warning(
            "Claude Code's hooks are switched off, all of them",
            f"{off[-1]}: disableAllHooks",
            "take disableAllHooks out of that file",
        )
    elif case.path and is_paused(case.path):
        yield warning(
            "the hooks of this store are paused: nothing is shown or recorded",
            case.path,
            "swarm-memory resume",
        )
    elif case.environment.get("SWARM_MEMORY_INJECT", "").lower() == "off":
        yield note("agents are shown nothing, recording goes on", "SWARM_MEMORY_INJECT=off")
    else:
        yield ok("hooks are switched on")


def flow(case: Case) -> Iterator[Finding]:
    """Hooks of claude-flow and ruflo that are still wired."""
    found = []
    for path in place_of(case.directory, case.environment).settings:
        document = _settings(path)
        events = [event for event, _, handler in handlers(document) if is_flow(handler)]
        keys = document.get("hooks")
        events += sorted(FLOW_KEYS & set(keys if isinstance(keys, dict) else ()))
        if events:
            found.append(f"{path}: {', '.join(dict.fromkeys(events))}")
    if found:
        yield warning(
            "hooks of claude-flow are still wired: each starts Node at every step",
            "; ".join(found),
            "swarm-memory init --claude-flow brings them over, or take them out of these files",
        )
    else:
        yield ok("no hooks of claude-flow are wired")


def server(case: Case) -> Iterator[Finding]:
    """The MCP server is registered, and what it needs is installed."""
    from importlib.util import find_spec

    place = place_of(case.directory, case.environment)
    state = _settings(place.claude_state)
    project = _object(_object(state, "projects"), place.root)
    where = [
        name
        for name, document in (
            (place.claude_state, state),
            (f"{place.claude_state} under {place.root}", project),
            (place.project_servers, _settings(place.project_servers)),
        )
        if claude.SERVER_NAME in _object(document, "mcpServers")
    ]
    where += [f"the plugin {plugin}"] if (plugin := _plugin(case)) else []
    if not where:
        yield warning("Claude Code does not know the MCP server", place.claude_state, _AGAIN)
    elif find_spec("mcp") is None:
        yield warning(
            "the MCP server is registered, but what it needs is not installed",
            "the package mcp is missing",
            'pipx install --force "swarm-memory[all]"',
        )
    else:
        yield ok("the MCP server is registered", "; ".join(where))


def answers(case: Case) -> Iterator[Finding]:
    """A synthetic session through the real command, as it is configured."""
    handler = _first(case)
    result = trial.fire(handler, case.environment, case.directory)
    if result.works:
        shown = f"{result.command}, the slowest in {result.slowest_ms} ms"
        yield ok("a hook answers and records, tried in a store of its own", shown)
    else:
        yield error(
            "a hook does not work as it is configured",
            f"{result.command}: {result.shown}",
            "correct what it says, then look again: swarm-memory doctor --claude",
        )


def http_server(case: Case) -> Iterator[Finding]:
    """The server that hooks are sent to answers, if they are sent to one."""
    urls = {
        handler["url"]
        for path in place_of(case.directory, case.environment).settings
        for _, _, handler in handlers(_settings(path))
        if is_written(handler) and "url" in handler
    }
    for url in sorted(urls):
        port = url.rpartition(":")[2].partition("/")[0]
        problem = _asked(port)
        if problem is None:
            yield ok("the server that hooks are sent to answers", url)
        else:
            yield error(
                "the server that hooks are sent to does not answer, so nothing is recorded",
                f"{url}: {problem}",
                f"swarm-memory serve --port {port}, or swarm-memory init --claude to do without",
            )


def _asked(port: str) -> str | None:
    """Ask the server at a port whether it is ours; return what is wrong, None if nothing."""
    from http.client import HTTPConnection, HTTPException
    from json import loads

    try:
        connection = HTTPConnection(HTTP_HOST, int(port), timeout=ANSWER_S_MAX)
        try:
            connection.request("GET", "/healthz")
            said = loads(connection.getresponse().read())
        finally:
            connection.close()
    except (OSError, ValueError, HTTPException) as problem:
        return str(problem)
    ours = isinstance(said, dict) and said.get("server") == COMMAND
    return None if ours else "it is another server"


def _first(case: Case) -> dict[str, Any]:
    """Return the handler that is wired, the plugin's if only that is."""
    for path in place_of(case.directory, case.environment).settings:
        for _, _, handler in handlers(_settings(path)):
            if is_written(handler) and "command" in handler and not stays(handler):
                return handler
    return claude.handler()


def _wired(case: Case) -> dict[str, list[str]]:
    """Return the events of our handlers by settings file, as `Hook.name` has them."""
    files = place_of(case.directory, case.environment).settings
    return {
        path: [
            Hook(event, stays=stays(handler)).name
            for event, _, handler in handlers(_settings(path))
            if is_written(handler)
        ]
        for path in files
    }


def _plugin(case: Case) -> str:
    """Return the name of our plugin if it is enabled; what is said last decides."""
    enabled: dict[str, bool] = {}
    for path in place_of(case.directory, case.environment).settings:
        for name, value in _object(_settings(path), "enabledPlugins").items():
            if name.startswith(PLUGIN):
                enabled[name] = bool(value)
    return next((name for name, value in enabled.items() if value), "")


def _settings(path: str) -> dict[str, Any]:
    """Return the settings of a file, none of one that cannot be read: the check hooks tells."""
    from swarm_memory.errors import SwarmMemoryError

    try:
        return settings_of(path)
    except SwarmMemoryError:
        return {}


def _object(document: dict[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}
