"""Every conformance check over HTTP: no difference is declared."""

import pytest

pytest.importorskip("mcp", reason="the extra [server] is not installed")
pytest.importorskip("urllib3", reason="the extra [http] is not installed")

from swarm_memory.testing import conformance
from swarm_memory.testing.served import ServedStore


@pytest.fixture
def store(tmp_path):
    store = ServedStore(f"sqlite:///{tmp_path}/memory.db")
    yield store
    store.close()


@pytest.mark.parametrize("check", conformance.checks(), ids=lambda check: check.__name__)
def test_conformance(check, store):
    check(store)
