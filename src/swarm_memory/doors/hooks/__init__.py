"""The hooks of Claude Code: `swarm-memory hook [EVENT]`, one JSON object on stdin.

A hook never stands in an agent's way: it exits with 0 whatever happens, prints nothing or one
JSON object, and says what went wrong in a log (see `log`). Each call is a process of its own, so
what it imports is what an agent waits for; `tests/hooks/test_process.py` holds the list.
"""

from __future__ import annotations

import os
import sys

from swarm_memory.lean import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from swarm_memory.doors.hooks.event import Event
    from swarm_memory.doors.hooks.place import Place
    from swarm_memory.swarm import Swarm

    Handler = Callable[[Swarm, Event, Place, bool], str]
    Lend = Callable[[Event, Place, Mapping[str, str]], AbstractContextManager[Swarm]]

DURATION_S_MAX = 5.0  # that a hook waits for other writers
END_S_MAX = 1.0  # the same at a session's end: Claude Code gives all hooks together 1.5 s
_ROOMS = {
    "PreToolUse": "tools",
    "PostToolUse": "tools",
    "PostToolUseFailure": "tools",
    "PermissionDenied": "tools",
    "PostToolBatch": "tools",
    "SessionStart": "turns",
    "UserPromptSubmit": "turns",
    "Stop": "turns",
    "PreCompact": "turns",
    "PostCompact": "turns",
    "Notification": "turns",
    "SessionEnd": "turns",
    "SubagentStart": "agents",
    "SubagentStop": "agents",
    "TaskCreated": "agents",
    "TaskCompleted": "agents",
    "WorktreeCreate": "agents",
    "WorktreeRemove": "agents",
}
SILENT = ("off", "0", "no", "false")
TICK = "tick"  # the argument of the hook that stays


def main(arguments: list[str]) -> None:
    """Answer the event on stdin, and end the process with 0."""
    import warnings

    warnings.simplefilter("ignore")  # stderr stays empty
    if arguments[:1] == [TICK]:
        from swarm_memory.doors.hooks.staying import main as stay

        stay()
        os._exit(0)
    with suppress(OSError):  # whoever asked went away
        text = answer(_read(), arguments[0] if arguments else None, os.environ)
        if text:
            sys.stdout.write(text)
            sys.stdout.flush()
    # All that was written is committed and closed. Taking the interpreter apart would cost 3 ms.
    os._exit(0)


def answer(
    raw: bytes, name: str | None, environment: Mapping[str, str], lend: Lend | None = None
) -> str:
    """Return what is said to an event: nothing, or one JSON object. It never raises.

    Args:
        raw: The event, one JSON object.
        name: What it is called if it does not say so itself.
        lend: Gives the store for as long as the answer takes; None opens it for this one event.
    """
    from swarm_memory.doors.hooks.event import parse
    from swarm_memory.doors.hooks.place import place_of

    store, what = None, name or "?"
    try:
        event = parse(raw, name)
        what = event.name
        place = place_of(event, environment)
        store = place.store
        return _answer(event, place, environment, lend or _opened)
    except Exception as error:  # noqa: BLE001 - the outermost call: no agent fails because of us
        from swarm_memory.doors.hooks.log import log_failure, log_path

        log_failure(log_path(store, environment), what, error)
        return ""


def respond(swarm: Swarm, event: Event, place: Place, *, shows: bool = True) -> str:
    """Do what an event asks for in an open store, and return what is said to it.

    `shows` is False where agents are to be shown nothing; all else goes on.
    """
    room = _ROOMS.get(event.name)
    if room is None:
        return ""
    meter = swarm.context.meter
    begun_ns = 0 if meter is None else meter.clock_ns()
    # Only the one module that is asked for: each costs a hook a third of a millisecond.
    module = __import__(f"{__name__}.{room}", fromlist=["HANDLERS"])
    handler: Handler = module.HANDLERS[event.name]
    said = handler(swarm, event, place, shows)
    if meter is not None:
        meter.took(f"hook.{event.name}", begun_ns, writes=True)
    return said


def open_store(url: str, environment: Mapping[str, str], wait_s: float) -> Swarm:
    """Open a store for hooks, which wait at most `wait_s` for other writers."""
    from swarm_memory.swarm import DEFAULT_SWARM, Swarm

    return Swarm.open(
        url,
        swarm=environment.get("SWARM_MEMORY_SWARM") or DEFAULT_SWARM,
        durability="relaxed",
        busy_timeout_s=wait_s,
    )


def _opened(event: Event, place: Place, environment: Mapping[str, str]) -> Swarm:
    wait_s = END_S_MAX if event.name == "SessionEnd" else DURATION_S_MAX
    return open_store(place.url, environment, wait_s)


def _answer(event: Event, place: Place, environment: Mapping[str, str], lend: Lend) -> str:
    from swarm_memory.pausing import is_paused

    if place.store is not None and is_paused(place.store):
        return ""
    shows = environment.get("SWARM_MEMORY_INJECT", "").lower() not in SILENT
    with lend(event, place, environment) as swarm:
        return respond(swarm, event, place, shows=shows)


def _read() -> bytes:
    """Return all of stdin; nothing if there is none."""
    return b"" if sys.stdin is None else sys.stdin.buffer.read()
