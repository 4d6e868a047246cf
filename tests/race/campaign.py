"""A campaign of lease acquisitions by processes that are stopped and killed at random.

What it finds out, it finds out without the product. Each process has a slot per name in memory
that all of them map. It enters its mode when an acquire has returned and clears it before it
releases; in between it looks at the slots of the others. Only its owner writes a slot, so there
is nothing to lock. Next to the mode stands the time until which the lease cannot have lapsed: the
moment before the call, plus the time to live. Two modes that exclude each other, entered at one
moment while neither can have lapsed, are a violation.

A process that was stopped for longer than that may find somebody else inside. Then the fence has
to decide: each write stores its token, is logged with the version that it became, and in the
order of versions no token may be followed by a lower one. Tokens have to rise from grant to
grant as well.
"""

import itertools
import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import time
from collections import namedtuple

from swarm_memory import Swarm
from swarm_memory.errors import EngineBusyError, LeaseHeldError, LeaseLostError

COUNTS = ("acquisitions", "writes", "refused", "lost", "upgrades", "renewals", "ended")
READ, WRITE = 1, 2  # what is entered; exclusive excludes what write excludes
TTL_S, TTL_S_SHORT = 1.5, 0.2
STOP_S_MAX = 2.5
RESOLUTION_NS = 2_000_000  # the store counts in milliseconds
SWARM = "campaign"
WRITTEN = struct.Struct("<QQQ")  # name, version, token

Result = namedtuple("Result", "counts violations kills stops inversions errors")


def now_ns():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Board:
    """The memory that all processes map: who is inside where, and what each has done.

    Per name and process the mode, the last token, the last token of a writer, and the time until
    which the lease holds for sure; per process the counts; and a word that tells all to stop.
    """

    def __init__(self, path, processes, names):
        self.processes, self.names = processes, names
        cells = 4 * processes * names + len(COUNTS) * processes + 1
        with open(path, "a+b") as file:
            file.truncate(8 * cells)
            words = memoryview(mmap.mmap(file.fileno(), 8 * cells)).cast("Q")
        size = processes * names
        self.modes, self.tokens, self.written, self.until = (
            words[field * size : (field + 1) * size] for field in range(4)
        )
        self.counts, self.stop = words[4 * size : -1], words[-1:]

    def total(self, name):
        return sum(self.counts[COUNTS.index(name) :: len(COUNTS)])

    def clear(self, process):
        """Take `process`, which is inside nowhere any more, out of all names."""
        for name in range(self.names):
            self.modes[name * self.processes + process] = 0


class Player:
    """One process: takes leases in all ways there are until the board says stop."""

    def __init__(self, swarm, board, process, folder, seed):
        self.swarm, self.leases, self.board, self.process = swarm, swarm.leases, board, process
        self.choose = random.Random(seed)
        self.log = os.open(f"{folder}/written-{seed}", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self.violations = os.open(f"{folder}/violations", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self.session = swarm.context.session

    def play(self):
        ways, weights = zip(*WAYS.items(), strict=True)
        while not self.board.stop[0]:
            way = self.choose.choices(ways, weights)[0]
            try:
                way(self)
            except LeaseHeldError:
                pass  # the wait was over
            except LeaseLostError:
                self.count("lost")
            except EngineBusyError:
                # Somebody was stopped inside a transaction for longer than the store waits.
                self.board.clear(self.process)

    # --- the detector ---

    def count(self, name, by=1):
        self.board.counts[self.process * len(COUNTS) + COUNTS.index(name)] += by

    def slot(self, lease):
        return int(lease.name) * self.board.processes + self.process

    def row(self, lease):
        start = int(lease.name) * self.board.processes
        return slice(start, start + self.board.processes)

    def enter(self, lease, asked_ns):
        """Note that `lease`, asked for at `asked_ns`, is held now, and look who else is there."""
        board, slot = self.board, self.slot(lease)
        mode = READ if lease.mode == "read" else WRITE
        until = asked_ns + round(lease.ttl_s * 1e9) - RESOLUTION_NS
        # Whoever wrote was let in before; a writer was let in after everybody.
        earlier = (board.written if mode == READ else board.tokens)[self.row(lease)]
        highest = max(earlier)
        if lease.token <= highest and now_ns() < until:
            self.accuse(lease, f"token {highest} was given before")
        if lease.token > board.tokens[slot]:
            board.tokens[slot] = lease.token
            if mode == WRITE:
                board.written[slot] = lease.token
        board.until[slot] = until
        board.modes[slot] = mode
        self.count("acquisitions")
        self.look(lease)

    def look(self, lease):
        """Find others inside that `lease` excludes, where neither it nor theirs can have lapsed."""
        board, slot, row = self.board, self.slot(lease), self.row(lease)
        modes = board.modes[row].tolist()
        mine, modes[self.process] = modes[self.process], 0
        if not any(modes) or (mine == READ and WRITE not in modes):
            return
        for other, mode in enumerate(modes):
            if mode == WRITE or (mode and mine == WRITE):
                theirs = board.until[row.start + other]
                # The time comes last: both were inside when the modes were read.
                if now_ns() < min(theirs, board.until[slot]):
                    self.accuse(lease, f"process {other} is inside, mode {mode}")

    def leave(self, lease):
        self.look(lease)
        self.board.modes[self.slot(lease)] = 0

    def accuse(self, lease, what):
        os.write(self.violations, f"process {self.process} {lease!r}: {what}\n".encode())

    # --- what is done inside ---

    def work(self, lease):
        if lease.mode != "read" and self.choose.random() < 0.4:
            self.write(lease)

    def write(self, lease):
        """Write under the fence; the log tells later in which order the writes came."""
        try:
            record = self.swarm.records.put(f"campaign/{lease.name}", lease.token, fence=lease)
        except LeaseLostError:
            self.count("refused")
            raise
        os.write(self.log, WRITTEN.pack(int(lease.name), record.version, lease.token))
        self.count("writes")

    def inside(self, lease, asked_ns):
        self.enter(lease, asked_ns)
        try:
            self.work(lease)
        finally:
            self.leave(lease)

    def name(self):
        return str(self.choose.randrange(self.board.names))

    def mode(self):
        return self.choose.choice(["read", "read", "write", "exclusive"])

    def patience_s(self):
        return self.choose.uniform(0.01, 0.5)

    # --- the ways ---

    def hold(self):
        name, mode, asked_ns = self.name(), self.mode(), now_ns()
        lease = self.leases.acquire(name, mode, ttl_s=TTL_S, wait_s=self.patience_s())
        # In line it was not held yet: the time to live began at the earliest when it was asked.
        with lease:
            self.inside(lease, asked_ns)

    def try_one(self):
        name, mode, asked_ns = self.name(), self.mode(), now_ns()
        lease = self.leases.try_acquire(name, mode, ttl_s=TTL_S)
        if lease is not None:
            with lease:
                self.inside(lease, asked_ns)

    def hold_all(self):
        names, asked_ns = {self.name() for _ in range(3)}, now_ns()
        with self.leases.hold_all(
            names, self.mode(), ttl_s=TTL_S, wait_s=self.patience_s()
        ) as leases:
            for lease in leases:
                self.enter(lease, asked_ns)
            try:
                for lease in leases:
                    self.work(lease)
            finally:
                for lease in leases:
                    self.leave(lease)

    def upgrade(self):
        name, asked_ns = self.name(), now_ns()
        with self.leases.acquire(name, "read", ttl_s=TTL_S, wait_s=self.patience_s()) as lease:
            self.enter(lease, asked_ns)
            try:
                before = max(self.board.written[self.row(lease)])
                asked_ns = now_ns()
                lease.upgrade(self.choose.choice(["write", "exclusive"]), wait_s=self.patience_s())
                after = max(self.board.written[self.row(lease)])
                if before != after and now_ns() < asked_ns + round(lease.ttl_s * 1e9):
                    self.accuse(lease, f"{after} wrote while it went from reading to writing")
                self.count("upgrades")
                self.enter(lease, asked_ns)
                self.work(lease)
            finally:
                self.leave(lease)

    def renew(self):
        """Live on a short time to live that is renewed."""
        name, mode, asked_ns = self.name(), self.mode(), now_ns()
        with self.leases.acquire(name, mode, ttl_s=TTL_S_SHORT, wait_s=self.patience_s()) as lease:
            self.enter(lease, asked_ns)
            try:
                for _ in range(self.choose.randrange(1, 4)):
                    time.sleep(0.002)
                    asked_ns = now_ns()
                    lease.renew()
                    self.count("renewals")
                    until = asked_ns + round(TTL_S_SHORT * 1e9) - RESOLUTION_NS
                    self.board.until[self.slot(lease)] = until
                    self.look(lease)
                self.work(lease)
            finally:
                self.leave(lease)

    def come_late(self):
        """Write when the lease has lapsed and most likely somebody else has written since."""
        name, asked_ns = self.name(), now_ns()
        with self.leases.acquire(name, ttl_s=TTL_S_SHORT, wait_s=self.patience_s()) as lease:
            self.enter(lease, asked_ns)
            try:
                time.sleep(TTL_S_SHORT * 1.5)
                self.write(lease)
            finally:
                self.leave(lease)

    def end_session(self):
        """Leave all at once, without a release, by the end of the session."""
        leases = []
        for name in sorted({self.name(), self.name()}):
            asked_ns = now_ns()
            lease = self.leases.try_acquire(name, self.mode(), ttl_s=TTL_S)
            if lease is not None:
                leases.append(lease)
                self.enter(lease, asked_ns)
        for lease in leases:
            self.leave(lease)
        self.leases.end_session(self.session)
        self.count("ended", len(leases))


WAYS = {
    Player.try_one: 70,
    Player.hold: 8,
    Player.hold_all: 6,
    Player.upgrade: 5,
    Player.renew: 1.0,
    Player.come_late: 0.1,
    Player.end_session: 10,
}


class Campaign:
    """Runs players until `acquisitions` are reached, stops and kills some of them on the way."""

    def __init__(self, folder, *, processes, names, acquisitions, disturb_every, seed=1):
        """`disturb_every` is after how many acquisitions one process is killed or stopped."""
        self.folder, self.acquisitions = str(folder), acquisitions
        self.disturb_every = disturb_every
        self.choose = random.Random(seed)
        self.board = Board(f"{folder}/board", processes, names)
        self.url = f"sqlite:///{folder}/memory.db"
        self.seeds = itertools.count(seed * 1_000_000)
        self.kills = self.stops = 0
        self.errors = []
        self.seed_of = {}
        self.stopped = {}  # process: when it goes on
        self.missing = {}  # process: when it is started anew

    def run(self, progress=lambda line: None):
        with Swarm.open(self.url, agent="umpire", swarm=SWARM, durability="relaxed") as swarm:
            self.leases = swarm.leases
            self.running = {}
            try:
                for process in range(self.board.processes):
                    self.start(process)
                self.watch(progress)
                self.finish()
            finally:
                for running in self.running.values():
                    running.kill()
                    running.communicate()
            return self.result()

    def start(self, process):
        seed = self.seed_of[process] = next(self.seeds)
        arguments = [self.url, self.folder, process, self.board.processes, self.board.names, seed]
        self.running[process] = subprocess.Popen(
            [sys.executable, __file__, *map(str, arguments)], stderr=subprocess.PIPE, text=True
        )

    def watch(self, progress):
        disturb_at = self.disturb_every
        show_at = shown = self.acquisitions // 50
        while (done := self.board.total("acquisitions")) < self.acquisitions:
            time.sleep(0.005)
            now = time.monotonic()
            for process in [p for p, at in self.stopped.items() if at <= now]:
                del self.stopped[process]
                self.running[process].send_signal(signal.SIGCONT)
            for process in [p for p, at in self.missing.items() if at <= now]:
                del self.missing[process]
                self.board.clear(process)
                self.start(process)
            for process, running in self.running.items():
                if running.poll() is not None and process not in self.missing:
                    self.errors.append(running.communicate()[1])
                    return
            if done >= disturb_at:
                disturb_at += self.disturb_every
                self.disturb(now)
            if done >= show_at:
                show_at += shown
                progress(f"{done:,} of {self.acquisitions:,}, {self.kills} killed")

    def disturb(self, now):
        free = self.running.keys() - self.stopped.keys() - self.missing.keys()
        process = self.choose.choice(sorted(free))
        running = self.running[process]
        if self.stops < self.kills:
            running.send_signal(signal.SIGSTOP)
            self.stopped[process] = now + self.choose.uniform(0.05, STOP_S_MAX)
            self.stops += 1
            return
        running.kill()
        running.communicate()
        self.kills += 1
        if self.choose.random() < 0.5:
            # It is inside nowhere any more; nobody has to wait for what it held.
            self.board.clear(process)
            self.leases.end_session(session_of(process, self.seed_of[process]))
            self.missing[process] = now
        else:
            # What it held stays on the board: nobody may be let in before that has lapsed.
            self.missing[process] = now + TTL_S + 0.1

    def finish(self):
        self.board.stop[0] = 1
        for process in self.stopped:
            self.running[process].send_signal(signal.SIGCONT)
        for process, running in self.running.items():
            error = running.communicate(timeout=60)[1]
            if process not in self.missing and (error or running.returncode):
                self.errors.append(error or f"process {process} ended with {running.returncode}")

    def result(self):
        counts = {name: self.board.total(name) for name in COUNTS}
        with open(f"{self.folder}/violations", encoding="utf-8") as file:
            violations = file.read().splitlines()
        return Result(counts, violations, self.kills, self.stops, self.inversions(), self.errors)

    def inversions(self):
        """Return the writes that came after one with a higher token, by name and version."""
        written = []
        for name in os.listdir(self.folder):
            if name.startswith("written-"):
                with open(f"{self.folder}/{name}", "rb") as file:
                    written += WRITTEN.iter_unpack(file.read())
        written.sort()
        return [
            (earlier, later)
            for earlier, later in itertools.pairwise(written)
            if earlier[0] == later[0] and (earlier[2] > later[2] or earlier[1] == later[1])
        ]


def session_of(process, seed):
    return f"s{process}-{seed}"


def main(url, folder, process, processes, names, seed):
    board = Board(f"{folder}/board", int(processes), int(names))
    session = session_of(process, seed)  # a new one each start: who is dead waits for nobody
    with Swarm.open(
        url, agent=f"p{process}", swarm=SWARM, session=session, durability="relaxed"
    ) as swarm:
        Player(swarm, board, int(process), folder, int(seed)).play()


if __name__ == "__main__":
    main(*sys.argv[1:])
