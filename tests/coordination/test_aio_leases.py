"""Leases that are awaited: what a cancelled wait leaves, and the `async with`."""

import asyncio

import pytest

from swarm_memory.aio import AsyncSwarm
from swarm_memory.errors import LeaseHeldError


def run(tmp_path, program):
    async def main():
        async with await AsyncSwarm.open(f"sqlite:///{tmp_path}/memory.db", agent="a") as swarm:
            await program(swarm)

    asyncio.run(main())


async def until(condition):
    while not await condition():
        await asyncio.sleep(0.005)


async def seats(swarm, state):
    return [seat for seat in await swarm.leases.list() if seat.state == state]


def test_what_is_granted_to_a_cancelled_wait_is_given_back(tmp_path):
    async def program(swarm):
        held = await swarm.leases.acquire("x", ttl_s=60)
        waiting = asyncio.create_task(swarm.leases.acquire("x", ttl_s=60, wait_s=30))
        await until(lambda: seats(swarm, "waiting"))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.to_thread(held.release)

        await asyncio.wait_for(until(lambda: nobody(swarm)), 20)

    async def nobody(swarm):
        return not await swarm.leases.list()

    run(tmp_path, program)


def test_a_lease_is_held_inside_an_async_with_and_free_after_it(tmp_path):
    async def program(swarm):
        async with swarm.leases.hold("x", ttl_s=60) as lease:
            assert lease.token > 0
            with pytest.raises(LeaseHeldError):
                await swarm.leases.acquire("x", wait_s=0)
        with pytest.raises(KeyError):
            async with swarm.leases.hold("x", ttl_s=60):
                raise KeyError("inside")
        assert [] == await swarm.leases.list()

    run(tmp_path, program)
