"""The files of a source tree, within bounds, and the tasks that they give."""

from __future__ import annotations

import os
from collections import namedtuple

from swarm_memory.key import escape

FILES_MAX = 150  # studied; of a larger tree every n-th file
FILES_SEEN_MAX = 20_000
FILE_BYTES_MAX = 512 * 1024
SKIPPED = {".git", ".venv", "node_modules", "__pycache__", ".swarm-memory", ".mypy_cache"}


class Survey(namedtuple("Survey", "root files seen skipped")):
    """A tree: `files` to study (paths below `root`), how many were `seen` and why some not."""

    __slots__ = ()
    root: str
    files: list[str]
    seen: int
    skipped: dict[str, int]


class Task(namedtuple("Task", "task_id kind path")):
    """One thing to find out about one file."""

    __slots__ = ()
    task_id: str
    kind: str
    path: str


def survey(root: str) -> Survey:
    """Return the files below `root` in order; links are not followed."""
    found: list[str] = []
    skipped = {"too large": 0, "unreadable": 0, "not named in UTF-8": 0, "beyond the limit": 0}
    seen = 0
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in SKIPPED)
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            seen += 1
            if seen > FILES_SEEN_MAX:
                skipped["beyond the limit"] += 1
            elif not os.access(path, os.R_OK):
                skipped["unreadable"] += 1
            elif not _is_utf8(path):
                skipped["not named in UTF-8"] += 1
            elif os.path.getsize(path) > FILE_BYTES_MAX:
                skipped["too large"] += 1
            else:
                found.append(os.path.relpath(path, root))
    step = -(-len(found) // FILES_MAX) or 1
    studied = found[::step]
    skipped["beyond the limit"] += len(found) - len(studied)
    return Survey(root, studied, seen, {why: n for why, n in skipped.items() if n})


def _is_utf8(path: str) -> bool:
    return path.encode("utf-8", "replace").decode() == path


def tasks_of(files: list[str]) -> list[Task]:
    """Return the tasks of all files; only Python files have definitions and imports."""
    tasks = []
    for path in files:
        kinds = ["language"]
        if path.endswith(".py"):
            kinds += ["definitions", "imports"]
        tasks += [Task(f"{kind}:{escape(path, limit=100)}", kind, path) for kind in kinds]
    return tasks


def read(root: str, path: str) -> bytes:
    """Return a file's content, at most `FILE_BYTES_MAX` of it."""
    with open(os.path.join(root, path), "rb") as file:
        return file.read(FILE_BYTES_MAX)
