"""The mark file: when its counters hold, and whose its locks are."""

import fcntl
import gc
import mmap
import os
import subprocess
import sys

import pytest

from swarm_memory.engine import mark as marks
from swarm_memory.engine.mark import ASSIGNED, GATE, LEAD, PUBLISHED, SYNCED, Mark

BOOT = 7
FREE = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
"""


@pytest.fixture
def mark(path):
    mark = Mark(path, (1, 2), BOOT)
    yield mark
    mark.close()


def test_a_new_mark_holds_nothing_and_a_reset_one_does(mark, path):
    assert mark.read() is None
    mark.reset()

    words = mark.read()
    assert words[ASSIGNED] == words[PUBLISHED] == words[SYNCED] > 0
    assert marks.BLOCK_BYTES == os.path.getsize(path + marks.SUFFIX)


@pytest.mark.parametrize("place, boot", [((1, 3), BOOT), ((2, 2), BOOT), ((1, 2), BOOT + 1)])
def test_a_mark_of_another_file_or_start_does_not_hold(mark, path, place, boot):
    mark.reset()
    other = Mark(path, place, boot)
    assert other.read() is None
    other.reset()

    assert other.read() is not None
    assert mark.read() is None
    other.close()


def test_every_changed_byte_of_the_header_and_a_cut_file_are_seen(mark, path):
    mark.reset()
    with open(path + marks.SUFFIX, "rb") as file:
        whole = file.read()
    for place in range(48):
        broken = bytearray(whole)
        broken[place] ^= 0x10
        os.pwrite(mark.descriptor, bytes(broken), 0)
        assert mark.read() is None, place
    os.pwrite(mark.descriptor, whole, 0)
    assert mark.read() is not None
    os.ftruncate(mark.descriptor, 40)
    assert mark.read() is None


@pytest.mark.parametrize("word", [SYNCED, PUBLISHED])
def test_counters_that_cannot_be_true_do_not_hold(mark, word):
    mark.reset()
    mark.write(word, mark.read()[ASSIGNED] + 1)

    assert mark.read() is None


def test_a_reset_begins_far_from_every_number_before(mark):
    bases = []
    for _ in range(50):
        mark.reset()
        bases.append(mark.read()[ASSIGNED])

    near = [1 for one in bases for other in bases if 0 < abs(one - other) < 10**9]
    assert 50 == len(set(bases))
    assert [] == near


def test_a_number_beyond_all_numbers_does_not_hold(mark):
    mark.reset()
    mark.write(ASSIGNED, 2**64 - 1)

    assert mark.read() is None


def test_a_lock_is_one_processs_and_ends_with_it(mark, hold):
    other = hold(GATE)

    assert not mark.lock(GATE)
    assert mark.lock(LEAD)
    other.kill()
    other.wait()
    assert mark.lock(GATE)


def commit(mark):
    """Do what a commit that touches does, and return its number."""
    number = mark.read()[ASSIGNED] + 1
    mark.write(ASSIGNED, number, words=2)
    mark.write(PUBLISHED, number)
    return number


@pytest.fixture
def mapped(mark):
    mark.reset()
    for _ in range(marks.LOOKS_UNMAPPED):
        mark.touched()
    assert mark._block is not None
    return mark


def lines_of(code):
    return sorted({line for _, _, line in code.co_lines() if line and line > code.co_firstlineno})


def traced(code, call, happens):
    """Call, and before each line of `code` let something happen."""

    def trace(frame, event, argument):
        if frame.f_code is code and event == "line":
            happens(frame.f_lineno)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return call()
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("sure_s", [1000.0, 0.0])
def test_another_thread_between_any_two_lines_is_given_no_old_number(mapped, monkeypatch, sure_s):
    monkeypatch.setattr(marks, "SURE_S", sure_s)
    mapped._sure_until = 0.0
    for change in lines_of(Mark.touched.__code__):
        numbers = [commit(mapped)]

        def happens(line, change=change, numbers=numbers):
            if line == change:
                numbers.append(commit(mapped))
            # The other thread looks after each line; before the change there is nothing to see.
            if len(numbers) > 1:
                assert numbers[-1] == mapped.touched(), (change, line)

        assert traced(Mark.touched.__code__, mapped.touched, happens) in numbers
        assert numbers[-1] == mapped.touched(), change


@pytest.mark.parametrize("again", [False, True])
def test_a_mark_that_was_moved_away_does_not_hold_for_readers(mapped, path, again):
    os.rename(path + marks.SUFFIX, path + ".away")
    if again:
        mapped.again().close()
    mapped._sure_until = 0.0

    assert not mapped.exists()
    assert 0 == mapped.touched()


def foreign(path, number):
    """Open another file under a descriptor that has become free, and lock it as SQLite does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    if descriptor != number:
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.write(number, b"\1" * 2 * marks.BLOCK_BYTES)
    fcntl.lockf(number, fcntl.LOCK_EX, 1)


def is_locked(path):
    return 0 != subprocess.run([sys.executable, "-c", FREE, path], capture_output=True).returncode


def test_a_closed_mark_touches_no_file_that_has_got_its_descriptor(path, tmp_path):
    mark = Mark(path, (1, 2), BOOT)
    mark.reset()
    number = mark.descriptor
    mark.close()
    foreign(tmp_path / "foreign", number)

    assert [0] * 2 * marks.LOOKS_UNMAPPED == [
        mark.touched() for _ in range(2 * marks.LOOKS_UNMAPPED)
    ]
    assert not mark.lock(GATE)
    mark.unlock(0)
    mark.close()
    del mark
    gc.collect()
    assert is_locked(tmp_path / "foreign")
    os.close(number)


def test_a_mark_that_is_closed_while_it_is_mapped_drops_nobodys_locks(path, tmp_path, monkeypatch):
    opened = [Mark(path, (1, 2), BOOT)]
    opened[0].reset()
    number, original = opened[0].descriptor, mmap.mmap

    def late(descriptor, *arguments, **options):
        opened[0].close()
        foreign(tmp_path / "foreign", number)
        return original(descriptor, *arguments, **options)

    monkeypatch.setattr(mmap, "mmap", late)
    for _ in range(2 * marks.LOOKS_UNMAPPED):
        opened[0].touched()
    assert 0 == opened.pop().touched()
    gc.collect()

    assert is_locked(tmp_path / "foreign")
    os.close(number)
