"""Memories: what agents store to be found again, beside what is like it, and what replaces it.

A memory is a record. One without a key of its own is kept with the swarm's shared knowledge,
under its kind and an id. Its kind and the files it is about are part of its provenance, so its
value comes back as it was given.
"""

from __future__ import annotations

from swarm_memory.alike import terms_of
from swarm_memory.checks import check_name, check_whole
from swarm_memory.codec import encode
from swarm_memory.context import new_id
from swarm_memory.errors import ConflictError, InvalidArgumentError, NotFoundError
from swarm_memory.key import check_key
from swarm_memory.layout import Layout
from swarm_memory.lean import NamedTuple
from swarm_memory.model import Record
from swarm_memory.text import snippet, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Any

    from swarm_memory.alike import Like
    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm

KINDS = ("decision", "lesson", "fact", "outcome")
KIND_DEFAULT = "fact"
FILES_MAX = 50
FILE_BYTES_MAX = 1024
REASON_BYTES_MAX = 1024
REPLACED_MAX = 20
SIMILAR_MAX = 3
# Of the terms of two texts that one of them has, so many both have. Of 322 sentences of our own
# docs, each in six paraphrases made by rule (words moved, inflected, replaced, dropped, a clause
# added, several of it), 94 % reach 0.5; of the 51,681 pairs of two of those sentences five do, one
# of which says the same. At 0.4 it is 97 % and ten pairs, at 0.6 84 % and two.
SIMILAR_MIN = 0.5


class Similar(NamedTuple):
    """A memory that says nearly the same: `resemblance` in [0.5, 1], and how its text begins."""

    key: str
    version: int
    author: str
    updated_ms: int
    resemblance: float
    text: str

    def to_dict(self) -> dict[str, Json]:
        """Return it as every door shows it."""
        return self._asdict()


class Stored(NamedTuple):
    """What was stored, and the memories that said nearly the same before, the most alike first."""

    record: Record
    similar: list[Similar]

    def to_dict(self) -> dict[str, Json]:
        """Return it as every door shows it: the record without its value."""
        shown = self.record.to_dict()
        del shown["value"]
        return shown | {"similar": [one.to_dict() for one in self.similar]}


class Memories:
    """The memories of one swarm."""

    __slots__ = ("_swarm",)

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm

    def store(
        self,
        value: Json,
        *,
        key: str | None = None,
        kind: str | None = None,
        files: Sequence[str] = (),
        expect: int | None = None,
        ttl_s: float | None = None,
        op_id: str | None = None,
    ) -> Stored:
        """Store a memory and return it with those that are like it.

        What is alike is looked for first and only told: two agents that say the same at the same
        moment both store it.

        Args:
            key: Its name; None gives it one under its kind that nothing else has.
            kind: "decision", "lesson", "fact" or "outcome"; without a key and a kind, a fact.
            files: Paths that it is about, relative to the project's root, up to 50.
            expect, ttl_s, op_id: As in `Records.put`.

        Raises:
            ConflictError, InvalidArgumentError, InvalidKeyError, InvalidValueError,
            LimitExceededError: Nothing was stored.
        """
        about = _about(kind, files)
        swarm = self._swarm
        if key is None:
            if expect:
                raise InvalidArgumentError(f"expect {expect} without a key", hint="name the key")
            prefix = Layout(swarm.context.swarm, swarm.context.agent).knowledge(
                kind or KIND_DEFAULT
            )
            about = {"kind": KIND_DEFAULT} | about
        else:
            check_key(key)
        config = swarm.config
        encode(value, bytes_max=config.value_bytes_max, depth_max=config.value_depth_max)
        similar = self.similar(value, but=() if key is None else (key,))

        def write(tx: Any) -> dict[str, Json]:
            name = prefix + new_id(tx.now_ms) if key is None else key
            provenance = about or None
            record: Record = tx.records.put(
                name, value, expect=expect, ttl_s=ttl_s, provenance=provenance
            )
            return record.to_dict()

        given = [value, key, kind, list(files), expect, ttl_s]
        return Stored(Record(**swarm.transact(write, op_id=op_id, about=given)), similar)

    def supersede(
        self,
        key: str,
        value: Json,
        *,
        also: Sequence[str] = (),
        expect: int | None = None,
        reason: str | None = None,
        kind: str | None = None,
        files: Sequence[str] = (),
        op_id: str | None = None,
    ) -> Record:
        """Replace the memory at `key`, and those `also` named, by a new one at `key`.

        One transaction. The history keeps what was replaced; the new record's provenance has its
        keys and versions under `supersedes`, and kind and files of the old one if none are given.

        Args:
            also: Up to 20 further keys, which are deleted.
            expect: The version of `key` that the caller has seen.
            reason: Why, up to 1024 bytes.
            op_id: Makes a retry apply once and return the first result.

        Raises:
            NotFoundError: One of them does not exist; nothing was changed.
            ConflictError: `key` is not at version `expect`.
        """
        about = _about(kind, files)
        if reason is not None:
            about["reason"] = check_name("reason", reason, REASON_BYTES_MAX)
        check_whole("the number of keys in also", len(also), 0, REPLACED_MAX)
        others = [check_key(other) for other in dict.fromkeys(also) if other != key]
        check_key(key)

        def write(tx: Any) -> dict[str, Json]:
            replaced = [_existing(tx, each) for each in (key, *others)]
            if expect is not None and expect != replaced[0].version:
                raise ConflictError(key, expect, replaced[0].version)
            for record in replaced[1:]:
                tx.records.delete(record.key, expect=record.version)
            links = [{"key": record.key, "version": record.version} for record in replaced]
            old = replaced[0].provenance or {}
            kept = {name: old[name] for name in ("kind", "files") if name in old}
            written: Record = tx.records.put(
                key,
                value,
                expect=replaced[0].version,
                on_conflict="reject",
                provenance=kept | about | {"supersedes": links},
            )
            return written.to_dict()

        given = [key, value, list(also), expect, reason, kind, list(files)]
        return Record(**self._swarm.transact(write, op_id=op_id, about=given))

    def similar(self, value: Json, *, but: Collection[str] = ()) -> list[Similar]:
        """Return up to 3 memories that say nearly the same as `value`, the most alike first."""
        text = text_of(value)
        found = self._swarm.finder.alike.find(text, at_least=SIMILAR_MIN, but=but)
        terms = terms_of(text)
        return [_shown(like, terms) for like in found[:SIMILAR_MAX]]


def _shown(like: Like, terms: Collection[str]) -> Similar:
    record = like.record
    about = (record.key, record.version, record.author, record.updated_ms)
    return Similar(*about, round(like.resemblance, 2), snippet(text_of(record.value), terms))


def _existing(tx: Any, key: str) -> Record:
    record: Record | None = tx.records.get(key)
    if record is None:
        raise NotFoundError(f"{key} does not exist", hint="search finds records by their words")
    return record


def _about(kind: str | None, files: Sequence[str]) -> dict[str, Json]:
    if kind is not None and kind not in KINDS:
        raise InvalidArgumentError(f"kind {kind!r}", hint=" or ".join(KINDS))
    if isinstance(files, str):
        raise InvalidArgumentError(f"files {files!r}", hint="give a list of paths")
    check_whole("the number of files", len(files), 0, FILES_MAX)
    about: dict[str, Json] = {} if kind is None else {"kind": kind}
    if files:
        about["files"] = [check_name("file", file, FILE_BYTES_MAX) for file in files]
    return about
