"""A state machine drives leases and their lines, and compares every answer with a plain model.

The model knows each line as a list of seats; all patterns of paths are one line, and two of them
are in each other's way if one of a few paths, tried one by one, matches both. Waiters take their
steps one at a time instead of in threads, so that every interleaving of steps, time and death is a
run that can be repeated: one whose step never comes is a process that died.
"""

import copy
import fnmatch
from contextvars import copy_context
from functools import partial
from itertools import combinations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from swarm_memory.errors import DeadlockError, LeaseHeldError, LeaseLostError
from swarm_memory.lines import ALIVE_MS, GRACE_MS, in_flow, new_flow
from swarm_memory.seats import Lease, names_of
from swarm_memory.testing import Store

# Agent and session. Any flow of control may act for any of them, and several for one.
DOORS = [("a", None), ("b", "s1"), ("b", "s2"), ("c", "s1"), ("c", None)]
NUMBER = st.integers(0, len(DOORS) - 1)
FLOW = st.integers(0, 3)
PATTERNS = st.sampled_from(
    ["file:a/x", "file:a/y", "file:a/*", "file:*/x", "file:**", "file:b", "file:a/[!x]"]
)
NAMES = st.sampled_from(["x", "y"]) | PATTERNS
PATHS = [("a", "x"), ("a", "y"), ("a", "z"), ("b", "x"), ("b",), ("c", "c", "c")]
MODES = st.sampled_from(["read", "read", "write", "exclusive"])
TTLS = st.sampled_from([0.1, 1, 3, 60])
NUMBERS = st.integers(0, 1000)


class Refused(Exception):
    """The model says that the call fails with `kind`; it has changed nothing."""

    def __init__(self, kind):
        super().__init__(kind)
        self.kind = kind


class Seat:
    def __init__(self, names, holder, state, mode, owner, session, party, expires):
        self.names, self.holder, self.state, self.mode = names, holder, state, mode
        self.owner, self.session, self.party, self.expires = owner, session, party, expires
        self.upgrades = self.token = None


class Model:
    """The lines, each a list of seats in the order of service."""

    def __init__(self):
        self.lines = {}
        self.waits = set()

    def line(self, name):
        return self.lines.setdefault(line_of(name), [])

    def seat(self, name, holder):
        return next((seat for seat in self.line(name) if seat.holder == holder), None)

    def settle(self, name, now):
        """Drop what has lapsed and let in who has nobody before it that is in its way."""
        line = self.lines[line_of(name)] = [s for s in self.line(name) if s.expires > now]
        for seat in line:
            if seat.state == "waiting" and not self.before(line, seat):
                seat.state, seat.expires = "granted", now + GRACE_MS
        return line

    def before(self, line, seat):
        """Return whom a seat has to wait for: those inside, and those who came before it."""
        at = line.index(seat)
        return [
            other
            for index, other in enumerate(line)
            if (other.state != "waiting" or index < at)
            and other is not seat
            and other.holder != seat.upgrades
            and conflict(seat, other)
        ]

    def take(self, wish, owner, session, now, stays):
        """Move one step on and return the seats that are held then."""
        line = self.settle(wish.line, now)
        own = self.seat(wish.line, wish.holder)
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
        names = names_of(wish.name, wish.pattern)
        who = (owner, session, wish.party)
        seat = Seat(names, wish.holder, "waiting", wish.mode, *who, now + ALIVE_MS)
        seat.upgrades = wish.upgrades
        if wish.upgrades is not None:
            if any(other.upgrades is not None and conflict(seat, other) for other in line):
                raise Refused(LeaseHeldError)
            read = self.seat(wish.line, wish.upgrades)
            if read is None or read.state != "held":
                raise Refused(LeaseLostError)
        line.insert(len(line) if wish.upgrades is None else 0, seat)
        if not self.before(line, seat):
            line.remove(seat)
            self.replace_read(wish)
            seat.state, seat.upgrades, seat.expires = "held", None, now + wish.ttl_ms
            self.line(wish.line).append(seat)
            return seat
        if not stays:
            line.remove(seat)
        elif self.closes_a_ring(seat, now):
            raise Refused(DeadlockError)
        return None

    def replace_read(self, wish):
        if wish.upgrades is None:
            return
        read = self.seat(wish.line, wish.upgrades)
        if read is None:
            raise Refused(LeaseLostError)
        self.line(wish.line).remove(read)

    def leave(self, wish, now):
        own = self.seat(wish.line, wish.holder)
        if own is not None:
            self.line(wish.line).remove(own)
            self.settle(wish.line, now)

    def waits_for(self, newest, now):
        """Return which party waits, in whose name, and for which other one."""
        waits = set()
        for line in self.lines.values():
            alive = [s for s in line if s.expires > now and not given_up(s, newest)]
            for waiter in (seat for seat in alive if seat.state == "waiting"):
                for other in self.before(alive, waiter):
                    waits.add((waiter.party, waiter.owner, other.party))
        return {(party, owner, other) for party, owner, other in waits if party != other}

    def closes_a_ring(self, newest, now):
        self.waits = self.waits_for(newest, now)
        party = newest.party
        reached, edge = set(), {party}
        while edge:
            edge = {other for one, _, other in self.waits if one in edge} - reached
            reached |= edge
        return party in reached

    def is_ring(self, party, cycle):
        """Tell whether these owners, each waiting for the next, lead from a party to itself."""
        reached = {party}
        for name in cycle:
            reached = {other for one, own, other in self.waits if one in reached and own == name}
        return party in reached


def given_up(seat, newest):
    """Tell whether the party of the newest waiter was waiting here before."""
    return seat.party == newest.party and seat is not newest and seat.state == "waiting"


def line_of(name):
    return "file:" if name.startswith("file:") else name


def conflict(one, other):
    if one.mode == other.mode == "read":
        return False
    return any(overlap(mine, theirs) for mine in one.names for theirs in other.names)


def overlap(one, other):
    """Tell by trying all paths whether two names are in each other's way."""
    if line_of(one) != "file:":
        return one == other
    return any(matches(one[5:], path) and matches(other[5:], path) for path in PATHS)


def matches(pattern, path):
    segments = pattern.split("/")
    return pattern == "**" or (
        len(segments) == len(path) and all(map(fnmatch.fnmatchcase, path, segments))
    )


class LeaseMachine(RuleBasedStateMachine):
    @initialize()
    def start(self):
        self.store = Store("sqlite:///:memory:")
        first = self.store.open()
        self.doors = [first.as_agent(agent, session=session) for agent, session in DOORS]
        self.flows = [new_flow() for _ in range(4)]
        self.model = Model()
        self.newest = {}
        self.held = []  # (door, lease); the lapsed and the released stay in it
        self.waiters = []  # (door, wish, the read lease that is to be upgraded)
        self.together = {}  # holder: its part of several patterns that were taken at once
        self.values = {}

    def teardown(self):
        self.store.close()

    @property
    def now(self):
        return self.store.clock.now_ms()

    def owner(self, door):
        context = door.context
        return f"{context.agent}/{context.session}" if context.session else context.agent

    def within(self, flow, fn):
        """Return what `fn` does in one of several flows of control."""
        return copy_context().run(in_flow, self.flows[flow], fn)

    def wish(self, flow, door, *arguments):
        return self.within(flow, lambda: door.leases._wish(*arguments))

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
        self.learn_tokens()
        assert expected.token == lease.token

    def learn_tokens(self):
        """Check that new tokens are higher than all before, and rise in the order of service."""
        for found in self.doors[0].leases.list():
            seat = self.model.seat(found.name, found.holder)
            if seat.token is None and found.token is not None:
                assert found.token > self.newest.get(line_of(found.name), 0)
                self.newest[line_of(found.name)] = seat.token = found.token
            assert seat.token == found.token
            assert (found.token is None) == (found.state == "waiting")

    # --- holding ---

    @rule(number=NUMBER, flow=FLOW, name=NAMES, mode=MODES, ttl_s=TTLS)
    def try_acquire(self, number, flow, name, mode, ttl_s):
        door = self.doors[number]
        lease = self.within(flow, lambda: door.leases.try_acquire(name, mode, ttl_s=ttl_s))
        holder = lease.holder if lease else "nobody"
        wish = self.wish(flow, door, name, mode, ttl_s, None)._replace(holder=holder)

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
        key = f"guarded/{lease.name.encode().hex()}"
        if self.is_live(lease):
            door.records.put(key, value, fence=lease)
            self.values[key] = value
        else:
            with pytest.raises(LeaseLostError):
                door.records.put(key, value, fence=lease)

    @precondition(lambda self: self.held)
    @rule(number=NUMBERS, flow=FLOW, mode=st.sampled_from(["write", "exclusive"]))
    def upgrade(self, number, flow, mode):
        door, lease = self.held[number % len(self.held)]
        if lease.mode != "read":
            before = lease.to_dict()
            lease.upgrade(mode, wait_s=0)
            assert before == lease.to_dict()
            return
        before = lease.to_dict()
        wish = self.wish(flow, door, lease.name, mode, lease.ttl_s, None)
        wish = wish._replace(upgrades=lease.holder, holder="upgraded")
        expected = self.take(door, wish, stays=False)
        if not isinstance(expected, Seat):
            with pytest.raises(expected or LeaseHeldError):
                lease.upgrade(mode, wait_s=0)
            assert before == lease.to_dict()
            return
        self.within(flow, lambda: lease.upgrade(mode, wait_s=0))
        expected.holder = lease.holder
        self.note(expected, lease)

    # --- waiting in line ---

    @rule(number=NUMBER, flow=FLOW, name=NAMES, mode=MODES, ttl_s=TTLS)
    def come_to_the_line(self, number, flow, name, mode, ttl_s):
        door = self.doors[number]
        self.stand(door, self.wish(flow, door, name, mode, ttl_s, None), None)

    @rule(number=NUMBER, flow=FLOW, names=st.sets(PATTERNS, min_size=2, max_size=3),
          mode=MODES, ttl_s=TTLS)  # fmt: skip
    def come_for_several(self, number, flow, names, mode, ttl_s):
        door = self.doors[number]
        (wish,) = self.within(flow, lambda: door.leases._wishes(names, mode, ttl_s, None))
        self.stand(door, wish, None)

    @precondition(lambda self: any(lease.mode == "read" for _, lease in self.held))
    @rule(number=NUMBERS, flow=FLOW)
    def wait_for_an_upgrade(self, number, flow):
        reads = [(door, lease) for door, lease in self.held if lease.mode == "read"]
        door, lease = reads[number % len(reads)]
        wish = self.wish(flow, door, lease.name, "exclusive", lease.ttl_s, None)
        self.stand(door, wish._replace(upgrades=lease.holder), lease)

    def stand(self, door, wish, kept):
        expected = self.take(door, wish, stays=True)
        if isinstance(expected, type):
            with pytest.raises(expected) as caught:
                door.leases._write_take(wish, queue=True)
            if expected is DeadlockError:
                assert self.owner(door) == caught.value.cycle[0]
                assert self.model.is_ring(wish.party, caught.value.cycle)
            return
        self.arrive(door, wish, kept, expected, door.leases._write_take(wish, queue=True))

    def arrive(self, door, wish, kept, expected, taken):
        assert (expected is not None) == isinstance(taken, Lease)
        if expected is None:
            self.waiters.append((door, wish, kept))
            return
        self.note(expected, taken)
        self.held += [(door, lease) for lease in self.split(door, wish, expected, taken)]

    def split(self, door, wish, seat, taken):
        """Do what hold_all does next: a lease of its own for each of several patterns."""
        if len(seat.names) == 1:
            return [taken]
        leases = door.leases._write(partial(door.leases._lines.split, wish=wish, lease=taken))
        assert seat.names == [lease.name for lease in leases]
        seat.names, others = seat.names[:1], seat.names[1:]
        for name, lease in zip(others, leases[1:], strict=True):
            more = [seat.mode, seat.owner, seat.session, seat.party, self.now + wish.ttl_ms]
            self.model.line(name).append(Seat([name], lease.holder, "held", *more))
        self.learn_tokens()
        self.together |= {lease.holder: taken.holder for lease in leases}
        return leases

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
            for line in sorted(self.model.lines)
            for s in self.model.lines[line]
            if s.expires > self.now
            for name in s.names
        ]
        assert expected == found
        self.learn_tokens()

    @invariant()
    def each_seat_is_kept_with_its_party(self):
        if not hasattr(self, "model"):
            return
        leases = self.doors[0].leases
        for name, line in self.model.lines.items():
            places = leases._db.read(partial(leases._lines._places, line=name))
            parties = {place.holder: place.party for place in places}
            assert all(parties[s.holder] == s.party for s in line if s.expires > self.now)

    @invariant()
    def no_two_incompatible_ones_are_inside(self):
        if not hasattr(self, "model"):
            return
        inside = [seat for seat in self.doors[0].leases.list() if seat.state == "held"]
        for one, other in combinations(inside, 2):
            parts = [self.together.get(seat.holder, seat.holder) for seat in (one, other)]
            if not one.mode == other.mode == "read" and parts[0] != parts[1]:
                assert not overlap(one.name, other.name)

    @invariant()
    def only_live_tokens_wrote(self):
        for key, value in getattr(self, "values", {}).items():
            assert value == self.doors[0].records.get(key).value


LeaseMachine.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLeases = LeaseMachine.TestCase
