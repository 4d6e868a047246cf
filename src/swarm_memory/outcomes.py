"""Outcomes and choices: how tasks ended, and which strategy to try next.

Outcomes and revisions of their labels are a log. What was learned from it lies in the store and
moves in the outcome's transaction, so every process reads the same and nothing has to be rebuilt
after a restart; see `learned`.
"""

from __future__ import annotations

import json
import os

from swarm_memory import codec, findings
from swarm_memory.advice import Adviser
from swarm_memory.checks import check_name, check_number, check_whole
from swarm_memory.context import new_id
from swarm_memory.errors import InvalidArgumentError, NotFoundError
from swarm_memory.lean import suppress
from swarm_memory.learned import Learned, line_of, sealed, unsealed
from swarm_memory.learning.observation import (
    EXPLICIT,
    LABEL_SOURCES,
    PARTIAL,
    STATUSES,
    SUCCESS,
    UNKNOWN,
    Observation,
)
from swarm_memory.meter import metered
from swarm_memory.reports import Choice, Insight, Outcome, Recommendation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarm_memory.context import Context
    from swarm_memory.engine import Reader, Row, Tx
    from swarm_memory.model import Json

__all__ = ["LABEL_SOURCES", "STATUSES", "Observation", "Outcomes"]
NAME_BYTES_MAX = 255
CANDIDATES_MAX = 1000
AMOUNT_MAX = 1e9
STEP_MAX = 2**31
CONTEXT_BYTES_MAX = 65_536
BUDGET_WINDOW = 200  # of the last choices, that the budget of trying is counted over
ANY_TASK = "any"
INSIGHTS = "insights"  # the part that holds what the outcomes said last
REWARDS = {SUCCESS: 1.0, PARTIAL: 0.5, UNKNOWN: None}  # of all others 0


class Outcomes:
    """The outcomes and choices of one swarm."""

    __slots__ = ("_context", "_db", "_learned")

    def __init__(self, db: Reader, context: Context, learned: Learned | None = None) -> None:
        self._db = db
        self._context = context
        self._learned = learned or Learned(context)

    def within(self, tx: Tx) -> Outcomes:
        """Return these outcomes bound to a transaction."""
        return Outcomes(tx, self._context, self._learned)

    # --- how tasks ended ---

    @metered("outcome", writes=True)
    def record(
        self,
        task_type: str,
        agents: Sequence[str],
        success: bool | str | None,
        duration_s: float,
        *,
        context: dict[str, Json] | None = None,
        strategy: str | None = None,
        cost: float | None = None,
        decision: Recommendation | str | None = None,
        outcome_id: str | None = None,
        score: float | None = None,
        label_source: str | None = None,
        error_class: str | None = None,
        task: str | None = None,
        signals: dict[str, Json] | None = None,
        failed_agent: str | None = None,
        failed_step: int | None = None,
        learn: bool = True,
    ) -> Outcome:
        """Record how a task ended and learn it, in one transaction.

        Args:
            success: True, False, "partial", "timeout", "conflict", or None if nobody knows. To
                have finished is no success.
            context: What was known before the work: facets, numbers, text, by name.
            decision: The recommendation that was asked for (or its `choice_id`). If its strategy
                was used, the outcome has its propensity; if another was, that is not known.
            outcome_id: The same twice counts once.
            score: How good it was, 0 to 1; without it 1 for success, 0.5 for partial, else 0.
            label_source: Who says so: "explicit", "check" or "reverted"; explicit by default.
            task: What the outcome is of, if the same task is done several times.
            signals: What was seen while it went on, such as the number of calls.
            learn: False leaves the learning to whoever asks or records next.

        Raises:
            InvalidArgumentError: A name is empty or too long, or a number out of its range.
            NotFoundError: `decision` names no choice of this swarm.
        """
        status, reward, source = _label(success, score, label_source)
        names = [agents] if isinstance(agents, str) else list(agents)
        _check_names(task_type=task_type, strategy=strategy, task=task, error_class=error_class)
        _check_names(failed_agent=failed_agent, outcome_id=outcome_id)
        for name in names:
            _check_names(agent=name)
        check_number("execution_time", duration_s, 0, AMOUNT_MAX)
        if cost is not None:
            check_number("cost", cost, 0, AMOUNT_MAX)
        if failed_step is not None:
            check_whole("failed_step", failed_step, 0, STEP_MAX)
        choice_id = decision.choice_id if isinstance(decision, Recommendation) else decision
        texts = {"context": _encode(context), "signals": _encode(signals)}

        def write(tx: Tx) -> Outcome:
            chosen, propensity = self._choice(tx, choice_id, strategy)
            outcome = Outcome(
                outcome_id or new_id(tx.now_ms), task_type, names, status, float(duration_s),
                chosen, cost, choice_id, propensity, context, self._context.agent, tx.now_ms,
                reward, source, task, signals, error_class, failed_agent, failed_step,
            )  # fmt: skip
            row = outcome._asdict() | texts | {"session": self._context.session}
            return outcome if self._insert(tx, row, learn) else self._get(tx, outcome.outcome_id)

        return self._db.write(write)

    def relabel(
        self,
        outcome_id: str,
        success: bool | str,
        *,
        score: float | None = None,
        label_source: str = EXPLICIT,
        error_class: str | None = None,
        learn: bool = True,
    ) -> Outcome:
        """Say how a task ended after its outcome was recorded; return the outcome as it is now.

        A label of a surer source stays: what somebody said explicitly is not revised by a test
        that ran later, and a test not by a revert. `learn` is as in `record`.

        Raises:
            InvalidArgumentError: The label is none, or "unknown".
            NotFoundError: There is no such outcome.
        """
        status, reward, source = _label(success, score, label_source)
        if reward is None:
            raise InvalidArgumentError("success None", hint="a label cannot be taken back")
        _check_names(error_class=error_class)

        def write(tx: Tx) -> Outcome:
            self._learned.head(tx)  # from here on nobody else learns
            was = self._get(tx, outcome_id)
            surer = LABEL_SOURCES.index(was.label_source) < LABEL_SOURCES.index(source)
            same = (was.status, was.reward, was.label_source) == (status, reward, source)
            if surer or same:
                return was
            self._revise(tx, was, status, reward, source, error_class or was.error_class)
            if learn:
                self._learned.catch_up(tx)
            return self._get(tx, outcome_id)

        return self._db.write(write)

    def _revise(
        self,
        tx: Tx,
        was: Outcome,
        status: str,
        reward: float,
        source: str,
        error_class: str | None,
        by: tuple[str, int] | None = None,
    ) -> None:
        """Change a label and log it, as done by this agent now, or by whom and when `by` says."""
        swarm = self._context.swarm
        row = {"swarm": swarm, "outcome_id": was.outcome_id, "status": status, "reward": reward}
        row |= {"label_source": source, "error_class": error_class}
        tx.run("outcome_relabel", **row)
        author, at_ms = by or (self._context.agent, tx.now_ms)
        before = {"was_status": was.status, "was_reward": was.reward}
        before |= {"was_source": was.label_source, "was_error_class": was.error_class}
        seq = self._learned.newest(tx) + 1
        tx.run("relabel_add", **row, **before, seq=seq, author=author, at_ms=at_ms)
        known = was.reward is None
        counted = {"trials": int(known), "unlabelled": -int(known), "duration_s": 0.0, "cost": 0.0}
        self._count(tx, was._asdict() | counted | {"reward": reward - (was.reward or 0.0)})

    def _choice(
        self, tx: Tx, choice_id: str | None, strategy: str | None
    ) -> tuple[str | None, float | None]:
        """Return the strategy that was used, and its propensity if it is the one chosen."""
        if choice_id is None:
            return strategy, None
        row = tx.one("choice_get", swarm=self._context.swarm, choice_id=choice_id)
        if row is None:
            raise NotFoundError(
                f"there is no choice {choice_id!r} in swarm {self._context.swarm}",
                hint="pass what get_coordination_strategy returned",
            )
        followed = strategy is None or strategy == row[1]
        return (row[1], row[2]) if followed else (strategy, None)

    def _insert(self, tx: Tx, row: dict[str, Json], learn: bool = True) -> bool:
        """Add a row unless its outcome_id is there, count and learn it; tell if it was added."""
        head = self._learned.head(tx)
        seq = self._learned.newest(tx) + 1
        row = row | {"agents": json.dumps(row["agents"]), "seq": seq}
        added = tx.run("outcome_add", swarm=self._context.swarm, **row)
        if added:
            known = row["reward"] is not None
            self._count(tx, row | {"trials": int(known), "unlabelled": int(not known)})
            if learn:
                self._learned.learn(tx, head, line_of(row))
        return bool(added)

    def _count(self, tx: Tx, row: dict[str, Json]) -> None:
        tx.run(
            "arm_add",
            swarm=self._context.swarm,
            task_type=row["task_type"],
            strategy=row["strategy"] or "",
            trials=row["trials"],
            unlabelled=row["unlabelled"],
            reward=row["reward"] or 0.0,
            duration_s=row["duration_s"],
            cost=row["cost"] or 0.0,
            at_ms=row["at_ms"],
        )

    def load(self, row: dict[str, Json]) -> bool:
        """Add an outcome of another store, given by its columns; False if it is here already."""
        texts = {name: _encode(row[name]) for name in ("context", "signals")}
        return self._db.write(lambda tx: self._insert(tx, row | texts))

    def load_revision(self, row: dict[str, Json]) -> bool:
        """Revise a label as another store did, given by its columns; tell if it was revised.

        It is not if that is done here already, or if the label is by now another one than the
        other store revised.
        """
        said = tuple(row[f"was_{name}"] for name in ("status", "reward", "source"))

        def write(tx: Tx) -> bool:
            self._learned.head(tx)
            known = tx.one("relabel_known", swarm=self._context.swarm, **row)
            found = tx.one("outcome_get", swarm=self._context.swarm, outcome_id=row["outcome_id"])
            if known or found is None:
                return False
            was = _outcome(found)
            if said != (was.status, was.reward, was.label_source):
                return False
            new = (row["status"], row["reward"], row["label_source"], row["error_class"])
            self._revise(tx, was, *new, (row["author"], row["at_ms"]))
            self._learned.catch_up(tx)
            return True

        return self._db.write(write)

    def get(self, outcome_id: str) -> Outcome:
        """Return one outcome.

        Raises:
            NotFoundError: There is no such outcome.
        """
        return self._get(self._db, outcome_id)

    def _get(self, db: Reader, outcome_id: str) -> Outcome:
        row = db.one("outcome_get", swarm=self._context.swarm, outcome_id=outcome_id)
        if row is None:
            raise NotFoundError(
                f"there is no outcome {outcome_id!r} in swarm {self._context.swarm}",
                hint="swarm-memory outcomes lists them",
            )
        return _outcome(row)

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

    # --- what to do next ---

    @metered("recommend", writes=True)
    def recommend(
        self,
        context: dict[str, Json],
        candidates: Sequence[str] | None = None,
        *,
        explore: bool = True,
        cost_weight: float = 0.0,
        time_weight: float = 0.0,
        seed: int | None = None,
    ) -> Recommendation:
        """Choose a strategy for a task and log the choice with its propensity.

        `context["task_type"]` says what kind of task it is; all else in it is what is known of
        the task. Without `candidates` the strategies seen for that task type compete, or all that
        were seen if there are none. When nothing is known and nothing was offered, or too few
        outcomes say how they ended, `strategy` is None and nothing is logged.

        Args:
            explore: False takes what looks best; True also tries what may be better, each with
                the probability that is logged, without which nothing is learned of the others.
            cost_weight: How much success (0 to 1) one unit of cost is worth.
            time_weight: The same of one second.
            seed: Makes the choice repeatable.

        Raises:
            InvalidArgumentError: The context is no object, a name or a weight is out of range.
        """
        task_type, offered = self._asked(context, candidates)
        for name, weight in (("cost_weight", cost_weight), ("time_weight", time_weight)):
            check_number(name, weight, 0, AMOUNT_MAX)
        if seed is not None:
            check_whole("seed", seed, 0, 2**63 - 1)
        about = _encode(context) or "{}"
        number = int.from_bytes(os.urandom(7), "big") if seed is None else seed
        weights = (float(cost_weight), float(time_weight))

        def choose(tx: Tx) -> Recommendation:
            adviser = Adviser(tx, self._context, self._learned)
            advice, shown = adviser.advise(task_type, about, offered, explore, weights, number)
            if advice.strategy is None:
                return advice
            choice_id = new_id(tx.now_ms)
            self._log(tx, choice_id, task_type, advice.strategy, advice.propensity, shown, about)
            return advice._replace(choice_id=choice_id)

        return self._db.write(choose)

    def may_try(self) -> bool:
        """Tell whether the budget `explore_ratio` allows another choice that is made to learn.

        For doors that nobody asked to explore: 0, the default, allows none.
        """
        ratio = self._context.config.explore_ratio
        if ratio == 0:
            return False
        where = {"swarm": self._context.swarm, "limit": BUDGET_WINDOW}
        made, tried = self._db.one("choice_tried", **where) or (0, 0)
        return bool(tried < ratio * max(made, 1))

    def choose(
        self,
        context: dict[str, Json],
        strategy: str,
        *,
        candidates: Sequence[str] | None = None,
        propensity: float | None = None,
    ) -> str:
        """Log a choice that somebody else made; return its `choice_id` for the outcome.

        `propensity` in (0, 1] is the probability with which it was made. Without it the outcome
        informs estimates, and no evaluation of other policies.

        Raises:
            InvalidArgumentError: A name or the propensity is out of range.
        """
        task_type, offered = self._asked(context, candidates)
        _check_names(strategy=strategy)
        if propensity is not None:
            check_number("propensity", propensity, 1e-9, 1)
        names = list(dict.fromkeys([strategy, *(offered or ())]))
        shown = [
            {"strategy": name, "propensity": propensity if name == strategy else None}
            for name in names
        ]

        def write(tx: Tx) -> str:
            choice_id = new_id(tx.now_ms)
            self._log(tx, choice_id, task_type, strategy, propensity, codec.dumps(shown).decode(),
                      _encode(context))  # fmt: skip
            return choice_id

        return self._db.write(write)

    def _asked(
        self, context: dict[str, Json], candidates: Sequence[str] | None
    ) -> tuple[str, list[str] | None]:
        """Return the kind of task and what is offered, both checked."""
        if not isinstance(context, dict):
            raise InvalidArgumentError("context is no dict", hint='pass {"task_type": "…"}')
        task_type = str(context.get("task_type") or ANY_TASK)
        _check_names(task_type=task_type)
        offered = None if candidates is None else list(dict.fromkeys(candidates))
        if offered is not None and not 1 <= len(offered) <= CANDIDATES_MAX:
            raise InvalidArgumentError("candidates", hint=f"give 1 to {CANDIDATES_MAX} strategies")
        for name in offered or ():
            _check_names(strategy=name)
        return task_type, offered

    def _log(
        self,
        tx: Tx,
        choice_id: str,
        task_type: str,
        strategy: str,
        propensity: float | None,
        candidates: str,
        context: str | None,
    ) -> None:
        tx.run(
            "choice_add",
            swarm=self._context.swarm,
            choice_id=choice_id,
            task_type=task_type,
            strategy=strategy,
            propensity=propensity,
            candidates=candidates,
            context=context,
            author=self._context.agent,
            at_ms=tx.now_ms,
        )

    def waiting(self, *, older_s: float = 0.0, limit: int = 100) -> list[Choice]:
        """Return choices that have no outcome yet, the oldest first."""
        rows = self._db.all(
            "choice_waiting",
            swarm=self._context.swarm,
            before_ms=self._db.now_ms - int(older_s * 1000) + 1,
            limit=limit,
        )
        return [Choice._make((*row[:4], json.loads(row[4]), *row[5:])) for row in rows]

    # --- the log ---

    def observations(self, *, limit: int = 10_000, before: int | None = None) -> list[Observation]:
        """Return the last outcomes as the learning parts read them, the oldest of them first."""
        rows = self._db.all(
            "outcome_log", swarm=self._context.swarm, before=before or 2**62, limit=limit
        )
        return [_observation(row) for row in reversed(rows)]

    def insights(self, kind: str | None = None) -> list[Insight]:
        """Return what the last outcomes say and what to do, each with its evidence.

        Kinds: "best_strategy", "open" where several were tried and none stands out, "task_type",
        "pattern", "early_warning", "change", "trend", "failure_class", "failure_agent",
        "failure_step", "failures_together". What newer outcomes contradict is said no more; an
        empty list says that nothing reliable is known.
        """
        swarm = self._context.swarm
        row = self._db.one("model_insights", swarm=swarm)
        newest = self._learned.newest(self._db)
        said = None
        if row is not None:
            with suppress(ValueError):  # damaged: nothing was said before
                said = findings.load(unsealed(INSIGHTS, bytes(row[1])))
        if row is not None and row[0] == newest and said is not None:
            found = said
        else:
            earlier = said or []
            found = findings.find(self.observations(limit=findings.OBSERVATIONS_MAX), earlier)
            kept = {"version": newest, "state": sealed(INSIGHTS, findings.dump(found))}
            self._db.write(lambda tx: tx.run("insights_put", swarm=swarm, **kept))
        return [findings.insight_of(one) for one in found if kind is None or one.kind == kind]

    def rebuild(self) -> bool:
        """Learn the whole log anew; tell if what was stored is what comes out.

        Others may ask and record meanwhile: they go on learning where this stands.
        """

        def begin(tx: Tx) -> dict[str, bytes]:
            if self._learned.head(tx).version < self._learned.newest(tx):
                self._learned.catch_up(tx)
            try:
                before = self._learned.parts(tx)
            except ValueError:  # damaged
                before = {}
            self._learned.clear(tx)
            return before

        return self._db.write(begin) == self._learn_all()

    def _learn_all(self) -> dict[str, bytes]:
        """Learn what is left of the log, a batch in each transaction; return the model."""

        def step(tx: Tx) -> bool:
            _, head = self._learned.catch_up(tx)
            return head.version < self._learned.newest(tx)

        while self._db.write(step):
            pass
        return self._learned.parts(self._db)


def _outcome(row: Row) -> Outcome:
    (outcome_id, _, task_type, task, strategy, status, reward, label_source, duration_s, cost,
     agents, context, signals, error_class, failed_agent, failed_step, choice_id, propensity,
     author, _, at_ms) = row  # fmt: skip
    return Outcome(
        outcome_id, task_type, json.loads(agents), status, duration_s, strategy, cost, choice_id,
        propensity, _decode(context), author, at_ms, reward, label_source, task, _decode(signals),
        error_class, failed_agent, failed_step,
    )  # fmt: skip


def _observation(row: Row) -> Observation:
    (outcome_id, _, task_type, task, strategy, status, reward, label_source, duration_s, cost,
     agents, context, signals, error_class, failed_agent, failed_step, propensity, at_ms,
     candidates, recommended) = row  # fmt: skip
    offered: list[dict[str, Json]] = _decode(candidates) or []
    mine: dict[str, Json] = next((c for c in offered if c["strategy"] == strategy), {})
    chances = tuple(c["propensity"] for c in offered if c.get("propensity") is not None)
    interval = mine.get("interval")
    return Observation(
        outcome_id, at_ms, task or outcome_id, task_type, strategy, status, reward, label_source,
        duration_s, cost, tuple(json.loads(agents)), _decode(context), _decode(signals),
        error_class, failed_agent, failed_step,
        tuple(c["strategy"] for c in offered) or None,
        chances if chances and len(chances) == len(offered) else None,
        recommended, propensity, mine.get("expected"), tuple(interval) if interval else None,
    )  # fmt: skip


def _label(
    success: bool | str | None, score: float | None, source: str | None
) -> tuple[str, float | None, str]:
    """Return (status, reward, label source) of what somebody says of a task's end."""
    if success is None or isinstance(success, bool):
        status = {True: SUCCESS, False: "failure", None: UNKNOWN}[success]
    elif success in STATUSES:
        status = success
    else:
        raise InvalidArgumentError(
            f"success {success!r:.80}", hint=f"True, False, None or one of {', '.join(STATUSES)}"
        )
    if source not in (None, *LABEL_SOURCES):
        raise InvalidArgumentError(
            f"label_source {source!r:.80}", hint=f"one of {', '.join(LABEL_SOURCES)}"
        )
    if score is not None:
        check_number("score", score, 0, 1)
        if status == UNKNOWN:
            raise InvalidArgumentError("a score without success", hint="say how the task ended")
    if status == UNKNOWN:
        return UNKNOWN, None, UNKNOWN
    reward = float(score) if score is not None else REWARDS.get(status, 0.0)
    return status, reward, source if source not in (None, UNKNOWN) else EXPLICIT


def _check_names(**names: str | None) -> None:
    for what, name in names.items():
        if name is not None:
            check_name(what, name, NAME_BYTES_MAX)


def _encode(value: dict[str, Json] | None) -> str | None:
    if value is None:
        return None
    return codec.encode(value, bytes_max=CONTEXT_BYTES_MAX).decode()


def _decode(text: str | None) -> Json:
    return None if text is None else json.loads(text)
