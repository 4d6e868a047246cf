"""A process of a history: does things to a few keys and notes each call and each return.

The notes go straight to a file, so that they outlive the process when it is killed. A worker with
a bug does one thing wrong, as a store with that bug would; the checker has to find it.
"""

import json
import os
import queue
import random
import signal
import sys
import threading
import time
from contextlib import suppress

import apsw

from swarm_memory import ConflictError, Swarm
from swarm_memory.errors import LeaseLostError

SWARM = "lin"
TTL_S, TTL_S_MIN = 1.0, 0.1
NAMES = {"get": 35, "put": 12, "cas": 25, "delete": 8, "lock": 20}


class Worker:
    """Works without a bug."""

    def __init__(self, swarm, notes, settings):
        self.swarm, self.records, self.leases = swarm, swarm.records, swarm.leases
        self.notes = os.open(notes, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self.settings, self.seed = settings, settings["seed"]
        self.choose = random.Random(self.seed)
        self.seen = {}
        self.done = 0

    def play(self):
        for number in range(self.settings["rounds"]):
            key = f"lin/{self.choose.randrange(self.settings['keys'])}"
            name = self.choose.choices(list(NAMES), NAMES.values())[0]
            getattr(self, f"do_{name}")(key, f"{self.seed}.{number}")

    def note(self, key, name, arguments, call):
        """Make a call between two notes; here a process may be told to die."""
        self.done += 1
        dies = None
        if name != "get" and self.done >= self.settings["dies_at"]:
            dies = self.settings["dies"]
        self.write_note([key, name, arguments, time.monotonic_ns()])
        if dies == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = call()
        if dies == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        self.write_note([time.monotonic_ns(), result])
        return result

    def write_note(self, note):
        os.write(self.notes, json.dumps(note).encode() + b"\n")

    # --- rounds ---

    def do_get(self, key, value):
        self.seen[key] = self.note(key, "get", [], lambda: self.get(key))[0]

    def do_put(self, key, value):
        self.seen[key] = self.note(key, "put", [value], lambda: self.put(key, value))

    def do_cas(self, key, value):
        expect = self.seen.get(key, 0)
        result = self.note(key, "cas", [expect, value], lambda: self.cas(key, expect, value))
        self.seen[key] = result if isinstance(result, int) else result[1]

    def do_delete(self, key, value):
        self.note(key, "delete", [], lambda: self.delete(key))

    def do_lock(self, key, value):
        late = self.choose.random() < self.settings["late"]
        ttl_s = TTL_S_MIN if late else TTL_S
        ttl_ns = round(ttl_s * 1e9)
        token = self.note(key, "lock", [ttl_ns], lambda: self.lock(key, ttl_s))
        if self.lease is None:
            return
        if late:
            time.sleep(1.2 * ttl_s)
        self.note(key, "write", [token, value], lambda: self.write(key, value))
        if self.choose.random() < 0.3:
            self.note(key, "renew", [token, ttl_ns], lambda: self.refusable(self.renew))
            again = f"{value}.again"
            self.note(key, "write", [token, again], lambda: self.write(key, again))
        self.note(key, "unlock", [token], lambda: self.refusable(self.unlock))

    # --- calls ---

    def get(self, key):
        record = self.records.get(key)
        return (record.version, record.value) if record else (0, None)

    def put(self, key, value):
        return self.records.put(key, value).version

    def cas(self, key, expect, value):
        try:
            return self.records.put(key, value, expect=expect).version
        except ConflictError as error:
            return ("conflict", error.actual)

    def delete(self, key):
        return self.records.delete(key)

    def lock(self, key, ttl_s):
        self.lease = None
        try:
            if self.settings["waits"]:
                self.lease = self.leases.acquire(key, ttl_s=ttl_s, wait_s=60)
            else:
                self.lease = self.leases.try_acquire(key, ttl_s=ttl_s)
        except LeaseLostError:
            return "lost"  # this process stood still for longer than the time to live
        return self.lease.token if self.lease else "busy"

    def write(self, key, value):
        return self.refusable(lambda: self.records.put(key, value, fence=self.lease).version)

    def renew(self):
        self.lease.renew()
        return "renewed"

    def unlock(self):
        self.lease.release()
        return "released"

    def refusable(self, call):
        try:
            return call()
        except LeaseLostError:
            return "refused"

    def execute(self, sql, key):
        """Change the leases behind the back of the store."""
        db = apsw.Connection(self.swarm.url.removeprefix("sqlite:///"))
        db.set_busy_timeout(10_000)
        db.execute(sql, {"swarm": SWARM, "name": key})
        db.close()


class StaleCache(Worker):
    """Reads what it read before."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.cache = {}

    def get(self, key):
        if key not in self.cache or self.choose.random() < 0.5:
            self.cache[key] = super().get(key)
        return self.cache[key]


class OldSnapshot(Worker):
    """Reads all keys as they were when a long transaction began."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.asked, self.answers = queue.Queue(), queue.Queue()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            self.swarm.read(self.serve_some)

    def serve_some(self, tx):
        for _ in range(10):
            record = tx.records.get(self.asked.get())
            self.answers.put((record.version, record.value) if record else (0, None))

    def get(self, key):
        self.asked.put(key)
        return self.answers.get()


class NoTransaction(Worker):
    """Compares and sets in two transactions."""

    def cas(self, key, expect, value):
        actual = self.get(key)[0]
        return self.put(key, value) if actual == expect else ("conflict", actual)


class UndonePut(Worker):
    """Says that a put is done and undoes it."""

    def put(self, key, value):
        put = []

        def undo(tx):
            put.append(tx.records.put(key, value).version)
            raise InterruptedError

        with suppress(InterruptedError):
            self.swarm.transact(undo)
        return put[-1]


class DoublePut(Worker):
    """Repeats a put as if the first had failed."""

    def put(self, key, value):
        super().put(key, value)
        return super().put(key, value)


class LostDelete(Worker):
    """Says that a delete is done and does nothing."""

    def delete(self, key):
        return self.records.get(key) is not None


class RevivedDelete(Worker):
    """Counts from the start again for a key that was deleted."""

    def delete(self, key):
        deleted = super().delete(key)
        self.execute("DELETE FROM records WHERE swarm = :swarm AND key = :name", key)
        return deleted


class NoFence(Worker):
    """Writes without asking whether the lease is still held."""

    def write(self, key, value):
        return self.put(key, value)


class LateWriter(Worker):
    """Holds that a lease which has lapsed is held as long as nobody else took it."""

    def write(self, key, value):
        self.execute(
            "UPDATE seats SET expires_ms = expires_ms + 10000"
            " WHERE swarm = :swarm AND name = :name AND state = 'held'",
            key,
        )
        return super().write(key, value)


class TwoHolders(Worker):
    """Gives a lease that is held."""

    def lock(self, key, ttl_s):
        self.execute("UPDATE seats SET state = 'free' WHERE swarm = :swarm AND name = :name", key)
        return super().lock(key, ttl_s)


class RepeatedToken(Worker):
    """Forgets the tokens of a name that is free."""

    def unlock(self):
        key, said = self.lease.name, super().unlock()
        self.execute(
            "DELETE FROM seats WHERE swarm = :swarm AND name = :name AND state = 'free'", key
        )
        return said


class NoRenewal(Worker):
    """Says that a lease is renewed and lets it lapse."""

    def renew(self):
        return "renewed"

    def do_lock(self, key, value):
        ttl_ns = round(TTL_S_MIN * 1e9)
        token = self.note(key, "lock", [ttl_ns], lambda: self.lock(key, TTL_S_MIN))
        if self.lease is not None:
            time.sleep(0.6 * TTL_S_MIN)
            self.note(key, "renew", [token, ttl_ns], lambda: self.refusable(self.renew))
            time.sleep(0.6 * TTL_S_MIN)
            self.note(key, "write", [token, value], lambda: self.write(key, value))


BUGS = {
    kind.__name__: kind
    for kind in (
        StaleCache, OldSnapshot, NoTransaction, UndonePut, DoublePut, LostDelete, RevivedDelete,
        NoFence, LateWriter, TwoHolders, RepeatedToken, NoRenewal,
    )
}  # fmt: skip


def main(url, notes, settings):
    settings = json.loads(settings)
    agent = f"p{settings['seed']}"
    with Swarm.open(url, agent=agent, swarm=SWARM, durability="relaxed") as swarm:
        worker = BUGS.get(settings["bug"], Worker)(swarm, notes, settings)
        sys.stdin.readline()
        worker.play()


if __name__ == "__main__":
    main(*sys.argv[1:])
