"""Leases on paths: overlapping patterns are in each other's way, all others are not."""

import os
import sys

import pytest
from waiters import WAIT_S, Waiter, stand

from swarm_memory.errors import (
    DeadlockError,
    InvalidArgumentError,
    LeaseHeldError,
    LeaseLostError,
    LimitExceededError,
)
from swarm_memory.leases import PATTERNS_MAX
from swarm_memory.lines import GRACE_MS
from swarm_memory.records import Records
from swarm_memory.seats import Lease

COMMAND = os.path.join(os.path.dirname(sys.executable), "swarm-memory")
PROCESSES, ROUNDS = 8, 25
PROCESS_WAIT_S = 60.0


def seats(store):
    return [(seat.name, seat.owner, seat.state) for seat in store.leases().list()]


# --- who gets in ---


@pytest.mark.parametrize("held", ["read", "write", "exclusive"])
@pytest.mark.parametrize("wanted", ["read", "write", "exclusive"])
def test_on_overlapping_patterns_only_readers_admit_each_other(store, held, wanted):
    store.leases("a").acquire("file:src/**", held)

    taken = store.leases("b").try_acquire("file:src/app.py", wanted)

    assert (held == wanted == "read") == (taken is not None)


def test_patterns_without_a_common_path_are_held_beside_each_other(store):
    names = ["file:src/*.py", "file:src/*.js", "file:docs/", "file:src/app/x.py", "file:Src/a.py"]
    leases = [store.leases(f"a{n}").acquire(name) for n, name in enumerate(names)]

    assert 5 == len(store.leases().list())
    assert all(lease.release() for lease in leases)
    assert [] == store.leases().list()


def test_only_names_that_begin_with_file_are_patterns(store):
    for number, name in enumerate(["src/**", "src/app.py", "files:src/**", "File:src/**", "file"]):
        store.leases(f"a{number}").acquire(name, wait_s=0)

    assert store.leases("b").try_acquire("file:src/**") is not None


def test_all_spellings_of_a_pattern_are_one_name(store):
    lease = store.leases("a").acquire("file:./docs/../src/")

    assert "file:src/**" == lease.name
    assert ["a"] == [seat.owner for seat in store.leases().list("file:src//**")]
    assert [] == store.leases().list("file:src/*")
    assert store.leases("b").try_acquire("file:src/**") is None


@pytest.mark.parametrize("name", ["file:", "file:../x", "file:/etc/x", "file:a/**.py"])
def test_a_bad_pattern_is_refused_and_nothing_is_held(store, name):
    for call in (store.leases().acquire, store.leases().try_acquire, store.leases().list):
        with pytest.raises(InvalidArgumentError):
            call(name)

    assert [] == store.leases().list()


def test_a_refusal_tells_what_is_held_by_whom_for_what_and_until_when(store, clock):
    store.leases("a", "s1").acquire("file:docs/**", ttl_s=10)
    store.leases("b", "s2").acquire("file:src/**", ttl_s=20, reason="rename the engine")

    with pytest.raises(LeaseHeldError) as caught:
        store.leases("c").acquire("file:src/app.py", wait_s=0)

    error = caught.value
    assert ("file:src/app.py", "file:src/**", "b/s2", "rename the engine") == (
        error.name, error.held, error.owner, error.reason,
    )  # fmt: skip
    assert clock.now_ms() + 20_000 == error.expires_ms
    for part in ("'file:src/app.py'", "b/s2", "'file:src/**'", "'rename the engine'", "until"):
        assert part in str(error)


def test_a_refusal_may_name_one_who_only_waits(store):
    store.leases("a").acquire("file:src/a.py")
    stand(store, "b", "file:src/**")

    with pytest.raises(LeaseHeldError, match=r"waited for by b, as 'file:src/\*\*'$") as caught:
        store.leases("c").acquire("file:src/b.py", wait_s=0)

    assert ("b", "file:src/**") == (caught.value.owner, caught.value.held)


def test_a_lapsed_reservation_passes_on_to_an_overlapping_one(store, clock):
    first = store.leases("a").acquire("file:src/app.py", ttl_s=1)
    clock.advance(1)

    second = store.leases("b").acquire("file:src/**", wait_s=0)

    assert first.token < second.token
    for call in (first.renew, first.release):
        with pytest.raises(LeaseLostError):
            call()
    assert second.renew().release()


def test_the_end_of_a_session_frees_its_paths_and_serves_who_waits_for_them(store, line):
    store.leases("a", "s1").acquire("file:src/a.py")
    store.leases("a", "s1").acquire("file:src/b.py")
    store.leases("a", "s2").acquire("file:docs/**")
    waiter = line.waiting("b", "file:src/**")

    assert 2 == store.leases().end_session("s1")

    assert isinstance(waiter.get(), Lease)


def test_swarms_do_not_see_each_others_paths(store):
    store.leases(swarm="s").acquire("file:**")

    assert store.leases(swarm="t").try_acquire("file:src/app.py") is not None
    assert 1 == len(store.leases(swarm="t").covering("src/app.py"))


# --- tokens ---


def test_a_later_grant_on_any_pattern_has_a_higher_token_also_after_pruning(store, clock):
    tokens = []
    for name in ["file:src/**", "file:src/a.py", "file:docs/", "file:**"]:
        with (
            store.leases("a").hold(f"{name}/x", "read") as one,
            store.leases("b").hold(name, "read") as other,
        ):
            tokens += [one.token, other.token]
        clock.advance(31)
        assert 1 == store.leases().prune()

    assert tokens == sorted(set(tokens))


def test_a_write_is_guarded_by_the_name_it_was_reserved_under(store, clock):
    records = Records(store.engine, store.context())
    lease = store.leases("a").acquire("file:src/*", ttl_s=1)
    beside = store.leases("a").acquire("file:docs/*", ttl_s=60)
    records.put("k/a", 1, fence=lease)
    records.put("k/a", 2, fence=beside)
    forged = store.leases("a").acquire("x", ttl_s=60)
    forged.name, forged.token = "file:src/*", beside.token

    with pytest.raises(LeaseLostError):
        records.put("k/a", 3, fence=forged)
    clock.advance(1)
    with pytest.raises(LeaseLostError):
        records.put("k/a", 4, fence=lease)
    assert 2 == records.get("k/a").value


# --- the line ---


def test_nobody_overtakes_one_who_waits_for_an_overlapping_pattern(store, line):
    held = store.leases("a").acquire("file:src/a.py")
    tree = line.waiting("b", "file:src/**", "write")

    assert store.leases("c").try_acquire("file:src/b.py", "read") is None, "overtook"
    assert store.leases("c").try_acquire("file:docs/x") is not None, "it is in nobody's way"
    late = line.waiting("d", "file:src/b.py")
    held.release()
    assert ("file:src/**", "b") == (tree.get().name, tree.get().owner)
    assert not late.done.is_set()
    tree.get().release()
    assert tree.get().token < late.get().token


def test_one_behind_is_served_first_if_nobody_before_it_is_in_its_way(store, line):
    store.leases("a").acquire("file:src/a.py")
    docs = store.leases("b").acquire("file:docs/a.md")
    first = line.waiting("c", "file:src/**")
    second = line.waiting("d", "file:docs/**")
    docs.release()

    assert "d" == second.get().owner
    assert not first.done.is_set()


def test_readers_of_overlapping_patterns_are_let_in_past_a_reader_that_waits(store, line):
    store.leases("a").acquire("file:src/a.py", "write")
    first = line.waiting("b", "file:src/**", "read")

    assert store.leases("c").try_acquire("file:src/b.py", "read") is not None
    assert not first.done.is_set()


def test_those_behind_one_that_gives_up_are_let_in(store, line):
    store.leases("a").acquire("file:src/a.py")
    tree = line.waiting("b", "file:src/**", wait_s=0.3)
    late = line.waiting("c", "file:src/b.py")

    assert isinstance(tree.get(), LeaseHeldError)
    assert "c" == late.get().owner


def test_a_turn_that_nobody_claims_passes_on_to_an_overlapping_pattern(store, clock, line):
    held = store.leases("a").acquire("file:src/a.py")
    stand(store, "dead", "file:src/**")
    waiter = line.waiting("b", "file:src/b.py")
    held.release()
    assert ("file:src/**", "dead", "granted") in seats(store)

    clock.advance(GRACE_MS / 1000)

    assert "b" == waiter.get().owner


# --- deadlocks ---


def test_a_ring_over_overlapping_patterns_is_refused(store, line):
    a, b = line.thread("a"), line.thread("b")
    one = a.acquire("file:src/a.py")
    b.acquire("file:docs/b.md")
    waiter = a.waiting("file:docs/**")

    refused = b.waiting("file:src/*").get()

    assert isinstance(refused, DeadlockError)
    assert ["b", "a"] == refused.cycle
    assert not waiter.done.is_set()
    assert one.release()


def test_a_ring_through_one_far_before_in_line_is_found(store, line):
    """The nearest in line is in the way of one who waits, and so is one far before it."""
    a, h = line.thread("a"), line.thread("h")
    a.acquire("y")
    h.acquire("file:src/a1.py")
    store.leases("g").acquire("file:src/b1.py")
    far = line.waiting("b", "file:src/a*")
    near = line.waiting("c", "file:src/b*")
    asks = h.waiting("y")

    refused = a.waiting("file:src/[ab]2.py").get()

    assert isinstance(refused, DeadlockError)
    assert ["a", "b", "h"] == refused.cycle
    assert not any(waiter.done.is_set() for waiter in (far, near, asks))


def test_patterns_without_a_common_path_make_no_ring(store, line):
    a, b = line.thread("a"), line.thread("b")
    one = a.acquire("file:src/a.py")
    other = b.acquire("file:docs/b.md")
    first = a.waiting("file:docs/*")
    second = b.waiting("file:test/*")

    assert "b" == second.get().owner
    other.release()
    assert "a" == first.get().owner
    assert one.release()


# --- several at once ---


def test_names_of_one_call_that_overlap_do_not_block_each_other(store):
    names = ["file:src/**", "x", "file:src/app.py", "file:./src/"]
    with store.leases("a").hold_all(names) as leases:
        assert ["file:src/**", "file:src/app.py", "x"] == [lease.name for lease in leases]
        assert 2 == len({lease.token for lease in leases[:2]})
        assert store.leases("b").try_acquire("file:src/other.py") is None
        leases[0].release()
        assert store.leases("b").try_acquire("file:src/app.py") is None
        assert store.leases("b").try_acquire("file:src/other.py") is not None
    assert [("file:src/other.py", "b", "held")] == seats(store)


def test_all_patterns_are_taken_or_none(store):
    store.leases("b").acquire("file:docs/a.md")

    with (
        pytest.raises(LeaseHeldError, match=r"file:docs/\*"),
        store.leases("a").hold_all(["x", "file:src/**", "file:docs/*"], wait_s=0),
    ):
        pass

    assert [("file:docs/a.md", "b", "held")] == seats(store)


def test_while_several_are_waited_for_none_of_them_is_kept_from_its_holders(store, line):
    blocking = store.leases("b").acquire("file:docs/a.md")

    def hold():
        names = ["file:src/**", "file:docs/*"]
        with store.leases("a").hold_all(names, wait_s=WAIT_S) as leases:
            return [lease.name for lease in leases]

    waiter = Waiter(hold)
    line.until(lambda: ("file:docs/*", "a", "waiting") in seats(store))
    assert ("file:src/**", "a", "waiting") in seats(store)
    assert store.leases("c").try_acquire("file:src/x") is None, "it overtook one who waits"
    blocking.release()

    assert ["file:docs/*", "file:src/**"] == waiter.get()
    line.until(lambda: [] == seats(store))


def test_globs_that_cross_are_held_all_without_a_ring(store, line):
    """Taken one after the other in any order of names, these two would wait for each other."""
    ours = ["file:*1", "file:b2"]
    theirs = ["file:*2", "file:b1"]
    blocking = [store.leases("c").acquire(name) for name in ("file:b1", "file:b2")]

    def hold(agent, names):
        with store.leases(agent).hold_all(names, wait_s=WAIT_S) as leases:
            return [lease.owner for lease in leases]

    waiters = [Waiter(lambda a=a, n=n: hold(a, n)) for a, n in (("a", ours), ("b", theirs))]
    line.until(lambda: 4 == sum(state == "waiting" for _, _, state in seats(store)))
    for lease in blocking:
        lease.release()

    assert [["a", "a"], ["b", "b"]] == [waiter.get() for waiter in waiters]


def test_too_many_patterns_at_once_are_refused(store):
    names = [f"file:src/{number}" for number in range(PATTERNS_MAX + 1)]

    with pytest.raises(LimitExceededError), store.leases().hold_all(names):
        pass


def test_several_patterns_are_held_all_inside_a_transaction(store):
    def write(tx):
        with store.leases("a").within(tx).hold_all(["file:a/**", "file:a/b"]) as leases:
            return [lease.name for lease in leases]

    assert ["file:a/**", "file:a/b"] == store.engine.write(write)
    assert [] == seats(store)


# --- upgrades ---


def test_an_upgrade_waits_for_the_readers_of_overlapping_patterns_only(store, line):
    lease = store.leases("a").acquire("file:src/*", "read")
    store.leases("b").acquire("file:docs/*", "read")
    other = store.leases("c").acquire("file:src/app.py", "read")
    waiter = Waiter(lambda: lease.upgrade(wait_s=WAIT_S))
    line.until(lambda: ("file:src/*", "a", "waiting") in seats(store))
    other.release()

    assert "exclusive" == waiter.get().mode
    assert lease.release()


def test_a_second_upgrader_is_refused_only_if_the_patterns_overlap(store, line):
    leases = {
        name: store.leases(agent).acquire(name, "read")
        for agent, name in (("a", "file:src/*"), ("b", "file:src/app.py"), ("c", "file:docs/*"))
    }
    reader = store.leases("d").acquire("file:docs/a.md", "read")
    first = Waiter(lambda: leases["file:src/*"].upgrade(wait_s=WAIT_S))
    line.until(lambda: ("file:src/*", "a", "waiting") in seats(store))
    other = Waiter(lambda: leases["file:docs/*"].upgrade(wait_s=WAIT_S))
    line.until(lambda: ("file:docs/*", "c", "waiting") in seats(store))

    with pytest.raises(LeaseHeldError) as caught:
        leases["file:src/app.py"].upgrade(wait_s=WAIT_S)

    assert "upgrades" in caught.value.hint
    leases["file:src/app.py"].release()
    reader.release()
    assert ["exclusive", "exclusive"] == [first.get().mode, other.get().mode]


# --- who has reserved a path ---


def test_a_path_tells_who_has_reserved_it_and_who_waits(store):
    store.leases("a").acquire("file:src/**", "read", reason="look")
    store.leases("b").acquire("file:src/app.py", "read")
    store.leases("c").acquire("file:docs/*")
    store.leases("c").acquire("src/app.py")
    stand(store, "d", "file:s*/app.py")

    found = store.leases().covering("./src/app.py")

    assert [("a", "held"), ("b", "held"), ("d", "waiting")] == [(s.owner, s.state) for s in found]
    assert ("file:src/**", "look") == (found[0].name, found[0].reason)
    assert ["a"] == [seat.owner for seat in store.leases().covering("src/other.py")]
    assert ["c"] == [seat.owner for seat in store.leases().covering("docs/")]
    assert [] == store.leases().covering("README.md")


def test_the_characters_of_a_path_mean_themselves(store):
    store.leases("a").acquire("file:src/x")
    store.leases("b").acquire("file:app/[id]/page.tsx")

    assert [] == store.leases().covering("src/*")
    assert ["b"] == [seat.owner for seat in store.leases().covering("app/[id]/page.tsx")]


@pytest.mark.parametrize("path", ["", "../x", "/etc/passwd", "a\0", None])
def test_what_is_no_path_below_the_root_is_refused(store, path):
    with pytest.raises(InvalidArgumentError):
        store.leases().covering(path)


def test_the_limit_of_a_list_counts_patterns(store):
    for name in ("file:a", "file:b", "file:c"):
        store.leases().acquire(name)

    assert ["file:a", "file:b"] == [seat.name for seat in store.leases().list(limit=2)]
