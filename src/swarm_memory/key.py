"""Keys: the one grammar by which everything in the store is named.

A key is one or more segments joined by `/`. A segment is made of the characters
`A-Z a-z 0-9 . _ : @ + -`, is not empty and is neither `.` nor `..`; a whole key has at most
255 bytes. That keeps keys safe in paths, URLs, SQL ranges and shells.

Any other text becomes a segment through `escape`, and comes back through `unescape`:

- a character outside the alphabet, and `+` itself, becomes `+XX` for each of its UTF-8 bytes;
- the empty text becomes `+`; `.` and `..` become `+2E` and `+2E+2E`;
- what would be longer than `limit` bytes is cut and ends in `+h` and 32 hexadecimal digits of its
  SHA-256. That tail keeps it unique, but only the shorter ones can be turned back.

No two texts share an escaped form: `+` never stands for itself, and `h` is no hexadecimal digit.
"""

from swarm_memory.errors import InvalidArgumentError, InvalidKeyError
from swarm_memory.lean import lru_cache

KEY_BYTES_MAX = 255
SEGMENT_ESCAPED_BYTES = 120

_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@+-")
_PLAIN = _ALPHABET - {"+"}
_ALLOWED = "letters, digits and . _ : @ + -"
KEY_END = "{"  # sorts after every key: the byte behind "z"
_HASH_DIGITS = 32
_HASH_MARK = "+h"


@lru_cache(maxsize=8192)
def check_key(text: str) -> str:
    """Return `text` if it is a valid key.

    Raises:
        InvalidKeyError: With the broken rule and a valid key that comes close.
    """
    if not isinstance(text, str):
        raise InvalidKeyError(text, f"a key is a str, not {type(text).__name__}", "notes/1")
    rule = _broken_rule(text)
    if rule:
        raise InvalidKeyError(text, rule, _suggest(text))
    return text


def _broken_rule(text: str) -> str | None:
    if not text:
        return "a key must not be empty"
    if len(text) > KEY_BYTES_MAX:
        size = len(text.encode("utf-8", "replace"))
        return f"a key has at most {KEY_BYTES_MAX} bytes, this has {size}"
    for segment in text.split("/"):
        if not segment:
            return "a segment must not be empty: no leading, trailing or double '/'"
        if segment in {".", ".."}:
            return f"{segment!r} is no segment: keys do not climb"
        if not _ALPHABET.issuperset(segment):
            wrong = next(character for character in segment if character not in _ALPHABET)
            return f"character {wrong!a} is not allowed in a segment (only {_ALLOWED})"
    return None


def _suggest(text: str) -> str:
    parts = []
    for part in text.replace("\\", "/").split("/"):
        if part in {"", ".", ".."}:
            continue
        parts.append(part if _ALPHABET.issuperset(part) else escape(part))
    suggestion = "/".join(parts) or "notes/1"
    if len(suggestion) <= KEY_BYTES_MAX:
        return suggestion
    return escape(suggestion, limit=KEY_BYTES_MAX)


def check_prefix(text: str) -> tuple[str | None, str, str]:
    """Return what `text` stands for: one exact key or None, and the range [low, high).

    A prefix matches whole segments: `…/agent-a` means the key itself and everything below it,
    never `…/agent-ab`. A trailing `/` leaves the key itself out, a trailing `*` asks for every
    key that begins with these letters, and the empty prefix for all.
    """
    if not isinstance(text, str):
        raise InvalidKeyError(text, f"a prefix is a str, not {type(text).__name__}", "notes/")
    if text in {"", "*"}:
        return None, "", KEY_END
    if text.endswith("*"):
        stem = text[:-1]
        check_key(stem.removesuffix("/"))
        return None, stem, stem[:-1] + chr(ord(stem[-1]) + 1)
    stem = check_key(text.removesuffix("/"))
    return (None if text.endswith("/") else stem), stem + "/", stem + "0"


def in_prefix(key: str, prefix: str) -> bool:
    """Tell whether `key` is one that `prefix` stands for, as `check_prefix` explains it."""
    if prefix in {"", "*"}:
        return True
    if prefix.endswith(("*", "/")):
        return key.startswith(prefix.removesuffix("*"))
    return key == prefix or key.startswith(prefix + "/")


def escape(text: str, *, limit: int = SEGMENT_ESCAPED_BYTES, also: str = "") -> str:
    """Return `text` as one valid segment of at most `limit` bytes.

    `unescape` gives the text back unless it was cut (see the module's text). Lone surrogates, as
    in undecodable file names, are kept. The characters of `also` are escaped too, so that they
    can stand between segments of one name.

    Raises:
        InvalidArgumentError: `limit` is below 40, too short for the hash tail.
    """
    if limit < _HASH_DIGITS + 8:
        raise InvalidArgumentError(f"limit {limit} leaves no room for the hash tail")
    plain = _PLAIN.difference(also) if also else _PLAIN
    if text and len(text) <= limit and plain.issuperset(text) and text not in {".", ".."}:
        return text
    if not text:
        return "+"
    if text in {".", ".."}:
        return "+2E" * len(text)
    escaped = "".join(c if c in plain else _escape_character(c) for c in text)
    if len(escaped) <= limit:
        return escaped
    from hashlib import sha256  # costs a hook 4 ms, and few names are this long

    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    head = escaped[: limit - _HASH_DIGITS - len(_HASH_MARK)]
    # Do not cut through an escape: a half one would read as another byte.
    cut = head.rfind("+", max(0, len(head) - 2))
    return f"{head if cut < 0 else head[:cut]}{_HASH_MARK}{digest}"


def _escape_character(character: str) -> str:
    return "".join(f"+{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def unescape(segment: str) -> str | None:
    """Return the text that `escape` turned into `segment`; None if it was cut.

    Raises:
        InvalidArgumentError: `segment` is nothing that `escape` returns.
    """
    if segment == "+":
        return ""
    if "+" not in segment:
        return segment
    head, *escaped = segment.split("+")
    octets = bytearray(head.encode("ascii", "replace"))
    for part in escaped:
        if part.startswith("h") and len(part) == 1 + _HASH_DIGITS:
            return None
        try:
            octets.append(int(part[:2], 16))
        except ValueError:
            raise InvalidArgumentError(f"{segment!r} is no escaped segment") from None
        octets += part[2:].encode("ascii", "replace")
    try:
        return octets.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise InvalidArgumentError(f"{segment!r} is no escaped segment") from None


def scope_of(key: str) -> str:
    """Return whose quota `key` counts to: `agent-…`, `session-…`, or the first segment.

    `swarm-x/agent-a/state` counts to `agent-a`, `swarm-x/session-1/context` to `session-1`,
    `swarm-x/global/…` to `global`; the swarm itself is never part of the scope.
    """
    first, _, rest = key.partition("/")
    if first.startswith("swarm-") and rest:
        return rest.partition("/")[0]
    return first
