"""Backup files: their first line, their chain, and reading them so that no damage passes.

A full backup stands alone. An increment names its parent and holds what changed since; with the
files before it, down to a full one, it is a chain. Categories are backed up at their own
frequencies: `covered` says per frequency up to which event this chain holds its categories.
"""

from __future__ import annotations

import io
import os
from hashlib import sha256

from swarm_memory import codec
from swarm_memory.errors import DamagedError, NotFoundError
from swarm_memory.exchange.lines import SEAL_BYTES, SEAL_HEAD
from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarm_memory.model import Json

FORMAT = "swarm-memory-backup"
VERSION = 1
SUFFIX = ".jsonl.zst"
CHUNK_BYTES = 1024 * 1024
CHAIN_MAX = 10_000
OTHER_FILE = "use another backup: swarm-memory restore names what each one holds"


class Manifest(NamedTuple):
    """What a backup says of itself.

    `store` and `epoch` are the store it was made of; `oldest` and `newest` the events that the
    store had, `newest_ms` the time of the newest; `versions` and `tokens` the highest ones given
    out; `since` per covered frequency the event up to which the parents hold it (empty in a full
    backup); `counts` the rows of the store by table.
    """

    backup_id: str
    parent: str | None
    store: int
    epoch: int
    at_ms: int
    oldest: int
    newest: int
    newest_ms: int
    versions: int
    tokens: int
    since: dict[str, int]
    covers: list[str]
    covered: dict[str, int]
    swarms: list[str]
    counts: dict[str, int]

    @property
    def full(self) -> bool:
        return self.parent is None

    def to_line(self) -> dict[str, Json]:
        """Return the first line of the file."""
        return {"format": FORMAT, "version": VERSION} | self._asdict()


class Found(NamedTuple):
    """A backup file and what it says of itself."""

    path: str
    manifest: Manifest


def read_manifest(path: str) -> Manifest:
    """Return the manifest of the backup at `path`; the rest is not looked at.

    Raises:
        NotFoundError: There is no such file, or it is no backup.
        DamagedError: It is one, and its beginning is damaged.
    """
    with _opened(path) as lines:
        return _manifest(path, next(_complete(path, lines), b""))


def _manifest(path: str, line: bytes) -> Manifest:
    try:
        document = codec.loads(line)
    except ValueError as error:
        raise DamagedError(f"{path}: its first line is damaged", hint=OTHER_FILE) from error
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise NotFoundError(f"{path} is no backup", hint="exports come in by: swarm-memory import")
    if document.pop("version", None) != VERSION:
        raise NotFoundError(
            f"{path} was written by a newer version", hint="update swarm-memory; nothing was done"
        )
    try:
        return Manifest(**document)
    except TypeError as error:
        raise DamagedError(f"{path}: its first line is damaged", hint=OTHER_FILE) from error


def rows_of(path: str) -> Iterator[tuple[str, dict[str, Json]]]:
    """Yield (table, row) of a backup in order, and check the trailer at the end.

    Raises:
        DamagedError: A line, or what the trailer says of them, does not hold.
    """
    sums: dict[str, Json] = {}
    rows: dict[str, int] = {}
    trailer = None
    with _opened(path) as lines:
        complete = _complete(path, lines)
        next(complete, None)
        for line in complete:
            row = _row(path, line)
            if row.get("trailer") is True:
                trailer = row
                break
            table = row.pop("table")
            sums.setdefault(table, sha256()).update(line)
            rows[table] = rows.get(table, 0) + 1
            yield table, row
    digests = {table: digest.hexdigest() for table, digest in sums.items()}
    if trailer is None or trailer["rows"] != rows or trailer["sha256"] != digests:
        raise DamagedError(f"{path}: its rows are not those of its trailer", hint=OTHER_FILE)


def trailer_of(path: str) -> dict[str, Json]:
    """Return the trailer of a backup whose rows need not be looked at."""
    trailer: dict[str, Json] = {}
    with _opened(path) as lines:
        for line in _complete(path, lines):
            if line.startswith(b'{"trailer":'):
                trailer = _row(path, line)
    return trailer


def _complete(path: str, lines: io.BufferedReader) -> Iterator[bytes]:
    import zstandard

    try:
        while line := lines.readline():
            yield line
    except zstandard.ZstdError as error:
        raise DamagedError(f"{path} is damaged: {error}", hint=OTHER_FILE) from error


def _row(path: str, line: bytes) -> dict[str, Json]:
    try:
        row = codec.loads(line)
    except ValueError as error:
        raise DamagedError(f"{path}: a line is damaged", hint=OTHER_FILE) from error
    if not isinstance(row, dict):
        raise DamagedError(f"{path}: a line is damaged", hint=OTHER_FILE)
    return row


def check_seal(path: str) -> None:
    """Compare all bytes of the file with its seal: not one may differ, be missing or be too many.

    Raises:
        NotFoundError: There is no such file.
        DamagedError: The file is not as it was written.
    """
    with _file(path) as file:
        left = os.fstat(file.fileno()).st_size - SEAL_BYTES
        digest = sha256()
        while left > 0 and (chunk := file.read(min(CHUNK_BYTES, left))):
            digest.update(chunk)
            left -= len(chunk)
        if left != 0 or file.read() != SEAL_HEAD + digest.digest():
            raise DamagedError(f"{path} is damaged or cut off", hint=OTHER_FILE)


def _file(path: str) -> io.BufferedReader:
    try:
        return open(path, "rb")
    except OSError as error:
        raise NotFoundError(
            f"cannot read {path}: {error.strerror}", hint="name another file"
        ) from error


class _opened:
    """The decompressed bytes of a backup, to be read by lines."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = _file(path)

    def __enter__(self) -> io.BufferedReader:
        import zstandard

        if self._file.peek(4)[:4] != b"\x28\xb5\x2f\xfd":
            self._file.close()
            raise NotFoundError(
                f"{self._path} is no backup", hint="exports come in by: swarm-memory import"
            )
        machine = zstandard.ZstdDecompressor()
        stream = machine.stream_reader(self._file, read_across_frames=True)
        return io.BufferedReader(stream, CHUNK_BYTES)

    def __exit__(self, *_: object) -> None:
        self._file.close()


def backups_in(folder: str) -> list[Found]:
    """Return the backups in `folder`, oldest first; damaged and other files are passed over."""
    found = []
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    for name in names:
        if not name.endswith(SUFFIX) or name.startswith("."):
            continue
        path = os.path.join(folder, name)
        try:
            found.append(Found(path, read_manifest(path)))
        except (NotFoundError, DamagedError):
            continue  # restore and verify name it when it is asked for
    found.sort(key=lambda f: (f.manifest.at_ms, f.manifest.newest))
    return found


def chain_to(path: str) -> list[Found]:
    """Return the backups that restoring `path` takes, the full one first.

    Parents are looked for in the same directory.

    Raises:
        NotFoundError: One of them is missing.
        DamagedError: One of them is not as it was written.
    """
    chain = [Found(path, read_manifest(path))]
    beside = {}
    if not chain[0].manifest.full:
        folder = os.path.dirname(os.path.abspath(path))
        beside = {found.manifest.backup_id: found for found in backups_in(folder)}
    while not chain[0].manifest.full and len(chain) < CHAIN_MAX:
        parent = beside.get(str(chain[0].manifest.parent))
        if parent is None:
            raise NotFoundError(
                f"{chain[0].path} continues a backup that is not beside it",
                hint=f"put the backup with id {chain[0].manifest.parent} into the same directory",
            )
        chain.insert(0, parent)
    for found in chain:
        check_seal(found.path)
    return chain
