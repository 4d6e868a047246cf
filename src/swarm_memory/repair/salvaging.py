"""Reading what is left of a damaged store, each row judged on its own."""

from __future__ import annotations

import base64
from functools import partial

from swarm_memory import codec
from swarm_memory.backup.tables import DICTIONARIES, EVENTS, OTHERS, RECORD_COLUMNS, VERSION_COLUMNS
from swarm_memory.codec import Compressor
from swarm_memory.errors import CorruptValueError
from swarm_memory.importers.items import TableReport
from swarm_memory.importers.sqlite_rows import RowReader
from swarm_memory.lean import NamedTuple
from swarm_memory.repair.queues import Queues
from swarm_memory.rows import meaning, unseal_dictionary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarm_memory.importers.sqlite_copy import PrivateCopy, Table
    from swarm_memory.model import Json

_TYPES: dict[str, tuple[type, ...]] = {
    "INTEGER": (int,),
    "REAL": (float, int),
    "TEXT": (str,),
    "BLOB": (bytes,),
}
JSON_COLUMNS = {"result", "candidates", "context", "agents", "base", "theirs", "mine", "body"}
JSON_COLUMNS.add("about")


class Loss(NamedTuple):
    """Something that a repair could not save; `key` is empty where only the number is known."""

    table: str
    swarm: str
    key: str
    problem: str


class Remains:
    """The rows of a damaged store, read from a private copy of it."""

    def __init__(self, copy: PrivateCopy, value_bytes_max: int) -> None:
        self._tables: dict[str, Table] = {table.name: table for table in copy.tables}
        self._reader = RowReader(copy)
        self._value_bytes_max = value_bytes_max
        self._dictionaries: dict[tuple[str, int], bytes] = {}
        self._expanders: dict[str, Compressor] = {}
        self.losses: list[Loss] = []

    def close(self) -> None:
        self._reader.close()

    def rows(self, name: str, key: int) -> Iterator[dict[str, Json]]:
        """Yield the sound rows of a table, no two with the same first `key` columns."""
        table = self._tables.get(name)
        if table is None:
            self.losses.append(Loss(name, "", "", "the table is missing"))
            return
        report = TableReport(name, None)
        known: set[tuple[Json, ...]] = set()
        for row in self._reader.rows(table, report):
            identity = tuple(row.values.values())[:key]
            if not row.exact or not _is_sound(table, row.values):
                self._lose(name, row.values, "a column of it is damaged")
            elif key == 0 or identity not in known:
                known.add(identity)
                yield row.values
        for reason, count in report.unreadable.items():
            self.losses.append(Loss(name, "", "", f"{count} × {reason}"))

    def _lose(self, table: str, row: dict[str, Json], problem: str) -> None:
        names = ("key", "op_id", "name", "message_id", "choice_id", "outcome_id", "conflict_id",
                 "session_id")  # fmt: skip
        key = next((row[name] for name in names if name in row), "")
        self.losses.append(Loss(table, str(row.get("swarm", "")), str(key), problem))

    def dictionaries(self) -> Iterator[dict[str, Json]]:
        """Yield the intact dictionaries as a backup holds them; the values need them."""
        for row in self.rows(DICTIONARIES.name, 2):
            swarm, number = row["swarm"], row["number"]
            try:
                plain = unseal_dictionary(swarm, number, row["bytes"])
            except CorruptValueError as error:
                self._lose(DICTIONARIES.name, row | {"key": f"dictionary {number}"}, str(error))
                continue
            self._dictionaries[swarm, number] = plain
            yield row | {"bytes": base64.b64encode(plain).decode()}

    def others(self) -> Iterator[tuple[str, dict[str, Json]]]:
        """Yield (table, row) of the tables besides records, as a backup holds them."""
        queues = Queues()
        for table in OTHERS:
            if table.name in {DICTIONARIES.name, "arms"}:
                continue
            for row in self._mended(table.name, table.place, queues):
                yield table.name, {name: row[name] for name in table.columns}

    def _mended(self, name: str, place: int, queues: Queues) -> Iterator[dict[str, Json]]:
        """Yield the rows of a table, those of messages so that they fit each other."""
        rows = self.rows(name, place)
        if name == "messages":
            for row in rows:
                queues.add_message(row)
                yield row
        elif name == "message_runs":
            for row in rows:
                if not queues.add_run(row):
                    problem = "its messages are lost"
                    self.losses.append(Loss(name, row["swarm"], row["queue"], problem))
            for row in self.rows("message_cursors", 2):
                queues.add_cursor(row)
            yield from queues.runs()
        elif name == "message_cursors":
            yield from queues.cursors()
        else:
            yield from rows

    def events(self) -> list[dict[str, Json]]:
        """Return the readable events in order."""
        found = [{n: row[n] for n in EVENTS.columns} for row in self.rows(EVENTS.name, 1)]
        return sorted(found, key=lambda row: int(row["seq"]))

    def versions(self, table: str) -> Iterator[tuple[dict[str, Json], bool]]:
        """Yield the versions of one table as a backup holds them, and whether each is intact."""
        columns = RECORD_COLUMNS if table == "records" else VERSION_COLUMNS
        for row in self.rows(table, 0):
            named = {name: row[name] for name in columns}
            frame = named.pop("value")
            if frame is None:
                yield named, True
                continue
            try:
                about = meaning(*(row[name] for name in VERSION_COLUMNS[:-1]))
                body = self._expander(row["swarm"]).expand(*codec.unseal(frame, about))
                named["value"] = codec.loads(body)
            except (ValueError, TypeError, CorruptValueError):
                yield named, False
                continue
            yield named, True

    def _expander(self, swarm: str) -> Compressor:
        if swarm not in self._expanders:
            load = partial(self._dictionary, swarm)
            self._expanders[swarm] = Compressor(load, lambda: 0, self._value_bytes_max)
        return self._expanders[swarm]

    def _dictionary(self, swarm: str, number: int) -> bytes:
        try:
            return self._dictionaries[swarm, number]
        except KeyError:
            raise CorruptValueError(f"dictionary {number}", "it is lost") from None


def _is_sound(table: Table, row: dict[str, Json]) -> bool:
    """Tell whether every column is of its type and what is JSON without a checksum is JSON."""
    for column in table.visible:
        value = row[column.name]
        if value is None:
            if column.not_null:
                return False
        elif not isinstance(value, _TYPES.get(column.type.upper(), (object,))):
            return False
        elif column.name in JSON_COLUMNS and isinstance(value, str):
            try:
                codec.loads(value.encode())
            except ValueError:
                return False
    return True
