"""The mark file: how far commits have come, and a few locks, shared by all processes of a store.

One real block beside the database holds 8-byte words that are read and written whole, by pread
and pwrite. The header says for which file on which start of the machine the counters hold. Nothing
durable hangs on them: a lost, doubled or foreign mark costs syncs, never a commit. What readers
keep does hang on it, so whoever writes by a mark that was deleted or moved away looks for the new
one first, and a reader notices within `SURE_S`.

A reader that asks often maps the block, as SQLite maps its -shm file, and only to read: writing
through a mapping could kill the process when the disk is full. Emptying the file under it does.
A mapping has a descriptor of its own, and closing any descriptor of a file drops the process's
locks on it: it is made once and closed with the mark.

Counters: the numbers assigned, published and synced (see `sync`), the last one given to a commit
that touches what readers keep, whether a sync failed, and the inode of the log whose name is
durable.

The locks are byte ranges behind the block: they end with their process, and a forked child does
not have them.
"""

from __future__ import annotations

import os
import struct
import time

from swarm_memory.lean import suppress

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from mmap import mmap

SUFFIX = "-mark"
BLOCK_BYTES = 4096
GATE, LEAD, USE = range(BLOCK_BYTES, BLOCK_BYTES + 3)  # where the locks lie
SEATS, SEATS_AT, SEATS_LOCKS = 64, 1024, BLOCK_BYTES + 16  # see `seats`

_MAGIC = 0x314B52414D6D7753  # "SwmMARK1"
_HEADER = struct.Struct("<6Q")  # magic, start, device, inode, epoch, check
_COUNTERS = struct.Struct("<6Q")
_WORD = struct.Struct("<Q")
_BYTES = _HEADER.size + _COUNTERS.size
ASSIGNED, TOUCHED, PUBLISHED, SYNCED, POISONED, NAMED = range(6)
_NUMBERS = 1 << 62
_SALT = 0x9E3779B97F4A7C15
LOOKS_UNMAPPED = 64  # who only passes by does not pay for a mapping
CLOSED = -1  # no descriptor
SURE_S = 0.002  # a mapped mark is taken to be there still for so long


class Mark:
    """The open mark file of one database.

    Args:
        place: Device and inode of the database.
        boot_id: See `SystemClock.boot_id`.
    """

    __slots__ = (
        "_block",
        "_header",
        "_identity",
        "_inode",
        "_last",
        "_looks",
        "_path",
        "_sure_until",
        "descriptor",
    )

    def __init__(self, path: str, place: tuple[int, int], boot_id: int) -> None:
        self._path = path
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        new = not os.path.exists(path + SUFFIX)
        self.descriptor = os.open(path + SUFFIX, flags, 0o600)
        if new and os.path.exists(path):
            os.fchmod(self.descriptor, os.stat(path).st_mode & 0o666)  # who may write one, both
        self._inode = os.fstat(self.descriptor).st_ino
        self._identity = (_MAGIC, boot_id, *place)
        self._header = b""
        self._block: mmap | None = None
        self._looks = 0
        self._last, self._sure_until = (b"", 0), 0.0  # what was read, and what it says
        self._use()

    def again(self) -> Mark:
        """Return the mark that is there now, made anew if there is none."""
        return Mark(self._path, self._identity[2:], self._identity[1])

    def exists(self) -> bool:
        """Tell whether the file still has its name; if not, others would use a new one."""
        try:
            return os.stat(self._path + SUFFIX).st_ino == self._inode
        except OSError:
            return False

    def read(self) -> Sequence[int] | None:
        """Return the counters; None if they are not for this file and this start, or are torn."""
        return self._counters(os.pread(self.descriptor, _BYTES, 0))

    def _counters(self, data: bytes) -> Sequence[int] | None:
        if len(data) < _BYTES:
            return None
        if not data.startswith(self._header) or not self._header:
            header = _HEADER.unpack_from(data)
            if header[:4] != self._identity or header[-1] != _check(header[:-1]):
                return None
            self._header = data[: _HEADER.size]
        counters = _COUNTERS.unpack_from(data, _HEADER.size)
        assigned = counters[ASSIGNED]
        if counters[SYNCED] > assigned or counters[PUBLISHED] > assigned or assigned >= _NUMBERS:
            return None
        return counters

    def touched(self) -> int:
        """Return the number of the last commit that wrote what readers may keep.

        0 if it is not known, or not complete.
        """
        now, block = time.monotonic(), self._block
        # Together, or another thread could set one between the two.
        seen, touched = self._last
        try:
            if block is not None and now < self._sure_until:
                data = block[:_BYTES]
                if data == seen:
                    return touched
            elif self.exists():
                data = os.pread(self.descriptor, _BYTES, 0)
                self._sure_until = now + SURE_S
                self._map_if_often()
            else:
                return 0
        except (OSError, ValueError):  # closed, perhaps by another thread
            return 0
        counters = self._counters(data)
        if counters is None or counters[TOUCHED] > counters[PUBLISHED]:
            return 0
        touched = counters[TOUCHED]
        self._last = data, touched
        return touched

    def _map_if_often(self) -> None:
        self._looks += 1
        if self._looks == LOOKS_UNMAPPED:
            from mmap import ACCESS_READ, mmap

            with suppress(OSError, ValueError):  # a block that is not whole, or no memory
                block = mmap(self.descriptor, BLOCK_BYTES, access=ACCESS_READ)
                if self.descriptor == CLOSED:
                    _foreign.append(block)
                else:
                    self._block = block

    def write(self, counter: int, value: int, *, words: int = 1) -> None:
        """Write one counter, or the same into as many as follow each other."""
        os.pwrite(self.descriptor, _WORD.pack(value) * words, _HEADER.size + counter * _WORD.size)

    def reset(self, *, poisoned: bool = False, named: int = 0) -> None:
        """Begin anew at a random number.

        Only with the database's write lock held and everything committed before synced: whoever
        still waits for an older number finds it synced or syncs once more, and a number that a
        frozen leader meant to write lies far from the new ones.
        """
        base = _NUMBERS // 4 + int.from_bytes(os.urandom(7), "little")
        identity = (*self._identity, base)
        header = _HEADER.pack(*identity, _check(identity))
        counters = _COUNTERS.pack(base, base, base, base, poisoned, named)
        # Not one write: a reader must never find a valid header before counters of another age.
        os.pwrite(self.descriptor, b"\0" * _HEADER.size, 0)
        rest = counters.ljust(BLOCK_BYTES - _HEADER.size, b"\0")
        os.pwrite(self.descriptor, rest, _HEADER.size)
        os.pwrite(self.descriptor, header, 0)

    def lock(self, place: int) -> bool:
        """Take a lock if it is free."""
        try:
            fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except (OSError, ValueError):
            return False  # held by somebody, no locks are left, or closed: go on without it
        return True

    def unlock(self, place: int) -> None:
        """Give a lock back."""
        with suppress(OSError, ValueError):  # it ends with the process in any case, and when closed
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN, 1, place)

    def alone(self) -> bool:
        """Tell whether no other process has the mark open at this moment."""
        alone = self.lock(USE)
        self._use()
        return alone

    def _use(self) -> None:
        with suppress(OSError):  # somebody is asking whether it is alone: let it think so
            fcntl.lockf(self.descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, USE)

    def close(self) -> None:
        """Close it; the locks go with it. From now on it knows nothing."""
        # First of all: at once the number may be another file's, which nobody may write or lock.
        descriptor, self.descriptor = self.descriptor, CLOSED
        block, self._block = self._block, None
        if block is not None:
            block.close()
        if descriptor != CLOSED:
            os.close(descriptor)


# Mapped while another thread closed the mark, so of whatever file: never closed, as that could
# drop the locks that SQLite holds on it.
_foreign: list[mmap] = []


def supported() -> bool:
    """Tell whether this system has the locks that the mark needs."""
    return fcntl is not None


def datasync(descriptor: int) -> None:
    """Make what was written to a file durable."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:  # macOS: fdatasync does not empty the disk's cache
        fcntl.fcntl(descriptor, full)
    else:
        getattr(os, "fdatasync", os.fsync)(descriptor)


def _check(identity: Sequence[int]) -> int:
    value = _SALT
    for word in identity:
        value = (value ^ word) * 0x100000001B3 & 0xFFFF_FFFF_FFFF_FFFF
    return value
