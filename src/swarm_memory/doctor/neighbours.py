"""Checks of what lies around a store: second stores, foreign ones, files that were left."""

from __future__ import annotations

import os
import tempfile

from swarm_memory.doctor.finding import note, ok, warning
from swarm_memory.errors import ImportSourceError
from swarm_memory.lean import suppress
from swarm_memory.locate import FILE, FOLDER, ROUTES, locate, own_store, project_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarm_memory.doctor.case import Case
    from swarm_memory.doctor.finding import Finding
    from swarm_memory.importers import Candidate

# Where claude-flow, ruflo and their kin keep their memory, below a project.
FOREIGN_PLACES = (".swarm", ".hive-mind", ".claude-flow", "memory", ".claude/memory.db")
WORKTREES_MAX = 100
LEFT_S_MIN = 3600  # a file that is being written is younger
PARTS = (".part", ".tmp")
# Copies that import and backup --verify make in the system's temporary folder.
COPIES = ("swarm-memory-import-", "swarm-memory-verify-")
NAMES_MAX = 5


def second_stores(case: Case) -> Iterator[Finding]:
    """Stores of the same project that are not the one in use."""
    used = os.path.realpath(case.path) if case.path else ""
    # Beside routes lies what their swarms have moved away from, or those that have not.
    others = [
        path
        for path in _stores_around(case)
        if os.path.realpath(path) != used
        and not os.path.exists(os.path.join(os.path.dirname(path), ROUTES))
    ]
    root = os.path.dirname(project_folder(case.directory))
    for path in others:
        inside = os.path.realpath(path).startswith(os.path.realpath(root) + os.sep)
        judge = warning if inside or path in _worktree_stores(root) else note
        yield judge(
            "another store lies here that is not used: what was written to it is not seen",
            f"{path}; used is {case.path or case.located.url} ({case.located.why})",
            f"bring it in: swarm-memory --url sqlite:///{path} export -o old.jsonl; "
            f"swarm-memory import old.jsonl; then move {os.path.dirname(path)} away",
        )
    if not others:
        yield ok("there is one store for this project", case.located.why)


def _stores_around(case: Case) -> list[str]:
    """Return the stores that might be meant from here, each once."""
    start = os.path.abspath(case.directory)
    folders = [start]
    while os.path.dirname(folders[-1]) != folders[-1]:
        folders.append(os.path.dirname(folders[-1]))
    paths = [os.path.join(folder, FOLDER, FILE) for folder in folders]
    # The project's own store is shadowed if a variable or an option names another one.
    chosen = locate(None, case.directory, {**case.environment, "SWARM_MEMORY_URL": ""})
    if not chosen.why.startswith("no project"):
        paths.append(own_store(chosen.url).removeprefix("sqlite:///"))
    paths += _worktree_stores(os.path.dirname(project_folder(case.directory)))
    found = {os.path.realpath(path): path for path in reversed(paths) if os.path.isfile(path)}
    return list(reversed(found.values()))


def _worktree_stores(root: str) -> list[str]:
    """Return where the worktrees of a repository would have stores of their own."""
    paths = []
    for git in (os.path.join(root, ".git"), root):
        administration = os.path.join(git, "worktrees")
        with suppress(OSError):
            for name in sorted(os.listdir(administration))[:WORKTREES_MAX]:
                pointer = os.path.join(administration, name, "gitdir")
                with suppress(OSError), open(pointer, encoding="utf-8") as file:
                    checkout = os.path.dirname(file.readline().strip())
                    paths.append(os.path.join(checkout, FOLDER, FILE))
    return paths


def foreign_stores(case: Case) -> Iterator[Finding]:
    """Memory of claude-flow and its kin in the project that could be imported."""
    from swarm_memory.importers import discover

    root = os.path.dirname(project_folder(case.directory))
    folders = dict.fromkeys((root, os.path.abspath(case.directory)))
    places = [os.path.join(folder, place) for folder in folders for place in FOREIGN_PLACES]
    own = os.path.realpath(case.path) if case.path else ""
    found: list[Candidate] = []
    for place in filter(os.path.exists, places):
        if own.startswith(os.path.realpath(place)):
            continue  # looking for stores opens files, and closing ours would drop its locks
        # Files that only look like a store, or cannot be read, are not for an import either.
        with suppress(ImportSourceError):
            found += discover([place])
    paths = dict.fromkeys(str(one.path) for one in found if one.kind in {"sqlite", "json"})
    new = [path for path in paths if not _imported(case, path)]
    if new:
        more = f"; and {len(new) - NAMES_MAX} more" if len(new) > NAMES_MAX else ""
        yield note(
            "memory of another tool lies here and is not in the store",
            "; ".join(new[:NAMES_MAX]) + more,
            f"look at it: swarm-memory import {new[0]} --dry-run",
        )
    else:
        yield ok("no memory of another tool waits to be imported", "; ".join(paths))


def _imported(case: Case, path: str) -> bool:
    """Tell whether an import has brought anything of a file into the caller's swarm."""
    if case.store is None:
        return False
    from pathlib import Path

    from swarm_memory.importers import default_source
    from swarm_memory.importers.items import MEMORY_ROOT, TELEMETRY_ROOT
    from swarm_memory.key import escape

    label = escape(default_source(Path(path)))
    return any(
        case.store.one(
            "doctor_imported", swarm=case.swarm, below=f"{top}/{label}/", above=f"{top}/{label}0"
        )
        for top in (MEMORY_ROOT, TELEMETRY_ROOT)
    )


def left_files(case: Case) -> Iterator[Finding]:
    """Unfinished exports beside the store, copies that a killed call did not remove."""
    now_s = case.clock.now_ms() / 1000
    left = _old_files(os.path.dirname(case.path), (".",), PARTS, now_s) if case.path else []
    left += _old_files(tempfile.gettempdir(), COPIES, ("",), now_s)
    if left:
        more = f"; and {len(left) - NAMES_MAX} more" if len(left) > NAMES_MAX else ""
        yield note(
            "these files were left by calls that were killed; nobody needs them",
            "; ".join(left[:NAMES_MAX]) + more,
            f"rm -r {left[0]}" + (" …" if len(left) > 1 else ""),
        )
    else:
        yield ok("no call has left unfinished files")


def _old_files(
    folder: str, begins: tuple[str, ...], ends: tuple[str, ...], now_s: float
) -> list[str]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return []  # a folder that may not be read is the finding of another check
    found = []
    for entry in entries:
        with suppress(FileNotFoundError):
            if (
                entry.name.startswith(begins)
                and entry.name.endswith(ends)
                and now_s - entry.stat(follow_symlinks=False).st_mtime > LEFT_S_MIN
            ):
                found.append(entry.path)
    return found
