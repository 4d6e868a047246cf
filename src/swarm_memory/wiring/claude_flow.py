"""Bringing a project over from claude-flow: its hooks are called with our command instead.

Only the beginning of a call is replaced, `npx claude-flow@alpha hooks` by `swarm-memory
flow-hook`, and only before a hook that we answer; everything else in these files stays. What stood
there is noted, so that it can be put back.
"""

from __future__ import annotations

import os
import re

from swarm_memory.errors import ConfigError, EngineUnavailableError
from swarm_memory.wiring import files
from swarm_memory.wiring.ledger import Ledger
from swarm_memory.wiring.plan import Change

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarm_memory.wiring.places import Place

OURS = "swarm-memory flow-hook "
# The hooks that `swarm-memory flow-hook` answers; others go on calling claude-flow.
NAMES = (
    "pre-task", "post-task", "pre-edit", "post-edit", "pre-command", "post-command", "pre-bash",
    "post-bash", "post-search", "notify", "notification", "session-start", "session-restore",
    "session-end", "task-orchestrated", "task-completed", "agent-spawned", "mcp-initialized",
    "teammate-idle", "route", "explain", "metrics",
)  # fmt: skip
_NAMED = rf"(?:{'|'.join(NAMES)})(?![\w-])"
_RUNNER = r"(?:(?:npx|bunx|pnpx|pnpm[ \t]+dlx|yarn[ \t]+dlx)[ \t]+(?:-{1,2}[\w-]+[ \t]+)*)?"
_CALL = re.compile(
    rf"(?<![\w@./-]){_RUNNER}(?:\.{{0,2}}/[\w./@-]*)?"
    rf"(?:claude-flow|ruflo)(?:@[\w.-]+)?[ \t]+hooks?[ \t]+(?={_NAMED})"
)
_AFTER = 60  # characters behind a call by which it is known again
FILES = (
    "CLAUDE.md",
    "AGENTS.md",
    "package.json",
    ".claude/settings.json",
    ".claude/settings.local.json",
)
FOLDERS = (".claude/agents", ".claude/commands", ".claude/helpers", ".claude/hooks", "scripts")
STORES = (".swarm", ".hive-mind", ".claude-flow", "memory", ".claude/memory.db")
FILE_BYTES_MAX = 2**20
FILES_MAX = 5000


def rewrite(text: str) -> str:
    """Return a text in which claude-flow's hooks are called with our command."""
    return _CALL.sub(OURS, text)


def plan(root: str) -> list[tuple[str, str, str]]:
    """Return (path, old, new) of every file below `root` that calls claude-flow's hooks."""
    found = []
    for path in _files(root):
        old = _text(path)
        new = rewrite(old) if old is not None else None
        if old is not None and new is not None and new != old:
            found.append((path, old, new))
    return found


def stores(root: str) -> list[str]:
    """Return where claude-flow keeps memory below `root`, as far as it is there."""
    places = (os.path.join(root, place) for place in STORES)
    return [place for place in places if os.path.exists(place)]


def ledger_of(place: Place) -> Ledger:
    """Return the notes of what was replaced: a settings file has others for our entries."""
    return Ledger(os.path.join(place.records, "claude-flow"))


def enter(ledger: Ledger, root: str) -> list[Change]:
    """Plan that our command is called wherever claude-flow is below `root`."""
    changes = []
    for path, old, new in plan(root):
        known = (ledger.recall(path) or {}).get("replaced", [])
        note = {"replaced": known + _calls(old), "root": os.path.abspath(root), "folders": []}
        changes.append(Change(path, old, new, note))
    return changes


def restore(ledger: Ledger, root: str) -> list[Change]:
    """Plan that every call which was replaced below `root` is what it was.

    Calls of our command that somebody else wrote stay, as all edits made meanwhile do.
    """
    changes = []
    for note in ledger.all():
        path = note["path"]
        if note.get("root") != os.path.abspath(root):
            continue
        old = files.read(path)
        new = old if old is None else _put_back(old, note["replaced"])
        changes.append(Change(path, old, new, note))
    return changes


def _calls(text: str) -> list[list[str]]:
    """Return each call as what stood there, and the text behind it as it is after the rewrite."""
    calls = []
    for match in _CALL.finditer(text):
        behind = rewrite(text[match.end() :])[:_AFTER]
        calls.append([match.group(), behind])
    return calls


def _put_back(text: str, replaced: list[list[str]]) -> str:
    waiting = [*replaced]
    parts, at = [], 0
    while (found := text.find(OURS, at)) >= 0:
        end = found + len(OURS)
        before = _taken(waiting, text[end : end + _AFTER])
        parts += [text[at:found], OURS if before is None else before]
        at = end
    return "".join([*parts, text[at:]])


def _taken(waiting: list[list[str]], behind: str) -> str | None:
    """Return what stood before a text and take it off the list; None if nothing fits."""
    word = behind.split(maxsplit=1)[:1]
    same = [call for call in waiting if call[1] == behind]
    # Its line was edited meanwhile: the first call of the same hook is meant.
    alike = [call for call in waiting if call[1].split(maxsplit=1)[:1] == word]
    for call in (*same, *alike):
        waiting.remove(call)
        return call[0]
    return None


def _files(root: str) -> Iterator[str]:
    inside = os.path.realpath(root)
    paths = [os.path.join(root, name) for name in FILES]
    for folder in FOLDERS:
        for top, _, names in os.walk(os.path.join(root, folder)):
            paths += [os.path.join(top, name) for name in sorted(names)]
    for path in paths[:FILES_MAX]:
        # A link out of the project leads to a file that other projects use, too.
        if os.path.isfile(path) and os.path.realpath(path).startswith(inside + os.sep):
            yield path


def _text(path: str) -> str | None:
    """Return the text of a file, None of one that is none or too large to be a script."""
    if os.stat(path).st_size > FILE_BYTES_MAX:
        return None
    try:
        return files.read(path)
    except (ConfigError, EngineUnavailableError):
        return None  # no text: it calls nothing
