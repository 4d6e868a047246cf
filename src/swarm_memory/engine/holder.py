"""Who holds SQLite's locks on a store: asked of the kernel, by a process of its own.

SQLite's locks are POSIX record locks, and a process that closes any descriptor of a file drops all
of its record locks on it. Asking takes a descriptor, so a process that has the store open must
never ask itself: this module is also the program of a child that opens the `-shm` file, asks and
ends. It waits for nobody, so it answers while a writer is frozen.

Source:
    SQLite, "WAL-mode File Format": the WAL-index header and the lock bytes 120 to 128.
"""

from __future__ import annotations

import os
import sys
from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ANSWER_S_MAX = 0.8
WRITE, CHECKPOINT, RECOVER, READ, READERS_MAX, IN_USE = 120, 121, 122, 123, 5, 128
_HEADER_BYTES = 136
_FRAMES, _BACKFILLED, _MARKS = 4, 24, 25  # positions among the header's 32-bit words
_FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, pid


class WalLocks(namedtuple("WalLocks", "writer checkpointer recoverer user readers frames behind")):
    """Who holds what of a store's write-ahead log at one moment.

    `writer`, `checkpointer` and `recoverer` are pids, None for nobody; `user` is the pid of one
    process that has the store open. `readers` are pairs (pid, frames): a snapshot that ends after
    so many of the `frames` in the log; of several processes on one snapshot one is named. `behind`
    counts the frames that no checkpoint has moved yet.
    """

    __slots__ = ()
    writer: int | None
    checkpointer: int | None
    recoverer: int | None
    user: int | None
    readers: tuple[tuple[int, int], ...]
    frames: int
    behind: int


def holder_of_write_lock(path: str) -> int | None:
    """Return the pid of the process that is inside a write of the database at `path`.

    None if nobody is, and where it cannot be told: on other systems than Linux, without the right
    to read the file, or if the holder lives in another pid namespace. Takes about 20 ms and at
    most 0.8 s; opens nothing in this process.
    """
    locks = wal_locks(path)
    return locks.writer if locks is not None else None


def wal_locks(path: str, limit_s: float = ANSWER_S_MAX) -> WalLocks | None:
    """Return who holds the locks of the database at `path`; None where it cannot be told.

    Args:
        limit_s: Seconds after which it cannot be told.
    """
    shm = f"{path}-shm"
    if not sys.platform.startswith("linux") or not sys.executable or not os.path.exists(shm):
        return None
    import subprocess

    command = [sys.executable, "-I", "-S", os.path.abspath(__file__), shm]
    try:
        answer = subprocess.run(
            command, capture_output=True, timeout=limit_s, stdin=subprocess.DEVNULL, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None  # it names nobody; the caller has an answer without a name
    numbers = [int(word) for word in answer.split()]
    writer, checkpointer, recoverer, user, frames, behind, *pairs = numbers
    readers = tuple(zip(pairs[::2], pairs[1::2], strict=True))
    return WalLocks(
        writer or None, checkpointer or None, recoverer or None, user or None, readers, frames,
        behind,
    )  # fmt: skip


def _ask(shm: str) -> list[int]:
    """Return the numbers of `WalLocks`, 0 for nobody. Runs in the child alone."""
    import struct

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
    import fcntl
    import struct

    wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
    answer: Any = fcntl.fcntl(descriptor, fcntl.F_GETLK, wanted)
    kind, _, _, _, pid = struct.unpack(_FLOCK, answer)
    return 0 if kind == fcntl.F_UNLCK else max(0, pid)


if __name__ == "__main__":
    sys.stdout.write(" ".join(map(str, _ask(sys.argv[1]))))
