"""The command line in breadth: pipes and terminals, where values come from, what each verb says."""

import json
import os
import select
import signal
import subprocess
import sys

import pytest

from swarm_memory import Swarm
from swarm_memory.doors.cli import app

VERBS = [command.name for command in app.registered_commands]
WAIT_S = 20


# --- the contract, as a command ---


def test_a_missing_store_is_told_in_one_line_and_not_made(command, project):
    ran = command("get", "notes/1")

    assert (1, "", 1) == (*ran[:2], ran.err.count("\n"))
    assert "there is no store yet" in ran.err
    assert [] == os.listdir(project)


def test_a_listing_of_a_missing_store_is_empty_and_makes_none(command, project):
    ran = command("ls", "--json")

    assert (0, "", []) == (ran.status, ran.err, json.loads(ran.out))
    assert [] == os.listdir(project)


def test_a_reader_that_goes_away_is_no_error(command):
    with Swarm.open() as swarm:
        swarm.records.put_many((f"notes/{n}", "x" * 1000) for n in range(1000))
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen([command.path, "ls"], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    _, complaints = process.communicate(timeout=WAIT_S)

    assert (141, b"") == (process.returncode, complaints)


def test_ctrl_c_exits_130_without_a_traceback(command):
    process = subprocess.Popen(
        [command.path, "watch", "--timeout-s", "20"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with Swarm.open() as swarm:
        # Write until the watcher shows an event: then it is up and waiting.
        while not select.select([process.stdout], [], [], 0.05)[0]:
            swarm.records.put("notes/1", 1)
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=WAIT_S)

    assert (130, b"interrupted\n") == (process.returncode, complaints)


def test_a_pipe_gets_no_colour_and_nothing_cut(call):
    value = {"text": "word " * 200, "more": [1, 2]}
    call("put", "notes/long", json.dumps(value))
    line = call("ls").out

    columns = line.rstrip("\n").split("\t")
    assert ["notes/long", "1", "main"] == [columns[0], columns[1], columns[3]]
    assert value == json.loads(columns[5])
    assert "\x1b" not in line


def test_a_name_with_tabs_stays_in_its_column(call):
    call("put", "notes/1", "1", "--agent", "a\tb\nc")

    (line,) = call("ls").out.splitlines()
    assert "a\\tb\\nc" == line.split("\t")[3]


def test_an_output_without_unicode_is_no_traceback(command):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command("put", "notes/1", "über")

    assert (0, "\\xfcber\n", "") == command("get", "notes/1", env=environment)


def test_importing_the_package_loads_no_command_line():
    program = "import sys, swarm_memory; print({'typer', 'rich', 'numpy'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert "set()\n" == ran.stdout


# --- a terminal ---


def test_a_person_sees_records_by_folder_with_a_harmless_preview(on_terminal, call):
    call("put", "notes/plan", json.dumps({"id": 7, "text": "measure first\x1b[31m"}))
    call("put", "notes/a+20b", "short")
    ran = on_terminal("ls")

    assert 0 == ran.status
    assert "notes/" in ran.out
    assert "text: measure first\\x1b[31m, id: 7" in ran.out  # sentences come first
    assert "a b" in ran.out
    assert "2 records" in ran.out


def test_a_long_listing_tells_a_person_how_to_go_on(on_terminal, call):
    with Swarm.open() as swarm:
        swarm.records.put_many((f"notes/{n:03}", n) for n in range(60))
    ran = on_terminal("ls")

    assert "50 of 60 records" in ran.out
    assert "--after notes/049" in ran.out
    assert "50 of" not in on_terminal("ls", "--all").out


def test_a_person_sees_bars_against_the_limits(on_terminal, call):
    call("put", "notes/1", "x")
    ran = on_terminal("health")

    assert 0 == ran.status
    assert "healthy" in ran.out
    assert "░" in ran.out
    assert "of 10 GiB" in ran.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["where"],
        ["init"],
        ["state"],
        ["sync"],
        ["insights"],
        ["decisions"],
        ["knowledge"],
        ["optimize"],
        ["snapshot"],
        ["ls", "--tree"],
        ["history", "notes/1"],
        ["rollback", "notes/1"],
        ["strategy", "parse", "--candidates", "a,b"],
        ["outcome", "parse", "--failure", "--duration-s", "1"],
        ["outcomes"],
        ["learn"],
        ["learn", "waiting"],
        ["learn", "rebuild"],
        ["locks"],
        ["inbox"],
        ["dead"],
        ["conflicts"],
        ["get", "notes/1"],
        ["--help"],
    ],
    ids=" ".join,
)
def test_every_verb_has_something_to_show_a_person(on_terminal, call, arguments):
    for number in (1, 2):
        call("put", "notes/1", json.dumps({"a": number}))
    ran = on_terminal(*arguments)

    assert 0 == ran.status, ran.out
    assert ran.out.strip()
    assert "Traceback" not in ran.out


# --- options that hold everywhere ---


def test_the_option_after_the_verb_wins_over_the_one_before(call):
    ran = call("--swarm", "other", "put", "notes/1", "1", "--swarm", "s")

    assert 0 == ran.status
    assert 0 == call("get", "notes/1", "--swarm", "s").status
    assert 1 == call("get", "notes/1", "--swarm", "other").status


def test_the_environment_gives_defaults(call, call_json, monkeypatch):
    monkeypatch.setenv("SWARM_MEMORY_SWARM", "s")
    monkeypatch.setenv("SWARM_MEMORY_AGENT", "a")
    monkeypatch.setenv("SWARM_MEMORY_SESSION", "session-1")
    record = call_json("put", "notes/1", "1")

    assert ("a", "session-1") == (record["author"], record["session"])
    assert 0 == call("get", "notes/1", "--swarm", "s").status


def test_what_follows_two_dashes_is_no_option(call):
    for value in ("--json", "-5"):
        assert 0 == call("put", "notes/1", "--", value).status
        assert f"{value}\n" == call("get", "notes/1").out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_and_the_common_options(call, verb):
    ran = call(verb, "--help")

    assert 0 == ran.status
    for said in ("Example: swarm-memory", "--url", "--swarm", "--agent", "--json"):
        assert said in ran.out


def test_an_unknown_variable_is_a_warning(call, monkeypatch):
    monkeypatch.setenv("SWARM_MEMORY_SWARN", "s")
    ran = call("put", "notes/1", "1")

    assert (0, "notes/1\t1\n") == ran[:2]
    assert "warning: SWARM_MEMORY_SWARN means nothing" in ran.err


# --- values ---


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("text", "text"),
        ("12", 12),
        ("1.5", 1.5),
        ("true", True),
        ("null", None),
        ('"12"', "12"),
        ("[1, 2]", [1, 2]),
        ("{broken", "{broken"),
        ("", ""),
        ("nan", "nan"),
    ],
)
def test_a_value_is_json_if_it_is_json(call_json, given, value):
    record = call_json("put", "notes/1", given)

    assert (type(value), value) == (type(record["value"]), record["value"])


def test_flags_say_what_is_meant(call, call_json):
    assert "12" == call_json("put", "notes/1", "12", "--text")["value"]
    assert 2 == call("put", "notes/1", "twelve", "--strict-json").status
    assert 2 == call("put", "notes/1", "12", "--text", "--strict-json").status


@pytest.mark.parametrize(
    "value",
    ["NaN", "[Infinity]", '{"a": 1, "a": 2}', "[" * 100 + "]" * 100, "9" * 30, "9" * 5000],
    ids=lambda value: value[:20],
)
def test_what_the_store_cannot_give_back_is_refused(call, value):
    ran = call("put", "notes/1", value)

    assert (2, "") == ran[:2]
    assert ran.err.startswith("swarm-memory: ")
    assert 1 == call("get", "notes/1").status


def test_standard_input_loses_its_last_line_end_only(call):
    for given, kept in ((b"a\n", "a"), (b"a\r\n", "a"), (b"a\n\n", "a\n"), (b"a", "a"), (b"", "")):
        assert 0 == call("put", "notes/1", "-", stdin=given).status
        assert f"{kept}\n" == call("get", "notes/1").out


def test_no_value_at_all_is_a_usage_error(call):
    assert 2 == call("put", "notes/1").status


def test_bytes_that_are_no_text_are_refused(call):
    ran = call("put", "notes/1", "-", stdin=b"\xff\xfe")

    assert 2 == ran.status
    assert "no UTF-8" in ran.err


def test_a_string_in_a_pipe_is_raw(call):
    call("put", "notes/1", "-", "--text", stdin=b"a\tb \x1b[31m")

    assert "a\tb \x1b[31m\n" == call("get", "notes/1").out


# --- records ---


def test_expect_that_does_not_hold_exits_3_and_keeps_the_value(call):
    call("put", "notes/1", "1", "--expect", "0")
    ran = call("put", "notes/1", "2", "--expect", "0")

    assert (3, "") == ran[:2]
    assert "is at version 1, expected 0" in ran.err
    assert "1\n" == call("get", "notes/1").out


def test_a_bad_key_offers_a_good_one(call):
    assert "notes/a+20b" in call("put", "notes/a b", "1").err


def test_on_conflict_merges(call, call_json):
    call("put", "notes/1", '{"a": 1}')
    call("put", "notes/1", '{"a": 1, "b": 2}')
    stale = ("put", "notes/1", '{"a": 1, "c": 3}', "--expect", "1", "--on-conflict")

    assert {"a": 1, "b": 2, "c": 3} == call_json(*stale, "merge")["value"]
    assert 2 == call(*stale, "what").status


def test_an_op_id_applies_once(call_json):
    first = call_json("put", "notes/1", "1", "--op-id", "x")

    assert first == call_json("put", "notes/1", "1", "--op-id", "x")


def test_a_time_to_live_is_kept(call_json):
    record = call_json("put", "notes/1", "1", "--ttl-s", "60")

    assert 60_000 == record["expires_ms"] - record["updated_ms"]


def test_older_versions_are_read_listed_and_brought_back(call, call_json):
    for value in ("one", "two", "three"):
        call("put", "notes/1", value)

    assert "one\n" == call("get", "notes/1", "--version", "1").out
    assert "kept: 3, 2, 1" in call("get", "notes/1", "--version", "9").err
    lines = [line.split("\t") for line in call("history", "notes/1").out.splitlines()]
    assert [["3", '"three"'], ["2", '"two"'], ["1", '"one"']] == [[c[0], c[4]] for c in lines]
    assert (0, "notes/1\n", "") == call("rm", "notes/1")
    assert 1 == call("rm", "notes/1").status
    assert (0, "notes/1\t5\t3\n", "") == call("rollback", "notes/1")
    assert (0, "notes/1\t6\t1\n", "") == call("rollback", "notes/1", "1")
    assert [6, 5, 4, 3, 2, 1] == [r["version"] for r in call_json("history", "notes/1")]
    assert 1 == call("history", "notes/none").status


def test_ls_pages_by_prefix_and_key(call, call_json):
    for key in ("a/1", "a/2", "ab/1", "b/1"):
        call("put", key, "1")

    def keys(*arguments):
        return [record["key"] for record in call_json("ls", *arguments)]

    assert ["a/1", "a/2", "ab/1", "b/1"] == keys()
    assert ["a/1", "a/2"] == keys("a")
    assert ["a/1", "a/2", "ab/1"] == keys("a*")
    assert ["a/2", "ab/1"] == keys("--after", "a/1", "--limit", "2")
    assert [] == keys("nothing")
    assert "there are more: --after a/2\n" == call("ls", "--limit", "2").err
    assert "" == call("ls", "--limit", "4").err


def test_ls_lists_more_than_one_page(call):
    with Swarm.open() as swarm:
        swarm.records.put_many((f"notes/{n:04}", n) for n in range(2100))

    assert 2100 == len(call("ls").out.splitlines())


def test_ls_shows_telemetry_only_when_asked(call_json):
    call_json("put", "memory/operations/x", "1")

    assert [] == call_json("ls")
    assert 1 == len(call_json("ls", "--telemetry"))


def test_a_tree_counts_what_lies_below(call, call_json):
    for key in ("a/x/1", "a/x/2", "a/y", "b/c/d/1", "b/c/d/2"):
        call("put", key, "1")

    found = {row["prefix"]: row["records"] for row in call_json("ls", "--tree")}
    assert {"a": 3, "a/x": 2, "b/c/d": 2} == found


# --- agents and learning ---


def test_decisions_and_knowledge_are_kept_and_listed(call, call_json):
    call("decide", "assign", '{"task": 1}', "--context", '{"why": "free"}', "--agent", "a")
    call("decide", "assign", "plain words", "--agent", "a")
    call("share", "tip", '{"do": "measure"}', "--agent", "a")
    second, first = call_json("decisions", "--of", "a", "--agent", "b")

    assert "plain words" == second["value"]["decision_data"]
    assert ({"task": 1}, {"why": "free"}) == (
        first["value"]["decision_data"],
        first["value"]["context"],
    )
    assert [] == call_json("decisions", "other", "--of", "a")
    assert [{"do": "measure"}] == [r["value"]["knowledge_data"] for r in call_json("knowledge")]


def test_outcomes_teach_which_strategy_to_use(call, call_json):
    with Swarm.open() as swarm:
        for _ in range(30):
            swarm.outcomes.record("parse", ["a"], True, 1, strategy="good")
            swarm.outcomes.record("parse", ["a"], False, 2, strategy="bad")
    choice = call_json("strategy", "parse", "--candidates", "good,bad")
    ending = ("--success", "--duration-s", "1", "--decision", choice["choice_id"])
    outcome = call_json("outcome", "parse", *ending)

    assert choice["strategy"] == outcome["strategy"]
    assert ["main"] == outcome["agents"]
    assert ["best_strategy"] == [i["kind"] for i in call_json("insights", "best_strategy")]


@pytest.mark.parametrize("context", ["[1]", "{broken"])
def test_a_context_that_is_no_object_exits_2(call, context):
    assert 2 == call("decide", "assign", "1", "--context", context).status


# --- the store ---


def test_health_in_a_pipe_is_names_and_figures(call, monkeypatch):
    call("put", "notes/1", "x" * 2000)
    figures = dict(line.split("\t") for line in call("health").out.splitlines())
    assert ("healthy", "1") == (figures["overall_health"], figures["records"])

    monkeypatch.setenv("SWARM_MEMORY_TOTAL_BYTES_MAX", "2100")
    ran = call("health", "--json")
    assert (1, "critical") == (ran.status, json.loads(ran.out)["overall_health"])


def test_a_quota_that_is_full_exits_1(call, monkeypatch):
    monkeypatch.setenv("SWARM_MEMORY_TOTAL_BYTES_MAX", "1024")
    value = "".join(map(str, range(5000)))
    ran = call("put", "notes/1", value, "--json")

    assert (1, "limit_exceeded") == (ran.status, json.loads(ran.err)["error"])


def test_optimize_says_first_and_does_then(call, call_json):
    call("put", "notes/1", "1")

    assert call_json("optimize")["applied"] is False
    assert call_json("optimize", "--apply")["applied"] is True
    assert "1\n" == call("get", "notes/1").out


def test_a_snapshot_is_a_record(call, call_json):
    assert 0 == call("get", call_json("snapshot")["key"]).status


def test_a_store_that_cannot_be_opened_exits_5(call, project):
    (project / "memory.db").write_bytes(b"this is no database, and long enough to be sure" * 99)
    ran = call("ls")

    assert (5, "") == ran[:2]
    assert "Traceback" not in ran.err


# --- import and export ---


def test_import_says_what_came_and_a_second_one_brings_nothing(call, project, tmp_path):
    store = tmp_path / "memory-store.json"
    entry = {"key": "plan", "value": "first", "namespace": "arch", "timestamp": 1_750_000_000_000}
    store.write_text(json.dumps({"arch": [entry]}))

    dry = call("import", store, "--dry-run")
    assert "1 memories, 0 telemetry: would import 1" in dry.err
    assert [] == os.listdir(project)
    first = call("import", store)
    assert "1 memories, 0 telemetry: imported 1\n" == first.err
    assert [str(store), "entries", "1", "1", *"00000"] == first.out.rstrip("\n").split("\t")
    again = call("import", store, tmp_path / "missing")
    assert 0 == again.status
    assert "imported 0; 1 unchanged" in again.err
    assert "missing" in again.err
    assert 1 == call("import", tmp_path / "missing").status


def test_an_import_that_is_interrupted_says_how_far_it_came(call, tmp_path, monkeypatch):
    from swarm_memory.records import Records

    store = tmp_path / "memory-store.json"
    rows = [{"key": str(n), "value": n, "namespace": "n", "timestamp": 1} for n in range(700)]
    store.write_text(json.dumps({"n": rows}))
    load, batches = Records.load, []

    def interrupt_the_second(self, items, **options):
        if batches:
            raise KeyboardInterrupt
        batches.append(len(items))
        return load(self, items, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Records, "load", interrupt_the_second)
        ran = call("import", store)
    assert 130 == ran.status
    assert "imported 500" in ran.err
    assert "stopped: interrupted; repeat it to go on" in ran.err
    assert "imported 200; 500 unchanged" in call("import", store).err


def test_an_import_that_meets_a_quota_says_how_far_it_came(call, tmp_path, monkeypatch):
    store = tmp_path / "memory-store.json"
    rows = [
        {"key": str(n), "value": os.urandom(100).hex(), "namespace": "n", "timestamp": 1}
        for n in range(50)
    ]
    store.write_text(json.dumps({"n": rows}))
    with monkeypatch.context() as patch:
        patch.setenv("SWARM_MEMORY_TOTAL_BYTES_MAX", "5000")
        ran = call("import", store)
    came = len(call("ls").out.splitlines())

    assert 1 == ran.status
    assert 0 < came < 50
    assert f"imported {came}" in ran.err
    assert "stopped: the swarm's memory" in ran.err
    assert f"imported {50 - came}; {came} unchanged" in call("import", store).err


def test_export_goes_to_a_file_or_to_standard_output(call, call_json, project):
    call("put", "notes/1", "ü")
    out = project / "out.jsonl"

    assert {"records": 1} == call_json("export", "-o", out)["rows"]
    piped = call("export").out.splitlines()
    assert piped[1:] == out.read_text().splitlines()[1:]
    assert "swarm-memory-export" == json.loads(piped[0])["format"]
    url = f"sqlite:///{project}/copy.db"
    assert 1 == call_json("import", out, "--url", url)["imported"]
    assert call_json("ls") == call_json("ls", "--url", url)
    assert 5 == call("export", "-o", project / "no" / "x").status


def test_a_damaged_value_is_named_and_the_export_exits_6(call, project):
    import apsw

    call("put", "notes/1", "one")
    call("put", "notes/2", "two")
    database = apsw.Connection(str(project / "memory.db"))
    database.execute("UPDATE records SET author = 'forged' WHERE key = 'notes/1'")
    database.close()
    ran = call("export", "-o", project / "out.jsonl")

    assert 6 == ran.status
    assert "damaged and left out: notes/1 version 1\n" in ran.err
    assert "notes/2" in (project / "out.jsonl").read_text()
    assert 6 == call("get", "notes/1").status
