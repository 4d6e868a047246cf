"""A VFS whose calls fail when they are told to: the n-th of a kind, once or from then on."""

import errno

import apsw

OPERATIONS = ("read", "write", "sync", "truncate", "delete", "open", "size")
_CODES = {
    "read": apsw.SQLITE_IOERR_READ,
    "write": apsw.SQLITE_IOERR_WRITE,
    "sync": apsw.SQLITE_IOERR_FSYNC,
    "truncate": apsw.SQLITE_IOERR_TRUNCATE,
    "delete": apsw.SQLITE_IOERR_DELETE,
    "size": apsw.SQLITE_IOERR_FSTAT,
}

_registered = []  # SQLite does not keep a VFS alive


class Fault:
    """Which call fails and how.

    Args:
        operation: One of `OPERATIONS`, or "datasync" for the engine's own sync.
        error: "eio", "full", or "short": a part is written, then the disk is full.
    """

    def __init__(self, operation, error, *, sticky):
        self.operation, self.error, self.sticky = operation, error, sticky
        self.countdown = None
        self.hits = 0

    def arm(self, nth):
        """Let the nth call from now on fail."""
        self.countdown, self.hits = nth, 0

    def disarm(self):
        """Let everything succeed again; tell how many calls failed."""
        self.countdown = None
        return self.hits

    def strikes(self, operation):
        """Tell whether this call is to fail."""
        if self.countdown is None or operation != self.operation:
            return False
        self.countdown -= 1
        if self.countdown > 0 or (self.countdown < 0 and not self.sticky):
            return False
        self.hits += 1
        return True

    def check(self, operation):
        """Raise what SQLite makes of the system's error, if this call is to fail."""
        if self.strikes(operation):
            raise self.failure()

    def failure(self):
        """Return the error as SQLite reports it."""
        if self.operation == "open":
            return apsw.CantOpenError("unable to open database file")
        if self.error in ("full", "short"):
            return apsw.FullError("database or disk is full")
        error = apsw.IOError("disk I/O error")
        error.extendedresult = _CODES[self.operation]
        return error

    def failing(self, datasync):
        """Return the engine's own sync, which fails when it is to."""

        def faulty(descriptor):
            if self.strikes("datasync"):
                number = errno.ENOSPC if self.error == "full" else errno.EIO
                raise OSError(number, "planted")
            datasync(descriptor)

        return faulty


class FaultyVFS(apsw.VFS):
    """The default VFS of a process, with a fault in it."""

    def __init__(self, fault):
        self.base = apsw.vfs_names()[0]
        super().__init__("faulty", self.base, makedefault=True)
        _registered.append(self)
        self.fault = fault

    def xOpen(self, name, flags):
        self.fault.check("open")
        return FaultyFile(self, name, flags)

    def xDelete(self, name, sync_directory):
        self.fault.check("delete")
        super().xDelete(name, sync_directory)


class FaultyFile(apsw.VFSFile):
    """One open file."""

    def __init__(self, vfs, name, flags):
        super().__init__(vfs.base, name, flags)
        self._fault = vfs.fault

    def xRead(self, amount, offset):
        self._fault.check("read")
        return super().xRead(amount, offset)

    def xWrite(self, data, offset):
        if self._fault.strikes("write"):
            if self._fault.error == "short":
                super().xWrite(bytes(data)[: len(data) // 2], offset)
            raise self._fault.failure()
        super().xWrite(data, offset)

    def xTruncate(self, size):
        self._fault.check("truncate")
        super().xTruncate(size)

    def xSync(self, flags):
        self._fault.check("sync")
        return super().xSync(flags)

    def xFileSize(self):
        self._fault.check("size")
        return super().xFileSize()
