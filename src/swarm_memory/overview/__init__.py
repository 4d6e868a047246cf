"""Overview: what a person looks at to see what a swarm does, page by page.

Each method answers for one page, by counters, ends of logs and pages of keys: how many records
there are makes none of them slower. Nothing is written here, but for sessions that lapsed, which
whoever comes by ends. A page that is added is a module here and a method below.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.engine import Engine
    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm


class Overview:
    """What there is to see of one swarm; answers are JSON."""

    __slots__ = ("_engine", "_swarm")

    def __init__(self, swarm: Swarm, engine: Engine) -> None:
        self._swarm = swarm
        self._engine = engine

    def swarms(self) -> list[str]:
        """Return the names of the swarms of this store, and this one's, in order."""
        names = {str(row[0]) for row in self._engine.all("overview_swarms") if row[0]}
        return sorted(names | {self._swarm.context.swarm})

    def version(self) -> int:
        """Return a number that differs after any commit to the store, by whatever process."""
        return self._engine.version()

    def wait(self, version: int, timeout_s: float) -> int:
        """Wait until `version` is no longer the current one, or the time is over; return it."""
        return self._engine.wait(version, timeout_s)

    def now(self) -> dict[str, Json]:
        """Return who does what at this moment; see `overview.now`."""
        from swarm_memory.overview.now import look

        return look(self._swarm, self._engine)

    def latest(self, *, telemetry: bool = True, limit: int = 50) -> list[dict[str, Json]]:
        """Return what happened last, the last first; see `overview.latest`."""
        from swarm_memory.overview.latest import latest

        return latest(self._swarm, self._engine, telemetry=telemetry, limit=limit)

    def activity(self) -> dict[str, Json]:
        """Return how many changes there were in each minute of the last hour."""
        from swarm_memory.overview.latest import activity

        return activity(self._swarm, self._engine)

    def kinds(self) -> list[dict[str, Json]]:
        """Return how much there is of each category, by its counters; the largest first.

        `category`, `records`, `bytes`, `telemetry`, and `retention_s`, None if it is kept for good.
        """
        held = self._swarm.health.report().metrics["categories"]
        known = {category.name: category for category in self._swarm.config.categories}
        kinds = [
            {
                "category": name,
                **counts,
                "telemetry": name in known and known[name].telemetry,
                "retention_s": known[name].retention_s if name in known else None,
            }
            for name, counts in held.items()
        ]
        return sorted(kinds, key=lambda kind: (-kind["bytes"], kind["category"]))

    def level(self, prefix: str = "", *, after: str = "", limit: int = 100) -> dict[str, Json]:
        """Return one level of the tree of keys below `prefix`; see `overview.tree`."""
        from swarm_memory.overview.tree import level

        return level(self._swarm, self._engine, prefix, after, limit)

    def record(self, key: str) -> dict[str, Json]:
        """Return a record, its versions, and what may be done with it; see `overview.record`."""
        from swarm_memory.overview.record import look

        return look(self._swarm, self._engine, key)

    def at_version(self, key: str, version: int) -> dict[str, Json]:
        """Return one kept version of a record as text; see `overview.record`."""
        from swarm_memory.overview.record import at_version

        return at_version(self._swarm, key, version)

    def conflicts(self, *, limit: int = 50) -> dict[str, Json]:
        """Return the conflicts that wait, and those that were settled; see `overview.conflicts`."""
        from swarm_memory.overview.conflicts import look

        return look(self._swarm, self._engine, limit=limit)

    def messages(self, *, limit: int = 100) -> dict[str, Json]:
        """Return queues and dead letters; see `overview.messages`."""
        from swarm_memory.overview.messages import look

        return look(self._swarm, limit=limit)

    def locks(self) -> dict[str, Json]:
        """Return who holds and who waits; see `overview.locks`."""
        from swarm_memory.overview.locks import look

        return look(self._swarm, self._engine)

    def learning(self) -> dict[str, Json]:
        """Return what was learned from outcomes; see `overview.learning`."""
        from swarm_memory.overview.learning import look

        return look(self._swarm, self._engine)

    def insights(self) -> list[dict[str, Json]]:
        """Return the sentences that the outcomes allow."""
        from swarm_memory.overview.learning import insights

        return insights(self._swarm)

    def condition(self) -> dict[str, Json]:
        """Return health, alerts and their course; see `overview.condition`."""
        from swarm_memory.overview.condition import look

        return look(self._swarm, self._engine)

    def shown(
        self,
        *,
        agent: str = "",
        kind: str = "",
        item: str = "",
        before: int | None = None,
        limit: int = 50,
    ) -> dict[str, Json]:
        """Return what agents were shown and why; see `overview.shown`."""
        from swarm_memory.overview.shown import look

        return look(
            self._swarm,
            self._engine,
            {"agent": agent, "kind": kind, "item": item},
            before=before,
            limit=limit,
        )
