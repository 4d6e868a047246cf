"""The mark file: how far commits have come, and three locks, shared by all processes of a store.

One real block beside the database holds 8-byte words that are read and written whole, by pread
and pwrite: a mapped page would kill the process when the disk is full or the file is cut. The
header says for which file on which start of the machine the counters hold. Nothing durable hangs
on them: a lost, doubled or foreign mark costs syncs, never a commit.

The locks are byte ranges behind the block: they end with their process, a forked child does not
have them, and the system tells who has one.
"""

from __future__ import annotations

import os
import struct
import time

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

SUFFIX = "-mark"
BLOCK_BYTES = 4096
TURN, GATE, LEAD = BLOCK_BYTES, BLOCK_BYTES + 1, BLOCK_BYTES + 2  # where the locks lie

_MAGIC = 0x314B52414D6D7753  # "SwmMARK1"
_HEADER = struct.Struct("<6Q")  # magic, start, device, inode, epoch, check
_COUNTERS = struct.Struct("<5Q")
_WORD = struct.Struct("<Q")
_BYTES = _HEADER.size + _COUNTERS.size
ASSIGNED, PUBLISHED, SYNCED, POISONED, TOUCHED = range(5)
_SALT = 0x9E3779B97F4A7C15
_FLOCK = struct.Struct("hhqqi4x")  # struct flock of 64-bit Linux


class Mark:
    """The open mark file of one database.

    Args:
        place: Device and inode of the database.
        boot_id: See `SystemClock.boot_id`.
    """

    __slots__ = ("_header", "_identity", "descriptor")

    def __init__(self, path: str, place: tuple[int, int], boot_id: int) -> None:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        self.descriptor = os.open(path + SUFFIX, flags, 0o600)
        self._identity = (_MAGIC, boot_id, *place)
        self._header = b""

    def read(self) -> Sequence[int] | None:
        """Return the counters; None if they are not for this file and this start, or are torn."""
        data = os.pread(self.descriptor, _BYTES, 0)
        if len(data) < _BYTES:
            return None
        if not data.startswith(self._header) or not self._header:
            header = _HEADER.unpack_from(data)
            if header[:4] != self._identity or header[-1] != _check(header[:-1]):
                return None
            self._header = data[: _HEADER.size]
        counters = _COUNTERS.unpack_from(data, _HEADER.size)
        if counters[SYNCED] > counters[ASSIGNED] or counters[PUBLISHED] > counters[ASSIGNED]:
            return None
        return counters

    def write(self, counter: int, value: int) -> None:
        """Write one counter."""
        os.pwrite(self.descriptor, _WORD.pack(value), _HEADER.size + counter * _WORD.size)

    def reset(self, *, poisoned: bool = False) -> None:
        """Begin anew, above every number there can have been.

        Only with the database's write lock held and everything committed before synced: whoever
        still waits for an older number then finds it below `synced`, rightly.
        """
        before = self.read()
        base = max(time.time_ns() // 1000, before[ASSIGNED] if before else 0) + 1
        identity = (*self._identity, base)
        header = _HEADER.pack(*identity, _check(identity))
        counters = _COUNTERS.pack(base, base, base, poisoned, base)
        # Not one write: a reader must never find a valid header before counters of another age.
        os.pwrite(self.descriptor, b"\0" * _HEADER.size, 0)
        rest = counters.ljust(BLOCK_BYTES - _HEADER.size, b"\0")
        os.pwrite(self.descriptor, rest, _HEADER.size)
        os.pwrite(self.descriptor, header, 0)

    def lock(self, place: int) -> bool:
        """Take a lock if it is free."""
        try:
            fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def unlock(self, place: int) -> None:
        """Give a lock back."""
        fcntl.lockf(self.descriptor, fcntl.LOCK_UN, 1, place)

    def holder(self, place: int) -> int | None:
        """Return the pid of the other process that has a lock; None if nobody, or unknown."""
        if os.uname().sysname != "Linux":
            return None
        wanted = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0)
        kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(self.descriptor, fcntl.F_GETLK, wanted))
        return None if kind == fcntl.F_UNLCK else int(pid)

    def close(self) -> None:
        """Close it; the locks go with it."""
        os.close(self.descriptor)


def supported() -> bool:
    """Tell whether this system has the locks and the sync that the mark needs."""
    return fcntl is not None and (hasattr(os, "fdatasync") or hasattr(fcntl, "F_FULLFSYNC"))


def datasync(descriptor: int) -> None:
    """Make what was written to a file durable."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:  # macOS: fdatasync does not empty the disk's cache
        fcntl.fcntl(descriptor, full)
    else:
        os.fdatasync(descriptor)


def _check(identity: Sequence[int]) -> int:
    value = _SALT
    for word in identity:
        value = (value ^ word) * 0x100000001B3 & 0xFFFF_FFFF_FFFF_FFFF
    return value
