"""Take secrets out of a text before it is written anywhere.

`redact` finds keys and tokens by their own form (`formats`), values by the names beside them
(`named`), both also when they are escaped, percent-encoded, in base64 or split over lines
(`views`). It works on one text without network or dictionaries, and in time linear in its length.
What it cannot find is said in docs/privacy.md: a password without anything that tells of it.
"""

from __future__ import annotations

from swarm_memory.lean import NamedTuple
from swarm_memory.redact import named
from swarm_memory.redact.formats import LINES, RUN, RUN_CHARS_MIN, TOKENS, elided
from swarm_memory.redact.views import blobs, readings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    Json = Any
    Found = tuple[int, int, str]  # from, to, kind

BLOBS_DEEP = 2  # base64 in base64
DEPTH_MAX = 64
TOO_DEEP = "[too deep]"
MARKER = r"(\[secret:[a-z-]{1,32}\])"
_RANK = {kind: at for at, kind in reversed(list(enumerate(row[0] for row in LINES + TOKENS)))}


class Redacted(NamedTuple):
    """A text without its secrets, and the kind of each that was replaced, in order."""

    text: str
    kinds: tuple[str, ...]


def redact(text: str) -> Redacted:
    """Return `text` with each secret replaced by a marker like `[secret:aws-access-key]`.

    Markers that are there already stay as they are. What stands around a secret stays, with the
    name that told of it.

    Source:
        Formats as gitleaks and GitHub's secret scanning have them; values beside telling names
        after Meli et al. 2019, "How Bad Can It Git?".
    """
    pieces: list[str] = []
    kinds: list[str] = []
    for at, part in enumerate(_split(text)):
        if at % 2:
            pieces.append(part)
        else:
            _redact_part(part, pieces, kinds)
    return Redacted("".join(pieces), tuple(kinds))


def _split(text: str) -> list[str]:
    """Return what stands between the markers of an earlier call, and these at odd places."""
    return named.compiled(MARKER).split(text) if "[secret:" in text else [text]


def _redact_part(text: str, pieces: list[str], kinds: list[str]) -> None:
    at = 0
    for start, end, kind in _merged(_found(text, BLOBS_DEEP)):
        pieces += [text[at:start], f"[secret:{kind}]"]
        kinds.append(kind)
        at = end
    pieces.append(text[at:])


def redact_json(value: Json) -> tuple[Json, tuple[str, ...]]:
    """Return JSON with the secrets in its texts and keys replaced, and their kinds.

    The value of a member whose key tells of a secret is judged as if the two stood in a text, and
    so is the word after an option in a list of arguments. Below 64 levels nothing is kept.
    """
    kinds: list[str] = []
    return _json(value, "", kinds, DEPTH_MAX), tuple(kinds)


def _json(value: Json, name: str, kinds: list[str], levels: int) -> Json:
    if isinstance(value, dict):
        if not levels:
            return TOO_DEEP
        kept: dict[str, Json] = {}
        for key, member in value.items():
            clean = _leaf(str(key), "", kinds)
            while clean in kept:
                clean += "'"  # two keys that were secrets of one kind
            kept[clean] = _json(member, str(key), kinds, levels - 1)
        return kept
    if isinstance(value, (list, tuple)):
        if not levels:
            return TOO_DEEP
        words = [item if isinstance(item, str) and item.startswith("--") else "" for item in value]
        return [
            _json(item, before or name, kinds, levels - 1)
            for item, before in zip(value, ["", *words], strict=False)
        ]
    if isinstance(value, str):
        return _leaf(value, name, kinds)
    if isinstance(value, int) and not isinstance(value, bool):
        kept_text = _leaf(str(value), name, kinds)
        return value if kept_text == str(value) else kept_text
    return value


def _leaf(text: str, name: str, kinds: list[str]) -> str:
    clean = redact(text)
    kinds += clean.kinds
    kind = named.telling(name) if name and not clean.kinds else None
    if kind and named.is_secret(text, kind, quoted=True):
        kinds.append(kind)
        return f"[secret:{kind}]"
    return clean.text


def _found(text: str, blobs_deep: int) -> Iterator[Found]:
    """Yield what is found in any reading of `text`, by its place in `text`."""
    for view in readings(text):
        for start, end, kind in _direct(view.text):
            yield *view.back(start, end), kind
        for start, end, content in blobs(view.text) if blobs_deep else ():
            inside = min(_found(content, blobs_deep - 1), key=_rank, default=None)
            if inside:
                yield *view.back(start, end), inside[2]


def _direct(text: str) -> Iterator[Found]:
    # Most texts have few runs that are long enough: triggers are looked for in these alone.
    runs = [run for run in named.compiled(RUN, 256).findall(text) if len(run) >= RUN_CHARS_MIN]
    for rows, searched in ((LINES, text), (TOKENS, "\n".join(runs))):
        for kind, triggers, pattern, check in rows:
            if any(trigger in searched for trigger in triggers):
                yield from _of_form(text, kind, pattern, check)
    yield from named.find(text)


def _of_form(
    text: str, kind: str, pattern: str, check: Callable[[str], bool] | None
) -> Iterator[Found]:
    for found in named.compiled(pattern, 256).finditer(text):  # re.ASCII
        start, group = found.start(), found.re.groups  # group 0 is the whole match
        if start and text[start].isalnum() and text[start - 1].isalnum():
            continue  # inside a word
        if (check is None or check(found[group])) and not elided(found[group]):
            yield *found.span(group), kind


def _rank(found: Found) -> int:
    return _RANK.get(found[2], len(_RANK))


def _merged(found: Iterable[Found]) -> list[Found]:
    """Return spans without overlap, each with the kind that says most."""
    merged: list[Found] = []
    for one in sorted(found):
        if merged and one[0] < merged[-1][1]:
            last = merged[-1]
            kind = min(last, one, key=_rank)[2]
            merged[-1] = (last[0], max(last[1], one[1]), kind)
        else:
            merged.append(one)
    return merged
