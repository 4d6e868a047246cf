"""Entries of a settings file: put in what is missing, take out exactly that.

What was put in is told by a record: the entries, the containers that were made for them, and the
white space of those that were empty. With it `strip` is the inverse of `merge`, also when others
have edited the file meanwhile. Without it, on a colleague's machine, what looks like ours goes and
takes the containers along that it leaves empty.
"""

from __future__ import annotations

from swarm_memory.errors import ConfigError
from swarm_memory.lean import NamedTuple
from swarm_memory.wiring import hooks, splice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from swarm_memory.model import Json
    from swarm_memory.wiring.splice import Step


class Entry(NamedTuple):
    """A value for the container at `path`: its member `name`, or an element if that is None."""

    path: tuple[str, ...]
    name: str | None
    value: Any


class Record(NamedTuple):
    """What `merge` did: entries, paths of containers that it made, and blanks of empty ones."""

    entries: list[Entry]
    created: list[tuple[str, ...]]
    interiors: dict[tuple[str, ...], str]

    def with_(self, more: Record) -> Record:
        """Return the record of this and of what was done after it."""
        known = [one for one in self.entries if one not in more.entries]
        return Record(
            known + more.entries,
            list(dict.fromkeys(self.created + more.created)),
            more.interiors | self.interiors,
        )

    def to_dict(self) -> dict[str, Json]:
        """Return the record as JSON."""
        return {
            "entries": [[list(path), name, value] for path, name, value in self.entries],
            "created": [list(path) for path in self.created],
            "interiors": [[list(path), blank] for path, blank in self.interiors.items()],
        }

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Record:
        """Return the record that `to_dict` gave."""
        return cls(
            [Entry(tuple(path), name, value) for path, name, value in document["entries"]],
            [tuple(path) for path in document["created"]],
            {tuple(path): blank for path, blank in document["interiors"]},
        )


def merge(text: str, entries: Sequence[Entry]) -> tuple[str, Record]:
    """Return the text with the entries that it lacks, and what was done.

    A member that is there stays as it is, whatever its value.

    Raises:
        ConfigError: The text is no JSON object, or something else stands where we belong.
    """
    if not isinstance(splice.parse(text), dict):
        raise ConfigError("it holds no JSON object", hint="correct the file")
    record = Record([], [], {})
    for entry in reversed(entries):  # each becomes the first: so they end up in their order
        if not present(text, entry):
            text = _enter(text, entry, record)
            record.entries.insert(0, entry)
    splice.parse(text)  # what we write must be what others can read
    return text, record


def present(text: str, entry: Entry) -> bool:
    """Tell whether an entry is there: an equal element, or a member of its name."""
    if entry.name is not None:
        return splice.find(text, (*entry.path, entry.name)) is not None
    return _place(text, entry) is not None


def value_at(text: str, path: Sequence[Step]) -> Json:
    """Return the value at a path, None where there is none."""
    value = splice.parse(text)
    for step in path:
        if not isinstance(value, dict) or step not in value:
            return None
        value = value[step]
    return value


def _place(text: str, entry: Entry) -> int | None:
    """Return the place of an equal element, None if there is none."""
    elements = value_at(text, entry.path)
    if isinstance(elements, list) and entry.value in elements:
        return elements.index(entry.value)
    return None


def _enter(text: str, entry: Entry, record: Record) -> str:
    path = entry.path
    for depth in range(len(path) + 1):
        at = splice.find(text, path[:depth])
        if at is None:
            _note_blank(text, path[: depth - 1], record)
            record.created.extend(path[: n + 1] for n in range(depth - 1, len(path)))
            value = [entry.value] if entry.name is None else {entry.name: entry.value}
            for step in reversed(path[depth:]):
                value = {step: value}
            return splice.insert(text, path[: depth - 1], path[depth - 1], value)
        wanted = "[" if entry.name is None and depth == len(path) else "{"
        if text[at] != wanted:
            kind = "array" if wanted == "[" else "object"
            raise ConfigError(f"{'.'.join(path[:depth])} is no {kind}", hint="correct the file")
    _note_blank(text, path, record)
    return splice.insert(text, path, entry.name, entry.value)


def _note_blank(text: str, path: tuple[str, ...], record: Record) -> None:
    """Note the white space of a container that is about to get its first child."""
    blank = splice.interior(text, path)
    if blank is not None:
        record.interiors[path] = blank


def strip(text: str, entries: Sequence[Entry], record: Record | None) -> str:
    """Return the text without what is ours.

    Args:
        entries: What we write; looked for if there is no record.
        record: What was written, None if nobody knows.

    Raises:
        ConfigError: The text is no JSON.
    """
    splice.parse(text)
    for entry in entries if record is None else record.entries:
        if entry.name is not None:
            path: tuple[Step, ...] = (*entry.path, entry.name)
            # Without a record only what is as we write it is known to be ours.
            if record is None and value_at(text, path) != entry.value:
                continue
            if splice.find(text, path) is not None:
                text = _take(text, path, record)
        elif (place := _place(text, entry)) is not None:
            text = _take(text, (*entry.path, place), record)
    return _strip_handlers(text, record)


def _strip_handlers(text: str, record: Record | None) -> str:
    """Take out handlers that are ours although their group was edited."""
    while (path := _handler(text)) is not None:
        text = _take(text, path, record)
    return text


def _handler(text: str) -> tuple[Step, ...] | None:
    """Return the path of the first handler of ours, or of its group if it has no other."""
    document = splice.parse(text)
    events = document.get("hooks") if isinstance(document, dict) else None
    for event, groups in events.items() if isinstance(events, dict) else ():
        for place, group in enumerate(groups if isinstance(groups, list) else ()):
            inner = group.get("hooks") if isinstance(group, dict) else None
            if not isinstance(inner, list):
                continue
            for number, handler in enumerate(inner):
                if hooks.is_written(handler):
                    whole = ("hooks", event, place)
                    return whole if len(inner) == 1 else (*whole, "hooks", number)
    return None


def _take(text: str, path: tuple[Step, ...], record: Record | None) -> str:
    """Take out one child, and the containers made for it that would be left empty."""
    above = path[:-1]
    alone = len(splice.children(text, splice.find(text, above) or 0)) == 1
    if alone and above and (record is None or above in record.created):
        return _take(text, above, record)
    blank = record.interiors.get(above, "") if record is not None else ""  # type: ignore[arg-type]
    return splice.remove(text, path, interior=blank if alone else "")
