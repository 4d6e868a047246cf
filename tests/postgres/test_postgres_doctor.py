"""What doctor and where say of a store on a server."""

import builtins
import json
import os
import sys

import psycopg
import pytest

from swarm_memory import Swarm
from swarm_memory.doctor import examine
from swarm_memory.doctor.case import Case
from swarm_memory.doctor.finding import ERROR, NOTE, OK, WARNING
from swarm_memory.doors.cli.frame import main
from swarm_memory.engine import look_at_server
from swarm_memory.errors import EngineUnavailableError
from swarm_memory.model import Located


def said(url, check="store"):
    """Return (severity, meaning) of what a check says of a store."""
    case = Case(
        Located(url, "named"), None, directory=os.getcwd(), environment={}, agent="a", swarm="s"
    )
    return [(f.severity, f.means) for f in examine(case) if f.check == check]


def test_a_store_that_is_there_is_well_but_for_a_server_that_syncs_nothing(postgres_url):
    Swarm.open(postgres_url).close()

    (unsafe, why), (well, _) = said(postgres_url)
    assert (WARNING, OK) == (unsafe, well)
    assert "on disk" in why
    assert [] == said(postgres_url, "writer")


def test_looking_makes_nothing(postgres_url):
    assert NOTE == said(postgres_url)[-1][0]
    assert look_at_server(postgres_url).schema is None


def test_a_server_that_is_not_there_is_an_error(tmp_path):
    (found,) = said(f"postgresql://me:hunter2@/db?host={tmp_path}")

    assert (ERROR, "the server cannot be used") == found


def test_a_store_of_a_newer_version_is_an_error(postgres_url, postgres):
    with Swarm.open(postgres_url) as swarm:
        schema = swarm._engine._address.namespace
    with psycopg.connect(postgres.url(schema), autocommit=True) as db:
        db.execute("INSERT INTO migrations VALUES (999, 'later', '', 0)")

    assert (ERROR, "the store was made by a newer version") == said(postgres_url)[-1]


def test_without_the_driver_it_is_said_what_to_install(postgres_url, monkeypatch):
    for name in [n for n in sys.modules if n.startswith("swarm_memory.engine.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    plain = builtins.__import__

    def missing(name, *arguments):
        if name.partition(".")[0] == "psycopg":
            raise ImportError(f"No module named {name!r}")
        return plain(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(EngineUnavailableError) as caught:
        look_at_server(postgres_url)

    assert "swarm-memory[postgres]" in caught.value.hint


def test_where_names_the_server_and_asks_nobody(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["where", "--url", f"postgresql://me@/db?host={tmp_path}", "--json"])

    facts = json.loads(capsys.readouterr().out)
    assert (None, None) == (facts["exists"], facts["bytes"])
