"""What the driver says went wrong, as one of our errors: its own never leave the engine."""

from __future__ import annotations

import apsw

from swarm_memory.errors import (
    DamagedError,
    EngineBusyError,
    EngineUnavailableError,
    StorageFullError,
    SwarmMemoryError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_HINTS = (
    (apsw.NotADBError, "it is no SQLite database, or its head is damaged: see swarm-memory doctor"),
    (apsw.CantOpenError, "check that the directory exists and may be written"),
    (apsw.ReadOnlyError, "the file or its directory is read-only"),
    (apsw.IOError, "the disk or file system failed: check its log"),
)


class translated:
    """Translates what the block raises."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, apsw.Error):
            raise translate(error, self._path) from error


def translate(error: apsw.Error, path: str) -> SwarmMemoryError:
    """Return the driver's error as one of ours."""
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return _busy(error, path)
    if isinstance(error, apsw.FullError):
        return StorageFullError(f"no space left for {path}: {error}")
    if isinstance(error, apsw.CorruptError):
        return damaged(path, error)
    if isinstance(error, apsw.ConstraintError):
        from swarm_memory.engine.fence import moved_error

        moved = moved_error(str(error))
        if moved is not None:
            return moved
    hint = next((text for kind, text in _HINTS if isinstance(error, kind)), "report this")
    unavailable = EngineUnavailableError(f"{path}: {error}", hint=hint)
    unavailable.retryable = isinstance(error, apsw.IOError)
    return unavailable


def damaged(path: str, error: Exception) -> DamagedError:
    """Return the error for a file in which something is not as SQLite, or we, wrote it."""
    return DamagedError(
        f"{path}: {error}",
        hint="see what is lost with: swarm-memory verify; save the rest with: swarm-memory repair",
    )


def is_failed_sync(error: BaseException) -> bool:
    """Tell whether the driver met a sync that failed."""
    code = getattr(error, "extendedresult", 0)
    return code in (apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC)


def _busy(error: apsw.Error, path: str) -> EngineBusyError:
    from swarm_memory.engine.holder import holder_of_write_lock

    pid = holder_of_write_lock(path)
    who = "another process" if pid is None else f"process {pid}"
    busy = EngineBusyError(f"{path} stayed locked by {who}: {error}")
    if pid is not None:
        busy.pid = pid
        busy.hint = f"retry; if it stays, process {pid} may be frozen: let it go on, or end it"
    return busy
