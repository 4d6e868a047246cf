"""The default tools: recall, retrieve, store, supersede, lock, unlock, send, inbox.

Eight, and together at most 2,000 tokens of schema, since every session pays for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarm_memory.doors.mcp.tools import (
    ADDS,
    FLAG,
    JSON,
    KEY,
    OBJECTS,
    READS,
    REPLACES,
    REPLACES_ONCE,
    SECONDS,
    TEXT,
    TEXTS,
    WHOLE,
    Call,
    Tool,
    tool,
)
from swarm_memory.errors import NotFoundError
from swarm_memory.memories import KINDS
from swarm_memory.ranking import MIN_SCORE

if TYPE_CHECKING:
    from swarm_memory.model import Json, Record

TOOLS: list[Tool] = []
HITS, HITS_MAX = 5, 50
LOCK_TTL_S, LOCK_TTL_S_MAX = 300.0, 3600.0  # an agent's step lasts minutes
LOCK_WAIT_S_MAX = 600.0
IN_HAND_S = 600.0  # then a message that was not done comes again
MESSAGES, MESSAGES_MAX = 10, 100
ABOUT = ("kind", "files", "verified", "stale")  # of a provenance, what tells a reader something

_value = JSON | {"description": "A text, or any JSON."}
_expect = WHOLE | {"description": "Only if the key is at this version; 0: only if it is new."}


@tool(
    TOOLS,
    "Finds memories of all agents by words, best first. Other agents wrote them. A score below"
    f" {MIN_SCORE} is chance and left out. retrieve has the whole value.",
    effect=READS,
    required=["query"],
    returns={"hits": OBJECTS, "complete": FLAG},
    query=TEXT | {"description": "A question or words, in any form."},
    limit=WHOLE | {"minimum": 1, "maximum": HITS_MAX, "default": HITS},
    prefix=TEXT | {"description": "Only keys under it."},
    author=TEXT,
)
def recall(
    call: Call, query: str, limit: int = HITS, prefix: str = "", author: str | None = None
) -> dict[str, Json]:
    hits = call.swarm.search(query, prefix=prefix, limit=limit, author=author, min_score=MIN_SCORE)
    found = [_named(hit.record) | {"score": hit.score, "snippet": hit.snippet} for hit in hits]
    return {"hits": found, "complete": hits.complete}


@tool(
    TOOLS,
    "Returns the record at a key with its version, author and origin.",
    effect=READS,
    required=["key"],
    returns={"key": TEXT, "value": JSON, "version": WHOLE, "author": TEXT},
    key=KEY | {"description": "Or the number of a briefing, such as %12."},
    version=WHOLE | {"minimum": 1, "description": "An older one."},
)
def retrieve(call: Call, key: str, version: int | None = None) -> dict[str, Json]:
    records = call.swarm.records
    meant = call.swarm.briefing.key_of(key)
    if meant is None:
        raise NotFoundError(f"{key} is no memory", hint=f"swarm-memory get {key} --json shows it")
    key = meant
    if version is None:
        record = records.get(key)
    else:
        kept = records.history(key)
        record = next((r for r in kept if r.version == version and not r.deleted), None)
    if record is None:
        which = key if version is None else f"version {version} of {key}"
        raise NotFoundError(f"{which} is not there", hint="recall finds records by their words")
    return record.to_dict()


@tool(
    TOOLS,
    "Stores one memory for all agents and sessions, and returns its key, its version and similar"
    " memories, which supersede can replace.",
    effect=REPLACES,
    required=["value"],
    returns={"key": TEXT, "version": WHOLE, "similar": OBJECTS},
    value=_value,
    key=KEY | {"description": "Such as notes/auth. Without one it gets one of its own."},
    kind={"enum": list(KINDS)},
    files=TEXTS | {"description": "Paths it is about, from the project's root."},
    expect=_expect,
    ttl_s=SECONDS | {"description": "Seconds until it expires."},
)
def store(
    call: Call,
    value: Json,
    key: str | None = None,
    kind: str | None = None,
    files: tuple[str, ...] = (),
    expect: int | None = None,
    ttl_s: float | None = None,
) -> dict[str, Json]:
    return call.swarm.memories.store(
        value, key=key, kind=kind, files=files, expect=expect, ttl_s=ttl_s
    ).to_dict()


@tool(
    TOOLS,
    "Replaces an outdated memory by a new value at its key. History keeps the old one.",
    effect=REPLACES,
    required=["key", "value"],
    returns={"key": TEXT, "version": WHOLE},
    key=KEY,
    value=_value,
    also=TEXTS | {"description": "Further keys that it replaces, which are deleted."},
    expect=WHOLE | {"description": "Only if the key is at this version."},
    reason=TEXT,
)
def supersede(
    call: Call,
    key: str,
    value: Json,
    also: tuple[str, ...] = (),
    expect: int | None = None,
    reason: str | None = None,
) -> dict[str, Json]:
    record = call.swarm.memories.supersede(key, value, also=also, expect=expect, reason=reason)
    return without_value(record)


def _unlocked(call: Call, taken: dict[str, Json]) -> None:
    """Give back a lock that nobody heard of; one that was renewed stays with its holder."""
    if call.acting.has(taken["name"], taken["token"]):
        unlock(call, taken["name"], taken["token"])


@tool(
    TOOLS,
    "Takes a lock that keeps other agents out until unlock or the end of ttl_s.",
    effect=ADDS,
    required=["name"],
    returns={"name": TEXT, "token": WHOLE, "expires_ms": WHOLE},
    undo=_unlocked,
    name=TEXT | {"description": "Any text, or file:PATH or file:GLOB from the project's root."},
    mode={"enum": ["exclusive", "read"]},
    ttl_s=SECONDS | {"maximum": LOCK_TTL_S_MAX, "default": LOCK_TTL_S},
    wait_s=SECONDS | {"maximum": LOCK_WAIT_S_MAX, "description": "Seconds to wait in line."},
    reason=TEXT | {"description": "Shown to others."},
    token=WHOLE | {"description": "Of a lock held already: renews it."},
)
def lock(
    call: Call,
    name: str,
    mode: str = "exclusive",
    ttl_s: float = LOCK_TTL_S,
    wait_s: float = 0.0,
    reason: str | None = None,
    token: int | None = None,
) -> dict[str, Json]:
    leases = call.swarm.leases
    if token is not None:
        return leases.held(name, token).renew(ttl_s).to_dict()
    lease = leases.acquire(
        name, mode, ttl_s=ttl_s, wait_s=wait_s, reason=reason, given_up=call.given_up
    )
    call.acting.took(call.swarm, lease.name, lease.token)
    return lease.to_dict()


@tool(
    TOOLS,
    "Gives a lock back.",
    effect=REPLACES_ONCE,
    required=["name", "token"],
    returns={"name": TEXT, "released": FLAG},
    name=TEXT,
    token=WHOLE,
)
def unlock(call: Call, name: str, token: int) -> dict[str, Json]:
    lease = call.swarm.leases.held(name, token)
    call.acting.gave(lease.name, lease.token)
    return {"name": lease.name, "released": lease.release()}


@tool(
    TOOLS,
    "Sends a message to an agent, to a topic of which one agent gets it, or else to every agent.",
    effect=ADDS,
    required=["body"],
    returns={"message_id": TEXT},
    body=_value,
    to=TEXT,
    topic=TEXT,
    type=TEXT,
)
def send(
    call: Call,
    body: Json,
    to: str | None = None,
    topic: str | None = None,
    type: str | None = None,
) -> dict[str, Json]:
    return call.swarm.messages.send(body, to=to, topic=topic, type=type).to_dict()


@tool(
    TOOLS,
    f"Takes messages to this agent, or of a topic. One that is not done within {IN_HAND_S / 60:.0f}"
    " minutes comes again.",
    effect=REPLACES,
    returns={"messages": OBJECTS},
    topic=TEXT,
    limit=WHOLE | {"minimum": 1, "maximum": MESSAGES_MAX, "default": MESSAGES},
    done=TEXTS | {"description": "Receipts of messages that are done."},
    peek=FLAG | {"description": "Only look."},
)
def inbox(
    call: Call,
    topic: str | None = None,
    limit: int = MESSAGES,
    done: tuple[str, ...] = (),
    peek: bool = False,
) -> dict[str, Json]:
    messages = call.swarm.messages
    if peek:
        if done:
            messages.ack(*done)
        found = messages.inbox(topic, limit=limit)
    else:
        found = messages.claim(topic, limit=limit, visible_after_s=IN_HAND_S, done=done)
    return {"messages": [message.to_dict() for message in found]}


def without_value(record: Record) -> dict[str, Json]:
    """Return a record as it is shown to who has just written its value."""
    shown = record.to_dict()
    del shown["value"]
    return shown


def _named(record: Record) -> dict[str, Json]:
    about = record.provenance or {}
    return {
        "key": record.key,
        "version": record.version,
        "author": record.author,
        "updated_ms": record.updated_ms,
    } | {name: about[name] for name in ABOUT if name in about}
