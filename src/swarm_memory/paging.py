"""Pages of rows that stay small in bytes, whatever the values are."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarm_memory.engine import Row

ROWS_MIN, ROWS_FIRST, ROWS_MAX = 1, 16, 1000
PAGE_BYTES = 4 * 1024 * 1024
ROW_BYTES = 200  # of all columns but the value


class Pager:
    """How many rows to ask for next; a walk over a large table has one."""

    __slots__ = ("rows",)

    def __init__(self) -> None:
        self.rows = ROWS_FIRST

    def saw(self, rows: Sequence[Row], column: int | None = None) -> None:
        """Learn from a page how large rows are; the large values stand in `column`."""
        size = ROW_BYTES * len(rows)
        if column is not None:
            size += sum([len(row[column]) for row in rows if isinstance(row[column], bytes)])
        self.rows = max(ROWS_MIN, min(ROWS_MAX, 2 * self.rows, PAGE_BYTES * len(rows) // size))
