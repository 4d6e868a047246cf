"""How often expired records are swept: as often as it is worth, by what the last sweep found.

A sweep reads every record once, and a scan reads past all that has expired and is not yet swept:
with as many of those as of the others it is half as fast. So the interval follows the yield, as
that of a garbage collector does: where a sweep finds that more than a twentieth had expired the
next comes sooner, where it finds less it comes later, down to once in a `cleanup_interval_s`.

What a sweep removes nobody can read any more, whenever it runs: the schedule changes what reading
costs and nothing else, so it needs no trial.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.config import Config
    from swarm_memory.swarm import Swarm, Transaction

DUTY = "sweep"
PARAMETER = "sweep_interval_s"
EVERY_S_MIN = 300
FIRST = 24  # the first interval is this part of the longest
SHARE = 0.05  # of all records that are there, expired ones included
SOONER, LATER = 8, 2  # times by which the interval changes at most
MUCH, LITTLE = "much", "little"


def interval_s(swarm: Swarm) -> int:
    """Return the seconds between two sweeps of a swarm."""

    def read(tx: Transaction) -> int | None:
        row = tx.tx.one("fact_get", swarm=swarm.context.swarm, name=PARAMETER)
        return None if row is None else int(row[0])

    longest = round(swarm.config.cleanup_interval_s)
    return min(swarm.read(read) or max(EVERY_S_MIN, longest // FIRST), longest)


def is_given(config: Config) -> bool:
    """Whether somebody has said how often to clean up, which nothing changes."""
    return "cleanup_interval_s" in config.given


def sweep_if_due(swarm: Swarm) -> bool:
    """Sweep if it is worth it by now, and set when to come next; tell whether it swept."""
    if is_given(swarm.config) or not swarm.tuner.is_on:
        return False
    every_s = interval_s(swarm)
    if not swarm.retention.due(DUTY, every_s):
        return False
    newest = swarm.monitor.newest()
    swept = swarm.retention.sweep()
    records = 0 if newest is None else newest.gauges.get("records", 0)
    _set(swarm, every_s, next_s(every_s, swept.expired, records, swarm.config))
    return True


def next_s(every_s: int, expired: int, records: float, config: Config) -> int:
    """Return after how many seconds to sweep again.

    Args:
        expired: How many records the sweep after `every_s` seconds has found expired.
        records: How many there were before it.
    """
    share = expired / max(1.0, records, expired)
    factor = LATER if share == 0 else min(LATER, max(1 / SOONER, SHARE / share))
    longest = round(config.cleanup_interval_s)
    return min(max(EVERY_S_MIN, round(every_s * factor)), longest)


def _set(swarm: Swarm, before_s: int, after_s: int) -> None:
    """Keep the interval; a change of a tenth and more is told in the history."""
    if after_s == before_s:
        return

    def write(tx: Transaction) -> None:
        tx.tx.run("fact_set", swarm=swarm.context.swarm, name=PARAMETER, value=after_s)

    swarm.transact(write, durability="relaxed")
    if abs(after_s - before_s) >= before_s / 10:
        swarm.tuner.say(PARAMETER, before_s, after_s, MUCH if after_s < before_s else LITTLE)
