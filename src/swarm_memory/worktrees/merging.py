"""Merging: what git says of two commits that would be merged, file by file and hunk by hunk."""

from __future__ import annotations

import re

from swarm_memory.lean import NamedTuple
from swarm_memory.worktrees.git import GitError, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarm_memory.worktrees.git import Git

CONTENT, ADDED, BINARY, DELETED = "content", "add/add", "binary", "modify/delete"
RENAMED, FOLDER, MODE, MODULE = "rename", "file/folder", "mode", "submodule"
OTHER = "other"
HUNKS_MAX = 100  # of one file
_MODULE_MODE = "160000"
_HUNK = re.compile(rb"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)
# The first that is found in git's name for a conflict says what kind it is.
_KINDS = (
    ("submodule", MODULE), ("binary", BINARY), ("rename", RENAMED), ("modify/delete", DELETED),
    ("file/directory", FOLDER), ("distinct", MODE), ("add/add", ADDED), ("content", CONTENT),
)  # fmt: skip


class Span(NamedTuple):
    """Lines first to last of a file, from 1; last < first where a side has removed them."""

    first: int
    last: int


class Hunk(NamedTuple):
    """Where the two sides' changes meet: the lines of each side's own version."""

    left: Span
    right: Span


class Meeting(NamedTuple):
    """One file on which a merge of two commits would stop."""

    path: str
    kind: str
    hunks: tuple[Hunk, ...]
    said: str


class _Edit(NamedTuple):
    """One hunk of a diff: from base lines on, how many, and the same of the new file."""

    base: int
    base_lines: int
    first: int
    lines: int
    added: bytes


def meetings(git: Git, folder: str, left: str, right: str) -> list[Meeting]:
    """Return the files on which a merge of two commits stops, [] for a clean one.

    Raises:
        GitError: They have no common history, or git failed.
    """
    status, output = git.run(
        folder, "merge-tree", "--write-tree", "-z", "--messages", left, right, statuses=(0, 1)
    )
    if status == 0:
        return []
    stages, said = _parsed(output)
    found = []
    for path, entries in sorted(stages.items()):
        # git tells of a rename under both names; what it says is kept with each.
        about = said.get(path, [])
        kind = _kind(about, entries)
        hunks = _hunks(git, folder, entries) if kind in (CONTENT, ADDED) else ()
        words = " ".join(message for _, message in about[:1]).split("\n", 1)[0].strip()
        found.append(Meeting(text(path), kind, hunks, words))
    return found


def _parsed(
    output: bytes,
) -> tuple[dict[bytes, dict[int, tuple[str, str]]], dict[bytes, list[tuple[str, str]]]]:
    """Return by path the stages (mode, object), and what git says of it (name, message)."""
    parts = iter(output.split(b"\0"))
    next(parts)  # the tree
    stages: dict[bytes, dict[int, tuple[str, str]]] = {}
    for entry in parts:
        if not entry:
            break
        head, _, path = entry.partition(b"\t")
        mode, name, stage = head.decode("ascii").split(" ")
        stages.setdefault(path, {})[int(stage)] = (mode, name)
    said: dict[bytes, list[tuple[str, str]]] = {}
    for paths, kind, message in _messages(parts):
        if kind.startswith("CONFLICT"):
            for path in paths:
                said.setdefault(path, []).append((kind, message))
    return stages, said


def _messages(parts: Iterator[bytes]) -> Iterator[tuple[list[bytes], str, str]]:
    for count in parts:
        if not count.isdigit():
            return  # the end; or advice for people, which git puts behind all that has a form
        names = [next(parts, b"") for _ in range(int(count))]
        yield names, text(next(parts, b"")), text(next(parts, b""))


def _kind(said: list[tuple[str, str]], stages: dict[int, tuple[str, str]]) -> str:
    if any(mode == _MODULE_MODE for mode, _ in stages.values()):
        return MODULE
    names = " ".join(kind for kind, _ in said)
    for word, kind in _KINDS:
        if word in names:
            return ADDED if kind == CONTENT and 1 not in stages else kind
    return OTHER


def _hunks(git: Git, folder: str, stages: dict[int, tuple[str, str]]) -> tuple[Hunk, ...]:
    """Return where changes meet: lines of the base that both sides changed, or one beside them."""
    if 2 not in stages or 3 not in stages:
        return ()
    left, right = stages[2][1], stages[3][1]
    if 1 not in stages:
        edits = _edits(git, folder, left, right)
        return tuple(
            Hunk(_span(e.base, e.base_lines), _span(e.first, e.lines)) for e in edits[:HUNKS_MAX]
        )
    base = stages[1][1]
    return met(_edits(git, folder, base, left), _edits(git, folder, base, right))[:HUNKS_MAX]


def _edits(git: Git, folder: str, before: str, after: str) -> list[_Edit]:
    options = ("--no-color", "--no-ext-diff", "--no-textconv", "-U0", "--diff-algorithm=histogram")
    try:
        _, diff = git.run(folder, "diff", *options, before, after)
    except GitError:
        return []  # a file is still named, if its lines cannot be
    heads = list(_HUNK.finditer(diff))
    ends = [head.start() for head in heads[1:]] + [len(diff)]
    edits = []
    for head, end in zip(heads, ends, strict=True):
        numbers = [1 if n is None else int(n) for n in head.groups()]
        lines = diff[head.end() : end].split(b"\n")
        added = b"\n".join(line for line in lines if line.startswith(b"+"))
        base, base_lines, first, count = numbers
        edits.append(_Edit(base, base_lines, first, count, added))
    return edits


def met(left: list[_Edit], right: list[_Edit]) -> tuple[Hunk, ...]:
    """Return the groups of edits of both sides that touch the same or neighbouring base lines."""
    hunks = []
    used: set[int] = set()
    for i, edit in enumerate(left):
        if i in used:
            continue
        mine: list[_Edit] = [edit]
        yours: list[_Edit] = []
        start, end = _base(edit)
        grown = True
        while grown:  # an edit that meets one of the group widens it, and may meet more
            size = len(mine) + len(yours)
            yours = [e for e in right if _base(e)[0] <= end and start <= _base(e)[1]]
            for j in range(i + 1, len(left)):
                low, high = _base(left[j])
                if j not in used and low <= end and start <= high and yours:
                    used.add(j)
                    mine.append(left[j])
            spans = [_base(e) for e in (*mine, *yours)]
            start, end = min(s for s, _ in spans), max(e for _, e in spans)
            grown = len(mine) + len(yours) > size
        if yours and [e[:2] + e[4:] for e in mine] != [e[:2] + e[4:] for e in yours]:
            hunks.append(Hunk(_around(mine), _around(yours)))
    return tuple(hunks)


def _base(edit: _Edit) -> tuple[int, int]:
    """Return the base lines of an edit as [start, end); what is put between two has no length."""
    start = edit.base if edit.base_lines else edit.base + 1
    return start, start + edit.base_lines


def _around(edits: list[_Edit]) -> Span:
    spans = [_span(edit.first, edit.lines) for edit in edits]
    return Span(min(s.first for s in spans), max(s.last for s in spans))


def _span(first: int, lines: int) -> Span:
    # With no lines git names the line before: nothing is there, and it would come after that.
    return Span(first, first + lines - 1) if lines else Span(first + 1, first)
