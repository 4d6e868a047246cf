"""One agent of the demo: `python -m swarm_memory.demo.worker URL SWARM NAME ROOT HOLD_AT`.

It knows the others only through the store. It takes an open task under a lease, studies the file as
the swarm recommends, and finishes in one transaction that the lease guards. What it learned about
languages it merges into one record that all write; what is notable it sends as a message. What it
was acknowledged it prints as JSON lines, so that somebody outside the store can tell if it is lost.
"""

from __future__ import annotations

import json
import random
import sys
import time

from swarm_memory import ConflictError, LeaseLostError, SwarmMemoryManager
from swarm_memory.demo.strategies import FAILURES, NOTABLE, TASKS, is_notable
from swarm_memory.demo.survey import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from swarm_memory.model import Recommendation
    from swarm_memory.seats import Lease
    from swarm_memory.swarm import Transaction

LEASE_S = 2.0  # a lease whose holder died lapses after this, by the store's clock
MERGE_TRIES = 50  # a merge needs its base, which others may have pushed out of the history
IDLE_S = 0.25  # how long to wait for something to happen before looking again
DECIDE_EVERY = 10  # tasks between two decisions worth keeping


class Worker:
    """Takes, studies and finishes tasks until none is open."""

    def __init__(self, manager: SwarmMemoryManager, root: str, hold_at: int) -> None:
        self.manager = manager
        self.records = manager.swarm.records
        self.root = root
        self.hold_at = hold_at
        self.base = f"swarm-{manager.swarm_id}/global/demo"
        self.done = 0
        self.taken = 0

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
        random.shuffle(tasks)  # so that six agents do not all reach for the same one
        return tasks

    def _try(self, task: dict[str, str]) -> bool:
        lease = self._take(task)
        if lease is None:
            return False
        self.taken += 1
        if self.taken == self.hold_at:
            say(holding=task["task_id"])
            sys.stdin.readline()  # the one that will be killed waits here, with its lease
        chosen, finding, success, seconds = self._study(task)
        finished = self._finish(task, lease, chosen, finding, success, seconds)
        if finished and success and task["kind"] == "language":
            self._merge(task["path"], finding)
        return finished

    def _take(self, task: dict[str, str]) -> Lease | None:
        result_key = f"{self.base}/results/{task['task_id']}"
        if self.records.get(result_key) is not None:
            return None
        return self.manager.swarm.leases.try_acquire(f"demo:{task['task_id']}", ttl_s=LEASE_S)

    def _study(self, task: dict[str, str]) -> tuple[Recommendation, Any, bool, float]:
        """Do the task as the swarm recommends; return what came out and whether it is right."""
        strategies, check = TASKS[task["kind"]]
        chosen = self.manager.get_coordination_strategy(
            {"task_type": task["kind"]}, candidates=list(strategies)
        )
        content = read(self.root, task["path"])
        began = time.perf_counter()
        try:
            finding = strategies[str(chosen.strategy)](task["path"], content)
        except FAILURES as error:
            finding = {"failed": type(error).__name__}
        seconds = time.perf_counter() - began
        return chosen, finding, finding == check(task["path"], content), seconds

    def _finish(
        self,
        task: dict[str, str],
        lease: Lease,
        chosen: Recommendation,
        finding: Any,
        success: bool,
        seconds: float,
    ) -> bool:
        """Write result, outcome and message, all or nothing; False if somebody else finished it."""
        result_key = f"{self.base}/results/{task['task_id']}"

        def finish(tx: Transaction) -> bool:
            if tx.records.get(result_key) is not None:
                return False  # finished between our look and our lease
            result = {**task, "finding": finding, "success": success, "strategy": chosen.strategy}
            tx.records.put(result_key, result, expect=0, fence=lease)
            tx.outcomes.record(
                task["kind"],
                [self.manager.agent_name],
                success,
                seconds,
                decision=chosen,
                outcome_id=f"demo:{task['task_id']}",
            )
            if is_notable(task["kind"], finding):
                tx.messages.send({"path": task["path"], "definitions": finding}, topic=NOTABLE)
            return True

        try:
            with lease:
                if not self.manager.swarm.transact(finish):
                    return False
        except LeaseLostError:
            # Either the guard refused the write, or it lapsed after the commit: the record tells.
            record = self.records.get(result_key)
            if record is None or record.author != self.manager.agent_name:
                return False
        say(acknowledged=result_key)
        self.done += 1
        if is_notable(task["kind"], finding):
            say(sent=task["path"])
        if self.done % DECIDE_EVERY == 1:
            self._keep_a_decision(task, chosen)
        return True

    def _keep_a_decision(self, task: dict[str, str], chosen: Recommendation) -> None:
        decision = self.manager.store_agent_decision(
            "strategy", {"task_type": task["kind"], "strategy": chosen.strategy}
        )
        say(acknowledged=decision.key)
        self.manager.update_agent_progress("study", {"done": self.done, "at": task["task_id"]})
        knowledge = self.manager.share_knowledge_with_swarm(
            "strategy", {"task_type": task["kind"], "candidates": chosen.candidates}
        )
        say(acknowledged=knowledge.key)

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


def say(**fact: object) -> None:
    """Print one JSON line for the coordinator."""
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


def main() -> None:
    url, swarm, name, root, hold_at = sys.argv[1:6]
    with SwarmMemoryManager(name, swarm, url=url) as manager:
        say(ready=name)
        sys.stdin.readline()
        Worker(manager, root, int(hold_at)).run()


if __name__ == "__main__":
    main()
