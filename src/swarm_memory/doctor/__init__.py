"""Examining a store and its surroundings: what is wrong, what it means, what to do.

    case = Case(located, path, directory=…, environment=…, agent=…, swarm=…)
    for finding in examine(case):
        ...

A check is a function that looks at one thing and yields findings. The checks run one after the
other; one that does not come back in time, because a disk or a pipe keeps it, is said to hang, and
the others go on. Nothing is written to the store, and it need not open for the others to work.
"""

from __future__ import annotations

import threading

from swarm_memory.doctor import claude, content, locks, neighbours, place, settings, software
from swarm_memory.doctor.case import Case
from swarm_memory.doctor.finding import (
    DAMAGE,
    ERROR,
    NOTE,
    OK,
    SEVERITIES,
    WARNING,
    Finding,
    damage,
    exit_status,
    warning,
)
from swarm_memory.errors import SwarmMemoryError
from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

CHECK_S_MAX = 8.0  # whoever needs longer hangs; looks into the store end after 2 s by themselves


class Check(NamedTuple):
    """A check: `look(case)`, or `look(case, store)` for one that looks `inside` an open store."""

    name: str
    look: Callable[..., Any]
    inside: bool = False


# In this order: who holds locks is asked before anything is opened.
CHECKS = (
    Check("writer", locks.writer),
    Check("lock-files", locks.lock_files),
    Check("readers", locks.readers),
    Check("sqlite", software.sqlite_library),
    Check("sqlite-python", software.sqlite_of_python),
    Check("packages", software.packages),
    Check("file-system", place.file_system),
    Check("room", place.room),
    Check("permissions", place.permissions),
    Check("environment", settings.environment),
    Check("configuration", settings.configuration),
    Check("hooks", settings.hooks),
    Check("log", locks.log_files),
    Check("syncs", content.syncs),
    Check("store", content.opens),
    Check(DAMAGE, content.bytes_intact, inside=True),
    Check("limits", content.limits, inside=True),
    Check("clock", content.clock, inside=True),
    Check("leases", content.leases, inside=True),
    Check("sessions", content.sessions, inside=True),
    Check("dead-letters", content.dead_letters, inside=True),
    Check("second-stores", neighbours.second_stores),
    Check("foreign-stores", neighbours.foreign_stores),
    Check("left-files", neighbours.left_files),
)

# How Claude Code is wired: asked for by itself, because it starts our command several times.
CLAUDE_CHECKS = (
    Check("command", claude.command),
    Check("hooks", settings.hooks),
    Check("wired", claude.wired),
    Check("switches", claude.live),
    Check("claude-flow", claude.flow),
    Check("mcp-server", claude.server),
    Check("store", content.opens),
    Check("http-server", claude.http_server),
    Check("trial", claude.answers),
)
CLAUDE_CHECK_S_MAX = 90.0  # the trial starts four processes, each of which may take 20 s


def examine(
    case: Case, checks: Sequence[Check] = CHECKS, *, check_s_max: float = CHECK_S_MAX
) -> list[Finding]:
    """Return what all checks find, in their order, each with at least one line unless it is moot.

    Takes a second or two when all is well, and at most `check_s_max` seconds a check.
    """
    try:
        return [finding for check in checks for finding in _in_time(case, check, check_s_max)]
    finally:
        if case.store is not None:
            case.store.close()
            case.store = None


def _in_time(case: Case, check: Check, limit_s: float) -> list[Finding]:
    """Run one check in a thread that nobody has to wait for."""
    found: list[Finding] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.extend(_run(case, check))
        except BaseException as problem:  # noqa: BLE001 - raised again by the one who waits
            failed.append(problem)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(limit_s)
    if thread.is_alive():
        # It may still be in the store, which is not for two threads at once: leave that alone.
        case.store = None
        hangs = warning(
            "a check does not come back: a disk, a network mount or a pipe keeps it waiting",
            f"{check.name} took more than {limit_s:g} s",
            "see what the system's log says of the disk",
        )
        return [hangs._replace(check=check.name)]
    if failed:
        raise failed[0]
    return found


def _run(case: Case, check: Check) -> Iterator[Finding]:
    if check.inside and case.store is None:
        return
    arguments = (case, case.store) if check.inside else (case,)
    try:
        for finding in check.look(*arguments):
            yield finding if finding.check else finding._replace(check=check.name)
    except (OSError, SwarmMemoryError) as problem:
        if getattr(problem, "damaged", False):
            yield damage("the store is damaged", str(problem), content.RESTORE)
            return
        refused = warning(
            "a check could not look where it wanted to",
            str(problem),
            getattr(problem, "hint", "") or "see to it that you may read it",
        )
        yield refused._replace(check=check.name)


__all__ = [
    "CHECKS",
    "CLAUDE_CHECKS",
    "CLAUDE_CHECK_S_MAX",
    "Case",
    "Check",
    "Finding",
    "examine",
    "exit_status",
    "SEVERITIES",
    "OK",
    "NOTE",
    "WARNING",
    "ERROR",
]
