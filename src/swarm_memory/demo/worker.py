"""One agent of the demo: `python -m swarm_memory.demo.worker URL SWARM NAME ROOT HOLD_AT`.

It knows the others only through the store. It takes an open task by claiming it, studies the file
as the swarm recommends, and finishes in one transaction that checks the claim once more. What it
was acknowledged it prints as JSON lines, so that somebody outside the store can tell if it is lost.
"""

from __future__ import annotations

import json
import random
import sys
import time

from swarm_memory import ConflictError, SwarmMemoryManager
from swarm_memory.demo.strategies import FAILURES, TASKS
from swarm_memory.demo.survey import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from swarm_memory import Record
    from swarm_memory.model import Recommendation
    from swarm_memory.swarm import Transaction

CLAIM_S = 2.0  # a claim whose owner died lapses after this, by the store's clock
IDLE_S = 0.25  # how long to wait for something to happen before looking again
NOTABLE_DEFINITIONS = 20
DECIDE_EVERY = 10  # tasks between two decisions worth keeping


class Worker:
    """Claims, studies and finishes tasks until none is open."""

    def __init__(self, manager: SwarmMemoryManager, root: str, hold_at: int) -> None:
        self.manager = manager
        self.records = manager.swarm.records
        self.root = root
        self.hold_at = hold_at
        self.base = f"swarm-{manager.swarm_id}/global/demo"
        self.done = 0
        self.claimed = 0

    def run(self) -> None:
        """Work until every task has a result."""
        self.manager.initialize_agent_memory({"role": "student of a source tree"})
        while open_tasks := self._open_tasks():
            worked = [self._try(task) for task in open_tasks]
            if not any(worked):
                # Others have the rest: look again when one of them finishes or its claim lapses.
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
        claim = self._claim(task)
        if claim is None:
            return False
        self.claimed += 1
        if self.claimed == self.hold_at:
            say(holding=task["task_id"])
            sys.stdin.readline()  # the one that will be killed waits here, with its claim
        chosen, finding, success, seconds = self._study(task)
        finished = self._finish(task, claim, chosen, finding, success, seconds)
        if finished:
            self._share(task, finding)
        return finished

    def _claim(self, task: dict[str, str]) -> Record | None:
        if self.records.get(f"{self.base}/results/{task['task_id']}") is not None:
            return None
        key = f"{self.base}/claims/{task['task_id']}"
        try:
            return self.records.put(
                key, {"agent": self.manager.agent_name}, expect=0, ttl_s=CLAIM_S
            )
        except ConflictError:
            return None

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
        claim: Record,
        chosen: Recommendation,
        finding: Any,
        success: bool,
        seconds: float,
    ) -> bool:
        """Write result and outcome and give the claim back, all or nothing.

        False if somebody else finished it, or has the claim because ours lapsed.
        """
        result_key = f"{self.base}/results/{task['task_id']}"

        def finish(tx: Transaction) -> bool:
            current = tx.records.get(claim.key)
            if current is None or current.version != claim.version:
                return False
            if tx.records.get(result_key) is not None:
                # Finished, and its claim given back, between our look and our claim.
                tx.records.delete(claim.key)
                return False
            result = {**task, "finding": finding, "success": success, "strategy": chosen.strategy}
            tx.records.put(result_key, result, expect=0)
            tx.outcomes.record(
                task["kind"],
                [self.manager.agent_name],
                success,
                seconds,
                decision=chosen,
                outcome_id=f"demo:{task['task_id']}",
            )
            return tx.records.delete(claim.key, expect=claim.version)

        if not self.manager.swarm.transact(finish):
            return False
        say(acknowledged=result_key)
        self.done += 1
        if self.done % DECIDE_EVERY == 1:
            self.manager.store_agent_decision(
                "strategy", {"task_type": task["kind"], "strategy": chosen.strategy}
            )
            self.manager.update_agent_progress("study", {"done": self.done, "at": task["task_id"]})
        return True

    def _share(self, task: dict[str, str], finding: Any) -> None:
        if task["kind"] != "definitions" or not isinstance(finding, int):
            return
        if finding >= NOTABLE_DEFINITIONS:
            record = self.manager.share_knowledge_with_swarm(
                "large file", {"path": task["path"], "definitions": finding}
            )
            say(acknowledged=record.key)


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
