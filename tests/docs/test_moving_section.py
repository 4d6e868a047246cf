"""The three commands by which the tutorial moves a project to a server are run, on one."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
URL = "postgresql://me@db.example.org/agents"


def test_three_commands_move_a_project_to_a_server(postgres_url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".swarm-memory").mkdir()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    block = re.search(r"^```sh\n(pip install.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    install, move, shows = block[1].strip().split("\n")
    assert "pip install 'swarm-memory[postgres]'" == install

    def run(command):
        done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
        assert 0 == done.returncode, done.stderr
        return done.stdout

    run("swarm-memory put notes/1 '\"before\"'")
    run(move.replace(URL, f"'{postgres_url}'"))
    told = json.loads(run(f"{shows} --json"))

    assert [("default", postgres_url)] == [(place["swarm"], place["url"]) for place in told]
    assert "before" == run("swarm-memory get notes/1").strip()
    run(f"swarm-memory --url '{postgres_url}' put notes/2 2")
    assert "2" == run("swarm-memory get notes/2").strip()
