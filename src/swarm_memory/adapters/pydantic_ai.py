"""pydantic-ai: conversations with their branches and forks, in the swarm.

    conversation = await store.load("pump-17") or Conversation(conversation_id="pump-17")
    result = await agent.run("…", conversation=conversation)
    await store.save(result)

Keys, below `conversations/pydantic-ai`:

    records/CONVERSATION   where its history ends, its usage, scope and branches
    entries/ENTRY          one message and the entry before it
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from swarm_memory.adapters import extra
from swarm_memory.adapters.values import packed, unpacked
from swarm_memory.errors import ConflictError, InvalidValueError
from swarm_memory.key import escape
from swarm_memory.records import Put

with extra("pydantic-ai"):
    from anyio.to_thread import run_sync
    from pydantic import ConfigDict, TypeAdapter
    from pydantic_ai.conversation_store import (
        ConversationConflict,
        ConversationEntry,
        ConversationRecord,
        ConversationStore,
    )
    from pydantic_ai.messages import ModelMessagesTypeAdapter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from swarm_memory.model import Json, Record
    from swarm_memory.records import Records
    from swarm_memory.swarm import Swarm

PREFIX = "conversations/pydantic-ai"
ID_BYTES = 120
# As `ModelMessagesTypeAdapter` has it, which only a list can be given.
_RECORDS = TypeAdapter(
    list[ConversationRecord],
    config=ConfigDict(ser_json_bytes="base64", val_json_bytes="base64"),
)


class SwarmConversationStore(ConversationStore):
    """A `ConversationStore` of pydantic-ai on a swarm.

    A save writes its record and its new entries together or not at all, and only over the
    revision that it was made from: of several that continue the same one, one wins and the
    others get `ConversationConflict`. Deleting a conversation deletes the entries that no other
    conversation's history or branch uses, in the same transaction; the history of records keeps
    their text until `forget`. The calls run in worker threads, under asyncio and trio.
    """

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm

    async def read_record(self, conversation_id: str) -> ConversationRecord | None:
        """Return the record of a conversation; None if there is none."""
        record = await run_sync(self._swarm.records.get, _record_key(conversation_id))
        return None if record is None else _record_of(record)

    async def read_records(
        self, *, scope: str | None = None, limit: int | None = None
    ) -> list[ConversationRecord]:
        """Return the records, of all scopes or one, the one saved last first."""
        return await run_sync(self._read_records, scope, limit)

    async def write_record(
        self,
        record: ConversationRecord,
        *,
        new_entries: Sequence[ConversationEntry] = (),
        expected_revision: str | None,
    ) -> None:
        """Store a record and new entries, all or nothing.

        Raises:
            ConversationConflict: The stored revision is another one, an entry is there already,
                or what the record or its first new entry points at is not there.
        """
        await run_sync(self._write, record, new_entries, expected_revision)

    async def delete_record(self, conversation_id: str, *, expected_revision: str) -> None:
        """Delete a conversation, and the entries that no other one reaches.

        Raises:
            ConversationConflict: It is not stored with this revision.
        """
        await run_sync(self._delete, conversation_id, expected_revision)

    async def read_entry(self, entry_id: str) -> ConversationEntry:
        """Return an entry.

        Raises:
            LookupError: There is none with this id.
        """
        return await run_sync(self._read_entry, entry_id)

    async def read_history(
        self, head_id: str | None, *, limit: int | None = None
    ) -> list[ConversationEntry]:
        """Return the entries up to `head_id` in order, or the last `limit` of them.

        Raises:
            LookupError: One of them is not there.
        """
        return await run_sync(self._read_history, head_id, limit)

    # --- reading ---

    def _read_records(self, scope: str | None, limit: int | None) -> list[ConversationRecord]:
        found = [
            _record_of(record)
            for record in self._swarm.records.each(f"{PREFIX}/records/")
            if _is_record(record) and (scope is None or record.value.get("scope") == scope)
        ]
        found.sort(key=lambda record: record.updated_at, reverse=True)
        return found[:limit]

    def _read_entry(self, entry_id: str) -> ConversationEntry:
        record = self._swarm.records.get(_entry_key(entry_id))
        if record is None:
            raise LookupError(f"there is no entry {entry_id!r}")
        return _entry_of(record.value)

    def _read_history(self, head_id: str | None, limit: int | None) -> list[ConversationEntry]:
        found: list[ConversationEntry] = []
        while head_id is not None and (limit is None or len(found) < limit):
            found.append(self._read_entry(head_id))
            head_id = found[-1].parent_id
        found.reverse()
        return found

    # --- writing ---

    def _write(
        self,
        record: ConversationRecord,
        entries: Sequence[ConversationEntry],
        expected_revision: str | None,
    ) -> None:
        try:
            self._write_as(record, entries, expected_revision, plain=True)
        except InvalidValueError:
            self._write_as(record, entries, expected_revision, plain=False)
        except ConflictError as conflict:
            raise ConversationConflict(record.conversation_id) from conflict

    def _write_as(
        self,
        record: ConversationRecord,
        entries: Sequence[ConversationEntry],
        expected_revision: str | None,
        *,
        plain: bool,
    ) -> None:
        def write(records: Records, families: list[str] | None = None) -> None:
            stored = _expected(records, record.conversation_id, expected_revision)
            if families is None:
                families = stored.value["families"] if stored else [record.conversation_id]
            values = [_record_value(record, families, plain=plain)]
            values += [_entry_value(entry, families[0], plain=plain) for entry in entries]
            keys = [_record_key(record.conversation_id), *(_entry_key(e.id) for e in entries)]
            expect = [stored.version if stored else 0, *(0 for _ in entries)]
            puts = [Put(*each) for each in zip(keys, values, expect, strict=True)]
            records.put_many(puts, on_conflict="reject")

        new = {entry.id for entry in entries}
        follows = entries[0].parent_id if entries else None
        if record.head_id in new and (expected_revision or follows is None):
            # What the entries follow is in the history of the record that is expected to be as
            # it was, so nobody has removed it.
            write(self._swarm.records)
            return

        def write_checked(tx: Any) -> None:
            # A fork or a branch: what it points at may be removed by somebody else's delete.
            stored = _expected(tx.records, record.conversation_id, expected_revision)
            families = list(stored.value["families"]) if stored else []
            for entry_id in (record.head_id, follows):
                if entry_id is None or entry_id in new:
                    continue
                entry = tx.records.get(_entry_key(entry_id))
                if entry is None:
                    raise ConversationConflict(record.conversation_id)
                if entry.value["family"] not in families:
                    families.append(entry.value["family"])
            write(tx.records, families or [record.conversation_id])

        self._swarm.transact(write_checked)

    def _delete(self, conversation_id: str, expected_revision: str) -> None:
        def delete(tx: Any) -> None:
            stored = _expected(tx.records, conversation_id, expected_revision)
            tx.records.delete(stored.key)
            used: set[str] = set()
            for other in tx.records.each(f"{PREFIX}/records/"):
                # Only a fork shares entries, and it is of the same family.
                if _is_record(other) and set(other.value["families"]) & set(
                    stored.value["families"]
                ):
                    used.update(_reached(tx.records, _tips(other.value), used))
            for entry_id in list(_reached(tx.records, _tips(stored.value), used)):
                tx.records.delete(_entry_key(entry_id))

        self._swarm.transact(delete)


def _expected(records: Records, conversation_id: str, revision: str | None) -> Any:
    """Return the stored record if it has the revision, None if neither is there.

    Raises:
        ConversationConflict: It has another one, or only one of both is there.
    """
    stored = records.get(_record_key(conversation_id))
    if (stored.value["revision"] if stored else None) != revision:
        raise ConversationConflict(conversation_id)
    return stored


def _tips(value: dict[str, Json]) -> list[str]:
    return [tip for tip in (value["head_id"], *value["branches"]) if tip is not None]


def _reached(records: Records, tips: Iterable[str], used: set[str]) -> Iterator[str]:
    """Iterate over the entries that `tips` lead to, each once, without those that are `used`."""
    seen = set(used)
    for tip in tips:
        entry_id: str | None = tip
        while entry_id is not None and entry_id not in seen:
            entry = records.get(_entry_key(entry_id))
            if entry is None:
                break
            seen.add(entry_id)
            yield entry_id
            entry_id = entry.value["parent_id"]


def _record_key(conversation_id: str) -> str:
    return f"{PREFIX}/records/{escape(conversation_id, limit=ID_BYTES)}"


def _entry_key(entry_id: str) -> str:
    return f"{PREFIX}/entries/{escape(entry_id, limit=ID_BYTES)}"


def _is_record(record: Record) -> bool:
    return isinstance(record.value, dict) and "revision" in record.value


def _record_value(
    record: ConversationRecord, families: list[str], *, plain: bool
) -> dict[str, Json]:
    value: dict[str, Json] = _RECORDS.dump_python([record], mode="json")[0]
    paused = value.pop("deferred_tool_requests")
    return value | packed("deferred_tool_requests", paused, plain=plain) | {"families": families}


def _record_of(record: Record) -> ConversationRecord:
    value = dict(record.value)
    value["deferred_tool_requests"] = unpacked(value, "deferred_tool_requests")
    for name in ("families", "deferred_tool_requests_json"):
        value.pop(name, None)
    return _RECORDS.validate_json(json.dumps([value]))[0]


def _entry_value(entry: ConversationEntry, family: str, *, plain: bool) -> dict[str, Json]:
    message = ModelMessagesTypeAdapter.dump_python([entry.message], mode="json")[0]
    about = {"id": entry.id, "parent_id": entry.parent_id, "kind": entry.kind, "family": family}
    return about | packed("message", message, plain=plain)


def _entry_of(value: dict[str, Json]) -> ConversationEntry:
    message = [unpacked(value, "message")]
    if "message" in value:
        messages = ModelMessagesTypeAdapter.validate_json(json.dumps(message))
    else:
        # Half a character is no JSON for pydantic, but may stand in a text of Python's.
        messages = ModelMessagesTypeAdapter.validate_python(message)
    return ConversationEntry(
        id=value["id"], parent_id=value["parent_id"], message=messages[0], kind=value["kind"]
    )
