"""Every conformance check on every engine."""

import pytest

from swarm_memory.testing import Store, conformance


@pytest.fixture
def store(engine_url):
    store = Store(engine_url)
    yield store
    store.close()


@pytest.mark.parametrize("check", conformance.checks(), ids=lambda check: check.__name__)
def test_conformance(check, store):
    check(store)


def test_the_suite_is_not_empty():
    assert len(conformance.checks()) > 50
