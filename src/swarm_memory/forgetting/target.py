"""What is to be forgotten, as a judge of rows: the same for those of a store and of its backups.

A text is looked for in every column of every table, in values also as JSON writes it, twice over,
and as a key's segment writes it. Case and spelling count. A session is what was written in it, and
what the agents that are named after it wrote; an agent is what was written and received in its
name, and the keys below its own prefix.

The logs of practice belong to nobody, and hold rows of many sessions: of them those rows go that
hold the text or are of the session. They do not tell the agents of a session apart, so with one of
them the rows of its whole session go.
"""

from __future__ import annotations

import json
from itertools import islice

from swarm_memory import codec
from swarm_memory.checks import check_name
from swarm_memory.errors import InvalidArgumentError
from swarm_memory.identity import agent_name, short_names
from swarm_memory.key import KEY_BYTES_MAX, escape
from swarm_memory.layout import AGENT_PREFIX, NAME_BYTES
from swarm_memory.practice import PRACTICE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarm_memory.model import Json

    Named = dict[str, Json]

TEXT, SESSION, AGENT = "text", "session", "agent"
KINDS = (TEXT, SESSION, AGENT)
FORGET = "forget"  # stands where a name was, and is the op and the key of an event that was emptied
TEXT_BYTES_MIN, TEXT_BYTES_MAX = 4, 65_536
SESSION_PREFIX = "session-"
# What stands in these columns is the store's own words, and nobody's.
_STRUCTURE = {
    "rule",
    "span",
    "swarm",
    "op",
    "state",
    "kind",
    "category",
    "scope",
    "outcome",
    "log",
    "event",
}
_CURSOR = "cursor/"
_WHO = ("author", "agent", "sender", "consumer", "owner", "acknowledged_by")
_SESSIONS = ("session", "session_id")
_SHORTS_MAX = 12  # names that a session of which nobody knows any more may have had
_QUEUE, _TOPIC, _REPLY = "agent:", "topic:", "reply:"


class Target:
    """Judges rows, given as dictionaries of their columns.

    Args:
        kind: "text", "session" or "agent".
        name: The text, the session's id, or the agent's name.
        swarm: Whose session or agent it is; a text is looked for in all swarms.
        sessions: The sessions that are known, as (id, short name).

    Raises:
        InvalidArgumentError: The text is shorter than 4 bytes, or the name is empty or too long.
    """

    def __init__(
        self, kind: str, name: str, swarm: str, sessions: frozenset[tuple[str, str]] = frozenset()
    ) -> None:
        if kind not in KINDS:
            raise InvalidArgumentError(f"kind {kind!r}", hint=" or ".join(KINDS))
        check_name(kind, name, TEXT_BYTES_MAX)
        if kind == TEXT and len(name.encode()) < TEXT_BYTES_MIN:
            raise InvalidArgumentError(
                f"a text of {len(name.encode())} bytes would be found everywhere",
                hint=f"give at least {TEXT_BYTES_MIN} bytes of it",
            )
        if name == FORGET or (kind == TEXT and name in FORGET):
            raise InvalidArgumentError(
                f"{name!r} is what stands where something was forgotten", hint="name another"
            )
        self.kind, self.name, self.swarm = kind, name, swarm
        self.ids = {i for i, short in sessions if name in (i, short)} | {name}
        self.shorts = {short for i, short in sessions if name in (i, short)}
        self._short_of = dict(sessions)
        self._practised = self._practised_by(sessions)
        self._forms = _forms(name) if kind == TEXT else []
        self._octets = [form.encode() for form in self._forms]
        if kind == SESSION:
            self._segments = {SESSION_PREFIX + escape(i, limit=NAME_BYTES) for i in self.ids}
        else:
            self._segments = {AGENT_PREFIX + escape(name, limit=NAME_BYTES)}

    def concerns(self, table: str, row: Named, encoded: bytes | None = None) -> bool:
        """Tell whether a row is to be forgotten; `encoded` is its value as JSON, if it has one."""
        if self.kind == TEXT:
            if encoded is not None and any(octets in encoded for octets in self._octets):
                return True
            return any(self.is_in(text) for text in _said(table, row))
        if row["swarm"] != self.swarm:
            return False
        if any(self.is_agent(row.get(column)) for column in _WHO):
            return True
        if self.kind == SESSION and any(row.get(column) in self.ids for column in _SESSIONS):
            return True
        key = row.get("key")
        if isinstance(key, str) and encoded is not None and self.thinned(key, encoded) is not None:
            return True
        return self._is_said(table, row)

    def thinned(self, key: str, encoded: bytes) -> list[Json] | None:
        """Return the rows of a log of practice that stay; None if none of it has to go.

        Args:
            key: Of the record; any other record than such a log has none.
            encoded: Its value as JSON.
        """
        if not key.startswith(f"{PRACTICE}/"):
            return None
        rows = codec.loads(encoded)
        if not isinstance(rows, list):
            return None
        stay = [row for row in rows if not self._is_practised(row)]
        return stay if len(stay) < len(rows) else None

    def _is_practised(self, row: Json) -> bool:
        if self.kind == TEXT:
            return self.is_in_bytes(codec.dumps(row))
        of = row[0] if isinstance(row, list) and row else None
        return isinstance(of, str) and of.partition("/")[0] in self._practised

    def _practised_by(self, sessions: frozenset[tuple[str, str]]) -> set[str]:
        """Return the short names of the sessions whose practice goes.

        The logs outlive the sessions that they are of.
        """
        if self.kind == AGENT:
            _, at, short = self.name.rpartition("@")
            return {short} if at else set()
        if self.kind == TEXT or self.shorts:
            return self.shorts
        others = {short for _, short in sessions}
        likely = [n for n in islice(short_names(self.name), _SHORTS_MAX) if self.name.startswith(n)]
        return {self.name, *likely} - others

    def owns_key(self, swarm: str, key: str) -> bool:
        """Tell whether a key by itself is to be forgotten, whoever wrote it."""
        if self.kind == TEXT:
            return self.is_in(key)
        first, _, rest = key.partition("/")
        inside = swarm == self.swarm and first.startswith("swarm-")
        return inside and rest.partition("/")[0] in self._segments

    def is_agent(self, name: Json) -> bool:
        """Tell whether an agent's name, or a lease's owner, is one to be forgotten."""
        if not isinstance(name, str):
            return False
        plain = name.partition("/")[0]
        if self.kind == AGENT:
            return self.name in (name, plain)
        return plain.rpartition("@")[2] in self.shorts and "@" in plain

    def is_in(self, text: str) -> bool:
        """Tell whether a text holds the one to be forgotten."""
        return any(form in text for form in self._forms)

    def is_named_in(self, line: str) -> bool:
        """Tell whether a line of a log names what is to be forgotten."""
        if self.kind == TEXT:
            return self.is_in(line)
        if self.kind == AGENT:
            return self.name in line
        return any(name in line for name in (*self.ids, *(f"@{s}" for s in self.shorts)))

    def is_in_bytes(self, octets: bytes) -> bool:
        """Tell whether bytes that are no JSON hold it."""
        return any(form in octets for form in self._octets)

    def _is_said(self, table: str, row: Named) -> bool:
        """Tell whether what a row says, beside whose it is, makes it one to be forgotten."""
        queue = row.get("queue")
        if isinstance(queue, str) and queue.startswith(_QUEUE):
            return self.is_agent(queue.removeprefix(_QUEUE))
        if table == "facts":
            name = row["name"]
            return name.startswith(_CURSOR) and self.is_agent(
                name.removeprefix(_CURSOR).rpartition("/")[0]
            )
        if table == "ops":
            return self._is_result(codec.loads(row["result"].encode()))
        if table == "outcomes":
            agents = row["agents"]
            return any(self.is_agent(a) for a in codec.loads(agents.encode()))
        if table == "alerts":
            return self._is_subject(row["subject"])
        if table == "samples":
            return any(self._is_subject(name) for name in _subjects(row["body"]))
        if table == "session_agents" and self.kind == AGENT:
            short = self._short_of.get(row["session_id"])
            if short is None:
                return False
            whole = agent_name(short, agent_type=row["agent_type"], agent_id=row["agent_id"])
            # A teammate's name stands before the colon instead of the type, and is not kept.
            return self.name.partition(":")[2] == whole.partition(":")[2]
        key = row.get("key", row.get("item"))
        return isinstance(key, str) and self.owns_key(row["swarm"], key)

    def _is_subject(self, name: str) -> bool:
        """Tell whether the subject of an alert, or who a sample counts, is to be forgotten."""
        name = name.removeprefix(_QUEUE)
        written = {prefix + name for prefix in (AGENT_PREFIX, SESSION_PREFIX)}
        return self.is_agent(name) or name in self.ids or not self._segments.isdisjoint(written)

    def _is_result(self, result: Json) -> bool:
        if not isinstance(result, dict):
            return False
        inside = self.kind == SESSION and result.get("session") in self.ids
        return inside or self.is_agent(result.get("author"))


def _subjects(body: str) -> Iterator[str]:
    """Yield the names that a sample of the monitor tells of."""
    groups = codec.loads(body.encode())["groups"]
    for group in ("agent", "session", "queue"):
        yield from groups.get(group, ())
    yield from (row[0] for row in groups.get("lease", {}).values())


def _said(table: str, row: Named) -> list[str]:
    """Return the texts of a row that people and agents chose."""
    if table == "facts":
        name = row["name"]
        return [name.removeprefix(_CURSOR)] if name.startswith(_CURSOR) else []
    structure = _STRUCTURE | ({"strategy"} if table == "conflicts" else set())
    texts = {n: v for n, v in row.items() if isinstance(v, str) and n not in structure}
    queue = texts.get("queue")
    if queue is not None and queue.startswith((_QUEUE, _TOPIC, _REPLY)):
        texts["queue"] = queue.partition(":")[2]
    return list(texts.values())


def _forms(text: str) -> list[str]:
    """Return how a text may be written: as it is, in JSON, in JSON within JSON, in a key."""
    forms = {text}
    for _ in range(2):
        for form in list(forms):
            forms |= {json.dumps(form, ensure_ascii=ascii_)[1:-1] for ascii_ in (True, False)}
    segment = escape(text, limit=KEY_BYTES_MAX)
    if len(text) < KEY_BYTES_MAX and "+h" not in segment:
        forms.add(segment)
    return sorted(forms, key=len)


def blank(row: Named) -> Named:
    """Return a version that reads as a deletion, by nobody."""
    return row | {"author": FORGET, "session": None, "provenance": None, "value": None}


def is_blank(row: Named) -> bool:
    """Tell whether a version was made by `blank`."""
    return row["author"] == FORGET and row.get("value") is None
