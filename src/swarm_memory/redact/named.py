"""Secrets that only their name gives away: `password=…`, `"api_key": "…"`, `--token …`.

Two questions are asked of each place where a telling word ends a name. Is it followed by a value,
in one of the forms of shells, env files, YAML, JSON, TOML, XML, tables, code and prose? And is
that value a secret, or a placeholder, a type, a label, an expression, a sentence? Passwords are
chosen by people, so any value that is no such thing counts. Tokens and keys are made by machines,
so only what looks random counts: `token = "IDENT"` is code.
"""

from __future__ import annotations

from swarm_memory.lean import lru_cache
from swarm_memory.redact.formats import RUN, mixed, scrambled

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

    Found = tuple[int, int, str]  # from, to, kind

PASSWORD, SECRET, TOKEN = "password", "secret", "token"  # how a value is judged, and its kind
RANDOM_CHARS_MIN, SHORT_CHARS, LONG_CHARS = 8, 16, 20

# The words in which telling names end, and how their values are judged.
WORDS = {
    **dict.fromkeys(("password", "passwd", "passphrase", "passcode", "passwort", "kennwort",
                     "mnemonic_phrase", "seed_phrase", "pass", "pwd", "pw"), PASSWORD),
    "secret": SECRET,
    **dict.fromkeys(("token", "key", "key_id", "keyid", "credential", "credentials", "auth",
                     "bearer", "sessionid", "sessid", "connect.sid", "connection_string",
                     "connectionstring", "dsn", "psk", "jwt"), TOKEN),
}  # fmt: skip
# Keys of these are secret; any other (a primary key, a key of a dictionary) tells nothing.
_KEYS_OF = (
    r"(?:api|access|secret|private|encryption|decryption|signing|master|account|auth|service|"
    r"storage|shared|preshared|session|deploy|license|webhook|subscription|client|app|application|"
    r"bot|jwt|hmac|aes|crypto|cipher|ssh|gpg|sas|admin|root|personal|integration|project|write|"
    r"ingest|sdk)[ _-]?\Z"
)
_SUFFIX = r"""
(?: [_-]? (?:\d{1,3} | v\d | prod(?:uction)? | dev | test | staging | live | main | old | new
  | primary | secondary | value | b64 | base64 | hex | plain | raw | admin | root | user | default)
)? (?![A-Za-z0-9_]|-[A-Za-z])
"""
# What may stand between a name and its value, most telling first. `strict` forms are as good as
# prose, so that only random values count after them.
_BETWEEN = r"""
["'`]?\]?\)? (?:
   (?P<equals> [ \t]{0,8} (?::[ ]{0,2}[A-Za-z_&'\[\]. |<>]{1,40}[ ]{0,2})?  # a type
     (?::=|=>|={1,3}|!={1,2}) [ \t]{0,8} (?:\n[ \t]{1,40})?)
 | (?P<block> :[ ]{0,8}[|>][+-]?[ ]{0,8}\r?\n[ \t]{1,40})
 | (?P<colon> [ \t]{0,8} :{1,2} (?:[ \t]{0,8}|\r?\n[ \t]{1,40}(?=["'])) )
 | (?P<tag> > (?=[^<\n]{1,512}</) )
 | (?P<pair> (?<=["'`]),[ \t]{0,8}(?=[rbuf]{0,2}["'`])
   | ["']?\s{1,40}value\s{0,2}[:=]\s{0,2} )
 | (?P<prose> [ \t]{1,4}(?:is|was)[ \t:]{1,4} )
 | (?P<strict> [ \t]{0,4}\|[ \t]{0,40} | [ \t]{1,8} )
)
"""
_VALUE = r"""
(?:
   [rbuf]{0,2} (?P<quote>["'`]{1,3})
   (?P<quoted> (?:\\.|(?!(?P=quote))[^\\\n]){1,4096}) (?P=quote)
 | ["'`]? (?P<open> [^\s"'`<>]{1,1024})
)
"""
# A value that stands for one, by its whole text.
_PLACEHOLDER = r"""
  (.)\1* | \$\{.* | \$\(.* | \$?\{\{.* | \{[\w.!:]*\} | \#\{.*
  | \$[A-Z_][A-Z0-9_]* | \$[a-z_]+ | %\(?\w*\)?[sdr]? | %\w+% | <.*>? | \[.* | @\w+@ | \(.*
  | ![01]\W.*
  | (?:your|my|the|some|new|old|current|user|test|example|enter|insert|change|replace|input
    |confirm)(?:[ _-]?[a-z]+)* | .*_here
  | changeme | todo | tbd | n/?a | none | null | nil | undefined | void
  | true | false | yes | no | on | off | required | optional | redacted | removed | hidden | masked
  | empty | missing | invalid | valid | unknown | default | auto | disabled? | enabled? | forbidden
  | str(?:ing)? | bytes? | int(?:eger)? | bool(?:ean)? | any | object | char | text | varchar.*
  | secretstr | function | self | this | type | field | value | data | basic | bearer | foo | bar
  | options? | flags? | arguments? | parameters? | instead | with | from | is | can | will | must
  | admin | login | user(?:name)? | email | prompt | return | await | if | else | not | and | or
"""
_ELIDED = r"\*{3}|x{5}|\.{3}|…|%[sdr]\b|\{\w*\}"  # or a place that is filled in later
_LABEL = r"passw(?:or)?d|passphrase|pwd|secret|token|credential|api_?key|(?<![a-z])key(?![a-z])"
_PROSE = (
    r"(?i)\b(?:the|a|an|is|are|was|your|you|must|should|for|of|to|in|on|enter|please|invalid|not|"
    r"and|or|with|from|has|have|be|been|been|this|that|wrong|required|forgot|reset|new)\b|[.?!:,]\s"
)
_ALGORITHM = r"(?:md|sha|utf|base|bcrypt|latin|aes|rsa|ed|pbkdf|argon|v)[_-]?\d.*|\d+[-_]?[a-z]+"
_CALL = r"[A-Za-z_$][\w$]*(?:(?:\.|::|->)[\w$]+)*(?:[(\[{]|\?\.|!\.)"
_CHAIN = r"[A-Za-z_$@&*][\w$]*(?:(?:\.|::|->|/)[A-Za-z_$][\w$]*)+[;,)]*"
_PATH = r"(?:\.{0,2}|~|[A-Za-z]:|file:|https?:)[/\\].*|[\w.-]+\.(?:[a-z]{1,4}|example|local)"
_VERSIONISH = r"v?\d+(?:[._-]\d+)+(?:[._-]?[a-z]{1,6}\d*)?|\d{4}-\d\d-\d\d.*|[\d.,:_+-]+%?"
_WORDY = r"[A-Za-z]{2,}(?:[ ._:/-][A-Za-z]{2,}|[ ._:/-]?\d{1,3}){0,12}"


@lru_cache(maxsize=256)
def compiled(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """Return a pattern, compiled when it is first needed."""
    import re

    return re.compile(pattern, flags)


def find(text: str) -> Iterator[Found]:
    """Yield where in `text` values stand that their names give away."""
    done = 0
    for start, end, kind in _names(text):
        # Compiled only here: it takes 4 ms of a hook, and most commands have no such name.
        follows = compiled(_SUFFIX + _BETWEEN, 2 | 64)  # re.IGNORECASE | re.VERBOSE
        between = follows.match(text, end) if start >= done else None
        value = between and compiled(_VALUE, 2 | 64).match(text, between.end())
        if between and value:
            span = _Place(text, (start, end), kind, between, value).secret()
            if span:
                done = span[1]
                yield *span, kind


def _names(text: str) -> list[Found]:
    """Return the words in which telling names end, in order."""
    folded = text.lower()
    if len(folded) != len(text):  # a few letters become two
        folded = "".join(c.lower() if c.isascii() else c for c in text)
    names = []
    for word, kind in WORDS.items():
        at = folded.find(word)
        while at >= 0:
            end = at + len(word)
            if _is_name(text, folded, at, end, word):
                names.append((at, end, kind))
            at = folded.find(word, end)
    return sorted(names)


def _is_name(text: str, folded: str, start: int, end: int, word: str) -> bool:
    before = text[start - 1 : start]
    if word in ("key", "key_id", "keyid"):
        return bool(compiled(_KEYS_OF).search(folded, max(0, start - 16), start))
    if word in ("pass", "pwd", "pw"):
        hump = before.islower() and text[start].isupper()
        return not before.isalpha() or hump or folded[start - 2 : start] in ("pg", "db")
    if len(word) < 6 and word != "token":
        return not before.isalpha() or (before.islower() and text[start].isupper())
    return True


class _Place:
    """One telling name with what follows it."""

    def __init__(
        self,
        text: str,
        name: tuple[int, int],
        kind: str,
        between: re.Match[str],
        value: re.Match[str],
    ) -> None:
        self._text = text
        self._start, self._end = name[0], between.start(str(between.lastgroup))
        self._kind = kind
        self._form = str(between.lastgroup)
        self._tight = between[between.lastgroup or 0] in ("=", ":=")
        self._value = value

    def secret(self) -> tuple[int, int] | None:
        """Return from where to where the value stands if it is a secret."""
        kind, value = self._kind, self._value
        if self._form == "pair" and (
            self._text[self._start - 1 : self._start] == "/"
            or self._text[self._start : self._end].lower() in ("pass", "pwd", "pw")
        ):
            return None  # one of a list of words or paths
        if value["quoted"] is not None:
            start, end = value.span("quoted")
            strict = self._form in ("strict", "prose") and not self._after_option()
            judged_as = TOKEN if strict else kind
            good = is_secret(value["quoted"], judged_as, quoted=True)
            return (start, end) if good else None
        start, end = value.span("open")
        if self._form == "tag":
            end = self._text.find("<", start)
            good = is_secret(self._text[start:end], kind, quoted=True)
        else:
            start, end = self._trimmed(start, end)
            good = self._open_is_secret(kind, self._text[start:end], end)
        return (start, end) if good and start < end else None

    def _trimmed(self, start: int, end: int) -> tuple[int, int]:
        """Leave out what ends a value: the next parameter of a URL, closing marks of code."""
        if not self._is_line():
            for mark in ("&", ";", "|"):
                at = self._text.find(mark, start, end)
                end = at if at > start else end
        while end > start and self._text[end - 1] in ",;:)}]\\|.":
            end -= 1
        escape = self._text.find("\\n", start, end)  # within a JSON string: the next line
        return start, escape if escape > start else end

    def _open_is_secret(self, kind: str, value: str, end: int) -> bool:
        if self._form == "prose" and kind == PASSWORD:
            return len(value) >= 6 and mixed(value) and not _is(_ALGORITHM, value)
        if self._form in ("strict", "prose") and not self._after_option():
            return len(value) >= SHORT_CHARS and is_secret(value, TOKEN, quoted=False)
        if self._is_line():
            judged_as = PASSWORD if kind == SECRET else kind
            return is_secret(value, judged_as, quoted=True) and not _is(_CALL, value, whole=False)
        if kind == PASSWORD and value.isalpha():
            return self._stands_alone(end) and is_secret(value, kind, quoted=True)
        if self._text[end : end + 1] in (",", ")") and value.isidentifier():
            return False  # an argument of a call
        return is_secret(value, kind, quoted=False)

    def _is_line(self) -> bool:
        """Tell whether this is NAME=value as shells and env files have it."""
        return self._tight and not any(c.islower() for c in self._whole_name())

    def _whole_name(self) -> str:
        before = compiled(r"[A-Za-z0-9_]{0,64}\Z").search(
            self._text, max(0, self._start - 64), self._start
        )
        return (before[0] if before else "") + self._text[self._start : self._end]

    def _after_option(self) -> bool:
        """Tell whether the name is an option or a word that takes a value after a space."""
        before = self._text[max(0, self._start - 48) : self._start]
        return bool(
            compiled(r"(?:--[\w-]*|(?:ENV|ARG|setenv|set|login \S+)\s+\w*)\Z").search(before)
        )

    def _stands_alone(self, end: int) -> bool:
        """Tell whether a word after a name is a value and no variable, type or sentence."""
        before = self._text[self._start - 1 : self._start]
        after = self._text[end : end + 1]
        if before in ("?", "&") and self._tight:
            return True
        if self._form in ("strict", "block"):
            return True
        if self._form == "equals":
            return self._tight and after in ("", "\n", "\r", "&", ";", " ")
        return self._form == "colon" and after in ("", "\n", "\r") and self._end - self._start > 4


def telling(name: str) -> str | None:
    """Return how the value of `name` is judged: as password, secret, token, or not at all."""
    name = name[-128:]
    names = _names(name)
    kinds = [kind for _, end, kind in names if compiled(_SUFFIX, 2 | 64).fullmatch(name, end)]
    return kinds[-1] if kinds else None


def is_secret(value: str, kind: str, *, quoted: bool) -> bool:
    """Tell whether `value`, beside a telling name of that kind, is a secret.

    `quoted`: it is a text for certain; else it may be an expression of code.
    """
    if len(value) < 4 or "[secret:" in value or _is(_PLACEHOLDER, value):
        return False
    if compiled(_ELIDED, 2).search(value):
        return False
    if not quoted and (_is(_CALL, value, whole=False) or _is(_CHAIN, value)):
        return False
    if _is(_PATH, value) and not (scrambled(value) and value.count("/") * 10 <= len(value)):
        return False
    if not quoted and kind == TOKEN and not _is(RUN, value):
        return False
    if kind == PASSWORD:
        return _is_password(value, quoted)
    if kind == SECRET and quoted and len(value) < SHORT_CHARS:
        return not value.isalpha() and not _is(_WORDY, value) and not _is(_VERSIONISH, value)
    return is_random(value)


def _is_password(value: str, quoted: bool) -> bool:
    if any(c.isspace() for c in value):
        return quoted and not compiled(_PROSE).search(value) and len(value.split()) <= 12
    plain = value.translate({ord(c): None for c in "_-.:"}).isalpha()
    if plain and compiled(_LABEL, 2).search(value):
        return False  # the name of a field or a variable
    if quoted:
        return True
    if value.isdigit():
        return len(value) >= 6
    return not plain and not value.replace("_", "").isalpha()


def is_random(value: str) -> bool:
    """Tell whether `value` looks made by a machine: many different characters, no words."""
    if len(value) < RANDOM_CHARS_MIN or any(c.isspace() for c in value):
        return False
    from itertools import pairwise  # importing this module loads nothing

    digits = sum(c.isdigit() for c in value)
    letters = sum(c.isalpha() for c in value)
    turns = sum(a.islower() and b.isupper() for a, b in pairwise(value))
    long = len(value) >= LONG_CHARS and scrambled(value) and turns >= 2
    if (digits < 2 or letters < 2) and not long and turns * 6 < len(value):
        return False
    if len(set(value)) < min(8, len(value) // 2 + 1):
        return False
    return not _is(_WORDY, value) and not _is(_VERSIONISH, value)


def _is(pattern: str, value: str, *, whole: bool = True) -> bool:
    found = compiled(pattern, 2 | 64 | 16)  # with DOTALL
    return bool(found.fullmatch(value) if whole else found.match(value))
