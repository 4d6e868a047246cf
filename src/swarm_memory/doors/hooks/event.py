"""One event of Claude Code, as its JSON tells it: fields may be missing, unknown, of any type."""

from __future__ import annotations

from swarm_memory import lean_json
from swarm_memory.errors import InvalidArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.model import Json


class Event:
    """The name of an event and its fields; `raw` is what they were read from."""

    __slots__ = ("fields", "name", "raw")

    def __init__(self, name: str, fields: dict[str, Json], raw: bytes) -> None:
        self.name = name
        self.fields = fields
        self.raw = raw

    def get(self, field: str) -> Json:
        """Return a field as it is, None if it is missing."""
        return self.fields.get(field)

    def text(self, field: str) -> str | None:
        """Return a field that is a text with something in it, else None."""
        value = self.fields.get(field)
        return value if isinstance(value, str) and value else None


def parse(raw: bytes, name: str | None) -> Event:
    """Return the event that `raw` tells of; `name` is what it is called if it does not say so.

    Raises:
        InvalidArgumentError: It is no JSON object, or nobody says which event it is.
    """
    try:
        fields = lean_json.loads(raw)
    except ValueError as error:
        raise InvalidArgumentError(
            f"stdin is no JSON: {error}", hint="give the event as one JSON object"
        ) from error
    if not isinstance(fields, dict):
        raise InvalidArgumentError(
            f"stdin is a JSON {type(fields).__name__}", hint="give the event as one JSON object"
        )
    said = fields.get("hook_event_name")
    name = said if isinstance(said, str) and said else name
    if not name:
        raise InvalidArgumentError(
            "no hook_event_name", hint="give it in the JSON, or as the argument"
        )
    return Event(name, fields, raw)
