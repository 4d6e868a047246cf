"""Files of JSON lines: a manifest, one line a row, and a trailer with rows and sums by table.

Exports and backups are written here. A file appears under its name when all of it is on disk.
A backup is compressed: zstd frames, so `zstd -dc` shows it, and behind them a skippable frame
with the SHA-256 of all bytes before it, so that not one of them changes unnoticed.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from hashlib import sha256

from swarm_memory import codec
from swarm_memory.errors import EngineUnavailableError, StorageFullError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO

    from swarm_memory.model import Json

FRAME_BYTES = 4 * 1024 * 1024  # of JSON in one zstd frame
SUM_BYTES = 256 * 1024  # of lines that wait for their sum
LEVEL = 1
SEAL_HEAD = b"\x50\x2a\x4d\x18\x20\x00\x00\x00"  # a skippable frame of 32 bytes
SEAL_BYTES = len(SEAL_HEAD) + 32


class Lines:
    """Writes lines and knows their sums; `close` writes the trailer."""

    def __init__(self, file: BinaryIO | Frames) -> None:
        self._file = file
        self._sums: dict[str, Any] = {}
        self._waiting: dict[str, list[bytes]] = {}
        self._summed = 0
        self.rows: dict[str, int] = {}
        self.bytes = 0

    def manifest(self, manifest: dict[str, Json]) -> None:
        """Write the first line."""
        self._write(codec.dumps(manifest) + b"\n")

    def row(self, table: str, row: dict[str, Json]) -> None:
        """Write a row of `table`."""
        self.line(table, codec.dumps({"table": table} | row) + b"\n")

    def line(self, table: str, line: bytes) -> None:
        """Write a line that is one row of `table`."""
        try:
            self._waiting[table].append(line)
        except KeyError:
            self._sums[table], self._waiting[table] = sha256(), [line]
            self.rows[table] = 0
        self.rows[table] += 1
        self._write(line)
        if self.bytes >= self._summed + SUM_BYTES:
            self._sum()

    def _sum(self) -> None:
        """Take what waits into the sums: many short lines at once cost a third."""
        for table, lines in self._waiting.items():
            self._sums[table].update(b"".join(lines))
            lines.clear()
        self._summed = self.bytes

    def close(self, **more: Json) -> None:
        """Write the trailer; the file stays open."""
        self._sum()
        sums = {table: digest.hexdigest() for table, digest in self._sums.items()}
        trailer = {"trailer": True, "rows": self.rows, "sha256": sums} | more
        self._write(codec.dumps(trailer) + b"\n")

    def _write(self, line: bytes) -> None:
        self._file.write(line)
        self.bytes += len(line)


class Frames:
    """A file of zstd frames with checksums; `close` seals it."""

    def __init__(self, file: BinaryIO) -> None:
        import zstandard

        self._file = file
        self._sum = sha256()
        self._packer = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        self._waiting: list[bytes] = []
        self._size = 0
        self.bytes = 0

    def write(self, line: bytes) -> int:
        """Add a line; it is on its way to the file once the frame is full."""
        self._waiting.append(line)
        self._size += len(line)
        if self._size >= FRAME_BYTES:
            self._frame()
        return len(line)

    def _frame(self) -> None:
        frame = self._packer.compress(b"".join(self._waiting))
        self._sum.update(frame)
        self.bytes += self._file.write(frame)
        self._waiting.clear()
        self._size = 0

    def close(self) -> None:
        """Write what waits and the seal; the file stays open."""
        if self._waiting:
            self._frame()
        self.bytes += self._file.write(SEAL_HEAD + self._sum.digest())


@contextmanager
def published(path: str) -> Iterator[BinaryIO]:
    """Give a file that appears at `path`, for its owner's eyes, when the block has ended.

    Whatever ends the block early, and a killed process too, leaves what was at `path` before.

    Raises:
        EngineUnavailableError: The file cannot be written.
        StorageFullError: There is no room for it.
    """
    folder, name = os.path.split(path)
    waiting = None
    try:
        number, waiting = tempfile.mkstemp(prefix=f".{name[:100]}.", suffix=".part", dir=folder)
        with os.fdopen(number, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(waiting, path)
        waiting = None
        sync_folder(folder)
    except OSError as error:
        if error.errno in {28, 122}:  # ENOSPC, EDQUOT
            raise StorageFullError(f"no space left for {path}") from error
        raise EngineUnavailableError(
            f"cannot write {path}: {error.strerror}", hint="name another file"
        ) from error
    finally:
        if waiting is not None:
            os.unlink(waiting)


def make_folder(folder: str) -> None:
    """Make a directory that only its owner can enter, unless it is there.

    Raises:
        EngineUnavailableError: It cannot be made.
    """
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        raise EngineUnavailableError(
            f"cannot make {folder}: {error.strerror}", hint="name another directory"
        ) from error


def sync_folder(folder: str) -> None:
    """Make sure that names in `folder` outlive a power loss."""
    if os.name == "nt":
        return  # a directory cannot be opened there
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
