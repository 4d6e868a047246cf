"""Hints from recorded operations: what fixed a failure, what works here, what belongs together.

All are counts with an interval, and silent unless the lower bound is high: a wrong hint costs an
agent more than none. A change counts as the fix of a failure only if it is specific: what is
changed all the time was changed before this one went away, too, and says nothing.
"""

from __future__ import annotations

import math

from swarm_memory.lean import NamedTuple
from swarm_memory.learning.operations import (
    AGAIN,
    CHECKS,
    EDIT,
    EDITED,
    INSTEAD,
    RAN,
    RUN,
    Step,
    Trial,
    is_absent,
    is_generic,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Z_ONE_SIDED_90 = 1.2816
SUPPORT_MIN, SUPPORT_GENERIC_MIN = 2, 3  # attempts that a fix was seen in
SESSIONS_MIN = 2  # sessions that they were in: one session repeats itself
LOWER_BOUND_MIN = 0.5
LOWER_BOUND_AGAIN_MIN = 0.65  # that nothing has to be changed keeps somebody from looking
FALSE_MAX = 0.05  # probability that so many attempts have the change by chance, over all changes
RECENT = 8  # attempts of a failure that count, the last ones
FIXES_MAX = 2  # that are named
COMMANDS_RUNS_MIN, COMMANDS_PASSED_MIN, COMMANDS_MAX = 3, 2, 3
TOGETHER_MIN, TOGETHER_BOUND_MIN, TOGETHER_MAX = 3, 0.4, 3
TEST_MARKS = ("test_", "_test.", ".test.", ".spec.", "_spec.", "tests/", "test/", "__tests__/")


class Hint(NamedTuple):
    """What made a failure go away before.

    `fixes` are changes as a trial has them, at most two that always came together; `seen` of
    `of` recent attempts had them and worked. `lower` is the one-sided 90 % lower bound of that
    share, `false` the probability that chance did it.
    """

    command: str
    error: str
    fixes: tuple[str, ...]
    seen: int
    of: int
    lower: float
    false: float


class Working(NamedTuple):
    """A command that works here: `passed` of `runs` recent runs, `seconds` is their median."""

    form: str
    check: str
    passed: int
    runs: int
    seconds: float | None
    last_ms: int


class Together(NamedTuple):
    """A file that is changed with another one: in `seen` of the `of` sets that changed that."""

    path: str
    seen: int
    of: int
    lower: float
    is_test: bool


class AgentRuns(NamedTuple):
    """How agents of one type and model did on one class of task.

    `labelled` of `runs` have a label, of these `succeeded` did; the interval of that share is
    (`low`, `high`), 90 % two-sided. Medians are None where nothing is known.
    """

    agent_type: str
    model: str
    task: str
    runs: int
    labelled: int
    succeeded: int
    low: float
    high: float
    seconds: float | None
    tokens: float | None


def wilson(seen: float, of: float, z: float = Z_ONE_SIDED_90) -> tuple[float, float]:
    """Return the score interval of a share; (0, 1) of nothing.

    Source:
        Wilson 1927; Brown, Cai and DasGupta 2001.
    """
    if of <= 0:
        return 0.0, 1.0
    rate, part = seen / of, z * z / of
    centre = (rate + part / 2) / (1 + part)
    half = z * math.sqrt(rate * (1 - rate) / of + part / (4 * of)) / (1 + part)
    return max(0.0, centre - half), min(1.0, centre + half)


def tail(seen: int, of: int, rate: float) -> float:
    """Return the probability of at least `seen` of `of` where each has it with `rate`."""
    return sum(math.comb(of, n) * rate**n * (1 - rate) ** (of - n) for n in range(seen, of + 1))


def hint_of(
    trials: Sequence[Trial],
    command: str,
    error: str,
    places: Sequence[str] = (),
    *,
    changed: Sequence[str] = (),
    again: bool = False,
) -> Hint | None:
    """Return what made this failure go away before; None where that is not sure enough.

    A change is named if at least two attempts of two sessions had it and worked (three where the
    error says little), the last one among them; if the lower bound of its share is 0.5 (attempts
    without it that worked, and with it that did not, count against it); and if chance would do that
    in less than 5 % of cases, over all changes that were looked at (Bonferroni), each with the
    share that attempts at other failures had it in. Where it had been changed before the failure,
    too, an attempt counts for nothing. A command that is not there is mended by no edit: who edited
    a file and found it there had it installed elsewhere.

    Args:
        trials: All that are known, of all failures, oldest first.
        command, error, places: How the command failed now.
        changed: What was changed in this session before: nobody has to be told of that.
        again: Whether it failed like this when it was run last.

    Source:
        Wilson 1927 for the bound; Dunn 1961 for several comparisons.
    """
    alike = [t for t in trials if _is_alike(t, command, error, places)]
    worked = [t for t in alike if t.gone][-RECENT:]
    support = SUPPORT_GENERIC_MIN if is_generic(error) else SUPPORT_MIN
    if len(worked) < support:
        return None
    since = worked[0].at_ms
    in_vain = [t for t in alike if not t.gone and t.at_ms >= since]
    ids = {t.trial_id for t in alike}
    others = [t for t in trials if t.trial_id not in ids]
    changes = dict.fromkeys(change for t in worked for change in t.changes)
    if is_absent(error):
        changes = dict.fromkeys(c for c in changes if not c.startswith(EDITED))
    useless = {*changed, AGAIN} if again else {*changed}
    judged = (_judged(c, worked, in_vain, others, len(changes)) for c in changes)
    found = [h for h in judged if h is not None and h.seen >= support]
    found = [h for h in found if h.fixes[0] not in useless]
    if not found:
        return None
    found.sort(key=lambda hint: (-hint.lower, -hint.seen, hint.fixes))
    best = found[0]
    equal = [h for h in found if (h.seen, h.of) == (best.seen, best.of)]
    if len(equal) > FIXES_MAX:
        return None  # so many files changed together that none of them is known to be the fix
    return best._replace(command=command, error=error, fixes=tuple(h.fixes[0] for h in equal))


def _is_alike(trial: Trial, command: str, error: str, places: Sequence[str]) -> bool:
    if trial.error != error:
        return False
    if not is_generic(error):
        return True
    known = bool(places) and bool(trial.places)
    return trial.command == command and (not known or not {*places}.isdisjoint(trial.places))


def _judged(
    change: str,
    worked: Sequence[Trial],
    in_vain: Sequence[Trial],
    others: Sequence[Trial],
    looked_at: int,
) -> Hint | None:
    cold = [t for t in worked if change not in t.warm]
    having = [t for t in cold if change in t.changes]
    sessions = {t.session for t in having}
    if len(sessions) < SESSIONS_MIN or having[-1] != worked[-1]:
        return None
    of = len(cold) + sum(change in t.changes for t in in_vain)
    lower = wilson(len(having), of)[0]
    # A prior of a quarter: where nothing else was ever mended, nothing is known to be specific.
    usual = (sum(change in t.changes for t in others) + 0.5) / (len(others) + 2)
    false = min(1.0, looked_at * tail(len(having), of, usual))
    wanted = LOWER_BOUND_AGAIN_MIN if change == AGAIN else LOWER_BOUND_MIN
    if lower < wanted or false > FALSE_MAX:
        return None
    return Hint("", "", (change,), len(having), of, round(lower, 3), round(false, 4))


def name_of(hint: Hint) -> str:
    """Return what a hint says in one text, by which `came_true` knows it again."""
    return "\n".join((hint.command, hint.error, *hint.fixes))


def came_true(name: str, since_ms: int, trials: Iterable[Trial]) -> bool:
    """Tell whether a hint that was shown at `since_ms` was right, as far as is known by now."""
    command, error, *fixes = name.split("\n")
    return any(
        t.gone
        and t.at_ms >= since_ms
        and (t.command, t.error) == (command, error)
        and not {*fixes}.isdisjoint(t.changes)
        for t in trials
    )


# --- commands that work here ---------------------------------------------------------------------


def working_of(runs: Iterable[Step]) -> list[Working]:
    """Return the best command of each kind of check: what passed often, and lately.

    Narrowed runs and runs of single files count for whether it works, not for how long it takes.
    """
    by_form: dict[str, list[Step]] = {}
    for step in runs:
        if step.kind == RUN and step.check in CHECKS and step.ok is not None:
            by_form.setdefault(step.form, []).append(step)
    known = [_working(form, steps) for form, steps in by_form.items()]
    able = [w for w in known if w.runs >= COMMANDS_RUNS_MIN and w.passed >= COMMANDS_PASSED_MIN]
    best: dict[str, Working] = {}
    for one in sorted(able, key=lambda w: (-w.passed, -w.last_ms, w.form)):
        best.setdefault(one.check, one)
    return [best[check] for check in CHECKS if check in best][:COMMANDS_MAX]


def _working(form: str, steps: Sequence[Step]) -> Working:
    whole = [s for s in steps if not s.narrowed and not s.targets and s.duration_ms is not None]
    times = [s.duration_ms / 1000 for s in whole if s.duration_ms is not None]
    return Working(
        form,
        steps[-1].check,
        sum(s.ok is True for s in steps),
        len(steps),
        median(times),
        max(s.at_ms for s in steps),
    )


# --- files that change together ------------------------------------------------------------------


def sets_of(steps: Iterable[Step]) -> list[tuple[str, int, tuple[str, ...]]]:
    """Return which files were changed together: id, time and paths of each set of two or more.

    A set is what one agent changed in one checkout until a check passed or it committed.
    """
    found: list[tuple[str, int, tuple[str, ...]]] = []
    waiting: dict[tuple[str, str], dict[str, Step]] = {}
    for step in steps:
        mine = waiting.setdefault((step.worktree, step.agent), {})
        if step.kind == EDIT and step.ok and step.path and not step.path.startswith("["):
            mine.setdefault(step.path, step)
        ends = step.kind == RUN and step.ok and (step.check in CHECKS or step.name == "git commit")
        if ends and mine:
            found.append(_set(mine))
            waiting[(step.worktree, step.agent)] = {}
    found += [_set(mine) for mine in waiting.values() if mine]
    return [one for one in found if 2 <= len(one[2]) <= 12]


def _set(steps: dict[str, Step]) -> tuple[str, int, tuple[str, ...]]:
    first = next(iter(steps.values()))
    return first.step_id, first.at_ms, tuple(sorted(steps))


def together_with(path: str, sets: Sequence[Sequence[str]]) -> list[Together]:
    """Return the files that are changed with `path`, the surest first, at most three.

    At least three sets with both, a lower bound of 0.4 for the share, and twice as often as in
    sets without `path`.
    """
    having = [paths for paths in sets if path in paths]
    others = [paths for paths in sets if path not in paths]
    found = []
    for other in {name for paths in having for name in paths} - {path}:
        seen = sum(other in paths for paths in having)
        lower = wilson(seen, len(having))[0]
        usual = (sum(other in paths for paths in others) + 0.5) / (len(others) + 2)
        if seen >= TOGETHER_MIN and lower >= TOGETHER_BOUND_MIN and lower >= 2 * usual:
            found.append(Together(other, seen, len(having), round(lower, 3), is_test(other)))
    found.sort(key=lambda t: (-t.lower, t.path))
    return found[:TOGETHER_MAX]


def belonging_tests(
    path: str, sets: Sequence[Sequence[str]], known: Iterable[str] = ()
) -> list[str]:
    """Return the tests that belong to a file: named after it, or changed together with it.

    Args:
        known: Files that are known to be there, such as those that were read or run.
    """
    stem = path.rpartition("/")[2].partition(".")[0]
    names = {name for paths in sets for name in paths} | set(known)
    after = {f"test_{stem}", f"{stem}_test", stem, f"{stem}_spec", f"{stem}Test"}
    named = [
        name
        for name in sorted(names)
        if name != path and is_test(name) and name.rpartition("/")[2].partition(".")[0] in after
    ]
    with_it = [t.path for t in together_with(path, sets) if t.is_test]
    return list(dict.fromkeys([*named, *with_it]))[:TOGETHER_MAX]


def is_test(path: str) -> bool:
    """Tell whether a path is that of a test, by how projects call them."""
    return any(mark in f"/{path}" or path.startswith(mark) for mark in TEST_MARKS)


# --- what agents cost ----------------------------------------------------------------------------


def agent_runs_of(
    rows: Iterable[tuple[str, str, str, bool | None, float | None, float | None]],
) -> list[AgentRuns]:
    """Return how agents did by type, model and class of task, the most frequent first.

    Args:
        rows: Of each run its type, model, class of task, whether it succeeded (None where nobody
            knows), seconds and tokens.
    """
    groups: dict[tuple[str, str, str], list[tuple[bool | None, float | None, float | None]]] = {}
    for agent_type, model, task, ok, seconds, used in rows:
        groups.setdefault((agent_type, model, task), []).append((ok, seconds, used))
    found = []
    for what, runs in groups.items():
        labelled = [ok for ok, _, _ in runs if ok is not None]
        low, high = wilson(sum(labelled), len(labelled), z=1.6449)
        times = [seconds for _, seconds, _ in runs if seconds is not None]
        costs = [used for _, _, used in runs if used is not None]
        found.append(
            AgentRuns(
                *what, len(runs), len(labelled), sum(labelled), low, high, median(times),
                median(costs),
            )
        )  # fmt: skip
    return sorted(found, key=lambda a: (-a.runs, a.agent_type, a.model, a.task))


def median(values: Sequence[float]) -> float | None:
    """Return the middle value, None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


# --- sentences -----------------------------------------------------------------------------------


def sentence_of(hint: Hint, shown: dict[str, str]) -> str:
    """Return a hint as one sentence.

    Args:
        shown: How each fix and the command may be shown, by what they are here.
    """
    command = shown.get(hint.command, hint.command)
    times = f"Last {hint.seen} times" if hint.seen == hint.of else f"{hint.seen} of {hint.of} times"
    named = " and ".join(shown.get(fix, fix) for fix in hint.fixes)
    first = hint.fixes[0]
    if first == AGAIN:
        return f"{times} {command} failed like this here, it passed when run again unchanged"
    if first.startswith(INSTEAD):
        return f"{times} {command} failed like this here, {named} worked instead"
    verb = "running" if first.startswith(RAN) else "editing" if first.startswith(EDITED) else ""
    return f"{times} {command} failed like this here, {verb} {named} fixed it"
