"""Shared sync: one sync of the log makes the commits of many processes durable, without a daemon.

A durable write commits without a sync, says in the mark file how far commits have come, and then
either leads, syncing the log once for everybody who committed before, or finds that somebody
else's sync already covered it. It is acknowledged only if a sync of the log's file that began
after its COMMIT returned has succeeded.

In front of the transaction stands a gate, for speed and fairness: SQLite's own lock decides what
is correct, so whoever meets a frozen process at the gate goes on without it. No lock here is
waited for without a limit. docs/decisions/0007-shared-sync.md has the reasons.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time

from swarm_memory.engine import mark as marks
from swarm_memory.engine.mark import (
    ASSIGNED,
    GATE,
    LEAD,
    POISONED,
    PUBLISHED,
    SYNCED,
    TOUCHED,
    TURN,
    Mark,
    datasync,
)
from swarm_memory.errors import (
    AmbiguousCommitError,
    EngineBusyError,
    EngineUnavailableError,
    InvalidArgumentError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# Where a process can be made to die or stop: NAME:kill or NAME:stop, and after a second colon a
# number for the N-th time it comes by.
FAILPOINTS = (
    "gate-held",
    "begun",
    "numbered",
    "committed",
    "published",
    "lead-held",
    "synced",
    "before-acknowledge",
)
GATE_S = 0.5  # who does not get through the gate by then goes on without it
LEAD_S = 0.05  # who is not covered by then syncs for itself
RUN_S = 0.001  # for so long a process may go through again before those in line
GATE_PAUSE_S = 0.00005  # the first in line looks so often,
TURN_PAUSE_S = 0.0004  # the others so often
LEAD_PAUSE_S = 0.0001
NETWORK_FILE_SYSTEMS = ("9p", "afs", "ceph", "cifs", "fuse.", "gluster", "lustre", "nfs", "smb")


class CommitGroup:
    """Those of this process who write one file: the process's turn, the gate and the shared sync.

    There is one per file and process, however often the file is opened: the system's locks do
    not tell apart what one process does.
    """

    def __init__(self, path: str, place: tuple[int, int], mark: Mark | None) -> None:
        self.path = path
        self.place = place
        self.users = 0
        self._mutex = threading.Lock()
        self._writer: int | None = None
        self._leading = threading.Lock()
        self._log = threading.Lock()
        self._log_descriptor: int | None = None
        self._log_place: tuple[int, int] | None = None
        self._retired: list[int] = []
        self._run_until = 0.0
        self._stuck = False
        self._mark = mark

    @property
    def direct(self) -> bool:
        """Tell whether every durable commit has to sync for itself."""
        return self._mark is None

    def check_place(self) -> None:
        """Refuse to write to a file that is not the one that was opened.

        Raises:
            EngineUnavailableError: It was deleted or replaced; nothing was written.
        """
        try:
            found = os.stat(self.path)
        except OSError as error:
            raise _replaced(self.path, "is gone") from error
        if (found.st_dev, found.st_ino) != self.place:
            raise _replaced(self.path, "was replaced by another file")

    # --- one writer at a time ---

    def begin(self, timeout_s: float) -> None:
        """Take the process's turn to write.

        Raises:
            InvalidArgumentError: This thread is writing already.
            EngineBusyError: Another thread kept the turn.
        """
        thread = threading.get_ident()
        if self._writer == thread:
            raise InvalidArgumentError(
                "a write inside a write of the same thread would wait for itself",
                hint="use the handle that transact() gives to your function",
            )
        if not self._mutex.acquire(timeout=timeout_s):
            raise EngineBusyError(f"another thread of this process kept {self.path} locked")
        self._writer = thread

    def end(self) -> None:
        """Give the process's turn back."""
        self._writer = None
        self._mutex.release()

    def enter(self) -> bool:
        """Take the gate, in turn; False if whoever has it does not move on.

        The first in line looks often and nobody else tries, so a waiter is soon through and
        costs little. Within `RUN_S` of its last passage a process need not stand in line.
        """
        mark = self._mark
        if mark is None:
            return False
        if self._stuck:
            if mark.lock(TURN):
                mark.unlock(TURN)
                self._stuck = False
            return mark.lock(GATE)
        if time.monotonic() < self._run_until and mark.lock(GATE):
            return True
        deadline = time.monotonic() + GATE_S
        held = False
        if _wait_for(mark, TURN, TURN_PAUSE_S, deadline):
            held = _wait_for(mark, GATE, GATE_PAUSE_S, deadline)
            mark.unlock(TURN)
        self._stuck = not held
        self._run_until = time.monotonic() + RUN_S
        return held

    def leave(self) -> None:
        """Give the gate back."""
        if self._mark is not None:
            self._mark.unlock(GATE)

    def gate_holder(self) -> int | None:
        """Return the pid of the other process that has the gate, if it can be told."""
        return None if self._mark is None else self._mark.holder(GATE)

    # --- numbers ---

    def assign(self, *, durable: bool, touched: bool) -> int:
        """Return the number of a transaction that is about to commit; its write lock is held.

        Numbers rise in the order of the log, with holes. `touched` says that it wrote what
        readers may have kept; they must see that before it is committed.

        Raises:
            EngineUnavailableError: A sync has failed, so nothing durable can be promised.
        """
        mark = self._mark
        if mark is None:
            return 0
        words = mark.read()
        if words is None:
            words = self._begin_anew(mark)
        if durable and words[POISONED]:
            raise _poisoned(self.path)
        number = max(words[ASSIGNED], words[PUBLISHED], words[SYNCED]) + 1
        mark.write(ASSIGNED, number)
        if touched:
            mark.write(TOUCHED, number)
        return number

    def touched(self) -> int:
        """Return the number of the last commit that wrote what readers may keep.

        0 if it is not known, or not complete.
        """
        words = None if self._mark is None else self._mark.read()
        if words is None or words[TOUCHED] > words[PUBLISHED]:
            return 0
        return words[TOUCHED]

    def _begin_anew(self, mark: Mark) -> Sequence[int]:
        """Reset the mark; the write lock is held, so nobody commits meanwhile."""
        try:
            datasync(self._log_now())  # whatever was committed before
        except OSError as error:
            mark.reset(poisoned=True)
            raise EngineUnavailableError(
                f"cannot sync {self.path}-wal: {error}", hint="check the disk; nothing was written"
            ) from error
        mark.reset()
        words = mark.read()
        if words is None:
            raise EngineUnavailableError(
                f"{self.path}{marks.SUFFIX} does not keep what is written to it",
                hint="check the disk; nothing was written",
            )
        return words

    def publish(self, number: int) -> None:
        """Say that the commit with this number is complete."""
        if self._mark is not None and number:
            self._mark.write(PUBLISHED, number)

    # --- durable ---

    def settle(self, number: int) -> None:
        """Return when the commit with this number is durable, by whoever's sync.

        Raises:
            AmbiguousCommitError: The sync failed: it may or may not survive a power loss.
        """
        mark = self._mark
        if mark is None:
            return None
        deadline = time.monotonic() + LEAD_S
        while True:
            words = mark.read()
            if words is None:
                return self._sync_alone()
            if words[POISONED]:
                raise AmbiguousCommitError(f"a sync of {self.path}-wal failed")
            # Read twice: between header and counters another file's mark may have begun.
            if words[SYNCED] >= number and mark.read() is not None:
                return None
            if self._leading.acquire(blocking=False):
                try:
                    if mark.lock(LEAD):
                        try:
                            return self._lead(mark, number)
                        finally:
                            mark.unlock(LEAD)
                finally:
                    self._leading.release()
            if time.monotonic() >= deadline:
                return self._sync_alone()  # and say nothing of it: the leader may only be slow
            time.sleep(LEAD_PAUSE_S)

    def flush(self) -> None:
        """Sync whatever has been committed until now, whoever committed it.

        For a success that wrote nothing: what it relies on may be a dead process's commit, of
        which the mark knows nothing.
        """
        if self._mark is not None:
            self._sync_alone()

    def flush_if_needed(self) -> None:
        """Sync unless all that can be seen in the database is durable already."""
        if self._mark is None:
            return
        words = self._mark.read()
        if words is None or words[SYNCED] < words[ASSIGNED]:
            self._sync_alone()

    def _lead(self, mark: Mark, number: int) -> None:
        reached("lead-held")
        words = mark.read()
        if words is None:
            return self._sync_alone()
        if words[SYNCED] >= number:
            return None
        target = max(number, words[PUBLISHED])  # read before the sync begins
        self._sync_alone()
        reached("synced")
        words = mark.read()
        if words is not None and words[SYNCED] < target <= words[ASSIGNED]:
            mark.write(SYNCED, target)
        return None

    def _sync_alone(self) -> None:
        try:
            descriptor = self._log_now()
        except OSError as error:
            raise AmbiguousCommitError(f"opening {self.path}-wal failed: {error}") from error
        try:
            datasync(descriptor)
        except OSError as error:
            # Never again: the system may have dropped what it could not write.
            if self._mark is not None:
                self._mark.write(POISONED, 1)
            raise AmbiguousCommitError(f"syncing {self.path}-wal failed: {error}") from error

    def prepare(self) -> None:
        """Open what a sync needs while failing is still harmless.

        Raises:
            EngineUnavailableError: It cannot be opened; nothing was written.
        """
        if self._mark is not None and self._log_descriptor is None:
            try:
                self._log_now()
            except OSError as error:
                raise EngineUnavailableError(
                    f"cannot open {self.path}-wal: {error}", hint="see the system's message"
                ) from error

    def _log_now(self) -> int:
        """Return a descriptor of the log that is there now."""
        path = self.path + "-wal"
        with self._log:
            found = os.stat(path)
            place = (found.st_dev, found.st_ino)
            if self._log_descriptor is None or place != self._log_place:
                if self._log_descriptor is not None:
                    self._retired.append(self._log_descriptor)  # somebody may be syncing it
                self._log_descriptor = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
                opened = os.fstat(self._log_descriptor)
                self._log_place = (opened.st_dev, opened.st_ino)
                sync_folder(os.path.dirname(path))
            return self._log_descriptor

    # --- failed syncs ---

    @property
    def poisoned(self) -> bool:
        """Tell whether a sync has failed since the store was last found whole."""
        words = self._mark.read() if self._mark is not None else None
        return words is not None and bool(words[POISONED])

    def heal(self) -> None:
        """Begin anew after the database was checked; its write lock is held."""
        if self._mark is not None:
            self._sync_alone()
            self._mark.reset()

    def words(self) -> Sequence[int] | None:
        """Return the counters, None if there are none that hold."""
        return None if self._mark is None else self._mark.read()

    def close(self) -> None:
        """Close what is open; only when nobody uses it."""
        if self._mark is not None:
            self._mark.close()
            self._mark = None
        for descriptor in [*self._retired, self._log_descriptor]:
            if descriptor is not None:
                os.close(descriptor)
        self._retired, self._log_descriptor = [], None


_groups: dict[tuple[int, int], CommitGroup] = {}
_joining = threading.Lock()


def join(path: str, boot_id: int) -> CommitGroup:
    """Return this process's group for the database file at `path`, which must exist."""
    found = os.stat(path)
    place = (found.st_dev, found.st_ino)
    with _joining:
        group = _groups.get(place)
        if group is None:
            mark = _open_mark(path, place, boot_id)
            group = _groups[place] = CommitGroup(path, place, mark)
        group.users += 1
        return group


def leave(group: CommitGroup) -> None:
    """Say that one user fewer needs the group."""
    with _joining:
        group.users -= 1
        if not group.users and _groups.get(group.place) is group:
            del _groups[group.place]
            group.close()


def _forget_in_child() -> None:
    """Close a parent's descriptors in its child, which makes groups of its own."""
    global _joining
    _joining = threading.Lock()
    for group in _groups.values():
        group.close()
    _groups.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


def sync_folder(path: str) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _wait_for(mark: Mark, place: int, pause_s: float, deadline: float) -> bool:
    while not mark.lock(place):
        if time.monotonic() >= deadline:
            return False
        # The clock's last digits are jitter enough, and cost no import.
        time.sleep(pause_s * (0.5 + time.perf_counter_ns() % 1024 / 1024))
    return True


def protocol(path: str) -> str:
    """Return how commits to a database at `path` become durable: "shared" or "direct"."""
    return "direct" if not marks.supported() or _on_network(path) else "shared"


def _open_mark(path: str, place: tuple[int, int], boot_id: int) -> Mark | None:
    if not marks.supported():
        return None
    try:
        mark = Mark(path, place, boot_id)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EROFS):
            return None  # nobody writes here
        # Without a number for each write other processes would not know of it.
        raise EngineUnavailableError(
            f"cannot open {path}{marks.SUFFIX}: {error.strerror}", hint="see the system's message"
        ) from error
    if mark.read() is None and _on_network(path):
        mark.close()
        return None
    return mark


def _on_network(path: str) -> bool:
    """Tell whether a file lies, or would lie, where locks and syncs cannot be relied on."""
    if not sys.platform.startswith("linux"):
        return False
    while not os.path.exists(path):
        path = os.path.dirname(path)
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                fields, _, kind = line.partition(" - ")
                if fields.split(" ", 3)[2] == wanted:
                    return kind.startswith(NETWORK_FILE_SYSTEMS)
    except OSError:
        return True
    return False


def _replaced(path: str, what: str) -> EngineUnavailableError:
    error = EngineUnavailableError(
        f"{path} {what} while it was open", hint="close the store and open it again"
    )
    error.retryable = False
    return error


def _poisoned(path: str) -> EngineUnavailableError:
    error = EngineUnavailableError(
        f"a sync of {path} failed earlier: nothing durable can be promised",
        hint="check the disk, close the store everywhere and open it again",
    )
    error.retryable = False
    return error


_failpoint, _failure, _passes_left = "", signal.SIGKILL, 0


def arm(failpoint: str) -> None:
    """Let this process die or stop at a failpoint, for tests; see `FAILPOINTS`."""
    global _failpoint, _failure, _passes_left
    name, _, rest = failpoint.partition(":")
    kind, _, times = rest.partition(":")
    if name not in FAILPOINTS or kind not in ("kill", "stop"):
        raise InvalidArgumentError(
            f"failpoint {failpoint!r}", hint="NAME:kill or NAME:stop of " + ", ".join(FAILPOINTS)
        )
    _failpoint, _passes_left = name, int(times or 1)
    _failure = signal.SIGKILL if kind == "kill" else signal.SIGSTOP


def reached(name: str) -> None:
    """Die or stop here if that was asked for."""
    global _passes_left
    if name == _failpoint:
        _passes_left -= 1
        if _passes_left == 0:
            os.kill(os.getpid(), _failure)
