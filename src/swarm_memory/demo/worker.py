"""One agent of the demo: `python -m swarm_memory.demo.worker`, with its `Order` as JSON on stdin.

It knows the others only through the store. It takes an open task under a lease, studies the file as
the swarm recommends, and finishes in one transaction that the lease guards. What it learned about
languages it merges into one record that all write; what is notable it shares and sends as a
message. What it was acknowledged it prints as JSON lines, so that somebody outside the store can
tell if it is lost.
"""

from __future__ import annotations

import json
import random
import select
import signal
import sys
import time
from collections import Counter
from contextlib import contextmanager

from swarm_memory import ConflictError, LeaseLostError, SwarmMemoryManager
from swarm_memory.demo.strategies import FAILURES, NOTABLE, TASKS, is_notable
from swarm_memory.demo.survey import read
from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from swarm_memory.reports import Recommendation
    from swarm_memory.seats import Lease
    from swarm_memory.swarm import Transaction

LEASE_S = 2.0  # a lease whose holder died lapses after this, by the store's clock
LEASE_S_MAX = 60.0
RENEW_S = LEASE_S / 4
STUDY_S = 2.0  # a strategy that takes longer on one file has failed
HOLD_S_MAX = 120.0  # the one that is to be killed does not wait longer for it
MERGE_TRIES = 50  # a merge needs its base, which others may have pushed out of the history
IDLE_S = 0.25  # how long to wait for something to happen before looking again
DECIDE_EVERY = 10  # tasks between two decisions worth keeping


class Order(NamedTuple):
    """What an agent is told. It comes by stdin: in a command line all could read the url.

    `hold_at` is at which task it waits to be killed, 0 for never; `careless` makes it work without
    looking what others do, so that the checks can be seen to fail. `pace_s` is how long it takes
    over a task beside the work, so that somebody can watch.
    """

    url: str
    swarm: str
    name: str
    root: str
    hold_at: int
    seed: int | None
    careless: bool
    pace_s: float = 0.0


class Finding(NamedTuple):
    """What came out of a task: by which recommendation, and whether it is right."""

    chosen: Recommendation
    found: Any
    success: bool
    seconds: float
    lines: int
    size_bytes: int


class Worker:
    """Takes, studies and finishes tasks until none is open."""

    def __init__(self, manager: SwarmMemoryManager, order: Order) -> None:
        self.manager = manager
        self.records = manager.swarm.records
        self.root = order.root
        self.hold_at = order.hold_at
        self.pace_s = order.pace_s
        self.base = f"swarm-{manager.swarm_id}/global/demo"
        self.done = 0
        self.taken = 0
        self.lost: Counter[str] = Counter()
        self._random = random.Random(
            f"{order.seed} {order.name}" if order.seed is not None else None
        )

    def run(self) -> None:
        """Work until every task has a result."""
        self.manager.initialize_agent_memory({"role": "student of a source tree"})
        while open_tasks := self._open_tasks():
            worked = [self._try(task) for task in open_tasks]
            if not any(worked):
                # Others have the rest: look again when one of them finishes or its lease lapses.
                for _ in self.manager.swarm.watch(f"{self.base}/", timeout_s=IDLE_S):
                    break
        self.manager.update_agent_progress("study", {"done": self.done, "finished": True})
        say(finished=self.done)

    def _open_tasks(self) -> list[dict[str, str]]:
        done = {r.key.rpartition("/")[2] for r in self.records.each(f"{self.base}/results/")}
        tasks = [
            record.value
            for record in self.records.each(f"{self.base}/tasks/")
            if record.key.rpartition("/")[2] not in done
        ]
        self._random.shuffle(tasks)  # so that six agents do not all reach for the same one
        return tasks

    def _try(self, task: dict[str, str]) -> bool:
        """Take a task and finish it; False if somebody else has it or had it."""
        lease = self._take(task)
        if lease is None:
            return False
        self.taken += 1
        try:
            if self.taken == self.hold_at:
                self._hold(task, lease)
            keep = _Keeper(lease).keep
            self._linger(keep)
            finding = self._study(task, keep)
            finished = self._finish(task, lease, finding)
        except LeaseLostError:
            # It took too long, as on a busy machine: whoever takes it up again has more time.
            self.lost[task["task_id"]] += 1
            return False
        if finished:
            self._tell(task, finding)
        return finished

    def _linger(self, keep: Callable[[], object]) -> None:
        over_s = time.monotonic() + self.pace_s
        while (left_s := over_s - time.monotonic()) > 0:
            time.sleep(min(left_s, RENEW_S))
            keep()

    def _take(self, task: dict[str, str]) -> Lease | None:
        task_id = task["task_id"]
        if self.records.get(f"{self.base}/results/{task_id}") is not None:
            return None
        ttl_s = min(LEASE_S * 2 ** self.lost[task_id], LEASE_S_MAX)
        return self.manager.swarm.leases.try_acquire(f"demo:{task_id}", ttl_s=ttl_s)

    def _hold(self, task: dict[str, str], lease: Lease) -> None:
        """Keep the lease, and wait to be killed."""
        self.manager.update_agent_progress("study", {"done": self.done, "holds": task["task_id"]})
        say(holding=task["task_id"])
        deadline = time.monotonic() + HOLD_S_MAX
        try:
            while time.monotonic() < deadline:
                lease.renew()
                if select.select([sys.stdin], [], [], RENEW_S)[0]:
                    return  # whoever gave the orders has gone
        except LeaseLostError:
            say(holding=None)
            self.hold_at = self.taken + 1  # with the next one, then
            raise

    def _study(self, task: dict[str, str], keep: Callable[[], object]) -> Finding:
        """Do the task as the swarm recommends; return what came out and whether it is right."""
        strategies, check = TASKS[task["kind"]]
        chosen = self.manager.get_coordination_strategy(
            {"task_type": task["kind"]}, candidates=list(strategies)
        )
        try:
            content = read(self.root, task["path"])
        except OSError as error:  # it has gone, or it never was an ordinary file
            return Finding(chosen, {"failed": type(error).__name__}, False, 0.0, 0, 0)
        keep()
        found, seconds = _attempt(strategies[str(chosen.strategy)], task["path"], content)
        keep()
        truth, _ = _attempt(check, task["path"], content)
        keep()
        success = truth == found and not _failed(truth)
        return Finding(chosen, found, success, seconds, content.count(b"\n"), len(content))

    def _finish(self, task: dict[str, str], lease: Lease, finding: Finding) -> bool:
        """Write result, outcome and message, all or nothing; False if somebody else finished it."""
        key = f"{self.base}/results/{task['task_id']}"

        def finish(tx: Transaction) -> bool:
            if tx.records.get(key) is not None:
                return False  # finished between our look and our lease
            value = {**_result(task, finding), "token": lease.token}
            tx.records.put(key, value, expect=0, fence=lease)
            tx.outcomes.record(
                task["kind"],
                [self.manager.agent_name],
                finding.success,
                finding.seconds,
                decision=finding.chosen,
                outcome_id=f"demo:{task['task_id']}",
            )
            if is_notable(task["kind"], finding.found):
                body = {"path": task["path"], "definitions": finding.found}
                tx.messages.send(body, topic=NOTABLE)
            return True

        try:
            with lease:
                if not self.manager.swarm.transact(finish):
                    return False
        except LeaseLostError:
            # Either the guard refused the write, or it lapsed after the commit: the record tells.
            record = self.records.get(key)
            if record is None:
                raise
            if record.author != self.manager.agent_name:
                return False
        say(acknowledged=key)
        self.done += 1
        return True

    def _tell(self, task: dict[str, str], finding: Finding) -> None:
        """Let the others know what came out."""
        kind, path = task["kind"], task["path"]
        if kind == "language" and finding.success:
            self._merge(path, finding.found)
        if is_notable(kind, finding.found):
            say(sent=path)
            self._share("finding", {"path": path, kind: finding.found})
        if self.done % DECIDE_EVERY == 1:
            chosen = finding.chosen
            decision = self.manager.store_agent_decision(
                "strategy", {"task_type": kind, "strategy": chosen.strategy}
            )
            say(acknowledged=decision.key)
            self._share("strategy", {"task_type": kind, "candidates": chosen.candidates})
            self.manager.update_agent_progress("study", {"done": self.done, "at": task["task_id"]})

    def _share(self, kind: str, knowledge: dict[str, Any]) -> None:
        say(acknowledged=self.manager.share_knowledge_with_swarm(kind, knowledge).key)

    def _merge(self, path: str, language: str) -> None:
        """Add one file to the record that all agents write; what others added meanwhile stays."""
        key = f"{self.base}/languages"
        for _ in range(MERGE_TRIES):
            record = self.records.get(key)
            known = record.value if record else {}
            expect = record.version if record else 0
            try:
                self.records.put(key, {**known, path: language}, expect=expect, on_conflict="merge")
            except ConflictError:
                continue  # its base is gone: read again
            say(merged=path)
            return
        raise RuntimeError(f"could not merge {path} in {MERGE_TRIES} tries")


class CarelessWorker(Worker):
    """Does every task, done or not, without a lease: what the checks are there to notice."""

    def run(self) -> None:
        for record in list(self.records.each(f"{self.base}/tasks/")):
            finding = self._study(record.value, lambda: None)
            key = f"{self.base}/results/{record.value['task_id']}"
            self.records.put(key, _result(record.value, finding))
            say(acknowledged=key)


class _Keeper:
    """Renews a lease if that is due; the compilers leave no thread the time to do it."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._renewed = time.monotonic()

    def keep(self) -> None:
        """Renew it if a part of its time has gone.

        Raises:
            LeaseLostError: It has lapsed.
        """
        if time.monotonic() - self._renewed > RENEW_S:
            self._lease.renew()
            self._renewed = time.monotonic()


class TooSlow(Exception):
    """A strategy did not end in time."""


def _attempt(strategy: Callable[[str, bytes], Any], path: str, content: bytes) -> tuple[Any, float]:
    """Return what a strategy finds, or how it failed, and the seconds it took."""
    began = time.perf_counter()
    try:
        with _limited(STUDY_S):
            found = strategy(path, content)
    except (*FAILURES, TooSlow) as error:
        found = {"failed": type(error).__name__}
    return found, time.perf_counter() - began


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise TooSlow when the time is over: some text costs a tokenizer quadratic time."""

    def stop(*_: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _failed(found: Any) -> bool:
    return found is None or (isinstance(found, dict) and "failed" in found)


def _result(task: dict[str, str], finding: Finding) -> dict[str, Any]:
    return {
        **task,
        "finding": finding.found,
        "success": finding.success,
        "strategy": finding.chosen.strategy,
        "lines": finding.lines,
        "size_bytes": finding.size_bytes,
    }


def say(**fact: object) -> None:
    """Print one JSON line for the coordinator."""
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


def main() -> None:
    order = Order(**json.loads(sys.stdin.readline()))
    with SwarmMemoryManager(order.name, order.swarm, url=order.url) as manager:
        worker = CarelessWorker if order.careless else Worker
        if sys.stdin.readline():  # nothing comes if whoever gave the orders has gone
            worker(manager, order).run()


if __name__ == "__main__":
    main()
