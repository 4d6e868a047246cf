"""Optimizing: what would make the store smaller or faster, how much it would give, and doing it.

    for advice in swarm.optimizer.plan():        # reads counters and a sample, writes nothing
        print(advice.what, advice.expected_bytes, advice.command)
    for gain in swarm.optimizer.apply(budget_s=60):
        print(gain.what, gain.measured_bytes)

Steps work in bounded transactions, between which others write; whatever ends them leaves the store
as whole as it was. Nothing that is live is removed, read or not: only what has expired, and older
versions beyond those that a category keeps. Archiving takes records out of the store, into a file
that was read back before, and is only ever done by name.
"""

from __future__ import annotations

from swarm_memory.optimizing.optimizer import DEFAULT_STEPS, STEPS, Optimizer

__all__ = ["DEFAULT_STEPS", "STEPS", "Optimizer"]
