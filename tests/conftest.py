"""What all tests share: stores on every engine, and nobody's own store or settings are touched."""

import os
import signal
import sys
import time
import uuid

import pytest

from swarm_memory.errors import EngineUnavailableError

LONGEST = "test_schemathesis_finds_nothing"
pytest.register_assert_rewrite("swarm_memory.testing")


def pytest_configure():
    # A shell's background job ignores Ctrl-C, and whatever it starts would, too.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run the tests that take minutes, too")
    parser.addoption("--cluster", action="store_true", help="run the tests with clusters, too")


def pytest_collection_modifyitems(config, items):
    absent = {name for name in ("long", "cluster") if not config.getoption(f"--{name}")}
    left = [item for item in items if absent & {mark.name for mark in item.iter_markers()}]
    items[:] = [item for item in items if item not in left]
    # The longest first: at the end one core would be idle for as long as it takes.
    items.sort(key=lambda item: item.name != LONGEST)
    config.hook.pytest_deselected(items=left)


@pytest.fixture
def progress(capfd, request):
    """Return a function that shows a line at once, also while pytest keeps all output back."""
    began = time.monotonic()

    def show(line):
        with capfd.disabled():
            spent_s = time.monotonic() - began
            sys.stderr.write(f"\n  {request.node.name} {spent_s:4.0f} s: {line}")

    return show


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory, monkeypatch):
    for name in list(os.environ):
        if name.startswith("SWARM_MEMORY_"):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))


@pytest.fixture(scope="session")
def postgres():
    """Return a server; each process of the tests has one."""
    from swarm_memory.testing.postgres import server

    try:
        with server({"fsync": "off"}) as running:  # nothing here loses power
            yield running
    except EngineUnavailableError as error:
        pytest.skip(f"no PostgreSQL: {error}")


@pytest.fixture
def postgres_url(postgres):
    """Return the URL of a store that is not there yet, in a schema of its own."""
    return postgres.url(f"t{uuid.uuid4().hex}")


@pytest.fixture(params=["file", "memory", "postgresql"])
def engine_url(request, tmp_path):
    """Return the URL of a store that is not there yet, on each engine."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return "sqlite:///:memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/memory.db"
