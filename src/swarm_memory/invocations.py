"""The invocations of a shell line: what was run there, in a normal form that holds no argument.

`cd app && CI=1 uv run pytest -q tests/test_login.py | tail -5` is `uv run pytest`, a test, of
`tests/test_login.py`, whose exit status the line does not tell. A form has only words that cannot
hold a secret: the name of a program or of a script of the project, its subcommand, and flags from
a list. Files are kept of checks and of git only, and who keeps them asks the deny-list.
"""

from __future__ import annotations

from swarm_memory.commands import CLASSES, COMMAND_CHARS_MAX, OTHER, command_of
from swarm_memory.lean import NamedTuple
from swarm_memory.redact import redact
from swarm_memory.redact.named import compiled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

TEST, LINT, BUILD, GIT = "test", "lint", "build", "git"
TARGETS_MAX, INVOCATIONS_MAX = 4, 6
_WORD = r"""'[^']*'|"(?:\\.|[^"\\])*"|&&|\|\||\d?>&\d|&>|[;|&\n()]|(?:\\.|[^\s'";|&()\\])+|\S"""
_ENDS = {"&&", "||", ";", "|", "&", "\n", "(", ")"}
# Programs that only prepare for the next one, look at something, or shorten an output.
_ASIDE = {
    "cd", "pushd", "popd", "export", "set", "source", ".", "echo", "true", "sleep", "mkdir",
    "unset", "trap", "umask", "ulimit", "printf", "for", "case", "done", "fi", "esac", "cat",
    "head", "tail", "less", "wc", "sort", "uniq", "tee", "cut", "tr", "pwd", "date", "jq", "exit",
    "column", "stat", "file", "test", "[", "ps", "env", "which", "type", "diff", "xargs", "read",
}  # fmt: skip
# Their output is the program's, whose failure the line's exit status then hides.
_DROPPED = {
    "sudo", "env", "time", "nohup", "nice", "command", "exec", "doas", "stdbuf", "caffeinate",
    "xvfb-run", "then", "do", "if", "while", "!", "else",
}  # fmt: skip
_RUNNERS = {"npx", "bunx", "uvx", "pipx"}
_RUNNER_PAIRS = {
    ("uv", "run"), ("poetry", "run"), ("pipenv", "run"), ("hatch", "run"), ("pdm", "run"),
    ("bundle", "exec"), ("yarn", "exec"), ("pnpm", "exec"), ("python", "-m"),
    ("python3", "-m"), ("py", "-m"), ("pipx", "run"),
}  # fmt: skip
_INTERPRETERS = {"python", "python3", "py", "node", "bash", "sh", "zsh", "ruby", "perl", "php"}
_WITH_SUBCOMMAND = {
    "git", "gh", "npm", "pnpm", "yarn", "bun", "cargo", "go", "docker", "pip", "pip3", "uv",
    "poetry", "make", "just", "task", "dotnet", "mvn", "gradle", "gradlew", "terraform", "rake",
    "invoke", "ruff", "deno", "tox", "nox", "hatch", "pdm", "biome", "conda", "brew", "apt",
    "apt-get", "gem", "bundle", "composer", "mix", "sbt", "swift", "zig", "nx", "turbo", "rails",
    "swarm-memory", "pre-commit", "golangci-lint", "playwright", "cypress", "docker-compose",
}  # fmt: skip
# Words that a project calls its own tasks by: of its scripts nothing else is kept.
_TASKS = {
    "test", "tests", "check", "checks", "lint", "build", "compile", "format", "fmt", "typecheck",
    "types", "type", "ci", "e2e", "unit", "integration", "start", "dev", "install", "setup",
    "clean", "generate", "gen", "codegen", "migrate", "migrations", "docs", "bench", "coverage",
    "verify", "all", "run", "up", "down", "fix", "sync", "bootstrap", "deps", "release", "watch",
    "server", "serve", "smoke", "quick", "fast", "full", "lock", "update", "makemigrations",
    "prisma", "proto", "schema", "seed", "db", "assets", "frontend", "backend", "web", "api",
    "app", "style", "validate", "unittest", "spec", "push", "pull", "reset", "init",
}  # fmt: skip
_STASHES = {"pop", "apply", "push", "list", "show", "drop"}
_FLAGS = {
    "--fix", "--check", "--write", "--hard", "--frozen-lockfile", "--staged", "--all-files",
    "--update", "--updateSnapshot", "--snapshot-update",
}  # fmt: skip
_SELECTING = {
    "-k", "-m", "-t", "-g", "--grep", "--lf", "--last-failed", "--testNamePattern", "--filter",
    "-run", "--run", "--test", "--testPathPattern", "--only", "-p", "--package", "--changed",
    "--deselect", "--ignore", "-Dtest", "--tests", "--example", "--name", "--bin", "--sw",
}  # fmt: skip
_KINDS = {
    TEST: {"test", "tests", "e2e", "unit", "integration", "smoke", "spec", "unittest", "check",
        "checks", "ci", "verify", "coverage", "pytest", "rspec", "nextest", "behave", "trial"},
    LINT: {"lint", "format", "fmt", "typecheck", "types", "style", "ruff", "flake8", "pylint",
        "mypy", "pyright", "basedpyright", "black", "isort", "eslint", "prettier", "biome",
        "stylelint", "clippy", "golangci-lint", "gofmt", "rubocop", "shellcheck", "hadolint",
        "pre-commit", "tsc", "vet", "ktlint", "validate", "bandit", "yamllint"},
    BUILD: {"build", "compile"},
    "install": {"install", "setup", "bootstrap", "deps", "sync"},
}  # fmt: skip
_KIND_OF_NAME = {name: kind for kind, names in CLASSES.items() for name in names}
_KIND_OF_WORD = {word: kind for kind, words in _KINDS.items() for word in words}
_PROGRAM = r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,39}"
_SUBCOMMAND = r"[a-z][a-z-]{0,19}(?::[a-z0-9-]{1,20}){0,2}"
_SCRIPT = r"(?:\./)?(?:[\w-][\w.-]{0,39}/){0,4}[\w-][\w.-]{0,39}"
_SCRIPT_ENDS = (".py", ".js", ".mjs", ".cjs", ".ts", ".sh", ".rb", ".pl", ".php")
_EXTENSION = r".*\.(?:[A-Za-z]{1,4}|proto|toml|json|yaml|swift|svelte)"
_VARIABLE = r"[A-Za-z_]\w*=.*"
_FED = r"<<-?\s*['\"]?(\w+)['\"]?([^\n]*)\n(?:.*?\n\s*\1(?=\s|$)|.*)"


class Invocation(NamedTuple):
    """One command of a line.

    `form` is what it is run by, `name` the program with its subcommand whoever runs it, `kind` one
    of test, lint, build, git, install, search, other. `targets` are the files that it names, as
    they were written, at most four; `narrowed` says that it takes only a part of what its form
    alone would take. `masked` says that its own exit status is not that of the line.
    """

    form: str
    name: str
    kind: str
    targets: tuple[str, ...]
    narrowed: bool
    masked: bool


def invocations_of(line: str) -> list[Invocation]:
    """Return what a line runs, in order, at most six; what only prepares or looks is left out."""
    parts = list(_parts(line))
    found = []
    for number, (words, end) in enumerate(parts):
        form, rest = _form_of(words)
        if not form or form.partition(" ")[0] in _ASIDE:
            continue
        later = any(words for words, _ in parts[number + 1 :])
        masked = (end in ("|", "||", "&") and later) or (end in (";", "\n") and later)
        masked = masked and "pipefail" not in line
        # What a later command of an `&&` chain hides is hidden for all before it, too.
        masked = masked or (end == "&&" and _hidden_later(parts[number + 1 :], line))
        found.append(_invocation(form, rest, masked))
    return found[:INVOCATIONS_MAX]


def telling(invocations: list[Invocation]) -> Invocation | None:
    """Return the one that says most about the work: a test, else lint, else build, else the first.

    Of several tests the last one counts.
    """
    for kind in (TEST, LINT, BUILD):
        told = [one for one in invocations if one.kind == kind]
        if told:
            return told[-1]
    return invocations[0] if invocations else None


def _hidden_later(parts: list[tuple[list[str], str]], line: str) -> bool:
    for number, (_, end) in enumerate(parts):
        if end == "&&":
            continue
        return (
            end in ("|", "||", ";", "\n", "&")
            and any(words for words, _ in parts[number + 1 :])
            and "pipefail" not in line
        )
    return False


def _parts(line: str) -> Iterator[tuple[list[str], str]]:
    """Yield each command of a line by its words, with what ends it."""
    part: list[str] = []
    # A line that goes on behind a backslash is one, and what is fed to a program is no command.
    joined = line[:COMMAND_CHARS_MAX].replace("\\\n", " ")
    if "<<" in joined:
        joined = compiled(_FED, 16).sub(r"\2\n", joined)
    for found in compiled(_WORD, 16).finditer(joined):  # re.DOTALL
        if found[0] in _ENDS:
            yield part, found[0]
            part = []
        else:
            part.append(found[0].strip("'\""))
    yield part, ""


def _form_of(words: list[str]) -> tuple[str, list[str]]:
    """Return the form of one command, '' if there is none, and the words after it."""
    head: list[str] = []
    while words:
        word = words[0]
        plain = word.replace("\\", "/").rpartition("/")[2]
        if compiled(_VARIABLE, 16).fullmatch(word) or plain in _DROPPED:
            words = words[1:]
        elif plain == "timeout":
            words = words[1:]
            while words and compiled(r"-.*|[\d.]+[smhd]?|[A-Z]{3,9}").fullmatch(words[0]):
                words = words[1:]
        elif (plain, *words[1:2]) in _RUNNER_PAIRS:
            head, words = [*head, _program(word), words[1]], words[2:]
        elif plain in _RUNNERS:
            head, words = [*head, plain], words[1:]
        elif word.startswith("-"):
            words = words[1:]  # an option of what runs this
        else:
            break
    if not words or len(head) > 4:
        return "", []
    said, rest = _program_of(words)
    return " ".join([*head, *said]), rest


def _program_of(words: list[str]) -> tuple[list[str], list[str]]:
    """Return the words of a command that its form keeps, and the others."""
    said, rest = [_program(words[0])], words[1:]
    plain = said[0].rpartition("/")[2]
    script = next((word for word in rest if not word.startswith("-")), "")
    if plain in _INTERPRETERS and _is_script(script) and script.endswith(_SCRIPT_ENDS):
        said.append(script)
        rest = rest[rest.index(script) + 1 :]
        plain = script
    if plain in _WITH_SUBCOMMAND or "/" in said[-1] or plain.endswith(_SCRIPT_ENDS):
        said, rest = _with_subcommand(said, rest, closed=plain not in _WITH_SUBCOMMAND)
    return [*said, *(word for word in rest if word in _FLAGS)], rest


def _with_subcommand(
    said: list[str], rest: list[str], *, closed: bool
) -> tuple[list[str], list[str]]:
    """Add the subcommand; of a program that nobody knows only a word that projects use."""
    for number, word in enumerate(rest[:3]):
        if word.startswith("-"):
            continue
        known = all(part in _TASKS for part in word.replace(":", "-").split("-"))
        if not compiled(_SUBCOMMAND).fullmatch(word) or redact(word).kinds:
            break
        if closed and not known:
            break
        after = rest[number + 1 :]
        if word == "run" and said[-1] in ("npm", "pnpm", "yarn", "bun", "deno", "hatch", "nx"):
            return _with_subcommand([*said, word], after, closed=True)
        if word == "stash" and after[:1] and after[0] in _STASHES:
            return [*said, word, after[0]], after[1:]
        return [*said, word], after
    return said, rest


def _program(word: str) -> str:
    """Return a program as it may be shown: a script of the project with its path, else a name."""
    clean = word.replace("\\", "/")
    if _is_script(clean) and "/" in clean and not clean.startswith((".venv/", "venv/", "node_")):
        return clean
    name = clean.rpartition("/")[2]
    if not compiled(_PROGRAM).fullmatch(name) or redact(name).kinds:
        return OTHER
    return name


def _is_script(word: str) -> bool:
    return bool(compiled(_SCRIPT).fullmatch(word)) and not redact(word).kinds


def _invocation(form: str, rest: list[str], masked: bool) -> Invocation:
    name = _name_of(form)
    kind = _kind_of(form, name)
    targets: list[str] = []
    narrowed = "--" in rest[:-1] and kind == TEST
    for word in rest if kind in (TEST, LINT, BUILD, GIT) else ():
        flag = word.partition("=")[0]
        if flag.startswith("-"):
            narrowed = narrowed or (flag in _SELECTING and kind != GIT)
            continue
        path = word.partition("::")[0]
        narrowed = narrowed or path != word
        whole = path == "." and kind == GIT
        if (whole or _is_target(path)) and path not in targets:
            targets.append(path)
    cut = len(targets) > TARGETS_MAX
    return Invocation(form, name, kind, tuple(targets[:TARGETS_MAX]), narrowed or cut, masked)


def _is_target(word: str) -> bool:
    """Tell whether a word looks like a file or a folder of a project."""
    if len(word) > 200 or ".." in word or not compiled(r"[\w.@+/-]{2,200}").fullmatch(word):
        return False
    if word.replace(".", "").isdigit():
        return False
    return bool(compiled(_EXTENSION).fullmatch(word)) or "/" in word.strip("/") or word == "tests"


def _name_of(form: str) -> str:
    """Return the program with its subcommand, without what runs it: `pytest`, `npm test`."""
    known = command_of(form).name
    words = form.split()
    plain = words[0].rpartition("/")[2]
    if "/" in words[0] or plain in _INTERPRETERS or plain in _WITH_SUBCOMMAND:
        if (plain, *words[1:2]) in _RUNNER_PAIRS:
            return known
        return " ".join(word for word in words if word not in _FLAGS)
    return known


def _kind_of(form: str, name: str) -> str:
    words = [word for word in form.split() if not word.startswith("-")]
    kind = _KIND_OF_NAME.get(name)
    if name.partition(" ")[0] in _KINDS[LINT]:
        return LINT
    if kind in (TEST, "install", "search") or name.startswith(("git ", "gh ")) or name == "git":
        return kind or GIT
    for word in reversed(words):
        stem = word.rpartition("/")[2].partition(".")[0]
        for part in (stem, *stem.replace(":", "-").replace("_", "-").split("-")):
            if part in _KIND_OF_WORD:
                return _KIND_OF_WORD[part]
    return kind or _KIND_OF_NAME.get(name.partition(" ")[0]) or OTHER
