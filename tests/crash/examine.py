"""Whether the engine lives with what a power loss left: opens images and compares with the truth.

Run as a program: `examine.py SPEC` with the arguments of `examine_history` as a JSON object; it
prints the tally.
"""

import json
import os
import random
import sys
from collections import Counter, namedtuple

import apsw
from images import KINDS, Disk
from recording_vfs import NOTE, SYNC_ENDED, read_journal
from workload import value_of

from swarm_memory import Swarm

AFTER = "x/after"
EXAMPLES_MAX = 5  # as many failures are told in full

Asked = namedtuple("Asked", "at op key agent")
Acknowledged = namedtuple("Acknowledged", "at op key version durable")


class BrokenError(Exception):
    """The store of an image is not whole."""


class LostError(Exception):
    """The store of an image lacks what was acknowledged as durable."""


class Truth:
    """What the workload asked for and what it was told, from the notes of a journal."""

    def __init__(self, events):
        self.asked, self.acknowledged = [], []
        for at, event in enumerate(events):
            if event.kind == NOTE:
                self._take(at, json.loads(event.data))
        self.key_of = {asked.op: asked.key for asked in self.asked}

    def _take(self, at, note):
        if note["said"] == "ask":
            self.asked += [Asked(at, op, key, note["agent"]) for op, key in note["ops"]]
        else:
            rows = [Acknowledged(at, *row, note["durable"]) for row in note["rows"]]
            self.acknowledged += rows

    def told(self, at):
        """Return all that was acknowledged before `at`."""
        return [a for a in self.acknowledged if a.at < at]

    def open_calls(self, at):
        """Return the repeatable calls that were under way at `at`."""
        done = {a.op for a in self.acknowledged if a.at < at}
        return [a for a in self.asked if a.at < at and a.agent and a.op not in done]


def moments(events, count, choose):
    """Return `count` pairs of a position and a kind, in order.

    Half of them lie where most may be lost: where something was just acknowledged, where a sync
    just ended; and of these half lose all that can be lost.
    """
    first = next(at for at, event in enumerate(events) if event.kind == NOTE)
    sharp = [
        at + (event.kind == NOTE)
        for at, event in enumerate(events)
        if event.kind in (NOTE, SYNC_ENDED) and at > first
    ]
    chosen = []
    for _ in range(count):
        at, kind = choose.randrange(first, len(events) + 1), choose.choice(KINDS)
        if choose.random() < 0.5:
            at = choose.choice(sharp)
            kind = choose.choice(("none", kind))
        chosen.append((at, kind))
    return sorted(chosen)


def examine_history(folder, scratch, images, seed):
    """Make images of a recorded history in `scratch`, open each, and return the tally."""
    choose = random.Random(seed)
    events = read_journal(f"{folder}/journal")
    truth, disk = Truth(events), Disk()
    tally, examples = Counter(images=0, lost=0, broken=0), []
    mark = _mark_of(f"{folder}/store")
    for at, kind in moments(events, images, choose):
        while disk.at < at:
            disk.play(events[disk.at])
        files = disk.image(kind, choose)
        if choose.random() < 0.5:  # a mark may survive, whole or in part, and means nothing
            files["memory.db-mark"] = mark[: choose.choice((0, 40, len(mark)))]
        tally["images"] += 1
        try:
            examine_image(scratch, files, truth, at, f"{folder}/config.json")
        except Exception as error:  # a damaged page can make anything of a value
            tally["lost" if isinstance(error, LostError) else "broken"] += 1
            if len(examples) < EXAMPLES_MAX:
                told = f"{type(error).__name__}: {error}"
                examples.append(f"event {at} of {len(events)}, {kind}: {told}")
    return {**tally, "examples": examples}


def _mark_of(folder):
    try:
        with open(f"{folder}/memory.db-mark", "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""  # every commit synced for itself


def examine_image(folder, files, truth, at, config_path):
    """Open one image with the real engine and compare.

    Raises:
        LostError: Something acknowledged as durable is missing.
        BrokenError: It is damaged, has holes, applied something twice, or cannot be written.
    """
    for name in os.listdir(folder):
        os.unlink(f"{folder}/{name}")
    for name, content in files.items():
        if not name.endswith("-shm"):
            with open(f"{folder}/{name}", "wb") as file:
                file.write(content)
    with Swarm.open(f"sqlite:///{folder}/memory.db", config_path=config_path) as swarm:
        raw = apsw.Connection(f"{folder}/memory.db", flags=apsw.SQLITE_OPEN_READONLY)
        try:
            _check_whole(raw)
            found = _contents(swarm, raw)
            _compare(found, truth, at)
            _go_on(swarm, raw, found, truth, at)
        finally:
            raw.close()


def _check_whole(raw):
    problems = raw.execute("PRAGMA integrity_check").fetchall()
    if problems != [("ok",)]:
        raise BrokenError(f"integrity: {problems[:3]}")


def _contents(swarm, raw):
    """Return op → (key, version) of everything that is there; the log and the chains are whole."""
    events = raw.execute("SELECT seq, key, version FROM events ORDER BY seq").fetchall()
    if [seq for seq, _, _ in events] != list(range(1, len(events) + 1)):
        raise BrokenError("the event log has holes")
    versions = {}
    for _, key, version in events:
        if version != versions.get(key, 0) + 1:
            raise BrokenError(f"{key}: event of version {version} after {versions.get(key, 0)}")
        versions[key] = version
    if versions != dict(raw.execute("SELECT key, version FROM records")):
        raise BrokenError("records and events differ")
    found, current = {}, {record.key: record for record in swarm.records.each()}
    for key, version in versions.items():
        records = swarm.records.history(key) if version > 1 else [current[key]]
        if [record.version for record in records] != list(range(version, 0, -1)):
            raise BrokenError(f"{key}: the chain of versions has holes")
        for record in records:
            op = record.value["op"]
            if op in found:
                raise BrokenError(f"{op} was applied twice: {found[op]} and {key} {record.version}")
            if record.value != value_of(op):
                raise BrokenError(f"{key} {record.version} is not what {op} wrote")
            found[op] = (key, record.version)
    return found


def _compare(found, truth, at):
    for op, place in found.items():
        if truth.key_of.get(op) != place[0]:
            raise BrokenError(f"{op} at {place} was never asked for")
    told = truth.told(at)
    for call in told:
        # Only what was told before counts: a commit whose process died before it was published
        # may come back by the power loss, though those who lived on never saw it.
        if found.get(call.op, call[2:4]) != call[2:4]:
            raise BrokenError(f"{call.op} is at {found[call.op]}, told was {call[2:4]}")
    missing = [call for call in told if call.durable and call.op not in found]
    if missing:
        raise LostError(f"{len(missing)} acknowledged writes, the first {missing[0]}")


def _go_on(swarm, raw, found, truth, at):
    """The store takes writes, and what was under way is applied once when it is repeated."""
    for asked in truth.open_calls(at)[:2]:
        door = swarm.as_agent(asked.agent)
        record = door.records.put(asked.key, value_of(asked.op), op_id=asked.op)
        place = found.setdefault(asked.op, (record.key, record.version))
        if place != (record.key, record.version):
            raise BrokenError(f"repeated, {asked.op} is at {record.version}, was at {place}")
    swarm.records.put(AFTER, value_of(AFTER))
    found[AFTER] = (AFTER, 1)
    again = _contents(swarm, raw)
    if again != found:
        raise BrokenError(f"after writing on: {set(again.items()) ^ set(found.items())}")


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    tally = examine_history(**given)
    sys.stdout.write(json.dumps(tally))
