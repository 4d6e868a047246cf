"""What of an agent's doings is kept: operations as telemetry, and what was said as memories.

An operation is one use of a tool. Its key names the session and the call, so however often and by
however many copies of a hook it is told, it is there once.

A memory's key names its text, so what is said again is not kept again: it lives on. Memories are
notes (`remember: …` in a prompt), reports (the last message of an agent), summaries (of a
conversation that was compacted) and tasks (what was completed). All are redacted and trimmed.
"""

from __future__ import annotations

from swarm_memory.key import escape
from swarm_memory.recording import OFF, Policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from swarm_memory.model import Json, Record
    from swarm_memory.recording import Operation
    from swarm_memory.swarm import Swarm

OPERATIONS = "memory/operations"
NOTE, REPORT, SUMMARY, TASK = "note", "report", "summary", "task"
PREFIXES = {
    NOTE: "memory/notes",
    REPORT: "memory/reports",
    SUMMARY: "memory/summaries",
    TASK: "memory/tasks",
}
CHARS_MAX = {NOTE: 2000, REPORT: 2000, SUMMARY: 4000, TASK: 300}
WORDS_MIN = {NOTE: 1, REPORT: 12, SUMMARY: 12, TASK: 2}  # less says nothing to anybody else
WIDE_CHARS_PER_WORD = 3  # of scripts that put no spaces between words
NOTES_MAX = 10  # of one prompt
ASKING = "remember:"
# What tells of a call least: it is replaced by what tells more, and replaces nothing.
BATCH = "PostToolBatch"
RENEWED_SHARE = 1 / 2  # of its life has to be gone before what is said again is written again


class Remembering:
    """Keeps what one agent did and said, in the session that the swarm was opened for."""

    __slots__ = ("_swarm",)

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm

    def policy(self, root: str, folder: str) -> Policy:
        """Return what may be kept of operations below `root`, done in `folder`."""
        config = self._swarm.config
        return Policy(
            config.record,
            denied=config.record_denied,
            root=root,
            folder=folder,
            bytes_max=config.record_bytes_max,
        )

    def operation(
        self,
        operation: Operation,
        *,
        session: str,
        call_id: str,
        event: str,
        about: dict[str, Json],
    ) -> bool:
        """Keep one use of a tool; False if it was kept before.

        Args:
            session: The short name of its session.
            call_id: Which call of the session it is.
            event: Which event told of it.
            about: What else is known of it, for its provenance.
        """
        key = f"{OPERATIONS}/{session}/{escape(call_id)}"
        return self._once(key, operation.to_dict(), {"event": event} | about)

    def happening(self, value: dict[str, Json], *, session: str, event: str, event_id: str) -> bool:
        """Keep that something happened that is no use of a tool; False if it was kept before."""
        if self._swarm.config.record == OFF:
            return False
        key = f"{OPERATIONS}/{session}/{event}-{escape(event_id, limit=60)}"
        return self._once(key, {"event": event} | value, {"event": event})

    def memory(self, kind: str, text: str, about: dict[str, Json]) -> str | None:
        """Keep what was said, and return its key; None if there is too little in it.

        Only notes are kept where the setting `record` is off: those somebody asked for.

        Args:
            kind: "note", "report", "summary" or "task".
            about: Where it comes from, for its provenance: event, agent, branch and the like.
        """
        if kind != NOTE and self._swarm.config.record == OFF:
            return None
        from swarm_memory.redact import redact

        # Redacted before it is cut: half a secret is not found any more.
        kept = trimmed(redact(text.strip()).text, CHARS_MAX[kind])
        if words(kept) < WORDS_MIN[kind]:
            return None
        key = f"{PREFIXES[kind]}/{digest(' '.join(kept.split()))}"

        def write(tx: Any) -> None:
            known: Record | None = tx.records.get(key)
            if known is None or _is_ageing(known, tx.now_ms):
                tx.records.put(key, kept, provenance={"kind": kind} | about)

        self._swarm.transact(write, durability="full")
        return key

    def _once(self, key: str, value: dict[str, Json], about: dict[str, Json]) -> bool:
        def write(tx: Any) -> bool:
            known: Record | None = tx.records.get(key)
            if known is not None and not _tells_more(about, known.provenance):
                return False
            tx.records.put(key, value, provenance=about)
            return True

        # A power loss may take the last moments of telemetry; no agent waits for a disk for it.
        kept: bool = self._swarm.transact(write, durability="relaxed")
        return kept


def notes_of(prompt: str) -> list[str]:
    """Return what a prompt asks to remember: `remember: …` to the end of its paragraph.

    It counts at the beginning of a line or of a sentence.
    """
    notes: list[list[str]] = []
    inside = False
    for line in prompt.splitlines():
        plain = line.strip().lstrip("-*> ").strip()
        asked = _asked(plain)
        if asked is not None:
            notes.append([asked])
            inside = True
        elif not plain:
            inside = False
        elif inside:
            notes[-1].append(line.strip())
    texts = ["\n".join(lines).strip() for lines in notes]
    return [text for text in texts if text][:NOTES_MAX]


def _asked(line: str) -> str | None:
    """Return what a line asks to remember, at its beginning or at that of a sentence."""
    places = (line.find(word) for word in (ASKING, ASKING.capitalize(), ASKING.upper()))
    at = min((place for place in places if place >= 0), default=-1)
    before = line[:at].rstrip()
    if at < 0 or (before and (before[-1] not in ".!?;" or len(before) == at)):
        return None
    return line[at + len(ASKING) :].strip()


def trimmed(text: str, chars_max: int) -> str:
    """Return a text of at most `chars_max` characters, cut between words."""
    if len(text) <= chars_max:
        return text
    head = text[: chars_max - 1]
    cut = max(head.rfind(" "), head.rfind("\n"))
    return f"{head[: cut if cut > chars_max // 2 else None].rstrip()}…"


def words(text: str) -> int:
    """Return how many words a text has, counting what is written without spaces by its length."""
    wide = sum(character > "\u2e80" for character in text)
    return len(text.split()) + wide // WIDE_CHARS_PER_WORD


def digest(text: str | bytes) -> str:
    """Return what stands for a text in a key: 32 hexadecimal digits, equal for equal texts."""
    from _blake2 import blake2b  # hashlib would load OpenSSL, 15 ms, in every hook

    octets = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return str(blake2b(octets, digest_size=16).hexdigest())


def _tells_more(about: dict[str, Json], known: dict[str, Json] | None) -> bool:
    return about["event"] != BATCH and known is not None and bool(known.get("event") == BATCH)


def _is_ageing(record: Record, now_ms: int) -> bool:
    if record.expires_ms is None:
        return False
    life_ms = record.expires_ms - record.updated_ms
    return now_ms - record.updated_ms > RENEWED_SHARE * life_ms
