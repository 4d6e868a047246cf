"""Tools: what a model can call, how it is described, and the check of what it passes.

A description states what a tool does and returns. All of them are paid for in every session, so
they are short; docs/mcp.md has the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swarm_memory.errors import InvalidArgumentError
from swarm_memory.lean import NamedTuple, lru_cache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from swarm_memory.doors.mcp.acting import Acting
    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm

    Schema = dict[str, Any]

SHOWN_CHARS = 80  # of what was passed, in an error

# What a call does to the memory: whether it changes anything, whether what it changes is lost to
# a reader, whether a second call changes anything more.
READS = {"read_only_hint": True}
ADDS = {"read_only_hint": False, "destructive_hint": False, "idempotent_hint": False}
ADDS_ONCE = ADDS | {"idempotent_hint": True}
REPLACES = {"read_only_hint": False, "destructive_hint": True, "idempotent_hint": False}
REPLACES_ONCE = REPLACES | {"idempotent_hint": True}

TEXT: Schema = {"type": "string"}
KEY: Schema = {"type": "string", "minLength": 1, "maxLength": 255}
WHOLE: Schema = {"type": "integer", "minimum": 0}
SECONDS: Schema = {"type": "number", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
TEXTS: Schema = {"type": "array", "items": TEXT}
OBJECT: Schema = {"type": "object"}
OBJECTS: Schema = {"type": "array", "items": OBJECT}
JSON: Schema = {}  # any value


class Call(NamedTuple):
    """One call: the door of who makes it, and the means of what takes long.

    `progress(done, total, message)` tells the caller how far it is; `given_up()` tells whether
    the caller waits no more.
    """

    swarm: Swarm
    acting: Acting
    progress: Callable[[float, float | None, str | None], None]
    given_up: Callable[[], bool]


class Tool(NamedTuple):
    """A tool: its JSON schemas, its effect, and the function of (call, arguments) that it is.

    One that may wait for others has `undo`, which takes back its result (call, result) if the
    caller does not wait for it any more. None marks one that does not wait.
    """

    name: str
    description: str
    arguments: Schema
    result: Schema
    effect: dict[str, bool]
    undo: Callable[[Call, dict[str, Json]], None] | None
    run: Callable[..., dict[str, Json]]


def tool(
    into: list[Tool],
    description: str,
    *,
    effect: dict[str, bool],
    required: Iterable[str] = (),
    returns: Schema,
    undo: Callable[[Call, dict[str, Json]], None] | None = None,
    **arguments: Schema,
) -> Callable[[Callable[..., dict[str, Json]]], Callable[..., dict[str, Json]]]:
    """Register a function as the tool of its name."""

    def register(fn: Callable[..., dict[str, Json]]) -> Callable[..., dict[str, Json]]:
        schema: Schema = {"type": "object", "properties": arguments}
        if required:
            schema["required"] = list(required)
        schema["additionalProperties"] = False
        result = {"type": "object", "properties": returns, "required": list(returns)}
        name = fn.__name__.rstrip("_")
        into.append(Tool(name, description, schema, result, effect, undo, fn))
        return fn

    return register


def check_arguments(tool: Tool, arguments: dict[str, Json]) -> None:
    """Refuse what does not fit the tool's schema, before anything is done.

    Raises:
        InvalidArgumentError: Naming the argument and what it should be.
    """
    from jsonschema.exceptions import best_match

    error = best_match(_validator(tool.name, tool.run).iter_errors(arguments))
    if error is None:
        return
    known = ", ".join(tool.arguments["properties"])
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        raise InvalidArgumentError(f"{tool.name} without {missing[0]}", hint=f"it takes: {known}")
    if error.validator == "additionalProperties":
        extra = sorted(set(error.instance) - set(tool.arguments["properties"]))
        raise InvalidArgumentError(
            f"{tool.name} has no argument {extra[0]!r:.80}", hint=f"it takes: {known}"
        )
    place = "/".join(map(str, error.absolute_path)) or "the arguments"
    shown = ascii(error.instance)
    shown = shown if len(shown) <= SHOWN_CHARS else f"{shown[:SHOWN_CHARS]}…"
    wanted = f"{error.validator}: {error.validator_value}"
    raise InvalidArgumentError(f"{place} {shown}", hint=f"give {wanted}")


@lru_cache(maxsize=128)
def _validator(name: str, run: Callable[..., Any]) -> Any:
    """Return the validator of a tool, found by what cannot be taken for another."""
    from jsonschema import Draft202012Validator

    from swarm_memory.doors.mcp.full import TOOLS

    (found,) = (tool for tool in TOOLS if tool.name == name and tool.run is run)
    return Draft202012Validator(found.arguments)
