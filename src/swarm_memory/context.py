"""Who acts, where, and by which settings: what every service is given."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.codec import Compressor
    from swarm_memory.config import Config
    from swarm_memory.meter import Meter
    from swarm_memory.model import Json


class Context:
    """The caller's swarm, agent and session, the configuration and the value compressor.

    `origin` is what is known of the caller beside his name, such as that a door could not verify
    it; it goes into the provenance of every record that is written. `meter` counts
    what is called; all doors of one process to a swarm share it.
    """

    __slots__ = ("agent", "compressor", "config", "meter", "origin", "session", "swarm")

    def __init__(
        self,
        swarm: str,
        agent: str,
        session: str | None,
        config: Config,
        compressor: Compressor,
        origin: dict[str, Json] | None = None,
    ) -> None:
        self.swarm = swarm
        self.agent = agent
        self.session = session
        self.config = config
        self.compressor = compressor
        self.origin = origin
        self.meter: Meter | None = None


_sequence = int.from_bytes(os.urandom(1), "big")


def new_id(now_ms: int) -> str:
    """Return an id that sorts by time, and within one process by the order of the calls.

    13 digits of milliseconds, 5 hex digits that count up, 8 random ones.
    """
    return new_ids(now_ms, 1)[0]


def new_ids(now_ms: int, count: int) -> list[str]:
    """Return `count` ids that are made at once and sort in this order; see `new_id`."""
    global _sequence
    first = _sequence + 1
    _sequence += count
    random = os.urandom(4 * count).hex()
    return [
        f"{now_ms:013d}-{(first + n) % 2**20:05x}{random[8 * n : 8 * n + 8]}" for n in range(count)
    ]
