"""What is to be changed in which files: planned, shown, and done if nobody was faster."""

from __future__ import annotations

import difflib
import os

from swarm_memory.errors import ConfigError, SwarmMemoryError
from swarm_memory.lean import NamedTuple
from swarm_memory.wiring import entries, files, marked, splice
from swarm_memory.wiring.entries import Entry, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from swarm_memory.model import Json
    from swarm_memory.wiring.ledger import Ledger

LINE_CHARS_MAX = 300  # of a diff that somebody is to read


class Change(NamedTuple):
    """One file before and after; None is a file that is not there.

    `note` is for the ledger: what was written, None for nothing. A file that is `private` is
    shown without the lines around the change, and made for its owner only.
    """

    path: str
    old: str | None
    new: str | None
    note: dict[str, Any] | None = None
    private: bool = False

    @property
    def verb(self) -> str:
        """What happens to the file: made, changed, deleted or kept."""
        if self.old == self.new:
            return "kept"
        return "made" if self.old is None else "deleted" if self.new is None else "changed"

    def diff(self) -> list[str]:
        """Return the change as lines of a unified diff, without secrets that are seen as such."""
        from swarm_memory.redact import redact

        before, after = ((text or "").splitlines() for text in (self.old, self.new))
        left, right = (os.devnull if text is None else self.path for text in (self.old, self.new))
        around = 0 if self.private else 2
        lines = difflib.unified_diff(before, after, left, right, n=around, lineterm="")
        return [redact(line[:LINE_CHARS_MAX]).text for line in lines]

    def to_dict(self) -> dict[str, Json]:
        """Return the change as every door shows it."""
        return {"path": self.path, "change": self.verb, "diff": "\n".join(self.diff())}


def enter(
    ledger: Ledger,
    path: str,
    wanted: Sequence[Entry],
    *,
    private: bool = False,
    also: bool = False,
) -> Change:
    """Plan that a JSON file has these entries; if it has, nothing changes.

    Args:
        also: What was written before stays; else it goes if it is not wanted any more.

    Raises:
        ConfigError: The file is no JSON object, or something else stands where we belong.
    """
    old, note = files.read(path), ledger.recall(path)
    before = Record.from_dict(note) if note else None
    blank = old is None or not old.strip()
    base = "{}\n" if blank or old is None else old  # what is blank is an empty object
    with _named(path):
        splice.parse(base)
        stale = before and not also and any(one not in wanted for one in before.entries)
        if not stale and all(entries.present(base, entry) for entry in wanted):
            return Change(path, old, old, note, private)
        if before is not None and not also:
            base, before = entries.strip(base, (), before), None
        new, record = entries.merge(base, wanted)
    if before is not None:
        record = before.with_(record)
    known = note or {"made": old is None, "blank": old if blank else None}
    known = {name: known.get(name, []) for name in ("made", "blank", "folders")}
    return Change(path, old, new, {**known, **record.to_dict()}, private)


def leave(ledger: Ledger, path: str, ours: Sequence[Entry], *, private: bool = False) -> Change:
    """Plan that nothing of ours is in a JSON file, and no file that was made for it.

    Args:
        ours: What we write, looked for where nothing is noted.

    Raises:
        ConfigError: The file is no JSON.
    """
    old, note = files.read(path), ledger.recall(path)
    if old is None or not old.strip():
        return Change(path, old, old, note, private)
    with _named(path):
        new: str | None = entries.strip(old, ours, Record.from_dict(note) if note else None)
    if note and splice.parse(new or "") == {}:
        if note["made"]:
            new = None
        elif note["blank"] is not None:
            new = note["blank"]
    return Change(path, old, new, note, private)


def enter_block(ledger: Ledger, path: str, block: str) -> Change:
    """Plan that a text has a marked block, as it is now.

    Raises:
        ConfigError: One of the marks is missing.
    """
    old, note = files.read(path), ledger.recall(path)
    with _named(path):
        span = marked.find(old or "", block)
    if span is not None and old is not None:
        return Change(path, old, old[: span[0]] + block + old[span[1] :], note)
    new, glue = marked.insert(old or "", block)
    return Change(
        path, old, new, {"block": block, "made": old is None, "glue": glue, "folders": []}
    )


def leave_block(ledger: Ledger, path: str, block: str) -> Change:
    """Plan that a text has no block of ours, and that no text is left that was made for it.

    Raises:
        ConfigError: One of the marks is missing.
    """
    old, note = files.read(path), ledger.recall(path)
    if old is None:
        return Change(path, None, None, note)
    with _named(path):
        new: str | None = marked.remove(old, block, note["glue"] if note else None)
    if new == "" and note and note["made"]:
        new = None
    return Change(path, old, new, note)


def enter_file(ledger: Ledger, path: str, content: str) -> Change:
    """Plan that a file of our own is there, unless somebody made it his own."""
    old, note = files.read(path), ledger.recall(path)
    if old is not None and old != (note or {}).get("content"):
        return Change(path, old, old, note)
    folders = note["folders"] if note else []
    return Change(path, old, content, {"content": content, "folders": folders})


def leave_file(ledger: Ledger, path: str, content: str) -> Change:
    """Plan that a file of our own is gone, unless somebody made it his own."""
    old, note = files.read(path), ledger.recall(path)
    ours = {content, (note or {}).get("content", content)}
    return Change(path, old, None if old in ours else old, note)


def once(changes: Sequence[Change]) -> list[Change]:
    """Return the changes with each file once: of two plans for one, which agree, the first."""
    return list({change.path: change for change in reversed(changes)}.values())[::-1]


def apply(ledger: Ledger, changes: Sequence[Change]) -> None:
    """Write what was planned to be entered.

    What is noted of a file is written before it: a note of what never came to be removes nothing.

    Raises:
        SwarmMemoryError: A file is no longer as it was when this was planned, or cannot be
            written. What was written before it stays, and a second call goes on from there.
    """
    for change in changes:
        _check(change)
        if change.verb == "kept" or change.new is None:
            continue
        note = change.note or {}
        ledger.remember(change.path, note)
        made = files.write(change.path, change.new, private=change.private)
        if made:
            ledger.remember(change.path, {**note, "folders": [*note.get("folders", ()), *made]})


def take_out(ledger: Ledger, changes: Sequence[Change]) -> None:
    """Write what was planned to be left, and note nothing of these files any more.

    Folders that were made for them go when nothing else is in them.

    Raises:
        SwarmMemoryError: As for `apply`.
    """
    for change in changes:
        _check(change)
        if change.new is None and change.old is not None:
            files.delete(change.path)
        elif change.new is not None and change.verb != "kept":
            files.write(change.path, change.new)
    made = {folder for change in changes for folder in (change.note or {}).get("folders", ())}
    for folder in sorted(made, key=len, reverse=True):  # the inner ones first
        if os.path.isdir(folder) and not os.listdir(folder):
            os.rmdir(folder)
    for change in changes:
        ledger.forget(change.path)


def _check(change: Change) -> None:
    if change.verb != "kept" and files.read(change.path) != change.old:
        raise SwarmMemoryError(
            f"{change.path} was changed by somebody else just now; it was left as it is",
            hint="call it again",
        )


class _named:
    """Say in an error which file it is about."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ConfigError):
            raise ConfigError(f"{self.path}: {error}", hint=error.hint) from error
