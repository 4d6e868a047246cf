"""What the cluster of the tests is made of, as far as it needs no cluster."""

import os
import signal
import subprocess
import sys
from string import Template

import pytest

from swarm_memory.testing.cluster import TTL_S
from swarm_memory.testing.networks import Loopback
from swarm_memory.testing.nodes import TEMPLATE, stopped
from swarm_memory.testing.programs import watch, working_in

WAITS = [sys.executable, "-c", "print(flush=True); input()"]


@pytest.fixture
def waiting(tmp_path):
    """Return a process that works in a folder and waits."""
    folder = tmp_path / "node"
    folder.mkdir()
    pipe = subprocess.PIPE
    with subprocess.Popen(WAITS, cwd=folder, stdin=pipe, stdout=pipe) as process:
        process.stdout.readline()
        yield process
        process.kill()


def test_who_works_in_a_folder_is_found_and_nobody_else(waiting, tmp_path):
    assert [waiting.pid] == working_in(f"{tmp_path}/node")
    assert [waiting.pid] == working_in(str(tmp_path))
    assert [] == working_in(f"{tmp_path}/nod")


def test_a_stopped_process_is_told_from_one_that_waits(waiting):
    assert not stopped(waiting.pid)

    waiting.send_signal(signal.SIGSTOP)
    os.waitpid(waiting.pid, os.WUNTRACED)

    assert stopped(waiting.pid)


def test_a_watch_whose_owner_has_ended_kills_who_works_there_and_removes_the_folder(tmp_path):
    folder, mark = tmp_path / "cluster", tmp_path / "mark"
    (folder / "node").mkdir(parents=True)
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); input()"
    with subprocess.Popen(
        [sys.executable, "-c", stubborn], cwd=folder / "node", stdin=subprocess.PIPE
    ) as process:
        keeper = watch(str(folder), after=[(["touch", str(mark)], {})])
        keeper.communicate()

        assert -signal.SIGKILL == process.wait()
    assert not folder.exists()
    assert mark.exists()


def test_ports_are_each_their_own():
    network = Loopback()
    ports = {network.port(number, kind) for number in range(1, 4) for kind in ("pg", "rest")}

    assert 6 == len(ports)
    assert network.port(1, "pg") in ports


def test_the_template_is_what_the_guarantees_rest_on():
    yaml = pytest.importorskip("yaml")
    template = Template(TEMPLATE.read_text())
    filled = template.substitute(dict.fromkeys(template.get_identifiers(), "1"))

    settings = yaml.safe_load(filled)["bootstrap"]["dcs"]

    assert TTL_S == settings["ttl"]
    assert TTL_S >= settings["loop_wait"] + 2 * settings["retry_timeout"]
    assert ("quorum", True) == (settings["synchronous_mode"], settings["synchronous_mode_strict"])
    assert settings["failsafe_mode"]
