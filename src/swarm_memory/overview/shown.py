"""What was shown to which agent, and why: the log of injections, a page at a time."""

from __future__ import annotations

from swarm_memory.checks import check_whole
from swarm_memory.injections import MARK, MEMORY
from swarm_memory.overview.latest import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.engine import Engine
    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm

ROWS_MAX = 20_000  # lines of the log that one answer looks through
LIMIT_MAX, AGENTS_MAX = 200, 50
NEWEST = 2**62
NAMES = ("injection_id", "session_id", "agent_id", "agent", "kind", "item", "version", "id",
         "event", "score", "tokens", "at_ms", "present", "cited_ms")  # fmt: skip


def look(
    swarm: Swarm, engine: Engine, only: dict[str, str], *, before: int | None, limit: int
) -> dict[str, Json]:
    """Return `items`, the last first, `agents` with what each was shown of late, and `next_before`.

    An item is as `Injection` has it, with `text`: how the memory begins, as it is now. `agents`
    are `agent`, `items`, `tokens`, `cited`, `last_ms`, only with the first page.

    Args:
        only: `agent`, `kind` and `item` that are asked for, "" for all.
        before: `next_before` of the page before; None for the first.
        limit: 1 to 200. There may be fewer although more follow.
    """
    check_whole("limit", limit, 1, LIMIT_MAX)
    name = swarm.context.swarm
    span = {"before": NEWEST if before is None else before, "rows": ROWS_MAX}
    rows = engine.all("overview_shown", swarm=name, **only, **span, limit=limit)
    items = [_item(swarm, row) for row in rows]
    if len(items) == limit:
        following = items[-1]["injection_id"]
    else:
        oldest, looked = engine.one("overview_shown_end", **span) or (None, 0)
        following = oldest if looked == ROWS_MAX else None
    answer = {"items": items, "next_before": following}
    if before is None:
        answer["agents"] = _agents(swarm, engine)
    return answer


def _item(swarm: Swarm, row: Json) -> dict[str, Json]:
    item: dict[str, Json] = dict(zip(NAMES, row, strict=True))
    item["id"] = None if item["id"] is None else f"{MARK}{item['id']}"
    item["present"] = bool(item["present"])
    item["text"] = text_of(swarm, item["item"]) if item["kind"] == MEMORY else None
    return item


def _agents(swarm: Swarm, engine: Engine) -> list[dict[str, Json]]:
    rows = engine.all(
        "overview_shown_to", swarm=swarm.context.swarm, rows=ROWS_MAX, limit=AGENTS_MAX
    )
    names = ("agent", "items", "tokens", "cited", "last_ms")
    return [dict(zip(names, (a, *map(int, more)), strict=True)) for a, *more in rows]
