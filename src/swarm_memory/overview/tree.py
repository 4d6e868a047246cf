"""The tree of keys, one level at a time.

A level is found by seeking: behind each branch the next read begins where its keys end, so a
branch costs the same whether it holds one record or a million.
"""

from __future__ import annotations

from swarm_memory.checks import check_whole
from swarm_memory.key import KEY_END, check_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.engine import Engine
    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm

LIMIT_MAX = 500
COUNT_MAX = 100  # of a branch; what is more is told as more
ROWS_FIRST, ROWS_MAX = 2, 128  # read at once; leaves come side by side, branches alone
BEHIND = "!"  # sorts before every character of a key, so key + BEHIND is behind no other key
NAMES = ("key", "version", "author", "updated_ms", "expires_ms", "telemetry", "bytes")


def level(
    swarm: Swarm, engine: Engine, prefix: str, after: str = "", limit: int = 100
) -> dict[str, Json]:
    """Return what lies directly below `prefix`: `items` in key order, and `next_after`.

    An item is a record (`leaf` true: `key`, `version`, `author`, `updated_ms`, `expires_ms`,
    `telemetry`, `bytes` as stored) or a branch (`leaf` false: `key` without a slash at its end,
    `records` up to 100, `more` if there are more). Operations are among them.

    Args:
        prefix: Whole segments, with or without a slash at the end; "" for the top.
        after: `next_after` of the page before.
        limit: How many items, 1 to 500.
    """
    check_whole("limit", limit, 1, LIMIT_MAX)
    stem = prefix.removesuffix("/")
    base = f"{check_key(stem)}/" if stem else ""
    high = f"{stem}0" if stem else KEY_END
    low = max(after, base)
    items: list[dict[str, Json]] = []
    rows_max = ROWS_FIRST
    where = {"swarm": swarm.context.swarm, "now_ms": engine.now_ms}
    while len(items) < limit:
        wanted = min(rows_max, limit - len(items))
        rows = engine.all("overview_rows", **where, low=low, high=high, limit=wanted)
        for row in rows:
            name, slash, _ = row[0][len(base) :].partition("/")
            if slash:
                items.append(_branch(engine, where, base + name))
                low, rows_max = f"{base}{name}0", ROWS_FIRST
                break
            items.append(_leaf(row))
            low = row[0] + BEHIND
        else:
            if len(rows) < wanted:
                return {"prefix": base, "items": items, "next_after": None}
            rows_max = min(2 * rows_max, ROWS_MAX)
    more = engine.all("overview_rows", **where, low=low, high=high, limit=1)
    return {"prefix": base, "items": items, "next_after": low if more else None}


def _leaf(row: Json) -> dict[str, Json]:
    item = dict(zip(NAMES, row, strict=True)) | {"leaf": True}
    item["telemetry"] = bool(item["telemetry"])
    return item


def _branch(engine: Engine, where: dict[str, Json], stem: str) -> dict[str, Json]:
    span = {"low": f"{stem}/", "high": f"{stem}0", "limit": COUNT_MAX + 1}
    (found,) = engine.one("overview_some", **where, **span) or (0,)
    count = min(int(found), COUNT_MAX)
    return {"key": stem, "leaf": False, "records": count, "more": found > COUNT_MAX}
