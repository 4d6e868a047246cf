"""Outcomes and choices: how tasks ended, and which strategy to try next.

The counts in the store are the model. They move in the outcome's transaction, so every process
reads the same ones and nothing has to be rebuilt after a restart.
"""

from __future__ import annotations

import json
import os

from swarm_memory import codec
from swarm_memory.checks import check_name, check_number
from swarm_memory.context import new_id
from swarm_memory.errors import InvalidArgumentError, NotFoundError
from swarm_memory.learning import policy
from swarm_memory.reports import Insight, Outcome, Recommendation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarm_memory.context import Context
    from swarm_memory.engine import Reader, Row, Tx
    from swarm_memory.model import Json

NAME_BYTES_MAX = 255
CANDIDATES_MAX = 1000
AMOUNT_MAX = 1e9
CONTEXT_BYTES_MAX = 65_536
INSIGHT_TRIALS_MIN = 5
ANY_TASK = "any"


class Outcomes:
    """The outcomes and choices of one swarm."""

    __slots__ = ("_context", "_db")

    def __init__(self, db: Reader, context: Context) -> None:
        self._db = db
        self._context = context

    def within(self, tx: Tx) -> Outcomes:
        """Return these outcomes bound to a transaction."""
        return Outcomes(tx, self._context)

    def record(
        self,
        task_type: str,
        agents: Sequence[str],
        success: bool,
        duration_s: float,
        *,
        context: dict[str, Json] | None = None,
        strategy: str | None = None,
        cost: float | None = None,
        decision: Recommendation | str | None = None,
        outcome_id: str | None = None,
    ) -> Outcome:
        """Record how a task ended and count it for its strategy, in one transaction.

        `decision` is the recommendation that was followed (or its `choice_id`); its strategy and
        propensity are stored with the outcome. The same `outcome_id` twice counts once.

        Raises:
            InvalidArgumentError: A name is empty or too long, `duration_s` or `cost` is negative
                or no number, or `strategy` is not the one of `decision`.
            NotFoundError: `decision` names no choice of this swarm.
        """
        _check_name("task_type", task_type)
        if strategy is not None:
            _check_name("strategy", strategy)
        names = [agents] if isinstance(agents, str) else list(agents)
        for name in names:
            _check_name("agent", name)
        if not isinstance(success, bool):
            raise InvalidArgumentError(f"success {success!r}", hint="True or False")
        _check_amount("execution_time", duration_s)
        if cost is not None:
            _check_amount("cost", cost)
        about = None if context is None else _encode(context)
        choice_id = decision.choice_id if isinstance(decision, Recommendation) else decision

        def write(tx: Tx) -> Outcome:
            chosen, propensity = self._choice(tx, choice_id, strategy)
            outcome = Outcome(
                outcome_id or new_id(tx.now_ms),
                task_type,
                names,
                success,
                float(duration_s),
                chosen,
                cost,
                choice_id,
                propensity,
                context,
                self._context.agent,
                tx.now_ms,
            )
            self._add(tx, outcome, about)
            return outcome

        return self._db.write(write)

    def _choice(
        self, tx: Tx, choice_id: str | None, strategy: str | None
    ) -> tuple[str | None, float | None]:
        if choice_id is None:
            return strategy, None
        row = tx.one("choice_get", swarm=self._context.swarm, choice_id=choice_id)
        if row is None:
            raise NotFoundError(
                f"there is no choice {choice_id!r} in swarm {self._context.swarm}",
                hint="pass what get_coordination_strategy returned",
            )
        if strategy is not None and strategy != row[1]:
            raise InvalidArgumentError(
                f"the decision chose {row[1]!r}, the outcome says {strategy!r}",
                hint="leave decision= out if another strategy was used",
            )
        return row[1], row[2]

    def _add(self, tx: Tx, outcome: Outcome, about: str | None) -> None:
        row = outcome._asdict()
        row["agents"] = json.dumps(outcome.agents)
        row["context"] = about
        row["session"] = self._context.session
        self._insert(tx, row)

    def _insert(self, tx: Tx, row: dict[str, Json]) -> bool:
        """Add a row unless its outcome_id is there, and count it; tell if it was added."""
        row["success"] = int(row["success"])
        added = tx.run("outcome_add", swarm=self._context.swarm, **row)
        if added:
            tx.run(
                "arm_add",
                swarm=self._context.swarm,
                task_type=row["task_type"],
                strategy=row["strategy"] or "",
                success=row["success"],
                duration_s=row["duration_s"],
                cost=row["cost"] or 0.0,
                at_ms=row["at_ms"],
            )
        return bool(added)

    def load(self, row: dict[str, Json]) -> bool:
        """Add an outcome of another store, given by its columns; False if it is here already."""
        about = None if row["context"] is None else _encode(row["context"])
        copy = row | {"agents": json.dumps(row["agents"]), "context": about}
        return self._db.write(lambda tx: self._insert(tx, copy))

    def recommend(
        self, context: dict[str, Json], candidates: Sequence[str] | None = None
    ) -> Recommendation:
        """Choose a strategy for a task and log the choice with its propensity.

        `context["task_type"]` says what kind of task it is. Without `candidates` the strategies
        seen for that task type compete, or all that were seen if there are none. When nothing is
        known and nothing was offered, `strategy` is None and nothing is logged.
        """
        if not isinstance(context, dict):
            raise InvalidArgumentError("context is no dict", hint='pass {"task_type": "…"}')
        task_type = str(context.get("task_type") or ANY_TASK)
        _check_name("task_type", task_type)
        about = _encode(context)
        offered = None if candidates is None else list(dict.fromkeys(candidates))
        if offered is not None and not 1 <= len(offered) <= CANDIDATES_MAX:
            raise InvalidArgumentError("candidates", hint=f"give 1 to {CANDIDATES_MAX} strategies")
        for name in offered or ():
            _check_name("strategy", name)
        uniform = int.from_bytes(os.urandom(7), "big") / 2**56

        def choose(tx: Tx) -> Recommendation:
            figures = self._figures(tx, task_type, offered)
            if not figures:
                return Recommendation(None, None, None, None, {"trials": 0}, [], task_type, None)
            estimates, counted = figures
            chances = policy.propensities(estimates)
            index = policy.pick(chances, uniform)
            return self._log(tx, task_type, about, estimates, counted, chances, index)

        return self._db.write(choose)

    def _figures(
        self, tx: Tx, task_type: str, offered: list[str] | None
    ) -> tuple[list[policy.Estimate], dict[str, list[float]]] | None:
        """Return each candidate's estimate and its [trials, successes, seconds, cost].

        Outcomes of other task types inform a strategy as half a trial each, at most three: a
        strategy that is good elsewhere starts ahead of one that nobody tried.
        """
        rows = tx.all("arm_list", swarm=self._context.swarm, task_type="")
        here = {r[1]: list(r[2:6]) for r in rows if r[0] == task_type and r[1]}
        elsewhere: dict[str, list[float]] = {}
        for row in rows:
            if row[0] != task_type and row[1]:
                known = elsewhere.setdefault(row[1], [0.0, 0.0])
                known[0] += row[2]
                known[1] += row[3]
        names = offered or sorted(here) or sorted(elsewhere)
        if not names:
            return None
        counted = {name: here.get(name, [0, 0, 0.0, 0.0]) for name in names}
        trials, successes = [], []
        for name in names:
            n, s = elsewhere.get(name, (0.0, 0.0))
            weight = min(0.5, 3 / n) if n else 0.0
            trials.append(counted[name][0] + weight * n)
            successes.append(counted[name][1] + weight * s)
        return policy.estimate_arms(trials, successes), counted

    def _log(
        self,
        tx: Tx,
        task_type: str,
        about: str,
        estimates: list[policy.Estimate],
        counted: dict[str, list[float]],
        chances: list[float],
        index: int,
    ) -> Recommendation:
        shown = [
            {
                "strategy": name,
                "expected": round(estimate.mean, 4),
                "interval": [round(estimate.low, 4), round(estimate.high, 4)],
                "propensity": round(chance, 6),
                "trials": int(counts[0]),
                "successes": int(counts[1]),
                "mean_duration_s": round(counts[2] / counts[0], 6) if counts[0] else None,
            }
            for (name, counts), estimate, chance in zip(
                counted.items(), estimates, chances, strict=True
            )
        ]
        strategy = list(counted)[index]
        choice_id = new_id(tx.now_ms)
        tx.run(
            "choice_add",
            swarm=self._context.swarm,
            choice_id=choice_id,
            task_type=task_type,
            strategy=strategy,
            propensity=chances[index],
            candidates=json.dumps(shown),
            context=about,
            author=self._context.agent,
            at_ms=tx.now_ms,
        )
        best = estimates[index]
        evidence = {
            "trials": sum(int(c[0]) for c in counted.values()),
            "strategy_trials": int(counted[strategy][0]),
            "strategy_successes": int(counted[strategy][1]),
        }
        return Recommendation(
            strategy,
            chances[index],
            best.mean,
            (best.low, best.high),
            evidence,
            shown,
            task_type,
            choice_id,
        )

    def recent(self, task_type: str | None = None, *, limit: int = 100) -> list[Outcome]:
        """Return outcomes, newest first."""
        rows = self._db.all(
            "outcome_list", swarm=self._context.swarm, task_type=task_type or "", limit=limit
        )
        return [_outcome(row) for row in rows]

    def count(self) -> int:
        """Return how many outcomes the swarm has."""
        row = self._db.one("outcome_count", swarm=self._context.swarm)
        return int(row[0]) if row else 0

    def insights(self, kind: str | None = None) -> list[Insight]:
        """Return what the outcomes say, each with its support; an empty list says nothing is known.

        Kinds: "best_strategy" where one strategy's interval lies above all others', "open" where
        several were tried and none stands out, "task_type" the success rate of a kind of task.
        """
        rows = self._db.all("arm_list", swarm=self._context.swarm, task_type="")
        by_task: dict[str, list[Row]] = {}
        for row in rows:
            by_task.setdefault(row[0], []).append(row)
        found = [i for task, arms in by_task.items() for i in _task_insights(task, arms)]
        return [i for i in found if kind is None or i.kind == kind]


def _task_insights(task_type: str, arms: list[Row]) -> list[Insight]:
    trials, successes = sum(a[2] for a in arms), sum(a[3] for a in arms)
    if trials < INSIGHT_TRIALS_MIN:
        return []
    seconds = sum(a[4] for a in arms) / trials
    (overall,) = policy.estimate_arms([trials], [successes])
    found = [
        Insight(
            "task_type",
            f"{task_type}: {successes} of {trials} succeeded, {seconds:.3g} s each",
            trials,
            (overall.low, overall.high),
            {"task_type": task_type, "successes": successes, "mean_duration_s": seconds},
        )
    ]
    named = [a for a in arms if a[1] and a[2]]
    if len(named) < 2:
        return found
    estimates = policy.estimate_arms([a[2] for a in named], [a[3] for a in named])
    ranked = sorted(zip(estimates, named, strict=True), key=lambda pair: -pair[0].mean)
    best, arm = ranked[0]
    stands_out = all(best.low > other.high for other, _ in ranked[1:])
    rates = ", ".join(f"{a[1]} {a[3]}/{a[2]}" for _, a in ranked)
    if stands_out and arm[2] >= INSIGHT_TRIALS_MIN:
        kind, text = "best_strategy", f"{task_type}: {arm[1]} works best ({rates})"
    else:
        kind, text = "open", f"{task_type}: no strategy stands out yet ({rates})"
    facts = {"task_type": task_type, "strategy": arm[1] if stands_out else None}
    found.append(Insight(kind, text, trials, (best.low, best.high), facts))
    return found


def _outcome(row: Row) -> Outcome:
    fields = list(row)
    fields[2] = json.loads(row[2])
    fields[3] = bool(row[3])
    fields[9] = None if row[9] is None else json.loads(row[9])
    return Outcome(*fields)


def _check_name(what: str, name: str) -> None:
    check_name(what, name, NAME_BYTES_MAX)


def _check_amount(what: str, amount: float) -> None:
    check_number(what, amount, 0, AMOUNT_MAX)


def _encode(context: dict[str, Json]) -> str:
    return codec.encode(context, bytes_max=CONTEXT_BYTES_MAX).decode()
