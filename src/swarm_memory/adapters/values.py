"""Values of other frameworks: as they are where the store takes them, as JSON text where not.

A value with half a character in it, or one that is deeper than values may be, is JSON all the
same, and somebody's conversation: it must come back.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.model import Json


def packed(name: str, value: Json, *, plain: bool) -> dict[str, Json]:
    """Return the field `name` with the value, or with its text if it is not to be `plain`."""
    return {name: value} if plain else {f"{name}_json": json.dumps(value)}


def unpacked(fields: dict[str, Json], name: str) -> Json:
    """Return the value that `packed` made a field of; None if there is no such field."""
    text = fields.get(f"{name}_json")
    return fields.get(name) if text is None else json.loads(text)


def is_json(value: Json) -> bool:
    """Tell whether a value comes back from its text as it was."""
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError, RecursionError):
        return False
