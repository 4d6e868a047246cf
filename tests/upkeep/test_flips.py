"""Single flipped bits of a store's file: never a wrong value, never a crash, no loss unnoticed.

Every flip is a copy of a healthy store with one bit changed, anywhere. Each key is read, with its
history; what comes back is what was written or an error of ours. Where a key does not come back
at all, verify must say that the store is damaged.
"""

import random
import re
from collections import Counter

import pytest

from swarm_memory import Swarm
from swarm_memory.errors import CorruptValueError, SwarmMemoryError
from swarm_memory.integrity import verify_store

RIGHT, REFUSED, MISSING = "right", "refused", "missing"
FLIPS, FLIPS_LONG = 150, 1000


@pytest.fixture
def written(filled, path):
    """The bytes of a healthy store, and by key all versions that were written."""
    keys = [r.key for r in filled.records.each(telemetry=True)]
    versions = {
        key: {(r.version, repr(r.value), r.author) for r in filled.records.history(key)}
        for key in [*keys, "notes/gone"]
    }
    current = {key: max(versions[key]) for key in keys}
    filled.maintain()
    filled.close()
    return path.read_bytes(), versions, current


def identity(record):
    return record.version, repr(record.value), record.author


def read(swarm, key, versions, current):
    """Return what becomes of one key, and fail on a value that was never written."""
    try:
        for record in swarm.records.history(key):
            # A deletion has no checksum: a value that is lost there is a loss, found by verify.
            assert record.deleted or identity(record) in versions[key], f"wrong: {record}"
        record = swarm.records.get(key)
    except SwarmMemoryError:
        return REFUSED
    if record is None:
        return RIGHT if key not in current else MISSING
    assert identity(record) == current[key], f"wrong: {record}"
    return RIGHT


def outcome_of(path, octets, versions, current):
    """Return the fate of a store, RIGHT if nothing of it is lost, and what verify says of it."""
    path.write_bytes(octets)
    for side in ("-wal", "-shm", "-mark"):
        path.with_name(path.name + side).unlink(missing_ok=True)
    try:
        with Swarm.open(f"sqlite:///{path}", agent="a", swarm="s") as swarm:
            fates = {read(swarm, key, versions, current) for key in versions}
            healthy = verify_store(swarm).ok
    except SwarmMemoryError:
        return REFUSED, False
    for fate in (MISSING, REFUSED):
        if fate in fates:
            return fate, healthy
    return RIGHT, healthy


LONG = [pytest.param(n, FLIPS_LONG, marks=pytest.mark.long) for n in range(1, 11)]


@pytest.mark.parametrize(("seed", "flips"), [(0, FLIPS), *LONG])
def test_a_flipped_bit_never_makes_a_wrong_value_nor_an_unnoticed_loss(
    written, tmp_path, seed, flips
):
    healthy, versions, current = written
    pick = random.Random(seed)
    seen = Counter()
    for _ in range(flips):
        place, bit = pick.randrange(len(healthy)), pick.randrange(8)
        octets = bytearray(healthy)
        octets[place] ^= 1 << bit
        fate, ok = outcome_of(tmp_path / "flipped.db", octets, versions, current)
        assert fate == RIGHT or not ok, f"byte {place}, bit {bit}: {fate}, and verify finds nothing"
        seen[fate] += 1
    assert min(seen[fate] for fate in (RIGHT, REFUSED, MISSING)) > 0, seen


def test_an_index_that_leads_to_another_key_is_noticed(written, path):
    """That row is intact: its checksum holds, but it is not the one that was asked for."""
    healthy, _, current = written
    entries = [match.start() + 1 for match in re.finditer(rb"\x02snotes/\d{3}", healthy)]
    astray = 0
    for place in entries[::5]:
        octets = bytearray(healthy)
        octets[place] ^= 0x80  # now it sorts behind all others, and a search takes a wrong turn
        path.write_bytes(octets)
        with Swarm.open(f"sqlite:///{path}", agent="a", swarm="s") as swarm:
            for key, wanted in current.items():
                try:
                    record = swarm.records.get(key)
                except CorruptValueError as error:
                    astray += "leads to" in str(error)
                else:
                    assert record is None or identity(record) == wanted
    assert astray > 0
