"""What is alike: the records that share most of a text's words, found without ranking anything.

Of two texts that resemble each other by half or more, each holds at least half of the other's
terms. So one of any `n // 2 + 1` of a text's n terms is in all that is like it, and the rarest
ones are in little else. The newest records are read beside the index, which would else have to be
written at each call.

Source:
    Resemblance of sets: Broder 1997, "On the resemblance and containment of documents". Rarest
    terms first: Chaudhuri, Ganti and Kaushik 2006, "A primitive operator for similarity joins in
    data cleaning" (prefix filter).
"""

from __future__ import annotations

import json

from swarm_memory.errors import CorruptValueError
from swarm_memory.indexing import IDLE_EVENTS
from swarm_memory.lean import NamedTuple, lru_cache
from swarm_memory.rows import records_of
from swarm_memory.text import question_of, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from swarm_memory.context import Context
    from swarm_memory.engine import Reader, Row, Tx
    from swarm_memory.indexing import Index, State
    from swarm_memory.model import Record

RAREST = 8  # terms of a text that are looked up
EACH = 32  # the newest records that are looked at for one of them
CANDIDATES = 8  # that share most of those, to be compared
AHEAD = 32  # records that are read beside the index instead of being indexed
COMMON_MAX = 4096  # terms known to be in more than `EACH` records: counting those takes longest
SEEN_MAX, SEEN_BYTES_MAX = 512, 4096  # stored values whose terms are known
FRAME = 8  # the column of a record's row that its stored value stands in


class Like(NamedTuple):
    """A record, the share of the terms of both texts that both have, and its own terms."""

    resemblance: float
    record: Record
    terms: frozenset[str]


class Alike:
    """Finds what is like a text, within one swarm.

    Args:
        follow: Brings the index up to date within bounds.
    """

    __slots__ = ("_common", "_context", "_db", "_docs", "_follow", "_index", "_seen")

    def __init__(
        self, db: Reader, context: Context, index: Index, follow: Callable[[], object]
    ) -> None:
        self._db = db
        self._context = context
        self._index = index
        self._follow = follow
        self._common: dict[str, int] = {}
        self._docs = 0
        self._seen: dict[bytes, frozenset[str]] = {}

    def find(self, text: str, *, at_least: float, but: Collection[str] = ()) -> list[Like]:
        """Return the records found whose resemblance to a text is `at_least` 0.5 to 1, best first.

        Args:
            but: Keys that are left out.

        What is damaged is missing.
        """
        terms = terms_of(text)
        if not terms:
            return []
        rows, behind = self._db.read(lambda tx: self._near(tx, terms))
        if behind:
            self._follow()
            rows, _ = self._db.read(lambda tx: self._near(tx, terms))
        found = []
        for row in rows:
            if row[0] in but:
                continue
            theirs = self._seen.get(row[FRAME])
            record = None
            if theirs is None:
                record = self._read(row)
                theirs = frozenset() if record is None else self._noted(row, record)
            shared = len(terms & theirs)
            resemblance = shared / (len(terms) + len(theirs) - shared)
            if resemblance >= at_least:
                record = record or self._read(row)
                if record is not None:
                    found.append(Like(resemblance, record, theirs))
        found.sort(key=lambda like: -like.resemblance)
        return found

    def _read(self, row: Row) -> Record | None:
        try:
            return records_of(self._context, (row,))[0]
        except CorruptValueError:
            return None  # whoever reads it is told

    def _noted(self, row: Row, record: Record) -> frozenset[str]:
        """Return the terms of a record and keep them: the newest ones are read at each call."""
        terms = terms_of(text_of(record.value))
        if len(row[FRAME]) <= SEEN_BYTES_MAX:
            if len(self._seen) >= SEEN_MAX:
                self._seen.clear()
            self._seen[row[FRAME]] = terms
        return terms

    # --- what is worth comparing ---

    def _near(self, tx: Tx, terms: frozenset[str]) -> tuple[list[Row], bool]:
        """Return the rows of records that may be alike, and whether the index is far behind."""
        live = {"swarm": self._context.swarm, "now_ms": tx.now_ms}
        state = self._index.state(tx)
        if state is None:
            return [], True
        after = max(state.seq, state.newest - IDLE_EVENTS)
        newest = tx.all("alike_ahead", after=after, limit=AHEAD + 1, **live)
        behind = len(newest) > AHEAD or self._index.is_behind(state)
        rows = {row[0]: row for row in newest}
        ids = self._sharing(tx, state, self._rarest(tx, state, terms))
        if ids:
            rows |= {row[0]: row for row in tx.all("alike_records", ids=json.dumps(ids), **live)}
        return list(rows.values()), behind

    def _rarest(self, tx: Tx, state: State, terms: frozenset[str]) -> dict[str, int]:
        """Return the rarest terms that occur at all, and in how many records each does."""
        if not self._docs / 2 <= state.docs <= self._docs * 2 or len(self._common) > COMMON_MAX:
            self._common, self._docs = {}, int(state.docs)
        known = self._common
        counts = {term: known[term] for term in terms if term in known}
        counted: dict[str, int] = dict(
            tx.all("search_frequencies", terms=json.dumps(list(terms - counts.keys())))
        )
        known.update({term: count for term, count in counted.items() if count > EACH})
        counts |= counted
        order = sorted((count, term) for term, count in counts.items())
        return {term: count for count, term in order[:RAREST]}

    def _sharing(self, tx: Tx, state: State, rarest: dict[str, int]) -> list[int]:
        """Return the ids of the entries that hold most of some terms, the newest of those first."""
        alone = [term for term, count in rarest.items() if count <= EACH]
        common = [term for term, count in rarest.items() if count > EACH]
        # What is in many records is asked for in pairs: what is alike has some of them.
        pairs = [common[n : n + 2] for n in range(0, len(common), 2)]
        asked = [" ".join(f'"{term}"' for term in each) for each in [*([t] for t in alone), *pairs]]
        if not asked:
            return []
        span = {"first": state.first, "last": state.last}
        limits = {"each": EACH, "limit": CANDIDATES}
        rows = tx.all("alike_sharing", queries=json.dumps(asked), **span, **limits)
        return [int(row[0]) for row in rows]


@lru_cache(maxsize=32)  # what is stored is looked at twice: as what is asked, as what is newest
def terms_of(text: str) -> frozenset[str]:
    """Return the terms that texts are compared by: those that a question asks for."""
    return frozenset([term.term for term in question_of(text) if term.part])
