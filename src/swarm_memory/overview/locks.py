"""Locks: who holds which lease, and who stands in line for it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.engine import Engine
    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm

SEATS_MAX = 1000


def look(swarm: Swarm, engine: Engine) -> dict[str, Json]:
    """Return `leases`: each with its `name`, who `holds` it and who `waits`, in their order.

    Those that somebody waits for come first, the longest wait before the others.
    """
    leases: dict[str, dict[str, Json]] = {}
    for seat in swarm.leases.list(limit=SEATS_MAX):
        lease = leases.setdefault(seat.name, {"name": seat.name, "holds": [], "waits": []})
        lease["holds" if seat.state == "held" else "waits"].append(
            seat.to_dict() | {"agent": seat.owner.partition("/")[0]}
        )
    listed = sorted(leases.values(), key=lambda lease: (-_wait_ms(lease), lease["name"]))
    return {"now_ms": engine.now_ms, "leases": listed}


def _wait_ms(lease: dict[str, Json]) -> int:
    return max((seat["age_ms"] for seat in lease["waits"]), default=-1)
