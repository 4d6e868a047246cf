"""How `ls` looks: records grouped by where they lie, for a person; lines for a pipe."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from rich.text import Text

from swarm_memory.doors.cli.show import (
    cell,
    count,
    human_bytes,
    preview,
    record_line,
    safe,
    size_of,
)
from swarm_memory.errors import InvalidArgumentError
from swarm_memory.key import unescape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rich.console import Console

    from swarm_memory.doors.cli.frame import Door
    from swarm_memory.model import Record

NAME_WIDTH_MIN, NAME_WIDTH_MAX = 12, 44
AUTHOR_WIDTH_MAX = 16


def print_listing(
    door: Door,
    records: Iterable[Record],
    *,
    tree: bool,
    prefix: str,
    more: Callable[[], bool],
    totals: Callable[[], tuple[int, int]],
    hidden: Callable[[], int],
) -> None:
    """Print records in key order, in the form that suits the reader.

    `more` tells whether there are any behind the last one, `totals` the records and bytes below
    `prefix`, `hidden` the records with telemetry.
    """
    show = door.show
    if tree:
        _print_tree(door, records)
    elif show.as_json:
        show.json_array(record.to_dict() for record in records)
    elif show.terminal:
        _print_groups(door, list(records), prefix, more, totals, hidden)
    else:
        last = None
        for record in records:
            show.lines([record_line(record)])
            last = record.key
        if last is not None and more():
            show.note(f"there are more: --after {last}")


def _print_groups(
    door: Door,
    records: list[Record],
    prefix: str,
    more: Callable[[], bool],
    totals: Callable[[], tuple[int, int]],
    hidden: Callable[[], int],
) -> None:
    console = door.show.console
    number, size = totals()
    telemetry = hidden() - number
    aside = f" ({count(telemetry, 'row')} of telemetry: --telemetry)" if telemetry > 0 else ""
    if not records:
        where = f" below {prefix}" if prefix else f" in the swarm '{door.swarm}'"
        console.print(cell(f"nothing is stored{where}{aside}"))
        return
    for folder, group in groupby(records, key=lambda record: record.key.rpartition("/")[0]):
        _print_group(door, folder, list(group))
    if any(_name(record) != record.key.rpartition("/")[2] for record in records):
        console.print(cell("names are shown unescaped; a pipe or --json has the keys", "dim"))
    shown = f"{count(number, 'record')}, {human_bytes(size)}{aside}"
    if more():
        console.print(cell(f"{len(records)} of {shown}"))
        console.print(cell(f"  to go on: --after {records[-1].key}"), soft_wrap=True)
        console.print(cell("  to see what there is: --tree"))
    else:
        console.print(cell(shown, "dim"))


def _print_group(door: Door, folder: str, records: list[Record]) -> None:
    """Print the records of one folder as a heading and aligned rows, one line each."""
    show, console = door.show, door.show.console
    if folder:
        console.print(Text(f"{readable(folder)}/", style="bold cyan"), overflow="fold")
    rows = [
        (
            _name(record),
            f"v{record.version}",
            show.age(record.updated_ms),
            record.author,
            human_bytes(size_of(record.value)),
            preview(record.value, known=_name(record)),
        )
        for record in records
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    widths[0] = min(max(widths[0], NAME_WIDTH_MIN), NAME_WIDTH_MAX, console.width // 3)
    widths[3] = min(widths[3], AUTHOR_WIDTH_MAX)
    for name, version, age, author, size, value in rows:
        line = Text("  ", no_wrap=True, overflow="ellipsis")
        line.append(_fit(name, widths[0]), style="bold")
        line.append(f"  {version.ljust(widths[1])}", style="dim")
        line.append(f"  {age.rjust(widths[2])}", style="dim")
        line.append(f"  {_fit(author, widths[3])}", style="green")
        line.append(f"  {size.rjust(widths[4])}  ", style="dim")
        line.append(value)
        console.print(line, no_wrap=True, overflow="ellipsis", crop=True)


def _fit(text: str, width: int) -> str:
    """Return text in exactly `width` columns, cut in its middle: both ends tell names apart."""
    text = safe(text).replace("\n", " ").replace("\t", " ")
    if len(text) <= width:
        return text.ljust(width)
    head = (width - 1) // 2
    return f"{text[:head]}…{text[head + 1 - width :]}"


def _name(record: Record) -> str:
    """Return the last segment of a record's key as the text that it was before."""
    return _unescaped(record.key.rpartition("/")[2])


def readable(key: str) -> str:
    """Return a key with its segments unescaped, but for those that would look like several."""
    parts = ((segment, _unescaped(segment)) for segment in key.split("/"))
    return "/".join(safe(segment if "/" in text else text) for segment, text in parts)


def _unescaped(segment: str) -> str:
    try:
        return unescape(segment) or segment
    except InvalidArgumentError:
        return segment


class _Folder:
    """What lies at and below one segment."""

    def __init__(self) -> None:
        self.records = 0
        self.bytes = 0
        self.below: dict[str, _Folder] = {}

    def add(self, segments: list[str], size: int) -> None:
        folder = self
        folder.records, folder.bytes = folder.records + 1, folder.bytes + size
        for segment in segments:
            folder = folder.below.setdefault(segment, _Folder())
            folder.records, folder.bytes = folder.records + 1, folder.bytes + size

    def walk(self, path: tuple[str, ...] = ()) -> Iterator[tuple[int, str, str, _Folder]]:
        """Yield (depth, name, prefix, folder); a folder that leads to one other joins its name."""
        for segment, folder in sorted(self.below.items()):
            name = [segment]
            while len(folder.below) == 1:
                ((below, inner),) = folder.below.items()
                if inner.records < folder.records or not inner.below:
                    break
                name.append(below)
                folder = inner
            if folder.below or not path:
                yield len(path), "/".join(name), "/".join((*path, *name)), folder
                yield from folder.walk((*path, "/".join(name)))


def _print_tree(door: Door, records: Iterable[Record]) -> None:
    """Print how many records and bytes lie at and below each segment."""
    root = _Folder()
    for record in records:
        root.add(record.key.split("/"), size_of(record.value))
    show = door.show

    def pretty(console: Console) -> None:
        for depth, name, _, folder in root.walk():
            line = Text("  " * depth)
            line.append(readable(name), style="bold cyan")
            size = human_bytes(folder.bytes)
            line.append(f"  {count(folder.records, 'record')}, {size}", style="dim")
            console.print(line, no_wrap=True, overflow="ellipsis", crop=True)
        if not root.records:
            console.print("nothing is stored")

    folders = [(prefix, folder) for _, _, prefix, folder in root.walk()]
    show.result(
        [{"prefix": p, "records": f.records, "bytes": f.bytes} for p, f in folders],
        ([p, f.records, f.bytes] for p, f in folders),
        pretty,
    )
