"""The verb optimize: it says what it would do, and does it with figures beside."""

import json
import re

VALUES = 300


def fill(call):
    """Import records that packing makes smaller, and one that has expired."""
    rows = [{"key": f"x/{n}", "value": f"as agent-{n} agreed " * 9} for n in range(VALUES)]
    rows.append({"key": "y/1", "value": "gone", "expires_ms": 2})
    for row in rows:
        row |= {"version": 1, "author": "a", "created_ms": 1, "updated_ms": 1}
        row |= {"table": "records", "swarm": "default"}
    head = {"format": "swarm-memory-export", "version": 1, "exported_ms": 1}
    lines = [json.dumps(line) for line in (head | {"swarms": ["default"]}, *rows)]
    with open("rows.jsonl", "w") as file:
        file.write("\n".join(lines))
    call("import", "rows.jsonl")


def test_a_dry_run_names_evidence_expected_bytes_and_a_command(call, call_json):
    fill(call)

    found = call_json("optimize")

    assert (False, []) == (found["applied"], found["gains"])
    assert {"sweep", "compress"} <= {advice["name"] for advice in found["advice"]}
    for advice in found["advice"]:
        assert {"name", "what", "evidence", "expected_bytes", "benefit", "command"} == set(advice)
    assert found == call_json("optimize")


def test_applied_it_tells_what_was_measured_beside_what_was_expected(call, call_json):
    fill(call)

    found = call_json("optimize", "--apply")

    gains = {gain["name"]: gain for gain in found["gains"]}
    assert (True, 1) == (found["applied"], gains["sweep"]["changed"])
    assert VALUES == gains["compress"]["changed"]
    assert 0.5 < gains["compress"]["measured_bytes"] / gains["compress"]["expected_bytes"] < 2
    assert VALUES == len(call_json("ls", "x/*", "--limit", "1000"))
    assert [] == [a["name"] for a in call_json("optimize")["advice"] if a["name"] != "statistics"]


def test_a_command_that_advice_names_does_it(call, call_json):
    fill(call)
    (advice,) = [a for a in call_json("optimize")["advice"] if a["name"] == "sweep"]

    ran = call(*advice["command"].split()[1:])

    assert re.search(r"^gain\tsweep\t\d+\t\d+\t.*removed 1 expired records", ran.out, re.M)
    assert "sweep" not in {a["name"] for a in call_json("optimize")["advice"]}


def test_only_some_steps_are_done(call, call_json):
    call("put", "x/1", "1")

    assert {"sweep"} >= {
        g["name"] for g in call_json("optimize", "--apply", "--only", "sweep")["gains"]
    }
    assert 2 == call("optimize", "--only", "swep").status
    assert 2 == call("optimize", "--apply", "--budget-s", "0").status


def test_an_archive_is_only_made_by_its_name_and_with_a_directory(call, tmp_path):
    call("put", "x/1", "1")

    assert 2 == call("optimize", "--apply", "--only", "archive").status
    assert 2 == call("optimize", "--to", str(tmp_path / "a")).status
    assert 2 == call("optimize", "--apply", "--to", str(tmp_path / "a")).status
    assert 0 == call("optimize", "--apply", "--only", "archive", "--to", str(tmp_path / "a")).status


def test_interrupted_it_shows_what_was_done_until_then(call, monkeypatch):
    fill(call)

    def interrupt(self, **_):
        raise KeyboardInterrupt

    monkeypatch.setattr("swarm_memory.packing.Packing.pack", interrupt)
    ran = call("optimize", "--apply", "--json")

    assert 130 == ran.status
    assert ["sweep"] == [gain["name"] for gain in json.loads(ran.out)["gains"]]
    assert 0 == call("verify").status
