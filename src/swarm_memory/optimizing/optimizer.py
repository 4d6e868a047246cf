"""Steps of an optimization: what each would give, and what it gave."""

from __future__ import annotations

import time

from swarm_memory.checks import check_number
from swarm_memory.errors import InvalidArgumentError
from swarm_memory.lean import NamedTuple
from swarm_memory.optimizing.looking import (
    ARCHIVE,
    COMPRESS,
    DICTIONARY_VALUES_LEAST,
    FREE_RATIO,
    HISTORY,
    INDEX,
    SLACK_FACT,
    STATISTICS,
    SWEEP,
    VACUUM,
    Look,
)
from swarm_memory.packing import Packing
from swarm_memory.reports import Gain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarm_memory.engine import Engine
    from swarm_memory.reports import Advice
    from swarm_memory.swarm import Swarm

    Progress = Callable[[str, int, Gain | None], object]

# In this order: what goes first is not packed, and what all leave free is given back at the end.
DEFAULT_STEPS = (SWEEP, HISTORY, COMPRESS, INDEX, STATISTICS, VACUUM)
STEPS = (*DEFAULT_STEPS, ARCHIVE)
BUDGET_S, BUDGET_S_MAX = 60.0, 86_400.0
WAIT_SHARE = 0.5  # of the time that others wait for their turn at most
INDEX_ROWS = 2000  # between two looks at the clock


class Done(NamedTuple):
    """What a step has to say: a sentence, rows, bytes, and whether it came to its end.

    `beside` are rows of no record, such as those of logs.
    """

    what: str
    changed: int
    size: int
    finished: bool = True
    beside: int = 0


class Optimizer:
    """Plans and does the upkeep of one swarm; some of it concerns the whole store.

    Args:
        swarm: Whose records.
        engine: What they lie in.
    """

    def __init__(self, swarm: Swarm, engine: Engine) -> None:
        self._swarm = swarm
        self._engine = engine

    def plan(self, only: Sequence[str] | None = None) -> list[Advice]:
        """Return what there is to do, in the order in which it is done; nothing is written.

        It costs about as much on a large store as on a small one: of more than some thousand
        records a sample is looked at, and its figures are estimates.

        Args:
            only: Names of steps; None for all, archiving among them.

        Raises:
            InvalidArgumentError: There is no such step.
        """
        look = Look(self._swarm, self._engine)
        found = [self._look(look, name) for name in _steps(only, STEPS)]
        return [advice for advice in found if advice is not None]

    def apply(
        self,
        only: Sequence[str] | None = None,
        *,
        budget_s: float = BUDGET_S,
        to: str | None = None,
        progress: Progress | None = None,
    ) -> list[Gain]:
        """Do it, and return for each step what was expected and what was measured.

        Every transaction is short and complete, so whatever ends it early (the time, Ctrl-C, a
        killed process) leaves nothing half done, and a repeat goes on. Steps that changed nothing
        are not returned.

        Args:
            only: Names of steps; None for all but archiving, which is only done by its name.
            budget_s: Seconds after which nothing more is begun, 0.001 to 86400.
            to: The directory that an archive is written to.
            progress: Called with a step's name, rows looked at, and its gain once it is done.

        Raises:
            InvalidArgumentError: There is no such step, or an archive has no directory.
            EngineUnavailableError, StorageFullError: The archive cannot be written.
        """
        check_number("budget_s", budget_s, 0.001, BUDGET_S_MAX, "seconds")
        names = _steps(only, DEFAULT_STEPS)
        if ARCHIVE in names and to is None:
            raise InvalidArgumentError(
                "an archive without a directory",
                hint="on the store's machine: optimize --apply --only archive --to DIR",
            )
        asked_for = only is not None
        run = _Run(self._swarm, self._engine, budget_s, to, progress, asked_for=asked_for)
        look = Look(self._swarm, self._engine)
        expected = {
            name: self._look(look, name) for name in names if name not in (VACUUM, COMPRESS)
        }
        gains = []
        for name in names:
            if name == COMPRESS:  # of what the steps before have left
                expected[name] = Look(self._swarm, self._engine).compress()
            elif name == VACUUM:
                expected[name] = Look(self._swarm, self._engine).vacuum(saved=run.saved)
            advice = expected[name]
            gain = run.step(name, 0 if advice is None else advice.expected_bytes)
            if gain is not None:
                gains.append(gain)
        return gains

    @staticmethod
    def _look(look: Look, name: str) -> Advice | None:
        advice: Advice | None = getattr(look, name)()
        return advice


class _Run:
    """One optimization under way."""

    def __init__(
        self,
        swarm: Swarm,
        engine: Engine,
        budget_s: float,
        to: str | None,
        progress: Progress | None,
        *,
        asked_for: bool,
    ) -> None:
        self._asked_for = asked_for
        self._swarm = swarm
        self._engine = engine
        self._deadline_ms = engine.uptime_ms + round(budget_s * 1000)
        self._to = to
        self._progress = progress
        self._name = ""
        self.saved = 0  # bytes, by the steps so far

    def step(self, name: str, expected: int) -> Gain | None:
        """Do one step; None if there was nothing to do."""
        self._name = name
        self._tell(0)
        began_s = time.monotonic()
        done: Done = getattr(self, f"_{name}")()
        if not (done.changed or done.size or done.beside) and done.finished:
            return None
        self.saved += max(0, done.size)
        seconds = round(time.monotonic() - began_s, 3)
        gain = Gain(name, done.what, done.changed, expected, done.size, seconds, done.finished)
        if self._progress is not None:
            self._progress(name, done.changed, gain)
        return gain

    def _over(self) -> bool:
        return self._engine.uptime_ms >= self._deadline_ms

    def _left_s(self) -> float:
        return max(0.0, (self._deadline_ms - self._engine.uptime_ms) / 1000)

    def _tell(self, rows: int) -> None:
        if self._progress is not None:
            self._progress(self._name, rows, None)

    # --- the steps, by their names ---

    def _sweep(self) -> Done:
        swept = self._swarm.retention.sweep_while(over=self._over, tell=self._tell)
        others = swept.tombstones + swept.events + swept.ops
        others += self._swarm.prune() if swept.finished else 0
        what = f"removed {swept.expired:,} expired records"
        if others:
            what += f", and {others:,} aged rows beside them"
        return Done(what, swept.expired, swept.bytes, swept.finished, others)

    def _history(self) -> Done:
        trimmed = self._swarm.retention.trim(over=self._over, tell=self._tell)
        what = f"removed {trimmed.versions:,} older versions that no category keeps"
        return Done(what, trimmed.versions, trimmed.bytes, trimmed.finished)

    def _compress(self) -> Done:
        if self._over():
            return Done("packed nothing", 0, 0, finished=False)
        context = self._swarm.context
        packing = Packing(self._engine, context)
        before = packing.newest()
        values_min = min(DICTIONARY_VALUES_LEAST, context.config.dictionary_values_min)
        number = packing.train(values_min)
        cost = packing.dictionary_bytes(number) if number != before else 0
        packed = packing.pack(over=self._over, tell=self._tell)
        rows = packed.records + packed.versions
        trained = f" with a new dictionary of {cost:,} bytes" if cost else ""
        return Done(
            f"packed {packed.records:,} records and {packed.versions:,} older versions{trained}",
            rows,
            packed.saved_bytes + packed.versions_saved_bytes - cost,
            packed.finished,
        )

    def _index(self) -> Done:
        index, rows = self._swarm.finder.index, 0
        state = index.state(self._engine)
        if state is None:
            return Done("nobody has searched yet", 0, 0)
        behind = state.newest - state.seq if index.is_behind(state) else 0
        while not self._over():
            if index.catch_up(INDEX_ROWS, self._left_s()):
                return Done(f"the search index followed {behind:,} changes", behind, 0)
            rows += INDEX_ROWS
            self._tell(rows)
        return Done("the search index is not up to date yet", rows, 0, finished=False)

    def _statistics(self) -> Done:
        stale = self._engine.wear()["stale_tables"]
        if not stale:
            return Done("statistics fit", 0, 0)
        if self._over():
            return Done("refreshed no statistics", 0, 0, finished=False)
        self._engine.analyse()
        return Done(f"refreshed the planner's statistics of {stale} tables", stale, 0)

    def _vacuum(self) -> Done:
        look = Look(self._swarm, self._engine)
        advice = look.vacuum(saved=self.saved)
        if advice is None:
            return Done("there is little free space", 0, 0)
        if self._over():
            return Done("gave nothing back", 0, 0, finished=False)
        within_s = self._left_s()
        if not self._asked_for:
            # Whoever waits for longer gives up.
            within_s = min(within_s, WAIT_SHARE * self._swarm.config.busy_timeout_s)
        ratio = 0 if self.saved else FREE_RATIO
        freed = self._engine.give_back(free_ratio=ratio, within_s=within_s)
        dead = int(advice.evidence["dead_rows"])
        what = f"gave {freed:,} bytes back to the file system"
        if dead:
            what = f"cleaned {dead:,} dead rows, and {what}"
        elif not freed and advice.evidence["others_wait_s"] > within_s:
            what = f"gave nothing back: others might wait {advice.evidence['others_wait_s']:g} s"
            what += "; when it is quiet: --only vacuum, with --budget-s above that"
        if freed:
            self._note_slack()
        return Done(what, dead, freed, bool(dead or freed))

    def _note_slack(self) -> None:
        """Remember what stays unused in pages that were just written, for the next look."""
        used = self._engine.usage()["file_bytes"]
        wear = self._engine.wear()
        left = round(1000 * wear["slack_bytes"] / max(1, used - wear["free_bytes"]))
        self._engine.write(
            lambda tx: tx.run("fact_set", swarm="", name=SLACK_FACT, value=left),
            durability="relaxed",
        )

    def _archive(self) -> Done:
        from swarm_memory.optimizing.archive import archive

        archived = archive(self._swarm, str(self._to), over=self._over, tell=self._tell)
        return Done(archived.what, archived.records, archived.bytes, archived.finished)


def _steps(only: Sequence[str] | None, default: tuple[str, ...]) -> list[str]:
    """Return the steps that are asked for, in their order."""
    if only is None:
        return list(default)
    unknown = [name for name in only if name not in STEPS]
    if unknown or not only or isinstance(only, str):
        raise InvalidArgumentError(f"step {unknown or only!r}", hint=f"some of {', '.join(STEPS)}")
    return [name for name in STEPS if name in only]
