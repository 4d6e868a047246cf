"""Messages: how full the queues are, who takes what, and the dead letters."""

from __future__ import annotations

from swarm_memory.overview.latest import beginning
from swarm_memory.runs import EVERYONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.letters import Message
    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm


def look(swarm: Swarm, *, limit: int = 100) -> dict[str, Json]:
    """Return `counts` by state, `queues` and the `dead` letters, the last one first.

    A queue has its `name` ("topic:…", "agent:…"), how many `messages` are in it, how old the
    oldest is, and since how many milliseconds one lies there that was taken and let lapse.
    """
    moment = swarm.monitor.look()
    queues = [
        {"name": name, "messages": size, "age_ms": age_ms, "lapsed_ms": lapsed_ms}
        for name, (size, age_ms, lapsed_ms) in moment.groups["queue"].items()
        if name != EVERYONE
    ]
    return {
        "now_ms": moment.at_ms,
        "counts": swarm.messages.counts().to_dict(),
        "queues": queues,
        "dead": [_shown(message) for message in swarm.messages.dead(limit=limit)],
    }


def _shown(message: Message) -> dict[str, Json]:
    shown = message.to_dict()
    shown["text"] = beginning(shown.pop("body"))
    return shown
