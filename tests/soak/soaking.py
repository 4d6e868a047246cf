"""Processes that do a bit of everything at once, for as long as one likes; some are killed.

Every process keeps a ledger in memory that all of them map, so a kill does not take it along: per
thing that it writes, how often it tried and how often that was acknowledged. What the store says
has to lie between the two, whoever reads it and whenever.

A quarter of the processes stays open all the time, a quarter closes the store and opens it again,
the others are killed at times. The first two note what they take, open or just closed: memory,
descriptors, threads. It must not become more and more, nor may the log or the folder grow.
"""

import gc
import itertools
import mmap
import os
import random
import struct
import subprocess
import sys
import threading
import time
from collections import namedtuple
from contextlib import suppress
from statistics import mean

from swarm_memory import Swarm
from swarm_memory.engine import mark as marks
from swarm_memory.engine import seats
from swarm_memory.errors import ConflictError, CursorExpiredError, LeaseHeldError, LeaseLostError

SWARM = "soak"
OWN = 16  # records that one process writes and all read
BATCH, PAIR, COUNTED, SENT = range(OWN, OWN + 4)
SLOTS = OWN + 4
BATCH_KEYS = 5
COUNTERS = 4
VERSIONS_KEPT = 10
TTL_S = 2.0
SAMPLE_EVERY = 20
EVENTS_MAX = 300
SAMPLE = struct.Struct("<QQQ")  # resident bytes, descriptors, threads
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# What is forgotten at all is forgotten within a minute, so that a plateau is reached.
SETTINGS = {
    "SWARM_MEMORY_EVENT_RETENTION_S": "60",
    "SWARM_MEMORY_TOMBSTONE_RETENTION_S": "60",
    "SWARM_MEMORY_CLEANUP_INTERVAL_S": "1",
    "SWARM_MEMORY_CACHE_BYTES_MAX": str(256 * 1024),
}

Result = namedtuple("Result", "actions open closed sizes kills errors")
Sizes = namedtuple("Sizes", "log store")


class Ledger:
    """How often each process tried and was told yes, per slot; what it did; and a word for all."""

    def __init__(self, path, processes):
        self.processes = processes
        size = processes * SLOTS
        cells = 2 * size + processes * len(WAYS) + 1
        with open(path, "a+b") as file:
            file.truncate(8 * cells)
            words = memoryview(mmap.mmap(file.fileno(), 8 * cells)).cast("Q")
        self.tried, self.told = words[:size], words[size : 2 * size]
        self.actions, self.stop = words[2 * size : -1], words[-1:]

    def done(self):
        return sum(self.actions)

    def done_by_way(self):
        return {way.__name__: sum(self.actions[n :: len(WAYS)]) for n, way in enumerate(WAYS)}

    def bounds(self, process, slot):
        """Return between which numbers lies what the store holds of that."""
        place = process * SLOTS + slot
        return self.told[place], self.tried[place]


class Agent:
    """One process."""

    def __init__(self, url, folder, ledger, process, seed):
        self.url, self.folder, self.ledger, self.process = url, folder, ledger, process
        self.choose = random.Random(seed)
        self.durability = "full" if process % 2 else "relaxed"
        self.stays = process < ledger.processes // 4
        self.samples = os.open(f"{folder}/samples-{seed}", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self.swarm = self.open()
        self.seen, self.versions = None, {}

    def open(self):
        agent = f"a{self.process}"
        return Swarm.open(self.url, agent=agent, swarm=SWARM, durability=self.durability)

    def work(self):
        ways, weights = list(WAYS), list(WAYS.values())
        if self.stays:
            weights[ways.index(Agent.reopen)] = 0
        for number in itertools.count():
            if self.ledger.stop[0]:
                break
            way = self.choose.choices(range(len(ways)), weights)[0]
            ways[way](self)
            self.ledger.actions[self.process * len(WAYS) + way] += 1
            if self.stays and number % SAMPLE_EVERY == 0:
                self.sample()
        self.swarm.close()

    def sample(self):
        os.write(self.samples, SAMPLE.pack(*taken()))

    # --- the ledger ---

    def attempt(self, slot, write, count=1):
        """Do what counts in `slot`, and return what `write` returns."""
        place = self.process * SLOTS + slot
        self.ledger.tried[place] += count
        result = write()
        self.ledger.told[place] += count
        return result

    def own(self, slot, process=None):
        return f"soak/own/{self.process if process is None else process}/{slot}"

    def anybody(self):
        return self.choose.randrange(self.ledger.processes)

    def value(self, key):
        return {"key": key, "pad": "x" * self.choose.randrange(10, 2000)}

    # --- records ---

    def put(self):
        slot = self.choose.randrange(OWN)
        key = self.own(slot)
        record = self.attempt(slot, lambda: self.swarm.records.put(key, self.value(key)))
        least, most = self.ledger.bounds(self.process, slot)
        check(least <= record.version <= most, f"{key}: wrote {record.version} of {least}-{most}")

    def get(self):
        """Read what anybody wrote: at least what was acknowledged before, from whatever cache."""
        process, slot = self.anybody(), self.choose.randrange(OWN)
        key = self.own(slot, process)
        least = self.ledger.bounds(process, slot)[0]
        record = self.swarm.records.get(key)
        version = record.version if record else 0
        most = self.ledger.bounds(process, slot)[1]
        check(least <= version <= most, f"{key}: read {version} of {least}-{most}")
        check(record is None or record.value["key"] == key, f"{key}: {record}")

    def history(self):
        slot = self.choose.randrange(OWN)
        key = self.own(slot)
        versions = [record.version for record in self.swarm.records.history(key)]
        least, most = self.ledger.bounds(self.process, slot)
        newest = versions[0] if versions else 0
        check(least <= newest <= most, f"{key}: history begins at {newest}, {least}-{most}")
        wanted = list(range(newest, max(0, newest - VERSIONS_KEPT), -1))
        check(wanted == versions, f"{key}: history is {versions}")

    def put_batch(self):
        number = self.ledger.bounds(self.process, BATCH)[1] + 1
        items = [(f"soak/batch/{self.process}/{key}", number) for key in range(BATCH_KEYS)]
        self.attempt(BATCH, lambda: self.swarm.records.put_many(items))

    def scan_batch(self):
        process = self.anybody()
        found = self.swarm.records.scan(f"soak/batch/{process}")
        values = {record.value for record in found}
        check(len(values) <= 1 and len(found) in (0, BATCH_KEYS), f"a batch was torn: {found}")

    def write_pair(self):
        number = self.ledger.bounds(self.process, PAIR)[1] + 1

        def write(tx):
            for side in ("left", "right"):
                tx.records.put(f"soak/pair/{self.process}/{side}", number)

        self.attempt(PAIR, lambda: self.swarm.transact(write))

    def read_pair(self):
        prefix = f"soak/pair/{self.anybody()}"

        def read(tx):
            return [tx.records.get(f"{prefix}/{side}") for side in ("left", "right")]

        left, right = (record and record.value for record in self.swarm.read(read))
        check(left == right, f"{prefix} was torn: {left} and {right}")

    def forget(self):
        """Write what expires or is deleted, so that sweeps have work."""
        key = f"soak/gone/{self.process}/{self.choose.randrange(50)}"
        self.swarm.records.put(key, self.value(key), ttl_s=0.5)
        if self.choose.random() < 0.5:
            self.swarm.records.delete(key)
            check(self.swarm.records.get(key) is None, f"{key} was deleted")

    # --- coordination ---

    def count(self):
        """Count up under a lease; only what was refused by rule does not count."""
        records = self.swarm.records
        name = f"counter-{self.choose.randrange(COUNTERS)}"
        try:
            lease = self.swarm.leases.acquire(name, ttl_s=TTL_S, wait_s=0.05)
        except LeaseHeldError:
            return
        place = self.process * SLOTS + COUNTED
        # Giving it back says so, too, if it was lost.
        with suppress(LeaseLostError), lease:
            record = records.get(f"soak/{name}")
            number, version = (record.value, record.version) if record else (0, 0)
            self.ledger.tried[place] += 1
            try:
                records.put(f"soak/{name}", number + 1, expect=version, fence=lease)
            except (ConflictError, LeaseLostError):  # stopped by the scheduler for too long
                self.ledger.tried[place] -= 1
            else:
                self.ledger.told[place] += 1

    def send(self):
        bodies = [self.process] * 3
        self.attempt(SENT, lambda: self.swarm.messages.send_many(bodies, topic="work"), 3)

    def receive(self):
        self.swarm.transact(receive)

    def watch(self):
        """Follow the records of all: of each every version, in order."""
        try:
            if self.seen is None:
                self.seen = self.swarm.events.newest()
            events = self.swarm.watch("soak/own/", since=self.seen, timeout_s=0.01)
            for event in itertools.islice(events, EVENTS_MAX):
                last = self.versions.get(event.key, event.version - 1)
                check(event.version == last + 1, f"watched {event} after version {last}")
                self.seen, self.versions[event.key] = event.seq, event.version
        except CursorExpiredError:
            self.seen, self.versions = None, {}

    # --- upkeep ---

    def tick(self):
        self.swarm.tick()

    def sweep(self):
        self.swarm.retention.sweep()

    def maintain(self):
        self.swarm.maintain()

    def back_up(self):
        copy = f"{self.folder}/copies/{self.process}"
        self.swarm.backup(copy)
        os.unlink(copy)

    def reopen(self):
        self.swarm.close()
        self.swarm = None
        self.sample()
        self.swarm = self.open()


WAYS = {
    Agent.put: 30,
    Agent.get: 25,
    Agent.history: 4,
    Agent.put_batch: 4,
    Agent.scan_batch: 5,
    Agent.write_pair: 4,
    Agent.read_pair: 4,
    Agent.forget: 3,
    Agent.count: 6,
    Agent.send: 4,
    Agent.receive: 4,
    Agent.watch: 3,
    Agent.tick: 1,
    Agent.sweep: 0.5,
    Agent.maintain: 0.3,
    Agent.back_up: 0.3,
    Agent.reopen: 4,
}


def receive(tx):
    """Take messages and count them by sender, in one transaction; return how many they were."""
    messages = tx.messages.claim("work", limit=10)
    for sender in {message.body for message in messages}:
        key = f"soak/received/{sender}"
        record = tx.records.get(key)
        count = sum(message.body == sender for message in messages)
        tx.records.put(key, count + (record.value if record else 0))
    tx.messages.ack(*messages)
    return len(messages)


def check(holds, what):
    if not holds:
        raise AssertionError(what)


def taken():
    """Return what this process takes: resident bytes, descriptors, threads."""
    gc.collect()  # what has not been collected yet is not lost
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[1])
    # The listing is a descriptor of its own.
    descriptors = len(os.listdir("/proc/self/fd")) - 1
    return pages * PAGE_BYTES, descriptors, _threads()


def _threads():
    """Return how many threads the system has; one that was joined may be on its way out still."""
    for _ in range(100):
        threads = len(os.listdir("/proc/self/task"))
        if threads <= threading.active_count():
            break
        time.sleep(0.01)
    return threads


class Soak:
    """Runs the agents and kills one of the others from time to time."""

    def __init__(self, folder, *, processes=8, kill_every=400, seed=1):
        """`kill_every` is after how many actions of all together one process is killed."""
        self.folder, self.kill_every = str(folder), kill_every
        self.choose = random.Random(seed)
        self.store = f"{folder}/store/memory.db"
        self.url = f"sqlite:///{self.store}"
        for name in ("store", "copies", "tmp"):
            os.mkdir(f"{folder}/{name}")
        self.ledger = Ledger(f"{folder}/ledger", processes)
        self.seeds = itertools.count(processes)
        self.running, self.sizes, self.kills, self.errors = {}, [], 0, []

    def run(self, go_on, progress=lambda line: None):
        """Go on until `go_on`, given the number of actions, says no; return what happened."""
        Swarm.open(self.url, swarm=SWARM).close()
        try:
            for process in range(self.ledger.processes):
                self.start(process, process)
            self.watch(go_on, progress)
            self.finish()
        finally:
            for running in self.running.values():
                running.kill()
                running.communicate()
        samples = [read_samples(f"{self.folder}/samples-{process}") for process in self.steady()]
        half = len(samples) // 2
        return Result(
            actions=self.ledger.done_by_way(),
            open=samples[:half],
            closed=samples[half:],
            sizes=self.sizes,
            kills=self.kills,
            errors=self.errors,
        )

    def steady(self):
        """Return the processes that are never killed."""
        return range(self.ledger.processes // 2)

    def start(self, process, seed):
        arguments = [self.url, self.folder, self.ledger.processes, process, seed]
        self.running[process] = subprocess.Popen(
            [sys.executable, __file__, *map(str, arguments)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **SETTINGS, "TMPDIR": f"{self.folder}/tmp"},
        )

    def watch(self, go_on, progress):
        kill_at, show_at = self.kill_every, time.monotonic()
        while go_on(done := self.ledger.done()) and not self.errors:
            time.sleep(0.02)
            self.sizes.append(Sizes(size(f"{self.store}-wal"), size(self.store)))
            for process, running in self.running.items():
                if running.poll() is not None:
                    self.errors.append(f"process {process}: {running.communicate()[1]}")
            if done >= kill_at:
                kill_at += self.kill_every
                self.kill()
            if time.monotonic() >= show_at:
                show_at = time.monotonic() + 10
                progress(f"{done:,} actions, {self.kills} killed, {self.sizes[-1]}")

    def kill(self):
        process = self.choose.randrange(len(self.steady()), self.ledger.processes)
        self.running[process].kill()
        self.running[process].communicate()
        self.kills += 1
        self.start(process, next(self.seeds))

    def finish(self):
        self.ledger.stop[0] = 1
        for process, running in self.running.items():
            error = running.communicate(timeout=60)[1]
            if error or (running.returncode and not self.errors):
                self.errors.append(f"process {process}: {error or running.returncode}")

    # --- what is there at the end ---

    def missing(self):
        """Return a line for everything of which the store holds too little or too much."""
        lines = []
        with Swarm.open(self.url, swarm=SWARM) as swarm:
            while swarm.transact(receive):
                pass

            def number(key, field="value"):
                record = swarm.records.get(key)
                return getattr(record, field) if record else 0

            for process in range(self.ledger.processes):
                found = {
                    slot: number(f"soak/own/{process}/{slot}", "version") for slot in range(OWN)
                }
                found[BATCH] = number(f"soak/batch/{process}/0", "version")
                found[PAIR] = number(f"soak/pair/{process}/left", "version")
                found[SENT] = number(f"soak/received/{process}")
                for slot, count in found.items():
                    least, most = self.ledger.bounds(process, slot)
                    if not least <= count <= most:
                        lines.append(f"process {process}, slot {slot}: {count} of {least}-{most}")
            counted = sum(number(f"soak/counter-{name}") for name in range(COUNTERS))
            told, tried = (
                sum(each[COUNTED::SLOTS]) for each in (self.ledger.told, self.ledger.tried)
            )
            if not told <= counted <= tried:
                lines.append(f"the counters: {counted} of {told}-{tried}")
        return lines

    def left_over(self):
        """Return the files that should not be there."""
        usual = {
            "memory.db",
            "memory.db-wal",
            "memory.db-shm",
            "memory.db-mark",
            "memory.db-calls",
            ".gitignore",
        }
        left = set(os.listdir(f"{self.folder}/store")) - usual
        return sorted(left) + os.listdir(f"{self.folder}/tmp")


def quarters(values):
    """Return the averages of the four quarters of a series."""
    length = len(values)
    return [mean(values[length * n // 4 : length * (n + 1) // 4]) for n in range(4)]


def read_samples(path):
    with open(path, "rb") as file:
        return list(SAMPLE.iter_unpack(file.read()))


def size(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def main(url, folder, processes, process, seed):
    # What a process opens once it has waited or read often, it opens at once: else a late one of
    # these looks like a descriptor too many.
    seats.WAITS_UNSEATED, marks.LOOKS_UNMAPPED = 0, 1
    ledger = Ledger(f"{folder}/ledger", int(processes))
    Agent(url, folder, ledger, int(process), int(seed)).work()


if __name__ == "__main__":
    main(*sys.argv[1:])
