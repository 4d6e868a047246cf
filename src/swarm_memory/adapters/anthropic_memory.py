"""Anthropic's memory tool: the files that Claude keeps under /memories, in the swarm.

    client.beta.messages.tool_runner(tools=[SwarmMemoryTool(swarm)], …)

The file /memories/notes/pump.md is the record `memories/notes/pump.md`, its value
`{"content": …, "path": …}`. A directory is there as long as something lies in it. What the tool
answers is, word for word, what `BetaLocalFilesystemMemoryTool` of the package answers.
"""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Any, NamedTuple

from swarm_memory.adapters import extra
from swarm_memory.adapters.turns import in_turn
from swarm_memory.errors import InvalidArgumentError, SwarmMemoryError
from swarm_memory.key import KEY_BYTES_MAX, check_key, escape, unescape

with extra("anthropic"):
    from anthropic.tools import BetaAbstractMemoryTool, BetaAsyncAbstractMemoryTool, ToolError
    from anyio.to_thread import run_sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from anthropic.types.beta import (
        BetaCacheControlEphemeralParam,
        BetaMemoryTool20250818CreateCommand,
        BetaMemoryTool20250818DeleteCommand,
        BetaMemoryTool20250818InsertCommand,
        BetaMemoryTool20250818RenameCommand,
        BetaMemoryTool20250818StrReplaceCommand,
        BetaMemoryTool20250818ViewCommand,
    )

    from swarm_memory.model import Json, Record
    from swarm_memory.records import Records
    from swarm_memory.swarm import Swarm

ROOT = "/memories"
LINES_MAX = 999_999
NUMBER_CHARS = len(str(LINES_MAX))
NAME_BYTES = 60  # of an escaped name; of a longer one the key has a hash, and the value all of it
DEPTH_SHOWN = 2
AROUND = 2  # lines of a snippet before and behind what was changed


class SwarmMemoryTool(BetaAbstractMemoryTool):
    """Anthropic's memory tool on a swarm.

    Any number of agents and processes work on the same files: an edit that meets another one is
    made anew on what that left, so none is lost; moving or deleting a directory is one
    transaction. What cannot be done is a `ToolError`, which Claude is told.

    Args:
        prefix: Where the files lie; agents with another prefix see other files.
    """

    def __init__(
        self,
        swarm: Swarm,
        *,
        prefix: str = "memories",
        cache_control: BetaCacheControlEphemeralParam | None = None,
    ) -> None:
        super().__init__(cache_control=cache_control)
        self._files = _Files(swarm, check_key(prefix))

    def view(self, command: BetaMemoryTool20250818ViewCommand) -> str:
        """Show a directory, or the lines of a file."""
        return _told(self._files.view, command)

    def create(self, command: BetaMemoryTool20250818CreateCommand) -> str:
        """Make a file that is not there yet."""
        return _told(self._files.create, command)

    def str_replace(self, command: BetaMemoryTool20250818StrReplaceCommand) -> str:
        """Replace a text that a file has once."""
        return _told(self._files.str_replace, command)

    def insert(self, command: BetaMemoryTool20250818InsertCommand) -> str:
        """Insert lines behind a line; 0 is the beginning."""
        return _told(self._files.insert, command)

    def delete(self, command: BetaMemoryTool20250818DeleteCommand) -> str:
        """Delete a file, or a directory with what is in it."""
        return _told(self._files.delete, command)

    def rename(self, command: BetaMemoryTool20250818RenameCommand) -> str:
        """Move a file or a directory to where nothing is."""
        return _told(self._files.rename, command)

    def clear_all_memory(self) -> str:
        """Delete all files."""
        return _told(self._files.clear)


class AsyncSwarmMemoryTool(BetaAsyncAbstractMemoryTool):
    """The same tool for an async client; its calls run in worker threads."""

    def __init__(
        self,
        swarm: Swarm,
        *,
        prefix: str = "memories",
        cache_control: BetaCacheControlEphemeralParam | None = None,
    ) -> None:
        super().__init__(cache_control=cache_control)
        self._files = _Files(swarm, check_key(prefix))

    async def view(self, command: BetaMemoryTool20250818ViewCommand) -> str:
        """Show a directory, or the lines of a file."""
        return await run_sync(_told, self._files.view, command)

    async def create(self, command: BetaMemoryTool20250818CreateCommand) -> str:
        """Make a file that is not there yet."""
        return await run_sync(_told, self._files.create, command)

    async def str_replace(self, command: BetaMemoryTool20250818StrReplaceCommand) -> str:
        """Replace a text that a file has once."""
        return await run_sync(_told, self._files.str_replace, command)

    async def insert(self, command: BetaMemoryTool20250818InsertCommand) -> str:
        """Insert lines behind a line; 0 is the beginning."""
        return await run_sync(_told, self._files.insert, command)

    async def delete(self, command: BetaMemoryTool20250818DeleteCommand) -> str:
        """Delete a file, or a directory with what is in it."""
        return await run_sync(_told, self._files.delete, command)

    async def rename(self, command: BetaMemoryTool20250818RenameCommand) -> str:
        """Move a file or a directory to where nothing is."""
        return await run_sync(_told, self._files.rename, command)

    async def clear_all_memory(self) -> str:
        """Delete all files."""
        return await run_sync(_told, self._files.clear)


def _told(call: Callable[..., str], *arguments: object) -> str:
    """Return what `call` answers; what the store refuses becomes what Claude is told."""
    try:
        return call(*arguments)
    except SwarmMemoryError as error:
        raise ToolError(f"{error}; {error.hint}") from error


class _Path(NamedTuple):
    """A path as it was asked for, and its names without `.` and `..`; none for the root."""

    asked: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, asked: str) -> _Path:
        if asked != ROOT and not asked.startswith(f"{ROOT}/"):
            raise ToolError(f"Path must start with {ROOT}, got: {asked}")
        if "\0" in asked:
            raise ToolError(f"Path {asked!r} contains a NUL character")
        names: list[str] = []
        # One visible name is one file, however its accents are written.
        for name in unicodedata.normalize("NFC", asked[len(ROOT) :]).split("/"):
            if name == ".." and not names:
                raise ToolError(f"Path {asked} would escape {ROOT} directory")
            if name == "..":
                names.pop()
            elif name not in {"", "."}:
                names.append(name)
        return cls(asked, tuple(names))

    @property
    def full(self) -> str:
        return "/".join((ROOT, *self.names))


class _Files:
    """What the tools do, on the records below a prefix."""

    def __init__(self, swarm: Swarm, prefix: str) -> None:
        self._swarm = swarm
        self._prefix = prefix

    # --- reading ---

    def view(self, command: BetaMemoryTool20250818ViewCommand) -> str:
        path = _Path.of(command.path)
        record = self._get(self._swarm.records, path)
        if record is not None:
            return _numbered(path.asked, _shown(record), command.view_range)
        inside = list(self._swarm.records.each(f"{self._key(path)}/"))
        if path.names and not inside:
            raise _missing(path)
        return self._listed(path, inside)

    def _listed(self, path: _Path, inside: Iterable[Record]) -> str:
        sizes: dict[tuple[str, ...], int] = {}
        total = 0
        for record in inside:
            names = self._names_of(record)[len(path.names) :]
            size = len(_shown(record).encode("utf-8", "surrogatepass"))
            total += size
            for depth, name in enumerate(names[:DEPTH_SHOWN], 1):
                if name.startswith("."):
                    break
                # Directories end in an empty name, so that a file may have the name of one.
                part = names[:depth] if depth == len(names) else (*names[:depth], "")
                sizes[part] = sizes.get(part, 0) + size
        lines = [f"{_size(total)}\t{path.asked}"]
        lines += [f"{_size(sizes[part])}\t{path.asked}/{'/'.join(part)}" for part in sorted(sizes)]
        return (
            f"Here're the files and directories up to {DEPTH_SHOWN} levels deep in {path.asked},"
            " excluding hidden items:\n" + "\n".join(lines)
        )

    # --- editing ---

    def create(self, command: BetaMemoryTool20250818CreateCommand) -> str:
        path = _Path.of(command.path)

        def step(tx: Any) -> None:
            if self._is_there(tx.records, path):
                raise ToolError(f"File {path.asked} already exists")
            self._check_parents(tx.records, path)
            value = {"content": command.file_text, "path": path.full}
            tx.records.put(self._key(path), value, expect=0, on_conflict="reject")

        self._swarm.transact(step)
        return f"File created successfully at: {path.asked}"

    def str_replace(self, command: BetaMemoryTool20250818StrReplaceCommand) -> str:
        path, old, new = _Path.of(command.path), command.old_str, command.new_str

        def replaced(content: str) -> tuple[str, str]:
            places = _places(content, old)
            if not places:
                raise ToolError(
                    f"No replacement was performed, old_str `{old}` did not appear verbatim in"
                    f" {path.asked}."
                )
            lines = [content.count("\n", 0, place) for place in places]
            if content.count(old) > 1:
                raise ToolError(
                    f"No replacement was performed. Multiple occurrences of old_str `{old}` in"
                    f" lines: {', '.join(str(line + 1) for line in lines)}."
                    " Please ensure it is unique"
                )
            changed = content.replace(old, new)
            return changed, _snippet(changed, lines[0])

        snippet = self._edit(path, replaced)
        return (
            "The memory file has been edited."
            f" Here is the snippet showing the change (with line numbers):\n{snippet}"
        )

    def insert(self, command: BetaMemoryTool20250818InsertCommand) -> str:
        path, at = _Path.of(command.path), command.insert_line

        def inserted(content: str) -> tuple[str, str]:
            lines = content.split("\n")
            if lines[-1] == "":
                lines.pop()
            if not 0 <= at <= len(lines):
                raise ToolError(
                    f"Invalid `insert_line` parameter: {at}."
                    f" It should be within the range [0, {len(lines)}]."
                )
            lines.insert(at, command.insert_text.rstrip("\n"))
            changed = "\n".join(lines)
            return changed if changed.endswith("\n") else f"{changed}\n", ""

        self._edit(path, inserted)
        return f"The file {path.asked} has been edited."

    def _edit(self, path: _Path, change: Callable[[str], tuple[str, str]]) -> str:
        """Replace a file's content by what `change` makes of it; return what else it says."""

        def step(records: Records, _: int) -> str:
            record = self._get(records, path)
            if record is None:
                if self._is_there(records, path):
                    raise ToolError(f"The path {path.asked} is not a file.")
                raise _missing(path)
            content = _content(record.value)
            if content is None:
                raise ToolError(f"The path {path.asked} is not a text file.")
            changed, said = change(content)
            value = _with_content(record.value, changed)
            records.put(record.key, value, expect=record.version, on_conflict="reject")
            return said

        return in_turn(self._swarm, step)

    # --- moving and deleting ---

    def delete(self, command: BetaMemoryTool20250818DeleteCommand) -> str:
        path = _Path.of(command.path)
        if not path.names:
            raise ToolError(f"Cannot delete the {ROOT} directory itself")

        def step(tx: Any) -> None:
            found = self._all(tx.records, path)
            if not found:
                raise ToolError(f"The path {path.asked} does not exist")
            for record in found:
                tx.records.delete(record.key)

        self._swarm.transact(step)
        return f"Successfully deleted {path.asked}"

    def rename(self, command: BetaMemoryTool20250818RenameCommand) -> str:
        old, new = _Path.of(command.old_path), _Path.of(command.new_path)
        if not old.names:
            raise ToolError(f"Cannot rename the {ROOT} directory itself")

        def step(tx: Any) -> None:
            if self._is_there(tx.records, new):
                raise ToolError(f"The destination {new.asked} already exists")
            found = self._all(tx.records, old)
            if not found:
                raise ToolError(f"The path {old.asked} does not exist")
            if new.names[: len(old.names)] == old.names:
                raise ToolError(f"Cannot move {old.asked} into itself: {new.asked}")
            self._check_parents(tx.records, new)
            for record in found:
                self._move(tx.records, record, new.names + self._names_of(record)[len(old.names) :])

        self._swarm.transact(step)
        return f"Successfully renamed {old.asked} to {new.asked}"

    def clear(self) -> str:
        def step(tx: Any) -> None:
            for record in list(tx.records.each(f"{self._prefix}/")):
                tx.records.delete(record.key)

        self._swarm.transact(step)
        return "All memory cleared"

    def _move(self, records: Records, record: Record, names: tuple[str, ...]) -> None:
        path, value = _Path("", names), record.value
        if isinstance(value, dict) and "path" in value:
            value = value | {"path": path.full}
        origin: dict[str, Json] = {"key": record.key, "version": record.version}
        records.put(
            self._key(path), value, provenance=(record.provenance or {}) | {"moved_from": origin}
        )
        records.delete(record.key)

    # --- where things lie ---

    def _get(self, records: Records, path: _Path) -> Record | None:
        return records.get(self._key(path)) if path.names else None

    def _all(self, records: Records, path: _Path) -> list[Record]:
        """Return the file at `path`, or those in the directory."""
        return list(records.each(self._key(path)))

    def _is_there(self, records: Records, path: _Path) -> bool:
        return not path.names or bool(records.scan(self._key(path), limit=1))

    def _check_parents(self, records: Records, path: _Path) -> None:
        for depth in range(1, len(path.names)):
            parent = _Path("", path.names[:depth])
            if records.get(self._key(parent)) is not None:
                raise ToolError(f"The path {parent.full} is not a directory.")

    def _key(self, path: _Path) -> str:
        names = [escape(name, limit=NAME_BYTES) for name in path.names]
        key = "/".join((self._prefix, *names))
        if len(key) > KEY_BYTES_MAX:
            raise ToolError(f"Path {path.asked or path.full} is too long")
        return key

    def _names_of(self, record: Record) -> tuple[str, ...]:
        """Return the names of a record's path; a name that its key has cut is in its value."""
        segments = record.key.removeprefix(f"{self._prefix}/").split("/")
        known: list[str] = []
        if isinstance(record.value, dict) and isinstance(record.value.get("path"), str):
            known = record.value["path"].removeprefix(f"{ROOT}/").split("/")
        names = []
        for number, segment in enumerate(segments):
            name = _unescaped(segment)
            if name is None:
                name = known[number] if len(known) == len(segments) else segment
            names.append(name)
        return tuple(names)


def _missing(path: _Path) -> ToolError:
    return ToolError(f"The path {path.asked} does not exist. Please provide a valid path.")


def _unescaped(segment: str) -> str | None:
    try:
        return unescape(segment)
    except InvalidArgumentError:
        return segment  # of a key that somebody else made


def _content(value: Json) -> str | None:
    """Return the text of a record; None if it is something else."""
    if isinstance(value, dict):
        value = value.get("content", value.get("text"))
    return value if isinstance(value, str) else None


def _with_content(value: Json, content: str) -> Json:
    if not isinstance(value, dict):
        return content
    return value | {"content" if "content" in value else "text": content}


def _shown(record: Record) -> str:
    """Return the text of a record; of one that others wrote, its JSON."""
    content = _content(record.value)
    if content is None:
        return json.dumps(record.value, ensure_ascii=False, indent=2)
    return content


def _places(content: str, text: str) -> list[int]:
    """Return where `text` occurs in `content`, overlapping places too."""
    places, place = [], content.find(text)
    while place != -1:
        places.append(place)
        place = content.find(text, place + 1)
    return places


def _snippet(content: str, line: int) -> str:
    lines = content.split("\n")
    start = max(0, line - AROUND)
    return _with_numbers(lines[start : line + AROUND + 1], start)


def _numbered(asked: str, content: str, view_range: list[int] | None) -> str:
    lines = content.split("\n")
    if len(lines) > LINES_MAX:
        raise ToolError(f"File {asked} exceeds maximum line limit of {LINES_MAX:,} lines.")
    start, end = 0, len(lines)
    if view_range and len(view_range) == 2:
        start = max(1, view_range[0]) - 1
        end = len(lines) if view_range[1] == -1 else view_range[1]
    shown = _with_numbers(lines[start:end], start)
    return f"Here's the content of {asked} with line numbers:\n{shown}"


def _with_numbers(lines: list[str], start: int) -> str:
    return "\n".join(
        f"{number:{NUMBER_CHARS}}\t{line}" for number, line in enumerate(lines, start + 1)
    )


def _size(count: int) -> str:
    if count == 0:
        return "0B"
    step = min((count.bit_length() - 1) // 10, 3)
    size = count / 1024**step
    return f"{int(size) if size == int(size) else f'{size:.1f}'}{'BKMG'[step]}"
