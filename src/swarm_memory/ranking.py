"""Ranking: which of the records that share words with a question answer it best. Pure maths.

The base is BM25 over the terms of a record. What stands around a record counts too: an answer
often follows the line that holds the question's words, so neighbours in a thread lend to each
other and all of a thread gain by what the thread as a whole says; then who wrote it, if the
question names one author of several, and when, if it names a month, a year or a day.

The weights are those of the general variant measured on LoCoMo: R@10 .72 against .61 of BM25
alone. An embedder's cosine would be mixed into the base (half and half, each divided by its best,
gained most); nothing else here would change.
"""

from __future__ import annotations

import re
from math import exp, log

from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swarm_memory.text import Term

K1, B = 1.2, 0.75  # how soon repeating a word stops to count, how much length counts against
AROUND = (0.25, 0.2, 0.1, 0.05)  # what the one before, the next, and the second ones lend
THREAD, AUTHOR, TIME = 0.3, 0.2, 0.3
NEAR_MS = 3_600_000  # neighbours are written within an hour of each other
UNSEEN_DOCS = 20  # counted in: a small store says little of how rare a word is
EVIDENCE_TERMS = 6  # the rarest words of a question that a certain answer has to hold
MIN_SCORE = 0.35  # what is below answers the question no better than chance; see `Ranked`
DAY_MS = 86_400_000


class Corpus(NamedTuple):
    """What is indexed: entries, their words together, and in how many of them a term occurs."""

    docs: int
    words: int
    frequencies: Mapping[str, int]

    def weight(self, term: str) -> float:
        """Return what a term tells (its inverse document frequency), most if it never occurs."""
        found = min(self.frequencies.get(term, 0), self.docs)
        return log(1 + (self.docs + UNSEEN_DOCS - found + 0.5) / (found + 0.5))


class Candidate(NamedTuple):
    """A record that may answer: how often it holds which term, and what stands around it.

    `thread` is None for what stands alone; `around` are the keys before, behind, and those two
    places away, None where there is nothing.
    """

    key: str
    author: str
    at_ms: int
    thread: str | None
    counts: Mapping[str, int]
    words: int
    around: Sequence[str | None]


class Ranked(NamedTuple):
    """A candidate with its score in [0, 1] and the parts of the sum that it was ranked by.

    The best one's score is the share of what the question's rarest words tell that any one record
    holds; the others' are in proportion to their sums. So one threshold serves all questions: a
    question that has nothing to do with what is stored shares a common word or two with it, and
    stays below `MIN_SCORE`.
    """

    key: str
    score: float
    parts: dict[str, float]


def rank(
    question: str, terms: Sequence[Term], candidates: Sequence[Candidate], corpus: Corpus
) -> list[Ranked]:
    """Return the candidates that anything speaks for, best first, ties by key."""
    weights = {term.term: corpus.weight(term.term) for term in terms}
    mean = max(1.0, corpus.words / max(1, corpus.docs))
    lexical = {c.key: bm25(c.counts, c.words / mean, weights) for c in candidates}
    best = max(lexical.values(), default=0.0)
    if best <= 0:
        return []
    base = {key: score / best for key, score in lexical.items() if score > 0}
    parts = {key: {"words": share} for key, share in base.items()}
    for name, gained in (
        ("around", _around(candidates, base)),
        ("thread", _threads(candidates, weights)),
        ("author", _authors(question, candidates)),
        ("time", _times(question, candidates)),
    ):
        for key, gain in gained.items():
            # Nobody is an answer by author or date alone, nor for being in a thread.
            if key in parts or name == "around":
                parts.setdefault(key, {})[name] = gain
    sums = {key: sum(part.values()) for key, part in parts.items()}
    top = max(sums.values())
    certain = min(1.0, best / evidence(terms, weights))
    ranked = [Ranked(key, certain * sums[key] / top, parts[key]) for key in sums]
    ranked.sort(key=lambda r: (-r.score, r.key))
    return ranked


def bm25(counts: Mapping[str, int], length: float, weights: Mapping[str, float]) -> float:
    """Return the sum of weight x saturated count over the terms that a record holds.

    `length` is in words, as a multiple of the mean.

    Source: Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond".
    """
    damping = K1 * (1 - B + B * length)
    return sum([weights[term] * n * (K1 + 1) / (n + damping) for term, n in counts.items()])


def evidence(terms: Sequence[Term], weights: Mapping[str, float]) -> float:
    """Return what a record of mean length scores that holds the rarest words once each."""
    rarest = sorted((weights[term.term] for term in terms if term.part), reverse=True)
    return sum(rarest[:EVIDENCE_TERMS]) or 1.0


def _around(candidates: Sequence[Candidate], base: Mapping[str, float]) -> dict[str, float]:
    """Return what each one is lent by its neighbours in its thread."""
    known = {c.key: c for c in candidates}
    lent: dict[str, float] = {}
    for candidate in candidates:
        share = base.get(candidate.key, 0.0)
        if candidate.thread is None or not share:
            continue
        before, behind, second_before, second_behind = candidate.around
        # What stands behind has this one before it.
        takers = (behind, before, second_behind, second_before)
        for taker, weight in zip(takers, AROUND, strict=True):
            other = known.get(taker) if taker is not None else None
            if other is None or other.thread != candidate.thread:
                continue
            if abs(other.at_ms - candidate.at_ms) <= NEAR_MS:
                lent[other.key] = lent.get(other.key, 0.0) + weight * share
    return lent


def _threads(candidates: Sequence[Candidate], weights: Mapping[str, float]) -> dict[str, float]:
    """Return what each one gains by its thread, from what its candidates hold together."""
    counts: dict[str, dict[str, int]] = {}
    for candidate in candidates:
        if candidate.thread is not None:
            together = counts.setdefault(candidate.thread, {})
            for term, count in candidate.counts.items():
                together[term] = together.get(term, 0) + count
    scores = {thread: bm25(together, 1.0, weights) for thread, together in counts.items()}
    best = max(scores.values(), default=0.0)
    if best <= 0:
        return {}
    return {c.key: THREAD * scores[c.thread] / best for c in candidates if c.thread is not None}


def _authors(question: str, candidates: Sequence[Candidate]) -> dict[str, float]:
    """Return what the one author gains whom the question names, if there are several."""
    authors = {c.author for c in candidates}
    named = [a for a in authors if re.search(rf"(?<!\w){re.escape(a)}(?!\w)", question, re.I)]
    if len(named) != 1 or len(authors) < 2:
        return {}
    return {c.key: AUTHOR for c in candidates if c.author == named[0]}


# --- time -------------------------------------------------------------------------------------

_MONTHS = "january february march april may june july august september october november december"
_MONTH = {name[:3]: number for number, name in enumerate(_MONTHS.split(), 1)}
_NAMES = "|".join(f"{name[:3]}(?:{name[3:]})?" if name[3:] else name for name in _MONTHS.split())
# "May" and "March" are words, too: a month needs a preposition or a number beside it.
_DATE = re.compile(
    rf"\b(?:(in|on|since|until|during|of|by|before|after|last|this)\s+)?"
    rf"(?:(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?)?({_NAMES})\b\.?"
    rf"(?:\s+(\d{{1,2}})(?:st|nd|rd|th)?(?!\d))?(?:,?\s+((?:19|20)\d\d))?",
    re.I,
)
_ISO = re.compile(r"\b((?:19|20)\d\d)-(\d\d)(?:-(\d\d))?\b")
_YEAR = re.compile(r"\b((?:19|20)\d\d)\b")
_WINDOW_DAYS = {"day": (2.0, 5.0), "month": (16.0, 20.0)}  # full inside; then how fast it falls
_YEAR_SHARE = 0.3


class When(NamedTuple):
    """A year, a month of some or of any year, or a day of a month; None for what is not said."""

    year: int | None
    month: int | None
    day: int | None


def when_of(question: str) -> When | None:
    """Return the first time that a question names, None if it names none."""
    iso = _ISO.search(question)
    if iso:
        return _valid(int(iso[1]), int(iso[2]), int(iso[3]) if iso[3] else None)
    for found in _DATE.finditer(question):
        preposition, before, name, behind, year = found.groups()
        if preposition or before or behind or year:
            day = before or behind
            month = _MONTH[name[:3].lower()]
            return _valid(int(year) if year else None, month, int(day) if day else None)
    year_only = _YEAR.search(question)
    return When(int(year_only[1]), None, None) if year_only else None


def _valid(year: int | None, month: int, day: int | None) -> When | None:
    if not 1 <= month <= 12:
        return None
    return When(year, month, day if day is not None and 1 <= day <= 31 else None)


def match_of(when: When, at_ms: int) -> float:
    """Return in [0, 1] how well a moment fits: 1 within the window, falling off outside."""
    from time import gmtime

    moment = gmtime(at_ms / 1000)
    if when.month is None:
        return _YEAR_SHARE if moment.tm_year == when.year else 0.0
    years = [when.year] if when.year is not None else range(moment.tm_year - 1, moment.tm_year + 2)
    window, scale = _WINDOW_DAYS["month" if when.day is None else "day"]
    middle = 15.5 if when.day is None else when.day + 0.5
    away = min(abs(at_ms / DAY_MS - (_days(year, when.month) + middle - 1)) for year in years)
    return 1.0 if away <= window else exp((window - away) / scale)


def _days(year: int, month: int) -> int:
    from calendar import timegm

    return timegm((year, month, 1, 0, 0, 0)) // 86_400


def _times(question: str, candidates: Sequence[Candidate]) -> dict[str, float]:
    when = when_of(question)
    if when is None:
        return {}
    return {c.key: TIME * match_of(when, c.at_ms) for c in candidates}
