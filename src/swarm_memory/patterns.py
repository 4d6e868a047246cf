"""Patterns of paths: how they are written, and whether two of them have a path in common.

A pattern is a path below the project's root, with `/` between its segments. In a segment `*`
stands for any run of characters, `?` for one, `[abc]`, `[a-z]` and `[!abc]` for one of a class; the
segment `**` stands for any number of segments, none among them. Case counts, and names that begin
with a dot are names like others. A segment with brackets also stands for what is spelled the same,
because frameworks have folders like `app/[id]`.

Two patterns overlap if some path matches both. That is exact: a search through the pairs of
positions in both patterns, once over their segments and for each two segments over characters.
"""

from __future__ import annotations

from swarm_memory.errors import InvalidArgumentError
from swarm_memory.lean import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeVar

    T = TypeVar("T")
    Span = tuple[str, str]  # from the first to the last of some characters

FILES = "file:"  # what the name of a lease on paths begins with
ANY_RUN, ANY_SEGMENTS = "*", "**"
STARS_MAX = 16  # per pattern, and
SEGMENT_CHARS_MAX = 255  # as in a file system: the search is quadratic in both
_FIRST, _LAST = "\x01", "\U0010ffff"
_ANY: tuple[Span, ...] = (("\x01", "."), ("0", _LAST))  # but the slash, which ends a segment


def normal(pattern: str) -> str:
    """Return the one spelling of `pattern`: no `.` and `..`, and `**` at the end of a tree.

    Raises:
        InvalidArgumentError: It names nothing below the root, or is no pattern; the hint says
            what to write instead.
    """
    if pattern.startswith("/"):
        raise _bad(pattern, "write it relative to the project's root, like src/app.py")
    if "\\" in pattern:
        raise _bad(pattern, "write / between segments, and [*] for a * that is meant")
    if any(character < " " for character in pattern):
        raise _bad(pattern, "write ? for a control character")
    segments: list[str] = []
    for segment in pattern.split("/"):
        if segment == "..":
            if not segments or segments[-1] == ANY_SEGMENTS:
                raise _bad(pattern, "it leaves the project's root: name a path below it")
            segments.pop()
        elif segment not in ("", ".") and not (segment == ANY_SEGMENTS == "".join(segments[-1:])):
            segments.append(_checked(segment, pattern))
    if segments and pattern.endswith("/") and segments[-1] != ANY_SEGMENTS:
        segments.append(ANY_SEGMENTS)
    if not segments:
        raise _bad(pattern, "write ** for everything")
    if sum(segment.count("*") for segment in segments) > STARS_MAX:
        raise _bad(pattern, f"write at most {STARS_MAX} stars, or reserve a tree: src/**")
    return "/".join(segments)


def literal(path: str) -> str:
    """Return the pattern that only `path` matches, each of its characters meaning itself."""
    return normal("".join(f"[{c}]" if c in "*?[" else c for c in path))


def below(path: str, *, root: str, folder: str) -> str:
    """Return `path`, as somebody in `folder` writes it, relative to `root`; both are absolute.

    Raises:
        InvalidArgumentError: It leads out of `root`.
    """
    root, folder, path = (text.replace("\\", "/") if _windows(root) else text
                          for text in (root, folder, path))  # fmt: skip
    absolute = path if path.startswith("/") or _windows(path) else f"{folder}/{path}"
    above = [part for part in root.split("/") if part]
    kept: list[str] = []
    for part in absolute.split("/"):
        if part == "..":
            kept = kept[:-1]
        elif part not in ("", "."):
            kept.append(part)
    if kept[: len(above)] != above:
        raise _bad(path, f"name a path below the project's root {root}")
    inside = "/".join(kept[len(above) :])
    folder_meant = path.rpartition("/")[2] in ("", ".", "..")
    return f"{inside}/" if inside and folder_meant else inside or ANY_SEGMENTS


@lru_cache(maxsize=8192)
def overlap(one: str, other: str) -> bool:
    """Tell whether some path matches both patterns, each in its normal spelling."""
    if one == other:
        return True
    return _meet(one.split("/"), other.split("/"), ANY_SEGMENTS, _segments_meet)


def _meet(one: Sequence[T], other: Sequence[T], run: T, both: Callable[[T, T], bool]) -> bool:
    """Tell whether two sequences, in which `run` stands for any run, have an instance in common.

    Walks the product of both automata: a state is how much of each has been matched.
    """
    seen, waiting = {(0, 0)}, [(0, 0)]
    while waiting:
        i, j = waiting.pop()
        if i == len(one) and j == len(other):
            return True
        first = one[i] if i < len(one) else None
        second = other[j] if j < len(other) else None
        following = []
        if first == run:
            following.append((i + 1, j))  # the run is over, or takes what the other has there
            if second is not None:
                following.append((i, j + 1))
        if second == run:
            following.append((i, j + 1))
            if first is not None:
                following.append((i + 1, j))
        elif first is not None and first != run and second is not None and both(first, second):
            following.append((i + 1, j + 1))
        new = [state for state in following if state not in seen]
        seen.update(new)
        waiting += new
    return False


@lru_cache(maxsize=8192)
def _segments_meet(one: str, other: str) -> bool:
    if one == other:
        return True
    if not _has_wildcards(one) and not _has_wildcards(other):
        return False
    return any(
        _meet(mine, theirs, (), _spans_meet)
        for mine in _spellings(one)
        for theirs in _spellings(other)
    )


def _spans_meet(one: tuple[Span, ...], other: tuple[Span, ...]) -> bool:
    return any(a <= d and c <= b for a, b in one for c, d in other)


def _spellings(segment: str) -> Iterator[list[tuple[Span, ...]]]:
    """Yield the characters that may stand at each place of a segment; () stands for any run."""
    yield list(_places(segment))
    if "[" in segment:
        yield [((c, c),) for c in segment]


def _places(segment: str) -> Iterator[tuple[Span, ...]]:
    at = 0
    while at < len(segment):
        character = segment[at]
        if character == "[":
            end = _class_end(segment, at)
            yield _class(segment[at + 1 : end])
            at = end
        elif character == "*":
            yield ()
        else:
            yield _ANY if character == "?" else ((character, character),)
        at += 1


def _class(text: str) -> tuple[Span, ...]:
    """Return what stands between brackets as spans in order."""
    inverse = text[0] in "!^" and len(text) > 1
    spans, at = [], int(inverse)
    while at < len(text):
        size = 3 if text[at + 1 : at + 2] == "-" and at + 2 < len(text) else 1
        spans.append((text[at], text[at + size - 1]))
        at += size
    if not inverse:
        return tuple(spans)
    rest, start = [], _FIRST
    for first, last in sorted([*spans, ("/", "/")]):
        if start < first:
            rest.append((start, chr(ord(first) - 1)))
        start = max(start, chr(min(ord(last) + 1, ord(_LAST))))
    return (*rest, (start, _LAST))


def _class_end(segment: str, start: int) -> int:
    """Return where the class that begins at `start` ends, -1 if it does not."""
    first = start + 1 + (segment[start + 1 : start + 2] in ("!", "^"))
    return segment.find("]", first + 1)  # a bracket that stands first is one of the class


def _has_wildcards(segment: str) -> bool:
    return "*" in segment or "?" in segment or "[" in segment


def _checked(segment: str, pattern: str) -> str:
    """Return a segment if it means what people expect of it."""
    if len(segment) > SEGMENT_CHARS_MAX:
        raise _bad(pattern, f"write at most {SEGMENT_CHARS_MAX} characters between two /")
    if ANY_SEGMENTS in segment and segment != ANY_SEGMENTS:
        tree = segment.strip("*") and segment.replace(ANY_SEGMENTS, f"{ANY_SEGMENTS}/*", 1)
        raise _bad(pattern, f"** is a whole segment: write {tree or ANY_SEGMENTS} for {segment}")
    opening, closing = segment.find("{"), segment.rfind("}")
    if 0 <= opening < closing and "," in segment[opening:closing]:
        raise _bad(pattern, "braces are not expanded: reserve each with hold_all([...])")
    at = segment.find("[")
    while at >= 0:
        end = _class_end(segment, at)
        if end < 0:
            raise _bad(pattern, "a [ is not closed: write [[] for one that is meant")
        for first, last in _class(segment[at + 1 : end]):
            if first > last:
                raise _bad(pattern, f"[{first}-{last}] is empty: write [{last}-{first}]")
        at = segment.find("[", end)
    return segment


def _windows(path: str) -> bool:
    return path[1:2] == ":" and path[:1].isalpha()


def _bad(pattern: str, hint: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"pattern {pattern!r:.80}", hint=hint)
