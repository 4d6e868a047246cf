"""The class of a failure: its first telling line, so that equal failures are equal texts.

Of an error's text only a line is kept that says what went wrong in the way of a program: the end of
a traceback, `error: …`, `fatal: …`, `command not found`. Any other line may be anything, such as
the file that a command printed before it failed. Secrets, paths, numbers and quoted texts are
replaced.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = Any

CHARS_READ_MAX = 20_000  # Claude Code gives at most about 10,000
LINES_MAX = 400
FAILURE_CHARS_MAX = 160
# The most telling first: the error itself, then what reports that there was one.
_TELLING = (
    r"\s*(?:E\s+)?(?:[A-Za-z_]\w*\.){0,8}[A-Z]\w*"
    r"(?:Error|Exception|Interrupt|Exit|Warning)\b.*",
    r"(?i:\S{0,120}\s?\b(?:error|fatal|panic|fatal error|npm err!|exception)\b\s?"
    r"(?:\[?[A-Z]{1,6}\d{1,6}\]?)?: .*"
    r"|(?:error|fatal|panic|abort(?:ed)?|segmentation fault|killed)\b.{0,200})",
    r"(?i:.{0,120}(?:command not found|no such file or directory|permission denied|"
    r"not recognized|connection refused|timed out|cannot find module|no module named|"
    r"does not exist|not found in file|is not unique|has not been read|"
    r"file has been modified).*)",
)
_FILE = (
    r"\b[\w-]{1,80}\.(?:py|pyi|js|jsx|ts|tsx|mjs|cjs|go|rs|c|cc|cpp|h|hpp|java|rb|php|sh|json|toml|"
    r"ya?ml|md|sql|txt)\b"
)
_PATH = r"(?:[A-Za-z]:\\|\.{0,2}/|~/)?(?:[\w.@+-]{1,120}[/\\]){1,40}[\w.@+-]{0,120}|/[\w.-]{1,120}"
_HEX = r"\b0x[0-9a-fA-F]{1,32}\b|\b(?=[0-9a-f-]{0,36}\d)[0-9a-f]{7,64}(?:-[0-9a-f]{4,12}){0,4}\b"
_COLOUR = r"\x1b\[[0-9;?]{0,20}[A-Za-z]"
_REPLACED = (
    (r"[a-z][a-z0-9+.-]{1,12}://[^\s'\"<>)]{1,400}", "<url>"),
    (r"'[^'\n]{0,400}'|\"[^\"\n]{0,400}\"|`[^`\n]{0,400}`", "<text>"),
    (_PATH, "<path>"),
    (_FILE, "<path>"),
    (_HEX, "<hex>"),
    (r"\d+(?:[.:,]\d+)*", "<n>"),
    (r"\s+", " "),
)
# The one quoted text that is kept: the package that is missing.
_MODULE = (
    r"(?:No module named|Cannot find module|Cannot find package) "
    r"['\"]([\w.@-]{1,60}(?:/[\w.-]{1,60})?)['\"]"
)


def exit_code_of(error: Json, output: Json = None) -> int | None:
    """Return the exit status that a tool reported, None if it reported none."""
    if isinstance(output, dict):
        for name in ("exit_code", "exitCode", "returncode", "code"):
            if type(output.get(name)) is int and abs(output[name]) < 2**31:
                return int(output[name])
    if not isinstance(error, str) or not error.lstrip().startswith("Exit code "):
        return None  # that is all of most calls, and costs no regular expression
    from swarm_memory.redact.named import compiled

    found = compiled(r"\s*Exit code (-?\d{1,9})\b").match(error)
    return int(found[1]) if found else None


def failure_of(error: Json) -> str | None:
    """Return the class of the failure that `error` tells of, at most 160 characters.

    "failed" if it has no line that may be kept; None if there is no error.
    """
    if error is None:
        return None
    from swarm_memory.redact.named import compiled

    text = error if isinstance(error, str) else ""
    text = compiled(_COLOUR).sub("", text[:CHARS_READ_MAX])
    lines = [line.strip() for line in text.splitlines()[-LINES_MAX:]]
    for pattern in _TELLING:
        told = [line for line in lines if compiled(pattern).fullmatch(line)]
        if told and "AssertionError" in told[-1]:
            return "AssertionError"  # what follows is the values that were compared
        if told:
            # Of a traceback the last line is the error, of a compiler the first.
            # pytest puts an E before it, which is no part of the error.
            line = told[-1] if pattern is _TELLING[0] else told[0]
            return normalised(line.removeprefix("E ").lstrip())
    return "failed"


def normalised(line: str) -> str:
    """Return a line without secrets, paths, numbers and quoted texts."""
    from swarm_memory.redact import redact
    from swarm_memory.redact.named import compiled

    line = redact(line[: 16 * FAILURE_CHARS_MAX]).text
    module = compiled(_MODULE).search(line)
    for pattern, stand_in in _REPLACED:
        line = compiled(pattern).sub(stand_in, line)
    if module:
        line = line.replace("<text>", module[1], 1)
    return "".join(c if c.isprintable() else "?" for c in line.strip()[:FAILURE_CHARS_MAX])
