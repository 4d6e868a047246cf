"""LangGraph's items as records and back: their paths, their values, and what filters ask of them.

A namespace and a key are one path. What lies there may have been written by anybody.
"""

from __future__ import annotations

import functools
import json
import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from swarm_memory import InvalidArgumentError, Put, Record
from swarm_memory.adapters import extra
from swarm_memory.key import KEY_BYTES_MAX, escape, unescape

with extra("langgraph"):
    from langgraph.store.base import Item, MatchCondition, PutOp, SearchItem

Names = tuple[str, ...]  # a namespace, or one with a key at its end

FOLDED_BYTES = 34  # of the last segment of a path that would be too long: `+h` and 32 digits
OPEN_BYTES_MAX = KEY_BYTES_MAX - FOLDED_BYTES - 1  # of the segments before it

# --- paths ---


def path_of(names: Names) -> str:
    """Return the key of the record with these names: each is one segment, escaped.

    What would be longer than a key may be ends in one segment that stands for all names which
    found no place. The names themselves then are kept in the record's provenance.
    """
    segments = [escape(name) for name in names]
    path = "/".join(segments)
    if len(path) <= KEY_BYTES_MAX:
        return path
    fits = _fitting(segments)
    digest = sha256(json.dumps(names[fits:]).encode()).hexdigest()[:32]
    return "/".join([*segments[:fits], f"+h{digest}"])


def _fitting(segments: Sequence[str]) -> int:
    """Return how many segments lie open in a path that is folded: it depends on no later one."""
    size = -1
    for count, segment in enumerate(segments):
        size += 1 + len(segment)
        if size > OPEN_BYTES_MAX:
            return count
    return len(segments)


def opened(space: Names) -> tuple[str, bool]:
    """Return the prefix below which all records of a namespace lie, and whether no others do."""
    segments = [escape(name) for name in space]
    fits = _fitting(segments)
    return "".join(f"{segment}/" for segment in segments[:fits]), fits == len(segments)


def place_of(record: Record) -> tuple[Names, str]:
    """Return the namespace and the key that a record has here, whoever wrote it."""
    about = record.provenance
    names = about.get("names") if about is not None else None
    if isinstance(names, list) and names:
        return tuple(str(name) for name in names[:-1]), str(names[-1])
    folder, _, name = record.key.rpartition("/")
    return names_in(folder), _unescaped(name) if "+" in name else name


@functools.lru_cache(maxsize=1024)
def names_in(folder: str) -> Names:
    """Return the names that the segments of a path stand for."""
    segments = folder.split("/") if folder else []
    return tuple([_unescaped(s) if "+" in s else s for s in segments])


def _unescaped(segment: str) -> str:
    try:
        return unescape(segment) or (segment if segment != "+" else "")
    except InvalidArgumentError:  # somebody else's own use of the plus sign
        return segment


def is_cut(path: str) -> bool:
    """Tell whether a path does not say all of its names."""
    return "+h" in path


# --- items and records ---


def put_of(path: str, op: PutOp, *, expect: int | None = None) -> Put:
    """Return the write of an item; what its value has no place for is in the provenance."""
    about: dict[str, Any] = {}
    if is_cut(path):
        about["names"] = [*op.namespace, op.key]
    if op.ttl is not None:
        about["ttl_minutes"] = op.ttl
    if op.index is False:
        about["index"] = False
    ttl_s = None if op.ttl is None else 60.0 * op.ttl
    return Put(path, dict(op.value or {}), expect, ttl_s, about or None)


def value_of(record: Record) -> dict[str, Any]:
    """Return the value as LangGraph has it: what is no object stands in one."""
    value = record.value
    return value if isinstance(value, dict) else {"value": value}


def minutes_of(record: Record) -> float | None:
    """Return the minutes that LangGraph lets an item live after each use, None if it is kept."""
    minutes = (record.provenance or {}).get("ttl_minutes")
    return minutes if isinstance(minutes, int | float) else None


def index_of(record: Record | None) -> Any:
    """Return what `put` was told of indexing an item."""
    kept = record is not None and (record.provenance or {}).get("index") is False
    return False if kept else None


def item_of(record: Record, space: Names, key: str) -> Item:
    """Return a record as LangGraph's item."""
    created_at, updated_at = _times(record)
    return Item(
        value=value_of(record),
        key=key,
        namespace=space,
        created_at=created_at,
        updated_at=updated_at,
    )


def search_item_of(record: Record, space: Names, key: str, score: float | None) -> SearchItem:
    """Return a record as what a search of LangGraph's found."""
    return SearchItem(space, key, value_of(record), *_times(record), score)


def _times(record: Record) -> tuple[datetime, datetime]:
    created_at = datetime.fromtimestamp(record.created_ms / 1000, UTC)
    if record.updated_ms == record.created_ms:
        return created_at, created_at
    return created_at, datetime.fromtimestamp(record.updated_ms / 1000, UTC)


# --- conditions ---


def literal(path: Sequence[str]) -> Names:
    """Return what comes before the first wildcard."""
    return tuple(path[: path.index("*")]) if "*" in path else tuple(path)


def fits_condition(condition: MatchCondition, space: Names) -> bool:
    """Tell whether a namespace begins or ends as a condition says."""
    path = condition.path
    if len(space) < len(path):
        return False
    part = space[: len(path)] if condition.match_type == "prefix" else space[-len(path) :]
    return not path or all(p in {"*", name} for p, name in zip(path, part, strict=True))


def is_wanted(record: Record, wanted: Mapping[str, Any] | None) -> bool:
    """Tell whether a query may find a record that is as the filter wants it."""
    about = record.provenance
    if about is not None and about.get("index") is False:
        return False
    return not wanted or matches(record, wanted)


def matches(record: Record, wanted: Mapping[str, Any]) -> bool:
    """Tell whether a record is as a filter wants it."""
    value = value_of(record)
    return all(_holds(part_of(value, name), condition) for name, condition in wanted.items())


def part_of(value: dict[str, Any], name: str) -> Any:
    """Return what a filter's name stands for: a key, or a path of keys joined by periods."""
    if name in value or "." not in name:
        return value.get(name)
    part: Any = value
    for step in name.split("."):
        part = part.get(step) if isinstance(part, dict) else None
    return part


def _holds(value: Any, wanted: Any) -> bool:
    """Tell whether a part of a value is as a filter wants it; inside objects, too."""
    if isinstance(wanted, dict):
        if any(str(name).startswith("$") for name in wanted):
            return all(_compares(value, name, limit) for name, limit in wanted.items())
        return isinstance(value, dict) and all(_holds(value.get(n), w) for n, w in wanted.items())
    if isinstance(wanted, list | tuple):
        return (
            isinstance(value, list)
            and len(value) == len(wanted)
            and all(map(_holds, value, wanted))
        )
    return bool(value == wanted)


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def _compares(value: Any, name: str, limit: Any) -> bool:
    if name == "$eq":
        return bool(value == limit)
    if name == "$ne":
        return bool(value != limit)
    if name not in _ORDERS:
        raise ValueError(f"Unsupported operator: {name}")
    try:
        return _ORDERS[name](float(value), float(limit))
    except (TypeError, ValueError):  # what cannot be ordered by number: texts are by their letters
        both = isinstance(value, str) and isinstance(limit, str)
        return both and _ORDERS[name](value, limit)
