"""The files of a source tree, within bounds, and the tasks that they give.

The tree is a stranger's: it may be endless, hold devices and damaged names, and change while it is
read. So every walk and every read has a limit, and a file that cannot be read is a failed task.
"""

from __future__ import annotations

import os
import stat
from collections import Counter

from swarm_memory.demo.text import KEYWORDS, SYNTAX, language_of
from swarm_memory.key import escape
from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

FILES_MAX = 150  # studied; of a larger tree every n-th file
BYTES_MAX = 1536 * 1024  # studied in all: compilers take seconds for each MiB
FILE_BYTES_MAX = 256 * 1024
FILES_SEEN_MAX = 20_000  # the walk ends there
FOLDERS_SEEN_MAX = 20_000
ID_BYTES = 100  # of a path within a task's name
SKIPPED = {".git", ".hg", ".svn", ".venv", "node_modules", "__pycache__", ".swarm-memory"}
SKIPPED |= {".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox", ".nox"}
NO_FILE, BEYOND = "link or device", "beyond the limit"


class Survey(NamedTuple):
    """A tree: `files` to study (paths below `root`), how many were `seen` and why some not.

    `complete` is False if the walk ended at its limit and there is more.
    """

    root: str
    files: list[str]
    seen: int
    skipped: dict[str, int]
    complete: bool


class Task(NamedTuple):
    """One thing to find out about one file."""

    task_id: str
    kind: str
    path: str


def survey(root: str) -> Survey:
    """Return the files below `root` in order; links are not followed."""
    found: list[tuple[str, int]] = []
    skipped: Counter[str] = Counter()
    unreadable: list[OSError] = []
    seen, complete = 0, True
    for path in _paths(root, unreadable):
        if path is None or seen >= FILES_SEEN_MAX:
            complete = False
            break
        why, size = _look_at(root, path)
        if why == NO_FILE:
            continue
        seen += 1
        if why is None:
            found.append((path, size))
        else:
            skipped[why] += 1
    studied = [path for path, _ in found[:: _step([size for _, size in found])]]
    skipped[BEYOND] = len(found) - len(studied)
    skipped["unreadable folders"] = len(unreadable)
    return Survey(root, studied, seen, {why: n for why, n in skipped.items() if n}, complete)


def _paths(root: str, unreadable: list[OSError]) -> Iterator[str | None]:
    """Yield what lies below `root`, relative to it, and None where the walk gives up."""
    for visited, (folder, folders, names) in enumerate(os.walk(root, onerror=unreadable.append)):
        folders[:] = sorted(f for f in folders if f not in SKIPPED)
        if visited >= FOLDERS_SEEN_MAX:
            yield None
        for name in sorted(names):
            yield os.path.relpath(os.path.join(folder, name), root)


def _look_at(root: str, path: str) -> tuple[str | None, int]:
    """Return why a file is left out (None if it is not) and its size."""
    whole = os.path.join(root, path)
    try:
        state = os.lstat(whole)
    except OSError:
        return "unreadable", 0
    if not stat.S_ISREG(state.st_mode):
        return NO_FILE, 0
    if not _is_utf8(path):
        return "not named in UTF-8", 0
    if state.st_size > FILE_BYTES_MAX:
        return "too large", state.st_size
    if not os.access(whole, os.R_OK):
        return "unreadable", 0
    return None, state.st_size


def _step(sizes: list[int]) -> int:
    """Return the smallest n such that every n-th file keeps within the limits."""
    step = max(1, -(-len(sizes) // FILES_MAX))
    while step < len(sizes) and sum(sizes[::step]) > BYTES_MAX:
        step += 1
    return step


def _is_utf8(path: str) -> bool:
    return path.encode("utf-8", "replace").decode() == path


def tasks_of(files: list[str]) -> list[Task]:
    """Return the tasks of all files: what can be asked depends on the end of the name."""
    return [
        Task(f"{kind}:{escape(path, limit=ID_BYTES)}", kind, path)
        for path in files
        for kind in _kinds(language_of(path))
    ]


def _kinds(language: str) -> list[str]:
    kinds = ["language"]
    if language in SYNTAX:
        kinds.append("comments")
    if language in KEYWORDS:
        kinds.append("declarations")
    if language == "python":
        kinds += ["definitions", "imports"]
    return kinds


def read(root: str, path: str) -> bytes:
    """Return a file's content, at most `FILE_BYTES_MAX` of it.

    Raises:
        OSError: It has gone, is no ordinary file any more, or cannot be read at once.
    """
    # What was a file when the tree was surveyed may be a pipe by now: do not wait for a writer.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(os.path.join(root, path), flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path} is no file any more")
        return file.read(FILE_BYTES_MAX)
