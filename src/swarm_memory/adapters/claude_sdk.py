"""Claude Agent SDK: transcripts of its sessions, mirrored to the swarm and resumed from it.

    options = ClaudeAgentOptions(session_store=SwarmSessionStore(swarm))

Keys, below `conversations/claude/PROJECT`:

    sessions/SESSION             what the list of sessions says of one, and its summary
    subpaths/SESSION/SUBPATH     the same of a subagent's transcript
    entries/SESSION/main/…       the entries, each as Claude Code wrote it
    entries/SESSION/sub-SUBPATH/…
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from swarm_memory.adapters import extra
from swarm_memory.adapters.transcript import Entry, Head, Transcript, sweep
from swarm_memory.key import escape

with extra("claude-sdk"):
    from anyio.to_thread import run_sync
    from claude_agent_sdk import SessionStore, fold_session_summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from claude_agent_sdk.types import (
        SessionKey,
        SessionListSubkeysKey,
        SessionStoreEntry,
        SessionStoreListEntry,
        SessionSummaryEntry,
    )

    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm

PREFIX = "conversations/claude"
PROJECT_BYTES, SESSION_BYTES, SUBPATH_BYTES = 64, 40, 52


class SwarmSessionStore(SessionStore):
    """A `SessionStore` of the Claude Agent SDK on a swarm.

    Sessions are written by any number of processes at once. An entry with a `uuid` is stored
    once, however often it is appended; batches keep their order and are there whole or not at
    all. What is deleted is gone for everybody who reads; the history of records keeps its text
    for a while, and `forget` removes it from there. The calls run in worker threads, under asyncio
    and trio.
    """

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm

    async def append(self, key: SessionKey, entries: list[SessionStoreEntry]) -> None:
        """Append a batch; entries that are there already are left as they are."""
        await run_sync(self._append, key, entries)

    async def load(self, key: SessionKey) -> list[SessionStoreEntry] | None:
        """Return the entries in the order of appending; None if nothing was ever appended."""
        return cast("list[SessionStoreEntry] | None", await run_sync(self._transcript(key).read))

    async def list_sessions(self, project_key: str) -> list[SessionStoreListEntry]:
        """Return the sessions of a project with the time of their last append."""
        return await run_sync(self._list_sessions, project_key)

    async def list_session_summaries(self, project_key: str) -> list[SessionSummaryEntry]:
        """Return the summaries of a project's sessions, each of the moment of its `mtime`."""
        return await run_sync(self._list_session_summaries, project_key)

    async def delete(self, key: SessionKey) -> None:
        """Delete a subagent's transcript, or a session with those of all its subagents."""
        await run_sync(self._delete, key)

    async def list_subkeys(self, key: SessionListSubkeysKey) -> list[str]:
        """Return the subpaths of a session's subagents."""
        return await run_sync(self._list_subkeys, key)

    def _append(self, key: SessionKey, entries: list[SessionStoreEntry]) -> None:
        about = dict(key)

        def fold(before: Json, new: list[Json]) -> Json:
            if key.get("subpath"):
                return about
            folded = fold_session_summary(before and before["summary"], key, new)
            return about | {"summary": folded}

        self._transcript(key).append([Entry(entry, _id_of(entry)) for entry in entries], fold)

    def _list_sessions(self, project_key: str) -> list[SessionStoreListEntry]:
        return [
            {"session_id": head.about["session_id"], "mtime": head.record.updated_ms}
            for head in self._heads(f"{_project(project_key)}/sessions")
        ]

    def _list_session_summaries(self, project_key: str) -> list[SessionSummaryEntry]:
        return [
            head.about["summary"] | {"mtime": head.record.updated_ms}
            for head in self._heads(f"{_project(project_key)}/sessions")
        ]

    def _list_subkeys(self, key: SessionListSubkeysKey) -> list[str]:
        return [head.about["subpath"] for head in self._heads(_subpaths(key))]

    def _delete(self, key: SessionKey) -> None:
        if key.get("subpath"):
            self._transcript(key).remove()
            return
        main = self._transcript(key).head

        def heads() -> list[str]:
            return [main, *(head.record.key for head in self._heads(_subpaths(key)))]

        def forget(tx: Any) -> None:
            for head in [main, *(record.key for record in tx.records.each(f"{_subpaths(key)}/"))]:
                tx.records.delete(head)

        self._swarm.transact(forget)
        sweep(self._swarm, _entries(key), heads)

    def _heads(self, prefix: str) -> Iterator[Head]:
        for record in self._swarm.records.each(f"{prefix}/"):
            head = Head.of(record)
            if head is not None:
                yield head

    def _transcript(self, key: SessionKey) -> Transcript:
        subpath = key.get("subpath")
        if not subpath:
            head = f"{_project(key['project_key'])}/sessions/{_session(key)}"
            return Transcript(self._swarm, head, f"{_entries(key)}/main")
        name = escape(subpath, limit=SUBPATH_BYTES)
        return Transcript(self._swarm, f"{_subpaths(key)}/{name}", f"{_entries(key)}/sub-{name}")


def _id_of(entry: SessionStoreEntry) -> str | None:
    uuid = entry.get("uuid")
    return uuid if isinstance(uuid, str) and uuid else None


def _project(project_key: str) -> str:
    return f"{PREFIX}/{escape(project_key, limit=PROJECT_BYTES)}"


def _session(key: SessionKey | SessionListSubkeysKey) -> str:
    return escape(key["session_id"], limit=SESSION_BYTES)


def _subpaths(key: SessionKey | SessionListSubkeysKey) -> str:
    return f"{_project(key['project_key'])}/subpaths/{_session(key)}"


def _entries(key: SessionKey | SessionListSubkeysKey) -> str:
    return f"{_project(key['project_key'])}/entries/{_session(key)}"
