"""The name and the class of a shell command, without its arguments.

`cd app && NODE_ENV=test sudo npm test -- --token=…` is "npm test", a test. Only words that look
like the name of a program, and known subcommands, are ever returned.
"""

from __future__ import annotations

from swarm_memory.lean import NamedTuple
from swarm_memory.redact import redact
from swarm_memory.redact.named import compiled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER = "other"
COMMAND_CHARS_MAX = 4096  # that are looked at
WORDS_MAX = 500
# Programs that only prepare for the next command of a line, or run the one after them.
_PREPARING = {
    "cd", "pushd", "export", "set", "source", ".", "echo", "true", "sleep", "mkdir",
    "unset", "trap", "umask", "ulimit", "printf", "for", "case", "done", "fi", "esac",
}  # fmt: skip
_RUNNING = {
    "sudo", "env", "time", "nohup", "nice", "command", "exec", "xvfb-run", "npx", "bunx",
    "uvx", "pipx", "doas", "stdbuf", "caffeinate", "bundle", "then", "do", "if", "while",
    "!",
}  # fmt: skip
_RUNNING_PAIRS = {
    ("uv", "run"), ("poetry", "run"), ("pipenv", "run"), ("hatch", "run"), ("pdm", "run"),
    ("bundle", "exec"), ("yarn", "exec"), ("pnpm", "exec"), ("python", "-m"),
    ("python3", "-m"), ("py", "-m"),
}  # fmt: skip
_SUBCOMMANDS = {
    "git", "gh", "npm", "pnpm", "yarn", "bun", "cargo", "go", "docker", "kubectl", "pip",
    "pip3", "uv", "poetry", "apt", "apt-get", "brew", "make", "dotnet", "mvn", "gradle",
    "gradlew", "terraform", "helm", "systemctl", "conda", "gem", "deno", "rustup",
    "swarm-memory",
}  # fmt: skip
CLASSES = {
    "test": {"pytest", "py.test", "tox", "nox", "unittest", "jest", "vitest", "mocha",
        "rspec", "phpunit", "ctest", "ava", "karma", "playwright", "cypress", "npm test",
        "npm t", "pnpm test", "yarn test", "bun test", "cargo test", "cargo nextest",
        "go test", "make test", "make check", "dotnet test", "mvn test", "mvn verify",
        "gradle test", "gradlew test", "deno test"},
    "build": {"make", "cmake", "ninja", "tsc", "webpack", "vite", "rollup", "esbuild",
        "gcc", "g++", "clang", "clang++", "rustc", "javac", "bazel", "meson", "npm build",
        "pnpm build", "yarn build", "bun build", "cargo build", "cargo check", "go build",
        "go vet", "docker build", "dotnet build", "mvn package", "mvn compile",
        "gradle build", "gradlew build", "gradle", "gradlew", "mvn", "uv build", "poetry build"},
    "git": {"git", "gh", "hg", "svn", "jj"},
    "install": {"npm install", "npm i", "npm ci", "npm add", "pnpm install", "pnpm i",
        "pnpm add", "yarn install", "yarn add", "yarn", "bun install", "bun add", "pip install",
        "pip3 install", "pip download", "uv sync", "uv add", "uv pip", "poetry install",
        "poetry add", "cargo add", "cargo install", "go get", "go install", "go mod", "apt",
        "apt-get", "brew", "apk", "dnf", "yum", "pacman", "gem install", "conda install",
        "bundle install", "pip", "pip3"},
    "search": {"grep", "egrep", "fgrep", "rg", "ag", "ack", "find", "fd", "fdfind", "ls",
        "tree", "locate", "which", "whereis", "git grep"},
}  # fmt: skip
_CLASS_OF = {name: kind for kind, names in CLASSES.items() for name in names}
_WORD = r"""'[^']*'|"(?:\\.|[^"\\])*"|&&|\|\||[;|&\n()]|(?:\\.|[^\s'";|&()\\])+|\S"""
_PROGRAM = r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,39}"
_SUBCOMMAND = r"[a-z][a-z-]{0,19}(?::[a-z0-9-]{1,20})?"
_ENDS = {"&&", "||", ";", "|", "&", "\n", "(", ")"}


class Command(NamedTuple):
    """The name of a command, with its subcommand, and test, build, git, install, search, other."""

    name: str
    kind: str


def command_of(line: str) -> Command:
    """Return the first command of a line that does the work; the first at all if none does."""
    names = names_of(line)
    working = [name for name in names if name.partition(" ")[0] not in _PREPARING]
    name = (working or names or [OTHER])[0]
    program = name.partition(" ")[0]
    return Command(name, _CLASS_OF.get(name) or _CLASS_OF.get(program) or OTHER)


def names_of(line: str) -> list[str]:
    """Return the names of all commands of a line, in order."""
    return [name for part in _parts(line) if (name := _name_of(part))]


def words_of(line: str) -> Iterator[str]:
    """Yield what in a line may be the name of a file, at most WORDS_MAX."""
    found = compiled(r"""[^\s'"=<>|;&(),`:@{}$]{2,255}""").finditer(line[: 16 * COMMAND_CHARS_MAX])
    for _, word in zip(range(WORDS_MAX), found, strict=False):
        yield word[0]


def _parts(line: str) -> Iterator[list[str]]:
    part: list[str] = []
    for found in compiled(_WORD, 16).finditer(line[:COMMAND_CHARS_MAX]):  # re.DOTALL
        if found[0] in _ENDS:
            yield part
            part = []
        else:
            part.append(found[0].strip("'\""))
    yield part


def _name_of(words: list[str]) -> str | None:
    """Return program and subcommand of one command, past variables and what runs others."""
    while words:
        program = words[0].replace("\\", "/").rpartition("/")[2]
        if compiled(r"[A-Za-z_]\w*=.*", 16).fullmatch(words[0]) or program in _RUNNING:
            words = words[1:]
        elif program == "timeout":
            words = words[1:]
            while words and compiled(r"-.*|[\d.]+[smhd]?|[A-Z]{3,9}").fullmatch(words[0]):
                words = words[1:]  # its options, its signal and its duration
        elif words[0].startswith("-"):
            words = words[1:]  # an option of what runs this
        elif (program, *words[1:2]) in _RUNNING_PAIRS:
            words = words[2:]
        else:
            break
    else:
        return None
    if not compiled(_PROGRAM).fullmatch(program) or redact(program).kinds:
        return OTHER
    rest = [word for word in words[1:4] if not word.startswith("-")]
    if program in _SUBCOMMANDS and rest:
        script = rest[0] == "run" and len(rest) > 1 and program in ("npm", "pnpm", "yarn", "bun")
        sub = rest[1] if script else rest[0]
        if compiled(_SUBCOMMAND).fullmatch(sub):
            return f"{program} {sub}"
    return program


# What a task is about, by the first of these words in its name. Nothing else of it is kept.
_TASK_CLASSES = {
    "fix": {"fix", "debug", "bug", "repair", "resolve", "bugfix", "hotfix", "broken"},
    "test": {"test", "tests", "testing", "coverage"},
    "review": {"review", "audit", "verify", "check", "validate", "critique"},
    "document": {"document", "docs", "documentation", "readme", "changelog"},
    "refactor": {"refactor", "rename", "clean", "cleanup", "simplify", "move", "split", "extract"},
    "explore": {"explore", "find", "search", "investigate", "analyze", "analyse", "understand",
        "research", "locate", "read", "inspect", "map", "survey"},
    "plan": {"plan", "design", "architect", "outline"},
    "implement": {"implement", "add", "build", "create", "write", "make", "support", "update",
        "migrate", "port", "integrate"},
}  # fmt: skip
_TASK_CLASS_OF = {word: kind for kind, words in _TASK_CLASSES.items() for word in words}


def task_class_of(subject: str) -> str:
    """Return fix, test, review, document, refactor, explore, plan, implement or other.

    It is the class of the first word that has one: "Write the tests" is implement.
    """
    for word in compiled(r"[a-z]+").findall(subject[:200].lower()):
        if word in _TASK_CLASS_OF:
            return _TASK_CLASS_OF[word]
    return OTHER
