"""Edits: which agent is changing which file, so that another one that is about to is told.

An agent counts as changing a file from its first edit of it until it stops, commits, its session
ends, or nothing came for `edit_idle_s`. This is what happened and no lock: it refuses nothing, it
waits for nobody, and recording it is one statement. Leases on paths (`leases`) are rights that
somebody asked for; who holds one on the path is told of beside the editors.

A file is its path below its worktree. The same path in another worktree is another file, which
will meet this one in a merge. Links are not followed, and case counts.

All writes are relaxed: power loss ends the agents, too.
"""

from __future__ import annotations

import os

from swarm_memory.errors import InvalidArgumentError
from swarm_memory.lean import NamedTuple
from swarm_memory.patterns import below, literal, overlap

TYPE_CHECKING = False
if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from swarm_memory.context import Context
    from swarm_memory.engine import Engine, Reader, Row, Tx
    from swarm_memory.model import Json

    T = TypeVar("T")

MAIN = ""  # the agent_id of a session's own agent, as it is stored
SAME, MERGE, RESERVED = "same", "merge", "reserved"
LIST_LIMIT = 100
TOUCH_MS = 60_000  # what an agent changes again sooner is one touch of it; see `forecast`


class Editor(NamedTuple):
    """Somebody who changes a file, or has reserved it.

    `how` is "same" (the very file), "merge" (the same path in another worktree) or "reserved" (a
    lease on paths, of which `path` is the pattern, `tool` the mode, and `branch` the reason).
    `agent_id` is "" for a session's own agent. `edits` counts since `since_ms`; the last one was
    at `at_ms`. Times are epoch milliseconds.
    """

    how: str
    agent: str
    session_id: str
    agent_id: str
    path: str
    worktree: str
    branch: str | None
    tool: str | None
    edits: int
    since_ms: int
    at_ms: int

    def to_dict(self) -> dict[str, Json]:
        """Return it as every door shows it."""
        return self._asdict()


class Edits:
    """Who changes what in one swarm, on an engine or inside a transaction.

    Args:
        engine: Tells the start of the machine.
    """

    __slots__ = ("_context", "_db", "_engine")

    def __init__(self, db: Reader, context: Context, engine: Engine) -> None:
        self._db = db
        self._context = context
        self._engine = engine

    def within(self, tx: Tx) -> Edits:
        """Return these edits bound to a transaction."""
        return Edits(tx, self._context, self._engine)

    def edited(
        self,
        paths: Sequence[str],
        *,
        session_id: str,
        agent: str,
        agent_id: str | None = None,
        worktree: str,
        branch: str | None = None,
        tool: str | None = None,
    ) -> None:
        """Note that an agent has changed files; it counts as changing them from now on.

        Args:
            paths: Absolute, or as seen from `worktree`; any file, also one outside of it.
            agent_id: Which subagent of the session; None for its own agent.
            worktree: The checkout that the files are in, an absolute path.
            tool: What it was changed with, to be shown to others.
        """
        said: dict[str, str | int | None] = {
            **self._who(session_id, agent_id),
            "branch": None if branch is None else _text(branch),
            "agent": _text(agent),
            "tool": None if tool is None else _text(tool),
            "now_ms": self._db.now_ms,
            "idle_ms": round(1000 * self._context.config.edit_idle_s),
            **self._clock(),
        }
        rows = [{**said, **_place(path, worktree)} for path in paths]
        since_ms = self._db.now_ms - TOUCH_MS
        names = ("swarm", "session_id", "agent_id", "agent", "now_ms", "path")
        touches = [{name: row[name] for name in names} | {"since_ms": since_ms} for row in rows]

        def write(tx: Tx) -> None:
            tx.many("edit_put", rows)
            tx.many("touch_add", touches)

        if rows:
            self._write(write)

    def others(
        self, path: str, *, session_id: str, agent_id: str | None = None, worktree: str
    ) -> builtins.list[Editor]:
        """Return who else is changing `path`: the very file first, then reservations, then merges.

        Left out are the agent itself, its session's own agent and all that it started or was
        started by. Other subagents of the session are others. Reservations of the own session are
        left out whoever asked for them. Where nobody is, it is one read by an index.
        """
        place = _place(path, worktree)
        rows = self._db.all(
            "edit_others",
            **self._who(session_id, agent_id),
            **place,
            now_ms=self._db.now_ms,
            **self._clock(),
        )
        if not rows:
            return []
        found = [e for e in map(_editor, rows) if e.how != RESERVED or _covers(e, place["path"])]
        mine = [e for e in found if e.session_id == session_id and e.how != RESERVED]
        if mine:
            family = self._family(session_id, agent_id or MAIN, mine)
            found = [e for e in found if e not in mine or e.agent_id not in family]
        order = (SAME, RESERVED, MERGE)
        return sorted(found, key=lambda e: (order.index(e.how), -e.at_ms, e.agent))

    def list(self, *, limit: int = LIST_LIMIT) -> builtins.list[Editor]:
        """Return who is changing what, the last change first."""
        rows = self._db.all("edit_list", swarm=self._context.swarm, limit=limit, **self._clock())
        return [_editor(row) for row in rows]

    def overwritten(
        self, worktree: str, *, session_id: str, agent_id: str | None = None, since_ms: int
    ) -> builtins.list[str]:
        """Return what others are changing in a worktree and was written since then.

        For an agent that ran a command: no event tells what a command writes. Who wrote it the
        file system does not tell either: an edit that has not been noted yet looks the same.

        Args:
            since_ms: Epoch milliseconds by the clock of this machine.
        """
        folder, me = _folder(worktree), (session_id, agent_id or MAIN)
        found = [
            editor.path
            for editor in self.list()
            if editor.worktree == folder
            and (editor.session_id, editor.agent_id) != me
            and _written_ms(f"{folder}/{editor.path}") > max(since_ms, editor.at_ms)
        ]
        return [*dict.fromkeys(found)]

    def path_of(self, path: str, worktree: str) -> str:
        """Return the path by which a file is known: below its worktree if it is in it."""
        return _place(path, worktree)["path"]

    # --- ending ---

    def released(self, session_id: str, agent_id: str | None = None) -> int:
        """Free what an agent was changing, because it stopped; return how many files.

        Without `agent_id` it is the session's own agent: subagents in the background go on.
        """
        return self._free("edit_release", **self._who(session_id, agent_id))

    def committed(self, session_id: str, worktree: str) -> int:
        """Free what all agents of a session were changing in a worktree; return how many files."""
        where = {"swarm": self._context.swarm, "session_id": session_id}
        return self._free("edit_commit", **where, worktree=_folder(worktree))

    def end_session(self, session_id: str) -> int:
        """Free all that agents of a session were changing; return how many files."""
        return self._free("edit_session_end", swarm=self._context.swarm, session_id=session_id)

    def prune(self) -> int:
        """Drop what is idle; it does not count any more, and only takes room."""
        where = {"swarm": self._context.swarm, **self._clock()}
        return self._write(lambda tx: tx.run("edit_prune", **where))

    def _free(self, statement: str, /, *, swarm: str, session_id: str, **more: str) -> int:
        where = {"swarm": swarm, "session_id": session_id}
        if self._db.one("edit_any", **where) is None:
            return 0
        return self._write(lambda tx: tx.run(statement, **where, **more))

    # --- judging ---

    def _family(self, session_id: str, agent_id: str, others: builtins.list[Editor]) -> set[str]:
        """Return which of `others`, of one session, started an agent or were started by it."""
        if agent_id == MAIN:
            return {other.agent_id for other in others}
        above = self._above(session_id, agent_id)
        ids = {other.agent_id for other in others}
        return {MAIN} | (ids & above) | {i for i in ids if agent_id in self._above(session_id, i)}

    def _above(self, session_id: str, agent_id: str) -> set[str]:
        rows = self._db.all("edit_parents", **self._who(session_id, agent_id))
        return {row[0] for row in rows}

    # --- small things ---

    def _who(self, session_id: str, agent_id: str | None) -> dict[str, str]:
        swarm = self._context.swarm
        return {"swarm": swarm, "session_id": session_id, "agent_id": agent_id or MAIN}

    def _clock(self) -> dict[str, int]:
        return {"boot_id": self._engine.boot_id, "uptime_ms": self._db.uptime_ms}

    def _write(self, fn: Callable[[Tx], T]) -> T:
        if self._db is not self._engine:
            return self._db.write(fn)
        return self._db.write(fn, durability="relaxed")


def _written_ms(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns // 1_000_000
    except (OSError, ValueError):  # it is gone, or is no path of this system
        return 0


def _editor(row: Row) -> Editor:
    editor = Editor._make(row)
    if editor.how != RESERVED or not editor.session_id:
        return editor
    return editor._replace(agent=editor.agent.removesuffix(f"/{editor.session_id}"))


def _covers(reserved: Editor, path: str) -> bool:
    """Tell whether a lease, on one pattern a line, is on a path."""
    try:
        mine = literal(path)
    except InvalidArgumentError:
        return False  # no pattern can name it, so nobody can have reserved it
    return any(overlap(mine, pattern) for pattern in reserved.path.split("\n"))


def _place(path: str, worktree: str) -> dict[str, str]:
    """Return which file is meant: its path below its worktree, or an absolute one below none."""
    folder, path = _folder(worktree), _plain(path)
    try:
        return {"path": below(path, root=folder, folder=folder), "worktree": folder}
    except InvalidArgumentError:
        return {"path": path, "worktree": ""}


def _folder(worktree: str) -> str:
    return _plain(worktree).rstrip("/") or "/"


def _plain(path: str) -> str:
    """Return a path with slashes only, also where a system writes it otherwise."""
    path = _text(path)
    return path.replace("\\", "/") if path[1:2] == ":" and path[:1].isalpha() else path


def _text(text: str) -> str:
    """Return a text that can be stored: names of files need not be valid text."""
    if "\0" in text:
        text = text.replace("\0", "\\x00")
    return text.encode("utf-8", "backslashreplace").decode()
