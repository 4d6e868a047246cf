"""The mark file: when its counters hold, and whose its locks are."""

import os

import pytest

from swarm_memory.engine import mark as marks
from swarm_memory.engine.mark import ASSIGNED, GATE, LEAD, PUBLISHED, SYNCED, Mark

BOOT = 7


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
