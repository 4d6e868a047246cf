"""Reading values: from an argument or from standard input, as JSON or as text."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarm_memory.codec import parse
from swarm_memory.errors import InvalidValueError

if TYPE_CHECKING:
    Json = Any

STDIN = "-"
VALUE_HELP = (
    "JSON if it is JSON, else a string. '-' or nothing reads standard input, whose last line end "
    "is dropped."
)
TextFlag = Annotated[bool, typer.Option("--text", help="Take the value as a string as it is.")]
StrictFlag = Annotated[
    bool, typer.Option("--strict-json", help="Refuse a value that is no JSON instead.")
]
Value = Annotated[str | None, typer.Argument(metavar="VALUE", help=VALUE_HELP)]


def value_of(argument: str | None, *, text: bool = False, strict: bool = False) -> Json:
    """Return the value that a caller means.

    Raises:
        typer.BadParameter: There is none, or the flags contradict each other.
        InvalidValueError: It is JSON that cannot be stored, such as NaN; or no JSON when `strict`.
    """
    if text and strict:
        raise typer.BadParameter("--text and --strict-json exclude each other")
    given = _from_stdin(argument) if argument in {None, STDIN} else str(argument)
    if text:
        return given
    if strict or _looks_like_json(given):
        return parse(given)
    return given


def _from_stdin(argument: str | None) -> str:
    if argument is None and sys.stdin.isatty():
        raise typer.BadParameter("give a VALUE, or pipe one in")
    octets = sys.stdin.buffer.read()
    if argument is None and not octets:
        raise typer.BadParameter("give a VALUE: nothing came in on standard input")
    try:
        given = octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidValueError(
            f"standard input is no UTF-8: {error.reason} at byte {error.start}"
        ) from error
    return given.removesuffix("\r\n") if given.endswith("\r\n") else given.removesuffix("\n")


def _looks_like_json(text: str) -> bool:
    """Tell JSON, also such that we refuse, from any other text."""
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    except (ValueError, RecursionError):
        return True  # an integer or a nesting without end: `parse` says so
    return True


def object_of(option: str, text: str | None) -> dict[str, Json] | None:
    """Return the JSON object that an option holds, None without one."""
    if text is None:
        return None
    value = parse(text)
    if not isinstance(value, dict):
        raise typer.BadParameter(f'{option} takes a JSON object such as {{"size": 3}}')
    return value


def names_of(option: str, text: str | None) -> list[str] | None:
    """Return the names of a comma-separated option, None without one."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise typer.BadParameter(f"{option} takes names separated by commas")
    return names
