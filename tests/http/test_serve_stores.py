"""The stores of a server: opened once, closed when idle, never while they are in use."""

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from swarm_memory import Swarm
from swarm_memory.doors.http.stores import IDLE_S, OPEN_MAX, Stores
from swarm_memory.errors import EngineUnavailableError


class Opening:
    """Opens stores, counts it, and says what time it is."""

    def __init__(self, folder):
        self.folder = folder
        self.opened = []
        self.now_s = 0.0
        self.stores = Stores(self._open, now_s=lambda: self.now_s)

    def _open(self, url):
        self.opened.append(url)
        return Swarm.open(url)

    def lent(self, name="a"):
        path = str(self.folder / name)
        return self.stores.lent(f"sqlite:///{path}", path)


@pytest.fixture
def opening(tmp_path):
    opening = Opening(tmp_path)
    yield opening
    opening.stores.close()


def is_closed(swarm):
    try:
        swarm.records.put("a", 1)
    except EngineUnavailableError:
        return True
    return False


def test_a_store_is_opened_once_however_many_ask_at_once(opening):
    together = Barrier(8)

    def put(number):
        together.wait(60)
        with opening.lent() as swarm:
            swarm.records.put(f"n/{number}", number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(8)))

    assert 1 == len(opening.opened)
    with opening.lent() as swarm:
        assert 8 == len(list(swarm.records.each()))


def test_an_idle_store_is_closed_and_one_in_use_is_not(opening):
    with opening.lent("idle") as idle, opening.lent("used"):
        pass
    with opening.lent("used") as used:
        opening.now_s = IDLE_S - 1
        opening.stores.close_idle()
        assert not is_closed(idle)
        opening.now_s = IDLE_S
        opening.stores.close_idle()
        assert (True, False) == (is_closed(idle), is_closed(used))
    opening.stores.close_idle()  # it was used until now
    assert not is_closed(used)


def test_of_too_many_the_one_that_was_idle_longest_is_closed(opening):
    swarms = []
    for number in range(OPEN_MAX):
        opening.now_s += 1
        with opening.lent(str(number)) as swarm:
            swarms.append(swarm)

    with opening.lent("more"):
        assert [True] + [False] * (OPEN_MAX - 1) == [is_closed(swarm) for swarm in swarms]


def test_a_store_that_was_replaced_is_opened_anew_and_the_old_one_closed_by_its_last_user(opening):
    with opening.lent() as old:
        for name in os.listdir(opening.folder):
            os.unlink(opening.folder / name)
        with opening.lent() as new:
            new.records.put("a", "kept")
        assert old is not new
        assert 1 == len(opening.stores)
    assert is_closed(old)
    with Swarm.open(f"sqlite:///{opening.folder}/a") as swarm:
        assert "kept" == swarm.records.get("a").value


def test_a_store_that_could_not_be_opened_is_opened_by_the_next_call(opening):
    (opening.folder / "a").mkdir()
    with pytest.raises(EngineUnavailableError):
        with opening.lent():
            raise AssertionError("it was lent")
    (opening.folder / "a").rmdir()

    with opening.lent() as swarm:
        assert not is_closed(swarm)


def test_at_the_end_what_is_in_use_is_closed_when_it_is_given_back(opening):
    with opening.lent("idle") as idle:
        pass
    with opening.lent("used") as used:
        opening.stores.close()
        assert (True, False) == (is_closed(idle), is_closed(used))
        with pytest.raises(EngineUnavailableError, match="the server ends"):
            with opening.lent("used"):
                raise AssertionError("it was lent")
    assert is_closed(used)
