"""The readings of a text under which a secret may hide, each with the way back to the text.

A view is the text with one encoding undone: escapes of JSON and HTML, percent encoding, breaks
inside a token. Secrets are looked for in each, and what is found is mapped back to where it stands
in the original. A view is made only of what has the encoding, so that plain text has none.
"""

from __future__ import annotations

from swarm_memory.redact.named import compiled

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator

ESCAPES_DEEP = 3  # JSON in JSON in JSON
PERCENT_DEEP = 2
BLOB_CHARS_MIN = 24
_ESCAPE = r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))|&(quot|amp|lt|gt|apos|\#39|\#34);"
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": " ", "f": " "}
_ENTITIES = {"quot": '"', "amp": "&", "lt": "<", "gt": ">", "apos": "'", "#39": "'", "#34": '"'}
_PERCENT = r"(?:%[0-9A-Fa-f]{2})+"
# A token that goes on after the end of a line, of a string, or of both. Without a mark that says
# so (a backslash, a plus), the next line must begin with what can only be a rest: digits in it,
# and nothing after it.
_GLUE = r"[ \t]{0,8}(?:[+.&]|\.\.)?[ \t]{0,8}"
_PARTS = rf"(?:[ \t]{{0,8}}\+[ \t]{{0,8}}|{_GLUE}\\?\r?\n[ \t]{{0,40}}{_GLUE})"
_BREAK = rf"""
   \\(?<=[\w/+=.-]{{4}}\\)\r?\n[ \t]{{0,40}}
 | "(?<=[\w/+=.-]{{4}}"){_PARTS}[rbuf]?"
 | '(?<=[\w/+=.-]{{4}}'){_PARTS}[rbuf]?'
 | \n(?:(?<=[\w/+=.-]{{16}}\n)|(?<=[\w/+=.-]{{16}}\r\n)) [ \t>|]{{0,40}}
   (?=[\w/+.-]{{0,160}}\d)(?=[\w/+.-]{{4,4000}}(?:=\w{{0,12}}|==)?(?:["'\s,;]|\Z))
"""
_BLOB = r"[\w+/-](?<![\w+/-].)[\w+/-]{19,}+(?:\r?\n[ \t]{0,8}[\w+/-]{20,}+)*+={0,2}"


class View:
    """A reading of a text; `back` tells where in the original a part of it stands."""

    __slots__ = ("_base", "_starts", "_theirs", "text")

    def __init__(self, text: str, starts: list[int], theirs: list[int], base: View | None) -> None:
        self.text = text
        self._starts, self._theirs, self._base = starts, theirs, base

    def back(self, start: int, end: int) -> tuple[int, int]:
        """Return from where to where in the original `text[start:end]` stands."""
        if self._starts:
            start, end = self._origin(start), self._origin(end - 1, after=True)
        return self._base.back(start, end) if self._base else (start, end)

    def _origin(self, at: int, *, after: bool = False) -> int:
        from bisect import bisect_right

        piece = bisect_right(self._starts, at) - 1
        first, theirs = self._starts[piece], self._theirs[piece]
        if theirs < 0:  # a piece that was decoded: it is taken whole
            following = self._theirs[piece + 1]
            return max(following, -following - 1) if after else -theirs - 1
        return theirs + at - first + after


def readings(text: str) -> Iterator[View]:
    """Yield the text itself, then each reading of it that differs from the one before."""
    view = View(text, [], [], None)
    yield view
    steps: list[tuple[tuple[str, ...], str, Callable[[re.Match[str]], str]]] = [
        (("\\", "&"), _ESCAPE, _unescaped),
        *[(('\\"', "\\n"), _ESCAPE, _unescaped)] * (ESCAPES_DEEP - 1),
        *[(("%",), _PERCENT, _unquoted)] * PERCENT_DEEP,
        (("\n", "+"), _BREAK, _joined),
    ]
    for marks, pattern, decode in steps:
        if any(mark in view.text for mark in marks):
            decoded = _decoded(view, pattern, decode)
            if decoded is not None:
                view = decoded
                yield view


def _decoded(view: View, pattern: str, decode: Callable[[re.Match[str]], str]) -> View | None:
    pieces: list[str] = []
    starts: list[int] = []
    theirs: list[int] = []
    length = at = 0
    text = view.text
    for found in compiled(pattern, 64 | 256).finditer(text):  # re.VERBOSE | re.ASCII
        start, end = found.span()
        if start > at:
            starts.append(length)
            theirs.append(at)
            pieces.append(text[at:start])
            length += start - at
        decoded = decode(found)
        if decoded:
            starts.append(length)
            theirs.append(-start - 1)
            pieces.append(decoded)
            length += len(decoded)
        at = end
    if not at:
        return None
    starts.append(length)
    theirs.append(at)
    pieces.append(text[at:])
    return View("".join(pieces), starts, theirs, view)


def _unescaped(found: re.Match[str]) -> str:
    if found[4]:
        return _ENTITIES[found[4]]
    code = found[1] or found[2]
    return chr(int(code, 16)) if code else _ESCAPED.get(found[3], found[3])


def _unquoted(found: re.Match[str]) -> str:
    return bytes.fromhex(found[0].replace("%", "")).decode("utf-8", "replace")


def _joined(found: re.Match[str]) -> str:
    return ""


def blobs(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield from where to where base64 stands in `text` that decodes to readable text, and that."""
    from binascii import Error, a2b_base64

    for found in compiled(_BLOB, 256).finditer(text):
        if len(found[0]) < BLOB_CHARS_MIN:
            continue
        plain = "".join(found[0].split()).rstrip("=").replace("-", "+").replace("_", "/")
        try:
            # The head tells: most of what looks like base64 is an image, or no base64 at all.
            if not _readable(a2b_base64(plain[:BLOB_CHARS_MIN])):
                continue
            decoded = a2b_base64(plain[: len(plain) - (len(plain) % 4 == 1)] + "==")
        except Error:
            continue
        content = _readable(decoded)
        if content:
            yield *found.span(), content


def _readable(content: bytes) -> str | None:
    """Return bytes as text if they are one: UTF-8, or the UTF-16 of PowerShell's -enc."""
    wide = content[1::2].count(0) * 2 > len(content) - 2
    if wide:
        content = content[::2]
    if len(content) < 8 or sum(b > 126 or b < 9 for b in content[:4096]) * 20 > len(content[:4096]):
        return None
    return content.decode("utf-8", "replace")
