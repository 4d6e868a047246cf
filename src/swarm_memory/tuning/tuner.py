"""The tuner: one parameter at a time is tried against what it was, under the load that there is.

A trial switches between two values by windows of samples, and ends when the windows tell the
two apart, when the candidate does harm, or after a bounded number. Which candidate is worth a
trial the learner says. What is set lies in the store, and all processes use it from their next
look on (see `tuned`). While an alert is open nothing is tried, and what is being tried goes back.
"""

from __future__ import annotations

from swarm_memory.context import new_id
from swarm_memory.errors import ConflictError, InvalidArgumentError, NotFoundError
from swarm_memory.lean import NamedTuple
from swarm_memory.meter import HAND_IN_NS
from swarm_memory.monitor.sample import MINUTE
from swarm_memory.tuned import OFF, PREFIX, SWARM, read
from swarm_memory.tuning import AGENT, Setting, Tuning, sweeping
from swarm_memory.tuning.measure import (
    BETTER,
    PARAMETERS,
    SAME,
    WORSE,
    Cost,
    compare,
    cost_of,
    matters,
    score_of,
    turn,
    writes_share,
)
from swarm_memory.tuning.sweeping import LITTLE, MUCH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.engine import Engine
    from swarm_memory.model import Json, Record
    from swarm_memory.monitor.sample import Sample
    from swarm_memory.swarm import Swarm, Transaction
    from swarm_memory.tuning.measure import Compared, Parameter

TRIAL, CHANGES = "tuning/trial", "tuning/changes"
SETTLE_S = 2 * HAND_IN_NS / 1e9  # until every process that works has looked
SAMPLES = 30  # that a window may be spread over; then the trial is given up
REST_S = 6 * 3600.0  # until what was not better is looked at again
REST_UNDONE_S = 30 * 86_400.0  # until what a person has taken back is
KEPT_S = 366 * 86_400
HISTORY_MAX = 1000
ALERT, QUIET, UNDONE, LEFT, STOPPED = "alert", "quiet", "undone", "left", "stopped"
WHY = {
    BETTER: "it did better",
    WORSE: "it did worse",
    SAME: "no difference was found",
    ALERT: "an alert was raised",
    QUIET: "there was too little to do to tell",
    UNDONE: "somebody took it back",
    LEFT: "the learner expects nothing of it",
    STOPPED: "tuning was turned off",
    MUCH: "much had expired",
    LITTLE: "little had expired",
}


class Change(NamedTuple):
    """A trial that ended, or what a person did.

    `kept` says whether the parameter went from `before` to `after` for good, `reason` why or why
    not (a word; `why` is the sentence). `ratio` is what the calls that it is about cost
    with `after` in what they cost before, `low` and `high` its 95 % interval, None where it was
    not measured; `windows` counts what was measured, `swarm` is where.
    """

    change_id: str
    at_ms: int
    parameter: str
    before: int
    after: int
    kept: bool
    reason: str
    ratio: float | None
    low: float | None
    high: float | None
    windows: int
    swarm: str

    @property
    def why(self) -> str:
        """A sentence that says why it was kept or not."""
        return WHY[self.reason]

    def to_dict(self) -> dict[str, Json]:
        """Return it as every door shows it."""
        return {**self._asdict(), "why": self.why}


class Knob(NamedTuple):
    """A parameter as it is now: `source` is default, tuned, or given (which nothing changes).

    `trying` is the value that is compared with it, None outside of a trial.
    """

    parameter: str
    value: int
    default: int
    source: str
    values: list[int]
    trying: int | None

    def to_dict(self) -> dict[str, Json]:
        """Return it as every door shows it."""
        return dict(self._asdict())


class Tuner:
    """Tunes the store of one swarm, by what is measured in that swarm.

    Args:
        settle_s: Seconds after a switch of which nothing is measured.
    """

    def __init__(self, swarm: Swarm, engine: Engine, *, settle_s: float = SETTLE_S) -> None:
        self._swarm = swarm
        self._config = swarm.config
        self._touched = engine.touched
        self._engine = engine.of(SWARM)
        self._home = swarm.as_agent(AGENT, swarm=SWARM)
        self._settle_ms = round(1000 * settle_s)

    # --- what it is ---

    def knobs(self) -> list[Knob]:
        """Return all parameters."""
        set_, trial = read(self._engine), self._trial()[0]
        if not self.is_on:
            set_ = {}
        shown = []
        for parameter in PARAMETERS:
            default, given = self._default(parameter), parameter.name in self._config.given
            running = trial.get("parameter") == parameter.name
            value = default if given else int(set_.get(parameter.name, default))
            if running:
                value = trial["before"]
            source = "given" if given else "default" if value == default else "tuned"
            trying = trial["candidate"] if running else None
            shown.append(
                Knob(parameter.name, value, default, source, parameter.places(default), trying)
            )
        longest = round(self._config.cleanup_interval_s)
        tuned = self.is_on and not sweeping.is_given(self._config)
        every_s = sweeping.interval_s(self._swarm) if tuned else longest
        source = "given" if sweeping.is_given(self._config) else "tuned" if tuned else "default"
        shown.append(Knob(sweeping.PARAMETER, every_s, longest, source, [], None))
        return shown

    @property
    def is_on(self) -> bool:
        """Whether anything is tuned: by the setting `tuning`, and by the store's own switch."""
        return self._config.tuning != "off" and OFF not in read(self._engine)

    def history(self, *, limit: int = 100) -> list[Change]:
        """Return the changes, the newest first."""
        page = self._home.records.scan(CHANGES, limit=limit, reverse=True)
        return [Change(record.key.rpartition("/")[2], **record.value) for record in page]

    def say(self, parameter: str, before: int, after: int, reason: str) -> Change:
        """Keep in the history what was changed without a trial; return it."""
        change = self._change(parameter, before, after, reason, None, 0)._replace(kept=True)
        self._home.transact(lambda tx: self._log(tx, change))
        return change

    # --- what a person does ---

    def undo(self) -> Change:
        """Take the last change back that was kept; the tuner leaves that parameter for a month.

        Raises:
            NotFoundError: Nothing is changed.
        """
        now = read(self._engine)
        for change in self.history(limit=HISTORY_MAX):
            in_force = now.get(change.parameter) == change.after
            if in_force and change.kept and change.reason != UNDONE:
                return self._put_back(change)
        raise NotFoundError("no change is in force", hint="swarm-memory tuning list")

    def _put_back(self, change: Change) -> Change:
        parameter = _parameter(change.parameter)
        ratio = None if change.ratio is None else round(1 / change.ratio, 4)
        undone = change._replace(
            change_id=new_id(self._engine.now_ms), at_ms=self._engine.now_ms,
            before=change.after, after=change.before, reason=UNDONE, ratio=ratio,
            low=None, high=None, windows=0,
        )  # fmt: skip

        def write(tx: Transaction) -> Change:
            if tx.records.get(TRIAL) is not None:
                self._end(tx, self._trial()[0], STOPPED, None)
            self._set(tx, parameter, undone.after)
            self._log(tx, undone)
            return undone

        return self._home.transact(write)

    def turn(self, on: bool) -> None:
        """Turn tuning of this store off, so that every process uses its defaults, or on again."""

        def write(tx: Transaction) -> None:
            trial = tx.records.get(TRIAL)
            if on:
                tx.tx.run("tuned_clear", swarm=SWARM, name=PREFIX + OFF)
                return
            tx.tx.run("fact_set", swarm=SWARM, name=PREFIX + OFF, value=1)
            if trial is not None:
                self._end(tx, trial.value, STOPPED, None)

        self._home.transact(write)

    # --- what it does by itself ---

    def step(self) -> Change | None:
        """Go on with the trial of this swarm, or begin one; return the change if one ended.

        Whoever took a sample calls it. Of several at once one goes on.
        """
        if self._swarm.context.swarm == SWARM or not self.is_on:
            return None
        trial, version = self._trial()
        try:
            if not trial:
                self._begin(version)
                return None
            if trial["swarm"] != self._swarm.context.swarm:
                stale = trial["since_ms"] + 2 * SAMPLES * self._interval_ms < self._engine.now_ms
                return self._finish(version, trial, QUIET) if stale else None
            if self._swarm.monitor.alerts.list(limit=1):
                return self._finish(version, trial, ALERT)
            return self._go_on(trial, version)
        except ConflictError:
            return None  # another process was here

    @property
    def _interval_ms(self) -> float:
        return 1000 * self._config.monitor_interval_s

    def _trial(self) -> tuple[dict[str, Json], int]:
        record: Record | None = self._home.records.get(TRIAL)
        return ({}, 0) if record is None else (record.value, record.version)

    def _samples(self, since_ms: int) -> list[Sample]:
        found = self._swarm.monitor.series(MINUTE, since_ms=since_ms, limit=SAMPLES)
        return [s for s in found if s.at_ms - 1000 * s.length_s >= since_ms]

    def _go_on(self, trial: dict[str, Json], version: int) -> Change | None:
        parameter = _parameter(trial["parameter"])
        window = self._samples(trial["since_ms"])
        cost = cost_of(window, parameter)
        if not matters(cost, sum(sample.length_s for sample in window)):
            gone_ms = self._engine.now_ms - trial["since_ms"]
            given_up = gone_ms > self._settle_ms + SAMPLES * self._interval_ms
            return self._finish(version, trial, QUIET) if given_up else None
        costs = [*trial["costs"], round(cost.mean_ms, 6)]
        self._learn(trial, cost)
        trial = trial | {"costs": costs}
        found = compare(costs)
        if found.verdict is not None:
            return self._finish(version, trial, found.verdict, found)
        self._next_window(version, trial)
        return None

    def _learn(self, trial: dict[str, Json], cost: Cost) -> None:
        """Tell the learner how the window went, against the default under the same load."""
        reference = trial["costs"][0] if trial["costs"] else cost.mean_ms
        ratio = trial["factor"] * cost.mean_ms / reference
        setting = Setting(trial["parameter"], trial["value"], trial["choice_id"], False, False, "")
        Tuning(self._swarm).measured(
            setting, score_of(ratio), duration_s=cost.total_ms / 1000, workload=trial["workload"]
        )

    def _next_window(self, version: int, trial: dict[str, Json]) -> None:
        parameter = _parameter(trial["parameter"])
        value = trial["candidate" if turn(len(trial["costs"])) else "before"]
        chosen = Tuning(self._swarm).choose(parameter.name, [value], workload=trial["workload"])
        # Who goes on with the same value has nothing to settle.
        settle_ms = 0 if value == trial["value"] else self._settle_ms
        trial = trial | {"value": value, "choice_id": chosen.choice_id}

        def write(tx: Transaction) -> None:
            tx.records.put(TRIAL, trial | {"since_ms": tx.now_ms + settle_ms}, expect=version)
            self._set(tx, parameter, value)

        self._home.transact(write)

    # --- beginning and ending ---

    def _begin(self, version: int) -> None:
        samples = self._swarm.monitor.series(MINUTE, limit=1)
        if self._touched() == 0:
            return  # nothing can be kept of such a store, whatever the size
        if not samples or self._swarm.monitor.alerts.list(limit=1):
            return
        workload: dict[str, Json] = {"writes_share": writes_share(samples)}
        length_s = sum(sample.length_s for sample in samples)
        history = self.history(limit=HISTORY_MAX)
        for parameter in PARAMETERS:
            if parameter.name in self._config.given:
                continue
            if not matters(cost_of(samples, parameter), length_s):
                continue
            candidate = self._candidate(parameter, history, workload)
            if candidate is not None:
                self._next_window(version, self._fresh(parameter, candidate, history, workload))
                return

    def _fresh(
        self,
        parameter: Parameter,
        candidate: int,
        history: list[Change],
        workload: dict[str, Json],
    ) -> dict[str, Json]:
        before = self._value(parameter)
        return {
            "parameter": parameter.name, "before": before, "candidate": candidate, "value": before,
            "swarm": self._swarm.context.swarm, "workload": workload, "costs": [], "since_ms": 0,
            "choice_id": None, "factor": _factor(history, parameter.name, before),
        }  # fmt: skip

    def _candidate(
        self, parameter: Parameter, history: list[Change], workload: dict[str, Json]
    ) -> int | None:
        """Return the value that is worth a trial now, None of none."""
        value = self._value(parameter)
        mine = [change for change in history if change.parameter == parameter.name]
        rested = [
            candidate
            for candidate in parameter.neighbours(value, self._default(parameter))
            if not self._rests(mine, value, candidate)
        ]
        if not rested:
            return None
        tried = {change.after for change in mine if change.windows}
        new = [candidate for candidate in rested if candidate not in tried]
        if new:
            return new[0]
        chosen = Tuning(self._swarm).choose(parameter.name, [value, *rested], workload=workload)
        if chosen.value != value:
            return int(chosen.value)
        for candidate in rested:
            self._home.transact(
                lambda tx, c=candidate: self._log(  # type: ignore[misc]
                    tx, self._change(parameter.name, value, c, LEFT, None, 0)
                )
            )
        return None

    def _rests(self, mine: list[Change], value: int, candidate: int) -> bool:
        now_ms = self._engine.now_ms
        for change in mine:
            age_s = (now_ms - change.at_ms) / 1000
            if change.reason == UNDONE and age_s < REST_UNDONE_S:
                return True
            ends = {change.before, change.after}
            if ends == {value, candidate} and age_s < REST_S:
                return True
        return False

    def _finish(
        self, version: int, trial: dict[str, Json], reason: str, found: Compared | None = None
    ) -> Change:
        def write(tx: Transaction) -> Change:
            record = tx.records.get(TRIAL)
            if record is None or record.version != version:
                raise ConflictError(TRIAL, version, 0 if record is None else record.version)
            return self._end(tx, trial, reason, found)

        return self._home.transact(write)

    def _end(
        self, tx: Transaction, trial: dict[str, Json], reason: str, found: Compared | None
    ) -> Change:
        name, before, candidate = trial["parameter"], trial["before"], trial["candidate"]
        self._set(tx, _parameter(name), candidate if reason == BETTER else before)
        windows = len(trial["costs"])
        change = self._change(name, before, candidate, reason, found, windows, trial["swarm"])
        self._log(tx, change)
        tx.records.delete(TRIAL)
        return change

    def _change(
        self,
        name: str,
        before: int,
        after: int,
        reason: str,
        found: Compared | None,
        windows: int,
        swarm: str | None = None,
    ) -> Change:
        ratio, low, high = (None, None, None) if found is None else found[1:]
        now_ms = self._engine.now_ms
        where = swarm or self._swarm.context.swarm
        return Change(
            new_id(now_ms), now_ms, name, before, after, reason == BETTER, reason,
            ratio, low, high, windows, where,
        )  # fmt: skip

    def _log(self, tx: Transaction, change: Change) -> None:
        said = change._asdict()
        del said["change_id"]
        tx.records.put(f"{CHANGES}/{change.change_id}", said, ttl_s=KEPT_S)

    # --- values ---

    def _value(self, parameter: Parameter) -> int:
        return read(self._engine).get(parameter.name, self._default(parameter))

    def _default(self, parameter: Parameter) -> int:
        return int(self._config.settings[parameter.name])

    def _set(self, tx: Transaction, parameter: Parameter, value: int) -> None:
        name = PREFIX + parameter.name
        if value == self._default(parameter):
            tx.tx.run("tuned_clear", swarm=SWARM, name=name)
        else:
            tx.tx.run("fact_set", swarm=SWARM, name=name, value=value)


def _parameter(name: str) -> Parameter:
    for parameter in PARAMETERS:
        if parameter.name == name:
            return parameter
    known = ", ".join(parameter.name for parameter in PARAMETERS)
    raise InvalidArgumentError(f"parameter {name!r}", hint=f"one of {known}")


def _factor(history: list[Change], name: str, value: int) -> float:
    """Return the cost of a value in that of the default, by the changes that led to it."""
    factor = 1.0
    for change in history:
        if change.parameter == name and change.kept and change.after == value:
            factor *= change.ratio or 1.0
            value = change.before
    return factor
