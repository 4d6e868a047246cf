"""The same classes over HTTP: what objects do, the facade, and who cannot be reached."""

import threading

import pytest

from swarm_memory import (
    AsyncSwarm,
    Swarm,
    SwarmMemoryManager,
    create_swarm_memory_manager,
    errors,
)
from swarm_memory.doors.http.guard import Rates


def test_the_facade_says_over_http_what_it_says_beside_the_store(api):
    with create_swarm_memory_manager("agent-1", "s", url=api.url) as manager:
        assert isinstance(manager, SwarmMemoryManager)
        assert isinstance(manager.swarm, Swarm)
        manager.store_agent_decision("task", {"n": 1})
        manager.store_agent_decision("task", {"n": 2}, {"why": "better"})
        manager.update_agent_progress("t-1", {"percent": 40})
        manager.share_knowledge_with_swarm("optimization", {"strategy": "parallel"})
        choice = manager.get_coordination_strategy({"task_type": "x"}, candidates=["one", "two"])
        outcome = manager.record_task_outcome("x", ["agent-1"], True, 3.0, decision=choice)
        snapshot = manager.create_memory_snapshot()

        decisions = manager.get_agent_decisions("task")
        assert [2, 1] == [d.value["decision_data"]["n"] for d in decisions]
        (shared,) = manager.get_shared_knowledge()
        assert {"strategy": "parallel"} == shared.value["knowledge_data"]
        assert (choice.strategy, choice.propensity) == (outcome.strategy, outcome.propensity)
        assert ["agent-1"] == manager.get_swarm_coordination_state().active_agents
        assert "healthy" == manager.get_memory_health_report().overall_health
        assert manager.optimize_memory(auto_apply=True).applied
        assert snapshot.key in {e.key for e in manager.synchronize_with_swarm().events}
        assert [] == manager.synchronize_with_swarm().events


def test_a_lease_is_renewed_upgraded_and_released(opened):
    one, other = opened("one"), opened("other")
    with one.leases.hold("deploy", "read", ttl_s=5) as lease:
        before = lease.expires_ms, lease.token
        lease.renew(60)
        lease.upgrade("exclusive", wait_s=0)
        assert lease.expires_ms > before[0] and lease.token > before[1]
        assert "exclusive" == lease.mode
        assert other.leases.try_acquire("deploy") is None
        with pytest.raises(errors.LeaseHeldError) as caught:
            other.leases.acquire("deploy", wait_s=0)
        assert ("one", "deploy") == (caught.value.owner, caught.value.name)
    assert lease.release() is False
    with other.leases.hold_all(["b", "a"]) as leases:
        assert ["a", "b"] == [lease.name for lease in leases]
    assert [] == one.leases.list()


def test_a_lease_that_is_waited_for_is_given_when_it_is_free(opened):
    one, other = opened("one"), opened("other")
    held = one.leases.acquire("deploy")
    taken = []
    waiting = threading.Thread(
        target=lambda: taken.append(other.leases.acquire("deploy", wait_s=60))
    )
    waiting.start()
    while not any(seat.state == "waiting" for seat in one.leases.list()):
        continue
    held.release()
    waiting.join()

    assert ["other"] == [lease.owner for lease in taken]


def test_a_ring_of_waiters_is_seen(opened):
    one, other = opened("one"), opened("other")
    mine = one.leases.acquire("a")
    ended = []

    def wait():
        theirs = other.leases.acquire("b")
        try:
            other.leases.acquire("a", wait_s=60).release()
        except errors.DeadlockError as error:
            ended.append(error)
        theirs.release()

    waiting = threading.Thread(target=wait)
    waiting.start()
    while not any(seat.state == "waiting" for seat in one.leases.list()):
        continue
    with pytest.raises(errors.DeadlockError) as caught:
        one.leases.acquire("b", wait_s=60)
    mine.release()
    waiting.join()

    assert ["one", "other", "one"] == caught.value.cycle or len(caught.value.cycle) >= 2
    assert [] == ended


def test_messages_are_claimed_answered_and_given_back(opened):
    one, other = opened("one"), opened("other")
    one.messages.send({"n": 1}, to="other", priority=5)
    (message,) = other.messages.claim()
    message.extend(120)
    message.nack(reason="not now")
    (again,) = other.messages.claim()
    assert (2, "not now") == (again.attempts, again.reason)
    again.reply({"n": 2})
    again.ack()
    (answer,) = one.messages.claim()
    assert ({"n": 2}, again.message_id) == (answer.body, answer.correlation)
    with pytest.raises(errors.StaleReceiptError):
        again.ack()
    answer.ack()

    def serve():
        for request in other.messages.claim(wait_s=60):
            request.reply(request.body + 1)
            request.ack()

    serving = threading.Thread(target=serve)
    serving.start()
    assert 42 == one.messages.request(41, to="other", timeout_s=60).body
    serving.join()


def test_a_dispatcher_works_over_http(opened):
    swarm = opened()
    seen = []
    swarm.messages.send_many([1, 2, 3], topic="t", type="work")

    swarm.dispatcher("t").on("work", lambda message: seen.append(message.body)).run_once()

    assert [1, 2, 3] == seen
    assert 0 == swarm.messages.counts().claimed


def test_memories_are_found_and_replaced(opened):
    swarm = opened()
    first = swarm.memories.store("The deploy needs the staging key.", kind="lesson", files=["d.sh"])
    second = swarm.memories.store("The deploy needs the staging key!", kind="lesson")
    swarm.memories.supersede(first.record.key, "It needs no key.", also=[second.record.key])

    assert [first.record.key] == [like.key for like in second.similar]
    (hit,) = swarm.search("key").copy()
    assert "It needs no key." == hit.record.value
    assert {"kind": "lesson", "files": ["d.sh"]}.items() <= hit.record.provenance.items()


def test_an_agent_beside_it_writes_under_its_own_name(opened):
    swarm = opened("one")

    written = swarm.as_agent("two", session="x", origin={"verified": False}).records.put("x/a", 1)

    assert ("two", "x", {"verified": False}) == (
        written.author,
        written.session,
        written.provenance,
    )


def test_a_process_session_lives_until_it_is_closed(opened, api):
    with Swarm.open(api.url, swarm="s", agent="one", session_ttl_s=60) as door:
        lease = door.leases.acquire("deploy", ttl_s=3600)
        (session,) = door.sessions.list()
        assert (session.session_id, "active") == (door.context.session, session.state)
    other = opened("other")
    assert other.leases.acquire("deploy", wait_s=0).token > lease.token


def test_async_doors_are_the_same(api):
    import asyncio

    async def work():
        async with await AsyncSwarm.open(api.url, swarm="s", agent="a") as swarm:
            await swarm.records.put("x/a", 1)
            async with swarm.leases.hold("deploy"):
                return (await swarm.records.get("x/a")).value

    assert 1 == asyncio.run(work())


def test_what_is_for_the_keeper_of_the_store_is_refused(opened):
    swarm = opened()
    for call in (
        lambda: swarm.backup("f"),
        lambda: swarm.edits,
        lambda: swarm.briefing,
        lambda: swarm.practice,
    ):
        with pytest.raises(errors.InvalidArgumentError, match="not served over HTTP"):
            call()
    with pytest.raises(errors.InvalidArgumentError, match="not served over HTTP"):
        swarm.outcomes.load({})


def test_who_does_not_answer_is_unavailable():
    with pytest.raises(errors.EngineUnavailableError, match="does not answer"):
        Swarm.open("http://127.0.0.1:9", busy_timeout_s=0.01)


@pytest.mark.parametrize("url", ["http://", "http://user:password@host", "http://host?x=1"])
def test_a_url_that_names_no_server_is_refused(url):
    with pytest.raises(errors.InvalidArgumentError):
        Swarm.open(url)


def test_whoever_asks_too_often_comes_again_later():
    rates = Rates(rate=2.0)

    late = [rates.late_s("a", 100.0) for _ in range(5)]

    assert [0, 0, 0, 0] == late[:4]
    assert late[4] >= 1
    assert 0 == rates.late_s("b", 100.0)
    assert 0 == rates.late_s("a", 101.0)


def test_outcomes_and_their_labels_are_the_same_over_http(served):
    with SwarmMemoryManager("agent-1", "s", url=served.url) as manager:
        outcomes = manager.swarm.outcomes
        unknown = outcomes.record("x", ["agent-1"], None, 3.0, strategy="one", signals={"n": 1})
        assert unknown == outcomes.get(unknown.outcome_id)
        now = outcomes.relabel(unknown.outcome_id, "partial", score=0.25, label_source="check")
        assert ("partial", 0.25, "check") == (now.status, now.reward, now.label_source)

        choice = outcomes.choose({"task_type": "x"}, "two", candidates=["one"], propensity=0.5)
        assert [choice] == [waiting.choice_id for waiting in outcomes.waiting()]
        assert not outcomes.may_try()
        (seen,) = outcomes.observations()
        assert (0.25, {"n": 1}, ("agent-1",)) == (seen.reward, seen.signals, tuple(seen.agents))
        assert outcomes.rebuild()
