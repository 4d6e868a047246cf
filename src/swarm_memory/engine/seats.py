"""Seats: where a process that waits says so, and is woken when its turn has come.

A process that had to wait a few times takes a seat and keeps it: a byte range of the mark that
is locked as long as the process lives, two words that say what it waits for, and two sockets in
the abstract namespace by which it is woken. All of it is a hint. Whoever waits also looks by
himself now and then, so a wake that is lost, doubled, or meant for a process that is frozen or in
another network costs time and nothing else.
"""

from __future__ import annotations

import os
import struct
import time

from swarm_memory.engine.mark import SEATS, SEATS_AT, SEATS_LOCKS
from swarm_memory.lean import suppress
from swarm_memory.locks import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from swarm_memory.engine.mark import Mark

FOR_GATE, FOR_SYNC = 0, 1  # since when (ns), and which commit a seat waits for; 0: it does not
WAITS_UNSEATED = 8  # who only passes by does not pay for sockets
_WORD = struct.Struct("<Q")
_WORDS = struct.Struct(f"<{SEATS}Q")
_NOBODY = b"\0" * _WORDS.size


class Seats:
    """The seats at one mark, and the one of this process."""

    def __init__(self, mark: Mark, place: tuple[int, int]) -> None:
        self._mark = mark
        self._address = f"\0swarm-memory-{place[0]:x}-{place[1]:x}"
        self._waits = 0
        self._own: int | None = None
        self._sockets: list[Any] = []
        self._caller: Any = None
        self._sitting = Lock()  # several threads may wait for a sync

    def seated(self) -> bool:
        """Tell whether this process has a seat; it takes one if it has waited often."""
        if self._own is None and self._waits <= WAITS_UNSEATED:
            with self._sitting:
                self._waits += 1
                if self._own is None and self._waits > WAITS_UNSEATED:
                    self._sit()
        return self._own is not None

    def _sit(self) -> None:
        try:
            from _socket import AF_UNIX, SOCK_DGRAM, socket
        except ImportError:
            return  # a system without them
        first = os.getpid()
        for number in range(first, first + SEATS):
            seat = number % SEATS
            if not self._mark.lock(SEATS_LOCKS + seat):
                continue
            sockets = []
            try:
                for what in (FOR_GATE, FOR_SYNC):
                    sockets.append(socket(AF_UNIX, SOCK_DGRAM))
                    sockets[-1].bind(self._at(what, seat))
                    sockets[-1].setblocking(False)
            except OSError:  # no abstract names here, or this one is somebody else's
                for each in sockets:
                    each.close()
                self._mark.unlock(SEATS_LOCKS + seat)
                continue
            self._sockets = sockets  # first: another thread may find the seat
            self._own = seat
            return

    def _at(self, what: int, seat: int) -> str:
        return f"{self._address}-{what}-{seat}"

    def wait(self, what: int, value: int) -> None:
        """Say what this process waits for; 0: it does not any more."""
        with suppress(OSError):  # unsaid it is woken by its own clock
            os.pwrite(self._mark.descriptor, _WORD.pack(value), self._word(what, self._own or 0))

    def sleep(self, what: int, limit_s: float) -> bool:
        """Return when this process was woken, or at the limit; tell whether it was woken."""
        own = self._sockets[what]
        own.settimeout(limit_s)
        try:
            own.recv(1)
        except OSError:
            return False
        return True

    def waiting(self, what: int) -> list[tuple[int, int]]:
        """Return (value, seat) of those who wait, the smallest value first."""
        try:
            words = os.pread(self._mark.descriptor, _WORDS.size, self._word(what, 0))
        except OSError:  # closed, as in a child that was forked inside a write
            return []
        if words in _NOBODY:  # often; and a mark that is new is short
            return []
        words = words.ljust(_WORDS.size, b"\0")
        found = [(value, seat) for seat, value in enumerate(_WORDS.unpack(words)) if value]
        found.sort()
        return found

    def called(self, what: int) -> bool:
        """Tell whether somebody has meant to wake this process since it said that it waits."""
        try:
            word = os.pread(self._mark.descriptor, _WORD.size, self._word(what, self._own or 0))
        except OSError:
            return False
        return not any(word)

    def drain(self, what: int) -> None:
        """Forget wakes that came late: they would be taken for the next one."""
        own = self._sockets[what]
        own.setblocking(False)
        with suppress(OSError):
            while True:
                own.recv(1)

    def wake(self, what: int, seats: Iterable[int], *, first: bool = False) -> None:
        """Wake those who sit there, or the first of them who can be woken."""
        for seat in seats:
            # Whoever is frozen or dead must not be taken for the next one again.
            with suppress(OSError):
                os.pwrite(self._mark.descriptor, _WORD.pack(0), self._word(what, seat))
            if self._ring(self._at(what, seat)) and first:
                return

    def _ring(self, address: str) -> bool:
        from _socket import AF_UNIX, SOCK_DGRAM, socket

        try:
            if self._caller is None:
                with self._sitting:
                    if self._caller is None:
                        self._caller = socket(AF_UNIX, SOCK_DGRAM)
                        self._caller.setblocking(False)
            self._caller.sendto(b"!", address)
        except OSError:
            return False  # nobody is there, or he has answered to none of many
        return True

    @staticmethod
    def _word(what: int, seat: int) -> int:
        return SEATS_AT + (what * SEATS + seat) * _WORD.size

    def close(self) -> None:
        """Leave the seat; its lock goes with the mark."""
        for each in [*self._sockets, self._caller]:
            if each is not None:
                each.close()
        self._sockets, self._caller, self._own = [], None, None


def pause(about_s: float) -> None:
    """Sleep about so long, so that those who look again do not do so together."""
    # The clock's last digits are jitter enough, and cost no import.
    time.sleep(about_s * (0.5 + time.perf_counter_ns() % 1024 / 1024))
