"""Transcripts: ordered lists of JSON values that many processes append to at once.

    HEAD             {"run": …, "next": …, "pops": …, "about": …}
    PLACE/RUN/ENTRY  {"number": …, "entry": …}

The head says how many entries there are and is written with each change, so it is what
processes compete for; an entry is a record of its own, so an append costs the same however long
the transcript is. All entries of a transcript belong to its run. Whoever removes it removes the
head: what is appended then begins another run, and no entry of the old one is ever seen in it,
also if removing them takes a while or is never finished.
"""

from __future__ import annotations

from uuid import uuid4

from swarm_memory.adapters.turns import in_turn
from swarm_memory.adapters.values import is_json, packed, unpacked
from swarm_memory.errors import ConflictError, InvalidValueError
from swarm_memory.key import escape
from swarm_memory.lean import NamedTuple
from swarm_memory.records import Put

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from swarm_memory.model import Json, Record
    from swarm_memory.records import Records
    from swarm_memory.swarm import Swarm

    Fold = Callable[[Json, list[Json]], Json]  # (about before, what is appended) -> about

RUN_CHARS = 12
NUMBER_DIGITS = 10
ID_BYTES = 40
ENTRY_BYTES = 1 + RUN_CHARS + 1 + len("u-") + ID_BYTES  # what an entry's key has behind the place
PAGE_ROWS = 500


class Entry(NamedTuple):
    """A value to append; of those with the same `id` only the first is kept."""

    value: Json
    id: str | None = None


class Head(NamedTuple):
    """What the head's record says: which run it is, the next number, and what it is about."""

    record: Record
    run: str
    next: int
    pops: int
    about: Json

    @classmethod
    def of(cls, record: Record | None) -> Head | None:
        """Return the head that a record holds; None if it is none, or somebody else's."""
        if record is None or not isinstance(record.value, dict):
            return None
        run, number = record.value.get("run"), record.value.get("next")
        if not isinstance(run, str) or not isinstance(number, int):
            return None
        return cls(
            record, run, number, record.value.get("pops", 0), unpacked(record.value, "about")
        )


class Transcript:
    """One transcript: its head's key, and the prefix that its entries lie under."""

    __slots__ = ("_place", "_swarm", "head")

    def __init__(self, swarm: Swarm, head: str, place: str) -> None:
        self._swarm = swarm
        self.head = head
        self._place = place

    # --- writing ---

    def append(self, entries: Sequence[Entry], fold: Fold | None = None) -> None:
        """Append `entries`, all or none, in order and nothing of others between them.

        Args:
            fold: Makes what the head says of the transcript from what it said before and the
                values that are new.

        Raises:
            LimitExceededError: More entries than one write may have, or a quota.
        """
        if not entries:
            return
        try:
            self._append(entries, fold, plain=True)
        except InvalidValueError:
            # Half a character, or deeper than values may be: as text all JSON can be stored.
            if not all(is_json(entry.value) for entry in entries):
                raise
            self._append(entries, fold, plain=False)

    def _append(self, entries: Sequence[Entry], fold: Fold | None, *, plain: bool) -> None:
        once = list(_first_of_each(entries))

        def step(records: Records, attempt: int) -> None:
            record = records.get(self.head)
            head = Head.of(record)
            run = head.run if head else uuid4().hex[:RUN_CHARS]
            new = once
            if attempt and head:
                # Overtaken, or some are there already: which ones, is only asked then.
                new = [e for e in once if e.id is None or not records.get(self._key(run, e.id))]
            if not new:
                return
            number = head.next if head else 0
            puts = [self._put(run, number + n, entry, plain) for n, entry in enumerate(new)]
            said = {"run": run, "next": number + len(new), "pops": head.pops if head else 0}
            about = head.about if head else None
            if fold is not None:
                about = fold(about, [entry.value for entry in new])
            said |= packed("about", about, plain=plain)
            seen = record.version if record else 0
            records.put_many([Put(self.head, said, seen), *puts], on_conflict="reject")

        in_turn(self._swarm, step)

    def _put(self, run: str, number: int, entry: Entry, plain: bool) -> Put:
        value = {"number": number} | packed("entry", entry.value, plain=plain)
        # A number is ours alone, by the head; what is popped leaves it to be written again.
        expect = None if entry.id is None else 0
        key = self._key(run, number if entry.id is None else entry.id)
        return Put(key, value, expect)

    def pop(self) -> Json:
        """Remove the last entry and return it; None if there is none.

        Of processes that do this at once, each gets another entry.
        """

        def step(records: Records) -> Json:
            head = Head.of(records.get(self.head))
            if head is None:
                return None
            before = self._key(head.run, head.next)
            last = records.scan(f"{self._place}/{head.run}/", limit=1, after=before, reverse=True)
            if not last:
                return None
            number = last[0].value["number"]
            said = head.record.value | {"next": number, "pops": head.pops + 1}
            records.put(self.head, said, expect=head.record.version, on_conflict="reject")
            records.delete(last[0].key)
            return unpacked(last[0].value, "entry")

        return self._swarm.transact(lambda tx: step(tx.records))

    def remove(self) -> None:
        """Remove all of it: at once for who reads, and then entry by entry."""
        self._swarm.records.delete(self.head)
        sweep(self._swarm, self._place, lambda: [self.head])

    # --- reading ---

    def read(self, limit: int | None = None) -> list[Json] | None:
        """Return all values in order, or the last `limit`; None if there is no such transcript.

        They are what the transcript was at one moment. With a limit it has to be one without ids.
        """

        def step(records: Records, attempt: int) -> list[Json] | None:
            head = Head.of(records.get(self.head))
            if head is None:
                return None
            found = self._all(records, head) if limit is None else self._last(records, head, limit)
            then = Head.of(records.get(self.head))
            if then is None or (then.run, then.pops) != (head.run, head.pops):
                # Removed under our hands: what we have may be half of it.
                raise ConflictError(self.head, head.record.version, 0)
            return [unpacked(value, "entry") for value in found]

        return in_turn(self._swarm, step)

    def _all(self, records: Records, head: Head) -> list[dict[str, Json]]:
        found = [record.value for record in records.each(f"{self._place}/{head.run}/")]
        # What was appended since the head was read may be there in part.
        found = [value for value in found if value["number"] < head.next]
        return sorted(found, key=lambda value: int(value["number"]))

    def _last(self, records: Records, head: Head, limit: int) -> list[dict[str, Json]]:
        found: list[dict[str, Json]] = []
        after: str | None = self._key(head.run, head.next)
        while after is not None and len(found) < limit:
            wanted = min(limit - len(found), PAGE_ROWS)
            page = records.scan(
                f"{self._place}/{head.run}/", limit=wanted, after=after, reverse=True
            )
            found += [record.value for record in page]
            after = page.next_after
        found.reverse()
        return found

    def _key(self, run: str, name: str | int) -> str:
        end = f"n-{name:0{NUMBER_DIGITS}}" if isinstance(name, int) else f"u-{_escaped(name)}"
        return f"{self._place}/{run}/{end}"


def sweep(swarm: Swarm, place: str, heads: Callable[[], Iterable[str]]) -> None:
    """Delete the entries under `place` that belong to no run of `heads`."""
    records, after = swarm.records, None
    while True:
        page = records.scan(f"{place}/", limit=PAGE_ROWS, after=after)
        # Read behind the page: the head of whatever stands on it was written by then.
        runs = {head.run for key in heads() if (head := Head.of(records.get(key)))}
        gone = [record.key for record in page if record.key.split("/")[-2] not in runs]
        if gone:
            _delete_all(swarm, gone)
        if page.next_after is None:
            return
        after = page.next_after


def _delete_all(swarm: Swarm, keys: list[str]) -> None:
    swarm.transact(lambda tx: [tx.records.delete(key) for key in keys])


def _escaped(name: str) -> str:
    return escape(name, limit=ID_BYTES)


def _first_of_each(entries: Iterable[Entry]) -> Iterator[Entry]:
    seen = set()
    for entry in entries:
        if entry.id is None or entry.id not in seen:
            yield entry
        seen.add(entry.id)
