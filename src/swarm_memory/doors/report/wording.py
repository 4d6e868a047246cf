"""How the report says numbers, times and intervals; one wording for the page and the terminal."""

from __future__ import annotations

from datetime import UTC, datetime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from swarm_memory.learning.interval import Interval

    Json = Any

NAME_LENGTH_MAX = 60
EMPTY = (
    "No outcomes yet: record one with",
    "swarm-memory outcome parse --success --duration-s 3.5 --strategy parallel",
)
MATRIX_NOTE = (
    "As logged: what a strategy reached on the tasks it was given. Whether it would do as well on"
    " the others is what the table of policies says."
)
POLICY_NOTE = (
    "What each policy would have reached on all of these tasks, from the recorded probability of"
    " each choice (self-normalised doubly robust, 95 % intervals)."
)
_DURATIONS = ((86_400, "d"), (3600, "h"), (60, "min"))


def interval_said(value: Interval) -> str:
    return f"{value.low:.2f} to {value.high:.2f}"


def signed(number: float) -> str:
    return f"{number:+.2f}".replace("-", "−")


def duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    for size, unit in _DURATIONS:
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def amount(number: float | None) -> str:
    """Return a cost, whose unit only the one who recorded it knows."""
    return "" if number is None else f"{number:,.3g}" if abs(number) < 1000 else f"{number:,.0f}"


def time_said(at_ms: Json) -> str:
    """Return the time in UTC, to the minute; empty where it is no time."""
    if not isinstance(at_ms, int | float) or isinstance(at_ms, bool):
        return ""
    try:
        moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return ""
    return moment.strftime("%Y-%m-%d %H:%M")


def day(at_ms: Json) -> str:
    return time_said(at_ms)[:10]


def short(name: Json) -> str:
    """Return a name that fits into a table."""
    text = str(name)
    return text if len(text) <= NAME_LENGTH_MAX else text[: NAME_LENGTH_MAX - 1] + "…"


def pair(value: Json) -> tuple[float, float] | None:
    """Return an interval that somebody handed in, or None if it is none."""
    if not isinstance(value, list | tuple) or len(value) < 2:
        return None
    low, high = value[-2], value[-1]
    if isinstance(low, int | float) and isinstance(high, int | float):
        return float(low), float(high)
    return None


def number(value: Json) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return None
