"""Three-way merge of JSON values: what one side left alone follows the other side.

Equality is strict about types: True, 1 and 1.0 are three different values.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.model import Json

_SCALARS = (str, int, float, bool, type(None))
_ABSENT = object()  # a key that is not there, as against one whose value is null


class MergeConflict(ValueError):
    """Both sides changed the same thing in different ways.

    `paths` are JSON pointers to all such places, in the order of their keys; "/" is the whole
    value.
    """

    def __init__(self, paths: list[str]) -> None:
        super().__init__(f"both sides changed {', '.join(paths)}")
        self.paths = paths


def three_way(base: Json, theirs: Json, mine: Json) -> Json:
    """Return `theirs` with the changes that `mine` made to `base`.

    Objects merge key by key; deleting what the other side changed is a conflict. Lists of distinct
    scalars merge as sets in the order of `theirs`, what mine added at the end; a side that moved
    its elements has not treated it as a set. Lists that both sides only appended to are joined,
    theirs first. Anything else that both sides changed must have changed to the same. A `base` of
    None counts as an empty object or list where both sides hold one: neither saw the other's.

    Nothing is modified; the result may share parts with the arguments.

    Raises:
        MergeConflict: With the paths of everything that cannot be merged.
    """
    conflicts: list[str] = []
    merged = _merge(_ABSENT if base is None else base, theirs, mine, "", conflicts, base)
    if conflicts:
        raise MergeConflict(conflicts)
    return merged


def _merge(
    base: Json, theirs: Json, mine: Json, path: str, conflicts: list[str], seen: Json = _ABSENT
) -> Json:
    """Merge one place; `seen` is what counts as unchanged where that is not `base` itself."""
    before = base if seen is _ABSENT else seen
    if _same(theirs, mine) or _same(before, mine):
        return theirs
    if _same(before, theirs):
        return mine
    if isinstance(theirs, dict) and isinstance(mine, dict):
        if base is _ABSENT or isinstance(base, dict):
            return _merge_objects(_or_empty(base, {}), theirs, mine, path, conflicts)
    elif _is_list(theirs) and _is_list(mine) and (base is _ABSENT or _is_list(base)):
        merged = _merge_lists(_or_empty(base, []), theirs, mine)
        if merged is not None:
            return merged
    conflicts.append(path or "/")
    return theirs


def _merge_objects(
    base: dict[str, Json],
    theirs: dict[str, Json],
    mine: dict[str, Json],
    path: str,
    conflicts: list[str],
) -> dict[str, Json]:
    merged = {}
    for key in [*theirs, *(key for key in mine if key not in theirs)]:
        below = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
        before, their, my = (side.get(key, _ABSENT) for side in (base, theirs, mine))
        value = _merge(before, their, my, below, conflicts)
        if value is not _ABSENT:
            merged[key] = value
    return merged


def _merge_lists(base: list[Json], theirs: list[Json], mine: list[Json]) -> list[Json] | None:
    """Return the merged list, None if there is no telling what was meant."""
    if all(_is_set(side) for side in (base, theirs, mine)):
        return _merge_sets(base, theirs, mine)
    length = len(base)
    if _same(base, theirs[:length]) and _same(base, mine[:length]):
        return [*theirs, *mine[length:]]
    return None


def _merge_sets(base: list[Json], theirs: list[Json], mine: list[Json]) -> list[Json] | None:
    in_base, in_theirs, in_mine = ({_mark(x) for x in side} for side in (base, theirs, mine))
    for side, marks in ((theirs, in_theirs), (mine, in_mine)):
        kept = [_mark(x) for x in side if _mark(x) in in_base]
        if kept != [_mark(x) for x in base if _mark(x) in marks]:
            return None  # elements were moved: the order means something
    dropped = in_base - in_mine
    known = in_base | in_theirs
    return [
        *(x for x in theirs if _mark(x) not in dropped),
        *(x for x in mine if _mark(x) not in known),
    ]


def _or_empty(base: Json, empty: Json) -> Json:
    return empty if base is _ABSENT else base


def _is_list(value: Json) -> bool:
    return isinstance(value, (list, tuple))  # the codec stores both as arrays


def _is_set(values: list[Json]) -> bool:
    return all(isinstance(x, _SCALARS) for x in values) and len(values) == len(
        {_mark(x) for x in values}
    )


def _mark(scalar: Json) -> tuple[type, Json]:
    return type(scalar), scalar


def _same(one: Json, other: Json) -> bool:
    """Tell whether two values are the same JSON; True, 1 and 1.0 are not."""
    if one is other:
        return True
    if _is_list(one) and _is_list(other):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return type(one) is type(other) and bool(one == other)
