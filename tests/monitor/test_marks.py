"""Who stays says so by a mark: one holds it, and who only passes by leaves the duties to it."""

from swarm_memory.duties import attend, hold, is_attended, let_go, tick_in_passing


def test_the_mark_is_held_by_one_until_it_is_let_go(store):
    one, other = store.open(), store.open()

    mark = hold(one)

    assert None is hold(other)
    again = hold(one, mark)
    assert again > mark
    let_go(one, again)
    assert not is_attended(one)
    assert None is not hold(other)


def test_a_mark_that_was_not_renewed_is_free(store):
    one, other = store.open(), store.open()
    mark = hold(one)
    store.clock.advance(91)

    assert not is_attended(other)
    taken = hold(other)

    assert None is not taken
    assert None is hold(one, mark)  # it froze, and is late
    let_go(one, mark)
    assert is_attended(other)


def test_a_server_takes_the_mark_from_a_hook(store):
    one, server = store.open(), store.open()
    mark = hold(one)
    store.clock.advance(1)
    attend(server)

    assert None is hold(one, mark)


def test_a_mark_of_the_future_is_none(store):
    swarm = store.open()
    store.clock.jump(1000)
    attend(swarm)
    store.clock.jump(-1000)

    assert not is_attended(swarm)


def test_who_passes_by_does_nothing_while_another_stays(store):
    swarm, server = store.open(), store.open()
    attend(server)

    assert not tick_in_passing(swarm)
    assert None is swarm.monitor.newest()

    store.clock.advance(90)
    assert tick_in_passing(swarm)
    assert None is not swarm.monitor.newest()
