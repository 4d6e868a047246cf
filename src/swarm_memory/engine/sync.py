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
import time

from swarm_memory.engine import mark as marks
from swarm_memory.engine import mounts
from swarm_memory.engine.gate import Gate
from swarm_memory.engine.mark import (
    ASSIGNED,
    LEAD,
    NAMED,
    POISONED,
    PUBLISHED,
    SYNCED,
    Mark,
    datasync,
)
from swarm_memory.engine.seats import FOR_SYNC, Seats, pause
from swarm_memory.errors import (
    AmbiguousCommitError,
    EngineBusyError,
    EngineUnavailableError,
    InvalidArgumentError,
    StorageFullError,
    SwarmMemoryError,
)
from swarm_memory.lean import suppress
from swarm_memory.locks import Lock, RLock, get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, TypeVar

    Tx = TypeVar("Tx")
    T = TypeVar("T")

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
MOVE_FAILPOINTS = ("move-begun", "move-copied", "move-applied", "move-fenced", "move-routed")
LEAD_S = 0.05  # who is not covered by then, or by four times its own last sync, syncs for itself
LEAD_PAUSE_S = 0.0003  # who has no seat looks so often,
LEAD_LOOK_S = 0.002  # who has one is woken, but a wake may be lost


class CommitGroup:
    """Those of this process who write one file: the process's turn, the gate and the shared sync.

    There is one per file and process, however often the file is opened: the system's locks do
    not tell apart what one process does. Giving back what one does not have does nothing. Python
    cannot close every gap against an interrupt: what a thread was made to leave behind is given
    back by its next write, and meanwhile others do without the gate.
    """

    def __init__(self, path: str, place: tuple[int, int], mark: Mark | None) -> None:
        self.path = path
        self.place = place
        self.direct = mark is None  # every durable commit has to sync for itself
        self.users = 0
        self._mark: Mark | None = None
        self._seats: Seats | None = None
        self._gate: Gate | None = None
        self._old: list[Mark | Seats] = []
        self._use(mark)
        # Reentrant ones know who has them, so that an interrupted thread can tell.
        self._turn: Any = RLock()
        self._inside: int | None = None
        self._leading: Any = RLock()
        self._in_seat = Lock()  # one thread of those that wait for a sync
        self._syncing = Lock()
        self._log_descriptor: int | None = None
        self._log_place: tuple[int, int] | None = None
        self._failed = False
        self._lead_stuck = False
        self._sync_s = 0.0

    # --- one writer at a time ---

    def run(self, fn: Callable[[Tx], T], tx: Tx) -> T:
        """Run what a transaction does; a write in it would wait for itself."""
        try:
            self._inside = get_ident()
            return fn(tx)
        finally:
            self._inside = None

    def refuse_nested(self) -> None:
        """Refuse a write inside a write of the same thread.

        Raises:
            InvalidArgumentError: This thread is in a transaction.
        """
        if self._inside == get_ident():
            raise InvalidArgumentError(
                "a write inside a write of the same thread would wait for itself",
                hint="use the handle that transact() gives to your function",
            )

    def begin(self, timeout_s: float, *, numbered: bool = True) -> None:
        """Take the process's turn to write, and look whether the file is still the one.

        What gets no number needs no mark.

        Raises:
            EngineBusyError: Another thread kept the turn.
            EngineUnavailableError: The file was deleted or replaced.
        """
        if not self._turn.acquire(timeout=timeout_s):
            raise EngineBusyError(f"another thread of this process kept {self.path} locked")
        self._check_place()
        if numbered and self._mark is not None and not self._mark.exists():
            # Others use the new one: what is said in this one nobody hears.
            try:
                self._use(self._mark.again())
            except OSError as error:
                raise _unwritten(self.path + marks.SUFFIX, error) from error

    def _use(self, mark: Mark | None) -> None:
        self._old += [each for each in (self._seats, self._mark) if each is not None]
        if mark is not None:
            self._mark, self._seats = mark, Seats(mark, self.place)
            self._gate = Gate(mark, self._seats)

    def end(self) -> None:
        """Give the process's turn back."""
        while self._turn._is_owned():
            self._turn.release()

    def _check_place(self) -> None:
        try:
            found = os.stat(self.path)
        except OSError as error:
            raise _replaced(self.path, "is gone") from error
        if (found.st_dev, found.st_ino) != self.place:
            raise _replaced(self.path, "was replaced by another file")

    def enter(self) -> None:
        """Pass the gate, in turn, or without it if whoever has it does not move on."""
        if self._gate is not None:
            self._gate.enter()

    def leave(self, *, last: bool) -> None:
        """Give the gate back; `last` says that this process will not soon be here again."""
        if self._gate is not None:
            self._gate.leave(last=last)

    # --- numbers ---

    def assign(self, *, durable: bool, touched: bool) -> int:
        """Return the number of a transaction that is about to commit; its write lock is held.

        Numbers rise in the order of the log, with holes. `touched` says that it wrote what
        readers may have kept; they must see that before it is committed. 0 without a mark.

        Raises:
            EngineUnavailableError: A sync has failed, so nothing durable can be promised.
            StorageFullError: There is no room for the mark.
        """
        mark = self._mark
        if mark is None:
            if durable and self._failed:
                raise _poisoned(self.path)
            return 0
        try:
            counters = mark.read() or self._begin_anew(mark)
            if durable and (counters[POISONED] or self._failed):
                raise _poisoned(self.path)
            number = max(counters[ASSIGNED], counters[PUBLISHED], counters[SYNCED]) + 1
            mark.write(ASSIGNED, number, words=1 + touched)  # TOUCHED follows it
        except OSError as error:
            raise _unwritten(self.path, error) from error
        return number

    def _begin_anew(self, mark: Mark) -> Sequence[int]:
        """Reset the mark; the write lock is held, so nobody commits meanwhile."""
        descriptor = self._log_now()
        try:
            datasync(descriptor)  # whatever was committed before
        except OSError:
            self.poison()
            mark.reset(poisoned=True)
            raise
        mark.reset(named=os.fstat(descriptor).st_ino)
        counters = mark.read()
        if counters is None:
            raise OSError(errno.EIO, "it does not keep what is written to it")
        return counters

    def publish(self, number: int) -> None:
        """Say that the commit with this number is complete."""
        if self._mark is not None and number:
            with suppress(OSError):  # unsaid it costs others a sync
                self._mark.write(PUBLISHED, number)

    def touched(self) -> int:
        """Return the number of the last commit that wrote what readers may keep.

        0 if it is not known, or not complete.
        """
        return 0 if self._mark is None else self._mark.touched()

    # --- durable ---

    def settle(self, number: int) -> None:
        """Return when the commit with this number is durable, by whoever's sync.

        Raises:
            AmbiguousCommitError: The sync failed: it may or may not survive a power loss.
        """
        mark, seats = self._mark, self._seats
        if mark is None or seats is None:
            return  # SQLite synced it
        deadline = time.monotonic() + max(LEAD_S, 4 * self._sync_s)
        seated = False
        try:
            while True:
                if seated:  # before looking, else who leads might look for those who wait first
                    seats.wait(FOR_SYNC, number)
                if self._try_to_lead(mark, number):
                    return
                if self._covers(mark, mark.read(), number):
                    return
                if self._lead_stuck or time.monotonic() >= deadline:
                    self._lead_stuck = True
                    self._sync_alone()  # and say nothing of it: who leads may only be slow
                    return
                if seated:
                    seats.sleep(FOR_SYNC, LEAD_LOOK_S)
                elif seats.seated() and self._in_seat.acquire(blocking=False):
                    seated = True
                else:
                    pause(LEAD_PAUSE_S)
        finally:
            if seated:
                seats.wait(FOR_SYNC, 0)
                self._in_seat.release()

    def flush(self) -> None:
        """Sync whatever has been committed until now, whoever committed it.

        For a success that wrote nothing, and for what leaves the store: what it relies on may be
        a dead process's commit, of which the mark knows nothing.

        Raises:
            AmbiguousCommitError: The sync failed.
        """
        self._sync_alone()

    def _try_to_lead(self, mark: Mark, number: int) -> bool:
        """Sync for everybody, unless somebody does; tell whether `number` is durable now."""
        led = False
        try:
            if not self._leading.acquire(blocking=False) or not mark.lock(LEAD):
                return False
            led = True
            self._lead_stuck = False
            self._lead(mark, number)
            return True
        finally:
            if self._leading._is_owned():
                mark.unlock(LEAD)
                self._leading.release()
            if led:
                self._wake_covered(mark)

    def _wake_covered(self, mark: Mark) -> None:
        """Wake whoever leads next, and all whose commits are durable."""
        seats = self._seats
        line = [] if seats is None else seats.waiting(FOR_SYNC)
        counters = mark.read() if line else None
        if seats is None or counters is None:
            return
        synced = counters[SYNCED]
        seats.wake(FOR_SYNC, [seat for number, seat in line if number > synced], first=True)
        seats.wake(FOR_SYNC, [seat for number, seat in line if number <= synced])

    def _lead(self, mark: Mark, number: int) -> None:
        reached("lead-held")
        counters = mark.read()
        if counters is None:
            self._sync_alone()
            return
        if self._covers(mark, counters, number):
            return
        target = max(number, counters[PUBLISHED])  # read before the sync begins
        counters = self._sync_alone()
        reached("synced")
        if counters is not None and counters[SYNCED] < target <= counters[ASSIGNED]:
            with suppress(OSError):  # unsaid it costs others a sync
                mark.write(SYNCED, target)

    def _covers(self, mark: Mark, counters: Sequence[int] | None, number: int) -> bool:
        """Tell whether somebody's sync covers the commit with this number.

        Raises:
            AmbiguousCommitError: A sync failed.
        """
        if counters is None:
            return False
        self._refuse_if_poisoned(counters)
        # Read twice: between header and counters another file's mark may have begun.
        return counters[SYNCED] >= number and mark.read() is not None

    def _sync_alone(self) -> Sequence[int] | None:
        """Sync; return the counters of after it."""
        # One at a time: a descriptor tells of a failure once, and whoever else asks meanwhile
        # would be told that all is well.
        with self._syncing:
            self._refuse_if_poisoned()
            try:
                descriptor = self._log_now()
            except OSError as error:
                raise AmbiguousCommitError(f"opening {self.path}-wal failed: {error}") from error
            began = time.monotonic()
            try:
                datasync(descriptor)
            except OSError as error:
                # Never again: the system may have dropped what it could not write.
                self.poison()
                raise AmbiguousCommitError(f"syncing {self.path}-wal failed: {error}") from error
            self._sync_s = time.monotonic() - began
            counters = self.counters()
            self._refuse_if_poisoned(counters)  # another process may have been told of a failure
            return counters

    def prepare(self) -> None:
        """Open what a sync needs while failing is still harmless.

        Raises:
            EngineUnavailableError: It cannot be opened; nothing was written.
        """
        if self._log_descriptor is None and not self.direct:
            try:
                self._log_now()
            except OSError as error:
                raise _unwritten(self.path + "-wal", error) from error

    def _log_now(self) -> int:
        """Return the descriptor of the log.

        Raises:
            OSError: It cannot be opened, or is not the one that was opened first: as long as we
                have the database open nobody may replace it, so our commits are elsewhere.
        """
        path = self.path + "-wal"
        found = os.stat(path)
        if self._log_descriptor is not None:
            if (found.st_dev, found.st_ino) != self._log_place:
                raise OSError(errno.ESTALE, "it was replaced while it was open")
            return self._log_descriptor
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
        try:
            opened = os.fstat(descriptor)
            self._make_name_durable(opened.st_ino)
        except BaseException:
            os.close(descriptor)
            raise
        self._log_place = (opened.st_dev, opened.st_ino)
        self._log_descriptor = descriptor
        return descriptor

    def _make_name_durable(self, inode: int) -> None:
        counters = None if self._mark is None else self._mark.read()
        if counters is None or counters[NAMED] != inode:
            sync_folder(os.path.dirname(self.path))
            if self._mark is not None and counters is not None:
                with suppress(OSError):
                    self._mark.write(NAMED, inode)

    # --- failed syncs ---

    def poison(self) -> None:
        """Note that a sync failed: nothing durable is promised until the store was found whole."""
        self._failed = True
        if self._mark is not None and self._mark.read() is not None:
            with suppress(OSError):
                self._mark.write(POISONED, 1)

    @property
    def poisoned(self) -> bool:
        """Tell whether a sync has failed since the store was last found whole."""
        counters = self.counters()
        return self._failed or (counters is not None and bool(counters[POISONED]))

    def _refuse_if_poisoned(self, counters: Sequence[int] | None = None) -> None:
        if self._failed or (counters is not None and counters[POISONED]):
            raise AmbiguousCommitError(f"a sync of {self.path}-wal failed")

    def heal(self) -> None:
        """Begin anew after the database was checked; its write lock is held.

        Raises:
            OSError: The sync fails still.
        """
        descriptor = self._log_now()
        datasync(descriptor)
        if self._mark is not None:
            self._mark.reset(named=os.fstat(descriptor).st_ino)
        self._failed = False

    # --- the rest ---

    def alone(self) -> bool:
        """Tell whether nobody else has the store open, as far as that can be told."""
        return self.users == 1 and self._mark is not None and self._mark.alone()

    def counters(self) -> Sequence[int] | None:
        """Return the counters of the mark, None if there are none that hold."""
        return None if self._mark is None else self._mark.read()

    def close(self) -> None:
        """Close what is open; only when nobody uses it."""
        for each in [self._seats, self._mark, *self._old]:
            if each is not None:
                each.close()
        if self._log_descriptor is not None:
            os.close(self._log_descriptor)


_groups: dict[tuple[int, int], CommitGroup] = {}
_abandoned: list[CommitGroup] = []
_joining = Lock()
_tainted: set[str] = set()


def join(path: str, boot_id: int) -> CommitGroup:
    """Return this process's group for the database file at `path`, which must exist.

    Raises:
        EngineUnavailableError: The mark cannot be opened, or see `taint`.
    """
    found = os.stat(path)
    place = (found.st_dev, found.st_ino)
    with _joining:
        _bury()
        if path in _tainted:
            raise EngineUnavailableError(
                f"this process was forked while another thread used {path}",
                hint="start processes by spawn or exec, or fork before threads use the store",
            )
        group = _groups.get(place)
        if group is None:
            group = _groups[place] = CommitGroup(path, place, _open_mark(path, place, boot_id))
        group.users += 1
        return group


def abandon(group: CommitGroup) -> None:
    """Count one user less, who was collected as garbage and never closed.

    That happens anywhere, also in the middle of `join`, so it is only noted here.
    """
    _abandoned.append(group)


def _bury() -> None:
    """Leave the groups that were abandoned: a new file may get the number of an old one."""
    while _abandoned:
        _leave(_abandoned.pop())


def joined(path: str) -> CommitGroup | None:
    """Return this process's group for the database file at `path`, None if it has none open."""
    found = os.stat(path)
    return _groups.get((found.st_dev, found.st_ino))


def stay(group: CommitGroup) -> None:
    """Count one user more of a group, so that it is not closed under a write.

    Raises:
        EngineUnavailableError: It is closed.
    """
    with _joining:
        if not group.users:
            raise EngineUnavailableError(f"{group.path} was closed", hint="open it again")
        group.users += 1


def leave(group: CommitGroup) -> None:
    """Say that one user fewer needs the group."""
    with _joining:
        _bury()
        _leave(group)


def _leave(group: CommitGroup) -> None:
    group.users -= 1
    if not group.users:
        if _groups.get(group.place) is group:
            del _groups[group.place]
        group.close()


def forget(inherited: Iterable[str]) -> None:
    """Begin anew in a forked child, where `inherited` are files it must not open.

    What another thread of the parent was using cannot be closed here, and as long as it is open
    SQLite believes that this process has locks which only its parent has.
    """
    global _joining
    _joining = Lock()
    _tainted.update(inherited)
    _abandoned.clear()
    for group in _groups.values():
        group.users = 0  # whoever had it joins anew
        group.close()  # locks are a process's own: these descriptors have none
    _groups.clear()


def sync_folder(path: str) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritten(path: str, error: OSError) -> SwarmMemoryError:
    what = f"cannot write {path}: {error.strerror or error}; nothing was written"
    if error.errno == errno.ENOSPC:
        return StorageFullError(what)
    return EngineUnavailableError(what, hint="check the disk, and how many files may be open")


def protocol(path: str) -> str:
    """Return how commits to a database at `path` become durable: "shared" or "direct"."""
    return "direct" if not marks.supported() or mounts.on_network(path) else "shared"


def _open_mark(path: str, place: tuple[int, int], boot_id: int) -> Mark | None:
    if not marks.supported():
        return None
    try:
        mark = Mark(path, place, boot_id)
    except OSError as error:
        readonly = error.errno in (errno.EACCES, errno.EROFS) and not os.access(path, os.W_OK)
        if readonly:
            return None  # it cannot be written, so nobody has to be told
        # Without a number for each write other processes would not know of it.
        raise EngineUnavailableError(
            f"cannot open {path}{marks.SUFFIX}: {error.strerror}", hint="check who may write it"
        ) from error
    if mark.read() is None and mounts.on_network(path):
        mark.close()
        return None
    return mark


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


_failpoint, _failure, _passes_left = "", 0, 0


def arm(failpoint: str) -> None:
    """Let this process die or stop at a failpoint, for tests; see `FAILPOINTS`."""
    import signal  # only here: no hook pays for it

    global _failpoint, _failure, _passes_left
    name, _, rest = failpoint.partition(":")
    kind, _, times = rest.partition(":")
    known = FAILPOINTS + MOVE_FAILPOINTS
    if name not in known or kind not in ("kill", "stop"):
        raise InvalidArgumentError(
            f"failpoint {failpoint!r}", hint="NAME:kill or NAME:stop of " + ", ".join(known)
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
