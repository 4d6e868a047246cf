"""Checks of arguments: what is out of range is refused before anything is written."""

from __future__ import annotations

from swarm_memory.errors import InvalidArgumentError


def fits(text: object, bytes_min: int, bytes_max: int) -> bool:
    """Tell whether `text` is a str of so many UTF-8 bytes, without NUL or lone surrogates."""
    if not isinstance(text, str):
        return False
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        return False
    return bytes_min <= length <= bytes_max and "\0" not in text


def check_name(what: str, name: str, bytes_max: int) -> str:
    """Return `name` if it is a text of 1 to `bytes_max` bytes.

    Raises:
        InvalidArgumentError: It is not.
    """
    if not fits(name, 1, bytes_max):
        raise InvalidArgumentError(
            f"{what} {name!r:.80}", hint=f"text of 1 to {bytes_max} bytes without NUL"
        )
    return name


def check_whole(what: str, value: int, low: int, high: int) -> None:
    """Refuse what is no whole number from `low` to `high`."""
    if type(value) is not int or not low <= value <= high:
        raise InvalidArgumentError(f"{what} {value!r}", hint=f"give a whole number {low} to {high}")


def check_number(what: str, value: float, low: float, high: float, unit: str = "") -> None:
    """Refuse what is no number from `low` to `high`; NaN is none."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not low <= value <= high:
        raise InvalidArgumentError(
            f"{what} {value!r}", hint=f"give a number from {low:g} to {high:g} {unit}".rstrip()
        )
