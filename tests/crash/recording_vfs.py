"""The recorder: a VFS that notes every change of every file in one journal.

The journal is a file in append mode and an event is one write, so its order is the order in which
things happened, over all threads and processes, and it survives whoever is killed. Names and
inodes are noted apart. Nothing is really synced: what would be durable is decided by `images`.
"""

import itertools
import json
import os
import signal
import struct
import threading
from collections import namedtuple

import apsw

WRITE, TRUNCATE, SYNC_BEGAN, SYNC_ENDED, LINK, UNLINK, FOLDER_BEGAN, FOLDER_ENDED, NOTE = range(9)
HEADER = struct.Struct("<BQQI")  # kind, inode or number of the sync, offset, bytes that follow

Event = namedtuple("Event", "kind inode offset data")

# The first sync of such a file, opened to be created, syncs its directory too (unixSync).
_JOURNALS = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL

_registered = []  # SQLite does not keep a VFS alive


class Journal:
    """Where this process appends.

    As a context it is held while a file is changed and the change is noted, so that a process that
    is to die does so between two changes and never after one that is not noted.
    """

    def __init__(self, path):
        self._descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self.left = None  # steps until this process kills itself; None lives on
        self.last_step = None  # which steps count; None counts all

    def __enter__(self):
        self._lock.acquire()
        return self

    def __exit__(self, *_):
        self._lock.release()

    def add(self, kind, inode=0, offset=0, data=b""):
        """Append an event."""
        with self._lock:
            os.write(self._descriptor, HEADER.pack(kind, inode, offset, len(data)) + data)
            self.step()

    def step(self, name=None):
        """Come one step nearer to this process's death, if it is to die."""
        with self._lock:
            if self.left is not None and self.last_step in (None, name):
                self.left -= 1
                if self.left <= 0:
                    os.kill(os.getpid(), signal.SIGKILL)

    def note(self, **fields):
        """Append what the workload has to say: what it asks for, what was acknowledged."""
        self.add(NOTE, data=json.dumps(fields).encode())

    def sync(self, inode, during=lambda: None):
        """Note a sync of a file's content: it covers what was noted before it began."""
        number = self._number()
        self.add(SYNC_BEGAN, inode, number)
        during()
        self.add(SYNC_ENDED, inode, number)

    def sync_folder(self):
        """Note a sync of the directory: the names as they were when it began are durable."""
        number = self._number()
        self.add(FOLDER_BEGAN, 0, number)
        self.add(FOLDER_ENDED, 0, number)

    def _number(self):
        return os.getpid() << 32 | next(self._numbers)


class RecordingVFS(apsw.VFS):
    """The default VFS of a process, and a journal of what goes through it."""

    def __init__(self, journal, *, sync_of=lambda name: True, during=lambda: None):
        self.base = apsw.vfs_names()[0]  # the default, before this one takes its place
        super().__init__("recording", self.base, makedefault=True)
        _registered.append(self)
        self.journal = journal
        self.sync_of = sync_of
        self.during = during

    def xOpen(self, name, flags):
        if name is None:  # a temporary file
            return apsw.VFSFile(self.base, name, flags)
        return RecordingFile(self, name, flags)

    def xDelete(self, name, sync_directory):
        with self.journal as journal:
            super().xDelete(name, sync_directory)
            journal.add(UNLINK, data=os.path.basename(name).encode())
        if sync_directory:
            self.journal.sync_folder()


class RecordingFile(apsw.VFSFile):
    """One open file."""

    def __init__(self, vfs, name, flags):
        super().__init__(vfs.base, name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._vfs, self._journal = vfs, vfs.journal
        self._inode = os.stat(path).st_ino
        self._name = os.path.basename(path)
        self._new = bool(flags[0] & apsw.SQLITE_OPEN_CREATE and flags[0] & _JOURNALS)
        self._journal.add(LINK, self._inode, data=self._name.encode())

    def xWrite(self, data, offset):
        with self._journal as journal:
            super().xWrite(data, offset)
            journal.add(WRITE, self._inode, offset, bytes(data))

    def xTruncate(self, size):
        with self._journal as journal:
            super().xTruncate(size)
            journal.add(TRUNCATE, self._inode, size)

    def xSync(self, flags):
        if not self._vfs.sync_of(self._name):
            return True
        self._journal.sync(self._inode, self._vfs.during)
        if self._new:
            self._new = False
            self._journal.sync_folder()
        return True


def read_journal(path):
    """Return all events in order."""
    with open(path, "rb") as file:
        content = file.read()
    events, at = [], 0
    while at < len(content):
        kind, inode, offset, size = HEADER.unpack_from(content, at)
        at += HEADER.size
        events.append(Event(kind, inode, offset, content[at : at + size]))
        at += size
    return events
