"""The facade: the specification's calls as written, across restarts and processes."""

import asyncio
import inspect
import json
import subprocess
import sys

import pytest

import swarm_memory
from swarm_memory import (
    AsyncSwarm,
    AsyncSwarmMemoryManager,
    InvalidArgumentError,
    Swarm,
    SwarmMemoryManager,
)
from swarm_memory.testing import ManualClock


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/memory.db"


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def manager(url, clock):
    with SwarmMemoryManager("agent-1", "production-swarm", url=url, clock=clock) as manager:
        yield manager


def test_the_specifications_examples_work_as_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".swarm-memory").mkdir()
    manager = SwarmMemoryManager("agent-1", "production-swarm")
    assert manager.initialize_agent_memory({"role": "processor"})
    assert manager.store_agent_decision("task_assignment", {"task": "data_proc"})
    assert manager.record_task_outcome("data_processing", ["agent-1"], True, 30.0)
    strategy = manager.get_coordination_strategy({"task_type": "processing"})
    assert strategy.to_dict()["task_type"] == "processing"
    assert manager.share_knowledge_with_swarm("optimization", {"strategy": "parallel"})
    health = manager.get_memory_health_report()
    assert "healthy" == health.overall_health
    manager.close()
    manager.close()
    assert (tmp_path / ".swarm-memory" / "memory.db").exists()


def test_every_result_is_true_and_has_one_json_form(manager):
    manager.initialize_agent_memory()
    results = [
        manager.initialize_agent_memory({"role": "processor"}),
        manager.store_agent_decision("d", {"a": 1}, {"why": "test"}),
        manager.update_agent_progress("task-7", {"percent": 40}),
        manager.record_task_outcome("t", ["agent-1"], False, 0.5, {"repo": "x"}, strategy="s"),
        manager.get_coordination_strategy({"task_type": "t"}),
        manager.share_knowledge_with_swarm("k", [1, 2]),
        manager.get_swarm_coordination_state(),
        manager.synchronize_with_swarm(),
        manager.get_memory_health_report(),
        manager.optimize_memory(),
        manager.optimize_memory(auto_apply=True),
        manager.create_memory_snapshot(),
    ]

    for result in results:
        assert result
        assert isinstance(result, tuple)
        assert json.loads(json.dumps(result.to_dict()))


def test_every_decision_is_kept_and_comes_newest_first(manager, clock):
    for number in range(5):
        manager.store_agent_decision("assign" if number % 2 else "plan", {"number": number})
        clock.advance(number % 2)

    assert [4, 3, 2, 1, 0] == [
        d.value["decision_data"]["number"] for d in manager.get_agent_decisions()
    ]
    assert [3, 1] == [
        d.value["decision_data"]["number"] for d in manager.get_agent_decisions("assign")
    ]
    assert [4, 3] == [
        d.value["decision_data"]["number"] for d in manager.get_agent_decisions(limit=2)
    ]
    assert [] == manager.get_agent_decisions("none")


def test_decisions_made_in_the_same_millisecond_keep_their_order(manager):
    for number in range(50):
        manager.store_agent_decision("burst", number)

    found = [d.value["decision_data"] for d in manager.get_agent_decisions("burst")]
    assert list(range(49, -1, -1)) == found


def test_names_that_are_no_segments_work(url):
    with SwarmMemoryManager("Ärger/../x y", "swarm with spaces", url=url) as manager:
        manager.initialize_agent_memory()
        manager.store_agent_decision("a/b [c]", {"x": 1})
        manager.update_agent_progress("../../etc/passwd", {"percent": 1})
        manager.share_knowledge_with_swarm("日本語", "x" * 500)

        assert ["Ärger/../x y"] == manager.get_swarm_coordination_state().active_agents
        assert 1 == len(manager.get_agent_decisions("a/b [c]"))
        assert 1 == len(manager.get_shared_knowledge("日本語"))


def test_agents_do_not_share_decisions_but_knowledge(url):
    with (
        SwarmMemoryManager("a", "s", url=url) as one,
        SwarmMemoryManager("ab", "s", url=url) as other,
    ):
        one.store_agent_decision("d", 1)
        one.share_knowledge_with_swarm("k", {"found": 1})

        assert [] == other.get_agent_decisions()
        assert 1 == len(other.get_agent_decisions(agent_name="a"))
        assert ["a"] == [r.value["shared_by"] for r in other.get_shared_knowledge()]


def test_synchronize_tells_each_agent_once_what_changed(url):
    with (
        SwarmMemoryManager("a", "s", url=url) as one,
        SwarmMemoryManager("b", "s", url=url) as other,
    ):
        one.share_knowledge_with_swarm("k", 1)

        assert 1 == len(other.synchronize_with_swarm().events)
        assert 0 == len(other.synchronize_with_swarm().events)
        assert 1 == len(one.synchronize_with_swarm().events)


def test_learning_survives_a_restart_and_other_processes_see_it(url):
    program = (
        "from swarm_memory import SwarmMemoryManager\n"
        f"with SwarmMemoryManager('b', 's', url={url!r}) as m:\n"
        "    for n in range(30):\n"
        "        m.record_task_outcome('build', ['b'], n % 10 != 0, 1.0, strategy='good')\n"
        "        m.record_task_outcome('build', ['b'], n % 10 == 0, 1.0, strategy='bad')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)

    with SwarmMemoryManager("a", "s", url=url) as manager:
        chances = {
            c["strategy"]: c["propensity"]
            for c in manager.get_coordination_strategy({"task_type": "build"}).candidates
        }
        assert chances["good"] > 0.9
        assert ["best_strategy"] == [i.kind for i in manager.get_learning_insights("best_strategy")]


def test_an_outcome_with_another_strategy_than_was_recommended_has_no_propensity(manager):
    chosen = manager.get_coordination_strategy({"task_type": "t"}, candidates=["x", "y"], seed=1)
    other = {"x": "y", "y": "x"}[chosen.strategy]
    outcome = manager.record_task_outcome("t", ["a"], True, 1.0, strategy=other, decision=chosen)

    said = (outcome.strategy, outcome.propensity, outcome.choice_id)
    assert (other, None, chosen.choice_id) == said
    (seen,) = manager.swarm.outcomes.observations()
    assert (chosen.strategy, other, None) == (seen.recommended, seen.strategy, seen.propensity)


def test_optimizing_never_removes_what_is_live(manager, clock):
    for number in range(40):
        manager.store_agent_decision("d", number)
    manager.swarm.records.put("x/short", 1, ttl_s=1)
    clock.advance(2)

    seen = manager.optimize_memory()
    assert (False, 1) == (seen.applied, seen.entries_cleaned)
    done = manager.optimize_memory(auto_apply=True)

    assert (True, 1) == (done.applied, done.entries_cleaned)
    assert 40 == len(manager.get_agent_decisions())


def test_health_names_who_is_over_a_limit(url, tmp_path):
    schema = tmp_path / "schema.json"
    schema.write_text('{"settings": {"agent_bytes_max": 2000}}')
    with SwarmMemoryManager("a", "s", str(schema), url=url) as manager:
        manager.update_agent_progress("t", "x" * 1650)
        report = manager.get_memory_health_report()

        assert "warning" == report.overall_health
        assert "agent-a" in report.issues[0]
        assert report.recommendations


def test_health_tells_of_locks_and_messages(manager):
    manager.swarm.leases.acquire("deploy", ttl_s=30)
    manager.swarm.messages.send("hello", to="agent-1")
    manager.swarm.messages.send("poison", topic="t", attempts_max=1)
    manager.swarm.messages.claim("t")[0].nack(reason="cannot")

    report = manager.get_memory_health_report()

    assert (1, 1) == (report.agent_info["active_locks"], report.agent_info["pending_messages"])
    assert (1, 1) == (report.metrics["leases_held"], report.metrics["messages_dead"])
    assert "warning" == report.overall_health


def test_an_unknown_variable_warns(url, monkeypatch):
    monkeypatch.setenv("SWARM_MEMORY_LOCK_TIMOUT_S", "3")
    with pytest.warns(UserWarning, match="SWARM_MEMORY_LOCK_TIMEOUT_S"):
        Swarm.open(url).close()


@pytest.mark.parametrize("name", ["", "x" * 101, None, 7])
def test_names_out_of_range_are_refused(url, name):
    with pytest.raises(InvalidArgumentError):
        Swarm.open(url, agent=name)


def test_the_shortcuts_work(url):
    assert swarm_memory.create_swarm_memory_manager("a", "s", url=url).agent_name == "a"
    assert swarm_memory.quick_memory_health_check("a", "s", url=url).overall_health == "healthy"
    assert swarm_memory.emergency_memory_cleanup("a", "s", url=url).applied


def test_the_async_twins_give_the_same_answers(url):
    async def work():
        async with AsyncSwarmMemoryManager("agent-1", "s", url=url) as manager:
            await manager.initialize_agent_memory({"role": "x"})
            await manager.store_agent_decision("d", {"a": 1})
            assert "agent-1" == manager.agent_name
            record = await manager.swarm.records.put("x/a", 1)
            return record, await manager.get_agent_decisions()

    record, decisions = asyncio.run(work())

    assert (1, 1) == (record.version, len(decisions))


def test_async_calls_overlap_and_watch_sees_them(url):
    async def work():
        async with await AsyncSwarm.open(url, agent="a", swarm="s") as swarm:
            events = swarm.watch("x/", since=0, timeout_s=0.5)
            await asyncio.gather(*(swarm.records.put(f"x/{n}", n) for n in range(10)))
            return sorted([event.key async for event in events])

    assert [f"x/{n}" for n in range(10)] == asyncio.run(work())


def test_every_verb_has_an_async_twin():
    async def work():
        manager = await AsyncSwarmMemoryManager.create("a", "s", url="sqlite:///:memory:")
        async with manager:
            for name, _ in inspect.getmembers(SwarmMemoryManager, inspect.isfunction):
                if not name.startswith("_"):
                    assert inspect.iscoroutinefunction(getattr(manager, name)), name

    asyncio.run(work())


def test_everything_public_is_importable():
    for name in swarm_memory.__all__:
        assert getattr(swarm_memory, name)
    assert swarm_memory.__version__
    with pytest.raises(AttributeError):
        swarm_memory.nothing  # noqa: B018
