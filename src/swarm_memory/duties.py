"""Duties: what keeps a store in shape, done by whichever process finds it due.

A process that stays says so by a mark in the store, which it renews at each look. While there is
one, whoever only passes by leaves the duties to it: the end of a turn then costs one read.
"""

from __future__ import annotations

from swarm_memory.recording import OFF

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.config import Config
    from swarm_memory.swarm import Swarm, Transaction

MARK = "stays"  # the fact: when a process that stays last looked, 0 if it went in order
LOOK_S_MAX = 60.0
LOOKS = 2  # in the time between two samples
MISSED = 3  # looks without a sign of it, after which a process that stays is taken for dead


def tick(swarm: Swarm) -> bool:
    """Do what is due and what no other process has; tell if it did the daily duties."""
    if _sampled(swarm):
        from swarm_memory.tuning.sweeping import sweep_if_due  # only here: hooks tick in passing

        swarm.tuner.step()
        sweep_if_due(swarm)
    return _clean_if_due(swarm)


def tick_in_passing(swarm: Swarm) -> bool:
    """Do what is due unless a process stays that does it; tell if it did the daily duties.

    For the end of a turn. Nothing is tuned: the learner costs several times what a hook does, and
    a swarm in which no process stays has no cache worth the tuning.
    """
    if swarm.url.startswith(("http://", "https://")):
        return swarm.tick()
    if is_attended(swarm):
        return False
    _sampled(swarm)
    return _clean_if_due(swarm)


def _sampled(swarm: Swarm) -> bool:
    """Take a sample if one is due, with what was counted by processes that are gone."""
    if not swarm.retention.due("monitor", swarm.config.monitor_interval_s):
        return False
    if swarm.context.meter is not None:
        swarm.context.meter.fold()
    swarm.monitor.take()
    return True


def _clean_if_due(swarm: Swarm) -> bool:
    if not swarm.retention.due("cleanup", swarm.config.cleanup_interval_s):
        return False
    swarm.retention.sweep()
    swarm.sessions.reap()
    _label(swarm)  # before what it needs of a session is forgotten
    prune(swarm)
    swarm.forecast.keep_up()
    swarm.retention.pack()
    swarm.finder.keep_up()
    return True


# --- who stays ---


def look_s(config: Config) -> float:
    """Return the seconds between two looks of a process that stays."""
    return min(LOOK_S_MAX, config.monitor_interval_s) / LOOKS


def is_attended(swarm: Swarm) -> bool:
    """Tell whether a process that stays does the duties of a swarm; one read."""

    def read(tx: Transaction) -> bool:
        row = tx.tx.one("fact_get", swarm=swarm.context.swarm, name=MARK)
        # A mark of the future is one of a clock that was ahead, and says nothing.
        return row is not None and abs(tx.now_ms - row[0]) < _stale_ms(swarm.config)

    return swarm.read(read)


def attend(swarm: Swarm) -> int:
    """Say that this process stays and does the duties of a swarm; return the mark."""

    def write(tx: Transaction) -> int:
        tx.tx.run("fact_set", swarm=swarm.context.swarm, name=MARK, value=tx.now_ms)
        return tx.now_ms

    return swarm.transact(write, durability="relaxed")


def hold(swarm: Swarm, mark: int | None = None) -> int | None:
    """Take the mark, or renew it; None if another process has it, which is alive.

    One atomic statement: of many that ask at once one gets it. `attend` takes it from whoever
    holds it, so a process that is there anyway relieves one that stays for this alone.

    Args:
        mark: What the last call returned, None before the first.
    """

    def write(tx: Transaction) -> int | None:
        before = tx.now_ms - _stale_ms(swarm.config) if mark is None else mark
        value = tx.now_ms if mark is None else max(tx.now_ms, mark + 1)
        named = {"swarm": swarm.context.swarm, "name": MARK}
        return value if tx.tx.one("fact_claim", **named, value=value, before=before) else None

    return swarm.transact(write, durability="relaxed")


def let_go(swarm: Swarm, mark: int) -> None:
    """Take the mark back, unless another process has set it since: this one goes."""
    named = {"swarm": swarm.context.swarm, "name": MARK}

    def write(tx: Transaction) -> None:
        tx.tx.one("fact_claim", **named, value=0, before=mark)

    swarm.transact(write, durability="relaxed")


def _stale_ms(config: Config) -> int:
    return round(1000 * MISSED * look_s(config))


def prune(swarm: Swarm) -> int:
    """Forget what has ended or aged beside the records; return how many rows."""
    swarm.sessions.reap()
    return sum(
        (
            swarm.sessions.prune(),
            swarm.messages.prune(),
            swarm.leases.prune(),
            swarm.edits.prune(),
            swarm.forecast.prune(),
            swarm.briefing.log.prune(),
        )
    )


def _label(swarm: Swarm) -> None:
    if swarm.config.record != OFF:
        from swarm_memory.labelling import catch_up

        catch_up(swarm)
