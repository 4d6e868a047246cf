"""Rows of a damaged SQLite file, read page by page.

SQLite gives up on a table at the first page it cannot make sense of. This reads every page that
still makes sense: first those that the table's tree leads to, then leaf pages that nothing leads
to any more because the page above them is damaged. Each page is looked at once, so that the work
is bounded by the size of the file whatever it holds.

Source:
    https://www.sqlite.org/fileformat2.html, sections 1.5 (free pages), 1.6 (trees), 2.1 (records).
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO

    SqlValue = Any  # None, int, float, str or bytes

TABLE_LEAF, TABLE_INTERIOR = 0x0D, 0x05
INDEX_LEAF, INDEX_INTERIOR = 0x0A, 0x02
FILE_HEADER_BYTES = 100
RECORD_BYTES_MAX = 256 * 1024 * 1024
DEPTH_MAX = 40  # SQLite itself stops at 20
_ENCODINGS = {1: "utf-8", 2: "utf-16-le", 3: "utf-16-be"}


class DamagedError(ValueError):
    """These bytes are no page, cell or record."""


class Cell(NamedTuple):
    """One row as it lies in the file: `values` is None where it cannot be read."""

    rowid: int
    values: list[SqlValue] | None


class Tree(NamedTuple):
    """What is left of one table: its readable leaf pages, and how many pages are damaged."""

    leaves: list[int]
    damaged: int


class PageFile:
    """The pages of one database file without a WAL. Numbers start at 1, as SQLite's do."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("rb")
        try:
            header = self._file.read(FILE_HEADER_BYTES)
            if len(header) < FILE_HEADER_BYTES:
                raise DamagedError("the file ends inside its header")
            size = struct.unpack_from(">H", header, 16)[0]
            self.page_bytes = 65536 if size == 1 else size
            if self.page_bytes < 512 or self.page_bytes & (self.page_bytes - 1):
                raise DamagedError(f"no page size: {self.page_bytes}")
            self._usable = self.page_bytes - header[20]
            if self._usable < 480:
                raise DamagedError(f"no usable page size: {self._usable}")
            self._encoding = _ENCODINGS.get(struct.unpack_from(">I", header, 56)[0], "utf-8")
            self._free_first = struct.unpack_from(">I", header, 32)[0]
            self.page_count = os.fstat(self._file.fileno()).st_size // self.page_bytes
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> PageFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def page(self, number: int) -> bytes:
        """Return one page.

        Raises:
            DamagedError: The file does not reach that far.
        """
        if not 1 <= number <= self.page_count:
            raise DamagedError(f"page {number} is beyond the end of the file")
        self._file.seek((number - 1) * self.page_bytes)
        return self._file.read(self.page_bytes)

    def tree(self, root: int, seen: set[int]) -> Tree:
        """Return the readable leaf pages below `root` in order; every page joins `seen`."""
        leaves: list[int] = []
        damaged = 0
        pending = [(root, 0)]
        while pending:
            number, depth = pending.pop()
            if number in seen or depth > DEPTH_MAX:
                damaged += 1
                continue
            seen.add(number)
            try:
                page, start, kind = self._typed_page(number)
                if kind in {TABLE_INTERIOR, INDEX_INTERIOR}:
                    children = self._children(page, start)
                    pending.extend((child, depth + 1) for child in reversed(children))
                elif kind == TABLE_LEAF:
                    leaves.append(number)
                elif kind != INDEX_LEAF:
                    damaged += 1
            except DamagedError:
                damaged += 1
        return Tree(leaves, damaged)

    def _typed_page(self, number: int) -> tuple[bytes, int, int]:
        page = self.page(number)
        start = FILE_HEADER_BYTES if number == 1 else 0
        return page, start, page[start]

    def _pointers(self, page: bytes, start: int, header_bytes: int) -> tuple[int, ...]:
        count = struct.unpack_from(">H", page, start + 3)[0]
        end = start + header_bytes + 2 * count
        if end > self._usable:
            raise DamagedError("more cells than fit on a page")
        pointers = struct.unpack_from(f">{count}H", page, start + header_bytes)
        if any(not end <= pointer < self._usable for pointer in pointers):
            raise DamagedError("a cell outside its page")
        return pointers

    def _children(self, page: bytes, start: int) -> list[int]:
        pointers = self._pointers(page, start, 12)
        if any(pointer + 4 > self._usable for pointer in pointers):
            raise DamagedError("a cell outside its page")
        children = [struct.unpack_from(">I", page, pointer)[0] for pointer in pointers]
        return [*children, struct.unpack_from(">I", page, start + 8)[0]]

    def cells(self, number: int) -> Iterator[Cell]:
        """Yield the rows of one leaf page in order; nothing where the page makes no sense."""
        try:
            page, start, kind = self._typed_page(number)
            if kind != TABLE_LEAF:
                return
            pointers = self._pointers(page, start, 8)
        except DamagedError:
            return
        for pointer in pointers:
            try:
                size, at = _varint(page, pointer)
                rowid, at = _varint(page, at)
            except DamagedError:
                continue
            rowid = rowid - 2**64 if rowid >= 2**63 else rowid
            try:
                yield Cell(rowid, decode_record(self._payload(page, at, size), self._encoding))
            except DamagedError:
                yield Cell(rowid, None)

    def _payload(self, page: bytes, at: int, size: int) -> bytes:
        if size > RECORD_BYTES_MAX:
            raise DamagedError("a record larger than the limit")
        local_max = self._usable - 35
        local = size
        if size > local_max:
            local_min = (self._usable - 12) * 32 // 255 - 23
            local = local_min + (size - local_min) % (self._usable - 4)
            local = local if local <= local_max else local_min
        if at + local + (4 if local < size else 0) > self._usable:
            raise DamagedError("a record outside its page")
        parts = [page[at : at + local]]
        if local < size:
            self._overflow(parts, struct.unpack_from(">I", page, at + local)[0], size - local)
        return b"".join(parts)

    def _overflow(self, parts: list[bytes], number: int, missing: int) -> None:
        while missing > 0:
            page = self.page(number)
            # SQLite takes an overflow page of zeros for text; here a wiped page counts as lost.
            if not any(page):
                raise DamagedError("an overflow page is wiped")
            chunk = page[4 : min(self._usable, 4 + missing)]
            parts.append(chunk)
            missing -= len(chunk)
            number = struct.unpack_from(">I", page)[0]

    def free_pages(self) -> set[int]:
        """Return the pages that hold nothing but what was deleted, as far as they are known."""
        free: set[int] = set()
        trunk = self._free_first
        while trunk and trunk not in free:
            free.add(trunk)
            try:
                page = self.page(trunk)
            except DamagedError:
                break
            trunk, count = struct.unpack_from(">II", page)
            if count <= self._usable // 4 - 2:
                free.update(struct.unpack_from(f">{count}I", page, 8))
        return free

    def unlinked_leaves(self, seen: set[int]) -> Iterator[int]:
        """Yield the leaf pages of tables that are neither in `seen` nor free."""
        known = seen | self.free_pages()
        for number in range(2, self.page_count + 1):
            if number not in known and self.page(number)[0] == TABLE_LEAF:
                yield number


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for offset in range(9):
        if at + offset >= len(data):
            raise DamagedError("a number runs over the end")
        byte = data[at + offset]
        if offset == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + offset + 1
    raise DamagedError("a number without an end")


def decode_record(payload: bytes, encoding: str = "utf-8") -> list[SqlValue]:
    r"""Return the values of one record. Bytes that are no text are shown as \xNN.

    Raises:
        DamagedError: It is no record.
    """
    header_bytes, at = _varint(payload, 0)
    if not at <= header_bytes <= len(payload):
        raise DamagedError("a record's header runs over its end")
    kinds = []
    while at < header_bytes:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    if at != header_bytes:
        raise DamagedError("a record's header has no end")
    values = []
    for kind in kinds:
        value, at = _decode_value(payload, at, kind, encoding)
        values.append(value)
    return values


_INT_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


def _decode_value(payload: bytes, at: int, kind: int, encoding: str) -> tuple[SqlValue, int]:
    if kind == 0:
        return None, at
    if kind in {8, 9}:
        return kind - 8, at
    size = 8 if kind == 7 else _INT_BYTES.get(kind) or (kind - 12) // 2
    if kind in {10, 11} or at + size > len(payload):
        raise DamagedError("a value runs over the end of its record")
    piece = payload[at : at + size]
    if kind in _INT_BYTES:
        return int.from_bytes(piece, "big", signed=True), at + size
    if kind == 7:
        number = struct.unpack(">d", piece)[0]
        return (None if number != number else number), at + size
    text = piece.decode(encoding, "backslashreplace") if kind % 2 else piece
    return text, at + size
