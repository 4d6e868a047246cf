"""Hints from operations: which changes are a fix, which commands work, what belongs together."""

import math

import pytest

from swarm_memory.learning.hints import (
    agent_runs_of,
    belonging_tests,
    came_true,
    hint_of,
    median,
    name_of,
    sentence_of,
    sets_of,
    tail,
    together_with,
    wilson,
    working_of,
)
from swarm_memory.learning.operations import (
    EDIT,
    RUN,
    Step,
    merged,
    open_changes,
    step_of,
    trials_from,
    trials_of,
)

TOKEN, OTHER = "TokenError: not configured", "ZeroDivisionError: division by zero"


class Told:
    """Steps of sessions, in order."""

    def __init__(self):
        self.steps = []
        self.session = "s0"
        self.agent = "main"
        self.worktree = "/p"

    def add(self, kind, **fields):
        n = len(self.steps)
        self.steps.append(
            Step(f"{n}", 1000 * n, self.session, self.agent, self.worktree, kind, **fields)
        )
        return self

    def edit(self, *paths):
        for path in paths:
            self.add(EDIT, path=path, ok=True)
        return self

    def run(self, name, ok, error="", form=None, check="test", **more):
        form = form or name
        return self.add(RUN, name=name, form=form, ok=ok, error=error, check=check, **more)

    def fails(self, error=TOKEN, name="pytest", **more):
        return self.run(name, False, error, **more)

    def passes(self, name="pytest", **more):
        return self.run(name, True, **more)

    def mended(self, session, error, *paths):
        self.session = session
        return self.fails(error).edit(*paths).passes()

    def trials(self):
        return [t for s in dict.fromkeys(s.session for s in self.steps)
                for t in trials_of([x for x in self.steps if x.session == s])]  # fmt: skip


def past(times=3, fix="conf.py"):
    told = Told()
    for n in range(times):
        told.mended(f"a{n}", TOKEN, f"src/{n}.py", fix)
        told.mended(f"b{n}", f"{OTHER}{n}", f"src/other{n}.py")
    return told


# --- attempts ------------------------------------------------------------------------------------


def test_an_attempt_is_what_was_changed_until_the_command_was_run_again():
    [first, second] = Told().fails().edit("a.py").fails().edit("b.py").passes().trials()

    assert (False, ("edit:a.py",)) == (first.gone, first.changes)
    assert (True, ("edit:b.py",)) == (second.gone, second.changes)


def test_a_part_that_passes_proves_nothing_of_the_whole():
    told = Told().fails().edit("a.py").passes(targets=("tests/a.py",)).passes(narrowed=True)

    assert [] == told.trials()
    assert [("edit:a.py", "edit:b.py")] == [t.changes for t in told.edit("b.py").passes().trials()]


def test_the_whole_that_passes_proves_the_part():
    told = Told().fails(targets=("tests/a.py",)).edit("a.py")

    assert [] == told.passes(targets=("tests/b.py",)).trials()
    assert 1 == len(told.passes(targets=("tests",)).trials())


def test_an_end_that_nobody_knows_ends_no_attempt():
    told = Told().fails().edit("a.py").run("pytest", None).edit("b.py").passes()

    assert [("edit:a.py", "edit:b.py")] == [t.changes for t in told.trials()]


def test_another_failure_after_a_change_ends_an_attempt_only_if_the_first_says_something():
    told = Told().fails(TOKEN).edit("a.py").fails(OTHER)
    vague = Told().fails("AssertionError").edit("a.py").fails(OTHER)

    assert [True] == [t.gone for t in told.trials()]
    assert [] == vague.trials()


def test_what_only_looks_is_no_change_and_what_installs_is_one():
    told = Told().fails().run("git status", True, check="git").run("grep", True, check="search")
    told.run("ruff check", True, check="lint").run("npm install", True, check="install").passes()

    assert [("run:npm install",)] == [t.changes for t in told.trials()]


def test_a_checkout_is_not_mended_in_another_one():
    told = Told().fails()
    told.worktree = "/q"
    told.edit("a.py")
    told.worktree = "/p"

    assert [("again",)] == [t.changes for t in told.passes().trials()]


def test_what_was_changed_before_the_failure_too_is_warm():
    [trial] = Told().edit("a.py").fails().edit("a.py", "b.py").passes().trials()

    assert ("edit:a.py",) == trial.warm


def test_a_command_that_is_not_there_is_replaced_by_one_that_is():
    told = Told().fails("bash: pytest: command not found").passes("./dev test")

    assert [("instead:./dev test",)] == [t.changes for t in told.trials()]
    assert [] == Told().fails(OTHER).passes("./dev test").trials()


def test_kept_attempts_are_bounded_and_there_once():
    trials = past(20).trials()

    rows = merged(merged([], trials, each=5, total=12), trials, each=5, total=12)

    assert 12 == len(rows)
    assert 5 == sum(row[5] == TOKEN for row in rows)
    assert sorted(trials_from(rows), key=lambda t: t.at_ms) == trials_from(rows)
    assert {*trials_from(rows)} <= {*trials}
    assert [] == trials_from(["damaged", [1, 2]])


# --- hints ---------------------------------------------------------------------------------------


def test_a_fix_that_was_seen_again_and_again_is_named():
    hint = hint_of(past().trials(), "pytest", TOKEN)

    assert (("edit:conf.py",), 3, 3) == (hint.fixes, hint.seen, hint.of)
    assert hint.lower == pytest.approx(wilson(3, 3)[0], abs=1e-3)
    shown = {"pytest": "`pytest`", "edit:conf.py": "`conf.py`"}
    said = "Last 3 times `pytest` failed like this here, editing `conf.py` fixed it"
    assert said == sentence_of(hint, shown)


def test_one_session_is_no_evidence():
    told = past(1)
    for _ in range(5):
        told.mended("a0", TOKEN, "conf.py")

    assert None is hint_of(told.trials(), "pytest", TOKEN)


def test_a_vague_error_needs_one_attempt_more():
    vague = past(2).trials()
    vague = [t._replace(error="AssertionError") if t.error == TOKEN else t for t in vague]

    assert None is not hint_of(past(2).trials(), "pytest", TOKEN)
    assert None is hint_of(vague, "pytest", "AssertionError")


def test_a_vague_error_in_other_files_is_another_failure():
    trials = [t._replace(error="failed", places=("tests/a.py",)) for t in past(4).trials()]

    assert None is hint_of(trials, "pytest", "failed", ("tests/b.py",))


def test_a_file_that_is_always_edited_is_no_fix():
    told = Told()
    for n in range(6):
        told.mended(f"a{n}", TOKEN, "CHANGELOG.md").mended(f"b{n}", OTHER, "CHANGELOG.md")

    assert None is hint_of(told.trials(), "pytest", TOKEN)


def test_what_the_work_is_about_is_no_fix():
    told = past(2)
    for n in range(6):
        told.session = f"c{n}"
        told.edit("src/focus.py").fails("KeyError: x in y").edit("src/focus.py").passes()

    assert None is hint_of(told.trials(), "pytest", "KeyError: x in y")


def test_a_fix_of_half_of_the_attempts_is_not_named():
    told = past(2)
    for n in range(2):
        told.mended(f"y{n}", TOKEN, f"src/else{n}.py")
    told.mended("z", TOKEN, "conf.py")
    for n in range(30):
        told.mended(f"c{n}", f"{OTHER} {n}", f"src/more{n}.py")

    assert None is hint_of(told.trials(), "pytest", TOKEN)


def test_a_vague_error_needs_three_attempts_that_are_not_warm():
    told = Told()
    told.session = "w"
    told.edit("conf.py").fails("failed").edit("conf.py").passes()
    for n in range(2):
        told.mended(f"v{n}", "failed", "conf.py")

    assert None is hint_of(told.trials() + past(3, "x.py").trials(), "pytest", "failed")


def test_a_failure_that_comes_and_goes_in_one_session_only_is_no_evidence():
    told = past(4)
    told.session = "f"
    for _ in range(8):
        told.fails("ConnectionError: refused").passes()

    assert None is hint_of(told.trials(), "pytest", "ConnectionError: refused")


def test_what_did_not_help_counts_against_a_fix():
    told = past(3)
    for n in range(4):
        told.session = f"v{n}"
        told.fails().edit("conf.py").fails()

    assert None is hint_of(told.trials(), "pytest", TOKEN)


def test_a_fix_that_was_not_the_last_one_is_not_named():
    told = past(6).mended("later", TOKEN, "new.py")

    assert None is hint_of(told.trials(), "pytest", TOKEN)


def test_no_edit_is_named_as_what_brings_a_missing_command():
    """Two sessions edited a file before the command was there: somebody had installed it."""
    missing = "bash: pytest: command not found"
    told = past(6)
    for n in range(4):
        told.mended(f"m{n}", missing, "conf.toml")
    installed = past(6)
    for n in range(4):
        installed.session = f"m{n}"
        installed.fails(missing).run("uv sync", True, check="install").passes()

    assert None is hint_of(told.trials(), "pytest", missing)
    assert ("run:uv sync",) == hint_of(installed.trials(), "pytest", missing).fixes


def test_a_missing_module_may_be_brought_by_an_edit():
    told = past(6)
    for n in range(4):
        told.mended(f"m{n}", "ModuleNotFoundError: No module named", "pyproject.toml")

    named = hint_of(told.trials(), "pytest", "ModuleNotFoundError: No module named")

    assert ("edit:pyproject.toml",) == named.fixes


def test_a_fix_that_was_made_already_is_not_named():
    trials = past(5).trials()

    assert None is hint_of(trials, "pytest", TOKEN, changed=("edit:conf.py",))


def test_files_that_all_came_together_are_not_named():
    told = past(1)
    for n in range(5):
        told.mended(f"x{n}", TOKEN, "a.py", "b.py", "c.py")

    assert None is hint_of(told.trials(), "pytest", TOKEN)


def test_a_failure_that_comes_and_goes_is_run_again():
    told = past(4)
    for n in range(6):
        told.session = f"f{n}"
        told.fails("ConnectionError: refused").passes()
    trials = told.trials()

    hint = hint_of(trials, "pytest", "ConnectionError: refused")

    assert ("again",) == hint.fixes
    assert "run again unchanged" in sentence_of(hint, {})
    assert None is hint_of(trials, "pytest", "ConnectionError: refused", again=True)


def test_of_failures_without_a_common_fix_hardly_any_has_a_hint():
    """Each failure is mended by one of 30 files at random: any hint is a false discovery."""
    numbers = iter(range(10**9))

    def any_of(count):  # a linear congruential generator: the same on every machine
        state = (next(numbers) * 1103515245 + 12345) % 2**31
        state = (state * 1103515245 + 12345) % 2**31
        return (state >> 8) % count

    told = Told()
    for n in range(400):
        error = f"Thing{any_of(20)}Error: broken"
        told.mended(f"s{n}", error, *{f"src/{any_of(30)}.py" for _ in range(3)})
    trials = told.trials()

    named = [e for e in range(20) if hint_of(trials, "pytest", f"Thing{e}Error: broken")]

    assert len(named) <= 1


def test_a_hint_came_true_if_its_fix_worked_after_it_was_shown():
    told = past()
    name = name_of(hint_of(told.trials(), "pytest", TOKEN))
    since = told.steps[-1].at_ms + 1

    assert not came_true(name, since, told.trials())
    assert came_true(name, since, told.mended("now", TOKEN, "conf.py").trials())
    assert not came_true(name, since, past().mended("now", TOKEN, "else.py").trials())


def test_what_was_changed_before_a_failure_is_known():
    told = Told().edit("a.py").fails().edit("b.py").fails()

    assert (("edit:a.py", "edit:b.py"), True) == open_changes(told.steps, told.steps[-1])
    assert (("edit:a.py",), False) == open_changes(told.steps, told.steps[1])


def test_bounds_are_those_of_the_paper():
    low, high = wilson(8, 10, z=1.959964)

    assert (0.490, 0.943) == (round(low, 3), round(high, 3))
    assert (0.0, 1.0) == wilson(0, 0)
    assert math.isclose(0.5, tail(1, 1, 0.5))
    assert math.isclose(1 - 0.9**3, tail(1, 3, 0.1))


# --- what else operations tell -------------------------------------------------------------------


def test_a_recorded_operation_is_a_step_and_a_masked_one_has_no_end():
    value = {"operation": "command", "exit": "ok", "command": "pytest"}
    value["invocation"] = {"form": "uv run pytest", "name": "pytest", "kind": "test"}
    about = {"worktree": "/p"}

    step = step_of("s/1", 5, "s", "main", value, about)
    assert ("uv run pytest", "test", True, "/p") == (step.form, step.check, step.ok, step.worktree)
    value["invocation"]["masked"] = True
    assert None is step_of("s/1", 5, "s", "main", value, about).ok
    value["invocation"]["verdict"] = "failed"
    assert False is step_of("s/1", 5, "s", "main", value, about).ok
    assert None is step_of("s/1", 5, "s", "main", "damaged", about)
    assert None is step_of("s/1", 5, "s", "main", value | {"exit": "interrupted"}, about)


def test_the_command_that_passes_most_is_the_one_that_works():
    told = Told()
    for n in range(10):
        told.run("./dev test", n > 0, duration_ms=40_000 + n)
        told.run("pytest", n > 7, duration_ms=1)
        told.run("make lint", True, check="lint", duration_ms=900, targets=("a.py",))
    told.run("cargo build", True, check="build")

    test, lint = working_of(told.steps)

    assert ("./dev test", 9, 10) == (test.form, test.passed, test.runs)
    assert 40 == round(test.seconds)
    assert ("make lint", None) == (lint.form, lint.seconds)


def test_files_that_change_together_are_found_and_others_are_not():
    told = Told()
    for n in range(6):
        told.edit("a.py", "test_a.py", "README.md").passes()
        told.edit(f"b{n}.py", "README.md").passes()
    sets = [paths for _, _, paths in sets_of(told.steps)]

    assert ["test_a.py"] == [t.path for t in together_with("a.py", sets)]
    assert ["test_a.py"] == belonging_tests("a.py", sets)
    assert ["tests/test_b1.py"] == belonging_tests(
        "src/b1.py", sets, ["tests/test_b1.py", "tests/c.py"]
    )


def test_agents_are_compared_by_type_model_and_task():
    rows = [("coder", "m", "fix", True, 10.0, 100.0), ("coder", "m", "fix", None, 30.0, None)]
    rows += [("coder", "n", "fix", False, None, None)]

    first, second = agent_runs_of(rows)

    assert ("m", 2, 1, 1, 20.0, 100.0) == (first.model, *first[3:6], first.seconds, first.tokens)
    assert (0, None) == (second.succeeded, second.seconds)
    assert 0 < first.low < 1 == first.high
    assert None is median([])
