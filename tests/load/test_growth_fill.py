"""The rows that the benchmark of growth copies into a store are those that puts would have made."""

from contextlib import closing

import pytest


@pytest.fixture
def growth(bench, monkeypatch):
    module = bench("growth_postgresql")
    monkeypatch.setattr(module, "CHUNK", 700)
    return module


@pytest.fixture(params=["", "&partitions=4"], ids=["plain", "in parts"])
def store(request, growth, postgres_url):
    with closing(growth.Store(postgres_url, request.param)) as made:
        made.grow(1500)
        yield made


def test_nothing_is_found_wrong_with_them(store):
    report = store.doors[0].verify()

    assert [] == [finding for finding in report.findings if finding.check != "waste"]


def test_they_are_read_listed_counted_and_put_again(growth, store):
    number = 1234
    door = store.door(number)

    assert growth.value(number) == store.get(number)
    assert growth.LISTED == len(store.list(number))
    assert 1500 == sum(door.records.count()[0] for door in store.doors)
    assert 2 == door.records.put(growth.key_of(number), {"again": True}).version


def test_a_filled_store_goes_on_growing(growth, store):
    store.grow(2000)

    assert growth.value(1999) == store.get(1999)
    assert 2000 == store.doors[0].events.newest()
