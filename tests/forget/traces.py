"""Looking for a text in all that belongs to a store."""

from __future__ import annotations

import base64
import json
import os

import apsw
import zstandard

from swarm_memory import Swarm

SECRET = 'the launch code is Zürich-4711 "tango"'


def forms(text):
    """Return how a text may stand in a file: as it is, and as JSON writes it."""
    written = {text, *(json.dumps(text, ensure_ascii=a)[1:-1] for a in (True, False))}
    written |= {json.dumps(w, ensure_ascii=a)[1:-1] for w in set(written) for a in (True, False)}
    return {w.encode() for w in written}


def places_of(folder, text):
    """Return where a text is left below a folder: in bytes, in expanded values and in backups."""
    found = []
    wanted = forms(text)
    for top, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(top, name)
            with open(path, "rb") as file:
                octets = file.read()
            if name.endswith(".jsonl.zst"):
                octets += _expanded(octets)
            found += [path for w in wanted if w in octets]
            if name.endswith(".db"):
                found += [f"{path}: {where}" for where in _in_store(path, wanted)]
    return found


def _expanded(octets):
    reader = zstandard.ZstdDecompressor().stream_reader(octets, read_across_frames=True)
    lines = reader.read()
    for line in lines.splitlines():
        row = json.loads(line)
        if row.get("table") == "dictionaries":
            lines += base64.b64decode(row["bytes"])
    return lines


def _in_store(path, wanted):
    """Look into every value, with the store's own dictionaries."""
    with Swarm.open(f"sqlite:///{path}", agent="looker", swarm="s") as swarm:
        db = apsw.Connection(path)
        names = [row[0] for row in db.execute("SELECT DISTINCT swarm FROM records")]
        for table in ("records", "history"):
            frames = db.execute(f"SELECT swarm, key, value FROM {table}")  # noqa: S608
            for name, key, frame in frames.fetchall():
                assert name in names or table == "history"
                if frame is not None:
                    expand = swarm.as_agent("looker", swarm=name).context.compressor.expand
                    plain = expand(frame[0], frame[1:-4])
                    if any(w in plain for w in wanted):
                        yield f"{table} {key}"
        db.close()
