"""LangGraph's short-term memory, `BaseCheckpointSaver`, on a swarm's records.

    with Swarm.open("sqlite:///memory.db", agent="planner", swarm="team") as swarm:
        graph = builder.compile(checkpointer=SwarmSaver(swarm))

A checkpoint is one record, so that no part of it can be missing:

    checkpoints/langgraph/THREAD/NAMESPACE/c/CHECKPOINT         state, metadata and parent
    checkpoints/langgraph/THREAD/NAMESPACE/w/CHECKPOINT/TASK    what one task wrote after it

They are telemetry: neither searches nor listings show them unless they are asked for.
"""

from __future__ import annotations

import asyncio
import random
from binascii import a2b_base64, b2a_base64
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

import zstandard

from swarm_memory import ConflictError, InvalidArgumentError, InvalidValueError, Record, Swarm
from swarm_memory.adapters import extra
from swarm_memory.adapters.langgraph_items import part_of
from swarm_memory.codec import check_value
from swarm_memory.key import escape

with extra("langgraph"):
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import (
        WRITES_IDX_MAP,
        BaseCheckpointSaver,
        ChannelVersions,
        Checkpoint,
        CheckpointMetadata,
        CheckpointTuple,
        DeltaChannelHistory,
        PendingWrite,
        get_checkpoint_id,
        get_checkpoint_metadata,
        writes_sort_key,
    )
    from langgraph.checkpoint.serde.base import SerializerProtocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.records import Records
    from swarm_memory.swarm import Transaction

ROOT = "checkpoints/langgraph/"
NAME_BYTES, ID_BYTES = 60, 40  # of the parts of a key; longer ones are cut, and stand in the value
PAGE_ROWS = 20  # of checkpoints, which may be large
COMPRESS_BYTES_MIN, COMPRESS_LEVEL = 1024, 1
EXPANDED_BYTES_MAX = 2**30
KEYS_ROWS = 1000
ATTEMPTS_MAX = 1000
PendingWrites = list[PendingWrite]
STRATEGIES = ("keep_latest", "delete")


class SwarmSaver(BaseCheckpointSaver[str]):
    """Checkpoints of LangGraph threads as records of a swarm.

    Any number of processes may run threads on one store. What a task wrote is kept the first
    time it is told, also if two processes tell it at once. Deleted checkpoints can be brought
    back from the records' history for a month, as everything that is deleted.

    Args:
        swarm: An open swarm; the caller closes it.
        serde: LangGraph's serializer, such as `EncryptedSerializer`; None takes its default.
    """

    def __init__(self, swarm: Swarm, *, serde: SerializerProtocol | None = None) -> None:
        super().__init__(serde=serde)
        self._swarm = swarm
        self._records = swarm.records

    # --- reading ---

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint that `config` names, or the newest of its namespace."""
        space, wanted = _space_of(config), get_checkpoint_id(config)
        if wanted:
            record = self._records.get(_checkpoint_key(space, wanted))
        else:
            newest = self._records.scan(f"{space}/c/", limit=1, reverse=True)
            record = newest[0] if newest else None
        return None if record is None else self._tuple_of(record)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Iterate over checkpoints, newest first.

        Args:
            config: Names a thread, and if it likes a namespace and a checkpoint; None takes all.
            filter: What their metadata must have, each value as it is there; a name with periods
                is a path of keys.
            before: Only checkpoints with a smaller id than this one's.
            limit: Only so many.
        """
        end = get_checkpoint_id(before) if before else None
        found = 0
        rows = PAGE_ROWS if limit is None or filter else max(1, min(limit, PAGE_ROWS))
        for record in self._newest_first(config, end, rows):
            if limit is not None and found >= limit:
                return
            metadata = self._metadata_of(record)
            if filter and any(part_of(metadata, name) != value for name, value in filter.items()):
                continue
            found += 1
            yield self._tuple_of(record)

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return for each channel what its ancestors wrote, oldest first, and its `seed`.

        A channel's way back ends at the nearest ancestor that has its value: that is the seed.
        """
        seeds: dict[str, Any] = {}
        written: dict[str, PendingWrites] = {channel: [] for channel in channels}
        missing = set(channels)
        for item in self._ancestors(config) if missing else ():
            for write in reversed(item.pending_writes or []):
                if write[1] in missing:
                    written[write[1]].append(write)
            values = item.checkpoint["channel_values"]
            seeds |= {channel: values[channel] for channel in missing if channel in values}
            missing -= seeds.keys()
            if not missing:
                break
        history: dict[str, DeltaChannelHistory] = {}
        for channel, writes in written.items():
            history[channel] = {"writes": writes[::-1]}
            if channel in seeds:
                history[channel]["seed"] = seeds[channel]
        return history

    def _ancestors(self, config: RunnableConfig) -> Iterator[CheckpointTuple]:
        """Iterate over the ancestors of a checkpoint, nearest first, each once."""
        seen: set[str] = set()
        item = self.get_tuple(config)
        while item is not None and item.parent_config is not None:
            parent_id = str(get_checkpoint_id(item.parent_config))
            # A checkpoint that was put again over its own descendant closes a ring.
            if parent_id in seen:
                return
            seen.add(parent_id)
            item = self.get_tuple(item.parent_config)
            if item is not None:
                yield item

    def _newest_first(
        self, config: RunnableConfig | None, end: str | None, rows: int
    ) -> Iterator[Record]:
        wanted = get_checkpoint_id(config) if config else None
        spaces = self._spaces(config)
        if wanted:
            found = [self._records.get(_checkpoint_key(space, wanted)) for space in spaces]
            yield from (r for r in found if r is not None and (end is None or wanted < end))
        elif len(spaces) == 1:
            yield from self._down(spaces[0], end, rows)
        else:
            yield from self._merged(spaces, end)

    def _down(self, space: str, end: str | None, rows: int) -> Iterator[Record]:
        """Iterate over the checkpoints of one namespace whose id is smaller than `end`."""
        after = None if end is None else _checkpoint_key(space, end)
        while True:
            page = self._records.scan(f"{space}/c/", limit=rows, after=after, reverse=True)
            yield from page
            if page.next_after is None:
                return
            after = page.next_after

    def _merged(self, spaces: Sequence[str], end: str | None) -> Iterator[Record]:
        """Iterate over the checkpoints of several namespaces, one at a time in memory."""
        keys = [key for space in spaces for key in self._keys(f"{space}/c/")]
        keys.sort(key=lambda key: key.rpartition("/")[2], reverse=True)
        for key in keys:
            record = self._records.get(key)
            if record is not None and (end is None or record.value["checkpoint_id"] < end):
                yield record

    def _spaces(self, config: RunnableConfig | None) -> Sequence[str]:
        """Return the keys of the namespaces that `config` means."""
        if config is not None:
            if config["configurable"].get("checkpoint_ns") is not None:
                return [_space_of(config)]
            root = _thread_key(config["configurable"]["thread_id"])
        else:
            root = ROOT
        return sorted({_parts(key)[0] for key in self._keys(root) if _is_checkpoint(key)})

    def _keys(self, prefix: str, records: Records | None = None) -> Iterator[str]:
        after: str | None = None
        while True:
            page = (records or self._records).keys(
                prefix, limit=KEYS_ROWS, after=after, telemetry=True
            )
            yield from page
            if len(page) < KEYS_ROWS:
                return
            after = page[-1]

    # --- writing ---

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint whole, and return what names it.

        Raises:
            LimitExceededError: It has more than the store's `value_bytes_max` as JSON and base64.
        """
        configurable = config["configurable"]
        thread_id, space = configurable["thread_id"], configurable.get("checkpoint_ns", "")
        value = {
            "thread_id": str(thread_id),
            "checkpoint_ns": space,
            "checkpoint_id": checkpoint["id"],
            "parent_id": configurable.get("checkpoint_id"),
            "metadata": self._plain_or_packed(get_checkpoint_metadata(config, metadata)),
            "checkpoint": self._packed(checkpoint),
        }
        self._records.put(_checkpoint_key(_space_of(config), checkpoint["id"]), value)
        return _config(thread_id, space, checkpoint["id"])

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store what a task wrote after a checkpoint, all of it or nothing.

        What was stored before stays, but for errors, interrupts and the like: of these the last
        counts.
        """
        checkpoint_id = str(config["configurable"]["checkpoint_id"])
        key = _writes_key(_space_of(config), checkpoint_id, task_id)
        mine = {
            str(WRITES_IDX_MAP.get(channel, number)): {
                "channel": channel,
                "path": task_path,
                **self._packed(value),
            }
            for number, (channel, value) in enumerate(writes)
        }
        record: Record | None = None  # nearly always nothing was written before
        for _ in range(ATTEMPTS_MAX):
            kept = {} if record is None else record.value["writes"]
            merged = {**mine, **{n: w for n, w in kept.items() if n not in mine or int(n) >= 0}}
            if record is not None and merged == kept:
                return
            value = {"checkpoint_id": checkpoint_id, "task_id": task_id, "writes": merged}
            expect = 0 if record is None else record.version
            try:
                # Rejected whatever the category is set to: what was first has to be seen.
                self._records.put(key, value, expect=expect, on_conflict="reject")
                return
            except ConflictError as error:
                conflict = error
            record = self._records.get(key)
        raise conflict

    # --- removing and copying ---

    def delete_thread(self, thread_id: str) -> None:
        """Delete all checkpoints and writes of a thread, in one transaction."""
        self._swarm.transact(lambda tx: self._delete_below(tx, _thread_key(thread_id)))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints of runs and what was written after them, in all threads.

        It looks at every checkpoint there is. Each one goes together with its writes.
        """
        wanted = {str(run_id) for run_id in run_ids}
        if not wanted:
            return
        for key in list(self._keys(ROOT)):
            record = self._records.get(key) if _is_checkpoint(key) else None
            if record is not None and str(self._metadata_of(record).get("run_id")) in wanted:
                self._swarm.transact(partial(self._delete_checkpoint, key=key))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread whole, in one transaction; what the target has with the same ids goes."""
        source, target = _thread_key(source_thread_id), _thread_key(target_thread_id)

        def copy(tx: Transaction) -> None:
            for key in list(self._keys(source, tx.records)):
                record = tx.records.get(key)
                if record is not None:
                    value = record.value
                    if "thread_id" in value:
                        value = {**value, "thread_id": str(target_thread_id)}
                    tx.records.put(target + key.removeprefix(source), value)

        self._swarm.transact(copy)

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete old checkpoints of threads, each thread in one transaction.

        Args:
            strategy: "keep_latest" keeps the newest checkpoint of each namespace, and of its
                ancestors those that a channel needs which is stored as differences; "delete"
                keeps nothing.
        """
        if strategy not in STRATEGIES:
            raise InvalidArgumentError(
                f"strategy {strategy!r}", hint=f"one of {', '.join(STRATEGIES)}"
            )
        for thread_id in thread_ids:
            if strategy == "delete":
                self.delete_thread(thread_id)
            else:
                self._swarm.transact(partial(self._keep_latest, root=_thread_key(thread_id)))

    def _keep_latest(self, tx: Transaction, root: str) -> None:
        spaces: dict[str, list[str]] = {}
        for key in self._keys(root, tx.records):
            if _is_checkpoint(key):
                spaces.setdefault(_parts(key)[0], []).append(key)
        for keys in spaces.values():
            kept = self._needed(tx, max(keys))
            for key in keys:
                if key not in kept:
                    self._delete_checkpoint(tx, key)

    def _needed(self, tx: Transaction, newest: str) -> set[str]:
        """Return the keys of a checkpoint and of what its channels of differences begin with."""
        record, kept = tx.records.get(newest), {newest}
        if record is None:
            return kept
        space, _ = _parts(newest)
        counters = self._metadata_of(record).get("counters_since_delta_snapshot") or {}
        missing = set(counters) - set(self._checkpoint_of(record)["channel_values"])
        while missing and record.value["parent_id"]:
            record = tx.records.get(_checkpoint_key(space, record.value["parent_id"]))
            if record is None or record.key in kept:
                break
            kept.add(record.key)
            missing -= set(self._checkpoint_of(record)["channel_values"])
        return kept

    def _delete_checkpoint(self, tx: Transaction, key: str) -> None:
        space, name = _parts(key)
        tx.records.delete(key)
        self._delete_below(tx, f"{space}/w/{name}/")

    def _delete_below(self, tx: Transaction, prefix: str) -> None:
        for key in list(self._keys(prefix, tx.records)):
            tx.records.delete(key)

    # --- values ---

    def _packed(self, value: Any) -> dict[str, str]:
        """Return a value as LangGraph's type and base64, of its bytes or, if shorter, of zstd."""
        type_, data = self.serde.dumps_typed(value)
        if len(data) >= COMPRESS_BYTES_MIN:
            # Before base64, of which three quarters are all that the store could save.
            shorter = zstandard.ZstdCompressor(level=COMPRESS_LEVEL).compress(data)
            if len(shorter) < len(data):
                return {"type": type_, "zstd": _text_of(shorter)}
        return {"type": type_, "base64": _text_of(data)}

    def _unpacked(self, packed: Mapping[str, str]) -> Any:
        if "zstd" in packed:
            data = a2b_base64(packed["zstd"])
            if zstandard.frame_content_size(data) > EXPANDED_BYTES_MAX:
                raise InvalidValueError("a checkpoint claims to expand to more than anybody stored")
            data = zstandard.ZstdDecompressor().decompress(data)
        else:
            data = a2b_base64(packed["base64"])
        return self.serde.loads_typed((packed["type"], data))

    def _plain_or_packed(self, metadata: Any) -> dict[str, Any]:
        """Return metadata as JSON that anybody can read, if it is JSON."""
        try:
            check_value(metadata)
        except InvalidValueError:
            return {"packed": self._packed(metadata)}
        return {"plain": metadata}

    def _metadata_of(self, record: Record) -> dict[str, Any]:
        metadata = record.value["metadata"]
        plain = metadata["plain"] if "plain" in metadata else self._unpacked(metadata["packed"])
        return cast("dict[str, Any]", plain)

    def _checkpoint_of(self, record: Record) -> Checkpoint:
        return cast("Checkpoint", self._unpacked(record.value["checkpoint"]))

    def _tuple_of(self, record: Record) -> CheckpointTuple:
        value = record.value
        where = value["thread_id"], value["checkpoint_ns"]
        parent_id = value["parent_id"]
        return CheckpointTuple(
            config=_config(*where, value["checkpoint_id"]),
            checkpoint=self._checkpoint_of(record),
            metadata=cast("CheckpointMetadata", self._metadata_of(record)),
            parent_config=_config(*where, parent_id) if parent_id else None,
            pending_writes=self._writes_of(record.key),
        )

    def _writes_of(self, key: str) -> PendingWrites:
        """Return the writes after a checkpoint in the order in which a run applies them."""
        space, name = _parts(key)
        found = []
        for record in self._records.each(f"{space}/w/{name}/", telemetry=True):
            task_id = record.value["task_id"]
            for number, write in record.value["writes"].items():
                order = writes_sort_key(write["path"], task_id, int(number))
                found.append((order, (task_id, write["channel"], self._unpacked(write))))
        return [write for _, write in sorted(found, key=lambda pair: pair[0])]

    # --- async: the same in a thread ---

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Do what `get_tuple` does in a thread."""
        return await asyncio.to_thread(self.get_tuple, config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Do what `list` does, each step in a thread."""
        found = self.list(config, filter=filter, before=before, limit=limit)
        while (item := await asyncio.to_thread(next, found, None)) is not None:
            yield item

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Do what `put` does in a thread."""
        return await asyncio.to_thread(self.put, config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Do what `put_writes` does in a thread."""
        await asyncio.to_thread(self.put_writes, config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Do what `delete_thread` does in a thread."""
        await asyncio.to_thread(self.delete_thread, thread_id)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Do what `delete_for_runs` does in a thread."""
        await asyncio.to_thread(self.delete_for_runs, run_ids)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Do what `copy_thread` does in a thread."""
        await asyncio.to_thread(self.copy_thread, source_thread_id, target_thread_id)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Do what `prune` does in a thread."""
        await asyncio.to_thread(self.prune, thread_ids, strategy=strategy)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Do what `get_delta_channel_history` does in a thread."""
        call = partial(self.get_delta_channel_history, config=config, channels=channels)
        return await asyncio.to_thread(call)

    def get_next_version(self, current: str | None, channel: None) -> str:
        """Return a version of a channel that is greater, and that no other branch has."""
        number = 0 if current is None else int(str(current).partition(".")[0])
        return f"{number + 1:032}.{random.random():016}"


# --- keys ---


def _thread_key(thread_id: Any) -> str:
    return f"{ROOT}{escape(str(thread_id), limit=NAME_BYTES)}/"


def _space_of(config: RunnableConfig) -> str:
    configurable = config["configurable"]
    space = escape(configurable.get("checkpoint_ns") or "", limit=NAME_BYTES)
    return f"{_thread_key(configurable['thread_id'])}{space}"


def _text_of(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode()


def _is_checkpoint(key: str) -> bool:
    return key.split("/")[4:5] == ["c"]


def _parts(key: str) -> tuple[str, str]:
    """Return the key of the namespace of a checkpoint, and its own name within it."""
    space, _, name = key.rpartition("/c/")
    return space, name


def _checkpoint_key(space: str, checkpoint_id: str) -> str:
    return f"{space}/c/{escape(str(checkpoint_id), limit=ID_BYTES)}"


def _writes_key(space: str, checkpoint_id: str, task_id: str) -> str:
    checkpoint, task = (escape(name, limit=ID_BYTES) for name in (checkpoint_id, task_id))
    return f"{space}/w/{checkpoint}/{task}"


def _config(thread_id: Any, checkpoint_ns: str, checkpoint_id: str) -> RunnableConfig:
    names = {"thread_id": thread_id, "checkpoint_ns": checkpoint_ns, "checkpoint_id": checkpoint_id}
    return {"configurable": names}
