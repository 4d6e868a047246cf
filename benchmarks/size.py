"""Size of real values on disk against gzip, value by value

The values are those of a folder of real claude-flow stores, read by the importer
(`REAL_STORES`, or ../shared/data/stores beside this project). Two comparisons: a dictionary
that is trained on half of the values and measured on the other half; and a store into which all
of them were imported, after `optimize --apply`, by the sum of its stored values, frames, checksums
and dictionaries counted, against the sum of each value's JSON packed by gzip alone, as the
original stores them (without the base64 and the checksum that it adds).
"""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from pathlib import Path

import apsw

from subjects import told
from swarm_memory import Swarm, codec
from swarm_memory.exchange import import_stores

V2 = ["v2-plain", "v2-plain-small", "v2-wal-only", "v2-extra-tables", "v27-reasoningbank"]
GOAL, GOAL_OPTIMIZED = 0.8, 0.5
SHARED = 1000  # records that share a value


def run() -> list[dict[str, object]]:
    here = Path(__file__).resolve().parent.parent
    named = os.environ.get("REAL_STORES")
    folder = Path(named) if named else here.parent / "shared" / "data" / "stores"
    if not folder.is_dir():
        return [told("size on disk", "skipped", f"no folder {folder.name} with real stores")]
    values = [encoded for name in V2 for encoded in read(folder / name)]
    with tempfile.TemporaryDirectory() as scratch:
        return [_unseen(values), *_optimized(folder, Path(scratch)), _equal(Path(scratch))]


def _unseen(values: list[bytes]) -> dict[str, object]:
    train, test = values[::2], values[1::2]
    trained = codec.train_dictionary(train)
    packer = codec.Compressor(lambda _: trained, lambda: 1, 2**30)
    ours = sum(codec.FRAME_BYTES + len(packer.compress(v, eager=True)[1]) for v in test)
    peers = sum(len(gzip.compress(v, 6)) for v in test)
    measured = ours / peers
    return {
        "what": f"frames with a dictionary against gzip, {len(test)} values not trained on",
        "value": f"{measured:.2f} ×",
        "goal": f"≤ {GOAL} ×",
        "reached": measured <= GOAL,
        "note": f"{ours / sum(map(len, test)):.2f} of the plain JSON",
    }


def _optimized(folder: Path, scratch: Path) -> list[dict[str, object]]:
    """Import all stores into one, optimize it, and weigh what it holds."""
    path = scratch / "memory.db"
    copies = scratch / "copies"
    for name in V2:  # to open one with a log changes it
        shutil.copytree(folder / name, copies / name)
    with Swarm.open(f"sqlite:///{path}", agent="a", swarm="s") as swarm:
        import_stores(swarm, [copies / name for name in V2])
        values = [codec.dumps(r.value) for r in swarm.records.each(telemetry=True)]
        swarm.maintain()
        before = swarm.file_bytes()
        swarm.optimizer.apply()
        assert values == [codec.dumps(r.value) for r in swarm.records.each(telemetry=True)]
        after = swarm.file_bytes()
    ours, dictionaries = _weigh(path)
    peers = sum(len(gzip.compress(v, 6)) for v in values)
    measured = (ours + dictionaries) / peers
    return [
        {
            "what": f"all {len(values)} values of a store after optimize, against gzip",
            "value": f"{measured:.2f} ×",
            "goal": f"≤ {GOAL_OPTIMIZED} ×",
            "reached": measured <= GOAL_OPTIMIZED,
            "note": f"{ours:,} bytes of frames and {dictionaries:,} of dictionaries against "
            f"{peers:,}; {ours / peers:.2f} × without the dictionaries",
        },
        told(
            "the whole file after optimize, against gzip",
            f"{after / peers:.2f} ×",
            f"{after:,} bytes with keys, provenance, the change log and indexes, which gzip's sum "
            f"has none of; {before:,} before",
        ),
    ]


def _weigh(path: Path) -> tuple[int, int]:
    """Return the bytes of all stored values, older versions too, and of the dictionaries."""
    db = apsw.Connection(str(path))
    names = ("SELECT sum(length(value)) FROM records", "SELECT sum(length(value)) FROM history")
    values = sum(db.execute(name).fetchone()[0] or 0 for name in names)
    (dictionaries,) = db.execute("SELECT sum(length(bytes)) FROM dictionaries").fetchone()
    db.close()
    return values, dictionaries or 0


def _equal(scratch: Path) -> dict[str, object]:
    """Weigh what a value costs that many records share."""
    words = [f"step {n}: {n * 7919 % 9973:x} is checked by agent-{n % 13}" for n in range(40)]
    path = scratch / "equal.db"
    with Swarm.open(f"sqlite:///{path}", agent="a", swarm="s") as swarm:
        swarm.records.put_many((f"notes/{n:05}", {"plan": words}) for n in range(SHARED))
        swarm.optimizer.apply()
    ours, dictionaries = _weigh(path)
    size = len(codec.dumps({"plan": words}))
    return told(
        f"bytes of a value of {size:,} bytes that {SHARED:,} records share",
        f"{ours / SHARED:.0f}",
        f"each, and {dictionaries:,} once; gzip takes "
        f"{len(gzip.compress(codec.dumps({'plan': words}), 6)):,} each",
    )


def read(store: Path) -> list[bytes]:
    from swarm_memory import importers

    reading = importers.read_store(store / "memory.db", now_ms=0)
    return [codec.encode(item.value, bytes_max=2**30) for item in reading.items()]
