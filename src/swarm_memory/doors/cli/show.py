"""Output: tables for a person, tab-separated lines for a pipe, JSON for a program.

Whether somebody looks is asked of stdout alone. Notes and progress go to stderr.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from swarm_memory.model import Record

    Json = Any

TERMINAL_ROWS = 50  # of a listing on a terminal, unless asked otherwise
PREVIEW_LENGTH_MAX = 300
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_AGES = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
AGE_S_MAX = 30 * 86_400  # what is older, or lies ahead, is shown with its date


class Show:
    """Where one call's output goes."""

    def __init__(self, as_json: bool, *, now_ms: int) -> None:
        self.as_json = as_json
        self.terminal = sys.stdout.isatty()
        self.now_ms = now_ms
        self.console = Console(highlight=False, soft_wrap=False)

    def result(
        self,
        document: Json,
        lines: Iterable[Sequence[Json]],
        pretty: Callable[[Console], object] | None = None,
    ) -> None:
        """Show one result: JSON if asked, else `pretty` on a terminal, else `lines`."""
        if self.as_json:
            self.json(document)
        elif self.terminal and pretty is not None:
            pretty(self.console)
        else:
            self.lines(lines)

    def json(self, document: Json) -> None:
        """Print one JSON document, on a terminal over several lines."""
        indent = 2 if self.terminal else None
        print(json.dumps(document, ensure_ascii=False, indent=indent))

    def json_array(self, documents: Iterable[Json]) -> None:
        """Print a JSON array as its members come, one a line."""
        print("[", end="")
        for number, document in enumerate(documents):
            print("," if number else "", json.dumps(document, ensure_ascii=False), sep="\n", end="")
        print("\n]")

    def lines(self, lines: Iterable[Sequence[Json]]) -> None:
        """Print tab-separated lines; str columns get \\t and \\n for tabs and line ends."""
        for columns in lines:
            print("\t".join(_column(column) for column in columns))

    def note(self, text: str) -> None:
        """Tell a person something that is not the result."""
        print(safe(text), file=sys.stderr)

    @contextmanager
    def progress(self, text: str) -> Iterator[Callable[[float | None, float | None, str], None]]:
        """Show a bar on stderr while the block runs; without a terminal there it shows nothing.

        The block is given a function of (done, total, text), with None for what is unknown.
        """
        if self.as_json or not sys.stderr.isatty():
            yield lambda done, total, text: None
            return
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(text, total=None)
            yield lambda done, total, text: bar.update(
                task, completed=done, total=total, description=safe(text)
            )

    def age(self, at_ms: int) -> str:
        """Return how long ago a time is in its largest unit, or its date."""
        seconds = (self.now_ms - at_ms) / 1000
        if not -1 < seconds < AGE_S_MAX:
            return time_of(at_ms)[:10]
        for size, unit in _AGES:
            if seconds >= size:
                return f"{seconds / size:.0f} {unit}"
        return "now"


class Raw(str):
    """A column that is printed as it is: it is one line of JSON already."""

    __slots__ = ()


def one_line(value: Json) -> Raw:
    """Return a value as one line of JSON."""
    return Raw(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _column(column: Json) -> str:
    if isinstance(column, Raw):
        return column
    if column is None:
        return ""
    if isinstance(column, bool):
        return "true" if column else "false"
    text = str(column)
    if text.isprintable() and "\\" not in text:
        return text
    text = text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
    return text.replace("\r", "\\r")


def safe(text: str) -> str:
    """Return text that cannot steer a terminal: control characters are shown as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def preview(value: Json, *, known: str = "", length_max: int = PREVIEW_LENGTH_MAX) -> str:
    """Return a value as one line for a person: `name: value` pairs instead of JSON.

    Sentences come first, and what says `known`, the name that is shown beside, is left out.
    """
    if isinstance(value, dict):
        pairs = [pair for pair in value.items() if pair[1] != known or not known]
        value = dict(sorted(pairs, key=_telling))
    shown = safe(" ".join(_flat(value, top=True).split()))
    return shown if len(shown) <= length_max else shown[: length_max - 1] + "…"


def _telling(pair: tuple[str, Json]) -> int:
    """Return the place of a field in a preview: sentences, then single values, then the rest."""
    value = pair[1]
    if isinstance(value, str) and " " in value and any(c.isalpha() for c in value):
        return 0
    return 2 if value is None or isinstance(value, (dict, list)) else 1


def _flat(value: Json, *, top: bool = False) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        inner = ", ".join(f"{name}: {_flat(item)}" for name, item in value.items())
        return inner if top else f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(_flat(item) for item in value)}]"
    return json.dumps(value)


def size_of(value: Json) -> int:
    """Return the bytes of a value as JSON."""
    return len(one_line(value).encode())


def human_bytes(size: float) -> str:
    for unit in _UNITS:
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.0f} PiB"


def time_of(at_ms: int) -> str:
    """Return a time in UTC, to the millisecond, as ISO 8601 writes it."""
    try:
        moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return str(at_ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03d}Z"


def count(number: int, noun: str) -> str:
    """Return `1 memory`, `2 memories`, `1,000 rows`."""
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number:,} {noun if number == 1 else plural}"


def table(*columns: str, right: Sequence[str] = ()) -> Table:
    """Return an empty table for a terminal; the last column takes what room is left."""
    shown = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        last = column == columns[-1]
        shown.add_column(
            column,
            justify="right" if column in right else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if last else None,
        )
    shown.expand = True
    return shown


def cell(text: str, style: str = "") -> Text:
    """Return text for a table, without markup and harmless to a terminal."""
    return Text(safe(text), style=style)


def record_line(record: Record) -> list[Json]:
    """Return a record as the columns key, version, updated, author, size, value."""
    return [
        record.key,
        record.version,
        time_of(record.updated_ms),
        record.author,
        size_of(record.value),
        one_line(record.value),
    ]
