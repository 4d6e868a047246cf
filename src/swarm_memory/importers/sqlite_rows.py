"""The rows of one foreign table, one after the other, and what of them cannot be read."""

from __future__ import annotations

import apsw

from swarm_memory.importers.salvage import Cell, DamagedError, PageFile, Tree
from swarm_memory.importers.sqlite_copy import quoted
from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarm_memory.importers.items import TableReport
    from swarm_memory.importers.salvage import SqlValue
    from swarm_memory.importers.sqlite_copy import PrivateCopy, Table

DUPLICATES_MAX = 10_000
UNREADABLE_PAGE = "on a damaged page"
UNREADABLE_ROW = "its own content is damaged"
TOO_LARGE = "a row larger than the limit"


class Row(NamedTuple):
    r"""One row: `values` by column; `exact` is false where bytes that are no text became \xNN.

    `rowid` is the row's place in the table where the table has no rowids.
    """

    rowid: int
    values: dict[str, SqlValue]
    exact: bool


class RowReader:
    """Reads the tables of one private copy, through SQLite or page by page where it is damaged."""

    def __init__(self, copy: PrivateCopy) -> None:
        self._copy = copy
        self._pages: PageFile | None = None
        self._trees: dict[int, Tree] = {}
        self._seen: set[int] = set()
        if copy.damaged:
            try:
                self._pages = PageFile(copy.path)
            except DamagedError:
                return
            self._trees = {root: self._pages.tree(root, self._seen) for root in copy.roots}

    def close(self) -> None:
        if self._pages is not None:
            self._pages.close()

    def rows(self, table: Table, report: TableReport) -> Iterator[Row]:
        """Yield the readable rows of `table` in order; the others are counted in `report`."""
        if self._pages is not None and not table.without_rowid:
            yield from self._salvage(self._pages, table, report)
        elif self._copy.connection is None:
            report.add_unreadable("a table without rowids in a damaged file")
        elif table.without_rowid:
            yield from self._scan_without_rowid(self._copy.connection, table, report)
        else:
            yield from self._scan(self._copy.connection, table, report)

    # --- through SQLite ---

    def _scan(
        self, connection: apsw.Connection, table: Table, report: TableReport
    ) -> Iterator[Row]:
        columns = ", ".join(quoted(column.name) for column in table.visible)
        rowid = _rowid_name(table)
        if rowid is None:
            yield from self._scan_without_rowid(connection, table, report)
            return
        names = [column.name for column in table.visible]
        source = f"FROM {quoted(table.name)} NOT INDEXED WHERE {rowid} > ? ORDER BY {rowid}"
        last = -(2**63)
        while True:
            try:
                for found in connection.execute(f"SELECT {rowid}, {columns} {source}", (last,)):
                    last = found[0]
                    yield Row(last, dict(zip(names, found[1:], strict=True)), True)
                return
            except (UnicodeDecodeError, apsw.TooBigError) as error:
                # One row is odd: find it without reading it, and go on behind it.
                odd = connection.execute(f"SELECT {rowid} {source} LIMIT 1", (last,)).fetchone()
                if odd is None:
                    return
                last = odd[0]
                if isinstance(error, apsw.TooBigError):
                    report.add_unreadable(TOO_LARGE)
                else:
                    yield self._read_bytes(connection, table, rowid, last)
            except apsw.Error as error:
                report.add_unreadable(f"SQLite: {error}")
                return

    def _read_bytes(
        self, connection: apsw.Connection, table: Table, rowid: str, number: int
    ) -> Row:
        parts = ", ".join(
            f"typeof({name}), CASE WHEN typeof({name}) = 'text' THEN CAST({name} AS BLOB)"
            f" ELSE {name} END"
            for name in (quoted(column.name) for column in table.visible)
        )
        found = connection.execute(
            f"SELECT {parts} FROM {quoted(table.name)} NOT INDEXED WHERE {rowid} = ?",  # noqa: S608 (quoted identifiers)
            (number,),
        ).fetchall()
        values = {}
        for index, column in enumerate(table.visible):
            kind, value = found[0][2 * index : 2 * index + 2]
            if kind == "text" and isinstance(value, bytes):
                value = value.decode("utf-8", "backslashreplace")
            values[column.name] = value
        return Row(number, values, False)

    def _scan_without_rowid(
        self, connection: apsw.Connection, table: Table, report: TableReport
    ) -> Iterator[Row]:
        columns = ", ".join(quoted(column.name) for column in table.visible)
        names = [column.name for column in table.visible]
        statement = f"SELECT {columns} FROM {quoted(table.name)}"  # noqa: S608 (quoted identifiers)
        try:
            for place, found in enumerate(connection.execute(statement)):
                yield Row(place, dict(zip(names, found, strict=True)), True)
        except UnicodeDecodeError:
            report.add_unreadable("text that is no UTF-8 in a table without rowids")
        except apsw.Error as error:
            report.add_unreadable(f"SQLite: {error}")

    # --- page by page ---

    def _salvage(self, pages: PageFile, table: Table, report: TableReport) -> Iterator[Row]:
        tree = self._trees.get(table.root, Tree([], 1))
        done: set[int] = set()
        for leaf in tree.leaves:
            for cell in pages.cells(leaf):
                if cell.rowid in done:
                    continue
                done.add(cell.rowid)
                if cell.values is None:
                    report.add_unreadable(UNREADABLE_ROW)
                else:
                    yield _row_of(table, cell)
        if not tree.damaged:
            return
        for leaf in pages.unlinked_leaves(self._seen):
            for cell in pages.cells(leaf):
                if cell.rowid not in done and cell.values and self._owner(cell) is table:
                    done.add(cell.rowid)
                    yield _row_of(table, cell)

    def _owner(self, cell: Cell) -> Table | None:
        """Return the one damaged table that a row without a table fits."""
        fitting = [
            table
            for table in self._copy.tables
            if not table.virtual
            and not table.without_rowid
            and self._trees.get(table.root, Tree([], 1)).damaged
            and _fits(table, cell)
        ]
        return fitting[0] if len(fitting) == 1 else None

    # --- identity ---

    def duplicates(self, table: Table, names: list[str]) -> set[tuple[SqlValue, ...]] | None:
        """Return the values of `names` that more than one row has, None if there are too many.

        It looks at the rows and trusts no index: a damaged one lies.
        """
        if self._copy.connection is None or self._copy.damaged or not names:
            return set()
        columns = ", ".join(quoted(name) for name in names)
        statement = (
            f"SELECT {columns} FROM {quoted(table.name)} NOT INDEXED"  # noqa: S608 (quoted identifiers)
            f" GROUP BY {columns} HAVING count(*) > 1 LIMIT {DUPLICATES_MAX + 1}"
        )
        try:
            found = set(self._copy.connection.execute(statement))
        except (apsw.Error, UnicodeDecodeError):
            return None
        return found if len(found) <= DUPLICATES_MAX else None

    def is_unique(self, table: Table, names: list[str]) -> bool:
        """Tell whether the schema promises that no two rows share the values of `names`."""
        connection = self._copy.connection
        if connection is None:
            # The schema is damaged. What every variant promises keeps its usual key; whoever
            # reads a damaged file looks out for doubles.
            return table.name in {"memory_entries", "memories"}
        indexes = connection.execute(
            'SELECT name FROM pragma_index_list(?) WHERE "unique" AND NOT partial', (table.name,)
        ).fetchall()
        return any(
            {row[0] for row in connection.execute("SELECT name FROM pragma_index_info(?)", index)}
            == set(names)
            for index in indexes
        )


def _rowid_name(table: Table) -> str | None:
    taken = {column.name.lower() for column in table.columns}
    return next((name for name in ("rowid", "_rowid_", "oid") if name not in taken), None)


def _stored(table: Table) -> list[str]:
    return [column.name for column in table.columns if column.hidden in {0, 3}]


def _fits(table: Table, cell: Cell) -> bool:
    values = cell.values or []
    if len(values) != len(_stored(table)):
        return False
    alias = table.rowid_column
    for column, value in zip(table.visible, values, strict=False):
        if column == alias:
            wrong = value is not None
        elif "INT" in column.type.upper():
            wrong = isinstance(value, bytes)
        else:
            wrong = "TEXT" in column.type.upper() and isinstance(value, int | float)
        if wrong or (column.not_null and value is None and column != alias):
            return False
    return True


def _row_of(table: Table, cell: Cell) -> Row:
    found = dict(zip(_stored(table), cell.values or [], strict=False))
    alias = table.rowid_column
    values = {}
    for column in table.visible:
        value = found.get(column.name)
        if column == alias:
            value = cell.rowid
        elif isinstance(value, int) and column.type.upper() in {"REAL", "FLOAT", "DOUBLE"}:
            value = float(value)
        values[column.name] = value
    return Row(cell.rowid, values, True)
