"""One record: its value as text, its versions, and what has to be sent to change it.

The text is what an editor shows and sends back, so numbers keep all their digits: whoever parses
them into floating point numbers in between would change them.
"""

from __future__ import annotations

import json

from swarm_memory.errors import NotFoundError
from swarm_memory.key import check_key
from swarm_memory.writing import TTL_S_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.engine import Engine
    from swarm_memory.model import Json, Record
    from swarm_memory.swarm import Swarm

TEXT_CHARS_MAX = 200_000  # of a value; a longer one is shown cut, and is not edited here
PINNED_MS = 1000 * TTL_S_MAX // 2  # who lives longer than this was pinned
STALE = "stale"  # the field of a provenance that marks what holds no longer
DASHBOARD = "dashboard"


def look(swarm: Swarm, engine: Engine, key: str) -> dict[str, Json]:
    """Return the newest version of a record with all that a page about it shows.

    `text` is its value as indented JSON, `cut` whether that is not all of it; `versions` those
    that are kept, the newest first, with their sizes. `pinned` and `stale` are the marks, and
    `category` what holds for its key. `edit` and `pin` are what a change sends beside the value:
    the time to live that it has, and its provenance without what no longer holds.

    Raises:
        NotFoundError: Nothing is known of the key.
        CorruptValueError: It is damaged.
    """
    check_key(key)
    versions = swarm.records.history(key)
    if not versions:
        raise NotFoundError(f"{key} does not exist", hint="it has expired, or never was")
    newest = versions[0]
    category = swarm.config.category_of(key)
    pinned = newest.expires_ms is not None and newest.expires_ms - engine.now_ms > PINNED_MS
    about = newest.provenance or {}
    return _shown(newest) | {
        "versions": [_line(version) for version in versions],
        "category": {
            "name": category.name,
            "retention_s": category.retention_s,
            "versions_max": category.versions_max,
            "telemetry": category.telemetry,
        },
        "pinned": pinned,
        "stale": about.get(STALE),
        "edit": {"ttl_s": _life_s(newest, pinned), "provenance": _kept(about)},
        "pin": {"ttl_s": TTL_S_MAX if not pinned else category.retention_s or TTL_S_MAX},
    }


def at_version(swarm: Swarm, key: str, version: int) -> dict[str, Json]:
    """Return one kept version of a record, as `look` does the newest.

    Raises:
        NotFoundError: That version is not kept.
    """
    for record in swarm.records.history(check_key(key)):
        if record.version == version:
            return _shown(record)
    raise NotFoundError(f"version {version} of {key} is not kept", hint="history lists what is")


def _shown(record: Record) -> dict[str, Json]:
    shown = record.to_dict() | {"deleted": record.deleted}
    del shown["value"]
    text = "" if record.deleted else text_of_value(record.value)
    return shown | {"text": text[:TEXT_CHARS_MAX], "cut": len(text) > TEXT_CHARS_MAX}


def _line(record: Record) -> dict[str, Json]:
    text = "" if record.deleted else text_of_value(record.value, indent=None)
    size = len(text.encode("utf-8", "replace"))
    return {
        "version": record.version,
        "author": record.author,
        "session": record.session,
        "updated_ms": record.updated_ms,
        "deleted": record.deleted,
        "bytes": size,
    }


def text_of_value(value: Json, indent: int | None = 2) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=False)


def _life_s(record: Record, pinned: bool) -> float | None:
    """Return the time to live of a record, to be given to the version after it."""
    if pinned:
        return TTL_S_MAX
    if record.expires_ms is None or record.deleted:
        return None
    return max(1.0, (record.expires_ms - record.updated_ms) / 1000)


def _kept(about: dict[str, Json]) -> dict[str, Json]:
    kept = {name: value for name, value in about.items() if name != STALE}
    return kept | {"via": DASHBOARD}
