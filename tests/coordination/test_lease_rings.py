"""Rings of waiters: every real one is found when it would close, and none is invented.

Who waits is a flow of control and not an agent's name: while one thread waits, another of the
same name may release.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial

import pytest
from waiters import WAIT_S, Waiter

from swarm_memory.aio import AsyncSwarm
from swarm_memory.errors import DeadlockError, LeaseHeldError
from swarm_memory.lines import party
from swarm_memory.seats import Lease, Place, find_cycle

# --- what is a ring ---


@pytest.mark.parametrize("parties", [2, 5])
def test_who_closes_a_ring_is_refused_and_the_others_go_on(store, parties, line):
    names = [f"agent-{n}" for n in range(parties)]
    threads = [line.thread(name) for name in names]
    held = [thread.acquire(f"x{n}") for n, thread in enumerate(threads)]
    waiters = [thread.waiting(f"x{n + 1}") for n, thread in enumerate(threads[:-1])]

    refused = threads[-1].waiting("x0").get()

    assert isinstance(refused, DeadlockError)
    assert [names[-1], *names[:-1]] == refused.cycle
    held.pop().release()
    while waiters:
        waiters.pop().get().release()
        held.pop().release()


def test_a_queue_is_no_ring(store, line):
    first = line.thread("a").acquire("x")
    other = line.thread("b")
    other.acquire("y")
    waiter = other.waiting("x")
    late = line.waiting("c", "x")

    assert not waiter.done.is_set() and not late.done.is_set()
    first.release()
    waiter.get().release()
    assert "c" == late.get().owner


def test_a_ring_of_one_who_upgrades_is_found(store, line):
    one, other = line.thread("a"), line.thread("b")
    one.acquire("y")
    read = one.acquire("x", "read")
    other.acquire("x", "read")
    waiter = other.waiting("y")

    refused = one.doing("x", lambda: read.upgrade(wait_s=WAIT_S)).get()

    assert isinstance(refused, DeadlockError)
    assert ["a", "b"] == refused.cycle
    assert not waiter.done.is_set()
    assert "read" == read.mode and read.release()


def test_a_ring_of_one_who_holds_nothing_and_upgrades_for_another_is_found(store, line):
    """An upgrade stands at the head of the line, so those in it wait for it at once."""
    one, other = line.thread("a"), line.thread("b")
    read, _ = one.acquire("x", "read"), one.acquire("x", "read")
    waiter = one.waiting("x", "write")

    refused = other.doing("x", lambda: read.upgrade(wait_s=WAIT_S)).get()

    assert isinstance(refused, DeadlockError)
    assert not waiter.done.is_set()


def test_a_ring_through_names_taken_together_is_found(store, line):
    one, other = line.thread("a"), line.thread("b")
    one.acquire("z")
    other.acquire("y")

    def hold():
        with one.leases.hold_all(["x", "y"], wait_s=WAIT_S) as leases:
            return [lease.name for lease in leases]

    waiter = one.doing("y", hold)
    refused = other.waiting("z").get()

    assert isinstance(refused, DeadlockError)
    assert ["b", "a"] == refused.cycle
    assert not waiter.done.is_set()


def place(owner, state, mode="exclusive", *, party=None, holder=None):
    party = party or owner
    return Place(holder or party, state, mode, 0, None, owner, party, None, 0, None, None)


def test_the_shortest_ring_is_found():
    lines = [
        [place("a", "held"), place("b", "waiting")],
        [place("b", "held"), place("c", "waiting"), place("a", "waiting")],
        [place("c", "held", "read"), place("a", "held", "read")],
    ]
    assert ["a", "b"] == find_cycle(place("a", "waiting"), lines)
    assert [] == find_cycle(place("c", "waiting"), lines[:1])


def test_readers_in_line_do_not_wait_for_each_other():
    lines = [
        [place("w", "held", "write"), place("a", "waiting", "read"), place("b", "waiting", "read")],
        [place("b", "held"), place("a", "waiting")],
    ]
    assert [] == find_cycle(place("a", "waiting"), lines)


def test_a_ring_is_told_by_its_owners():
    one, two, three = (
        place(owner, "waiting", party=n) for n, owner in ((1, "a"), (2, "b"), (3, "b"))
    )
    lines = [
        [place("a", "held", party=1), two],
        [place("b", "held", party=2), three],
        [place("b", "held", party=3), one],
    ]
    assert ["a", "b", "b"] == find_cycle(one, lines)
    assert ["b", "b", "a"] == find_cycle(three, lines)
    assert [] == find_cycle(two, lines[1:])


def test_a_wait_that_was_given_up_is_no_part_of_its_flows_next_one():
    stale = place("b", "waiting", party=2, holder="stale")
    again = place("b", "waiting", party=2, holder="again")
    first, second = place("c", "waiting"), place("d", "waiting")

    assert [] == find_cycle(again, [[place("a", "held"), stale, first, again]])
    assert [] == find_cycle(again, [[place("b", "held", party=2), stale, again]])
    assert [] == find_cycle(
        again,
        [
            [place("a", "held"), stale],
            [place("b", "held", party=2), place("a", "waiting")],
            [second, again],
        ],
    )
    assert ["b", "c"] == find_cycle(
        again,
        [
            [place("a", "held"), first, stale, again],
            [place("b", "held", party=2), place("c", "waiting")],
        ],
    ), "whom both wait for is before it in line"


# --- several threads of one name ---


@pytest.mark.parametrize("last", ["other", "waits"])
def test_a_name_that_waits_in_one_thread_and_holds_in_another_is_no_ring(store, line, last):
    other, holds, waits = line.thread("a"), line.thread("b"), line.thread("b")
    theirs, ours = other.acquire("x"), holds.acquire("y")
    wanted = {"other": (other, "y"), "waits": (waits, "x")}
    waiters = {
        which: wanted[which][0].waiting(wanted[which][1])
        for which in sorted(wanted, key=lambda which: which == last)
    }

    assert ["waiting", "waiting"] == [line.seats(name)[-1][1] for name in "xy"]
    assert ours.release()
    assert waiters["other"].get().release()
    assert theirs.release()
    assert waiters["waits"].get().release()


def test_a_ring_of_two_threads_of_one_name_is_found(store, line):
    one, other = line.thread("a"), line.thread("a")
    held, theirs = one.acquire("x"), other.acquire("y")
    waiter = one.waiting("y")

    refused = other.waiting("x").get()

    assert isinstance(refused, DeadlockError)
    assert ["a", "a"] == refused.cycle
    assert theirs.release()
    assert waiter.get().release()
    assert held.release()


def test_a_ring_through_one_thread_of_two_names_is_found(store, line):
    one, other = line.thread("a"), line.thread("b")
    one.acquire("x")
    other.acquire("y")
    one.agent, one.leases = "c", store.leases("c")
    waiter = one.waiting("y")

    refused = other.waiting("x").get()

    assert isinstance(refused, DeadlockError)
    assert ["b", "c"] == refused.cycle, "it waits in this name"
    assert not waiter.done.is_set()


def test_a_thread_that_waits_for_itself_waits_until_its_time_is_over(store, line):
    thread = line.thread("a")
    held = thread.acquire("x")

    assert isinstance(thread.waiting("x", wait_s=0.05).get(), LeaseHeldError)
    waiter = thread.waiting("x")
    held.release()
    assert isinstance(waiter.get(), Lease), "another thread has released it"


def test_a_thread_is_one_party_and_another_is_another_also_in_a_copied_context():
    mine, context = party(), copy_context()

    copied = Waiter(lambda: context.run(lambda: [party(), party()])).get()
    bare = Waiter(lambda: [party(), party()]).get()

    assert mine == party() == copy_context().run(party)
    assert copied[0] == copied[1] and bare[0] == bare[1]
    assert 3 == len({mine, copied[0], bare[0]})


def test_a_forked_child_is_another_party():
    mine = party()
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writes, party().encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writes)

    with open(reads) as child:
        assert child.read() not in ("", mine)
    assert mine == party()


# --- tasks that share a swarm ---


@pytest.fixture
def run(tmp_path):
    """Run a coroutine function over a swarm, within a time."""

    def run(fn):
        async def main():
            async with await AsyncSwarm.open(
                f"sqlite:///{tmp_path}/aio.db", agent="a", swarm="s"
            ) as swarm:
                return await asyncio.wait_for(fn(swarm), 2 * WAIT_S)

        return asyncio.run(main())

    return run


class Flow:
    """A task that takes leases and waits for others, one step after the other."""

    def __init__(self, swarm):
        self.leases, self.steps = swarm.leases, asyncio.Queue()
        self.task = asyncio.create_task(self._run())

    async def _run(self):
        while True:
            name, result = await self.steps.get()
            try:
                result.set_result(await self.leases.acquire(name, wait_s=WAIT_S))
            except DeadlockError as error:
                result.set_exception(error)

    def acquire(self, name):
        result = asyncio.get_running_loop().create_future()
        self.steps.put_nowait((name, result))
        return result

    async def waiting(self, name):
        result = self.acquire(name)
        while not result.done() and len(await self.leases.list(name)) < 2:
            await asyncio.sleep(0)
        return result


class Outside(Flow):
    """The same in a thread that no task works in."""

    def __init__(self, swarm):
        self.leases, self.pool = swarm.leases, ThreadPoolExecutor(1)

    def acquire(self, name):
        call = partial(self.leases.twin.acquire, name, wait_s=WAIT_S)
        return asyncio.get_running_loop().run_in_executor(self.pool, call)


def test_a_ring_of_two_tasks_is_found(run):
    async def ring(swarm):
        one, other = Flow(swarm), Flow(swarm)
        held, theirs = await one.acquire("x"), await other.acquire("y")
        waiter = await one.waiting("y")
        with pytest.raises(DeadlockError) as caught:
            await other.acquire("x")
        theirs.release()
        (await waiter).release()
        held.release()
        return caught.value.cycle

    assert ["a", "a"] == run(ring)


@pytest.mark.parametrize("last", ["other", "waits"])
def test_tasks_are_parties_of_their_own_also_if_one_task_started_them(run, last):
    async def no_ring(swarm):
        # This task has a party, and those that it starts inherit its context.
        await swarm.leases.acquire("mine")
        swarm.twin.leases.acquire("mine too")
        other, holds, waits = Outside(swarm), Flow(swarm), Flow(swarm)
        theirs, ours = await other.acquire("x"), await holds.acquire("y")
        wanted = {"other": (other, "y"), "waits": (waits, "x")}
        waiters = {}
        for which in sorted(wanted, key=lambda which: which == last):
            waiters[which] = await wanted[which][0].waiting(wanted[which][1])
        states = [[s.state for s in await swarm.leases.list(name)] for name in "xy"]
        ours.release()
        (await waiters["other"]).release()
        theirs.release()
        (await waiters["waits"]).release()
        other.pool.shutdown()
        return states

    assert [["held", "waiting"]] * 2 == run(no_ring)
