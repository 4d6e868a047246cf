"""Forgetting for good: a text, a session or an agent leaves the store, its history and its backups.

    forget(swarm, "text", "hunter2", dry_run=True)   # what would go
    forget(swarm, "session", "3f2a9c1b")

First the backups beside the store, then the store, then the pages that are free, then what was
backed up meanwhile. Whatever kills it in between, running it again finishes it. Others go on
reading and writing; while they have the store open some of it may have to wait, and the report
says what.
"""

from __future__ import annotations

import os

from swarm_memory.backup.schedule import backup_folder
from swarm_memory.engine import scrubbing
from swarm_memory.forgetting import dictionaries
from swarm_memory.forgetting.backups import Rewritten, forget_in_backups, sessions_in
from swarm_memory.forgetting.logs import forget_in_logs
from swarm_memory.forgetting.store import erase, find
from swarm_memory.forgetting.target import AGENT, FORGET, KINDS, SESSION, TEXT, Target
from swarm_memory.lean import NamedTuple
from swarm_memory.locate import file_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarm_memory.engine import Tx
    from swarm_memory.forgetting.store import Found
    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm

ROUNDS_MAX = 20  # of looking again for what is written meanwhile
BEYOND = (
    "copies of the store or of its backups elsewhere, exports, snapshots of the file system",
    "what agents have in their context, and texts that were encoded in another way",
)

__all__ = ["AGENT", "KINDS", "SESSION", "TEXT", "Forgotten", "Target", "forget"]


class Forgotten(NamedTuple):
    """What was forgotten, or with `dry_run` would be.

    `removed` counts what left the store by kind, `backups` names the files that were written
    anew. `left` says what could not be removed yet and why; running it again finishes it.
    `beyond` is what it never reaches.
    """

    kind: str
    dry_run: bool
    removed: dict[str, int]
    backups: list[str]
    left: list[str]
    beyond: list[str]

    def to_dict(self) -> dict[str, Json]:
        """Return the result as every door shows it."""
        return self._asdict()


def forget(
    swarm: Swarm, kind: str, name: str, *, folders: Sequence[str] = (), dry_run: bool = False
) -> Forgotten:
    """Remove a text, a session or an agent from the store and from its backups.

    Args:
        kind: "text" (of all swarms), "session" (its id or short name) or "agent" (of this swarm).
        name: Which; a text of 4 bytes to 64 KiB, as it was written.
        folders: Directories with backups, beside the one that belongs to the store.
        dry_run: Only look.

    Raises:
        InvalidArgumentError: The name is empty or too long, the text too short.
        EngineUnavailableError, StorageFullError: A backup cannot be written anew.
    """
    places = _places(swarm, folders)
    target = _target(swarm, kind, name, places)
    files = _in_backups(places, target, dry_run)
    found = _look(swarm, target)
    removed, damaged = dict(found.counts), found.damaged
    if dry_run:
        return Forgotten(kind, True, removed, files.paths, _left(files, damaged), [*BEYOND])
    left = _in_store(swarm, target, found, removed)
    swarm.finder.index.wipe()  # who searches next makes it anew
    left += _dictionaries(swarm, target)
    file = file_of(swarm.url)
    if file is not None and (lines := forget_in_logs(file, target)):
        removed["lines of logs"] = lines
    _note(swarm, target)
    if file is None:
        swarm.maintain()
    elif not scrubbing.scrub(file, swarm.config.busy_timeout_s):
        left.append("the log still holds it, because somebody is reading: run it again")
    if places:
        later = _in_backups(places, target, dry_run=False)
        paths = list(dict.fromkeys([*files.paths, *later.paths]))
        files = later._replace(paths=paths)
    return Forgotten(kind, False, removed, files.paths, left + _left(files, damaged), [*BEYOND])


def _places(swarm: Swarm, folders: Sequence[str]) -> list[str]:
    given = [os.path.abspath(os.path.expanduser(folder)) for folder in folders]
    beside = [backup_folder(swarm)] if file_of(swarm.url) is not None else []
    return list(dict.fromkeys([*beside, *given]))


def _target(swarm: Swarm, kind: str, name: str, places: list[str]) -> Target:
    """Return the judge, who knows every session that the store or a backup knows."""
    mine = swarm.context.swarm
    if kind == TEXT:
        return Target(kind, name, mine)
    rows = swarm.read(lambda t: t.tx.all("session_shorts", swarm=mine, low="", high="\U0010ffff"))
    known = {(s.session_id, s.short) for s in map(swarm.sessions.get, (row[0] for row in rows))}
    for place in places:
        known |= {(i, short) for whose, i, short in sessions_in(place) if whose == mine}
    return Target(kind, name, mine, frozenset(known))


def _look(swarm: Swarm, target: Target) -> Found:
    return swarm.read(lambda t: find(t.tx, target, swarm.config.value_bytes_max))


def _in_store(swarm: Swarm, target: Target, found: Found, removed: dict[str, int]) -> list[str]:
    """Remove what was found and what is written meanwhile; return what had no end."""
    for _ in range(ROUNDS_MAX):
        if found.nothing:
            return []
        _end_sessions(swarm, found)
        erase(swarm, target, found)
        found = _look(swarm, target)
        for kind, count in found.counts.items():
            removed[kind] = removed.get(kind, 0) + count
    return ["it is written again and again: end who writes it, then run it again"]


def _end_sessions(swarm: Swarm, found: Found) -> None:
    """End the sessions that go, so that what they hold is free."""
    for table, row in found.rows:
        if table == "sessions":
            of = swarm.as_agent(swarm.context.agent, swarm=row["swarm"])
            of.sessions.end(row["session_id"], reason="forgotten")


def _dictionaries(swarm: Swarm, target: Target) -> list[str]:
    names = swarm.read(lambda t: dictionaries.pending(t.tx, target))
    for name in names:
        dictionaries.replace_newest(swarm, name)
    if not names:
        return []
    file = file_of(swarm.url)
    shared = ":memory:" not in swarm.url
    if shared and (file is None or not scrubbing.alone(file)):
        return [
            "compression dictionaries may hold parts of it while other processes have the store"
            " open: run it again when they have ended"
        ]
    for name in names:
        dictionaries.drop_older(swarm, name)
    return []


def _note(swarm: Swarm, target: Target) -> None:
    """Add one line to the change log: that something was forgotten, by whom, and not what."""

    def write(tx: Tx) -> None:
        agent = swarm.context.agent
        hidden = target.is_in(agent) if target.kind == TEXT else target.is_agent(agent)
        tx.one(
            "event_append",
            swarm=swarm.context.swarm,
            key=FORGET,
            version=0,
            op=FORGET,
            author=FORGET if hidden else agent,
            at_ms=tx.now_ms,
            scope=FORGET,
            category=FORGET,
            telemetry=1,
            records=0,
            bytes=0,
        )

    swarm.transact(lambda transaction: write(transaction.tx))


def _in_backups(places: list[str], target: Target, dry_run: bool) -> Rewritten:
    whole = Rewritten([], [], [])
    for place in places:
        for mine, more in zip(
            whole, forget_in_backups(place, target, dry_run=dry_run), strict=True
        ):
            mine.extend(more)
    return whole


def _left(files: Rewritten, damaged: list[str]) -> list[str]:
    left = [f"a damaged value cannot be judged: {what}" for what in damaged]
    left += [f"a backup cannot be read: {what}" for what in files.unreadable]
    return left + [
        f"{path} is half a backup: of a process that is writing it, then run it again when it is"
        " done; or of one that was killed, then remove it"
        for path in files.unfinished
    ]
