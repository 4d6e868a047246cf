"""A store with every kind of row, and SQL behind its back to damage it."""

from __future__ import annotations

import apsw
import pytest

from swarm_memory import Swarm
from swarm_memory.testing.filled import fill


@pytest.fixture
def path(tmp_path):
    return tmp_path / "memory.db"


@pytest.fixture
def swarm(path):
    with Swarm.open(f"sqlite:///{path}", agent="a", swarm="s") as swarm:
        yield swarm


@pytest.fixture
def filled(swarm):
    fill(swarm)
    return swarm


@pytest.fixture
def damage(path):
    """Run SQL on the store, as only an accident or an enemy would."""

    def damage(sql, parameters=()):
        db = apsw.Connection(str(path))
        db.execute(sql, parameters)
        changed = db.changes()
        db.close()
        assert changed or sql.startswith("DROP"), sql

    return damage
