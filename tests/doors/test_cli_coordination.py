"""The verbs of working together, as real processes: locks, messages, watch and conflicts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from swarm_memory import Swarm

COMMAND = str(Path(sys.executable).parent / "swarm-memory")


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/memory.db"


@pytest.fixture
def cli(url):
    def cli(*arguments, agent="a", stdin=None):
        return subprocess.run(
            [COMMAND, "--url", url, "--agent", agent, *arguments],
            capture_output=True,
            text=True,
            input=stdin,
            timeout=60,
        )

    return cli


def test_a_command_runs_under_the_lease_and_its_status_comes_back(cli):
    inner = f"{COMMAND} --url $U locks deploy --json; echo $SWARM_MEMORY_LEASE_TOKEN; exit 7"
    url = cli("where", "--json").stdout
    inner = inner.replace("$U", json.loads(url)["url"])

    run = cli("lock", "deploy", "--reason", "release", "--", "sh", "-c", inner)

    seats, token = run.stdout.splitlines()
    (seat,) = json.loads(seats)
    assert (7, "held", "a", "release") == (
        run.returncode,
        seat["state"],
        seat["owner"],
        seat["reason"],
    )
    assert str(seat["token"]) == token
    assert [] == json.loads(cli("locks", "--json").stdout)


def test_a_lease_that_is_held_exits_4_and_runs_nothing(cli, url, tmp_path):
    with Swarm.open(url, agent="other") as swarm, swarm.leases.hold("deploy"):
        run = cli("lock", "deploy", "--wait-s", "0", "--", "touch", str(tmp_path / "ran"))

    assert 4 == run.returncode
    assert "held by other" in run.stderr
    assert not (tmp_path / "ran").exists()


def test_a_lease_that_is_lost_stops_the_command(cli, url):
    end_it = (
        "from swarm_memory import Swarm\n"
        f"with Swarm.open({url!r}) as swarm:\n"
        "    swarm.leases.end_session('s')\n"
        "import time; time.sleep(60)\n"
    )
    run = subprocess.run(
        [COMMAND, "--url", url, "lock", "x", "--ttl-s", "0.3", "--", sys.executable, "-c", end_it],
        env={"SWARM_MEMORY_SESSION": "s", "PATH": "/bin:/usr/bin"},
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert 4 == run.returncode
    assert "not held any more" in run.stderr


def test_a_command_that_does_not_exist_exits_127_and_frees_the_lease(cli):
    assert 127 == cli("lock", "x", "--", "/no/such/command").returncode
    assert "" == cli("locks").stdout


def test_a_message_is_sent_claimed_and_acknowledged_once(cli):
    cli("send", '{"review": "a.py"}', "--topic", "reviews", "--type", "work")
    assert "a.py" in cli("inbox", "--topic", "reviews").stdout

    (claimed,) = json.loads(cli("inbox", "--topic", "reviews", "--claim", "--json").stdout)

    assert ({"review": "a.py"}, "a", 1) == (
        claimed["body"],
        claimed["sender"],
        claimed["attempts"],
    )
    assert "[]" == cli("inbox", "--topic", "reviews", "--claim", "--json").stdout.strip()
    assert 0 == cli("ack", claimed["receipt"]).returncode
    assert 3 == cli("ack", claimed["receipt"]).returncode


def test_messages_reach_an_agent_and_everyone(cli):
    cli("send", "hello", "--to", "b")
    cli("send", "all", agent="c")

    assert ["hello", "all"] == [
        message["body"] for message in json.loads(cli("inbox", "--json", agent="b").stdout)
    ]
    assert ["all"] == [m["body"] for m in json.loads(cli("inbox", "--json").stdout)]


def test_a_poisoned_message_dies_and_can_be_revived(cli, url):
    with Swarm.open(url) as swarm:
        swarm.messages.send("poison", topic="t", attempts_max=1)
    receipt = cli("inbox", "--topic", "t", "--claim").stdout.split("\t")[1]
    cli("ack", receipt, "--fail", "cannot parse")

    (dead,) = json.loads(cli("dead", "--json").stdout)

    assert "cannot parse" in dead["reason"]
    assert "revived\t1\n" == cli("dead", "--revive", dead["message_id"]).stdout
    assert "[]" == cli("dead", "--json").stdout.strip()


def test_watch_prints_what_other_processes_do(cli, url):
    with Swarm.open(url, agent="b") as swarm:
        swarm.records.put("x/a", 1)
    command = [COMMAND, "--url", url, "watch", "x", "--since", "0", "--json", "--timeout-s", "20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watcher:
        assert "x/a" == json.loads(watcher.stdout.readline())["key"]
        with Swarm.open(url, agent="b") as swarm:
            swarm.records.put("y/other", 1)
            swarm.records.put("x/b", 1)
        event = json.loads(watcher.stdout.readline())
        watcher.terminate()
    assert ("x/b", "put", "b") == (event["key"], event["op"], event["author"])


def test_a_parked_conflict_is_listed_shown_and_settled(cli, url):
    with Swarm.open(url) as swarm:
        for value in ("base", "theirs"):
            swarm.records.put("x/a", value)
        swarm.records.put("x/a", "mine", expect=1, on_conflict="keep_both")

    (conflict,) = json.loads(cli("conflicts", "--parked", "--json").stdout)
    shown = json.loads(cli("conflicts", "show", conflict["conflict_id"], "--json").stdout)
    settled = cli("conflicts", "resolve", conflict["conflict_id"], "both")

    assert ("base", "theirs", "mine") == (shown["base"], shown["theirs"], shown["mine"])
    assert "x/a\t3\n" == settled.stdout
    assert "both\n" == cli("get", "x/a").stdout
    assert "[]" == cli("conflicts", "--parked", "--json").stdout.strip()
    assert 1 == cli("conflicts", "resolve", conflict["conflict_id"], "again").returncode
    assert 2 == cli("conflicts", "dance").returncode
