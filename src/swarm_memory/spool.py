"""The spool: calls of processes that ended early, from a file beside the store into the store.

A hook appends one line to the file, which costs it no write of the database. Whoever takes a
sample renames the file, so that it gets no more lines, and adds it up in the store. Its number is
kept by swarm in the same transaction: a file that was added up by somebody who died before it
could be deleted, or that two find at once, is not counted twice. Numbers are times; when the clock
was set back what was counted since is lost rather than counted twice, and so is the line of a
process that was frozen between opening the file and writing to it.

Calls of such a process are counted as verbs of their own (`put.short`): everything is done for the
first time in it, so they say nothing of how long a call takes in a process that stays.
"""

from __future__ import annotations

import os
import time

from swarm_memory import lean_json
from swarm_memory.checks import fits
from swarm_memory.errors import SwarmMovedError
from swarm_memory.lean import suppress
from swarm_memory.meter import COUNTED, FAILED, SPOOL, SPOOL_BYTES_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarm_memory.engine import Engine, Tx
    from swarm_memory.model import Json

    Sums = dict[str, dict[tuple[str, int], int]]

SHORT = ".short"
FOLDED = "spooled"  # the fact: the number of the newest file that was added up
FILES_MAX = 100  # set aside and not yet deleted, that are looked at in one call
NAME_BYTES_MAX = 100
BUCKET_MAX = 256
CALLS_MAX = 2**40


def fold(engine: Engine, store: str) -> None:
    """Add what was spooled beside the store at a path up in it.

    Raises:
        SwarmMemoryError: The store cannot be written; what is left waits for the next call.
    """
    with suppress(FileNotFoundError):  # nothing was spooled, or another process was faster
        os.rename(store + SPOOL, f"{store}{SPOOL}-{time.time_ns()}")
    for number, path in _set_aside(store):
        with suppress(FileNotFoundError):
            for swarm, sums in _read(path).items():
                with suppress(SwarmMovedError):  # it is counted where it lives now
                    _add(engine, swarm, number, sums)
            os.unlink(path)


def _set_aside(store: str) -> list[tuple[int, str]]:
    """Return the number and the path of each file that was renamed, in their order."""
    folder, name = os.path.split(store)
    prefix = f"{name}{SPOOL}-"
    numbers = [
        int(one.removeprefix(prefix))
        for one in os.listdir(folder or os.curdir)
        if one.startswith(prefix) and one.removeprefix(prefix).isdecimal()
    ]
    return [(n, f"{store}{SPOOL}-{n}") for n in sorted(numbers)[:FILES_MAX]]


def _add(engine: Engine, swarm: str, number: int, sums: dict[tuple[str, int], int]) -> None:
    rows = [
        {"swarm": swarm, "verb": verb, "bucket": bucket, "calls": calls}
        for (verb, bucket), calls in sorted(sums.items())
    ]

    def write(tx: Tx) -> None:
        named = {"swarm": swarm, "name": FOLDED}
        if tx.one("fact_claim", **named, value=number, before=number - 1) is not None:
            tx.many("meter_add", rows)

    engine.write(write, durability="machine")


def _read(path: str) -> Sums:
    """Return the calls in a file by swarm; a line that is none is left out."""
    with open(path, "rb") as file:
        lines = file.read(2 * SPOOL_BYTES_MAX).splitlines()
    sums: Sums = {}
    for line in lines:
        for swarm, verb, bucket, calls in _calls_in(line):
            of = sums.setdefault(swarm, {})
            what = named(verb, bucket), bucket
            of[what] = of.get(what, 0) + calls
    return sums


def _calls_in(line: bytes) -> Iterator[tuple[str, str, int, int]]:
    try:
        said: Json = lean_json.loads(line)
    except ValueError:
        return
    if not isinstance(said, list) or len(said) != 2 or not isinstance(said[1], list):
        return
    swarm, counted = said
    if not fits(swarm, 1, NAME_BYTES_MAX):
        return
    for one in counted:
        if not isinstance(one, list) or len(one) != 3:
            continue
        verb, bucket, calls = one
        whole = type(bucket) is int and type(calls) is int
        if not whole or not fits(verb, 1, NAME_BYTES_MAX):
            continue
        if 0 <= bucket < BUCKET_MAX and 0 < calls < CALLS_MAX:
            yield str(swarm), verb, bucket, calls


def named(verb: str, bucket: int) -> str:
    """Return as what a call of a process that ended early is counted."""
    if FAILED in verb:
        called, _, code = verb.partition(FAILED)
        return f"{called}{SHORT}{FAILED}{code}"
    return verb if bucket == COUNTED else verb + SHORT
