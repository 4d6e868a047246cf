"""Leases: who gets in, in which order, for how long, and what a stale token may do."""

import threading

import pytest
from coordination_services import Services
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from waiters import WAIT_S, Waiter, stand

from swarm_memory import Swarm
from swarm_memory.clock import SystemClock
from swarm_memory.errors import (
    InvalidArgumentError,
    LeaseHeldError,
    LeaseLostError,
    LimitExceededError,
)
from swarm_memory.lines import ALIVE_MS, GRACE_MS
from swarm_memory.records import Records
from swarm_memory.seats import Lease
from swarm_memory.testing import ManualClock

# --- who gets in ---


@pytest.mark.parametrize("held", ["read", "write", "exclusive"])
@pytest.mark.parametrize("wanted", ["read", "write", "exclusive"])
def test_only_readers_admit_each_other(store, held, wanted):
    store.leases("a").acquire("x", held)

    assert (held == wanted == "read") == (store.leases("b").try_acquire("x", wanted) is not None)


def test_a_held_lease_is_refused_with_owner_and_end(store, clock):
    store.leases("a", "session-1").acquire("x", ttl_s=10)

    with pytest.raises(LeaseHeldError) as caught:
        store.leases("b").acquire("x", wait_s=0)

    error = caught.value
    assert ("x", "a/session-1", clock.now_ms() + 10_000) == (
        error.name,
        error.owner,
        error.expires_ms,
    )


def test_an_agent_does_not_share_an_exclusive_lease_with_itself(store):
    leases = store.leases()
    leases.acquire("x")

    assert leases.try_acquire("x") is None


def test_a_released_lease_is_free_and_its_token_never_comes_again(store):
    tokens = []
    for _ in range(3):
        with store.leases().acquire("x") as lease:
            tokens.append(lease.token)

    assert tokens == sorted(set(tokens))
    assert [] == store.leases().list()


def test_tokens_go_on_rising_after_the_store_was_opened_anew(tmp_path, clock):
    tokens = []
    for _ in range(2):
        store = Services(f"sqlite:///{tmp_path}/m.db", clock)
        with store.leases().hold("x") as lease:
            tokens.append(lease.token)
        store.engine.close()

    assert tokens[0] < tokens[1]


def test_a_raised_floor_lifts_all_tokens(store):
    old = store.leases().acquire("x")
    old.release()
    store.engine.write(
        lambda tx: tx.run("fact_raise", swarm="s", name="lease_token_floor", value=2**32)
    )

    assert 2**32 < store.leases().acquire("x").token
    assert 2**32 < store.leases().acquire("y").token


def test_swarms_do_not_see_each_others_leases(store):
    store.leases(swarm="s").acquire("x")

    assert store.leases(swarm="t").try_acquire("x") is not None
    assert 1 == len(store.leases(swarm="t").list())


@pytest.mark.parametrize("name", ["file:src/app.py", "ä" * 512, "a b\n'\"", "∞"])
def test_any_text_is_a_name(store, name):
    with store.leases().hold(name) as lease:
        assert [name] == [seat.name for seat in store.leases().list(name)]
        assert name == lease.name


@pytest.mark.parametrize("name", ["", "a\0b", "a" * 1025, "\ud800", 7, None])
def test_other_names_are_refused(store, name):
    with pytest.raises(InvalidArgumentError):
        store.leases().acquire(name)


@pytest.mark.parametrize(
    "options", [{"ttl_s": 0}, {"ttl_s": 3601}, {"ttl_s": float("nan")}, {"ttl_s": True},
                {"wait_s": -1}, {"wait_s": float("nan")}, {"mode": "shared"}, {"reason": "a\0"}]
)  # fmt: skip
def test_arguments_out_of_range_are_refused(store, options):
    with pytest.raises(InvalidArgumentError):
        store.leases().acquire("x", **options)


# --- for how long ---


def test_a_lapsed_lease_passes_on_with_a_higher_token(store, clock):
    first = store.leases("a").acquire("x", ttl_s=1)
    clock.advance(1)

    second = store.leases("b").acquire("x", wait_s=0)

    assert first.token < second.token


def test_a_renewed_lease_lives_on_and_keeps_its_token(store, clock):
    lease = store.leases("a").acquire("x", ttl_s=1)
    token = lease.token
    for _ in range(3):
        clock.advance(0.9)
        lease.renew()

    assert (token, clock.now_ms() + 1000) == (lease.token, lease.expires_ms)
    assert store.leases("b").try_acquire("x") is None
    lease.renew(5)
    assert clock.now_ms() + 5000 == lease.expires_ms


@pytest.mark.parametrize("taken", [False, True])
def test_a_lapsed_lease_is_neither_renewed_nor_released(store, clock, taken):
    lease = store.leases("a").acquire("x", ttl_s=1)
    clock.advance(1)
    other = store.leases("b").acquire("x") if taken else None

    for call in (lease.renew, lease.release, lease.release):
        with pytest.raises(LeaseLostError):
            call()
    if other is not None:
        assert other.release()


def test_a_second_release_does_nothing(store):
    lease = store.leases("a").acquire("x")
    assert lease.release()
    other = store.leases("b").acquire("x")

    assert not lease.release()
    assert other.release()


def test_a_with_that_lost_its_lease_says_so_at_the_end(store, clock):
    with pytest.raises(LeaseLostError), store.leases().hold("x", ttl_s=1):
        clock.advance(1)


def test_a_with_keeps_the_error_of_its_body(store, clock):
    with pytest.raises(ZeroDivisionError), store.leases().hold("x", ttl_s=1):
        clock.advance(1)
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), store.leases().hold("x"):
        raise ZeroDivisionError
    assert [] == store.leases().list()


def test_the_end_of_a_session_frees_what_it_holds_and_serves_the_next(store, line):
    store.leases("a", "s1").acquire("x")
    store.leases("a", "s1").acquire("y")
    kept = store.leases("a", "s2").acquire("z")
    waiter = line.waiting("b", "x")

    assert 2 == store.leases().end_session("s1")

    assert isinstance(waiter.get(), Lease)
    assert kept.release()


# --- fences ---


def test_a_guarded_write_is_refused_once_the_lease_has_passed_on(store, clock):
    records = Records(store.engine, store.context())
    lease = store.leases("a").acquire("x", ttl_s=1)
    records.put("k/a", 1, fence=lease)
    clock.advance(1)

    with pytest.raises(LeaseLostError):
        records.put("k/a", 2, fence=lease)
    store.leases("b").acquire("x")
    with pytest.raises(LeaseLostError):
        records.put("k/a", 2, fence=lease)
    assert 1 == records.get("k/a").value


def test_a_released_lease_guards_nothing(store):
    lease = store.leases().acquire("x")
    lease.release()

    with pytest.raises(LeaseLostError):
        Records(store.engine, store.context()).put("k/a", 1, fence=lease)


# --- the line ---


def test_waiters_are_served_in_the_order_in_which_they_came(store, line):
    held = store.leases("a").acquire("x")
    waiters = [line.waiting(name, "x") for name in "bcd"]
    order = []
    held.release()
    for waiter in waiters:
        lease = waiter.get()
        order.append((lease.owner, lease.token))
        lease.release()

    assert ["b", "c", "d"] == [owner for owner, _ in order]
    assert sorted(token for _, token in order) == [token for _, token in order]


def test_nobody_overtakes_the_line(store, line):
    held = store.leases("a").acquire("x", "read")
    writer = line.waiting("b", "x", "write")

    assert store.leases("c").try_acquire("x", "read") is None, "a reader overtook a writer"
    held.release()
    assert store.leases("c").try_acquire("x", "read") is None, "it was the writer's turn"
    assert "write" == writer.get().mode


def test_adjacent_readers_are_let_in_together(store, line):
    held = store.leases("a").acquire("x")
    readers = [line.waiting(name, "x", "read") for name in "bc"]
    writer = line.waiting("d", "x", "write")
    late = line.waiting("e", "x", "read")
    held.release()

    leases = [reader.get() for reader in readers]
    assert ["read", "read"] == [lease.mode for lease in leases]
    assert not writer.done.is_set() and not late.done.is_set()
    for lease in leases:
        lease.release()
    writer.get().release()
    assert "e" == late.get().owner


def test_a_wait_that_is_over_names_the_holder_and_leaves_the_line(store, line):
    store.leases("a").acquire("x")

    with pytest.raises(LeaseHeldError) as caught:
        store.leases("b").acquire("x", wait_s=0.05)

    assert "a" == caught.value.owner
    assert [("a", "held")] == line.seats("x")


def test_those_behind_a_waiter_that_gives_up_are_let_in(store, line):
    held = store.leases("a").acquire("x", "read")
    writer = line.waiting("b", "x", "write", wait_s=0.3)
    reader = line.waiting("c", "x", "read")

    assert isinstance(writer.get(), LeaseHeldError)
    assert ("c", "waiting") not in line.seats("x"), "it is let in when the writer leaves"
    assert "read" == reader.get().mode
    held.release()


def test_a_lapsed_holder_is_noticed_by_those_in_line(store, clock, line):
    store.leases("a").acquire("x", ttl_s=1)
    waiter = line.waiting("b", "x")
    clock.advance(1)

    assert "b" == waiter.get().owner


def test_a_dead_waiter_is_passed_over(store, clock, line):
    held = store.leases("a").acquire("x", ttl_s=3600)
    stand(store, "dead", "x")
    waiter = line.waiting("b", "x")
    store.clock.advance((ALIVE_MS) / 1000)
    held.release()

    assert "b" == waiter.get().owner


def test_a_turn_that_nobody_claims_passes_on_after_its_grace(store, clock, line):
    held = store.leases("a").acquire("x")
    stand(store, "dead", "x")
    waiter = line.waiting("b", "x")
    held.release()
    assert ("dead", "granted") in line.seats("x")
    assert store.leases("c").try_acquire("x") is None

    clock.advance((GRACE_MS) / 1000)

    assert "b" == waiter.get().owner


def test_a_waiter_that_lost_its_place_stands_in_line_again(store, clock, line):
    held = store.leases("a").acquire("x", ttl_s=3600)
    waiter = line.waiting("b", "x")
    clock.advance((ALIVE_MS) / 1000)
    store.leases("c").try_acquire("x")
    line.until(lambda: ("b", "waiting") in line.seats("x"))
    held.release()

    assert "b" == waiter.get().owner


def test_a_full_line_refuses_one_more(store, monkeypatch):
    monkeypatch.setattr("swarm_memory.lines.WAITERS_MAX", 2)
    store.leases("a").acquire("x")
    stand(store, "b", "x")
    stand(store, "c", "x")

    with pytest.raises(LimitExceededError):
        store.leases("d").acquire("x", wait_s=1)


def test_the_list_tells_who_holds_and_who_waits_and_for_how_long(store, clock):
    lease = store.leases("a", "s1").acquire("x", "write", ttl_s=10, reason="deploy")
    stand(store, "b", "x")
    clock.advance(0.5)

    held, waiting = store.leases().list("x")

    assert ("held", "write", "a/s1", "s1", "deploy") == (*held[1:5], held.reason)
    assert (lease.token, lease.holder, 500) == (held.token, held.holder, held.age_ms)
    assert clock.now_ms() + 9500 == held.expires_ms
    assert ("waiting", "b", None, 500) == (
        waiting.state, waiting.owner, waiting.token, waiting.age_ms,
    )  # fmt: skip
    assert {"name", "state", "mode", "owner", "age_ms"} <= held.to_dict().keys()


# --- several at once ---


def test_hold_all_takes_all_in_order_or_none(store):
    with store.leases("a").hold_all(["y", "x", "y"]) as leases:
        assert ["x", "y"] == [lease.name for lease in leases]
    assert [] == store.leases().list()

    store.leases("b").acquire("y")
    with pytest.raises(LeaseHeldError), store.leases("a").hold_all(["x", "y"], wait_s=0):
        pass
    assert [("b", "y")] == [(seat.owner, seat.name) for seat in store.leases().list()]


def test_hold_all_keeps_alive_what_it_holds_while_it_waits(store, clock, line):
    blocking = store.leases("b").acquire("y", ttl_s=3600)
    entered, leave = threading.Event(), threading.Event()

    def hold():
        with store.leases("a").hold_all(["x", "y"], ttl_s=1, wait_s=WAIT_S) as leases:
            entered.set()
            leave.wait(WAIT_S)
            return [lease.expires_ms for lease in leases]

    waiter = Waiter(hold)
    line.until(lambda: ("a", "waiting") in line.seats("y"))
    for _ in range(3):
        clock.advance(0.6)
        line.until(lambda: store.leases().list("x")[0].expires_ms == clock.now_ms() + 1000)
    blocking.release()
    assert entered.wait(WAIT_S)
    leave.set()
    assert [clock.now_ms() + 1000] * 2 == waiter.get()


def test_names_that_are_one_text_are_refused(store):
    with pytest.raises(InvalidArgumentError), store.leases().hold_all("xy"):
        pass


# --- upgrades ---


def test_a_reader_upgrades_once_it_is_alone(store, line):
    lease = store.leases("a").acquire("x", "read")
    other = store.leases("b").acquire("x", "read")
    token = lease.token
    waiter = Waiter(lambda: lease.upgrade(wait_s=WAIT_S))
    line.until(lambda: ("a", "waiting") in line.seats("x"))
    other.release()

    upgraded = waiter.get()

    assert upgraded is lease and "exclusive" == lease.mode and token < lease.token
    assert [("a", "held")] == line.seats("x")
    assert lease.release()


def test_a_lone_reader_upgrades_at_once_before_those_in_line(store, line):
    lease = store.leases("a").acquire("x", "read")
    writer = line.waiting("b", "x", "write")

    lease.upgrade("write", wait_s=0)

    assert "write" == lease.mode and not writer.done.is_set()
    lease.release()
    assert "b" == writer.get().owner


def test_the_second_upgrader_is_refused_at_once_and_still_reads(store, line):
    one, two = (store.leases(agent).acquire("x", "read") for agent in "ab")
    waiter = Waiter(lambda: one.upgrade(wait_s=WAIT_S))
    line.until(lambda: ("a", "waiting") in line.seats("x"))

    with pytest.raises(LeaseHeldError) as caught:
        two.upgrade(wait_s=WAIT_S)

    assert "upgrades" in caught.value.hint
    assert two.renew().release()
    assert "exclusive" == waiter.get().mode


def test_an_upgrade_that_fails_leaves_the_read_lease(store):
    lease = store.leases("a").acquire("x", "read")
    store.leases("b").acquire("x", "read")

    for wait_s in (0, 0.05):
        with pytest.raises(LeaseHeldError):
            lease.upgrade(wait_s=wait_s)

    assert "read" == lease.mode
    assert lease.renew().release()


def test_a_lapsed_read_lease_cannot_be_upgraded(store, clock):
    lease = store.leases("a").acquire("x", "read", ttl_s=1)
    clock.advance(1)

    with pytest.raises(LeaseLostError):
        lease.upgrade(wait_s=0)


def test_upgrading_what_is_no_read_lease_changes_nothing(store):
    lease = store.leases().acquire("x", "write")
    token = lease.token

    assert ("write", token) == (lease.upgrade().mode, lease.token)


# --- inside a transaction ---


def test_a_transaction_that_fails_leaves_no_lease(store):
    def fail(tx):
        store.leases().within(tx).acquire("x")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.engine.write(fail)
    assert [] == store.leases().list()


def test_a_lease_taken_in_a_transaction_is_released_after_it(store, line):
    lease = store.engine.write(lambda tx: store.leases().within(tx).acquire("x"))

    assert [("a", "held")] == line.seats("x")
    assert lease.renew().release()


def test_a_lease_is_released_in_the_transaction_it_guards(store):
    lease = store.leases().acquire("x")

    def write(tx):
        Records(tx, store.context()).put("k/a", 1, fence=lease)
        return store.leases().within(tx).release(lease)

    assert store.engine.write(write)
    assert [] == store.leases().list()


def test_nothing_is_waited_for_in_a_transaction(store):
    store.leases("b").acquire("x")

    def wait(tx):
        with pytest.raises(InvalidArgumentError):
            store.leases().within(tx).acquire("x", wait_s=1)
        with pytest.raises(LeaseHeldError):
            store.leases().within(tx).acquire("x")

    store.engine.write(wait)


# --- against a model ---


class LeaseMachine(RuleBasedStateMachine):
    """Acquire, renew, release and time, against a dict of what is held until when."""

    names = st.sampled_from(["x", "y"])
    agents = st.sampled_from(["a", "b", "c"])

    def __init__(self):
        super().__init__()
        self.clock = ManualClock()
        self.store = Services("sqlite:///:memory:", self.clock)
        self.held = []
        self.newest = {}

    def live(self, name=None):
        now = self.clock.now_ms()
        return [x for x in self.held if x.expires_ms > now and name in (None, x.name)]

    @rule(name=names, agent=agents, mode=st.sampled_from(["read", "write", "exclusive"]),
          ttl_s=st.integers(1, 4))  # fmt: skip
    def acquire(self, name, agent, mode, ttl_s):
        others = self.live(name)
        free = not others or (mode == "read" and all(x.mode == "read" for x in others))
        lease = self.store.leases(agent).try_acquire(name, mode, ttl_s=ttl_s)
        assert free == (lease is not None)
        if lease is not None:
            assert lease.token > self.newest.get(name, 0)
            assert self.clock.now_ms() + 1000 * ttl_s == lease.expires_ms
            self.newest[name] = lease.token
            self.held.append(lease)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), how=st.sampled_from(["renew", "release"]))
    def use(self, data, how):
        lease = data.draw(st.sampled_from(self.held))
        alive = lease in self.live()
        try:
            getattr(lease, how)()
        except LeaseLostError:
            assert not alive
            self.held.remove(lease)
        else:
            assert alive
            if how == "release":
                self.held.remove(lease)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def upgrade(self, data):
        lease = data.draw(st.sampled_from(self.held))
        alive, alone = lease in self.live(), len(self.live(lease.name)) == 1
        if lease.mode != "read":
            return
        try:
            lease.upgrade(wait_s=0)
        except LeaseLostError:
            assert not alive
        except LeaseHeldError:
            assert alive and not alone
        else:
            assert alive and alone
            self.newest[lease.name] = lease.token

    @rule(ms=st.integers(1, 2500))
    def pass_time(self, ms):
        self.clock.advance((ms) / 1000)

    @invariant()
    def what_is_listed_is_what_is_held(self):
        seats = {(s.name, s.token, s.owner, s.mode) for s in self.store.leases().list()}
        assert {(x.name, x.token, x.owner, x.mode) for x in self.live()} == seats

    def teardown(self):
        self.store.engine.close()


TestLeaseMachine = LeaseMachine.TestCase
TestLeaseMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


class Slow(SystemClock):
    """A clock by which 20 ms pass between any two looks."""

    at_ms = 1_000_000

    def uptime_ms(self):
        Slow.at_ms += 20
        return Slow.at_ms


@pytest.mark.parametrize("ttl_s", [0.1, 0.3])
def test_a_lease_that_took_long_to_take_is_given_its_time_or_taken_in_a_transaction(
    tmp_path, ttl_s
):
    with Swarm.open(f"sqlite:///{tmp_path}/slow.db", clock=Slow()) as swarm:
        for _ in range(3):
            lease = swarm.leases.acquire("fresh", ttl_s=ttl_s)
            assert lease.token > 0
            Slow.at_ms += 10_000  # it lapses


def test_the_read_lease_that_was_upgraded_is_lost_also_when_nobody_is_there():
    leases = Swarm.open("sqlite:///:memory:").leases
    read = leases.acquire("x", "read")
    wish = leases._wish("x", "exclusive", 30, None)._replace(upgrades=read.holder)
    upgraded = leases._write_take(wish, queue=True)
    assert upgraded.release()

    with pytest.raises(LeaseLostError):
        read.release()
