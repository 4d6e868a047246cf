"""The log is moved beside the writers, by processes that stay, and nobody's data with it."""

import subprocess
import sys
import threading

import pytest

from swarm_memory import Swarm
from swarm_memory.engine import checkpoint
from swarm_memory.engine.wake import Wake

PAGES = 50
PAGE_BYTES = 4096 + 24  # in the log each has a header


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(checkpoint, "PAGES", {"full": PAGES, "relaxed": PAGES})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "memory.db"


def open_store(path, durability="relaxed"):
    return Swarm.open(f"sqlite:///{path}", durability=durability)


def log_bytes(path):
    return path.with_name("memory.db-wal").stat().st_size


@pytest.mark.parametrize("durability", ["full", "relaxed"])
def test_the_log_of_a_process_that_stays_is_bounded_and_loses_nothing(small, path, durability):
    puts = 1500
    with open_store(path, durability) as swarm:
        for number in range(puts):
            swarm.records.put(f"x/{number % 100}", {"n": number, "pad": "v" * 500})
        # Each put writes at least three pages, so without checkpoints it would be 18 MB.
        assert log_bytes(path) < puts * PAGE_BYTES
        assert set(range(puts - 100, puts)) == {r.value["n"] for r in swarm.records.scan("x")}

    with open_store(path) as swarm:
        assert set(range(puts - 100, puts)) == {r.value["n"] for r in swarm.records.scan("x")}


def fill(path):
    """Leave a log of so many pages behind that somebody should move it."""
    with open_store(path) as swarm:
        swarm.records.put_many([(f"x/{number}", "v" * 2000) for number in range(100)])


def test_a_process_that_passes_by_leaves_the_log_to_others_who_are_there(path, monkeypatch):
    program = (
        "import sys; from swarm_memory import Swarm; swarm = Swarm.open(sys.argv[1])\n"
        "swarm.records.get('x/one'); print('here', flush=True); sys.stdin.readline()"
    )
    command = [sys.executable, "-c", program, f"sqlite:///{path}"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as other:
        assert "here\n" == other.stdout.readline()
        monkeypatch.setattr(checkpoint, "PAGES_ALONE", 1)
        before = path.read_bytes()
        fill(path)
        assert before == path.read_bytes()
        assert log_bytes(path) > 0
        other.communicate("go\n")


def test_the_only_process_moves_a_large_log_before_it_goes(path, monkeypatch):
    monkeypatch.setattr(checkpoint, "PAGES_ALONE", 10_000)
    fill(path)
    assert log_bytes(path) > 0
    monkeypatch.setattr(checkpoint, "PAGES_ALONE", 10)
    with open_store(path) as swarm:
        swarm.records.put("x/one", 1)
    assert 0 == log_bytes(path)

    with open_store(path) as swarm:
        assert 101 == len(swarm.records.scan("x"))
        with open_store(path) as again:
            again.records.put("x/two", 2)
        assert log_bytes(path) > 0, "this process still has it open"


def test_a_log_beyond_measure_is_moved_by_anybody(small, path):
    with open_store(path) as swarm:
        swarm.context  # noqa: B018 opened, and nothing more
    before = path.read_bytes()
    with open_store(path) as swarm:
        swarm.records.put_many([(f"x/{number}", "v" * 2000) for number in range(500)])

    assert len(before) < len(path.read_bytes())


def test_closing_waits_for_the_one_who_moves_the_log(small, path):
    threads = threading.active_count()
    with open_store(path) as swarm:
        for number in range(200):
            swarm.records.put(f"x/{number}", "v" * 2000)
    assert threads == threading.active_count()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="inotify is Linux")
def test_a_written_file_wakes_and_a_quiet_one_does_not(tmp_path):
    file = tmp_path / "log"
    file.write_bytes(b"")
    wake = Wake(str(file))
    assert not wake.wait(0.001)

    file.write_bytes(b"more")

    assert wake.wait(5)
    assert not wake.wait(0.001)
    wake.close()
    wake.close()
    assert not wake.wait(0.001)


def test_a_file_that_cannot_be_watched_is_looked_at_now_and_then(tmp_path):
    wake = Wake(str(tmp_path / "none"))

    assert not wake.wait(0.001)


def test_a_long_log_begins_anew_once_nobody_reads_it(path):
    with open_store(path) as swarm:
        pool = swarm._engine._pool
        writer, reader = pool.take(), pool.take()
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM facts").fetchall()
        pool.give(writer)
        swarm.records.put_many([(f"x/{number}", "v" * 2000) for number in range(100)])
        writer.begin_log_anew(0.001)  # in vain, and without an error
        swarm.records.put("x/one", 1)
        assert writer.wal_pages > 50

        reader.roll_back()
        writer.begin_log_anew(0.001)
        swarm.records.put("x/two", 2)
        assert writer.wal_pages < 20
        pool.give(reader)
        assert 102 == len(swarm.records.scan("x"))
