"""The program that asks the kernel who holds SQLite's locks; see `holder`.

It runs without site-packages, so it imports nothing of this package.

Source:
    SQLite, "WAL-mode File Format": the WAL-index header and the lock bytes 120 to 128.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WRITE, CHECKPOINT, RECOVER, READ, READERS_MAX, IN_USE = 120, 121, 122, 123, 5, 128
_HEADER_BYTES = 136
_FRAMES, _BACKFILLED, _MARKS = 4, 24, 25  # positions among the header's 32-bit words
_FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, pid


def ask(shm: str) -> list[int]:
    """Return the numbers of `WalLocks`, 0 for nobody, but for its pairs, which come last."""
    descriptor = os.open(shm, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe is no index
    try:
        header = os.pread(descriptor, _HEADER_BYTES, 0).ljust(_HEADER_BYTES, b"\0")
        words = struct.unpack("=34I", header)
        single = [_holder(descriptor, byte) for byte in (WRITE, CHECKPOINT, RECOVER, IN_USE)]
        # The first read lock is of those who read the database alone: they hold nothing back.
        readers = [
            number
            for slot in range(1, READERS_MAX)
            if (pid := _holder(descriptor, READ + slot))
            for number in (pid, words[_MARKS + slot])
        ]
    finally:
        os.close(descriptor)
    frames = words[_FRAMES]
    return [*single, frames, max(0, frames - words[_BACKFILLED]), *readers]


def _holder(descriptor: int, byte: int) -> int:
    wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
    answer: Any = fcntl.fcntl(descriptor, fcntl.F_GETLK, wanted)
    kind, _, _, _, pid = struct.unpack(_FLOCK, answer)
    return 0 if kind == fcntl.F_UNLCK else max(0, pid)


if __name__ == "__main__":
    sys.stdout.write(" ".join(map(str, ask(sys.argv[1]))))
