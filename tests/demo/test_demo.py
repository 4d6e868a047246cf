"""The demo is a real swarm: real processes, a real kill, and checks that can fail."""

import os
from collections import Counter

import pytest

from swarm_memory import InvalidArgumentError, Swarm
from swarm_memory.demo import checks, coordinator, lines, run
from swarm_memory.demo.report import learned_from
from swarm_memory.demo.survey import FILE_BYTES_MAX, Task

NESTED = "x = " + "-" * 100_000 + "1\n"  # the compiler answers with a MemoryError
MODULE = (
    '"""Text with def inside.\n\ndef fooled(): ...\n"""\n\nimport os, sys\n\n'
    "def one():\n    from json import loads\n    return loads  # TODO: say more\n\n\nclass C:\n"
    "    async def two(self): ...\n"
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("demo") / "tree"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "hollow").mkdir()
    for number in range(12):
        (root / f"module{number}.py").write_text(MODULE)
    (root / "broken.py").write_text("def half(:\n  'unfinished")
    (root / "bad encoding.py").write_bytes(b"x = '\xff\xfe'\n")
    (root / "nested.py").write_text(NESTED)
    (root / "README.md").write_text("# Read me\n")
    (root / "data.json").write_text('{"a": [1, 2]}')
    (root / "script").write_text("#!/bin/sh\necho hello\n")
    (root / "picture.png").write_bytes(b"\x89PNG\0\0\0")
    (root / "deep" / "er" / "[id].tsx").write_text("export class X {} // class Y\n")
    (root / "empty.txt").write_text("")
    (root / "huge.bin").write_bytes(b"x" * (FILE_BYTES_MAX + 1))
    (root / "deep" / "loop").symlink_to(root)
    os.mkfifo(root / "pipe.py")
    os.close(os.open(os.fsencode(root) + b"/\xff odd name", os.O_CREAT | os.O_WRONLY))
    return root


@pytest.fixture(scope="module")
def report(tree, tmp_path_factory):
    """One run for all tests that only look at what came out."""
    return run(str(tree), url=f"sqlite:///{tmp_path_factory.mktemp('store')}/demo.db", seed=1)


def test_a_swarm_studies_a_tree_and_nothing_is_lost_or_done_twice(report):
    assert [] == [invariant for invariant in report.invariants if not invariant.held]
    assert report.ok
    assert report.tasks == report.done == sum(report.agents.values())
    assert ([], []) == (report.done_twice, report.lost)
    with Swarm.open(report.url, swarm=report.swarm) as swarm:
        assert report.tasks == swarm.outcomes.count()


def test_an_agent_is_killed_and_another_finishes_its_task(report):
    assert "agent-1" == report.victim
    assert report.taken_over
    assert report.taken_over_by in set(report.agents) - {report.victim}
    assert "the killed agent's task was finished" in {i.name for i in report.invariants}


def test_what_was_learned_is_true(report):
    learned = report.learned

    assert (21, 12) == (learned["files"], learned["languages"]["python"])
    assert {"too large": 1, "not named in UTF-8": 1} == report.skipped
    assert learned["lines"] > 12 * MODULE.count("\n")
    assert learned["definitions"] in {3 * n + 1 for n in range(13)} | {3 * n for n in range(13)}
    assert {"os", "sys", "json"} >= set(learned["imported"])


def test_decisions_progress_and_knowledge_are_stored(report):
    with Swarm.open(report.url, swarm=report.swarm) as swarm:
        base = f"swarm-{report.swarm}"
        for agent in report.agents:
            assert swarm.records.get(f"{base}/agent-{agent}/state")
        assert swarm.records.count(f"{base}/global/knowledge/")[0]
        assert swarm.records.count(f"{base}/agent-agent-1/decisions/")[0]
        held = swarm.records.get(f"{base}/agent-agent-1/progress/study").value
        assert report.taken_over == held["progress_data"]["holds"]


def test_the_summary_is_short_and_names_the_commands(report):
    text = lines(report)

    assert len(text) <= 40
    assert any(f"{report.taken_over_by} took over" in line for line in text)
    assert any(f"--url {report.url}" in line for line in text)
    assert report.to_dict()["ok"] is True


def test_a_warning_of_an_agent_is_no_broken_promise(tmp_path, monkeypatch):
    monkeypatch.setenv("SWARM_MEMORY_NONSENSE", "1")
    (tmp_path / "a.py").write_text("x = 1\n")

    with pytest.warns(UserWarning, match="NONSENSE"):
        assert run(str(tmp_path), agents=2).ok


def test_an_empty_tree_is_studied_in_no_time(tmp_path):
    told = []

    report = run(str(tmp_path), agents=2, out=told.append)

    assert report.ok
    assert (0, None) == (report.tasks, report.victim)
    assert lines(report) == told


def test_a_missing_tree_and_a_lone_agent_are_clear_errors(tmp_path):
    with pytest.raises(InvalidArgumentError, match="no folder"):
        run(str(tmp_path / "none"))
    with pytest.raises(InvalidArgumentError, match="agents 1"):
        run(str(tmp_path), agents=1)


def test_the_agents_import_nothing_from_the_tree_they_study(tmp_path, monkeypatch):
    for name in ("tokenize", "json", "queue", "swarm_memory"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a stranger ran')\n")
    monkeypatch.chdir(tmp_path)

    report = run(".", agents=2)

    assert [] == [invariant for invariant in report.invariants if not invariant.held]


def test_files_that_go_or_turn_into_pipes_are_failed_tasks(tmp_path):
    for name in ("gone.py", "pipe.py", "stays.py"):
        (tmp_path / name).write_text("x = 1\n")
    url, swarm, found, tasks = coordinator.prepare(str(tmp_path), f"sqlite:///{tmp_path}/a.db")
    (tmp_path / "gone.py").unlink()
    (tmp_path / "pipe.py").unlink()
    os.mkfifo(tmp_path / "pipe.py")

    seen = coordinator.conduct(url, swarm, found.root, tasks, 2)

    facts = checks.gather(url, swarm, tasks)
    assert all(i.held for i in checks.invariants(tasks, facts, seen))
    failed = {r.value["path"] for r in facts.results.values() if not r.value["success"]}
    assert failed >= {"gone.py", "pipe.py"}


# --- the checks can fail ---


def test_careless_agents_are_caught_doing_tasks_twice(tmp_path):
    for name in ("a.md", "b.md"):
        (tmp_path / name).write_text("# text\n")
    url, swarm, found, tasks = coordinator.prepare(str(tmp_path), f"sqlite:///{tmp_path}/a.db")

    seen = coordinator.conduct(url, swarm, found.root, tasks, 2, careless=True)

    facts = checks.gather(url, swarm, tasks)
    assert sorted(task.task_id for task in tasks) == sorted(checks.done_twice(facts, seen))
    held = {i.name: i.held for i in checks.invariants(tasks, facts, seen)}
    assert not held["no task was done twice"]
    assert not held["every task has one outcome"]


@pytest.fixture
def studied(report):
    """What a run leaves behind, as the checks see it."""
    with Swarm.open(report.url, swarm=report.swarm) as swarm:
        base = f"swarm-{report.swarm}/global/demo"
        tasks = [Task(**record.value) for record in swarm.records.each(f"{base}/tasks/")]
    facts = checks.gather(report.url, report.swarm, tasks)
    said = {
        "acknowledged": [f"{base}/results/{t.task_id}" for t in tasks],
        "merged": list(facts.merged),
        "sent": facts.heard,
    }
    killed = coordinator.Killed(report.victim, report.taken_over, 1)
    return tasks, facts, coordinator.Run(said, killed, 1.0, [])


def broken(tasks, facts, seen):
    return [i.name for i in checks.invariants(tasks, facts, seen) if not i.held]


def test_each_check_notices_what_it_is_for(studied):
    tasks, facts, seen = studied
    task = tasks[0].task_id
    key = seen.said["acknowledged"][0]
    mine = facts.results[seen.killed.task]._replace(author=seen.killed.name)
    no_result = {k: r for k, r in facts.results.items() if k != task}
    twice = facts.results | {task: facts.results[task]._replace(version=2)}

    assert [] == broken(tasks, facts, seen)
    assert "every task has a result" in broken(tasks, facts._replace(results=no_result), seen)
    assert ["no task was done twice"] == broken(tasks, facts._replace(results=twice), seen)
    assert ["nothing acknowledged is lost"] == broken(
        tasks, facts._replace(known=facts.known - {key}), seen
    )
    assert ["every task has one outcome"] == broken(
        tasks, facts._replace(outcomes=facts.outcomes[1:]), seen
    )
    assert ["nothing merged is lost"] == broken(tasks, facts._replace(merged={}), seen)
    assert ["every message arrived once"] == broken(tasks, facts._replace(heard=["x"]), seen)
    assert ["no lease is left"] == broken(tasks, facts._replace(left=["demo:x"]), seen)
    assert ["every agent ended well"] == broken(tasks, facts, seen._replace(errors=["it fell"]))
    assert ["the killed agent's task was finished"] == broken(
        tasks, facts._replace(results=facts.results | {seen.killed.task: mine}), seen
    )
    late = seen._replace(killed=seen.killed._replace(token=10**9))
    assert ["the killed agent's task was finished"] == broken(tasks, facts, late)


# --- no process is left behind ---


class Stopped(BaseException):
    """What Ctrl-C does, at a moment of the test's choice."""


@pytest.fixture
def started(monkeypatch):
    processes = []

    class Watched(coordinator.subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            processes.append(self)

    monkeypatch.setattr(coordinator.subprocess, "Popen", Watched)
    return processes


def test_an_interrupt_leaves_no_process_behind(tmp_path, started):
    for number in range(4):
        (tmp_path / f"{number}.md").write_text("# text\n")

    def stop(done, total):
        raise Stopped

    with pytest.raises(Stopped):
        run(str(tmp_path), agents=2, progress=stop)

    assert 2 == len(started)
    assert all(process.poll() is not None for process in started)


def test_a_start_that_fails_half_way_leaves_no_process_behind(tmp_path, started, monkeypatch):
    def fail(agents, name, line):
        raise Stopped

    monkeypatch.setattr(coordinator.Agents, "_write", fail)

    with pytest.raises(Stopped):
        run(str(tmp_path), agents=2)

    assert 1 == len(started)
    assert all(process.poll() is not None for process in started)


def test_agents_that_cannot_work_are_reported_and_not_waited_for(tmp_path, monkeypatch):
    (tmp_path / "a.md").write_text("# text\n")
    monkeypatch.setattr(
        coordinator, "COMMAND", (*coordinator.COMMAND[:1], "-c", "raise SystemExit('no')")
    )

    report = run(str(tmp_path), agents=2)

    assert not report.ok
    assert "every agent ended well" in {i.name for i in report.invariants if not i.held}


def test_wrong_findings_are_not_told_as_learned():
    common = {"kind": "definitions", "lines": 1}
    results = [
        {**common, "path": "a.py", "success": True, "finding": 3},
        {**common, "path": "b.py", "success": False, "finding": 900},
    ]

    learned = learned_from(results)

    assert (3, {"a.py": 3}) == (learned["definitions"], learned["largest"])


def test_connections_are_told_from_absolute_and_relative_imports():
    paths = {
        "pkg/__init__.py": [".core"],
        "pkg/core.py": ["os", "tree.pkg.util"],
        "pkg/util.py": ["pkg.core", "..outside", "json.decoder"],
    }
    results = [
        {"kind": "imports", "path": path, "lines": 1, "success": True, "finding": found}
        for path, found in paths.items()
    ]

    learned = learned_from(results, "tree")

    assert {"pkg/core.py": 2, "pkg/util.py": 1} == learned["connected"]
    assert Counter(os=1, json=1) == learned["imported"]
