"""top, monitor and alerts as a user and a program meet them."""

import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from swarm_memory import Swarm

COMMAND = str(Path(sys.executable).with_name("swarm-memory"))


@pytest.fixture
def dead(call):
    """A message that failed every attempt."""
    with Swarm.open() as swarm:
        swarm.messages.send("poison", topic="t", attempts_max=1)
        swarm.messages.claim("t")[0].nack(reason="cannot")


def test_one_sample_is_taken_and_printed_as_json(call_json, dead):
    sample = call_json("monitor", "--once")

    assert ("default", "minute") == (sample["swarm"], sample["span"])
    assert 1 == sample["gauges"]["messages_dead"]
    assert ["dead_letters"] == [alert["rule"] for alert in sample["alerts"]]
    assert sample["at_ms"] == call_json("monitor", "--once")["at_ms"]  # it is not due again


def test_one_sample_in_a_pipe_is_a_line(call, dead):
    columns = call("monitor", "--once").out.rstrip("\n").split("\t")

    assert ["sample", "0", "0"] == columns[1:4]
    assert "1" == columns[-1]


def test_monitor_tells_of_samples_and_alerts_as_they_come(project, dead, monkeypatch):
    monkeypatch.setenv("SWARM_MEMORY_MONITOR_INTERVAL_S", "1")
    watching = subprocess.Popen([COMMAND, "monitor"], stdout=subprocess.PIPE, text=True)
    try:
        assert "raised" == watching.stdout.readline().split("\t")[1]
        assert "sample" == watching.stdout.readline().split("\t")[1]
        with Swarm.open() as swarm:
            swarm.messages.revive(swarm.messages.dead()[0].message_id)
        kinds = []
        while "resolved" not in kinds:
            kinds.append(watching.stdout.readline().split("\t")[1])
    finally:
        watching.send_signal(signal.SIGINT)
        watching.stdout.close()
        assert 130 == watching.wait(30)


def test_alerts_are_listed_acknowledged_and_resolved(call, call_json, dead):
    call("monitor", "--once")
    (alert,) = call_json("alerts")

    (seen,) = call_json("alerts", "ack", alert["alert_id"], "--agent", "me")
    assert ("acknowledged", "me") == (seen["state"], seen["acknowledged_by"])
    (over,) = call_json("alerts", "resolve", alert["alert_id"])
    assert "resolved" == over["state"]

    assert [] == call_json("alerts")
    assert [over] == call_json("alerts", "--state", "resolved")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(("ack",), 2), (("list", "x"), 2), (("close", "x"), 2), (("ack", "none"), 1)],
)
def test_alerts_refuse_what_makes_no_sense(call, arguments, status):
    assert status == call("alerts", *arguments).status


def test_top_in_a_pipe_is_one_look(call, call_json, dead):
    call("put", "notes/1", "x")
    call("lock", "deploy", "--ttl-s", "60")
    call("monitor", "--once")
    seen = call_json("top")

    assert ("warning", 1) == (seen["health"], seen["memory"]["records"])
    assert ["dead_letters"] == [alert["rule"] for alert in seen["alerts"]]
    lines = [line.split("\t") for line in call("top").out.splitlines()]
    assert ["health", "warning"] == lines[0]
    assert "alert" == lines[-1][0]


def test_top_reads_a_store_that_is_not_there_as_empty(call, project):
    ran = call("top", "--json")

    assert (0, 0) == (ran.status, json.loads(ran.out)["memory"]["records"])
    assert not (project / "memory.db").exists()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (140, 50), (60, 20)])
def test_the_screen_of_top_fits(width, height, project):
    from rich.console import Console

    from swarm_memory.doors.cli.top import look, print_top

    with Swarm.open() as swarm:
        for n in range(30):
            swarm.leases.acquire(f"lock/{n}")
            swarm.messages.send(n, topic=f"\x1b[31mtopic{n}")
        swarm.context.meter.hand_in()
        swarm.monitor.take()
        seen = look(swarm)
    console = Console(width=width, height=height, record=True, file=io.StringIO())
    console.print(print_top(seen, height))
    text = console.export_text()

    assert len(text.splitlines()) <= height
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text
    assert "more" in text
    assert json.dumps(seen)


def test_top_names_who_began_a_session_and_whom_it_started(call_json, project):
    with Swarm.open(agent="main") as swarm:
        session = swarm.sessions.begin("s-1")
        swarm.sessions.agent_started("s-1", "a1", "explore")

    agents = call_json("top")["agents"]

    assert ["main", "explore"] == [each["agent"].partition(":")[0] for each in agents]
    assert {session.short} == {each["session"] for each in agents}


def test_top_shows_messages_as_old_as_they_are_and_not_as_they_were(project):
    from rich.console import Console

    from swarm_memory.doors.cli.top import look, print_top

    with Swarm.open() as swarm:
        swarm.messages.send("job", topic="work")
        swarm.monitor.take()
        seen = look(swarm)
    seen["sample_ms"] -= 300_000
    console = Console(width=100, height=30, record=True, file=io.StringIO())
    console.print(print_top(seen, 30))

    (line,) = [each for each in console.export_text().splitlines() if "topic:work" in each]
    assert line.rstrip().endswith("5 min")
