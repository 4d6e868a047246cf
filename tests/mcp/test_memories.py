"""Memories: storing with what is alike, superseding, and who makes a call."""

import random
import sqlite3

import pytest

from swarm_memory import Swarm
from swarm_memory.errors import (
    ConflictError,
    InvalidArgumentError,
    InvalidKeyError,
    InvalidValueError,
    LeaseHeldError,
    LeaseLostError,
    NotFoundError,
)


@pytest.fixture
def swarm(tmp_path):
    with Swarm.open(f"sqlite:///{tmp_path}/memory.db", agent="writer", swarm="s") as swarm:
        yield swarm


def test_a_memory_without_a_key_gets_one_of_its_own_under_its_kind(swarm):
    first = swarm.memories.store("use WAL", kind="decision").record
    second = swarm.memories.store("use WAL", kind="decision").record

    assert first.key.startswith("swarm-s/global/knowledge/decision/")
    assert first.key != second.key
    assert "use WAL" == swarm.records.get(first.key).value


def test_a_memory_without_kind_is_a_fact_and_one_with_a_key_is_what_was_said(swarm):
    assert {"kind": "fact"} == swarm.memories.store("x").record.provenance
    assert swarm.memories.store({"x": 1}, key="notes/1").record.provenance is None


def test_kind_and_files_are_kept_beside_the_value(swarm):
    record = swarm.memories.store({"x": 1}, key="a", kind="lesson", files=["src/a.py"]).record

    assert {"kind": "lesson", "files": ["src/a.py"]} == swarm.records.get("a").provenance
    assert {"x": 1} == record.value


def test_what_says_nearly_the_same_is_told_and_what_does_not_is_not(swarm):
    old = swarm.memories.store("Sessions are cached in Redis for thirty minutes").record
    swarm.memories.store("The build needs Python 3.11 and a C compiler")
    swarm.memories.store("Sessions expire when the user signs out of the web page")

    stored = swarm.memories.store("sessions are cached in redis, for thirty minutes at most")

    assert [old.key] == [one.key for one in stored.similar]
    assert 0.5 <= stored.similar[0].resemblance <= 1


def test_what_is_alike_is_found_in_the_index_and_ahead_of_it(swarm):
    first = swarm.memories.store("Sessions are cached in Redis for thirty minutes").record
    for number in range(100):
        swarm.memories.store(f"Module {number} has its own tests beside it")
    last = swarm.memories.store("the deploy waits for the green build of the main branch").record

    for old in (first, last):
        assert [old.key] == [one.key for one in swarm.memories.similar(old.value)]


def test_what_resembles_by_half_is_found_wherever_it_stands(swarm):
    dice = random.Random(3)
    words = [f"{dice.choice('bdfgklmnprst')}{n:x}o" for n in range(400)]
    texts = [dice.sample(words, 14) for _ in range(120)]
    texts += [[*dice.sample(text, 10), *dice.sample(words, 3)] for text in texts[:60]]
    dice.shuffle(texts)
    for number, text in enumerate(texts):
        swarm.records.put(f"a/{number}", " ".join(text))

    alike = 0
    for text in texts:
        mine = set(text)
        expected = {
            f"a/{n}"
            for n, other in enumerate(texts)
            if 2 * len(mine & {*other}) >= len(mine | {*other})
        }
        found = swarm.finder.alike.find(" ".join(text), at_least=0.5)
        assert expected == {like.record.key for like in found}
        alike += len(expected) > 1
    assert alike > 80


def test_what_is_alike_is_found_where_every_word_is_common(swarm):
    dice = random.Random(3)
    words = [f"{a}{b}a" for a in "bdfgklmn" for b in "aeiou"]  # each in a hundred records
    texts = [" ".join(dice.sample(words, 10)) for _ in range(400)]
    for number, text in enumerate(texts):
        swarm.records.put(f"a/{number}", text)

    for number in range(0, 400, 40):
        found = swarm.finder.alike.find(texts[number], at_least=1)
        assert set(texts[number].split()) == set(found[0].record.value.split())


def test_what_hooks_write_meanwhile_hides_nothing_that_is_alike(swarm):
    old = swarm.memories.store("Sessions are cached in Redis for thirty minutes").record
    swarm.search("sessions")
    for number in range(100):
        swarm.records.put(f"memory/operations/x/{number}", number)

    assert [old.key] == [one.key for one in swarm.memories.similar(old.value)]


def test_a_damaged_record_is_called_alike_by_nobody(swarm, tmp_path):
    swarm.memories.store("Sessions are cached in Redis for thirty minutes", key="a")
    swarm.search("sessions")
    db = sqlite3.connect(tmp_path / "memory.db")
    with db:
        db.execute("UPDATE records SET value = zeroblob(40) WHERE key = 'a'")
    db.close()

    assert [] == swarm.memories.similar("Sessions are cached in Redis for thirty minutes")


def test_what_was_deleted_or_has_expired_is_not_called_alike(swarm):
    swarm.memories.store("retry the deploy twice", key="a")
    swarm.memories.store("retry the deploy twice", key="b", ttl_s=0.001)
    swarm.records.delete("a")
    while swarm.records.get("b") is not None:
        pass

    assert [] == swarm.memories.similar("retry the deploy twice")


def test_another_version_of_the_same_key_is_not_called_alike(swarm):
    swarm.memories.store("retry the deploy twice", key="deploy/rule")

    assert [] == swarm.memories.store("retry the deploy twice", key="deploy/rule").similar


def test_a_value_without_words_is_like_nothing(swarm):
    swarm.memories.store({})
    assert [] == swarm.memories.store({}).similar


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"kind": "rumour"}, InvalidArgumentError),
        ({"files": "a.py"}, InvalidArgumentError),
        ({"files": [""]}, InvalidArgumentError),
        ({"files": ["a"] * 51}, InvalidArgumentError),
        ({"key": "no key"}, InvalidKeyError),
        ({"expect": 3}, InvalidArgumentError),
        ({"ttl_s": -1}, InvalidArgumentError),
        ({"value": float("nan")}, InvalidValueError),
    ],
)
def test_what_cannot_be_stored_is_refused_before_anything_is_written(swarm, arguments, error):
    with pytest.raises(error):
        swarm.memories.store(**{"value": "x"} | arguments)
    assert 0 == swarm.events.newest()


def test_store_with_an_old_version_raises_conflict(swarm):
    swarm.memories.store("one", key="a")
    with pytest.raises(ConflictError):
        swarm.memories.store("two", key="a", expect=0)
    assert "one" == swarm.records.get("a").value


def test_superseding_keeps_the_history_and_says_what_was_replaced(swarm):
    swarm.memories.store("A", key="a", kind="fact", files=["x.py"])
    swarm.memories.store("B", key="b")

    new = swarm.memories.supersede("a", "A and B", also=["b", "a", "b"], reason="merged")

    links = [{"key": "a", "version": 1}, {"key": "b", "version": 1}]
    assert {"kind": "fact", "files": ["x.py"], "reason": "merged", "supersedes": links} == (
        new.provenance
    )
    assert "A and B" == swarm.records.get("a").value
    assert swarm.records.get("b") is None
    assert ["A and B", "A"] == [record.value for record in swarm.records.history("a")]


def test_superseding_something_missing_changes_nothing(swarm):
    swarm.memories.store("A", key="a")
    with pytest.raises(NotFoundError):
        swarm.memories.supersede("a", "new", also=["missing"])
    assert "A" == swarm.records.get("a").value


def test_superseding_an_old_version_raises_conflict(swarm):
    swarm.memories.store("A", key="a")
    swarm.memories.store("B", key="b")
    with pytest.raises(ConflictError):
        swarm.memories.supersede("a", "new", also=["b"], expect=7)
    assert "B" == swarm.records.get("b").value


def test_a_call_is_told_apart_by_who_announced_it(swarm):
    swarm.as_agent("explore:a1@s", session="s1").callers.announce("toolu_01")

    assert ("explore:a1@s", "s1") == swarm.callers.of("toolu_01")
    assert swarm.callers.of("toolu_02") is None
    assert [] == swarm.records.scan()


def test_the_origin_of_a_door_is_in_the_provenance_of_all_that_it_writes(swarm):
    door = swarm.as_agent("guest", origin={"verified": False})

    door.records.put("a", 1)
    door.records.put("a", 2, provenance={"why": "x"})
    door.records.rollback("a", 1)
    door.transact(lambda tx: tx.records.put("b", 1))

    assert [{"verified": False, "rollback_to": 1}, {"verified": False, "why": "x"}] == [
        record.provenance for record in swarm.records.history("a")[:2]
    ]
    assert {"verified": False} == swarm.records.get("b").provenance


def test_a_held_lease_is_found_again_by_its_owner_and_by_nobody_else(swarm):
    for name in ("deploy", "file:src/*.py"):
        token = swarm.leases.acquire(name, "read", wait_s=0).token

        with pytest.raises(LeaseLostError):
            swarm.as_agent("other").leases.held(name, token)
        with pytest.raises(LeaseLostError):
            swarm.leases.held(name, token + 1)
        again = swarm.leases.held(name, token)
        assert ("read", token) == (again.mode, again.token)
        assert again.renew(60).release()
        with pytest.raises(LeaseLostError):
            swarm.leases.held(name, token)


def test_who_gives_up_waiting_leaves_the_line(swarm):
    held = swarm.leases.acquire("deploy", wait_s=0)
    asked = []

    def given_up():
        asked.append(len(swarm.leases.list("deploy")))
        return len(asked) > 1

    with pytest.raises(LeaseHeldError):
        swarm.as_agent("other").leases.acquire("deploy", wait_s=60, given_up=given_up)

    assert [2, 2] == asked
    assert ["writer"] == [seat.owner for seat in swarm.leases.list("deploy")]
    assert held.release()
