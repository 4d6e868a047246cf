import pytest
from import_builders import NOW_MS

from swarm_memory.importers import Item, Reading, read_store


class Read:
    """A store that has been read to its end."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.items: list[Item] = list(reading.items())

    def one(self, table: str, key: str) -> Item:
        found = [
            item
            for item in self.items
            if (item.provenance["table"], item.provenance["key"]) == (table, key)
        ]
        assert len(found) == 1, (table, key, len(found))
        return found[0]

    def table(self, name: str):
        return next(table for table in self.reading.tables if table.name == name)


@pytest.fixture
def read():
    def read(path, **options) -> Read:
        return Read(read_store(path, **{"now_ms": NOW_MS, "source": "src", **options}))

    return read
