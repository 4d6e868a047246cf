"""What the tuner has set in a store, as the processes that use it apply it.

A process that stays looks every few seconds, when its meter is due; one that only passes by never
does, so a hook pays nothing for it. What a person has set in the configuration stays.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.cache import Cache
    from swarm_memory.config import Config
    from swarm_memory.engine import Engine, Reader

SWARM = "swarm-memory/tuning"
PREFIX, OFF = "tuned/", "off"
CACHE = "cache_bytes_max"


def read(db: Reader) -> dict[str, int]:
    """Return what was set, by name; `OFF` among them where the store's switch is off."""
    rows = db.all("tuned_list", swarm=SWARM)
    return {name.removeprefix(PREFIX): int(value) for name, value in rows}


def apply(engine: Engine, cache: Cache | None, config: Config) -> None:
    """Let this process use what is set in the store, and the defaults where nothing is.

    Args:
        engine: Of the swarm that the process works in.
    """
    values = {} if config.tuning == "off" else read(engine.of(SWARM))
    if OFF in values:
        values = {}
    if cache is not None and CACHE not in config.given:
        cache.bytes_max = values.get(CACHE, config.cache_bytes_max)
