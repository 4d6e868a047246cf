"""Those who wait for leases, each in a thread of its own."""

import threading
import time
from queue import SimpleQueue

WAIT_S = 5.0


class Line:
    """Those who wait for the leases of a store, each in a thread of its own."""

    def __init__(self, store):
        self.store = store
        self.threads = []

    def thread(self, agent):
        """Return a new thread of `agent`, which takes leases and waits for others."""
        self.threads.append(Thread(self, agent))
        return self.threads[-1]

    def waiting(self, agent, name, mode="exclusive", **options):
        """Let `agent` wait in a thread of its own; return when it stands in line."""
        return self.thread(agent).waiting(name, mode, **options)

    def end(self):
        for thread in self.threads:
            thread.steps.put(None)

    def seen(self, name, agent):
        return sum(s.owner == agent and s.state != "held" for s in self.store.leases().list(name))

    def until(self, condition):
        end = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < end, "it did not happen in time"
            self.store.engine.wait(self.store.engine.version(), 0.01)

    def seats(self, name):
        return [(seat.owner, seat.state) for seat in self.store.leases().list(name)]


class Thread:
    """One flow of control of an agent: what it does is done in one thread, step after step."""

    def __init__(self, line, agent):
        self.line, self.agent = line, agent
        self.leases = line.store.leases(agent)
        self.steps = SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while (step := self.steps.get()) is not None:
            step()

    def acquire(self, name, mode="exclusive", **options):
        return Waiter(lambda: self.leases.acquire(name, mode, **options), self.steps).get()

    def waiting(self, name, mode="exclusive", **options):
        """Let it wait; return when it stands in line."""
        options = {"wait_s": WAIT_S} | options
        return self.doing(name, lambda: self.leases.acquire(name, mode, **options))

    def doing(self, name, fn):
        """Let it do what has to wait at `name`; return when it stands in line."""
        before = self.line.seen(name, self.agent)
        waiter = Waiter(fn, self.steps)
        self.line.until(lambda: self.line.seen(name, self.agent) > before or waiter.done.is_set())
        return waiter


class Waiter:
    """What is done in a thread of its own, or as one of the `steps` of another."""

    def __init__(self, fn, steps=None):
        self.result = None
        self.done = threading.Event()
        if steps is None:
            threading.Thread(target=self._run, args=(fn,), daemon=True).start()
        else:
            steps.put(lambda: self._run(fn))

    def _run(self, fn):
        try:
            self.result = fn()
        except BaseException as error:
            self.result = error
        self.done.set()

    def get(self):
        assert self.done.wait(2 * WAIT_S), "it still waits"
        return self.result


def stand(store, agent, name, mode="exclusive"):
    """Leave a waiter in line whose process is gone."""
    leases = store.leases(agent)
    wish = leases._wish(name, mode, 30, None)
    leases._write_take(wish, queue=True)
