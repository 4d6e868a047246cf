"""Rows and records: what a checksum covers, and how stored rows become records again."""

from __future__ import annotations

from zlib import crc32

from swarm_memory import codec
from swarm_memory.errors import CorruptValueError
from swarm_memory.model import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from swarm_memory.context import Context
    from swarm_memory.engine import Row


def meaning(swarm: str, *said: str | int | None) -> bytes:
    """Return what a row says about its value, for the checksum, as one JSON array.

    `said` is key, version, author, session, created_ms, updated_ms, expires_ms and provenance.
    """
    return codec.dumps((swarm, said))


def seal_dictionary(swarm: str, number: int, trained: bytes) -> bytes:
    """Return the frame that a dictionary is stored in: a changed byte would change values."""
    return codec.seal(codec.PLAIN, trained, meaning(swarm, number))


def unseal_dictionary(swarm: str, number: int, sealed: bytes) -> bytes:
    """Return a stored dictionary.

    Raises:
        CorruptValueError: It does not match its checksum.
    """
    try:
        return codec.unseal(sealed, meaning(swarm, number))[1]
    except (ValueError, TypeError) as error:
        raise CorruptValueError(f"dictionary {number}", str(error)) from error


def records_of(context: Context, rows: Iterable[Row]) -> list[Record]:
    """Return the records of rows (key, version, author, session, times, provenance, frame).

    Every read of the store ends here, so `meaning` and `codec.unseal` are written out once more:
    two calls less per record.

    Raises:
        CorruptValueError: A frame does not match its checksum or does not expand.
    """
    swarm, expand = context.swarm, context.compressor.expand
    loads, dumps, residue = codec.loads, codec.dumps, codec.RESIDUE
    new = tuple.__new__  # a named tuple's own constructor costs twice as much
    records = []
    for row in rows:
        key, version, author, session, created_ms, updated_ms, expires_ms, provenance, frame = row
        value = about = None
        if frame is not None:
            try:
                if crc32(frame, crc32(dumps((swarm, row[:-1])))) != residue:
                    raise codec.FrameError("its checksum does not match")
                body = frame[1:-4]
                if frame[0]:
                    body = expand(frame[0], body)
                value = loads(body)
            except (ValueError, IndexError, TypeError) as error:  # a damaged column has any type
                raise CorruptValueError(key, str(error)) from error
            if provenance is not None:
                about = loads(provenance.encode())
        records.append(
            new(
                Record,
                (
                    key,
                    value,
                    version,
                    author,
                    session,
                    created_ms,
                    updated_ms,
                    expires_ms,
                    about,
                    frame is None,
                ),
            )
        )
    return records
