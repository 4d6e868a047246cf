"""Changing a JSON text in one place: every other byte stays as its author left it.

A settings file is edited by people and by programs that each indent as they like. So nothing is
written anew: a member or an element is put in as text in the manner of its neighbours, first in
its container, which touches no line of others, and taken out again with the white space that came
with it.
"""

from __future__ import annotations

import json
import re

from swarm_memory.errors import ConfigError
from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarm_memory.model import Json

    Step = str | int  # a member's name, an element's place

_BLANK = re.compile(r"[ \t\r\n]*")
_UNIT = "  "
_DECODER = json.JSONDecoder()
_BOM = "\ufeff"


class Child(NamedTuple):
    """One child of a container: its name or place, where it begins, where its value is."""

    name: Step
    start: int
    value: int
    end: int


def parse(text: str) -> Json:
    """Return the document of a text.

    Raises:
        ConfigError: It is no JSON.
    """
    try:
        return json.loads(text.removeprefix(_BOM), parse_constant=_refuse)
    except (ValueError, RecursionError) as problem:
        raise ConfigError(f"it is no valid JSON: {problem}", hint="correct the file") from problem


def _refuse(name: str) -> Json:
    raise ValueError(f"{name} is no JSON")


def find(text: str, path: Sequence[Step]) -> int | None:
    """Return where the value at `path` begins, None where there is none; `text` is valid JSON."""
    at = _skip(text, len(_BOM) if text.startswith(_BOM) else 0)
    for step in path:
        wanted = [child for child in children(text, at) if child.name == step]
        if not wanted:
            return None
        at = wanted[-1].value  # of a name that stands twice, readers take the last
    return at


def children(text: str, at: int) -> list[Child]:
    """Return the children of the container that begins at `at`; a plain value has none."""
    if text[at] not in "{[":
        return []
    named = text[at] == "{"
    found: list[Child] = []
    at = _skip(text, at + 1)
    while text[at] not in "}]":
        start, name = at, len(found)
        if named:
            name, at = _DECODER.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)  # behind the colon
        end = _end(text, at)
        found.append(Child(name, start, at, end))
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found


def insert(text: str, path: Sequence[Step], name: str | None, value: Json) -> str:
    """Return the text with `value` as the first child of the container at `path`.

    Args:
        path: Of a container that is there.
        name: The member's name, None for an element of an array.
    """
    at, unit = _there(text, path), _unit(text)
    inside = children(text, at)
    if inside:
        gap = text[at + 1 : inside[0].start]
        # Where all stand on one line, the next needs the space that the first had not.
        rest, outer = text[at + 1 :], "," if gap else ", "
    else:
        gap, rest = _gap_inside(text, at, unit), text[_close(text, at) :]
        outer = gap.removesuffix(unit) if gap else ""
    margin = (_line_end(text) + gap.rpartition("\n")[2]) if "\n" in gap else None
    return text[: at + 1] + gap + _written(name, value, margin, unit) + outer + rest


def remove(text: str, path: Sequence[Step], *, interior: str = "") -> str:
    """Return the text without the child at `path`: what `insert` did, undone.

    Args:
        path: Of a member or an element that is there.
        interior: The white space to leave in a container that has nothing else.
    """
    at = _there(text, path[:-1])
    inside = children(text, at)
    place = max(n for n, child in enumerate(inside) if child.name == path[-1])
    child = inside[place]
    if len(inside) == 1:
        return text[: at + 1] + interior + text[_close(text, at) :]
    if place == len(inside) - 1:
        return text[: inside[place - 1].end] + text[child.end :]
    before = inside[place - 1].end if place else at + 1
    begin = text.index(",", before, child.start) + 1 if place else before
    end = _skip(text, child.end) + 1
    if begin == child.start:  # all on one line: the space behind the comma came with it too
        end = inside[place + 1].start
    return text[:begin] + text[end:]


def interior(text: str, path: Sequence[Step]) -> str | None:
    """Return the white space in an empty container, None where there is no empty one."""
    at = find(text, path)
    if at is None or text[at] not in "{[" or children(text, at):
        return None
    return text[at + 1 : _close(text, at)]


def _written(name: str | None, value: Json, margin: str | None, unit: str) -> str:
    """Return a child as text: with a margin each line begins with it, without it is one line."""
    label = "" if name is None else json.dumps(name, ensure_ascii=False) + ": "
    if margin is None:
        return label + json.dumps(value, ensure_ascii=False)
    return label + margin.join(json.dumps(value, ensure_ascii=False, indent=unit).split("\n"))


def _gap_inside(text: str, at: int, unit: str) -> str:
    """Return the white space for the first child of the empty container at `at`."""
    if at == find(text, ()):
        return _line_end(text) + unit
    begin = text.rfind("\n", 0, at) + 1
    if begin == 0:
        return ""  # all of it stands on one line
    return _line_end(text) + text[begin : _skip(text, begin)] + unit


def _unit(text: str) -> str:
    """Return by what the text indents: the margin of the first child of its root."""
    root = _there(text, ())
    inside = children(text, root)
    gap = text[root + 1 : inside[0].start] if inside else ""
    return gap.rpartition("\n")[2] or _UNIT if "\n" in gap else _UNIT


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _there(text: str, path: Sequence[Step]) -> int:
    at = find(text, path)
    if at is None:
        raise LookupError(f"nothing at {path!r}")
    return at


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _end(text: str, at: int) -> int:
    return int(_DECODER.raw_decode(text, at)[1])


def _close(text: str, at: int) -> int:
    """Return where the bracket stands that closes the container at `at`."""
    return _end(text, at) - 1
