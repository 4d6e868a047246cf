"""Recorded workloads: what people and agents really did, as operations on a store.

The data are not part of the project; they lie in a folder `shared/data` beside it, or where the
variable RECORDED_DATA says. What is recorded and what is drawn:

files of beads: which file each of 29,892 edits of its history touched, and the order, are
recorded. What is kept of a file, 0.4 to 2 KB, is drawn.

files of langgraph: the same of 20,921 edits; what is kept of a file is twice as large.

conversations: who spoke in 184 runs of agents, in which order, and how long each text was, are
recorded. The texts are drawn, and so is that a speaker first reads the two steps before his own.

The first two are read only, as by agents that look up what is known of a file before they touch it.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
from pathlib import Path

from subjects import WORD, value

FOLDER = Path(os.environ.get("RECORDED_DATA") or Path(__file__).parents[2] / "shared" / "data")
Operations = list[tuple]


def is_there() -> bool:
    """Tell whether the recorded data can be read."""
    return (FOLDER / "outcomes" / "git_edits_beads.csv.gz").exists()


def files_of_beads() -> tuple[Operations, Operations]:
    """Reads in the order of the edits, of one value of about 1 KB for each of 3,624 files."""
    return _files("beads", lambda number: value(number))


def files_of_langgraph() -> tuple[Operations, Operations]:
    """Reads in the order of the edits, of larger values for each of 2,439 files."""
    return _files("langgraph", lambda n: {"now": value(3 * n), "was": value(3 * n + 1)})


def conversations() -> tuple[Operations, Operations]:
    """Each step of 184 runs is written by its speaker, who reads the two before it first."""
    runs = json.loads((FOLDER / "outcomes" / "whoandwhen_failures.json").read_text())
    pick, played = random.Random(4), []
    for number, run in enumerate(runs):
        for step, (speaker, chars) in enumerate(
            zip(run["speakers"], run["step_chars"], strict=True)
        ):
            before = range(max(0, step - 2), step)
            played += [("get", f"agent/runs/{number}/{earlier}") for earlier in before]
            said = {"by": speaker, "said": _text(pick, chars)}
            played.append(("put", f"agent/runs/{number}/{step}", said))
    return [("put", "agent/runs/begun", {"runs": len(runs)})], played


WORKLOADS = {
    "files of beads": files_of_beads,
    "files of langgraph": files_of_langgraph,
    "conversations": conversations,
}


def _files(name: str, value_of) -> tuple[Operations, Operations]:
    with gzip.open(FOLDER / "outcomes" / f"git_edits_{name}.csv.gz", "rt") as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    numbers: dict[str, int] = {}
    for path in paths:
        numbers.setdefault(path, len(numbers))
    fill = [("put", f"agent/files/{number}", value_of(number)) for number in numbers.values()]
    return fill, [("get", f"agent/files/{numbers[path]}") for path in paths]


def _text(pick: random.Random, chars: int) -> str:
    words = []
    while chars > 0:
        words.append(pick.choice(WORD))
        chars -= len(words[-1]) + 1
    return " ".join(words)
