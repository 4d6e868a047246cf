"""Wording: how stored text is put before an agent: quoted, on one line, within a budget.

What is stored was written by agents, and by whatever they had read. A reader of ours sees it as a
quotation with an author: no line of it can begin a new paragraph, no character of it can end the
quotation or make markup, and nothing of it is unseen.

Tokens are estimated without a tokenizer, which no hook has the time to load. The estimate is meant
to be too high: a test holds it above what tokenizers count, over prose, code, other scripts and
noise. It is about 1.8 times the count for English.
"""

from __future__ import annotations

import re

from swarm_memory.lean import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarm_memory.model import Json

QUOTE_CHARS_MAX = 2000  # of one value that are looked at
NAME_CHARS_MAX, NAME_TOKENS = 200, 24  # of a name
CUT = "…"
_MARK_TENTHS = 30  # what the mark costs
_AGES = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_PIECE = re.compile(r"[a-z]+|[A-Z]+|[0-9]+|\s+|[!-~]|[^\x00-\x7f]|.", re.DOTALL)
# What looks random is cut into more tokens than a word is.
_UNUSUAL = re.compile("[bcdfghjklmnpqrstvwxz]{3,}|[jqxz]")
# From which character on how many tenths of a token each one costs at most, in the mean.
_TENTHS = (
    (0x10000, 40), (0xD7A4, 30), (0xAC00, 24), (0xA000, 30), (0x4E00, 23), (0x3100, 30),
    (0x3040, 16), (0x0E80, 30), (0x0E00, 23), (0x0900, 20), (0x0700, 30), (0x0370, 14),
    (0x0250, 28), (0x0080, 20),
)  # fmt: skip
# A name that nobody takes for a sentence: no spaces, and nothing that ends a quotation.
_NAME = re.compile(r"[\w.:@+/~#…-]+")
# Signs that could end a quotation or make markup, and those that only look like them.
_QUOTES, _OPEN, _CLOSE = '"“”„‟«»＂″`', "<＜〈⟨﹤", ">＞〉⟩﹥"
_NEUTRAL = str.maketrans(
    _QUOTES + _OPEN + _CLOSE, "'" * len(_QUOTES) + "‹" * len(_OPEN) + "›" * len(_CLOSE)
)
# Fields that hold what somebody meant to say, the best first.
_TEXTS = ("text", "summary", "lesson", "decision", "note", "message", "content", "decision_data",
          "knowledge_data", "value")  # fmt: skip
# Fields that say again what stands beside the quotation.
_BESIDE = frozenset(
    {"agent_name", "author", "shared_by", "shared_ms", "timestamp_ms", "at_ms", "created_ms"}
    | {"session", "session_id", "kind", "decision_type", "knowledge_type"}
)


def tokens(text: str) -> int:
    """Return about how many tokens a text is, rather too many than too few.

    Of texts that are joined by line ends or spaces, the sum and one for each join is no less.
    """
    return -(-sum(_cost(piece) for piece in _PIECE.findall(text)) // 10)


def cut(text: str, tokens_max: int) -> str:
    """Return a text of at most so many tokens, with a mark where it was cut."""
    left = 10 * tokens_max
    room = left - _MARK_TENTHS
    end = 0
    for piece in _PIECE.finditer(text):
        left -= _cost(piece[0])
        if left < 0:
            return text[:end].rstrip() + CUT if end else ""
        if 10 * tokens_max - left <= room:
            end = piece.end()
    return text


@lru_cache(maxsize=4096)
def _cost(piece: str) -> int:
    """Return what a piece costs, in tenths of a token."""
    first, size = piece[0], len(piece)
    if "a" <= first <= "z":
        plain = 1 if size <= 3 else 1 + size // 3
        unusual = sum(len(run) // 2 for run in _UNUSUAL.findall(piece))
        return 10 * min(size, plain + unusual)
    if "A" <= first <= "Z":
        return 10 if size == 1 else -(-30 * size // 4)
    if "0" <= first <= "9":
        return -(-20 * size // 3)
    if first == " " and size == 1:
        return 0  # it belongs to the word behind it
    if first < "\x80":
        return 10 * size
    return next(tenths for start, tenths in _TENTHS if first >= chr(start))


def plain(text: str, tokens_max: int = NAME_TOKENS) -> str:
    """Return a name of at most so many tokens as it may stand in a sentence.

    It is in quotes, for two tokens more, unless it could be nothing else.

    Of a longer one the end is kept, which tells paths and agents apart.
    """
    clean = _neutral(text[-NAME_CHARS_MAX:])
    left, start = 10 * tokens_max - _MARK_TENTHS, len(clean)
    if len(text) > NAME_CHARS_MAX or tokens(clean) > tokens_max:
        for piece in reversed(_PIECE.findall(clean)):
            left -= _cost(piece)
            if left < 0:
                break
            start -= len(piece)
        clean = CUT + clean[start:]
    return clean if _NAME.fullmatch(clean) else f'"{clean}"'


def quoted(text: str, tokens_max: int) -> str:
    """Return a text as a quotation of at most so many tokens; '' if there is nothing to quote."""
    clean = cut(_neutral(text[:QUOTE_CHARS_MAX]), tokens_max - 2)
    return f'"{clean}"' if clean else ""


def _neutral(text: str) -> str:
    """Return a text on one line, with nothing unseen and no sign that ends a quotation."""
    if not text.isprintable():
        # Line ends, controls, directions, joiners, tags, half characters: none of them is seen.
        text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.translate(_NEUTRAL).split())


def age(ms: int) -> str:
    """Return a length of time in its largest unit."""
    seconds = max(0, ms) // 1000
    for size, unit in _AGES:
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return "0 s"


def said(value: Json) -> str:
    """Return what a value says: its sentence if it has one, else its fields."""
    if isinstance(value, dict):
        for name in _TEXTS:
            inner = value.get(name)
            if isinstance(inner, str) and inner.strip():
                return inner
            if inner and isinstance(inner, (dict, list)):
                value = inner
                break
    pieces: list[str] = []
    left = QUOTE_CHARS_MAX
    for piece in _flat(value, ""):
        pieces.append(piece)
        left -= len(piece)
        if left < 0:
            break
    return "; ".join(pieces)


def _flat(value: Json, name: str) -> Iterator[str]:
    if isinstance(value, dict):
        for inner, item in value.items():
            if name or inner not in _BESIDE:
                yield from _flat(item, inner)
    elif isinstance(value, list):
        for item in value:
            yield from _flat(item, name)
    elif value is not None and value != "":
        shown = value if isinstance(value, str) else str(value).lower()
        yield f"{name}: {shown}" if name else shown
