"""Transactions whose function runs at the client."""

import threading

import pytest

from swarm_memory import errors
from swarm_memory.doors.http.api import transactions


def test_it_commits_all_or_nothing(opened):
    swarm, beside = opened("a"), opened("b")

    def work(tx):
        tx.records.put("x/a", 1)
        tx.messages.send("done", topic="t")
        assert 1 == tx.records.get("x/a").value
        assert beside.records.get("x/a") is None
        if fails:
            raise KeyError("planted")
        return "result"

    fails = True
    with pytest.raises(KeyError, match="planted"):
        swarm.transact(work)
    assert (None, []) == (beside.records.get("x/a"), beside.messages.inbox("t"))
    fails = False
    assert "result" == swarm.transact(work)
    assert (1, 1) == (beside.records.get("x/a").version, len(beside.messages.inbox("t")))


def test_an_error_inside_is_raised_inside_and_can_be_handled_there(opened):
    swarm = opened()
    swarm.records.put("x/a", 1)

    def work(tx):
        with pytest.raises(errors.ConflictError) as caught:
            tx.records.put("x/a", 2, expect=0)
        return tx.records.put("x/a", 2, expect=caught.value.actual).version

    assert 2 == swarm.transact(work)


def test_increments_of_several_clients_are_all_counted(opened):
    def add(tx):
        before = tx.records.get("count")
        tx.records.put("count", 1 if before is None else before.value + 1)

    doors = [opened(f"agent-{number}") for number in range(3)]
    threads = [
        threading.Thread(target=lambda door=door: [door.transact(add) for _ in range(10)])
        for door in doors
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 30 == doors[0].records.get("count").value


def test_who_takes_too_long_is_undone_and_holds_nobody_up(opened, monkeypatch):
    monkeypatch.setattr(transactions, "DURATION_S_MAX", 0.1)
    swarm, beside = opened("a"), opened("b")
    runs = []

    def slow(tx):
        runs.append(tx)
        tx.records.put("x/a", len(runs))
        beside.records.put("x/b", len(runs))  # waits until this one is over
        tx.records.put("x/a", 0)

    with pytest.raises(errors.WaitTimeoutError, match="its time was over"):
        swarm.transact(slow)

    assert len(runs) > 1
    assert (None, len(runs)) == (beside.records.get("x/a"), beside.records.get("x/b").value)


def test_a_reading_one_sees_one_moment_and_writes_nothing(opened):
    swarm, beside = opened("a"), opened("b")
    swarm.records.put("x/a", 1)

    def look(tx):
        first = tx.records.get("x/a").value
        beside.records.put("x/a", 2)
        with pytest.raises(errors.AccessDeniedError):
            tx.records.put("x/a", 3)
        return first, tx.records.get("x/a").value

    assert (1, 1) == swarm.read(look)
    assert 2 == swarm.records.get("x/a").value


def test_inside_one_only_its_own_services_write(opened):
    swarm = opened()
    for inner in (
        lambda tx: swarm.records.put("x/a", 1),
        lambda tx: swarm.as_agent("b").records.put("x/a", 1),
        lambda tx: swarm.transact(lambda tx: None),
    ):
        with pytest.raises(errors.InvalidArgumentError):
            swarm.transact(inner)
    assert swarm.records.get("x/a") is None
    swarm.records.put("x/a", 1)


def test_one_that_was_committed_is_committed_once_however_often_it_is_asked(ask):
    begun = ask.post("/transactions", json={"op_id": "op", "name": "f"}).json()
    one = f"/transactions/{begun['transaction']}"
    step = {"verb": "records.put", "arguments": {"key": "x/a", "value": 1}}
    assert 1 == ask.post(one, json=step).json()["result"]["version"]

    committed = [ask.post(f"{one}/commit", json={"result": 7}) for _ in range(3)]

    assert [(200, 7)] * 3 == [(c.status_code, c.json()["result"]) for c in committed]
    assert 409 == ask.post(one, json=step).status_code
    again = ask.post("/transactions", json={"op_id": "op", "name": "f"}).json()
    assert (True, 7) == (again["applied"], again["result"])
    other = ask.post("/transactions", json={"op_id": "op", "name": "g"})
    assert "op_id_reused" == other.json()["error"]


@pytest.mark.parametrize(
    "step",
    [
        {"verb": "records.drop", "arguments": {}},
        {"verb": "swarm.tick", "arguments": {}},
        {"verb": "records.put", "arguments": {"key": "x/a"}},
        {"verb": 1},
        {},
    ],
)
def test_a_step_that_is_none_is_refused_and_the_transaction_goes_on(ask, step):
    begun = ask.post("/transactions", json={}).json()
    one = f"/transactions/{begun['transaction']}"

    assert 400 == ask.post(one, json=step).status_code

    good = {"verb": "records.put", "arguments": {"key": "x/a", "value": 1}}
    assert 200 == ask.post(one, json=good).status_code
    assert 204 == ask.delete(one).status_code
    assert 404 == ask.get("/records/x/a").status_code


def test_one_that_nobody_knows_is_not_found(ask):
    assert 404 == ask.post("/transactions/none/commit", json={}).status_code
