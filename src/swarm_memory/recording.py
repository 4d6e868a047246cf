"""What may be remembered of an agent's use of a tool: the policy that every door asks.

- `off`: nothing.
- `metadata` (the default): which tool, on which path, of which class, how it ended, how long it
  took, how many bytes, a hash, the name and class of a command, the class of an error. Never a
  prompt, the content of a file, an argument or an output.
- `full`: the input and the output too, without their secrets, up to a size.

A path on the deny-list becomes a marker, and with it goes all that could tell of its content.
Fields that are unknown, missing or of another type are no error: an agent's tool call must not
fail because of its memory.
"""

from __future__ import annotations

from swarm_memory.errors import InvalidArgumentError, InvalidValueError
from swarm_memory.failures import exit_code_of, failure_of
from swarm_memory.lean import NamedTuple, lru_cache
from swarm_memory.patterns import below, literal, normal, overlap

# What looks for secrets and takes commands apart is imported where it is needed: its regular
# expressions cost more than all else that a hook does for an edit.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from swarm_memory.commands import Command

    Json = Any

OFF, METADATA, FULL = "off", "metadata", "full"
DENIED_PATH, OUTSIDE = "[denied path]", "[outside]"
TEXT_CHARS_MAX = 200  # of a tool's name, a path's segment, an error
# A text that is no longer, and has no more of these, is no secret that has a form; see `_is_word`.
WORD_CHARS_MAX, WORD_RUN_MAX, WORD_CAPITALS_MAX, WORD_DIGITS_MAX = 24, 16, 8, 4
TIMEOUT_EXIT_CODES = (124,)  # of timeout(1)
INTERRUPT_EXIT_CODES = (130, 143)  # SIGINT, SIGTERM
# Files that hold secrets by their purpose. `!pattern` after them allows again.
DENIED = (
    ".env", ".env.*", "*.env", ".envrc", "!.env.example", "!.env.sample", "!.env.template",
    "!*.env.example",
    "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.ppk", "*.asc", "*.gpg", "*.age",
    "*.kdbx", "*.ovpn", "*.tfstate", "*.tfstate.*", "*.tfvars", "id_rsa*", "id_dsa*", "id_ecdsa*",
    "id_ed25519*", "!*.pub", ".ssh/**", ".gnupg/**", ".aws/**", ".azure/**", ".kube/**",
    ".docker/config.json", ".config/gcloud/**", ".password-store/**", "Keychains/**",
    "secrets", "secrets/**", "secrets.*", "*.secrets", "*-secret.yaml", "*-secret.yml",
    "credentials", "credentials.*", "*credentials*.json", "service-account*.json", ".netrc",
    "_netrc", ".pgpass", ".my.cnf", ".npmrc", ".pypirc", ".git-credentials", ".htpasswd", "shadow",
    "*_history", ".vault-token", "wp-config.php", "master.key",
)  # fmt: skip
# What each known tool does. Of others the name tells what it can.
OPERATIONS = {
    "Read": "read", "NotebookRead": "read", "Write": "write", "Edit": "edit", "MultiEdit": "edit",
    "NotebookEdit": "edit", "Grep": "search", "Glob": "search", "LS": "search", "Bash": "command",
    "PowerShell": "command", "BashOutput": "command", "KillShell": "command", "Task": "agent",
    "Agent": "agent", "WebFetch": "fetch", "WebSearch": "fetch",
}  # fmt: skip
_PATHS = ("file_path", "notebook_path", "path", "filePath", "filename", "file", "directory")
_CONTENTS = ("content", "new_string", "new_source", "edits", "command", "prompt", "query", "url")


class Operation(NamedTuple):
    """What is kept of one use of a tool; None where nothing is known or nothing may be kept.

    `operation` is read, write, edit, search, command, agent, fetch, mcp or other; `exit` is ok,
    failed, timeout, interrupted or denied; `hash` is of what was written, run or asked;
    `secrets` counts what was replaced in `input` and `output`, by kind. `invocation` is what of a
    line says most (see `invocations`), `agent_run` how a subagent that was started ended.
    """

    tool: str
    operation: str
    path: str | None
    exit: str
    duration_ms: int | None
    input_bytes: int | None
    output_bytes: int | None
    hash: str | None
    command: str | None
    command_class: str | None
    exit_code: int | None
    error: str | None
    input: Json
    output: Json
    secrets: dict[str, int] | None
    invocation: dict[str, Json] | None = None
    agent_run: dict[str, Json] | None = None

    def to_dict(self) -> dict[str, Json]:
        """Return what is known, as it is stored."""
        return {name: value for name, value in self._asdict().items() if value is not None}


class Policy:
    """Decides what is kept of an operation. Pure: it reads no clock, file or environment.

    Args:
        record: "off", "metadata" or "full".
        denied: Globs beside `DENIED`, as reservations write them; one without `/` is a name in
            any folder, `!` before one allows again. The last that matches decides; case does not
            count.
        root: The project's root, to which paths are relative; `folder` is where the agent is.
        bytes_max: The size up to which `full` keeps each of input and output.

    Raises:
        InvalidArgumentError: A glob is none.
    """

    def __init__(
        self,
        record: str = METADATA,
        *,
        denied: Iterable[str] = (),
        root: str = "/",
        folder: str | None = None,
        bytes_max: int = 16_384,
    ) -> None:
        self.record = record
        self._root, self._folder = root, folder or root
        self._bytes_max = bytes_max
        # Ours are written as `normal` would, a test says: looking again would cost a hook 0.5 ms.
        self._denied = [_parts(p[0] == "!", f"**/{p.removeprefix('!').lower()}") for p in DENIED]
        self._denied += [_rule(pattern) for pattern in denied]

    def decide(
        self,
        tool: Json,
        tool_input: Json,
        output: Json = None,
        *,
        error: Json = None,
        interrupted: Json = False,
        denied: Json = False,
        duration_ms: Json = None,
    ) -> Operation | None:
        """Return what of an operation may be written, None if nothing.

        `output` and `error` are None where there are none; `denied` says that it did not run.
        """
        if self.record == OFF:
            return None
        name = _short(tool) if isinstance(tool, str) and tool else "unknown"
        operation = OPERATIONS.get(name) or ("mcp" if name.startswith("mcp__") else "other")
        fields = tool_input if isinstance(tool_input, dict) else {}
        path = self._path(fields)
        secret = path is not None and path.startswith(DENIED_PATH)
        command = fields.get("command") if operation == "command" else None
        line = _command_of(command) if isinstance(command, str) else None
        code = exit_code_of(error, output)
        known = Operation(
            tool=name,
            operation=operation,
            path=path,
            exit=_exit(output, error, code, bool(interrupted), bool(denied)),
            duration_ms=_whole(duration_ms),
            input_bytes=None if secret else _size(tool_input),
            output_bytes=None if secret or output is None else _size(output),
            hash=None if secret else _hash(fields, operation),
            command=line and line.name,
            command_class=line and line.kind,
            exit_code=code,
            error=None if secret else failure_of(error),
            input=None,
            output=None,
            secrets=None,
            invocation=self._invocation(command, output if error is None else error),
            agent_run=_agent_run(fields, output) if operation == "agent" else None,
        )
        return self._with_texts(known, tool_input, output, error) if self.record == FULL else known

    def is_denied(self, path: str) -> bool:
        """Tell whether nothing of the file `path` may be kept; one that cannot be judged is so."""
        parts = path.replace("\\", "/").lower().split("/")
        plain = "/".join(part for part in parts if part not in ("", ".", ".."))
        if not plain:
            return False
        try:
            mine = literal(plain)
        except InvalidArgumentError:
            return True
        verdict = False
        for allows, pattern, piece in self._denied:
            # The exact comparison takes 0.1 ms; most patterns have a text that is not in the path.
            if verdict is allows and piece in plain and overlap(pattern, mine):
                verdict = not allows
        return verdict

    def _path(self, fields: dict[str, Json]) -> str | None:
        found = [fields[name] for name in _PATHS if isinstance(fields.get(name), str)]
        given = [path for path in found if path]
        if not given:
            return None
        if any(self.is_denied(path) for path in given):
            return DENIED_PATH
        try:
            inside = below(given[0], root=self._root, folder=self._folder)
        except InvalidArgumentError:
            inside = f"{OUTSIDE}/{given[0].replace(chr(92), '/').rstrip('/').rpartition('/')[2]}"
        if self.is_denied(inside):  # where `..` led to
            return DENIED_PATH
        return "/".join(_short(segment) for segment in inside.split("/"))

    def _invocation(self, line: Json, answer: Json) -> dict[str, Json] | None:
        """Return what of a line says most about the work, with what its output says of it."""
        if not isinstance(line, str):
            return None
        from swarm_memory.invocations import BUILD, LINT, TEST, invocations_of, telling

        found = invocations_of(line)
        told = telling(found)
        if told is None:
            return None
        kept: dict[str, Json] = {
            "form": " ".join(self._kept_word(word) for word in told.form.split()),
            "name": " ".join(self._kept_word(word) for word in told.name.split()),
            "kind": told.kind,
            "targets": self._inside(told.targets),
            "narrowed": told.narrowed,
            "masked": told.masked,
            "also": [self._kept_word(one.form) for one in found if one is not told],
        }
        if told.kind in (TEST, LINT, BUILD):
            kept |= self._verdict(line, answer)
        return {name: value for name, value in kept.items() if value}

    def _verdict(self, line: str, answer: Json) -> dict[str, Json]:
        """Return what the output of a check says: passed or failed, how, and in which files."""
        from swarm_memory.verdicts import FAILED, places_of, text_of, verdict_of

        text = text_of(answer)
        verdict = verdict_of(text)
        known: dict[str, Json] = {"verdict": verdict}
        failed = isinstance(answer, str)  # then the class of the failure stands in `error`
        if (failed or verdict == FAILED) and not self._names_denied((line,)):
            known["places"] = self._inside(places_of(text))
            known["failure"] = None if failed else failure_of(text)
        return known

    def _inside(self, paths: Iterable[str]) -> list[str]:
        """Return those of some paths that lie in the project and may be kept, relative to it."""
        found = (path if path == "." else self._path({"path": path}) for path in paths)
        return [path for path in found if path and not path.startswith(("[", DENIED_PATH))]

    def _kept_word(self, word: str) -> str:
        return "script" if "/" in word and self.is_denied(word) else word

    def _names_denied(self, texts: Iterable[str]) -> bool:
        """Tell whether a command, or a list of files, names one that is on the deny-list."""
        from swarm_memory.commands import words_of

        return any(self.is_denied(word) for text in texts for word in words_of(text))

    def _with_texts(
        self, known: Operation, tool_input: Json, output: Json, error: Json
    ) -> Operation:
        from swarm_memory.redact import redact_json

        if known.path == DENIED_PATH:
            return known._replace(input=DENIED_PATH, output=output and DENIED_PATH)
        given, secrets = redact_json(tool_input)
        answer, more = redact_json(output if error is None else {"error": error})
        command = known.operation in ("command", "search") or known.operation == "mcp"
        if command and self._names_denied(_texts(tool_input)):
            answer, more = DENIED_PATH, ()
        kinds = (*secrets, *more)
        return known._replace(
            input=self._cut(given),
            output=None if answer is None else self._cut(answer),
            secrets={kind: kinds.count(kind) for kind in sorted(set(kinds))} or None,
        )

    def _cut(self, value: Json) -> Json:
        """Return a value that has no secrets any more, shortened to the size that is kept."""
        import json

        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        whole = text.encode("utf-8", "replace")
        if len(whole) <= self._bytes_max:
            return value if _is_storable(value, whole, text) else whole.decode()
        kept = whole[: self._bytes_max].decode("utf-8", "ignore")
        return f"{kept}… [{len(whole) - self._bytes_max} bytes cut]"


@lru_cache(maxsize=1024)
def _rule(pattern: str) -> tuple[bool, str, str]:
    """Return a rule as `_parts` does, from how people write it."""
    allows, plain = pattern.startswith("!"), pattern.removeprefix("!").lower()
    return _parts(allows, normal(f"**/{plain.lstrip('/')}"))


def _parts(allows: bool, whole: str) -> tuple[bool, str, str]:
    """Return whether a rule allows, its pattern for any depth, and a text of all that match."""
    pieces = whole.partition("[")[0].replace("*", "/").replace("?", "/").split("/")
    return allows, whole, max(pieces, key=len)


def _exit(output: Json, error: Json, code: int | None, interrupted: bool, denied: bool) -> str:
    """Return how an operation ended, by what its tool reported."""
    fields = output if isinstance(output, dict) else {}
    text = error if isinstance(error, str) else ""
    if denied:
        return "denied"
    if interrupted or fields.get("interrupted") is True or code in INTERRUPT_EXIT_CODES:
        return "interrupted"
    if code in TIMEOUT_EXIT_CODES or "timed out" in text[:TEXT_CHARS_MAX].lower():
        return "timeout"
    failed = fields.get("isError") or fields.get("is_error") or fields.get("success") is False
    if failed or code or error is not None:
        return "failed"
    return "ok"


def _hash(fields: dict[str, Json], operation: str) -> str | None:
    """Return a digest of what was written, run or asked, to tell equal from changed."""
    texts = [text for name in _CONTENTS if name in fields for text in _texts(fields[name])]
    if not texts:
        return None
    whole = "\0".join(texts)
    if operation not in ("write", "edit"):
        from swarm_memory.redact import redact

        # A command is short: whoever knows the rest of it could try passwords against its hash.
        whole = redact(whole).text
    from _blake2 import blake2b  # hashlib would load OpenSSL, 15 ms, in every hook

    return str(blake2b(_bytes(whole), digest_size=16).hexdigest())


def _agent_run(fields: dict[str, Json], output: Json) -> dict[str, Json]:
    """Return which subagent was started: its type and model, the class of its task, its costs."""
    from swarm_memory.commands import task_class_of

    said = output if isinstance(output, dict) else {}
    names = {"agent_id": said.get("agentId"), "model": said.get("resolvedModel")}
    names |= {"agent_type": fields.get("subagent_type"), "status": said.get("status")}
    numbers = {"tokens": said.get("totalTokens"), "tools": said.get("totalToolUseCount")}
    numbers |= {"ms": said.get("totalDurationMs")}
    what = fields.get("description")
    found: dict[str, Json] = {"task": task_class_of(what if isinstance(what, str) else "")}
    found |= {k: _short(v) for k, v in names.items() if isinstance(v, str) and v}
    return found | {k: _whole(v) for k, v in numbers.items() if _whole(v) is not None}


def _texts(value: Json) -> Iterator[str]:
    """Yield all texts in a value, however deep."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, (list, tuple)):
            waiting += item


def _is_storable(value: Json, whole: bytes, text: str) -> bool:
    """Tell whether a store takes a value: what a hook gets may be NaN or half a character."""
    from swarm_memory import codec

    try:
        codec.check_value(value)
    except InvalidValueError:
        return False
    return whole.decode() == text


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _size(value: Json) -> int:
    return sum(len(_bytes(text)) for text in _texts(value))


def _whole(value: Json) -> int | None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return int(value) if number and 0 <= value < 2**53 else None


def _command_of(line: str) -> Command:
    from swarm_memory.commands import command_of

    return command_of(line)


def _short(text: str) -> str:
    if _is_word(text):
        return text
    from swarm_memory.redact import redact

    clean = redact(text[: 4 * TEXT_CHARS_MAX]).text[:TEXT_CHARS_MAX]
    return "".join(c if c.isprintable() else "?" for c in clean)


def _is_word(text: str) -> bool:
    """Tell whether a text is so short and plain that no secret can be found in it."""
    if len(text) > WORD_CHARS_MAX or not text.isascii():
        return False
    run = digits = 0
    for character in text:
        run = run + 1 if character.isalpha() else 0
        digits += character.isdigit()
        if run > WORD_RUN_MAX or not (character.isalnum() or character in "._-"):
            return False
    capitals = sum(character.isupper() for character in text)
    return digits <= WORD_DIGITS_MAX and capitals <= WORD_CAPITALS_MAX
