"""Search: what it costs those who put, and how fast and how well it finds

The large store holds 100,000 records of about 40 words, drawn from 30,000 words as natural
language has them (Zipf); a question is five words of one record. Quality is measured on LoCoMo
(CC BY-NC 4.0, not part of this project) where `RETRIEVAL_DATA` names its folder: questions about
long conversations, categories 1 to 4; found is a turn that holds the answer.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import tempfile
import time
from collections import namedtuple
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path

from subjects import at_least, at_most, ratio, told, value
from swarm_memory import Swarm

ROUNDS = 8
PUTS = 2000
RECORDS = 100_000
VOCABULARY, WORDS, ASKED = 30_000, 40, 5
QUESTIONS = 200
BATCH = 5000
ALL = 10**9

Item = namedtuple("Item", "key value created_ms updated_ms expires_ms author provenance")


def run() -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as folder:
        return [*puts(folder), *scale(folder), *quality(folder)]


def puts(folder: str) -> list[dict[str, object]]:
    """A put on a store that is searched now and then against one that never is."""
    rows = []
    stores = {name: opened(f"{folder}/{name}.db") for name in ("never", "searched")}
    for turn in range(ROUNDS + 1):
        row = {}
        for name in sorted(stores, reverse=bool(turn % 2)):
            row[name] = cpu(lambda name=name, turn=turn: fill(stores[name], turn), PUTS)
        stores["searched"].search("agent task")
        rows += [row] if turn else []  # the first puts make what the others replace
    for swarm in stores.values():
        swarm.close()
    measured = ratio(rows, "searched", "never")
    return [at_most("put, store with an index / without one", measured, 1.05, "processor time")]


def cpu(call: Callable[[], object], count: int = 1) -> float:
    """Return the seconds of processor time of one of `count` operations."""
    start = time.process_time()
    call()
    return (time.process_time() - start) / count


def fill(swarm: Swarm, turn: int) -> None:
    for number in range(PUTS):
        swarm.records.put(f"notes/{number}", value(number + turn))


def scale(folder: str) -> list[dict[str, object]]:
    """Making an index of many records, its size, and searching it."""
    swarm = opened(f"{folder}/large.db")
    pick = random.Random(7)
    texts = [" ".join(sentence(pick)) for _ in range(RECORDS)]
    for first in range(0, RECORDS, BATCH):
        swarm.records.put_many(
            (f"notes/{number}", {"note": texts[number]}) for number in range(first, first + BATCH)
        )
    swarm.maintain()
    before = swarm.file_bytes()
    made = cpu(lambda: swarm.finder.index.catch_up(ALL, ALL), RECORDS)
    swarm.maintain()
    share = swarm.file_bytes() / before - 1
    swarm.records.put_many((f"notes/{number}", {"note": texts[-number]}) for number in range(BATCH))
    followed = cpu(lambda: swarm.finder.index.catch_up(ALL, ALL), BATCH)
    asked = [" ".join(pick.sample(pick.choice(texts).split(), ASKED)) for _ in range(QUESTIONS)]
    times = sorted(cpu(lambda query=query: swarm.search(query)) for query in asked)
    alone = sorted(cpu(lambda: behind(swarm)) for _ in range(50))
    swarm.close()
    return [
        told("making the index", f"{1 / made:,.0f} records/s", f"{RECORDS:,} records"),
        told("following changed records", f"{1 / followed:,.0f} records/s"),
        told("index / store without it", f"{share:.0%}", f"{before / RECORDS:.0f} bytes a record"),
        told(
            f"search among {RECORDS:,} records, p50 / p99",
            f"{times[QUESTIONS // 2] * 1e3:.0f} / {times[int(QUESTIONS * 0.99)] * 1e3:.0f} ms",
            f"{ASKED} words of a record, processor time",
        ),
        told("put and find it, p50", f"{alone[len(alone) // 2] * 1e3:.1f} ms"),
    ]


def behind(swarm: Swarm) -> None:
    swarm.records.put("notes/newest", {"note": "zzyzx"})
    assert swarm.search("zzyzx")


_CUMULATED = list(accumulate(1 / (rank + 3) for rank in range(VOCABULARY)))


def sentence(pick: random.Random) -> list[str]:
    return [f"w{n:x}q" for n in pick.choices(range(VOCABULARY), cum_weights=_CUMULATED, k=WORDS)]


def quality(folder: str) -> list[dict[str, object]]:
    """How often the turns that answer a question are among the first ten."""
    path = Path(os.environ.get("RETRIEVAL_DATA", "")) / "locomo10.json"
    if not path.is_file():
        return [told("quality on LoCoMo", "skipped", f"no {path.name}")]
    swarm = opened(f"{folder}/locomo.db")
    questions = []
    for number, entry in enumerate(json.loads(path.read_text())):
        turns = turns_of(number, entry["conversation"])
        swarm.records.load(turns.values())
        questions += [
            (f"c{number}/", qa["question"], {turns[e].key for e in qa["evidence"] if e in turns})
            for qa in entry["qa"]
            if qa["category"] <= 4
        ]
    swarm.finder.index.catch_up(ALL, ALL)
    asked = [question for question in questions if question[2]]
    within = [judged(swarm, prefix, query, wanted) for prefix, query, wanted in asked]
    pooled = [judged(swarm, "", query, wanted) for _, query, wanted in asked]
    swarm.close()
    note = f"{len(asked)} questions; plain porter has .607 and .455, measured with the same data"
    return [
        at_least_share("LoCoMo, recall@10 within a conversation", column(within, 0), 0.70, note),
        at_least_share("LoCoMo, mean reciprocal rank", column(within, 1), 0.50),
        at_least_share("LoCoMo, recall@10, all conversations at once", column(pooled, 0), 0.68),
    ]


def turns_of(number: int, conversation: dict[str, object]) -> dict[str, Item]:
    """Return the turns of a conversation by their ids, as records with their own times."""
    turns = {}
    session = 1
    while f"session_{session}" in conversation:
        told_at = conversation[f"session_{session}_date_time"]
        began = datetime.strptime(told_at, "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
        for place, turn in enumerate(conversation[f"session_{session}"], 1):
            caption = f" [image: {turn['blip_caption']}]" if turn.get("blip_caption") else ""
            at_ms = int(began.timestamp() * 1000) + 1000 * place
            turns[turn["dia_id"]] = Item(
                f"c{number}/s{session:02}/{place:04}",
                turn["text"] + caption,
                at_ms,
                at_ms,
                None,
                turn["speaker"],
                {"digest": turn["dia_id"]},
            )
        session += 1
    return turns


def judged(swarm: Swarm, prefix: str, query: str, wanted: set[str]) -> tuple[float, float]:
    """Return the share of the wanted turns among the first ten, and 1 / the rank of the first."""
    found = [hit.record.key for hit in swarm.search(query, prefix=prefix, limit=100)]
    first = next((place for place, key in enumerate(found, 1) if key in wanted), None)
    return len(wanted & set(found[:10])) / len(wanted), 0.0 if first is None else 1 / first


def column(rows: list[tuple[float, float]], number: int) -> float:
    return statistics.mean(row[number] for row in rows)


def at_least_share(what: str, measured: float, goal: float, note: str = "") -> dict[str, object]:
    return at_least(what, measured, goal, note) | {
        "value": f"{measured:.3f}",
        "goal": f"≥ {goal:.2f}",
    }


def opened(path: str) -> Swarm:
    return Swarm.open(f"sqlite:///{path}", agent="a", swarm="s", durability="relaxed")


if __name__ == "__main__":
    began = time.perf_counter()
    for figure in run():
        print(figure)
    print(f"{time.perf_counter() - began:.0f} s")
