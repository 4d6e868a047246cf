"""CrewAI's locks by a swarm's leases: `set_lock_backend(swarm_lock_backend(swarm))`.

This needs nothing of CrewAI, which calls what it is given.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager

from swarm_memory.checks import fits
from swarm_memory.errors import LeaseLostError, SwarmMemoryError
from swarm_memory.key import escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from swarm_memory.seats import Lease
    from swarm_memory.swarm import Swarm

TTL_S, BEATS = 30.0, 3  # a lock lapses so long after its process died or froze
WAIT_S, WAIT_S_MAX = 120.0, 86_400.0
NAME_BYTES = 1000  # of a lease


def swarm_lock_backend(swarm: Swarm) -> Callable[..., AbstractContextManager[None]]:
    """Return what `crewai_core.lock_store.set_lock_backend` takes, so that leases are the locks.

    All machines that share the store exclude each other, and who waits gets a lock in turn. A
    lock is renewed for as long as it is held and lapses half a minute after its process died. A
    process that was frozen for longer gets a `LeaseLostError` at the end of its `with`.
    """

    @contextmanager
    def lock(name: str, *, timeout: float = WAIT_S) -> Iterator[None]:
        wait_s = min(max(0.0, timeout), WAIT_S_MAX)
        with swarm.leases.hold(_lock(name), ttl_s=TTL_S, wait_s=wait_s) as held:
            released = threading.Event()
            beat = threading.Thread(target=_keep, args=(held, released), daemon=True)
            beat.start()
            try:
                yield
            finally:
                released.set()
                beat.join()

    return lock


def _keep(lease: Lease, released: threading.Event) -> None:
    while not released.wait(TTL_S / BEATS):
        try:
            lease.renew()
        except LeaseLostError:
            return  # its holder is told when it lets go
        except SwarmMemoryError:
            continue  # the next beat tries again; if the store stays away, it lapses


def _lock(name: str) -> str:
    """Return the lease of a lock. CrewAI has locks called `file:…`, which are no patterns here."""
    if fits(name, 1, NAME_BYTES):
        return f"crewai:{name}"
    return f"crewai+:{escape(name, limit=NAME_BYTES)}"


__all__ = ["swarm_lock_backend"]
