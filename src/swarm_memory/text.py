"""Text for searching: what its terms are, which of a question's are worth asking, and excerpts.

The index, the questions and the scores all take their terms from here, so they agree whatever
the engine, and nothing that somebody types ever reaches an engine as syntax. A term is made of
letters and digits only:

- a word is folded (case, accents, width) and stemmed;
- a name such as `maxValue`, `max_value` or `src/max-value.py` is its parts, and each of its
  segments as a whole (`maxvalu`, `maxvaluepi`), so that all spellings find each other;
- scripts without spaces between words (Chinese, Japanese, Thai, …) and Korean give single
  characters and pairs, a question only pairs where there are some.
"""

from __future__ import annotations

import re

from swarm_memory.lean import NamedTuple, lru_cache
from swarm_memory.stem import stem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from swarm_memory.model import Json, Record

ANALYSER = 2  # whoever changes what the terms of a text are counts this up: indexes are made anew
TEXT_CHARS_MAX = 65_536  # of one value; what comes behind is not found
TERM_CHARS_MAX = 64
PARTS_MAX = 12  # of one segment; more are no words
WHOLE_NUMBER_MAX = 10**9  # larger ones are times and sizes, which nobody looks for
QUESTION_CHARS_MAX = 20_000  # of a longer question the beginning and the end are read
QUESTION_TERMS_MAX = 64
SNIPPET_CHARS = 240

# Marks that belong to letters; `\w` has none of them.
_MARKS = "\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0dff"
# Thai, Lao, Myanmar, Khmer, kana, Han, Hangul.
_SOLID_MARKED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_SOLID = _SOLID_MARKED + "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_SYMBOLS = "\u2600-\u27bf\U0001f300-\U0001faff"
_LETTERS = rf"(?:[^\W_]|[{_MARKS}{_SOLID_MARKED}])+"
_CHUNK = re.compile(rf"{_LETTERS}(?:[-_./\\:@+]{{1,2}}{_LETTERS})*|[{_SYMBOLS}]")
_SEGMENT = re.compile(r"[^/\\:]+")
_ASCII_RUN = re.compile("()([0-9A-Za-z]+)")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_IS_ODD = re.compile(r"[0-9][A-Za-z]|[A-Za-z][0-9]+[A-Za-z]").search  # 3f2a9c, not sha256

_STOPPED = """
    a about above after again against all also am an and any are aren as at be because been before
    being below between both but by can cannot could couldn did didn do does doesn doing don down
    during each else ever few for from further get gets got had hadn has hasn have haven having he
    her here hers herself him himself his how i if in into is isn it its itself just let ll may me
    might more most much must my myself no nor not now of off on once only or other our ours
    ourselves out over own please re s same shall she should shouldn so some such t tell than thank
    thanks that the their theirs them themselves then there these they this those through to too
    under until up upon us ve very was wasn we were weren what when where which while who whom
    whose why will with won would wouldn you your yours yourself yourselves
"""
STOP_WORDS = frozenset(_STOPPED.split())


class Term(NamedTuple):
    """One term of a question: the term, the word it stands for, and whether it is asked for.

    The whole of a name whose parts are asked for too has `part` False: finding it says more,
    missing it says nothing.
    """

    term: str
    word: str
    part: bool


def terms_of(text: str) -> tuple[list[str], int]:
    """Return the terms of a text in order, as they are indexed, and how many words it has."""
    found: list[str] = []
    chunks = _CHUNK.findall(text)
    for chunk in chunks:
        found += _split(chunk)[0]
    return found, len(chunks)


class Counter:
    """Counts the terms of one question in many texts: a word that was looked at once is known."""

    __slots__ = ("_others", "_telling", "_wanted")

    def __init__(self, wanted: Iterable[str]) -> None:
        self._wanted = frozenset(wanted)
        self._telling: dict[str, list[str]] = {}
        self._others: set[str] = set()

    def count(self, text: str) -> tuple[dict[str, int], int]:
        """Return how often each wanted term occurs in a text, and how many words it has."""
        chunks = _CHUNK.findall(text)
        counts: dict[str, int] = {}
        for chunk in set(chunks) - self._others:
            terms = self._telling.get(chunk)
            if terms is None:
                terms = [term for term in _split(chunk)[0] if term in self._wanted]
                if not terms:
                    self._others.add(chunk)
                    continue
                self._telling[chunk] = terms
            often = chunks.count(chunk)
            for term in terms:
                counts[term] = counts.get(term, 0) + often
        return counts, len(chunks)


def question_of(text: str) -> list[Term]:
    """Return the distinct terms of a question; stop words only if there is nothing else.

    Of more than `QUESTION_TERMS_MAX` the first and the last are taken.
    """
    if len(text) > QUESTION_CHARS_MAX:
        half = QUESTION_CHARS_MAX // 2
        text = f"{text[:half]} {text[-half:]}"
    asked: dict[str, Term] = {}
    stopped: dict[str, Term] = {}
    for chunk in _CHUNK.findall(text):
        into = stopped if chunk.lower() in STOP_WORDS else asked
        for term, part in _split(chunk)[1]:
            known = into.get(term)
            if known is None or (part and not known.part):
                into[term] = Term(term, chunk, part)
    terms = list((asked or stopped).values())
    if len(terms) <= QUESTION_TERMS_MAX:
        return terms
    return terms[: QUESTION_TERMS_MAX // 2] + terms[-QUESTION_TERMS_MAX // 2 :]


@lru_cache(maxsize=65_536)
def _split(chunk: str) -> tuple[tuple[str, ...], tuple[tuple[str, bool], ...]]:
    """Return the terms of a chunk as they are indexed, and as they are asked for."""
    if chunk.isascii() and chunk.isalpha() and (chunk[1:].islower() or len(chunk) == 1):
        word = _term(chunk.lower())
        return (word,), ((word, True),)
    indexed: list[str] = []
    asked: list[tuple[str, bool]] = []
    for segment in _SEGMENT.findall(chunk):
        _split_segment(segment, indexed, asked)
    return tuple(indexed), tuple(asked)


def _split_segment(segment: str, indexed: list[str], asked: list[tuple[str, bool]]) -> None:
    runs = (_ASCII_RUN if segment.isascii() else _any_run()).findall(_fold(segment))
    parts: list[str] = []
    for solid, run in runs:
        if solid:
            pairs = [solid[n : n + 2] for n in range(len(solid) - 1)]
            indexed += [*solid, *pairs]
            asked += [(pair, True) for pair in pairs or [solid]]
        elif run.isascii() and not _IS_ODD(run):
            parts += _PART.findall(run)
        else:
            parts.append(run)
    whole = "".join(parts).lower()
    if not parts:
        if not runs:
            indexed.append(segment)  # a symbol
            asked.append((segment, True))
        return
    if len(parts) > 1:
        parts = [p for p in parts if len(p) > 1][:PARTS_MAX]
    words = [_term(part.lower()) for part in parts]
    if words != [_term(whole)]:
        indexed.append(_term(whole))
        asked.append((_term(whole), not words))
    indexed += words
    asked += [(word, True) for word in words]


def _term(word: str) -> str:
    word = word[:TERM_CHARS_MAX]
    return stem(word) if word.isascii() and word.isalpha() else word


@lru_cache(maxsize=1)
def _any_run() -> re.Pattern[str]:
    """Return what finds runs of one kind of script; made late, as it takes 3 ms."""
    return re.compile(rf"([{_SOLID}]+)|((?:[^\W_{_SOLID}]|[{_MARKS}])+)")


def _fold(text: str) -> str:
    if text.isascii():
        return text  # with its case, which tells parts of names apart
    from unicodedata import combining, normalize

    # Accents and points go; from Devanagari on, marks are what the letters mean.
    apart = (c for c in normalize("NFKD", text) if c >= "\u0900" or not combining(c))
    return normalize("NFC", "".join(apart)).casefold()


# --- values -----------------------------------------------------------------------------------


def pieces_of(value: Json) -> Iterator[str]:
    """Yield the texts of a JSON value: its strings, the names of its fields, whole numbers."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from pieces_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from pieces_of(item)
    elif type(value) is int and abs(value) <= WHOLE_NUMBER_MAX:
        yield str(value)


def text_of(value: Json) -> str:
    """Return the text of a JSON value, at most `TEXT_CHARS_MAX` characters of it."""
    if isinstance(value, str):
        return value[:TEXT_CHARS_MAX]
    taken: list[str] = []
    left = TEXT_CHARS_MAX
    for piece in pieces_of(value):
        taken.append(piece[:left])
        left -= len(piece) + 1
        if left <= 0:
            break
    return "\n".join(taken)


def document_of(record: Record) -> str:
    """Return all of a record that is searched: author, key, text, and the files it is about.

    The key stands there twice: somebody chose its words to say what the record is about.
    """
    name = words_of_key(record.key)
    document = f"{record.author}: {name}: {name}: {text_of(record.value)}"
    files = record.provenance and record.provenance.get("files")
    if not isinstance(files, list):  # a provenance is whatever its writer says
        return document
    return "\n".join([document, *[file for file in files if isinstance(file, str)]])


def words_of_key(key: str) -> str:
    """Return a key as text: its segments in their own spelling, ids and escapes among them."""
    if "+" not in key:
        return key
    from swarm_memory.errors import InvalidArgumentError
    from swarm_memory.key import unescape

    words = []
    for segment in key.split("/"):
        try:
            words.append(unescape(segment) or segment)
        except InvalidArgumentError:
            words.append(segment)
    return "/".join(words)


def snippet(text: str, wanted: Iterable[str]) -> str:
    """Return the stretch of a text with most of the wanted terms, on one line."""
    if len(text) <= SNIPPET_CHARS:
        return " ".join(text.split())
    terms = set(wanted)
    hits = [
        (match.start(), match.end(), found)
        for match in _CHUNK.finditer(text)
        if (found := terms.intersection(_split(match[0])[0]))
    ]
    start = best = behind = 0
    within: dict[str, int] = {}  # how often each term is between a hit and what is `behind`
    for place, (begin, _, found) in enumerate(hits):
        while behind < len(hits) and hits[behind][1] - begin <= SNIPPET_CHARS:
            for term in hits[behind][2]:
                within[term] = within.get(term, 0) + 1
            behind += 1
        if behind == place:  # longer than a snippet by itself
            behind += 1
            continue
        if len(within) > best:
            best, start = len(within), begin
        for term in found:
            within[term] -= 1
            if not within[term]:
                del within[term]
    start = max(0, min(start - SNIPPET_CHARS // 8, len(text) - SNIPPET_CHARS))
    end = start + SNIPPET_CHARS
    while 0 < start < end and not text[start - 1].isspace() and text[start - 1 : start].isalnum():
        start += 1
    cut = " ".join(text[start:end].split())
    return f"{'…' if start else ''}{cut}{'…' if end < len(text) else ''}"
