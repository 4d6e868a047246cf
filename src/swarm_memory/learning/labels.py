"""Labels: how a piece of work ended, told from what was run and changed around it.

To have finished is no success. What counts, from the surest down: somebody says so; a test, linter
or build ran on what was changed; what was changed was taken back, written anew by somebody else, or
the user said that it is wrong; else nobody knows, and that is what the label says.
"""

from __future__ import annotations

from swarm_memory.lean import NamedTuple
from swarm_memory.learning.observation import (
    CHECK,
    EXPLICIT,
    FAILURE,
    PARTIAL,
    REVERTED,
    STATUSES,
    SUCCESS,
    UNKNOWN,
)
from swarm_memory.learning.operations import BUILD, CHECKS, EDIT, EVENT, LINT, RUN, TEST, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WINDOW_MS = 2 * 3_600_000  # after the end of work, in which what happens says something of it
REWARDS = {SUCCESS: 1.0, FAILURE: 0.0, PARTIAL: 0.5, "timeout": 0.0, "conflict": 0.0}
# How sure a label is of each kind of evidence, in [0, 1]: judgements, not measurements.
SURE_WHOLE, SURE_PART, SURE_LINT = 0.95, 0.85, 0.6
SURE_MIXED = 0.6  # others changed files in between
SURE_UNDONE, SURE_REVERT, SURE_CORRECTED, SURE_REWRITTEN = 0.8, 0.6, 0.6, 0.4
SURE_CONTRADICTED = 0.5
EVIDENCE_MAX = 6
PROMPT, CORRECTION = "UserPromptSubmit", "correction"
CREATED, COMPLETED = "TaskCreated", "TaskCompleted"
COMMIT, STASH = "git commit", "git stash"
UNDOING = ("git checkout", "git restore")
UNDOING_ALL = ("git reset --hard", "git stash", "git stash push")
EVERYTHING = "."


class Work(NamedTuple):
    """A piece of work: who did it, from when to when, in epoch milliseconds.

    `session` is the short name of its session. `agent` is the name of the agent, or a part of it
    that begins with `:`; None for all agents of the session. `ended_ms` is None while it goes on.
    """

    session: str
    agent: str | None
    started_ms: int
    ended_ms: int | None


class Label(NamedTuple):
    """How work ended: `reward` in [0, 1], None where `status` is unknown.

    `evidence` are the ids of the steps that say so, `confidence` in [0, 1] how sure that is (a
    judgement by kind of evidence), `why` one sentence.
    """

    status: str
    reward: float | None
    label_source: str
    evidence: tuple[str, ...]
    confidence: float
    why: str


class _Around(NamedTuple):
    """What was done in the checkouts of some work: `mine` by it, `after` since its last edit."""

    work: Work
    mine: list[Step]
    files: dict[str, Step]
    before: list[Step]
    after: list[Step]


def coverage(labels: Iterable[Label]) -> float:
    """Return the share of labels that know how the work ended; 0 of none."""
    known = [label.status != UNKNOWN for label in labels]
    return sum(known) / len(known) if known else 0.0


def label_of(work: Work, steps: Sequence[Step], *, explicit: str | None = None) -> Label:
    """Return how some work ended; asked again later, it may know more.

    A check that passed and a later undoing contradict each other: that is partial, and unsure.

    Args:
        steps: What was done, in order, by all agents and around the work.
        explicit: The status that somebody gave, which outweighs everything.

    Raises:
        ValueError: `explicit` is no status.
    """
    if explicit is not None:
        if explicit not in STATUSES:
            raise ValueError(f"status {explicit!r}; known are {', '.join(STATUSES)}")
        source = UNKNOWN if explicit == UNKNOWN else EXPLICIT
        return Label(explicit, REWARDS.get(explicit), source, (), 1.0, "somebody said so")
    around = _around(work, steps)
    if not around.files:
        return _unknown("it changed no file")
    checked = _checked(around)
    undone = _undone(around) or _corrected(around) or _rewritten(around)
    if checked is None:
        return undone or _unknown("no check ran on what it changed")
    if undone is None or checked.status == FAILURE:
        return checked
    evidence = (*checked.evidence, *undone.evidence)[:EVIDENCE_MAX]
    why = f"{checked.why}, but {undone.why}"
    return Label(PARTIAL, REWARDS[PARTIAL], CHECK, evidence, SURE_CONTRADICTED, why)


def task_work(steps: Iterable[Step], session: str, task_id: str) -> Work:
    """Return the work on a task: until it was completed, by whoever completed it.

    It began when it was created, or when the same agent completed the one before, whatever came
    later: tasks are often created all at once.
    """
    began, ended, who = 0, None, None
    completed: dict[str, int] = {}
    for step in steps:
        if step.kind != EVENT or step.session != session:
            continue
        mine = (step.about or {}).get("task_id") == task_id
        if step.name == CREATED and mine:
            began = step.at_ms
        elif step.name == COMPLETED and mine:
            ended, who = step.at_ms, step.agent
            began = max(began, completed.get(step.agent, 0))
            break
        elif step.name == COMPLETED:
            completed[step.agent] = step.at_ms
    return Work(session, who, began, ended)


def _around(work: Work, steps: Sequence[Step]) -> _Around:
    ended = work.ended_ms
    mine: list[Step] = []
    first = last = None
    for number, step in enumerate(steps):
        if not _is_mine(step, work) or step.at_ms < work.started_ms:
            continue
        if ended is not None and step.at_ms > ended:
            continue
        mine.append(step)
        if step.kind == EDIT and step.ok and step.path and not step.path.startswith("["):
            first = number if first is None else first
            last = number
    edits = [s for s in mine if s.kind == EDIT and s.ok and s.path and not s.path.startswith("[")]
    files = {s.path: s for s in edits if s.path is not None}
    if first is None or last is None:
        return _Around(work, mine, {}, [], [])
    places = {s.worktree for s in edits}
    until = (steps[last].at_ms if ended is None else ended) + WINDOW_MS
    after = [
        s
        for s in steps[last + 1 :]
        if s.at_ms <= until and (s.worktree in places or s.kind == EVENT)
    ]
    return _Around(work, mine, files, [s for s in steps[:first] if s.worktree in places], after)


def _is_mine(step: Step, work: Work) -> bool:
    if step.session != work.session:
        return False
    if work.agent is None:
        return True
    return work.agent in step.agent if work.agent.startswith(":") else step.agent == work.agent


def _checked(around: _Around) -> Label | None:
    """Return what the checks say that ran after the last edit, before others changed something."""
    last: dict[tuple[str, bool], Step] = {}
    mixed = False
    for step in around.after:
        if step.kind == EDIT and not _is_mine(step, around.work):
            ended = around.work.ended_ms
            if ended is not None and step.at_ms > ended:
                break  # what is run from here on is of somebody else's work
            mixed = True
        elif step.kind == RUN and step.check in CHECKS and step.ok is not None:
            part = step.narrowed or bool(step.targets)
            if not part or _is_about(step, around):
                last[step.check, part] = step
    if not last:
        return None
    tests = last.get((TEST, False)) or last.get((TEST, True))
    others = [last[kind, part] for kind in (LINT, BUILD) for part in (False, True)
              if (kind, part) in last]  # fmt: skip
    return _verdict(around, tests, others, mixed)


def _verdict(
    around: _Around, tests: Step | None, others: Sequence[Step], mixed: bool
) -> Label | None:
    failed = [step for step in others if not step.ok]
    told = [step for step in (tests, *others) if step is not None]
    evidence = tuple(step.step_id for step in told)[:EVIDENCE_MAX]
    if tests is None:
        sure = SURE_LINT
    else:
        sure = SURE_PART if tests.narrowed or tests.targets else SURE_WHOLE
    sure = min(sure, SURE_MIXED) if mixed else sure
    worst = tests if tests is not None and not tests.ok else failed[0] if failed else None
    if worst is None:
        return Label(SUCCESS, REWARDS[SUCCESS], CHECK, evidence, sure, f"{told[0].form} passed")
    if _was_so_before(worst, around.before):
        if worst.places and {*worst.places}.isdisjoint(around.files):
            return None  # it failed before, in files that this work did not touch
        sure = min(sure, SURE_MIXED)
    if tests is not None and tests.ok:
        why = f"{tests.form} passed, but {worst.form} failed"
        return Label(PARTIAL, REWARDS[PARTIAL], CHECK, evidence, sure, why)
    return Label(FAILURE, REWARDS[FAILURE], CHECK, evidence, sure, f"{worst.form} failed")


def _was_so_before(step: Step, before: Sequence[Step]) -> bool:
    """Tell whether a check failed in the same way when it ran last before the work."""
    runs = [s for s in before if s.kind == RUN and s.name == step.name and s.ok is not None]
    return bool(runs) and runs[-1].ok is False and runs[-1].error == step.error


def _is_about(step: Step, around: _Around) -> bool:
    """Tell whether a check of some files only is about what the work changed."""
    if _is_mine(step, around.work):
        return True
    stems = {_stem(path) for path in around.files}
    return any(target in around.files or _stem(target) in stems or
               any(path.startswith(f"{target.rstrip('/')}/") for path in around.files)
               for target in step.targets)  # fmt: skip


def _stem(path: str) -> str:
    """Return the name of a file without what makes it a test."""
    name = path.rpartition("/")[2].partition(".")[0]
    return name.removeprefix("test_").removesuffix("_test").removesuffix("_spec")


def _undone(around: _Around) -> Label | None:
    """Return that the files were taken back to what they were, if they were."""
    committed, put_away = False, None
    for step in around.after:
        if step.kind != RUN or not step.ok:
            continue
        forms = (step.form, *step.also)
        if step.form in ("git stash pop", "git stash apply"):
            put_away = None  # only put away to look at something
        elif step.form in ("git stash", "git stash push") and not committed:
            put_away = step
        elif not committed and step.name in UNDOING:
            taken = {p for p in around.files if p in step.targets or EVERYTHING in step.targets}
            if len(taken) * 2 >= len(around.files) and "--staged" not in step.form:
                return _reverted(step, SURE_UNDONE, f"{step.form} took it back")
        elif step.form == "git reset --hard" or step.name == "git revert":
            sure = SURE_REVERT if committed else SURE_UNDONE
            if committed or step.name != "git revert":
                return _reverted(step, sure, f"{step.form} took it back")
        committed = committed or COMMIT in forms
    return None if put_away is None else _reverted(put_away, SURE_REVERT, "it was put away")


def _corrected(around: _Around) -> Label | None:
    """Return that the user said it is wrong, in the first prompt after the work."""
    ended = around.work.ended_ms
    for step in around.after:
        if step.kind != EVENT or step.name != PROMPT or step.session != around.work.session:
            continue
        if ended is not None and step.at_ms < ended:
            continue
        if (step.about or {}).get("says") == CORRECTION:
            return _reverted(step, SURE_CORRECTED, "the user corrected it")
        return None
    return None


def _rewritten(around: _Around) -> Label | None:
    """Return that somebody else wrote at least half of the files anew."""
    anew: dict[str, Step] = {}
    for step in around.after:
        other = step.kind == EDIT and step.ok and not _is_mine(step, around.work)
        if other and step.whole and step.path in around.files:
            anew.setdefault(step.path, step)
    if len(anew) * 2 < len(around.files) or not anew:
        return None
    evidence = tuple(step.step_id for step in anew.values())[:EVIDENCE_MAX]
    why = "somebody else wrote its files anew"
    return Label(PARTIAL, REWARDS[PARTIAL], REVERTED, evidence, SURE_REWRITTEN, why)


def _reverted(step: Step, sure: float, why: str) -> Label:
    return Label(FAILURE, REWARDS[FAILURE], REVERTED, (step.step_id,), sure, why)


def _unknown(why: str) -> Label:
    return Label(UNKNOWN, None, UNKNOWN, (), 0.0, why)
