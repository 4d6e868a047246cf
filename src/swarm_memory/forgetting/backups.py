"""Forgetting in backups: each file is written anew without it, in its place.

A file stays what it was but for what is gone: its id, its parent, the numbers of its events. It is
read twice: what becomes of the versions of a key is known only after its records, which come after
the conflicts that hold copies of them. What the first of a chain lost is told to those after it by
marks in the file itself, so a run that was killed between two files is finished by the next.
"""

from __future__ import annotations

import os

from swarm_memory import codec
from swarm_memory.backup.manifest import Found, backups_in, rows_of, trailer_of
from swarm_memory.backup.tables import (
    CONFLICTS,
    DICTIONARIES,
    EVENTS,
    FORGOTTEN,
    HISTORY,
    RECORDS,
    TOMBSTONES,
)
from swarm_memory.backup.writing import COUNTED
from swarm_memory.config import BACKUP_FREQUENCIES
from swarm_memory.errors import DamagedError, NotFoundError
from swarm_memory.exchange.lines import Frames, Lines, published
from swarm_memory.forgetting.dictionaries import neutral_row
from swarm_memory.forgetting.store import forget_versions
from swarm_memory.forgetting.target import FORGET, is_blank
from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swarm_memory.forgetting.target import Target
    from swarm_memory.model import Json

    Named = dict[str, Json]
    Key = tuple[str, str]

NEWS_OPS = ("put", "rollback", "touch")


class Rewritten(NamedTuple):
    """The backups that were written anew (or would be), those that nobody can read, and files of
    backups that are being written or were left by a killed process."""

    paths: list[str]
    unreadable: list[str]
    unfinished: list[str]


def forget_in_backups(folder: str, target: Target, *, dry_run: bool) -> Rewritten:
    """Rewrite the backups in `folder` that hold what is to be forgotten."""
    result = Rewritten([], [], [])
    for chain in _chains(backups_in(folder)):
        try:
            _Chain(target, chain, dry_run).rewrite(result.paths)
        except (DamagedError, NotFoundError) as error:
            result.unreadable.append(str(error))
    if os.path.isdir(folder):
        parts = (name for name in sorted(os.listdir(folder)) if name.endswith(".part"))
        result.unfinished.extend(os.path.join(folder, name) for name in parts)
    return result


def sessions_in(folder: str) -> set[tuple[str, str, str]]:
    """Return (swarm, id, short name) of the sessions that the backups in `folder` know."""
    known = set()
    for found in backups_in(folder):
        try:
            for table, row in rows_of(found.path):
                if table == RECORDS:
                    break  # all other tables come before
                if table == "sessions":
                    known.add((row["swarm"], row["session_id"], row["short"]))
        except DamagedError:
            continue  # it is named when it cannot be rewritten
    return known


def _chains(found: list[Found]) -> list[list[Found]]:
    """Return backups with the increments that continue them, in order; orphans stand alone."""
    chains: list[list[Found]] = []
    chain_of: dict[str, list[Found]] = {}
    for one in found:
        parent = one.manifest.parent
        chain = chain_of.get(parent) if parent is not None else None
        if chain is None:
            chain = []
            chains.append(chain)
        chain.append(one)
        chain_of[one.manifest.backup_id] = chain
    return chains


class _Chain:
    """One chain of backups, rewritten file by file."""

    def __init__(self, target: Target, chain: list[Found], dry_run: bool) -> None:
        self._target = target
        self._chain = chain
        self._dry_run = dry_run
        self._blanked: set[tuple[str, str, int]] = set()
        self._dropped: set[Key] = set()
        self._kept: dict[Key, tuple[int, bool]] = {}  # older versions, and whether it is deleted
        self._buried: set[Key] = set()
        self._changed = False

    def rewrite(self, paths: list[str]) -> None:
        touched = [self._judge(found) for found in self._chain]
        any_hit = any(touched)
        paths.extend(f.path for f in self._chain if self._rewrite(f, neutral=any_hit))

    # --- the first reading ---

    def _judge(self, found: Found) -> bool:
        """Note which versions and keys of a file are to go; tell if there is anything."""
        hit = False
        for versions in _keys_of(found.path):
            after = forget_versions(self._target, versions)
            where = (versions[0]["swarm"], versions[0]["key"])
            if after is None:
                self._dropped.add(where)
                hit = True
            else:
                blanked = {v["version"] for v in after if is_blank(v)}
                self._blanked |= {(*where, version) for version in blanked}
                hit = hit or after != versions
        return hit

    # --- the second ---

    def _rewrite(self, found: Found, *, neutral: bool) -> bool:
        """Write a file anew if that changes it; tell if it did, or would."""
        self._changed = False
        before = (dict(self._kept), set(self._buried))
        for _ in self._rows(found, neutral):
            pass
        damaged = trailer_of(found.path).get("damaged", [])
        counts = self._counts(found)
        off = [found.manifest.counts.get(table, 0) - rows for table, rows in counts.items()]
        complete = set(found.manifest.covered) == set(BACKUP_FREQUENCIES)
        if complete and not all(0 <= rows <= len(damaged) for rows in off):
            self._changed = True  # a file before it has fewer rows than it had
        if not self._changed or self._dry_run:
            return self._changed
        self._kept, self._buried = before
        manifest = found.manifest._replace(counts=counts)
        damaged = [name for name in damaged if not self._names(name)]
        with published(found.path) as file:
            frames = Frames(file)
            lines = Lines(frames)
            lines.manifest(manifest.to_line())
            for table, row in self._rows(found, neutral):
                lines.row(table, row)
            lines.close(damaged=damaged)
            frames.close()
        return True

    def _names(self, damaged: str) -> bool:
        swarm, _, rest = damaged.partition(": ")
        return self._target.owns_key(swarm, rest.rpartition(" version ")[0])

    def _counts(self, found: Found) -> dict[str, int]:
        """Return how many rows a store restored from the chain up to here has."""
        counts = {table: self._here.get(table, 0) for table in COUNTED}
        counts[RECORDS] = len(self._kept)
        counts[HISTORY] = sum(older for older, _ in self._kept.values())
        counts[EVENTS.name] = found.manifest.counts[EVENTS.name]  # they are emptied, and stay
        return counts

    def _rows(self, found: Found, neutral: bool) -> Iterator[tuple[str, Named]]:
        """Yield the rows that a file has without what is forgotten."""
        self._here: dict[str, int] = {}
        self._outcomes: dict[tuple[str, str, str], list[float]] = {}
        self._unsaid: set[tuple[str, str]] = set()
        self._plain: dict[Key, list[int]] = {}
        self._seqs: set[int] = set()
        self._ended: set[Key] = set()
        self._lost_messages = False
        if found.manifest.full:
            self._kept, self._buried = {}, set()
        listed: set[Key] = set()
        versions: list[Named] = []
        for table, row in rows_of(found.path):
            if table in (HISTORY, RECORDS):
                versions.append(_with_encoded(row))
                if table == RECORDS:
                    yield from self._versions(versions)
                    versions = []
            else:
                if table == TOMBSTONES:
                    listed.add((row["swarm"], row["key"]))
                yield from self._other(table, row, neutral)
        if not found.manifest.full:
            yield from self._bury(listed)

    def _versions(self, versions: list[Named]) -> Iterator[tuple[str, Named]]:
        where = (versions[0]["swarm"], versions[0]["key"])
        after = forget_versions(self._target, versions)
        if after is None:
            self._changed = True
            self._kept.pop(where, None)
            self._buried.discard(where)
            return
        self._changed = self._changed or after != versions
        self._kept[where] = (len(after) - 1, after[-1]["value"] is None)
        if is_blank(after[-1]):
            self._buried.add(where)
        else:
            self._buried.discard(where)
        for number, row in enumerate(after, 1):
            line = {name: part for name, part in row.items() if name != "encoded"}
            if line["value"] is None:
                del line["value"]
            else:
                line["value"] = line["value"][0]
            yield (RECORDS if number == len(after) else HISTORY), line

    def _bury(self, listed: set[Key]) -> Iterator[tuple[str, Named]]:
        """List the keys whose value was forgotten earlier in the chain among the deleted ones.

        Else a restore would take them for keys that were forgotten since, older versions and all.
        """
        for swarm, key in sorted(self._buried - listed):
            self._changed = True
            yield TOMBSTONES, {"swarm": swarm, "key": key}
        gone = [w for w, (_, deleted) in self._kept.items() if deleted and w not in listed]
        for where in gone:
            if where not in self._buried:
                del self._kept[where]

    def _other(self, table: str, row: Named, neutral: bool) -> Iterator[tuple[str, Named]]:
        kept: Named | None = row
        if table in self._single:
            kept = self._single[table](row)
        elif table in (FORGOTTEN, TOMBSTONES):
            kept = self._key_that_went(table, row)
        elif table == DICTIONARIES.name:
            kept = self._dictionary(row, neutral)
        elif self._target.concerns(table, row):
            kept = None
        if kept is not None:
            self._here[table] = self._here.get(table, 0) + 1
            yield table, kept
        self._changed = self._changed or kept != row

    # --- single tables ---

    @property
    def _single(self) -> dict[str, Callable[[Named], Named | None]]:
        return {
            EVENTS.name: self._event,
            CONFLICTS.name: self._conflict,
            "outcomes": self._outcome,
            "relabels": self._relabel,
            "arms": self._arm,
            "messages": self._message,
            "message_runs": self._run,
            "sessions": self._session,
            "session_agents": self._session_agent,
        }

    def _key_that_went(self, table: str, row: Named) -> Named | None:
        where = (row["swarm"], row["key"])
        if table == FORGOTTEN:
            self._kept.pop(where, None)
            self._buried.discard(where)
        return None if self._target.owns_key(*where) else row

    def _event(self, row: Named) -> Named:
        where = (row["swarm"], row["key"])
        if row["op"] == FORGET:
            return row if not self._target.concerns(EVENTS.name, row) else row | {"author": FORGET}
        if where in self._dropped and where not in self._kept:
            return self._emptied(row)
        if self._target.owns_key(*where):
            return self._emptied(row)
        if (*where, row["version"]) in self._blanked:
            op = "delete" if row["op"] in NEWS_OPS else row["op"]
            return row | {"author": FORGET, "op": op}
        return row | {"author": FORGET} if self._target.concerns(EVENTS.name, row) else row

    def _emptied(self, row: Named) -> Named:
        return row | {"key": FORGET, "op": FORGET, "author": FORGET, "scope": FORGET}

    def _dictionary(self, row: Named, neutral: bool) -> Named:
        import base64

        holds = self._target.kind == "text" and self._target.is_in_bytes(
            base64.b64decode(row["bytes"])
        )
        return neutral_row(row) if neutral or holds else row

    def _conflict(self, row: Named) -> Named | None:
        """Return a conflict, unless it holds a copy of a value that is forgotten."""
        where = (row["swarm"], row["key"])
        versions = (row["base_version"], row["their_version"])
        met = where in self._dropped or any((*where, v) in self._blanked for v in versions)
        return None if met or self._target.concerns(CONFLICTS.name, row) else row

    def _outcome(self, row: Named) -> Named | None:
        if self._target.concerns("outcomes", row):
            self._unsaid.add((row["swarm"], row["outcome_id"]))
            return None
        where = (row["swarm"], row["task_type"], row["strategy"] or "")
        arm = self._outcomes.setdefault(where, [0, 0, 0.0, 0.0, 0.0, 0])
        arm[row["reward"] is None] += 1
        arm[2] += row["reward"] or 0
        arm[3] += row["duration_s"]
        arm[4] += row["cost"] or 0
        arm[5] = max(arm[5], row["at_ms"])
        return row

    def _relabel(self, row: Named) -> Named | None:
        """Return a revision of a label, unless its outcome is forgotten."""
        gone = (row["swarm"], row["outcome_id"]) in self._unsaid
        return None if gone or self._target.concerns("relabels", row) else row

    def _arm(self, row: Named) -> Named | None:
        """Return the counts of a strategy as the outcomes that are left give them."""
        counted = self._outcomes.get((row["swarm"], row["task_type"], row["strategy"]))
        if counted is None:
            return None
        if counted[:2] == [row["trials"], row["unlabelled"]]:
            return row
        names = ("trials", "unlabelled", "successes", "duration_s", "cost", "last_ms")
        return row | dict(zip(names, counted, strict=True))

    def _message(self, row: Named) -> Named | None:
        if self._target.concerns("messages", row):
            self._lost_messages = True
            return None
        self._seqs.add(row["seq"])
        if row["odd"] is None:
            self._plain.setdefault((row["swarm"], row["queue"]), []).append(row["seq"])
        return row

    def _run(self, row: Named) -> Named | None:
        """Return a run as long as the messages that are left of it."""
        table = "message_runs"
        if self._target.concerns(table, row | {"reason": None}):
            return None
        if self._target.concerns(table, row):
            row = row | {"reason": None}
        if not self._lost_messages:
            return row
        if row["size"] == 1:
            return row if row["first"] in self._seqs else None
        plain = self._plain.get((row["swarm"], row["log"]), [])
        left = [seq for seq in plain if row["first"] <= seq <= row["last"]]
        if not left:
            return None
        return row | {"size": len(left), "first": left[0], "last": left[-1]}

    def _session(self, row: Named) -> Named | None:
        if self._target.concerns("sessions", row):
            self._ended.add((row["swarm"], row["session_id"]))
            return None
        return row

    def _session_agent(self, row: Named) -> Named | None:
        ended = (row["swarm"], row["session_id"]) in self._ended
        return None if ended or self._target.concerns("session_agents", row) else row


def _with_encoded(row: Named) -> Named:
    """Return a version's line with its value in a list, None if it has none, and as JSON."""
    if "value" not in row:
        return row | {"value": None}
    return row | {"value": [row["value"]], "encoded": codec.dumps(row["value"])}


def _keys_of(path: str) -> Iterator[list[Named]]:
    """Yield the versions of each key in a backup, oldest first."""
    versions: list[Named] = []
    for table, row in rows_of(path):
        if table in (HISTORY, RECORDS):
            versions.append(_with_encoded(row))
            if table == RECORDS:
                yield versions
                versions = []
