"""Search: the records of a swarm that answer a question, best first.

Words select, `ranking` orders. The index only proposes: each hit is read, and scored by what its
record holds now, so an index that is behind or wrong can miss something and never show what was
deleted, has expired or has changed.
"""

from __future__ import annotations

import json

from swarm_memory.alike import Alike
from swarm_memory.checks import check_number, check_whole
from swarm_memory.errors import (
    AmbiguousCommitError,
    CorruptValueError,
    EngineBusyError,
    InvalidArgumentError,
    StorageFullError,
)
from swarm_memory.indexing import Index
from swarm_memory.key import check_prefix
from swarm_memory.lean import NamedTuple
from swarm_memory.meter import metered
from swarm_memory.ranking import DAY_MS, Candidate, Corpus, Ranked, rank
from swarm_memory.rows import records_of
from swarm_memory.text import Counter, Term, document_of, question_of, snippet, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from swarm_memory.context import Context
    from swarm_memory.engine import Reader, Row, Tx
    from swarm_memory.indexing import State
    from swarm_memory.model import Json, Record

HITS_MAX = 1000
CANDIDATES = 100  # the best by words, which are ranked; among 200 no more answers are found
EXPANDED = 20  # the best of them, whose neighbours are looked at
COUNTED_DIGITS = 3  # or more, with which names begin that tell an order
POSTINGS_MAX = 50_000  # that one search reads: the rarest words first, and always two
CATCH_UP_ROWS, CATCH_UP_S = 2000, 0.5  # what a search follows up before it answers
UPKEEP_ROWS, UPKEEP_S = 50_000, 30.0  # and what the daily upkeep does
NOTHING_AROUND = (None, None, None, None)


class Hit(NamedTuple):
    """A record that answers, its score in [0, 1], the place of its text that does, and why.

    `why` holds the words that were `found` and `missing`, and the parts of the sum that it was
    ranked by (see `ranking`).
    """

    record: Record
    score: float
    snippet: str
    why: dict[str, Json]

    def to_dict(self) -> dict[str, Json]:
        """Return the hit as every door shows it."""
        return self._asdict() | {"record": self.record.to_dict()}


class Hits(list[Hit]):
    """Hits, best first.

    `complete` is False if the index could not be brought up to date within the bounds, so that
    something recent may be missing; asking again goes on. `damaged` are the keys of records that
    would have been looked at and cannot be read.
    """

    complete: bool = True
    damaged: Sequence[str] = ()

    def to_dict(self) -> dict[str, Json]:
        """Return the hits as every door shows them."""
        hits = [hit.to_dict() for hit in self]
        return {"hits": hits, "complete": self.complete, "damaged": list(self.damaged)}


class _Found(NamedTuple):
    """A record that was read, how often it holds the terms asked for, and how many words."""

    record: Record
    counts: dict[str, int]
    words: int


class Search:
    """Searches the records of one swarm."""

    __slots__ = ("_context", "_db", "alike", "index")

    def __init__(self, db: Reader, context: Context) -> None:
        self._db = db
        self._context = context
        self.index = index = Index(db, context)
        self.alike = Alike(db, context, index, lambda: _follow(index, CATCH_UP_ROWS, CATCH_UP_S))

    @metered("search")
    def search(
        self,
        query: str,
        *,
        prefix: str = "",
        limit: int = 10,
        author: str | None = None,
        since: int | None = None,
        min_score: float = 0.0,
        rows_max: int = CATCH_UP_ROWS,
        within_s: float = CATCH_UP_S,
    ) -> Hits:
        """Return up to `limit` live records that answer `query`, best first.

        Any text is a question: words of it are looked for, all of them help and none is needed,
        and nothing in it is syntax. Telemetry is not searched.

        Args:
            prefix: Only keys under it; see `key.check_prefix`.
            author: Only what this agent wrote last.
            since: Only what was written at or after this time, in milliseconds since 1970.
            min_score: Only hits of this score or more, 0 to 1. `ranking.MIN_SCORE` keeps out what
                a question shares with any store by chance.
            rows_max, within_s: How much is indexed before the answer, if the index is behind.

        Raises:
            InvalidArgumentError, InvalidKeyError: An argument is none that makes sense.
        """
        where = self._where(query, prefix, author, since)
        check_whole("limit", limit, 1, HITS_MAX)
        check_number("min_score", min_score, 0, 1)
        terms = question_of(query)
        complete = _follow(self.index, rows_max, within_s)
        hits = self._db.read(lambda tx: self._search(tx, query, terms, where, limit, min_score))
        hits.complete = complete
        return hits

    def keep_up(self) -> bool:
        """Bring the index up to date if anybody has ever searched; tell whether it is.

        For the upkeep: who searches then has less to wait for. It does not begin an index that
        nobody asked for.
        """
        return self.index.is_begun() and self.index.catch_up(UPKEEP_ROWS, UPKEEP_S)

    def rebuild(self) -> None:
        """Make the index anew, for a damaged one; those of other swarms when they are searched.

        Raises:
            EngineBusyError: Another process holds the store; what is done is kept.
        """
        self.index.wipe()
        while not self.index.catch_up(UPKEEP_ROWS, UPKEEP_S):
            pass

    def _where(
        self, query: str, prefix: str, author: str | None, since: int | None
    ) -> dict[str, Any]:
        if not isinstance(query, str) or "\0" in query:
            raise InvalidArgumentError("a query is a text without NUL", hint="ask in words")
        if author is not None and not isinstance(author, str):
            raise InvalidArgumentError(f"author {author!r}", hint="give an agent's name or None")
        if since is not None:
            check_whole("since", since, 0, 2**62)
        exact, low, high = check_prefix(prefix)
        where = {"swarm": self._context.swarm, "low": low, "high": high, "exact": exact}
        return where | {"author": author, "since_ms": since or 0}

    def _search(
        self,
        tx: Tx,
        query: str,
        terms: list[Term],
        where: dict[str, Any],
        limit: int,
        min_score: float,
    ) -> Hits:
        state = self.index.state(tx)
        hits = Hits()
        if state is None or not terms:
            return hits
        corpus = self._corpus(tx, state, terms)
        chosen = _affordable(terms, corpus)
        if not chosen:
            return hits
        where |= {"now_ms": tx.now_ms}
        damaged: list[str] = []
        counter = Counter(term.term for term in terms)
        rows = self._matching(tx, state, chosen, where, max(limit, CANDIDATES))
        found = self._read(rows, counter, damaged)
        around = self._around(tx, state, list(found.values())[:EXPANDED])
        beside = {key for keys in around.values() for key in keys if key} - found.keys()
        near = [tx.one("search_live", key=key, **where) for key in sorted(beside)]
        found |= self._read([row for row in near if row is not None], counter, damaged)
        candidates = [
            _candidate(f, around.get(f.record.key, NOTHING_AROUND)) for f in found.values()
        ]
        for ranked in rank(query, terms, candidates, corpus)[:limit]:
            if ranked.score >= min_score:
                hits.append(_hit(ranked, found[ranked.key], terms))
        hits.damaged = damaged
        return hits

    def _matching(
        self, tx: Tx, state: State, terms: list[str], where: dict[str, Any], limit: int
    ) -> list[Row]:
        """Return the live records that hold any of the terms, the best by the engine first."""
        query = " OR ".join(f'"{term}"' for term in terms)
        span = {"first": state.first, "last": state.last}
        return tx.all("search_match", query=query, limit=limit, **span, **where)

    def _corpus(self, tx: Tx, state: State, terms: list[Term]) -> Corpus:
        rows = tx.all("search_frequencies", terms=json.dumps([term.term for term in terms]))
        return Corpus(int(state.docs), int(state.words), dict(rows))

    def _read(self, rows: Iterable[Row], counter: Counter, damaged: list[str]) -> dict[str, _Found]:
        """Return what the rows hold by their keys; the keys of damaged ones go into a list."""
        found = {}
        for row in rows:
            try:
                record = records_of(self._context, (row,))[0]
            except CorruptValueError as error:
                damaged.append(error.key)
                continue
            text = document_of(record)
            found[record.key] = _Found(record, *counter.count(text))
        return found

    def _around(
        self, tx: Tx, state: State, found: list[_Found]
    ) -> dict[str, tuple[str | None, ...]]:
        """Return by key what stands before and behind it, for those that are in a thread."""
        keys = [f.record.key for f in found if thread_of(f.record) is not None]
        if not keys:
            return {}
        folders = {key: key.rpartition("/")[0] + "/" for key in keys}
        rows = tx.all("search_around", number=state.number, folders=json.dumps(folders))
        return {row[0]: tuple(row[1:]) for row in rows}


def _follow(index: Index, rows_max: int, within_s: float) -> bool:
    """Bring an index up to date within bounds; tell whether it is."""
    try:
        return index.catch_up(rows_max, within_s)
    except (EngineBusyError, StorageFullError, AmbiguousCommitError):
        # What is indexed can be searched all the same, and the answer says what it is.
        return False


def thread_of(record: Record) -> str | None:
    """Return what a record is part of: counted records of one folder that began on one day.

    Turns of a conversation (`0001`) are counted, and ids that begin with their time. What has a
    name, be it `1`, stands for itself.
    """
    folder, _, name = record.key.rpartition("/")
    if not folder or not name[:COUNTED_DIGITS].isdigit() or len(name) < COUNTED_DIGITS:
        return None
    return f"{folder}/ {record.created_ms // DAY_MS}"


def _affordable(terms: list[Term], corpus: Corpus) -> list[str]:
    """Return the terms to look for, rarest first, as far as reading where they occur is fast."""
    present = sorted((corpus.frequencies.get(t.term, 0), t.term) for t in terms)
    chosen: list[str] = []
    postings = 0
    for frequency, term in present:
        postings += frequency
        if frequency and (len(chosen) < 2 or postings <= POSTINGS_MAX):
            chosen.append(term)
    return chosen


def _candidate(found: _Found, around: tuple[str | None, ...]) -> Candidate:
    record = found.record
    return Candidate(
        record.key,
        record.author,
        record.updated_ms,
        thread_of(record),
        found.counts,
        found.words,
        around,
    )


def _hit(ranked: Ranked, found: _Found, terms: list[Term]) -> Hit:
    words: dict[str, bool] = {}
    for term in terms:
        words[term.word] = words.get(term.word, False) or term.term in found.counts
    why: dict[str, Json] = {
        "found": [word for word, there in words.items() if there],
        "missing": [word for word, there in words.items() if not there],
    }
    why |= {name: round(part, 3) for name, part in ranked.parts.items() if part}
    return Hit(
        found.record,
        round(ranked.score, 4),
        snippet(text_of(found.record.value), found.counts),
        why,
    )
