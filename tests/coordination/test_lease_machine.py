"""A state machine drives leases and their lines, and compares every answer with a plain model.

The model knows each line as a list of seats. Waiters take their steps one at a time instead of in
threads, so that every interleaving of steps, time and death is a run that can be repeated: one
whose step never comes is a process that died.
"""

import copy
from functools import partial

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from swarm_memory.errors import DeadlockError, LeaseHeldError, LeaseLostError
from swarm_memory.lines import ALIVE_MS, GRACE_MS
from swarm_memory.seats import Lease
from swarm_memory.testing import Store

# Agent and session; two of them are one owner, as two processes of one agent are.
DOORS = [("a", None), ("b", "s1"), ("b", "s2"), ("c", "s1"), ("c", None)]
NAMES = st.sampled_from(["x", "y", "z"])
MODES = st.sampled_from(["read", "read", "write", "exclusive"])
TTLS = st.sampled_from([0.1, 1, 3, 60])
NUMBERS = st.integers(0, 1000)


class Refused(Exception):
    """The model says that the call fails with `kind`; it has changed nothing."""

    def __init__(self, kind):
        super().__init__(kind)
        self.kind = kind


class Seat:
    def __init__(self, holder, state, mode, owner, session, expires, upgrades=None):
        self.holder, self.state, self.mode, self.owner = holder, state, mode, owner
        self.session, self.expires, self.upgrades = session, expires, upgrades
        self.token = None


class Model:
    """The lines of all names, each a list in the order of service."""

    def __init__(self):
        self.lines = {}

    def line(self, name):
        return self.lines.setdefault(name, [])

    def seat(self, name, holder):
        return next((seat for seat in self.line(name) if seat.holder == holder), None)

    def settle(self, name, now):
        """Drop what has lapsed and let in from the head of the line."""
        line = self.lines[name] = [seat for seat in self.line(name) if seat.expires > now]
        for seat in line:
            if seat.state != "waiting":
                continue
            inside = [s for s in line if s.state != "waiting" and s.holder != seat.upgrades]
            if not compatible(seat.mode, inside):
                break
            seat.state, seat.expires = "granted", now + GRACE_MS
        return line

    def take(self, wish, owner, session, now, stays):
        """Move one step on and return the seat if it is held then."""
        line = self.settle(wish.name, now)
        own = self.seat(wish.name, wish.holder)
        if own is not None and own.state == "granted":
            self.replace_read(wish)
            own.state, own.upgrades, own.expires = "held", None, now + wish.ttl_ms
            return own
        if own is not None:
            if stays:
                own.expires = now + ALIVE_MS
            else:
                self.leave(wish, now)
            return None
        if wish.upgrades is not None:
            if any(seat.upgrades is not None for seat in line):
                raise Refused(LeaseHeldError)
            read = self.seat(wish.name, wish.upgrades)
            if read is None or read.state != "held":
                raise Refused(LeaseLostError)
        others = [seat for seat in line if seat.holder != wish.upgrades]
        inside = [seat for seat in others if seat.state != "waiting"]
        nobody_waits = wish.upgrades is not None or inside == others
        if nobody_waits and compatible(wish.mode, inside):
            self.replace_read(wish)
            seat = Seat(wish.holder, "held", wish.mode, owner, session, now + wish.ttl_ms)
            self.line(wish.name).append(seat)
            return seat
        if stays:
            seat = Seat(
                wish.holder, "waiting", wish.mode, owner, session, now + ALIVE_MS, wish.upgrades
            )
            line.insert(len(line) if wish.upgrades is None else 0, seat)
            if self.closes_a_ring(owner, now):
                raise Refused(DeadlockError)
        return None

    def replace_read(self, wish):
        if wish.upgrades is None:
            return
        read = self.seat(wish.name, wish.upgrades)
        if read is None:
            raise Refused(LeaseLostError)
        self.line(wish.name).remove(read)

    def leave(self, wish, now):
        own = self.seat(wish.name, wish.holder)
        if own is not None:
            self.line(wish.name).remove(own)
            self.settle(wish.name, now)

    def waits_for(self, now):
        """Return pairs of owners of which the first waits for the second."""
        pairs = set()
        for line in self.lines.values():
            alive = [seat for seat in line if seat.expires > now]
            for index, waiter in enumerate(alive):
                if waiter.state != "waiting":
                    continue
                before = [s for s in alive if s.state != "waiting"]
                before += [s for s in alive[:index] if s.state == "waiting"]
                for seat in before:
                    if seat.holder != waiter.upgrades and not compatible(waiter.mode, [seat]):
                        pairs.add((waiter.owner, seat.owner))
        return {(one, other) for one, other in pairs if one != other}

    def closes_a_ring(self, owner, now):
        pairs = self.waits_for(now)
        reached, edge = set(), {owner}
        while edge:
            edge = {other for one, other in pairs if one in edge} - reached
            reached |= edge
        return owner in reached


def compatible(mode, others):
    return not others or (mode == "read" and all(seat.mode == "read" for seat in others))


class LeaseMachine(RuleBasedStateMachine):
    @initialize()
    def start(self):
        self.store = Store("sqlite:///:memory:")
        first = self.store.open()
        self.doors = [first.as_agent(agent, session=session) for agent, session in DOORS]
        self.model = Model()
        self.newest = {}
        self.held = []  # (door, lease); the lapsed and the released stay in it
        self.waiters = []  # (door, wish, the read lease that is to be upgraded)
        self.values = {}

    def teardown(self):
        self.store.close()

    @property
    def now(self):
        return self.store.clock.now_ms()

    def owner(self, door):
        context = door.context
        return f"{context.agent}/{context.session}" if context.session else context.agent

    def modelled(self, fn):
        """Run `fn` on the model; if it refuses, undo what it did and return the error's class."""
        before = copy.deepcopy(self.model.lines)
        try:
            return fn()
        except Refused as refused:
            self.model.lines = before
            return refused.kind

    def is_live(self, lease):
        seat = self.model.seat(lease.name, lease.holder)
        return seat is not None and seat.state == "held" and seat.expires > self.now

    def take(self, door, wish, stays):
        session = door.context.session
        return self.modelled(
            lambda: self.model.take(wish, self.owner(door), session, self.now, stays)
        )

    def note(self, expected, lease):
        """Check a lease that was given against the seat that the model expects."""
        assert (expected.mode, expected.expires) == (lease.mode, lease.expires_ms)
        assert expected.holder == lease.holder
        assert expected.owner == lease.owner
        self.learn_tokens(lease.name)
        assert expected.token == lease.token

    def learn_tokens(self, name=None):
        """Check that new tokens are higher than all before, and rise in the order of service."""
        for found in self.doors[0].leases.list(name):
            seat = self.model.seat(found.name, found.holder)
            if seat.token is None and found.token is not None:
                assert found.token > self.newest.get(found.name, 0)
                self.newest[found.name] = seat.token = found.token
            assert seat.token == found.token
            assert (found.token is None) == (found.state == "waiting")

    # --- holding ---

    @rule(number=st.integers(0, len(DOORS) - 1), name=NAMES, mode=MODES, ttl_s=TTLS)
    def try_acquire(self, number, name, mode, ttl_s):
        door = self.doors[number]
        lease = door.leases.try_acquire(name, mode, ttl_s=ttl_s)
        holder = lease.holder if lease else "nobody"
        wish = door.leases._wish(name, mode, ttl_s, None)._replace(holder=holder)

        expected = self.take(door, wish, stays=False)
        assert (expected is None) == (lease is None)
        if lease is not None:
            self.note(expected, lease)
            self.held.append((door, lease))

    @precondition(lambda self: self.held)
    @rule(number=NUMBERS, ttl_s=st.sampled_from([None, 0.1, 2]))
    def renew(self, number, ttl_s):
        _, lease = self.held[number % len(self.held)]
        if not self.is_live(lease):
            with pytest.raises(LeaseLostError):
                lease.renew(ttl_s)
            return
        token = lease.token
        lease.renew(ttl_s)
        assert self.now + round(1000 * (ttl_s or lease.ttl_s)) == lease.expires_ms
        assert token == lease.token
        self.model.seat(lease.name, lease.holder).expires = lease.expires_ms

    @precondition(lambda self: self.held)
    @rule(number=NUMBERS)
    def release(self, number):
        _, lease = self.held[number % len(self.held)]
        live, again = self.is_live(lease), lease._released
        if again:
            assert not lease.release()
        elif live:
            assert lease.release()
        else:
            with pytest.raises(LeaseLostError):
                lease.release()
        if not again and self.model.seat(lease.name, lease.holder) is not None:
            self.model.line(lease.name).remove(self.model.seat(lease.name, lease.holder))
            self.model.settle(lease.name, self.now)

    @precondition(lambda self: self.held)
    @rule(number=NUMBERS, value=st.integers(0, 9))
    def put_fenced(self, number, value):
        door, lease = self.held[number % len(self.held)]
        key = f"guarded/{lease.name}"
        if self.is_live(lease):
            door.records.put(key, value, fence=lease)
            self.values[key] = value
        else:
            with pytest.raises(LeaseLostError):
                door.records.put(key, value, fence=lease)

    @precondition(lambda self: self.held)
    @rule(number=NUMBERS, mode=st.sampled_from(["write", "exclusive"]))
    def upgrade(self, number, mode):
        door, lease = self.held[number % len(self.held)]
        if lease.mode != "read":
            before = lease.to_dict()
            lease.upgrade(mode, wait_s=0)
            assert before == lease.to_dict()
            return
        before = lease.to_dict()
        wish = door.leases._wish(lease.name, mode, lease.ttl_s, None)
        wish = wish._replace(upgrades=lease.holder, holder="upgraded")
        expected = self.take(door, wish, stays=False)
        if not isinstance(expected, Seat):
            with pytest.raises(expected or LeaseHeldError):
                lease.upgrade(mode, wait_s=0)
            assert before == lease.to_dict()
            return
        lease.upgrade(mode, wait_s=0)
        expected.holder = lease.holder
        self.note(expected, lease)

    # --- waiting in line ---

    @rule(number=st.integers(0, len(DOORS) - 1), name=NAMES, mode=MODES, ttl_s=TTLS)
    def come_to_the_line(self, number, name, mode, ttl_s):
        door = self.doors[number]
        wish = door.leases._wish(name, mode, ttl_s, None)
        self.stand(door, wish, None)

    @precondition(lambda self: any(lease.mode == "read" for _, lease in self.held))
    @rule(number=NUMBERS)
    def wait_for_an_upgrade(self, number):
        reads = [(door, lease) for door, lease in self.held if lease.mode == "read"]
        door, lease = reads[number % len(reads)]
        wish = door.leases._wish(lease.name, "exclusive", lease.ttl_s, None)
        self.stand(door, wish._replace(upgrades=lease.holder), lease)

    def stand(self, door, wish, kept):
        expected = self.take(door, wish, stays=True)
        if isinstance(expected, type):
            with pytest.raises(expected) as caught:
                door.leases._write_take(wish, queue=True)
            if expected is DeadlockError:
                assert self.owner(door) == caught.value.cycle[0]
                assert len(caught.value.cycle) == len(set(caught.value.cycle)) > 1
            return
        self.arrive(door, wish, kept, expected, door.leases._write_take(wish, queue=True))

    def arrive(self, door, wish, kept, expected, taken):
        assert (expected is not None) == isinstance(taken, Lease)
        if expected is None:
            self.waiters.append((door, wish, kept))
            return
        self.note(expected, taken)
        self.held.append((door, taken))

    @precondition(lambda self: self.waiters)
    @rule(number=NUMBERS)
    def take_a_step(self, number):
        door, wish, kept = self.waiters.pop(number % len(self.waiters))
        step = partial(door.leases._step, wish=wish, stays=True, kept=[kept] if kept else [])

        def walk():
            if kept is not None:
                if not self.is_live(kept):
                    raise Refused(LeaseLostError)
                seat = self.model.seat(kept.name, kept.holder)
                seat.expires = self.now + round(1000 * kept.ttl_s)
            return self.model.take(
                wish, self.owner(door), door.context.session, self.now, stays=True
            )

        expected = self.modelled(walk)
        if isinstance(expected, type):
            with pytest.raises(expected):
                door.leases._write(step)
            # What an acquire does on its way out.
            door.leases._write(lambda tx: door.leases._lines.leave(tx, wish))
            self.model.leave(wish, self.now)
            return
        self.arrive(door, wish, kept, expected, door.leases._write(step))

    @precondition(lambda self: self.waiters)
    @rule(number=NUMBERS)
    def give_up(self, number):
        door, wish, _ = self.waiters.pop(number % len(self.waiters))
        door.leases._write(lambda tx: door.leases._lines.leave(tx, wish))
        self.model.leave(wish, self.now)

    # --- the world ---

    @rule(seconds=st.sampled_from([0.05, 0.1, 1, 2, 3, 6]))
    def pass_time(self, seconds):
        self.store.clock.advance(seconds)

    @rule(session=st.sampled_from(["s1", "s2", "s3"]))
    def end_session(self, session):
        names = sorted(
            name
            for name, line in self.model.lines.items()
            if any(seat.session == session for seat in line)
        )
        ended = sum(seat.session == session for name in names for seat in self.model.line(name))
        assert ended == self.doors[0].leases.end_session(session)
        for name in names:
            for seat in self.model.line(name):
                seat.expires = 0 if seat.session == session else seat.expires
            self.model.settle(name, self.now)

    @rule()
    def prune(self):
        self.doors[0].leases.prune()

    # --- what always holds ---

    @invariant()
    def the_list_is_what_the_model_says(self):
        if not hasattr(self, "model"):
            return
        seats = self.doors[0].leases.list()
        found = [(s.name, s.holder, s.state, s.mode, s.owner, s.expires_ms) for s in seats]
        expected = [
            (name, s.holder, s.state, s.mode, s.owner, s.expires)
            for name in sorted(self.model.lines)
            for s in self.model.line(name)
            if s.expires > self.now
        ]
        assert expected == found
        self.learn_tokens()

    @invariant()
    def no_two_incompatible_ones_are_inside(self):
        if not hasattr(self, "model"):
            return
        inside = {}
        for seat in self.doors[0].leases.list():
            if seat.state == "held":
                inside.setdefault(seat.name, []).append(seat.mode)
        for modes in inside.values():
            assert len(modes) == 1 or {"read"} == set(modes)

    @invariant()
    def only_live_tokens_wrote(self):
        for key, value in getattr(self, "values", {}).items():
            assert value == self.doors[0].records.get(key).value


LeaseMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLeases = LeaseMachine.TestCase
