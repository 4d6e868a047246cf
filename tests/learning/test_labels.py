"""How work ended: from what was run and changed around it, the surest first."""

import pytest

from swarm_memory.learning.labels import WINDOW_MS, Work, coverage, label_of, task_work
from swarm_memory.learning.operations import EDIT, EVENT, RUN, Step

A, B = "coder:a1@s", "main@s"


class Told:
    """Steps in one checkout, a second apart; A works from 0 to `ended`."""

    def __init__(self):
        self.steps = []
        self.ended = None

    def add(self, kind, agent=A, after_ms=1000, **fields):
        at_ms = (self.steps[-1].at_ms if self.steps else 0) + after_ms
        fields = {"worktree": "/p", "session": "s"} | fields
        step = Step(f"{len(self.steps)}", at_ms, kind=kind, agent=agent, **fields)
        self.steps.append(step)
        return self

    def edit(self, path="a.py", agent=A, **more):
        return self.add(EDIT, agent, path=path, ok=True, **more)

    def run(self, form, ok=True, agent=A, check="test", **more):
        name = more.pop("name", form)
        return self.add(RUN, agent, form=form, name=name, ok=ok, check=check, **more)

    def git(self, form, agent=B, name=None, **more):
        return self.run(form, agent=agent, check="git", name=name or form, **more)

    def ends(self):
        self.ended = self.steps[-1].at_ms
        return self

    def says(self, correction=True):
        about = {"says": "correction"} if correction else {}
        return self.add(EVENT, B, name="UserPromptSubmit", about=about)

    def label(self, **explicit):
        return label_of(Work("s", ":a1@", 0, self.ended), self.steps, **explicit)


def summary(label):
    return label.status, label.reward, label.label_source


def test_to_have_finished_is_no_success():
    assert ("unknown", None, "unknown") == summary(Told().edit().ends().label())
    assert ("unknown", None, "unknown") == summary(Told().run("pytest").ends().label())


def test_what_somebody_says_outweighs_everything():
    told = Told().edit().run("pytest", False).ends()

    assert ("success", 1.0, "explicit") == summary(told.label(explicit="success"))
    assert ("unknown", None, "unknown") == summary(told.label(explicit="unknown"))
    with pytest.raises(ValueError, match="status"):
        told.label(explicit="fine")


def test_a_check_after_the_last_edit_says_how_it_ended():
    good = Told().edit().run("pytest").ends().label()
    bad = Told().edit().run("pytest").edit().run("pytest", False).ends().label()

    assert ("success", 1.0, "check") == summary(good)
    assert ("failure", 0.0, "check") == summary(bad)
    assert (("1",), ("3",)) == (good.evidence, bad.evidence)


def test_a_check_before_the_last_edit_says_nothing():
    assert "unknown" == Told().run("pytest").edit().run("ls", check="search").ends().label().status
    assert "unknown" == Told().edit().run("pytest").edit("b.py").ends().label().status


def test_an_end_that_nobody_knows_says_nothing():
    assert "unknown" == Told().edit().run("pytest", None).ends().label().status


def test_a_linter_that_fails_where_tests_pass_is_partial():
    told = Told().edit().run("pytest").run("ruff check", False, check="lint").ends()

    assert ("partial", 0.5, "check") == summary(told.label())


def test_a_linter_alone_is_less_sure_than_a_test_and_a_part_than_the_whole():
    def sure(**more):
        return Told().edit().run("x", **more).ends().label().confidence

    assert sure(check="lint") < sure(narrowed=True) < sure()


def test_a_check_by_somebody_else_after_the_end_counts():
    told = Told().edit().ends().run("pytest", False, B)

    assert ("failure", 0.0, "check") == summary(told.label())


def test_a_check_of_somebody_elses_work_does_not_count():
    told = Told().edit().ends().edit("b.py", B).run("pytest", False, B)
    other = Told().edit().ends().run("pytest", False, B, targets=("tests/test_b.py",))
    mine = Told().edit().ends().run("pytest", False, B, targets=("tests/test_a.py",))

    assert "unknown" == told.label().status
    assert "unknown" == other.label().status
    assert "failure" == mine.label().status


def test_a_check_after_edits_of_others_meanwhile_is_less_sure():
    alone = Told().edit().run("pytest").ends().label()
    mixed = Told().edit().edit("b.py", B).run("pytest").ends().label()

    assert mixed.confidence < alone.confidence


def test_a_failure_that_was_there_before_in_other_files_is_not_its_own():
    def failing(places):
        told = Told().run("pytest", False, error="E", places=places)
        return told.edit().run("pytest", False, error="E", places=places).ends().label()

    assert "unknown" == failing(("z.py",)).status
    assert "failure" == failing(("a.py",)).status


def test_a_check_long_after_says_nothing():
    told = Told().edit().ends().run("pytest", True, B, after_ms=WINDOW_MS + 1)

    assert "unknown" == told.label().status


def test_a_check_in_another_checkout_says_nothing():
    assert "unknown" == Told().edit().run("pytest", worktree="/q").ends().label().status


@pytest.mark.parametrize(
    "undo",
    [
        lambda t: t.git("git checkout", targets=("a.py",)),
        lambda t: t.git("git restore", targets=(".",)),
        lambda t: t.git("git reset --hard", name="git reset"),
        lambda t: t.git("git stash"),
        lambda t: t.git("git commit").git("git revert"),
    ],
)
def test_work_that_is_taken_back_failed(undo):
    assert ("failure", 0.0, "reverted") == summary(undo(Told().edit().ends()).label())


@pytest.mark.parametrize(
    "kept",
    [
        lambda t: t.git("git checkout", targets=("b.py",)),
        lambda t: t.git("git restore --staged", name="git restore", targets=("a.py",)),
        lambda t: t.git("git stash").git("git stash pop"),
        lambda t: t.git("git commit").git("git checkout", targets=("a.py",)),
        lambda t: t.git("git commit").git("git stash"),
        lambda t: t.git("git reset", name="git reset"),
        lambda t: t.git("git revert"),
    ],
)
def test_what_only_looks_like_it_takes_nothing_back(kept):
    assert "unknown" == kept(Told().edit().ends()).label().status


def test_a_user_who_says_in_the_next_prompt_that_it_is_wrong_is_heard():
    assert ("failure", 0.0, "reverted") == summary(Told().edit().ends().says().label())
    assert "unknown" == Told().edit().ends().says(False).says().label().status


def test_files_that_somebody_else_writes_anew_are_partial():
    told = Told().edit().edit("b.py").ends()

    assert "unknown" == told.edit("a.py", B).label().status
    assert ("partial", "reverted") == tuple(told.edit("a.py", B, whole=True).label()[::2][:2])


def test_what_passed_and_was_taken_back_is_partial_and_unsure():
    label = Told().edit().run("pytest").ends().git("git reset --hard", name="git reset").label()

    assert ("partial", 0.5, "check") == summary(label)
    assert label.confidence <= 0.5
    assert ("1", "2") == label.evidence


def test_a_label_may_come_later():
    told = Told().edit().ends()
    assert "unknown" == told.label().status
    assert "success" == told.run("pytest", True, B).label().status


def test_coverage_is_the_share_of_labels_that_know():
    labels = [Told().edit().run("pytest").ends().label(), Told().edit().ends().label()]

    assert (0.5, 0) == (coverage(labels), coverage([]))


def test_a_task_lasts_from_its_beginning_to_its_completion_by_one_agent():
    told = Told()
    for task in ("1", "2"):
        told.add(EVENT, B, name="TaskCreated", about={"task_id": task})
    told.edit("a.py", A).add(EVENT, A, name="TaskCompleted", about={"task_id": "1"})
    told.edit("b.py", A).add(EVENT, A, name="TaskCompleted", about={"task_id": "2"})

    first, second = (task_work(told.steps, "s", task) for task in ("1", "2"))

    assert (A, 1000, 4000) == first[1:]
    assert (A, 4000, 6000) == second[1:]
