"""What a power loss may leave of a recorded history.

At a moment of the history a file holds what was synced, and of the changes since then any part:
whole writes or single 512-byte sectors of them, in any order, or garbage where one was under way.
A name that was not synced may be missing. The index of the log (-shm) never survives.
"""

from collections import namedtuple

from recording_vfs import (
    FOLDER_BEGAN,
    FOLDER_ENDED,
    LINK,
    SYNC_BEGAN,
    SYNC_ENDED,
    TRUNCATE,
    UNLINK,
    WRITE,
)

SECTOR = 512  # what a disk writes whole
KINDS = ("none", "all", "some", "prefix", "torn", "garbage")

Change = namedtuple("Change", "at offset data")  # data None: cut off at offset


class File:
    """One inode: what is durable, and what was written since."""

    def __init__(self):
        self.durable = bytearray()
        self.pending = []

    def settle(self, before):
        """A sync that began at `before` has ended."""
        while self.pending and self.pending[0].at < before:
            _apply(self.durable, self.pending.pop(0))


class Disk:
    """A disk on which a journal is played event by event."""

    def __init__(self):
        self.at = 0
        self._inodes = {}
        self._names = {}  # name → file as it is durable
        self._named = []  # (at, name, file or None) since then
        self._now = {}
        self._began = {}

    def play(self, event):
        """Take one more event."""
        kind, at = event.kind, self.at
        if kind == WRITE:
            self._inodes[event.inode].pending.append(Change(at, event.offset, event.data))
        elif kind == TRUNCATE:
            self._inodes[event.inode].pending.append(Change(at, event.offset, None))
        elif kind in (SYNC_BEGAN, FOLDER_BEGAN):
            self._began[event.offset] = at
        elif kind == SYNC_ENDED:
            self._inodes[event.inode].settle(self._began.pop(event.offset))
        elif kind == FOLDER_ENDED:
            self._settle_names(self._began.pop(event.offset))
        elif kind == LINK:
            self._link(event.data.decode(), event.inode)
        elif kind == UNLINK:
            self._name(event.data.decode(), None)
        self.at += 1

    def image(self, kind, choose):
        """Return name → content after a power loss now, of the given kind."""
        named = {"none": 0, "all": len(self._named)}.get(kind, choose.randint(0, len(self._named)))
        files = self._names | {name: file for _, name, file in self._named[:named]}
        return {name: _left(file, kind, choose) for name, file in files.items() if file is not None}

    def _link(self, name, inode):
        file = self._inodes.get(inode)
        if file is not None and self._now.get(name) is file:
            return
        if file is None or file not in self._now.values():
            file = self._inodes[inode] = File()  # a number may come again
        self._name(name, file)

    def _name(self, name, file):
        self._now[name] = file
        self._named.append((self.at, name, file))

    def _settle_names(self, before):
        while self._named and self._named[0][0] < before:
            _, name, file = self._named.pop(0)
            self._names[name] = file


def _left(file, kind, choose):
    content = bytearray(file.durable)
    if kind == "none":
        return content
    pending = file.pending
    if kind == "prefix":
        pending = pending[: choose.randint(0, len(pending))]
    keep = 1.0 if kind in ("all", "prefix") else choose.choice((0.1, 0.5, 0.9, 0.99))
    for change in pending:
        whole = keep == 1.0 or choose.random() < keep
        if kind in ("all", "some", "prefix") or change.data is None:
            if whole:
                _apply(content, change)
        else:
            _apply_torn(content, change, keep, kind == "garbage", choose)
    return content


def _apply(content, change):
    if change.data is None:
        del content[change.offset :]
        return
    _extend(content, change.offset)
    content[change.offset : change.offset + len(change.data)] = change.data


def _apply_torn(content, change, keep, garbage, choose):
    start, end = change.offset, change.offset + len(change.data)
    while start < end:
        stop = min(end, (start // SECTOR + 1) * SECTOR)
        if choose.random() < keep:
            _apply(content, Change(0, start, change.data[start - change.offset :][: stop - start]))
        elif garbage and choose.random() < 0.3:
            _apply(content, Change(0, start, choose.randbytes(stop - start)))
        elif choose.random() < 0.3:
            _extend(content, stop)  # the new size is there and the content is not
        start = stop


def _extend(content, size):
    if len(content) < size:
        content.extend(bytes(size - len(content)))
