"""What can be told of a text without its compiler: comments, notes in them, and declarations.

The strategies are regular expressions that each read the text once: none may take quadratic time
on a text made for it, so whatever opens (a quote, a block) also closes at the end of its line or
of the text. The checks walk the text mark by mark, or ask Python's tokenizer.
"""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import PurePath

from swarm_memory.lean import NamedTuple, lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LANGUAGES = {
    ".py": "python", ".pyi": "python", ".md": "markdown", ".json": "json", ".toml": "toml",
    ".sql": "sql", ".txt": "text", ".js": "javascript", ".mjs": "javascript",
    ".ts": "typescript", ".tsx": "typescript", ".html": "html", ".css": "css", ".sh": "shell",
    ".yml": "yaml", ".yaml": "yaml", ".rs": "rust", ".go": "go", ".c": "c", ".h": "c",
    ".java": "java", ".rb": "ruby",
}  # fmt: skip


class Syntax(NamedTuple):
    """How a language marks comments and strings; `line` and `block` may be None."""

    line: str | None
    block: tuple[str, str] | None
    quotes: str


_C = Syntax("//", ("/*", "*/"), "\"'")
_HASH = Syntax("#", None, "\"'")
SYNTAX = {
    "python": _HASH, "shell": _HASH, "ruby": _HASH, "yaml": _HASH, "toml": _HASH,
    "c": _C, "java": _C, "javascript": _C._replace(quotes="\"'`"),
    "typescript": _C._replace(quotes="\"'`"), "go": _C._replace(quotes="\"'`"),
    "rust": _C._replace(quotes='"'),  # 'a is a lifetime there
    "sql": Syntax("--", ("/*", "*/"), "\"'"),
    "css": Syntax(None, ("/*", "*/"), "\"'"), "html": Syntax(None, ("<!--", "-->"), ""),
}  # fmt: skip
KEYWORDS = {
    "javascript": "function class",
    "typescript": "function class interface enum",
    "go": "func type",
    "rust": "fn struct enum trait mod",
    "java": "class interface enum record",
}
NOTE = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
TOKEN = re.compile(r"[A-Za-z_$][\w$]*|[^\s\w]")


def language_of(name: str) -> str:
    """Return the language that the end of a name stands for, "unknown" if for none."""
    return LANGUAGES.get(PurePath(name).suffix.lower(), "unknown")


# --- how many lines hold a comment, and how many notes (TODO and the like) stand in comments ---


def comments_by_margin(name: str, content: bytes) -> dict[str, int]:
    """Read the comments that begin their line: misses those behind code."""
    text = content.decode()
    return _told(text, (m.span(1) for m in _margin(language_of(name)).finditer(text)))


def comments_by_mark(name: str, content: bytes) -> dict[str, int]:
    """Read what follows a comment's mark, wherever it stands: fooled by strings."""
    text = content.decode()
    return _told(text, (m.span() for m in _mark(language_of(name)).finditer(text)))


def comments_outside_strings(name: str, content: bytes) -> dict[str, int]:
    """Read what follows a comment's mark outside of what looks like a string."""
    text = content.decode()
    found = _strings_or_comment(language_of(name)).finditer(text)
    return _told(text, (m.span(1) for m in found if m[1] is not None))


def comments_in_tokens(name: str, content: bytes) -> dict[str, int] | None:
    """Count comments as the language reads them; None if nobody can tell."""
    language = language_of(name)
    try:
        text = content.decode()
        if language == "python":
            return _python_comments(content)
    except (SyntaxError, ValueError, tokenize.TokenError):
        return None
    return _told(text, ((start, end) for kind, start, end in _marked(text, language) if kind))


def _python_comments(content: bytes) -> dict[str, int]:
    lines, notes = set(), 0
    for token in tokenize.tokenize(io.BytesIO(content).readline):
        if token.type == tokenize.COMMENT:
            lines.add(token.start[0])
            notes += len(NOTE.findall(token.string))
    return {"comments": len(lines), "notes": notes}


def _told(text: str, spans: Iterable[tuple[int, int]]) -> dict[str, int]:
    """Count the lines that the spans (in order) touch, and the notes in them."""
    lines = notes = line = reached = 0
    last = -1
    for start, end in spans:
        line += text.count("\n", reached, start)
        within = text.count("\n", start, end)
        lines += (line > last) + within
        line, reached = line + within, end
        last = line
        notes += len(NOTE.findall(text, start, end))
    return {"comments": lines, "notes": notes}


def _comment(syntax: Syntax) -> str:
    kinds = [re.escape(syntax.line) + r"[^\n]*"] if syntax.line else []
    if syntax.block:
        opened, closed = map(re.escape, syntax.block)
        kinds.append(rf"{opened}.*?(?:{closed}|\Z)")
    return "|".join(kinds)


@lru_cache(maxsize=None)
def _margin(language: str) -> re.Pattern[str]:
    return re.compile(rf"^[ \t]*({_comment(SYNTAX[language])})", re.MULTILINE | re.DOTALL)


@lru_cache(maxsize=None)
def _mark(language: str) -> re.Pattern[str]:
    return re.compile(_comment(SYNTAX[language]), re.DOTALL)


@lru_cache(maxsize=None)
def _strings_or_comment(language: str) -> re.Pattern[str]:
    syntax = SYNTAX[language]
    strings = [r'"""(?:\\.|.)*?(?:"""|\Z)', r"'''(?:\\.|.)*?(?:'''|\Z)"]
    strings = strings if language == "python" else []
    for quote in syntax.quotes:
        # The closing quote is optional: else an open one would be tried from every position.
        inside = rf"\\.|[^\\{quote}]" if quote == "`" else rf"\\.|[^\\{quote}\n]"
        strings.append(f"{quote}(?:{inside})*{quote}?")
    return re.compile("|".join([*strings, f"({_comment(syntax)})"]), re.DOTALL)


def _marked(text: str, language: str) -> Iterator[tuple[bool, int, int]]:
    """Yield (whether it is a comment, start, end) of comments and strings, in order."""
    syntax = SYNTAX[language]
    opened, closed = syntax.block or ("", "")
    marks = [m for m in (syntax.line, opened, *syntax.quotes) if m]
    mark = re.compile("|".join(map(re.escape, marks)))
    at = 0
    while found := mark.search(text, at):
        start, sign = found.start(), found[0]
        at = found.end()
        if sign == syntax.line:
            if sign == "#" and start and not text[start - 1].isspace():
                continue  # in a shell `$#` is none
            at = _find(text, "\n", at, 0)
        elif sign == opened:
            at = _find(text, closed, at, len(closed))
        else:
            at = _end_of_string(text, sign, at)
        yield sign not in syntax.quotes, start, at


def _find(text: str, what: str, start: int, more: int) -> int:
    found = text.find(what, start)
    return len(text) if found < 0 else found + more


def _end_of_string(text: str, quote: str, at: int) -> int:
    while at < len(text):
        character = text[at]
        if character == "\\":
            at += 1
        elif character == quote:
            return at + 1
        elif character == "\n" and quote != "`":
            return at
        at += 1
    return len(text)


# --- how many functions and types a file declares by a keyword ---


def declarations_at_margin(name: str, content: bytes) -> int:
    """Count lines that begin with a keyword, not indented: misses what is nested or modified."""
    text = content.decode()
    return len(re.findall(rf"^(?:{_keywords(name)})[ \t]+[A-Za-z_$]", text, re.MULTILINE))


def declarations_by_pattern(name: str, content: bytes) -> int:
    """Count keywords that a name follows, anywhere: fooled by comments and strings."""
    return len(re.findall(rf"\b(?:{_keywords(name)})[ \t]+[A-Za-z_$]", content.decode()))


def declarations_outside_strings(name: str, content: bytes) -> int:
    """Count them after blanking what looks like a string or a comment."""
    bare = _strings_or_comment(language_of(name)).sub('""', content.decode())
    return len(re.findall(rf"\b(?:{_keywords(name)})[ \t]+[A-Za-z_$]", bare))


def declarations_in_tokens(name: str, content: bytes) -> int | None:
    """Count the keywords among the tokens that a name follows; None if nobody can tell."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    language = language_of(name)
    keywords = set(KEYWORDS[language].split())
    count, at, before = 0, 0, ""
    for comment, start, end in [*_marked(text, language), (True, len(text), len(text))]:
        for token in TOKEN.findall(text, at, start):
            count += before in keywords and (token[0].isalpha() or token[0] in "_$")
            before = token
        before = before if comment else '""'
        at = end
    return count


def _keywords(name: str) -> str:
    return KEYWORDS[language_of(name)].replace(" ", "|")
