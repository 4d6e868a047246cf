"""Migrations: numbered files, applied once each, under the write lock, with their record.

A migration and the line that records it commit together, so a kill leaves the schema at one
version or the next and never between. `PRAGMA user_version` repeats the number so that an open of
an up-to-date store costs one read.
"""

from __future__ import annotations

import os

from swarm_memory.errors import SchemaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import apsw

APPLICATION_ID = 0x53774D6D  # "SwMm" in the header of our files
_FOLDER = os.path.join(os.path.dirname(__file__), "sql", "migrations")

_RECORDS = """CREATE TABLE IF NOT EXISTS migrations (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, at_ms INTEGER NOT NULL)
"""


def available(folder: str = _FOLDER) -> list[tuple[int, str, str]]:
    """Return (number, name, SQL) of all migrations, numbered 1, 2, … without holes."""
    found = []
    for file_name in sorted(os.listdir(folder)):
        number, _, name = file_name.removesuffix(".sql").partition("_")
        with open(os.path.join(folder, file_name), encoding="utf-8") as file:
            found.append((int(number), name, file.read()))
    if [number for number, _, _ in found] != list(range(1, len(found) + 1)):
        raise ValueError("migrations must be numbered 1, 2, … without holes")
    return found


def newest() -> int:
    """Return the number of the newest migration, which this code needs."""
    return len([name for name in os.listdir(_FOLDER) if name.endswith(".sql")])


def state(db: apsw.Connection) -> int:
    """Return the schema's number, 0 for an empty database.

    Raises:
        SchemaError: It is somebody else's database or newer than this code.
    """
    application, number, tables = _head(db)
    if application != APPLICATION_ID:
        if tables or number:
            raise SchemaError(
                f"{db.filename} is a SQLite database, but no swarm-memory store",
                found="another application's tables",
                wanted="a swarm-memory store or a new file",
                hint="name another file, or read this one with: swarm-memory import",
            )
        return 0
    if number > newest():
        raise SchemaError(
            f"{db.filename} has schema {number}, this version knows up to {newest()}",
            found=number,
            wanted=newest(),
            hint="update swarm-memory; the store was not touched",
        )
    return number


def _head(db: apsw.Connection) -> tuple[int, int, int]:
    """Return application, schema number and count of tables, all of one moment.

    Another process may be making the store: its tables with an application id from before would
    look like somebody else's database.
    """
    alone = not db.in_transaction
    if alone:
        db.execute("BEGIN")
    try:
        application: int = db.execute("PRAGMA application_id").get
        number: int = db.execute("PRAGMA user_version").get
        tables: int = db.execute("SELECT count(*) FROM sqlite_schema").get
    finally:
        if alone and db.in_transaction:
            db.execute("ROLLBACK")
    return application, number, tables


def migrate(db: apsw.Connection, now_ms: int) -> list[int]:
    """Bring the schema up to date and return the numbers that were applied.

    Several processes may call this at once: each migration is applied by one of them.

    Raises:
        SchemaError: An applied migration is not the one we ship, see also `state`.
    """
    from hashlib import sha256

    applied = []
    for number, name, sql in available():
        checksum = sha256(sql.encode()).hexdigest()
        db.execute("BEGIN IMMEDIATE")
        try:
            # Look again under the lock: another process may have migrated meanwhile.
            current = state(db)
            if current >= number:
                _compare(db, number, name, checksum)
            else:
                db.execute(_RECORDS)
                db.execute(sql)
                db.execute(
                    "INSERT INTO migrations VALUES (?, ?, ?, ?)", (number, name, checksum, now_ms)
                )
                db.pragma("application_id", APPLICATION_ID)
                db.pragma("user_version", number)
                applied.append(number)
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
    return applied


def _compare(db: apsw.Connection, number: int, name: str, checksum: str) -> None:
    found = db.execute("SELECT checksum FROM migrations WHERE number = ?", (number,)).get
    if found != checksum:
        raise SchemaError(
            f"migration {number} ({name}) of {db.filename} is not the one this version ships",
            found=found,
            wanted=checksum,
            hint="open it with the version that made it and export the records",
        )
