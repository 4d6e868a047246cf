"""Queues of a damaged store: runs and cursors that fit the messages that could be read.

Nothing that could be read may be lost between them: a message of a queue's own that is behind its
cursor and in no run any more gets one, since somebody had it in hand or had given it back.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

from swarm_memory.runs import EVERYONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarm_memory.model import Json

REASON = "the store was repaired"
_KEPT = ("odd", "rank", "attempts_max", "visible_ms", "expires_ms")


class Queues:
    """The messages that could be read, and what is made of runs and cursors by them."""

    def __init__(self) -> None:
        self._messages: dict[int, dict[str, Json]] = {}
        self._logs: dict[tuple[str, str], list[int]] = {}
        self._runs: dict[tuple[str, str, int], dict[str, Json]] = {}
        self._in_run: set[tuple[str, str, int]] = set()
        self._cursors: dict[tuple[str, str], dict[str, Json]] = {}

    def add_message(self, row: dict[str, Json]) -> None:
        """Note a message; all of them come first."""
        self._messages[row["seq"]] = {name: row[name] for name in _KEPT}
        insort(self._logs.setdefault((row["swarm"], row["queue"]), []), row["seq"])

    def add_run(self, row: dict[str, Json]) -> bool:
        """Note a run with those of its messages that are left; tell whether there are any."""
        swarm, queue = row["swarm"], row["queue"]
        seqs = self._logs.get((swarm, row["log"]), [])
        mine = [
            seq
            for seq in seqs[bisect_left(seqs, row["first"]) : bisect_right(seqs, row["last"])]
            if (row["size"] == 1 or not self._messages[seq]["odd"])
            and (swarm, queue, seq) not in self._in_run
        ]
        if mine:
            self._in_run |= {(swarm, queue, seq) for seq in mine}
            span = {"first": mine[0], "last": mine[-1], "size": len(mine)}
            claimed = {"claimed": row["receipt"] != ""}
            self._runs[swarm, queue, mine[0]] = row | span | claimed
        return bool(mine)

    def add_cursor(self, row: dict[str, Json]) -> None:
        """Note a cursor."""
        self._cursors[row["swarm"], row["queue"]] = row

    def cursors(self) -> list[dict[str, Json]]:
        """Return the cursors; one that is lost is where the last claim says."""
        found = dict(self._cursors)
        for (swarm, queue, _), run in self._runs.items():
            none = {"swarm": swarm, "queue": queue, "own_seq": 0, "all_seq": 0, "odd_seq": 0}
            row = found.get((swarm, queue), none)
            odd, for_all = self._messages[run["last"]]["odd"], run["log"] == EVERYONE
            name = ("odd_seq" if odd else "all_seq") if for_all else "own_seq"
            if for_all or not odd:
                row = row | {name: max(row[name], run["last"])}
            found[swarm, queue] = row
        return list(found.values())

    def runs(self) -> Iterator[dict[str, Json]]:
        """Yield the runs, and one for each message of a queue's own that has lost its run."""
        yield from self._runs.values()
        claimed = {(row["swarm"], row["queue"]): row["own_seq"] for row in self.cursors()}
        for (swarm, queue), seqs in self._logs.items():
            for seq in seqs if queue != EVERYONE else ():
                message = self._messages[seq]
                had = message["odd"] or seq <= claimed.get((swarm, queue), 0)
                if had and (swarm, queue, seq) not in self._in_run:
                    where = {"swarm": swarm, "queue": queue, "log": queue}
                    span = {"first": seq, "last": seq, "size": 1}
                    state = {"state": "hidden", "attempts": 1, "claimed": False, "reason": REASON}
                    dead = {"message_id": None, "dead_ms": None}
                    yield message | where | span | state | dead
