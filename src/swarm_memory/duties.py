"""Duties: what keeps a store in shape, done by whichever process finds it due."""

from __future__ import annotations

from swarm_memory.recording import OFF

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.swarm import Swarm


def tick(swarm: Swarm) -> bool:
    """Do what is due and what no other process has; tell if it did the daily duties."""
    due, config = swarm.retention.due, swarm.config
    if due("monitor", config.monitor_interval_s):
        swarm.monitor.take()
        swarm.tuner.step()
    if not due("cleanup", config.cleanup_interval_s):
        return False
    swarm.retention.sweep()
    swarm.sessions.reap()
    _label(swarm)  # before what it needs of a session is forgotten
    prune(swarm)
    swarm.forecast.keep_up()
    swarm.retention.pack()
    swarm.finder.keep_up()
    return True


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
