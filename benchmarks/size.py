"""Size of real values on disk against gzip, value by value

The values are those of a folder of real claude-flow stores, read by the importer
(`REAL_STORES`, or ../shared/data/stores beside this project). The dictionary is
trained on half of the values and measured on the other half.
"""

from __future__ import annotations

import gzip
import os
from pathlib import Path

from subjects import told
from swarm_memory import codec

V2 = ["v2-plain", "v2-plain-small", "v2-wal-only", "v2-extra-tables", "v27-reasoningbank"]
GOAL = 0.8


def run() -> list[dict[str, object]]:
    here = Path(__file__).resolve().parent.parent
    named = os.environ.get("REAL_STORES")
    folder = Path(named) if named else here.parent / "shared" / "data" / "stores"
    if not folder.is_dir():
        return [told("size on disk", "skipped", f"no folder {folder.name} with real stores")]
    values = [encoded for name in V2 for encoded in read(folder / name)]
    train, test = values[::2], values[1::2]
    trained = codec.train_dictionary(train)
    packer = codec.Compressor(lambda _: trained, lambda: 1, 2**30)
    ours = sum(codec.FRAME_BYTES + len(packer.compress(v, eager=True)[1]) for v in test)
    peers = sum(len(gzip.compress(v, 6)) for v in test)
    measured = ours / peers
    return [
        {
            "what": f"frames with a dictionary against gzip, {len(test)} values not trained on",
            "value": f"{measured:.2f} ×",
            "goal": f"≤ {GOAL} ×",
            "reached": measured <= GOAL,
            "note": f"{ours / sum(map(len, test)):.2f} of the plain JSON",
        }
    ]


def read(store: Path) -> list[bytes]:
    from swarm_memory import importers

    reading = importers.read_store(store / "memory.db", now_ms=0)
    return [codec.encode(item.value, bytes_max=2**30) for item in reading.items()]
