"""Every conformance check on every engine."""

import pytest

from swarm_memory.testing import Store, conformance

ENGINES = ["sqlite-file", "sqlite-memory"]


@pytest.fixture(params=ENGINES)
def store(request, tmp_path):
    urls = {
        "sqlite-file": f"sqlite:///{tmp_path}/memory.db",
        "sqlite-memory": "sqlite:///:memory:",
    }
    store = Store(urls[request.param])
    yield store
    store.close()


@pytest.mark.parametrize("check", conformance.checks(), ids=lambda check: check.__name__)
def test_conformance(check, store):
    check(store)


def test_the_suite_is_not_empty():
    assert len(conformance.checks()) > 50
