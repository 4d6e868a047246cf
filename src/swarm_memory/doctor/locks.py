"""Checks of who holds a store up: a writer that is frozen, a lock file, a read that never ends.

They open no file of the store, so they answer whatever state its users are in.
"""

from __future__ import annotations

import os
import sys
import time

from swarm_memory.doctor import machine
from swarm_memory.doctor.case import ASK_S_MAX, SIDES
from swarm_memory.doctor.finding import error, note, ok, warning
from swarm_memory.engine.holder import wal_locks
from swarm_memory.engine.mark import GATE, LEAD, SUFFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarm_memory.doctor.case import Case
    from swarm_memory.doctor.finding import Finding
    from swarm_memory.engine.holder import WalLocks

LOOKS, LOOK_PAUSE_S = 4, 0.25  # who is in the same write all that time is said to be slow
FRAMES_BEHIND_MAX = 4000  # of 4 KiB; by then every writer tries to move the log
_KEEPS = {
    "writer": "nobody else can write until it goes on or ends",
    "checkpointer": "the log cannot be moved and grows until it goes on or ends",
    "recoverer": "nobody can open the store until it goes on or ends",
}
_DOES = {"writer": "a write", "checkpointer": "moving the log", "recoverer": "recovering the log"}
NOTHING_LOST = "what it committed stays, its unfinished write is undone"


def writer(case: Case) -> Iterator[Finding]:
    """Who is inside a write, and whether it moves."""
    if not case.path:
        return
    if not sys.platform.startswith("linux"):
        yield note("this system does not tell who is inside a write")
        return
    if case.locks is None:
        if os.path.exists(f"{case.path}-shm"):
            yield note("it cannot be told who is inside a write", f"{case.path}-shm does not say")
        else:
            yield ok("nobody has the store open")
        return
    found = list(_stopped(case.locks))
    if not found and case.locks.writer not in {None, os.getpid()}:
        found = list(_slow(case.path, case.locks))
    yield from found
    if not found:
        yield ok("nobody is stuck inside a write")


def _stopped(locks: WalLocks) -> Iterator[Finding]:
    for role in _DOES:
        pid = getattr(locks, role)
        process = machine.process(pid) if pid else None
        if process is not None and process.state in machine.STOPPED:
            yield error(
                f"a process is frozen inside {_DOES[role]}: {_KEEPS[role]}",
                str(process),
                f"kill -CONT {pid} lets it go on; kill -KILL {pid} ends it: {NOTHING_LOST}",
            )


def _slow(path: str, first: WalLocks) -> Iterator[Finding]:
    """Look again for a moment: a process that works gets from one write to the next."""
    for _ in range(LOOKS):
        time.sleep(LOOK_PAUSE_S)
        again = wal_locks(path, ASK_S_MAX)
        if again is None or (again.writer, again.frames) != (first.writer, first.frames):
            return
    process = machine.process(first.writer) if first.writer else None
    if process is not None:
        yield warning(
            f"a process has been inside one write for more than {LOOKS * LOOK_PAUSE_S:g} s: "
            f"{_KEEPS['writer']}",
            str(process),
            f"wait for it, or kill -KILL {process.pid}: {NOTHING_LOST}",
        )


def lock_files(case: Case) -> Iterator[Finding]:
    """Who holds the locks that order writers and syncs, on the files beside the database."""
    if not sys.platform.startswith("linux"):
        return
    frozen = False
    for path in case.beside():
        if path == case.path or path.endswith(SIDES):
            continue
        # Of the mark everybody who has the store open has a byte.
        within = range(GATE, LEAD + 1) if path.endswith(SUFFIX) else None
        for pid in machine.lock_holders(path, within):
            if case.locks is not None and pid == case.locks.writer:
                continue  # inside a write, which is the greater trouble and another finding
            process = machine.process(pid)
            if process is not None and process.state in machine.STOPPED:
                frozen = True
                yield warning(
                    "a process is frozen with a lock that orders the writers: they go on without "
                    "it, slower and less fairly",
                    f"{process}, holds a lock on {path}",
                    f"kill -CONT {pid} lets it go on; kill -KILL {pid} ends it",
                )
    if not frozen:
        yield ok("no lock file is held by a frozen process")


def readers(case: Case) -> Iterator[Finding]:
    """Reads that are open for so long that the log cannot be moved past them."""
    if case.locks is None:
        return
    held = []
    for pid, seen in case.locks.readers:
        behind = case.locks.frames - seen
        if pid != os.getpid() and behind > FRAMES_BEHIND_MAX:
            held.append((machine.process(pid), behind))
    for process, behind in held:
        yield warning(
            "a read that was never ended keeps the log from being moved into the database, so "
            "the log grows",
            f"{process}, reads what was there {behind:,} pages ago; {_log_size(case.path)}",
            f"end the read, or the process: kill {process.pid if process else ''}".rstrip(),
        )
    if not held:
        yield ok("no read holds the log back", _log_size(case.path))


def _log_size(path: str) -> str:
    try:
        size = os.stat(f"{path}-wal").st_size
    except OSError:
        size = 0
    return f"the log has {size / 2**20:,.1f} MiB"


def log_files(case: Case) -> Iterator[Finding]:
    """A log without its database, a journal beside a log."""
    if not case.path:
        return
    sides = {side: f"{case.path}{side}" for side in SIDES}
    there = {side for side, path in sides.items() if os.path.exists(path)}
    if "-wal" in there and not os.path.exists(case.path):
        size = os.stat(sides["-wal"]).st_size
        yield error(
            "the log of a store is there and its database is not: a new store in this place "
            "would begin by throwing the log away",
            f"{sides['-wal']} has {size:,} bytes, {case.path} is missing",
            "put the database back beside it; if it is gone for good, move the log away",
        )
    elif "-journal" in there:
        yield warning(
            "a rollback journal lies beside the store: somebody switched its journal mode, and "
            "writers in different modes wait for each other",
            sides["-journal"],
            "open the store with swarm-memory alone; it recovers the journal when it is opened",
        )
    elif case.exists:
        yield ok("the log belongs to the database", _log_size(case.path))
