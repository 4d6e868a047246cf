"""Those who wait for leases, each in a thread of its own."""

import threading
import time

WAIT_S = 5.0


class Line:
    """Those who wait for the leases of a store, each in a thread of its own."""

    def __init__(self, store):
        self.store = store

    def waiting(self, agent, name, mode="exclusive", **options):
        """Let `agent` wait in a thread of its own; return when it stands in line."""
        leases = self.store.leases(agent)
        before = self.seen(name, agent)
        waiter = Waiter(lambda: leases.acquire(name, mode, **{"wait_s": WAIT_S} | options))
        self.until(lambda: self.seen(name, agent) > before or waiter.done.is_set())
        return waiter

    def seen(self, name, agent):
        return sum(s.owner == agent and s.state != "held" for s in self.store.leases().list(name))

    def until(self, condition):
        end = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < end, "it did not happen in time"
            self.store.engine.wait(self.store.engine.version(), 0.01)

    def seats(self, name):
        return [(seat.owner, seat.state) for seat in self.store.leases().list(name)]


class Waiter:
    def __init__(self, fn):
        self.result = None
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(fn,), daemon=True)
        self.thread.start()

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
