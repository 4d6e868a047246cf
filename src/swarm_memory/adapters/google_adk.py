"""Google ADK: a memory service on a swarm's store.

    adk/{app}/{user}/sessions/{session}/{milliseconds}-{event}   an event of a session
    adk/{app}/{user}/memories/{id}                               what was added by itself

An event is written once: its key says which it is, so a session that is added again, by whomever
and how often, adds only what is new. What an app and a user remember is theirs alone; beside it a
search finds what the swarm's agents share.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial

from swarm_memory import Put
from swarm_memory.adapters import extra
from swarm_memory.adapters.finding import find, shown
from swarm_memory.context import new_id
from swarm_memory.errors import ConflictError
from swarm_memory.key import escape
from swarm_memory.layout import Layout

with extra("google-adk"):
    from google.adk.memory.base_memory_service import BaseMemoryService, SearchMemoryResponse
    from google.adk.memory.memory_entry import MemoryEntry
    from google.genai.types import Content, Part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.adk.events.event import Event
    from google.adk.sessions.session import Session

    from swarm_memory.model import Json, Record
    from swarm_memory.swarm import Swarm

ROOT = "adk"
NAME_BYTES = 56  # of each name in a key: four of them and what stands between fit into it
FOUND_MAX = 10  # what ADK's own service returns
NO_SESSION = "unknown"  # of events that were added without one
BATCH = 500
ATTEMPTS_MAX = 100  # each of them lost to somebody who wrote an event of the same session
TTL = "ttl_s"


class SwarmMemoryService(BaseMemoryService):
    """The memories of ADK's users, in a swarm."""

    def __init__(
        self,
        swarm: Swarm,
        *,
        also: Sequence[str] | None = None,
        limit: int = FOUND_MAX,
        min_score: float = 0.0,
    ) -> None:
        """Keep memories in an open swarm, which stays the caller's to close.

        Args:
            also: Key prefixes that every search looks in beside the user's own memories, for all
                apps and users alike; None is the knowledge that the swarm shares, () nothing.
            limit: How many memories a search returns at most.
            min_score: Leave out what answers a question less well, 0 to 1; see `Search.search`.
        """
        self._swarm = swarm
        if also is None:
            also = (Layout(swarm.context.swarm, swarm.context.agent).knowledge(),)
        self._also = tuple(also)
        self._limit = limit
        self._min_score = min_score

    async def add_session_to_memory(self, session: Session) -> None:
        """Add the events of a session that have a text and are not there yet.

        One that was deleted from memory stays deleted.

        Raises:
            LimitExceededError: An event, or what all have together, is larger than may be.
        """
        await self.add_events_to_memory(
            app_name=session.app_name,
            user_id=session.user_id,
            events=session.events,
            session_id=session.id,
        )

    async def add_events_to_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        events: Sequence[Event],
        session_id: str | None = None,
        custom_metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Add those of some events that have a text and are not there yet.

        Args:
            custom_metadata: Kept with each event, and with its memory when that is found;
                `ttl_s` in it is the seconds after which they are forgotten.
        """
        session = session_id or NO_SESSION
        about, ttl_s = _metadata(custom_metadata)
        prefix = f"{_home(app_name, user_id)}/sessions/{_name(session)}/"
        # What is written is read off the events now: the caller may change them meanwhile.
        puts = {
            event.id: Put(prefix + _event_name(event), _of_event(event, session) | about, 0, ttl_s)
            for event in events
            if _text_of(event.content)
        }
        await asyncio.to_thread(self._add, prefix, puts)

    def _add(self, prefix: str, puts: dict[str, Put]) -> None:
        records = self._swarm.records
        for attempt in range(ATTEMPTS_MAX):
            there = {record.value["id"] for record in records.each(prefix) if _is_ours(record)}
            new = [put for event_id, put in puts.items() if event_id not in there]
            try:
                for start in range(0, len(new), BATCH):
                    records.put_many(new[start : start + BATCH], on_conflict="reject")
                return
            except ConflictError:
                # Somebody adds the same session: look what is left to do.
                if attempt + 1 == ATTEMPTS_MAX:
                    raise

    async def add_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        memories: Sequence[MemoryEntry],
        custom_metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Add memories, all or none; one with the id of an earlier one replaces it.

        Args:
            custom_metadata: Kept with each, beside its own; `ttl_s` as for events.
        """
        about, ttl_s = _metadata(custom_metadata)
        prefix = f"{_home(app_name, user_id)}/memories/"
        now_ms = int(datetime.now(UTC).timestamp() * 1000)
        puts = []
        for memory in memories:
            memory_id = memory.id or new_id(now_ms)
            value = _of_memory(memory, memory_id, about)
            puts.append(Put(prefix + _name(memory_id), value, ttl_s=ttl_s))
        await asyncio.to_thread(self._swarm.records.put_many, puts)

    async def search_memory(
        self, *, app_name: str, user_id: str, query: str
    ) -> SearchMemoryResponse:
        """Return what answers a question best, of this user's memories and of what is shared."""
        prefixes = (f"{_home(app_name, user_id)}/", *self._also)
        search = partial(
            find, self._swarm, query, prefixes, limit=self._limit, min_score=self._min_score
        )
        hits = await asyncio.to_thread(search, says=_said)
        return SearchMemoryResponse(memories=[_memory(hit.record) for hit in hits])

    async def delete_memory(
        self, *, app_name: str, user_id: str, memory_id: str | None = None
    ) -> None:
        """Delete what a search returned as `memory_id`; nothing if this user has none such.

        Its history is kept as that of any record is. An event stays deleted when its session is
        added again.
        """
        if memory_id:
            await asyncio.to_thread(self._delete, _home(app_name, user_id), memory_id)

    def _delete(self, home: str, memory_id: str) -> None:
        records = self._swarm.records
        records.delete(f"{home}/memories/{_name(memory_id)}")
        for record in records.each(f"{home}/sessions/"):
            if _is_ours(record) and record.value["id"] == memory_id and record.value["text"]:
                # An event is never changed but by who deletes it: if that was another, it is done.
                mark = {"id": memory_id, "text": "", "deleted": True}
                records.put(record.key, mark, expect=record.version, on_conflict="first_write")


def _home(app_name: str, user_id: str) -> str:
    return f"{ROOT}/{_name(app_name)}/{_name(user_id)}"


def _name(text: str) -> str:
    return escape(text, limit=NAME_BYTES)


def _event_name(event: Event) -> str:
    """Return a name that sorts by time, so that search knows what stands around an event."""
    stamp = f"{max(0, round(event.timestamp * 1000)):013d}-"
    return stamp + escape(event.id, limit=NAME_BYTES - len(stamp))


def _metadata(given: Mapping[str, object] | None) -> tuple[dict[str, Json], float | None]:
    """Return what goes into a value, and the time to live."""
    rest: dict[str, Json] = dict(given or {})
    ttl_s = rest.pop(TTL, None)
    return ({"metadata": rest} if rest else {}), ttl_s


def _of_event(event: Event, session: str) -> dict[str, Json]:
    return _of_content(event.content) | {
        "id": event.id,
        "session": session,
        "author": event.author,
        "timestamp": datetime.fromtimestamp(event.timestamp, UTC).isoformat(),
    }


def _of_memory(memory: MemoryEntry, memory_id: str, about: dict[str, Json]) -> dict[str, Json]:
    value = _of_content(memory.content) | {"id": memory_id}
    if memory.author is not None:
        value["author"] = memory.author
    if memory.timestamp is not None:
        value["timestamp"] = memory.timestamp
    metadata = about.get("metadata", {}) | memory.custom_metadata
    return value | ({"metadata": metadata} if metadata else {})


def _of_content(content: Content | None) -> dict[str, Json]:
    """Return a content as others can read it: its text, and all of it where it is more."""
    value: dict[str, Json] = {"text": _text_of(content)}
    if content is None:
        return value
    if content.role is not None:
        value["role"] = content.role
    if _content(value) != content:
        value["content"] = content.model_dump(mode="json", exclude_none=True)
    return value


def _text_of(content: Content | None) -> str:
    parts = content.parts if content is not None and content.parts else []
    return "\n".join(part.text for part in parts if part.text)


def _is_ours(record: Record) -> bool:
    """Tell whether a record is a memory of ADK's; anybody may write whatever beside them."""
    value = record.value
    return (
        record.key.startswith(f"{ROOT}/")
        and isinstance(value, dict)
        and {"id", "text"} <= set(value)
    )


def _said(record: Record) -> str | None:
    text: str | None = record.value["text"] if _is_ours(record) else shown(record.value)
    return text


def _content(value: dict[str, Json]) -> Content:
    if isinstance(value.get("content"), dict):
        return Content.model_validate(value["content"])
    return Content(role=value.get("role"), parts=[Part(text=value["text"])])


def _memory(record: Record) -> MemoryEntry:
    value = record.value
    if _is_ours(record):
        return MemoryEntry(
            id=value["id"],
            content=_content(value),
            author=value.get("author"),
            timestamp=value.get("timestamp") or _iso(record.created_ms),
            custom_metadata=value.get("metadata", {}),
        )
    return MemoryEntry(
        id=record.key,
        content=Content(role="user", parts=[Part(text=shown(value))]),
        author=record.author,
        timestamp=_iso(record.updated_ms),
        custom_metadata={"key": record.key},
    )


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


__all__ = ["SwarmMemoryService"]
