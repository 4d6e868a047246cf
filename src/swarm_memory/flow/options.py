"""The arguments of claude-flow's hooks, of both its lines, as one set of names.

Both lines drop options they do not know, and so does this: what is in somebody's settings or in a
prompt goes on working. An option of ours takes the next word whatever it looks like, unless that
is an option of ours itself: commands begin with a dash, too.
"""

from __future__ import annotations

from swarm_memory.errors import InvalidArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    Options = dict[str, str | bool]

# Names that take a value. What is not here is a switch, whose value may be `true` or `false`.
_VALUED = """
description task-id agent-id agent file memory-key operation command cwd exit-code output duration
query result-count type server session-id name swarm-id strategy priority model accuracy patterns
message level swarm-status channel success quality task outcome context metrics teammate-id
team-name period category top-k
"""
VALUED = frozenset(_VALUED.split())
# One letter means another thing at each hook. The old spelling `hook post-edit -m` is among them.
LETTERS = {
    "pre-task": {"i": "task-id", "d": "description", "a": "auto-spawn"},
    "post-task": {"i": "task-id", "s": "success", "q": "quality", "a": "agent", "t": "task"},
    "pre-edit": {"f": "file", "o": "operation", "c": "context"},
    "post-edit": {"f": "file", "m": "memory-key", "s": "success", "o": "outcome"},
    "pre-command": {"c": "command", "d": "dry-run"},
    "post-command": {"c": "command", "s": "success", "e": "exit-code", "d": "duration"},
    "notify": {"m": "message", "l": "level", "c": "channel"},
    "session-start": {"i": "session-id"},
    "session-restore": {"i": "session-id", "a": "restore-agents", "t": "restore-tasks"},
    "session-end": {"s": "save-state"},
    "route": {"t": "task", "c": "context", "K": "top-k"},
    "task-completed": {"i": "task-id", "s": "success", "q": "quality", "t": "teammate-id"},
    "teammate-idle": {"t": "teammate-id", "a": "auto-assign", "c": "check-task-list"},
}
SAME = {
    "pre-bash": "pre-command",
    "post-bash": "post-command",
    "notification": "notify",
    "notification-hook": "notify",
}
TRUE = ("true", "1", "yes", "on", "success", "succeeded", "completed", "ok")
FALSE = ("false", "0", "no", "off", "failure", "failed", "error")


def parse(words: Sequence[str]) -> tuple[str, Options]:
    """Return the hook and its options; what is no option of ours is left out."""
    hook = SAME.get(words[0], words[0]) if words else ""
    letters = LETTERS.get(hook, {})
    found: Options = {}
    waiting = [*words[1:]]
    while waiting:
        name, value = _split(waiting.pop(0), letters)
        if name is None:
            continue
        if value is not None:
            found[name] = value
        elif waiting and _is_value(name, waiting[0], letters):
            found[name] = waiting.pop(0)
        else:
            found[name] = True
    return hook, found


def _is_value(name: str, word: str, letters: dict[str, str]) -> bool:
    if name in VALUED:
        return _split(word, letters)[0] is None
    return word.lower() in ("true", "false")


def _split(word: str, letters: dict[str, str]) -> tuple[str | None, str | None]:
    """Return the option that a word names and the value behind its `=`; None if it is no option."""
    plain, equals, value = word.partition("=")
    if len(plain) == 2 and plain[0] == "-" and plain[1] in letters:
        return letters[plain[1]], value if equals else None
    if not plain.startswith("--") or len(plain) < 3 or not plain[2].isalpha():
        return None, None
    if not plain[2:].replace("-", "").isalnum():
        return None, None
    dashed = "".join(f"-{c.lower()}" if c.isupper() else c for c in plain[2:])
    return dashed, value if equals else None


def text(options: Options, *names: str) -> str | None:
    """Return the first of these options that has a text; a bare switch has none."""
    values = (options.get(name) for name in names)
    return next((value for value in values if isinstance(value, str) and value), None)


def asked(options: Options, name: str) -> bool:
    """Tell whether a switch was given and is not false."""
    value = options.get(name, False)
    return value is True or (isinstance(value, str) and value.lower() not in FALSE)


def success(options: Options) -> bool | None:
    """Return what the caller says about how it ended, None if nothing.

    Raises:
        InvalidArgumentError: It is neither.
    """
    value = options.get("success")
    if value is None:
        return None
    if value is True or str(value).lower() in TRUE:
        return True
    if str(value).lower() in FALSE:
        return False
    raise InvalidArgumentError(f"--success {value!r}", hint="say true or false")


def number(options: Options, name: str) -> float | None:
    """Return a number of at least 0, None if it is not given or is none, as `unknown`."""
    value = text(options, name)
    try:
        found = float(value) if value is not None else None
    except ValueError:
        return None
    return found if found is not None and 0 <= found < 1e12 else None
