"""Wake-ups: being told that a file was written, where the system can tell.

A wake-up is a hint. It may come for nothing or not at all (another system, a replaced file, no
instance left), so whoever waits looks again after `POLL_S` in any case: a lost one delays.
"""

from __future__ import annotations

import os
import select
import sys
import time

POLL_S = 0.05  # the net: look again at least so often
_MODIFIED = 0x2  # IN_MODIFY of <sys/inotify.h>
_FLAGS = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
_EVENT_BYTES = 4096


class Wake:
    """Waits for writes to one file; one per thread, since reading an event takes it from others."""

    def __init__(self, path: str) -> None:
        self._descriptor: int | None = None  # before anything can interrupt
        self._poll: select.poll | None = None
        self._descriptor = _inotify(path)
        self._poll = select.poll() if self._descriptor is not None else None
        if self._poll is not None and self._descriptor is not None:
            self._poll.register(self._descriptor, select.POLLIN)

    def wait(self, timeout_s: float) -> bool:
        """Return when the file was written, or after at most `timeout_s` or `POLL_S` seconds.

        True if it was written: what was written may become visible a moment later only.
        """
        timeout_s = min(timeout_s, POLL_S)
        poll, descriptor = self._poll, self._descriptor
        if poll is None or descriptor is None:
            time.sleep(timeout_s)
            return False
        if not poll.poll(timeout_s * 1000) or self._descriptor is None:
            return False
        os.read(descriptor, _EVENT_BYTES)
        return True

    def close(self) -> None:
        """Give the descriptor back; a second call does nothing."""
        descriptor, self._descriptor, self._poll = self._descriptor, None, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


def _inotify(path: str) -> int | None:
    """Return a descriptor that becomes readable when `path` is written; None if there is none.

    It names the file and never opens it: closing a descriptor of a database's file would drop
    the locks that SQLite holds on it.
    """
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    descriptor: int = library.inotify_init1(_FLAGS)
    if descriptor < 0:
        return None
    if library.inotify_add_watch(descriptor, os.fsencode(path), _MODIFIED) < 0:
        os.close(descriptor)
        return None
    return descriptor
