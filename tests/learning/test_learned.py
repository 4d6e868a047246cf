"""The model in the store: a fold over the log of outcomes, the same for whoever looks."""

import random
import subprocess
import sys

import pytest

from swarm_memory import InvalidArgumentError, NotFoundError, Swarm
from swarm_memory.learned import sealed

ARMS = {"good": 0.8, "middle": 0.5, "bad": 0.2}
LANGUAGES = ("python", "rust", "go")


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/memory.db"


@pytest.fixture
def swarm(url):
    with Swarm.open(url, agent="a", swarm="s") as swarm:
        yield swarm


def work(swarm, tasks, seed=1, known=0.9):
    """Record outcomes of all kinds, some with labels that come later or are revised."""
    pick = random.Random(seed)
    for number in range(tasks):
        context = {"task_type": "build", "language": pick.choice(LANGUAGES), "size": number % 7}
        choice = swarm.outcomes.recommend(context, list(ARMS), seed=number)
        success = pick.random() < ARMS[choice.strategy]
        said = success if pick.random() < known else None
        outcome = swarm.outcomes.record(
            "build", ["a"], said, 1.0 + number, decision=choice, context=context, cost=0.5
        )
        if said is None and pick.random() < 0.5:
            swarm.outcomes.relabel(outcome.outcome_id, success, label_source="check")
        elif pick.random() < 0.1:
            swarm.outcomes.relabel(outcome.outcome_id, not success)


def parts(swarm):
    return swarm.read(lambda tx: tx.outcomes._learned.parts(tx.tx))


def test_what_was_learned_is_a_function_of_the_log(swarm):
    work(swarm, 60)
    before = parts(swarm)
    assert before

    assert swarm.outcomes.rebuild()
    assert before == parts(swarm)


def test_a_rebuild_says_so_when_the_model_was_another(swarm):
    work(swarm, 20)
    before = parts(swarm)
    name, other = sorted(before)[0], sorted(before)[-1]
    state = sealed(name, before[other])
    put = {"swarm": "s", "part": name, "version": 10**6, "state": state}
    swarm.transact(lambda tx: tx.tx.run("model_put", **put))

    assert not swarm.outcomes.rebuild()
    assert before == parts(swarm)


def test_a_rebuild_in_small_batches_is_the_same(swarm, monkeypatch):
    work(swarm, 60)
    before = parts(swarm)
    monkeypatch.setattr("swarm_memory.learned.BATCH", 7)

    assert swarm.outcomes.rebuild()
    assert before == parts(swarm)


def test_an_outcome_that_is_undone_teaches_nothing(swarm):
    work(swarm, 10)
    before = parts(swarm)

    def fail(tx):
        tx.outcomes.record("build", ["a"], True, 1.0, strategy="bad")
        tx.outcomes.recommend({"task_type": "build"}, ["bad", "good"])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        swarm.transact(fail)
    assert before == parts(swarm)
    swarm.outcomes.record("build", ["a"], True, 1.0, strategy="good")

    known = parts(swarm)
    assert swarm.outcomes.rebuild()
    assert known == parts(swarm)


def test_every_process_sees_one_model(swarm, url):
    program = (
        "from swarm_memory import Swarm\n"
        f"with Swarm.open({url!r}, agent='b', swarm='s') as swarm:\n"
        "    for n in range(40):\n"
        "        swarm.outcomes.record('build', ['b'], n % 4 > 0, 1.0, strategy=f's{n % 3}')\n"
        "        swarm.outcomes.recommend({'task_type': 'build'})\n"
    )
    others = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(3)]
    work(swarm, 40)
    assert [0, 0, 0] == [other.wait(timeout=120) for other in others]

    assert 160 == swarm.outcomes.count()
    assert swarm.outcomes.rebuild()
    assert swarm.verify().ok


def test_an_outcome_of_another_process_changes_the_next_recommendation(swarm, url):
    asked = {"task_type": "build"}
    before = swarm.outcomes.recommend(asked, ["x", "y"], explore=False, seed=1)
    with Swarm.open(url, agent="b", swarm="s") as other:
        for _ in range(10):
            other.outcomes.record("build", ["b"], True, 1.0, strategy="y")
            other.outcomes.record("build", ["b"], False, 1.0, strategy="x")
    after = swarm.outcomes.recommend(asked, ["x", "y"], explore=False, seed=1)

    assert before.expected != after.expected
    assert "y" == after.strategy


def test_what_is_not_learned_at_once_is_learned_by_who_asks_next(swarm):
    for _ in range(5):
        swarm.outcomes.record("build", ["a"], True, 1.0, strategy="x", learn=False)
    assert {} == parts(swarm)

    chosen = swarm.outcomes.recommend({"task_type": "build"}, ["x", "y"], explore=False)
    assert "x" == chosen.strategy
    assert swarm.outcomes.rebuild()


def test_a_new_swarm_begins_with_what_others_have_seen(swarm, url):
    for _ in range(20):
        swarm.outcomes.record("build", ["a"], True, 1.0, strategy="x")
        swarm.outcomes.record("build", ["a"], False, 1.0, strategy="y")
    with Swarm.open(url, agent="b", swarm="new") as new:
        chosen = new.outcomes.recommend({"task_type": "build"}, ["y", "x"], explore=False)
        assert "x" == chosen.strategy
        assert 0 == chosen.evidence["trials"]
        assert not chosen.confident
        new.outcomes.record("build", ["b"], True, 1.0, strategy="y")
        assert new.outcomes.rebuild()


# --- labels ---


def test_to_have_finished_is_no_success(swarm):
    outcome = swarm.outcomes.record("build", ["a"], None, 1.0, strategy="x")

    assert ("unknown", None, "unknown") == (outcome.status, outcome.reward, outcome.label_source)
    assert outcome.success is None
    assert {} == parts(swarm)


@pytest.mark.parametrize(
    ("said", "score", "status", "reward"),
    [
        (True, None, "success", 1.0),
        (False, None, "failure", 0.0),
        ("partial", None, "partial", 0.5),
        ("partial", 0.7, "partial", 0.7),
        ("timeout", None, "timeout", 0.0),
        ("conflict", None, "conflict", 0.0),
    ],
)
def test_an_ending_has_a_reward(swarm, said, score, status, reward):
    outcome = swarm.outcomes.record("build", ["a"], said, 1.0, score=score)
    assert (status, reward, "explicit") == (outcome.status, outcome.reward, outcome.label_source)
    assert outcome == swarm.outcomes.get(outcome.outcome_id)


@pytest.mark.parametrize(
    ("first", "then", "last"),
    [
        (("unknown", None), (True, "check"), "check"),
        ((True, "check"), (False, "reverted"), "check"),
        ((True, "reverted"), (False, "check"), "check"),
        ((True, "check"), (False, "check"), "check"),
        ((True, "explicit"), (False, "check"), "explicit"),
        ((True, "explicit"), (False, "explicit"), "explicit"),
    ],
)
def test_a_surer_label_stays(swarm, first, then, last):
    said, source = first
    outcome = swarm.outcomes.record("build", ["a"], said, 1.0, label_source=source)
    now = swarm.outcomes.relabel(outcome.outcome_id, then[0], label_source=then[1])

    changes = not (source == "explicit" and last != then[1]) and last == then[1]
    assert (then[0] if changes else said) is now.success
    assert last == now.label_source
    assert swarm.verify().ok


def test_a_revised_label_counts_once(swarm):
    outcome = swarm.outcomes.record("build", ["a"], None, 2.0, strategy="x")
    for said in (True, False, True, True):
        swarm.outcomes.relabel(outcome.outcome_id, said)

    (candidate,) = swarm.outcomes.recommend({"task_type": "build"}).candidates
    assert (1, 1.0) == (candidate["trials"], candidate["successes"])
    assert 1 == swarm.outcomes.count()
    assert swarm.outcomes.rebuild()


def test_below_the_stated_coverage_nothing_is_recommended(swarm):
    for number in range(10):
        swarm.outcomes.record("build", ["a"], True if number < 2 else None, 1.0, strategy="x")
    chosen = swarm.outcomes.recommend({"task_type": "build"})

    assert (None, None, 0.2) == (
        chosen.strategy, chosen.choice_id, chosen.evidence["label_coverage"],
    )  # fmt: skip
    assert "only 20% of the outcomes" in chosen.why
    swarm.outcomes.record("build", ["a"], True, 1.0, strategy="x")
    swarm.outcomes.record("build", ["a"], True, 1.0, strategy="x")
    assert "x" == swarm.outcomes.recommend({"task_type": "build"}).strategy


@pytest.mark.parametrize(
    ("said", "more"),
    [
        ("finished", {}),
        (1, {}),
        (True, {"score": 1.5}),
        (True, {"score": float("nan")}),
        (None, {"score": 0.5}),
        (True, {"label_source": "guess"}),
        (True, {"failed_step": -1}),
        (True, {"error_class": ""}),
        (True, {"task": "x" * 256}),
    ],
)
def test_a_wrong_ending_is_refused_before_anything_is_written(swarm, said, more):
    with pytest.raises(InvalidArgumentError):
        swarm.outcomes.record("build", ["a"], said, 1.0, **more)
    assert 0 == swarm.outcomes.count()


def test_an_outcome_that_nobody_recorded_has_no_label(swarm):
    with pytest.raises(NotFoundError):
        swarm.outcomes.relabel("no-such", True)
    outcome = swarm.outcomes.record("build", ["a"], True, 1.0)
    with pytest.raises(InvalidArgumentError):
        swarm.outcomes.relabel(outcome.outcome_id, "unknown")


# --- choices ---


def test_the_logged_propensity_is_how_often_it_is_chosen(swarm):
    work(swarm, 15, known=1)
    asked = {"task_type": "build", "language": "python"}
    drawn = [swarm.outcomes.recommend(asked, list(ARMS), seed=n) for n in range(1500)]
    said = {c["strategy"]: c["propensity"] for c in drawn[0].candidates}

    for name, propensity in said.items():
        seen = sum(choice.strategy == name for choice in drawn) / len(drawn)
        deviation = (propensity * (1 - propensity) / len(drawn)) ** 0.5
        assert abs(seen - propensity) < 4 * deviation + 0.002, name


def test_without_exploring_the_choice_is_certain_and_the_best(swarm):
    work(swarm, 30)
    chosen = swarm.outcomes.recommend({"task_type": "build"}, list(ARMS), explore=False)

    assert 1.0 == chosen.propensity
    assert not chosen.trying
    assert chosen.strategy == chosen.candidates[0]["strategy"]


def test_trying_says_so(swarm):
    work(swarm, 12)
    drawn = [swarm.outcomes.recommend({"task_type": "build"}, list(ARMS), seed=n)
             for n in range(60)]  # fmt: skip
    tried = [choice for choice in drawn if choice.trying]

    assert tried
    for choice in tried:
        assert choice.why.startswith(f"trying {choice.strategy} ")
        assert not choice.confident


def test_a_choice_that_somebody_else_made_is_logged_with_what_is_known_of_it(swarm):
    asked = {"task_type": "build"}
    sure = swarm.outcomes.choose(asked, "x", candidates=["x", "y"], propensity=0.25)
    unsure = swarm.outcomes.choose(asked, "y")
    assert [sure, unsure] == [choice.choice_id for choice in swarm.outcomes.waiting()]
    for choice_id in (sure, unsure):
        swarm.outcomes.record("build", ["a"], True, 1.0, decision=choice_id)

    assert [] == swarm.outcomes.waiting()
    first, second = swarm.outcomes.observations()
    assert ("x", 0.25, ("x", "y")) == (first.strategy, first.propensity, first.candidates)
    assert ("y", None) == (second.strategy, second.propensity)
    with pytest.raises(InvalidArgumentError):
        swarm.outcomes.choose(asked, "x", propensity=0.0)


def test_the_budget_of_trying_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("SWARM_MEMORY_EXPLORE_RATIO", "0.2")
    url = f"sqlite:///{tmp_path}/memory.db"
    with Swarm.open(url, agent="a", swarm="s") as swarm:
        for number in range(50):
            explore = swarm.outcomes.may_try()
            swarm.outcomes.recommend({"task_type": "t"}, ["x", "y"], explore=explore, seed=number)
        made = swarm.outcomes.waiting(limit=100)
    tried = sum(choice.propensity < 1 for choice in made)
    assert 0 < tried <= 0.2 * len(made) + 1


def test_nobody_tries_unasked(swarm):
    assert not swarm.outcomes.may_try()


@pytest.mark.parametrize("seal", [True, False])
@pytest.mark.parametrize("state", [b"", b"x", bytes(800)])
def test_a_model_that_cannot_be_read_is_learned_anew_from_the_log(swarm, url, state, seal):
    work(swarm, 20)
    before = parts(swarm)
    for part in before:
        stored = sealed(part, state) if seal else state
        put = {"swarm": "s", "part": part, "version": 10**6, "state": stored}
        swarm.transact(lambda tx, put=put: tx.tx.run("model_put", **put))

    assert seal == swarm.verify().ok
    with Swarm.open(url, agent="b", swarm="s") as other:
        assert other.outcomes.recommend({"task_type": "build"}, list(ARMS)).strategy
    assert before == parts(swarm)
    assert swarm.verify().ok


# --- what is kept between questions ---


def test_a_kept_answer_is_not_the_askers_to_change(swarm):
    work(swarm, 20)
    asked = {"task_type": "build", "language": "go"}
    first = swarm.outcomes.recommend(asked, list(ARMS), seed=3)
    for candidate in first.candidates:
        candidate["interval"][0] = candidate["trials"] = -1
    second = swarm.outcomes.recommend(asked, list(ARMS), seed=3)

    assert first.strategy == second.strategy
    assert all(c["trials"] >= 0 and c["interval"][0] >= 0 for c in second.candidates)


def test_counts_are_read_again_once_anybody_recorded_an_outcome(swarm, url):
    work(swarm, 12, known=1)
    asked = {"task_type": "build"}
    before = swarm.outcomes.recommend(asked, list(ARMS)).evidence["trials"]
    with Swarm.open(url, agent="b", swarm="s") as other:
        other.outcomes.record("build", ["b"], True, 1.0, strategy="good", learn=False)

    assert before + 1 == swarm.outcomes.recommend(asked, list(ARMS)).evidence["trials"]


def test_counts_that_are_kept_are_those_of_the_store(swarm, url):
    asked = {"task_type": "build"}
    for number, said in enumerate([True, False, None, "partial"] * 4):
        kept = swarm.outcomes.recommend(asked, list(ARMS), explore=False, seed=1)
        with Swarm.open(url, agent="b", swarm="s") as other:
            read = other.outcomes.recommend(asked, list(ARMS), explore=False, seed=1)

        assert read.candidates == kept.candidates
        assert read.evidence == kept.evidence
        swarm.outcomes.record(
            "build" if number % 3 else "fix",
            ["a"],
            said,
            0.1 * number,
            strategy=[*ARMS][number % 2],
        )


def test_counts_of_an_outcome_that_was_undone_are_forgotten(swarm):
    work(swarm, 12, known=1)
    asked = {"task_type": "build"}
    before = swarm.outcomes.recommend(asked, list(ARMS)).evidence["trials"]

    def fail(tx):
        tx.outcomes.record("build", ["a"], True, 1.0, strategy="good")
        assert before + 1 == tx.outcomes.recommend(asked, list(ARMS)).evidence["trials"]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        swarm.transact(fail)
    assert before == swarm.outcomes.recommend(asked, list(ARMS)).evidence["trials"]


def test_counts_that_somebody_was_given_stay_as_they_were(swarm):
    work(swarm, 12, known=1)
    learned = swarm.outcomes._learned

    def counted(tx):
        return learned.counts(tx.tx, learned.head(tx.tx), "build")

    given = swarm.read(counted)
    before = dict(given)
    swarm.outcomes.record("build", ["a"], True, 1.0, strategy="good")
    swarm.outcomes.record("build", ["a"], True, 1.0, strategy="another")

    assert before == given
    now = swarm.read(counted)
    assert before["good"].trials + 1 == now["good"].trials
    assert 1 == now["another"].trials


def test_what_is_logged_of_the_candidates_is_what_was_answered(swarm):
    work(swarm, 12, known=1)
    for _ in range(2):
        chosen = swarm.outcomes.recommend({"task_type": "build"}, list(ARMS), seed=5)
        swarm.outcomes.record("build", ["a"], True, 1.0, decision=chosen, learn=False)

        *_, logged = swarm.outcomes.observations()
        assert chosen.strategy == logged.strategy
        assert tuple(c["strategy"] for c in chosen.candidates) == logged.candidates
        assert tuple(c["propensity"] for c in chosen.candidates) == logged.propensities


def test_an_outcome_after_unlearned_ones_is_learned_after_them(swarm):
    for number in range(6):
        swarm.outcomes.record("build", ["a"], number % 2 == 0, 1.0, strategy="x", learn=number > 3)
    before = parts(swarm)

    assert swarm.outcomes.rebuild()
    assert before == parts(swarm)
