"""Operations as learning reads them: what was changed and run, in order, without any content.

`steps_of` turns what was recorded of operations into steps; `trials_of` finds in them each attempt
to make a failing command pass: what was changed between two runs of it, and whether the failure was
gone then. An attempt that changed nothing, one that did not help and one that used another command
are attempts, too.
"""

from __future__ import annotations

from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    Json = Any

EDIT, RUN, AGENT, EVENT = "edit", "run", "agent", "event"
TEST, LINT, BUILD, GIT, SEARCH, INSTALL = "test", "lint", "build", "git", "search", "install"
CHECKS = (TEST, LINT, BUILD)
# Kinds of change, as they stand before what was changed.
EDITED, RAN, INSTEAD, AGAIN = "edit:", "run:", "instead:", "again"
ROW = 10  # fields of a trial, as it is stored
CHANGES_MAX = 12  # of one attempt: after more nobody knows what it was
ERROR_TIMEOUT = "timed out"
# Errors that many causes have: they are the same failure only of the same command and files.
GENERIC = frozenset({"failed", "AssertionError", ERROR_TIMEOUT, ""})
# A command is not there, or not set up here: another one may do its work.
_ABSENT = ("command not found", "not recognized", "No such file or directory", "no such file")
_COMMAND_ABSENT = ("command not found", "not recognized as an internal or external command")
# These change nothing that a check could see.
_HARMLESS = frozenset({
    "curl", "wget", "ps", "kill", "lsof", "df", "du", "man", "nl", "od", "xxd", "awk", "other",
    "git", "gh", "open", "time", "history", "whoami", "uname", "id", "ss", "netstat", "top",
})  # fmt: skip
_HARMLESS_FLAGS = ("--fix", "--write", "--update", "--snapshot-update", "--updateSnapshot")


class Step(NamedTuple):
    """One operation: who, when, where, what of it is known.

    `kind` is edit, run, agent or event. Of a run: `form` what it was run by, `name` the program
    with its subcommand, `check` its class, `targets` the files it names, `narrowed` whether it
    takes only a part, `ok` how it ended (None where nobody knows), `error` the class of its
    failure, `places` the files that failed. `digest` tells equal commands and contents from others.
    Times are epoch milliseconds.
    """

    step_id: str
    at_ms: int
    session: str
    agent: str
    worktree: str
    kind: str
    path: str | None = None
    form: str = ""
    name: str = ""
    check: str = ""
    ok: bool | None = None
    error: str = ""
    digest: str | None = None
    targets: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    narrowed: bool = False
    duration_ms: int | None = None
    also: tuple[str, ...] = ()
    whole: bool = False
    about: Json = None


class Trial(NamedTuple):
    """One attempt to make a failing command pass.

    `command`, `error` and `places` say how it failed; `changes` what was done until it was run
    again (`edit:PATH`, `run:FORM`, `instead:FORM`, or `again` alone for nothing), `gone` whether
    the failure was gone then. `form` is what the command was run by. `warm` are those changes that
    were made in this session before it failed, too: what the work is about, rather than a fix.
    """

    trial_id: str
    at_ms: int
    session: str
    command: str
    form: str
    error: str
    places: tuple[str, ...]
    gone: bool
    changes: tuple[str, ...]
    warm: tuple[str, ...] = ()


class _Open(NamedTuple):
    """A failure that waits for what makes it go away; `before` is what was changed before it."""

    failed: Step
    changes: dict[str, None]
    before: frozenset[str] = frozenset()


class _There(NamedTuple):
    """One checkout: failures that wait, by their command, and all that was changed."""

    waiting: dict[str, _Open]
    changed: dict[str, None]


def step_of(
    step_id: str, at_ms: int, session: str, agent: str, value: Json, about: Json
) -> Step | None:
    """Return a recorded operation as a step; None if it is none that learning knows.

    Args:
        value: As `recording.Operation.to_dict` gives it, or a happening with its `event`.
        about: Its provenance.
    """
    if not isinstance(value, dict):
        return None
    where = about.get("worktree") if isinstance(about, dict) else None
    worktree = where if isinstance(where, str) else ""
    step = Step(step_id, at_ms, session, agent, worktree, EVENT)
    what = value.get("operation")
    if what in ("edit", "write"):
        return step._replace(
            kind=EDIT,
            path=value.get("path"),
            ok=value.get("exit") == "ok",
            digest=value.get("hash"),
            whole=what == "write",
        )
    if what == "command":
        return _run_of(step, value)
    if what == "agent":
        return step._replace(kind=AGENT, ok=value.get("exit") == "ok", about=value.get("agent_run"))
    return step._replace(name=value["event"], about=value) if "event" in value else None


def _run_of(step: Step, value: dict[str, Json]) -> Step | None:
    told = value.get("invocation") or {}
    name = told.get("name") or value.get("command")
    if not name or value.get("exit") in ("denied", "interrupted"):
        return None
    ended, verdict = value.get("exit"), told.get("verdict")
    ok: bool | None = ended == "ok"
    if verdict is not None:
        ok = verdict == "passed"
    elif ok and told.get("masked"):
        ok = None
    error = "" if ok or ok is None else told.get("failure") or value.get("error") or "failed"
    if ended == "timeout":
        error = ERROR_TIMEOUT
    return step._replace(
        kind=RUN,
        form=told.get("form") or name,
        name=name,
        check=told.get("kind") or value.get("command_class") or "",
        ok=ok,
        error=error,
        digest=value.get("hash"),
        targets=tuple(told.get("targets", ())),
        places=tuple(told.get("places", ())),
        narrowed=bool(told.get("narrowed")),
        duration_ms=value.get("duration_ms"),
        also=tuple(told.get("also", ())),
    )


def is_generic(error: str) -> bool:
    """Tell whether a failure of this class says too little to be the same one elsewhere."""
    return error in GENERIC or "<text>" in error or len(error) < 8


def is_absent(error: str) -> bool:
    """Tell whether a failure says that a command is not there: no edit of a file brings it."""
    return any(text in error for text in _COMMAND_ABSENT)


def trials_of(steps: Iterable[Step]) -> list[Trial]:
    """Return each attempt to make a failing command pass, in the order in which they ended.

    Args:
        steps: In order, of one session; what its agents did in one checkout belongs together.
    """
    found: list[Trial] = []
    checkouts: dict[str, _There] = {}
    for step in steps:
        there = checkouts.setdefault(step.worktree, _There({}, {}))
        if step.kind == EDIT and step.ok and step.path:
            _changed(there, EDITED + step.path, "")
        elif step.kind == RUN:
            found += _ran(there, step)
    return found


def open_changes(steps: Iterable[Step], failed: Step) -> tuple[tuple[str, ...], bool]:
    """Return what was changed in a session before a failure, and whether it failed so before.

    Args:
        steps: In order, of the session.
        failed: One of them.
    """
    changed: dict[str, None] = {}
    again = False
    for step in steps:
        if step.step_id == failed.step_id:
            break
        if step.worktree != failed.worktree:
            continue
        if step.kind == EDIT and step.ok and step.path:
            changed[EDITED + step.path] = None
        elif step.kind == RUN and step.name == failed.name and step.ok is not None:
            again = step.ok is False and step.error == failed.error
        elif step.kind == RUN and step.ok and _may_change(step):
            changed[RAN + step.form] = None
    return tuple(changed), again


def _ran(there: _There, step: Step) -> list[Trial]:
    """Return the attempts that a run ends, and keep it if it failed."""
    found: list[Trial] = []
    waiting = there.waiting
    before = waiting.get(step.name)
    if step.ok and _may_change(step):
        _changed(there, RAN + step.form, step.name)
    if step.ok and step.check in CHECKS:
        found += _replaced(waiting, step)
    same = before is not None and step.ok is False and step.error == before.failed.error
    if before is not None and (same or (step.ok is not None and _covers(step, before.failed))):
        if step.ok or same or not is_generic(before.failed.error):
            trial = _trial(before, step, gone=not same)
            found += [trial] if trial.gone or trial.changes != (AGAIN,) else []
        if step.ok:
            del waiting[step.name]
    if step.ok is False:
        # What was tried since it failed first is no sign of what the work is about.
        known = before.before if same and before is not None else frozenset(there.changed)
        waiting[step.name] = _Open(step, {}, known)
    return [trial for trial in found if len(trial.changes) <= CHANGES_MAX]


def _replaced(waiting: dict[str, _Open], step: Step) -> list[Trial]:
    """Return the attempts in which another command did what one that is not there should have."""
    found = []
    for name, before in list(waiting.items()):
        failed = before.failed
        absent = any(text in failed.error for text in _ABSENT) or "No module named" in failed.error
        program = failed.name.partition(" ")[0]
        if name != step.name and failed.check == step.check and absent and program != "other":
            instead = before._replace(changes={INSTEAD + step.form: None})
            found.append(_trial(instead, step, gone=True))
            del waiting[name]
    return found


def _trial(before: _Open, step: Step, *, gone: bool) -> Trial:
    failed = before.failed
    changes = tuple(before.changes)
    if not changes and gone and step.ok and step.form != failed.form:
        changes = (INSTEAD + step.form,)
    return Trial(
        f"{failed.step_id}>{step.step_id}",
        step.at_ms,
        failed.session,
        failed.name,
        failed.form,
        failed.error,
        failed.places,
        gone,
        changes or (AGAIN,),
        tuple(change for change in changes if change in before.before),
    )


def _changed(there: _There, change: str, but: str) -> None:
    there.changed[change] = None
    for name, before in there.waiting.items():
        if name != but:
            before.changes[change] = None


def _may_change(step: Step) -> bool:
    """Tell whether a command may change what a check sees."""
    if step.check in (TEST, SEARCH) or step.name.partition(" ")[0] in _HARMLESS:
        return False
    if step.check == LINT:
        words = step.form.split()
        return any(w in _HARMLESS_FLAGS or w in ("format", "fmt", "fix") for w in words)
    return True


def _covers(step: Step, failed: Step) -> bool:
    """Tell whether a run looks at all that failed: a part of it that passes proves nothing."""
    if step.digest is not None and step.digest == failed.digest:
        return True
    if step.narrowed:
        return False
    if not step.targets:
        return True
    wanted = failed.targets or failed.places
    return bool(wanted) and all(any(_within(w, t) for t in step.targets) for w in wanted)


def _within(path: str, target: str) -> bool:
    folder = target.rstrip("/")
    return path == folder or path.startswith(f"{folder}/")


def merged(known: Sequence[Json], new: Iterable[Trial], *, each: int, total: int) -> list[Json]:
    """Return the attempts that are kept, oldest first, once each, as JSON.

    Args:
        known: What was kept before, in this form.
        each: How many of one command and error.
        total: How many in all.
    """
    by_id = {row[0]: row for row in known if isinstance(row, list) and len(row) == ROW}
    for trial in new:
        row: list[Json] = [list(part) if isinstance(part, tuple) else part for part in trial]
        by_id[trial.trial_id] = row
    rows = sorted(by_id.values(), key=lambda row: (row[1], row[0]), reverse=True)
    counts: dict[tuple[str, str], int] = {}
    kept = []
    for row in rows:
        what = (row[3], row[5])
        counts[what] = counts.get(what, 0) + 1
        if counts[what] <= each:
            kept.append(row)
    return kept[:total][::-1]


def trials_from(rows: Iterable[Json]) -> list[Trial]:
    """Return kept attempts; what is no such row is passed over."""
    found = []
    for row in rows:
        if isinstance(row, list) and len(row) == ROW:
            trial_id, at_ms, session, command, form, error, places, gone, changes, warm = row
            failed = (trial_id, at_ms, session, command, form, error, tuple(places), bool(gone))
            found.append(Trial(*failed, tuple(changes), tuple(warm)))
    return found
