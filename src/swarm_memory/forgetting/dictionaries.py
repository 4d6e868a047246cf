"""Retiring compression dictionaries that may hold parts of what was forgotten.

A dictionary is made of pieces of values. Processes that have the store open keep the newest one
for a while and pack with it, so none may go while one of them lives (decision 4). First a neutral
dictionary becomes the newest. Once nobody else has the store open, whoever opens it later packs
with that: then values are packed anew, and the dictionaries before it go.
"""

from __future__ import annotations

from swarm_memory import codec
from swarm_memory.backup.tables import DICTIONARIES, RECORD_COLUMNS, VERSION_COLUMNS
from swarm_memory.codec import Compressor
from swarm_memory.errors import CorruptValueError
from swarm_memory.forgetting.store import PENDING, Values, fold, pages
from swarm_memory.forgetting.target import TEXT
from swarm_memory.paging import Pager
from swarm_memory.rows import meaning, seal_dictionary, unseal_dictionary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.engine import Tx
    from swarm_memory.forgetting.target import Target
    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm

    Named = dict[str, Json]

# Nobody's words: what JSON is made of. The next training replaces it.
NEUTRAL = b'{"":"","":[],"":{},"":0,"":1,"":true,"":false,"":null}' * 2
_PAGE_ID = 10
_BEFORE_ALL = -1


def pending(tx: Tx, target: Target) -> list[str]:
    """Return the swarms whose dictionaries may hold parts of what was forgotten."""
    swarms = set()
    for row in pages(tx, DICTIONARIES.page, 2, DICTIONARIES.columns):
        upto = tx.one("fact_get", swarm=row["swarm"], name=PENDING)
        marked = upto is not None and row["number"] <= upto[0]
        if marked or (target.kind == TEXT and _holds(target, row)):
            swarms.add(row["swarm"])
    return sorted(swarms)


def _holds(target: Target, row: Named) -> bool:
    try:
        plain = unseal_dictionary(row["swarm"], row["number"], row["bytes"])
    except CorruptValueError:
        plain = row["bytes"]
    return target.is_in_bytes(plain)


def replace_newest(swarm: Swarm, name: str) -> None:
    """Make a neutral dictionary the newest of the swarm `name`, unless it is."""

    def write(tx: Tx) -> None:
        newest = tx.one("dictionary_newest", swarm=name)
        number = int(newest[0]) if newest else 0
        row = tx.one("dictionary_get", swarm=name, number=number)
        if row is None or row[0] == seal_dictionary(name, number, NEUTRAL):
            return
        number += 1
        sealed = seal_dictionary(name, number, NEUTRAL)
        now_ms = tx.now_ms
        tx.run("dictionary_put", swarm=name, number=number, created_ms=now_ms, bytes=sealed)
        tx.run("fact_raise", swarm=name, name=PENDING, value=number - 1)

    swarm.transact(lambda transaction: write(transaction.tx))


def drop_older(swarm: Swarm, name: str) -> None:
    """Pack all values of the swarm `name` anew, and remove the dictionaries before the newest.

    Only while nobody else has the store open; one transaction.
    """

    def write(tx: Tx) -> None:
        fold(tx)
        newest = tx.one("dictionary_newest", swarm=name)
        number = int(newest[0]) if newest else 0
        values = Values(tx, swarm.config.value_bytes_max)
        packer = _packer(number, swarm.config.value_bytes_max)
        for row in pages(tx, "backup_records", 2, RECORD_COLUMNS):
            packed = _packed_anew(row, name, number, values, packer)
            if packed is not None:
                _store_record(tx, row, packed)
        after, pager = _BEFORE_ALL, Pager()
        while rows := tx.all("verify_history", after=after, limit=pager.rows):
            for plain in rows:
                row = dict(zip(VERSION_COLUMNS, plain, strict=False))
                packed = _packed_anew(row, name, number, values, packer)
                if packed is not None:
                    said = {"id": plain[_PAGE_ID], "before": row["value"], "value": packed}
                    tx.run("forget_repack_version", **said)
            after = rows[-1][_PAGE_ID]
            pager.saw(rows, 9)
        tx.run("forget_dictionaries", swarm=name, number=number)
        tx.run("forget_fact", swarm=name, name=PENDING)

    swarm.transact(lambda transaction: write(transaction.tx))


def _packer(number: int, bytes_max: int) -> Compressor:
    return Compressor(lambda _: NEUTRAL, lambda: number, bytes_max)


def _packed_anew(
    row: Named, name: str, number: int, values: Values, packer: Compressor
) -> bytes | None:
    """Return the frame of a version without the older dictionaries, None if it has none of them."""
    frame = row["value"]
    if row["swarm"] != name or frame is None or frame[0] != codec.ZSTD_DICTIONARY:
        return None
    if int.from_bytes(frame[1:3], "big") >= number:
        return None
    try:
        encoded = values.encoded(row)
    except CorruptValueError:
        return None  # it cannot be read with its dictionary either
    if encoded is None:
        return None
    said = meaning(*(row[column] for column in VERSION_COLUMNS[:-1]))
    return codec.seal(*packer.compress(encoded, eager=True), said)


def _store_record(tx: Tx, row: Named, packed: bytes) -> None:
    where = {column: row[column] for column in ("swarm", "key", "version")}
    if tx.run("forget_repack_record", **where, before=row["value"], value=packed):
        said = {column: row[column] for column in ("swarm", "scope", "category", "telemetry")}
        tx.run("usage_add", **said, records=0, bytes=len(packed) - len(row["value"]))


def neutral_row(row: Named) -> Named:
    """Return a backup's line of a dictionary without anybody's words; its number stays."""
    import base64

    return row | {"bytes": base64.b64encode(NEUTRAL).decode()}
