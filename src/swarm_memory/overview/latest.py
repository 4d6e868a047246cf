"""What happened last: the end of the change log, with what each line was about."""

from __future__ import annotations

from swarm_memory.checks import check_whole
from swarm_memory.errors import CorruptValueError
from swarm_memory.wording import said

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.engine import Engine
    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm

EVENTS_MAX = 5000  # of the store's log are looked through
ACTIVITY_EVENTS_MAX = 20_000
LIMIT_MAX = 200
TEXT_CHARS_MAX = 160
MINUTE_MS, MINUTES = 60_000, 60
NAMES = ("seq", "key", "version", "op", "author", "at_ms", "category", "telemetry")


def latest(
    swarm: Swarm, engine: Engine, *, telemetry: bool = True, limit: int = 50
) -> list[dict[str, Json]]:
    """Return the last changes of a swarm, the last first.

    Each has `seq`, `key`, `version`, `op`, `author`, `at_ms`, `category`, `telemetry` (whether it
    tells of an operation and not of a memory) and `text`, how its value begins now.

    Args:
        limit: 1 to 200.
    """
    check_whole("limit", limit, 1, LIMIT_MAX)
    rows = engine.all(
        "overview_latest",
        swarm=swarm.context.swarm,
        events=EVENTS_MAX,
        telemetry=int(telemetry),
        limit=limit,
    )
    lines = [dict(zip(NAMES, row, strict=True)) for row in rows]
    for line in lines:
        line["telemetry"] = bool(line["telemetry"])
        line["text"] = text_of(swarm, line["key"], telemetry=line["telemetry"])
    return lines


def text_of(swarm: Swarm, key: str, *, telemetry: bool = False) -> str | None:
    """Return how the value of a key begins; None if there is none or it is damaged."""
    try:
        record = swarm.records.get(key)
    except CorruptValueError:
        return None
    if record is None:
        return None
    if telemetry and isinstance(record.value, dict) and (done := operation_of(record.value)):
        return done
    return beginning(record.value)


def operation_of(value: dict[str, Json]) -> str | None:
    """Return what an agent did by a recorded operation, as one line: "edit src/app.py"."""
    what = value.get("operation") or value.get("event")
    if not isinstance(what, str):
        return None
    about = value.get("path") or value.get("command") or value.get("tool")
    parts = [what, about if isinstance(about, str) else ""]
    ended = value.get("exit")
    if isinstance(ended, str) and ended != "ok":
        parts.append(f"({ended})")
    return " ".join(part for part in parts if part)[:TEXT_CHARS_MAX]


def beginning(value: Json) -> str:
    """Return how a value begins, on one line."""
    text = " ".join(said(value).split())
    return text if len(text) <= TEXT_CHARS_MAX else f"{text[: TEXT_CHARS_MAX - 1]}…"


def activity(swarm: Swarm, engine: Engine) -> dict[str, Json]:
    """Return `minutes`, of the last hour in order: [epoch ms, changes of memories, operations].

    `since_ms` is from when on they are known: of a busy store not the whole hour is looked through.
    """
    now_ms = engine.now_ms
    first = now_ms // MINUTE_MS - MINUTES + 1
    where = {"span_ms": MINUTE_MS, "since_ms": first * MINUTE_MS, "events": ACTIVITY_EVENTS_MAX}
    rows = engine.all("overview_activity", swarm=swarm.context.swarm, **where)
    counts = {(int(minute), int(telemetry)): int(count) for minute, telemetry, count in rows}
    oldest_ms, looked = engine.one("overview_reach", events=ACTIVITY_EVENTS_MAX) or (None, 0)
    since_ms = first * MINUTE_MS
    if looked == ACTIVITY_EVENTS_MAX and oldest_ms is not None:
        since_ms = max(since_ms, int(oldest_ms))
    minutes = [
        [minute * MINUTE_MS, counts.get((minute, 0), 0), counts.get((minute, 1), 0)]
        for minute in range(first, first + MINUTES)
    ]
    return {"minutes": minutes, "since_ms": since_ms}
