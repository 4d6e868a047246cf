"""Every check of what is learned beside the store, on every engine."""

import pytest

from swarm_memory.testing import Store, conformance_practice


@pytest.fixture
def store(engine_url):
    store = Store(engine_url)
    yield store
    store.close()


@pytest.mark.parametrize("check", conformance_practice.checks(), ids=lambda check: check.__name__)
def test_conformance(check, store):
    check(store)


def test_the_suite_is_not_empty():
    assert len(conformance_practice.checks()) > 10
