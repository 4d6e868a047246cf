"""Planted faults: each breaks one rule of durable writing, in the processes that are recorded.

The simulator must find every one of them; one that it does not find shows that it is blind there.
"""

import os
import random

from swarm_memory.engine import mark as marks
from swarm_memory.engine import sqlite, sync
from swarm_memory.engine.mark import ASSIGNED, PUBLISHED, SYNCED, Mark

Group = sync.CommitGroup


def log_is_not_synced_before_it_is_moved(journal, vfs):
    """SQLite asks for a sync of the log before a checkpoint, and nothing happens."""
    vfs.sync_of = lambda name: not name.endswith("-wal")


def acknowledged_before_the_sync(journal, vfs):
    """Who committed does not wait for a sync."""
    Group.settle = lambda self, number: None


def wrong_file_is_synced(journal, vfs):
    """The database file is synced instead of the log."""
    original = Group._sync_alone

    def sync_alone(self):
        sync.datasync = lambda descriptor: journal.sync(os.stat(self.path).st_ino)
        original(self)

    Group._sync_alone = sync_alone


def descriptor_of_an_old_log(journal, vfs):
    """A descriptor of the log is kept though the log was unlinked and made anew."""
    kept = {}

    def log_now(self):
        if os.getpid() not in kept:
            kept[os.getpid()] = os.open(self.path + "-wal", os.O_RDWR)
            sync.sync_folder(os.path.dirname(self.path))
        return kept[os.getpid()]

    Group._log_now = log_now


def mark_of_another_age(journal, vfs):
    """The counters begin anew and `synced` stays as high as it was."""
    read, reset, high = Mark.read, Mark.reset, 2**60

    def reset_but_synced(self, **said):
        reset(self, **said)
        self.write(SYNCED, high)
        self.write(ASSIGNED, 1)
        self.write(PUBLISHED, 1)

    def read_unchecked(self):
        data = os.pread(self.descriptor, marks._BYTES, 0)
        if len(data) == marks._BYTES:
            counters = marks._COUNTERS.unpack_from(data, marks._HEADER.size)
            if counters[SYNCED] == high:
                return counters
        return read(self)

    def assign(self, **said):
        counters = self._mark.read() or self._begin_anew(self._mark)
        self._mark.write(ASSIGNED, counters[ASSIGNED] + 1)
        return counters[ASSIGNED] + 1

    Mark.reset, Mark.read, Group.assign = reset_but_synced, read_unchecked, assign


def _lead_by(word, late):
    def lead(self, mark, number):
        words = mark.read()
        # As it is: who finds himself covered does not sync, and so trusts what was said wrongly.
        if self._covers(mark, words, number):
            return
        target = words and max(number, words[word])
        self._sync_alone()
        if late:
            words = mark.read()
            target = words and max(number, words[word])
        if target:
            mark.write(SYNCED, target)

    return lead


def target_is_what_was_assigned(journal, vfs):
    """The leader says that what is about to be committed is synced too."""
    Group._lead = _lead_by(ASSIGNED, late=False)


def target_is_read_after_the_sync(journal, vfs):
    """The leader says that what was committed during its sync is synced too."""
    Group._lead = _lead_by(PUBLISHED, late=True)


def _repeat_writes_nothing():
    run = sqlite.SqliteTx.run
    sqlite.SqliteTx.run = lambda self, statement, /, **parameters: (
        1 if statement == "op_touch" else run(self, statement, **parameters)
    )


def repeat_is_acknowledged_without_a_sync(journal, vfs):
    """A repeated call finds its op_id and is acknowledged."""
    _repeat_writes_nothing()
    Group.flush = lambda self: None


def repeat_is_acknowledged_by_the_mark(journal, vfs):
    """A repeated call finds its op_id and is acknowledged when all that was published is synced."""
    _repeat_writes_nothing()

    def flush(self):
        words = self._mark.read()
        if words is None or words[PUBLISHED] > words[SYNCED]:
            self._sync_alone()

    Group.flush = flush


def peers_never_sync(journal, vfs):
    """In half of the processes SQLite never syncs, as with synchronous=OFF."""
    vfs.sync_of = lambda name: os.getpid() % 2 == 0


def failed_sync_is_not_told(journal, vfs):
    """Now and then a sync fails, and whoever led it goes on as if it had not."""
    choose = random.Random(1)

    def sync_alone(self):
        descriptor = self._log_now()
        if choose.random() < 0.7:
            sync.datasync(descriptor)

    Group._sync_alone = sync_alone


ALL = {
    function.__name__: function
    for function in (
        acknowledged_before_the_sync,
        wrong_file_is_synced,
        descriptor_of_an_old_log,
        mark_of_another_age,
        target_is_what_was_assigned,
        target_is_read_after_the_sync,
        repeat_is_acknowledged_without_a_sync,
        repeat_is_acknowledged_by_the_mark,
        peers_never_sync,
        failed_sync_is_not_told,
        log_is_not_synced_before_it_is_moved,
    )
}


def plant(name, journal, vfs):
    """Plant the fault `name`; None plants nothing."""
    if name is not None:
        ALL[name](journal, vfs)
