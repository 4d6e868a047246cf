"""The policy of recording: what is kept of an operation, and what never is."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from secret_kinds import ALNUM, some

from swarm_memory.codec import check_value
from swarm_memory.commands import command_of, names_of
from swarm_memory.config import load_config
from swarm_memory.errors import ConfigError, InvalidArgumentError
from swarm_memory.failures import failure_of
from swarm_memory.recording import DENIED_PATH, OUTSIDE, Policy

TOKEN = "gh" + "p_" + some(random.Random(3), ALNUM, 36)
METADATA = Policy(root="/home/bob/app")
FULL = Policy("full", root="/home/bob/app")


def stored(operation):
    return json.dumps(operation.to_dict(), ensure_ascii=False)


# --- metadata -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tool", "tool_input", "expected"),
    [
        ("Read", {"file_path": "/home/bob/app/src/a.py"}, ("read", "src/a.py")),
        ("Write", {"file_path": "/home/bob/app/a.md", "content": "x"}, ("write", "a.md")),
        ("Edit", {"file_path": "a.md", "old_string": "x", "new_string": "y"}, ("edit", "a.md")),
        ("MultiEdit", {"file_path": "a.md", "edits": [{"new_string": "y"}]}, ("edit", "a.md")),
        ("NotebookEdit", {"notebook_path": "n.ipynb", "new_source": "1"}, ("edit", "n.ipynb")),
        ("Grep", {"pattern": "def", "path": "src"}, ("search", "src")),
        ("Glob", {"pattern": "**/*.py"}, ("search", None)),
        ("Bash", {"command": "make"}, ("command", None)),
        ("Task", {"prompt": "p", "subagent_type": "coder"}, ("agent", None)),
        ("Agent", {"prompt": "p", "subagent_type": "coder"}, ("agent", None)),
        ("WebFetch", {"url": "https://a.example", "prompt": "p"}, ("fetch", None)),
        ("mcp__files__read", {"path": "src/a.py"}, ("mcp", "src/a.py")),
        ("SomethingNew", {"x": [1, {"y": None}]}, ("other", None)),
    ],
)
def test_a_tool_has_a_class_and_its_path_is_relative(tool, tool_input, expected):
    kept = METADATA.decide(tool, tool_input, {})

    assert (tool, *expected, "ok") == (kept.tool, kept.operation, kept.path, kept.exit)


def test_metadata_holds_no_content_prompt_argument_or_output():
    private = "my private diary"
    operations = [
        ("Write", {"file_path": "a.md", "content": private}, {"filePath": "a.md"}),
        ("Edit", {"file_path": "a.md", "old_string": private, "new_string": private}, {}),
        ("NotebookEdit", {"notebook_path": "n.ipynb", "new_source": private}, {}),
        ("Read", {"file_path": "a.md"}, {"content": private}),
        ("Grep", {"pattern": private}, private),
        ("Bash", {"command": f"echo {private}", "description": private}, {"stdout": private}),
        ("Task", {"prompt": private, "description": private}, {"content": [private]}),
        ("WebFetch", {"url": f"https://a.example/{private}", "prompt": private}, private),
        ("mcp__a__b", {"text": private}, [{"type": "text", "text": private}]),
        ("Unknown", {private: private}, {private: private}),
    ]

    kept = [stored(METADATA.decide(*operation)) for operation in operations]
    kept += [stored(METADATA.decide(*operation, error=private)) for operation in operations]
    kept += [stored(METADATA.decide(*o, error=f"Exit code 1\n{private}")) for o in operations]

    assert [] == [text for text in kept if "diary" in text]


def test_sizes_are_bytes_of_texts_and_equal_contents_have_equal_hashes():
    one = METADATA.decide("Write", {"file_path": "a", "content": "ü"}, "done")
    same = METADATA.decide("Write", {"file_path": "b", "content": "ü"}, "done")
    other = METADATA.decide("Write", {"file_path": "a", "content": "u"}, "done")

    assert (3, 4) == (one.input_bytes, one.output_bytes)
    assert one.hash == same.hash != other.hash


def test_the_hash_of_a_command_says_nothing_of_its_secrets():
    one = METADATA.decide("Bash", {"command": "login --password hunter2"})
    other = METADATA.decide("Bash", {"command": "login --password swordfish77"})

    assert one.hash == other.hash


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("ok", None)),
        ({"output": {"stdout": "x", "interrupted": False}}, ("ok", None)),
        ({"output": {"interrupted": True}}, ("interrupted", None)),
        ({"output": {"isError": True}}, ("failed", None)),
        ({"output": {"success": False}}, ("failed", None)),
        ({"output": {"exit_code": 0}}, ("ok", 0)),
        ({"output": {"exit_code": 2}}, ("failed", 2)),
        ({"error": "Exit code 2\nx"}, ("failed", 2)),
        ({"error": "Exit code 124"}, ("timeout", 124)),
        ({"error": "Command timed out after 2m 0.0s"}, ("timeout", None)),
        ({"error": "Exit code 130"}, ("interrupted", 130)),
        ({"error": "x", "interrupted": True}, ("interrupted", None)),
        ({"error": ""}, ("failed", None)),
        ({"denied": True}, ("denied", None)),
    ],
)
def test_how_an_operation_ended(given, expected):
    kept = METADATA.decide("Bash", {"command": "make"}, **given)

    assert expected == (kept.exit, kept.exit_code)


# --- commands -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "name", "kind"),
    [
        ("pytest -q tests", "pytest", "test"),
        ("cd app && NODE_ENV=test sudo npm test -- --x", "npm test", "test"),
        ("timeout -k 5 60 .venv/bin/python -m pytest -x", "pytest", "test"),
        ("uv run pytest", "pytest", "test"),
        ("for i in 1 2; do cargo test; done", "cargo test", "test"),
        ("npm run build", "npm build", "build"),
        ("make -j4", "make", "build"),
        ("docker build -t x .", "docker build", "build"),
        ("git -C /x commit -m 'a; b'", "git", "git"),
        ("git commit -m 'a && pytest'", "git commit", "git"),
        ("pip install -r r.txt", "pip install", "install"),
        ("sudo apt-get install -y jq", "apt-get install", "install"),
        ("rg -n foo src | head", "rg", "search"),
        ("cat <<'EOF' > x\npytest\nEOF", "cat", "other"),
        ("./scripts/deploy.sh prod", "deploy.sh", "other"),
        ("python script.py", "python", "other"),
        ("", "other", "other"),
        ("'", "other", "other"),
        ("$(x) `y`", "other", "other"),
        (f"{TOKEN} x", "other", "other"),
        ("FOO=1", "other", "other"),
    ],
)
def test_a_command_has_a_name_and_a_class(line, name, kind):
    assert (name, kind) == command_of(line)


def test_a_line_has_the_names_of_all_its_commands_and_of_nothing_that_is_quoted():
    assert ["cd", "git add", "git commit"] == names_of("cd a && git add -A; git commit -m 'x'")
    assert ["git log"] == names_of("git log --grep 'x; git commit'")


# --- failures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, None),
        (5, "failed"),
        ("Exit code 1\nwhat the program printed", "failed"),
        (
            'Traceback (most recent call last):\n  File "/a/b.py", line 3\n    x()\n'
            "ValueError: invalid literal for int() with base 10: 'abc'",
            "ValueError: invalid literal for int() with base <n>: <text>",
        ),
        ("Exit code 127\nbash: foo: command not found", "bash: foo: command not found"),
        ("src/a.c:12:3: error: expected ';'", "<path>:<n>: error: expected <text>"),
        ("E   AssertionError: assert 'content' == 'x'", "AssertionError"),
        (
            "Exit code 1\nError: Cannot find module 'express'\nat /x/y.js:3",
            "Error: Cannot find module express",
        ),
        ("ModuleNotFoundError: No module named 'x.y'", "ModuleNotFoundError: No module named x.y"),
        ("String to replace not found in file.\nString: x", "String to replace not found in file."),
    ],
)
def test_a_failure_is_its_telling_line(error, expected):
    assert expected == failure_of(error)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cat: /home/bob/a.txt: No such file or directory",
         "cat: ./b/c.txt: No such file or directory"),
        ("OSError: [Errno 98] port 8080", "OSError: [Errno 98] port 9090"),
        ("KeyError: 'a'", 'KeyError: "b"'),
        ("fatal: bad object 3f786850e387550fdab836ed7e6dc881de23001b",
         "fatal: bad object 89e6c98d"),
        ("\x1b[31merror: x took 12.5s\x1b[0m", "error: x took 7s"),
    ],
)  # fmt: skip
def test_equal_failures_group(one, other):
    assert failure_of(one) == failure_of(other) not in (None, "failed")


def test_a_failure_holds_no_secret():
    failure = failure_of(f"fatal: could not read from https://x:{TOKEN}@example.com/a?b={TOKEN}")

    assert failure.startswith("fatal: could not read")
    assert TOKEN not in failure
    assert "hunter2" not in failure_of("error: login failed with password=hunter2")


# --- denied paths -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [".env", "/home/bob/app/.env", "deploy/.env.production", "prod.env", "certs/a.pem", "a.KEY",
     "/home/bob/.ssh/config", "/home/bob/.ssh/id_rsa", "id_ed25519", "~/.aws/credentials",
     "C:\\Users\\bob\\.ssh\\id_rsa", "secrets/db.txt", "config/secrets.yaml", "vault.kdbx",
     "credentials.json", ".netrc", ".npmrc", "src/../.env", ".ENV", "a/" + "b" * 300, "a\x01b"],
)  # fmt: skip
def test_of_a_path_on_the_deny_list_only_a_marker_is_kept(path):
    for policy in (METADATA, FULL):
        kept = policy.decide("Read", {"file_path": path}, {"content": "S3CRET"}, error="E: S3CRET")

        assert DENIED_PATH == kept.path
        assert (None, None, None) == (kept.hash, kept.output_bytes, kept.error)
        assert path not in stored(kept)
        assert "S3CRET" not in stored(kept)


@pytest.mark.parametrize(
    "path",
    ["src/environment.py", ".env.example", "docs/secrets-of-speed.md", "keys.py", "tokenizer.json",
     "id_rsa.pub", "src/credentials_form.tsx", "monkey.py", "app/[id]/page.tsx", "."],
)  # fmt: skip
def test_other_paths_are_kept(path):
    kept = METADATA.decide("Read", {"file_path": path})

    assert (path if path != "." else "**") == kept.path


def test_of_a_path_outside_the_project_only_its_name_is_kept():
    kept = METADATA.decide("Read", {"file_path": "/home/alice/else/notes.md"})

    assert f"{OUTSIDE}/notes.md" == kept.path


def test_globs_of_ones_own_deny_and_allow_again():
    policy = Policy(denied=["*.tax", "private/**", "!.env.ci", "/top.md"], root="/r")

    denied = [p for p in ("2026.tax", "a/private/x", ".env.ci", ".env", "top.md", "b.md")
              if policy.is_denied(p)]  # fmt: skip

    assert ["2026.tax", "a/private/x", ".env", "top.md"] == denied


def test_a_glob_that_is_none_is_refused():
    with pytest.raises(InvalidArgumentError):
        Policy(denied=["a[z-a]"])


# --- off and full -------------------------------------------------------------------------------


def test_off_records_nothing():
    assert Policy("off").decide("Write", {"file_path": "a", "content": "x"}, {}) is None


def test_full_keeps_input_and_output_without_their_secrets():
    kept = FULL.decide(
        "Bash", {"command": f"deploy --token {TOKEN}"}, {"stdout": "password=hunter2\nok"}
    )

    assert {"command": "deploy --token [secret:github-token]"} == kept.input
    assert {"stdout": "password=[secret:password]\nok"} == kept.output
    assert {"github-token": 1, "password": 1} == kept.secrets


def test_full_keeps_the_error_of_what_failed():
    kept = FULL.decide("Bash", {"command": "x"}, error=f"Exit code 1\nbad {TOKEN}")

    assert {"error": "Exit code 1\nbad [secret:github-token]"} == kept.output


@pytest.mark.parametrize("command", ["cat .env", "base64 < ~/.ssh/id_rsa", "head -3 'x/.netrc'"])
def test_the_output_of_a_command_that_names_a_denied_path_is_not_kept(command):
    kept = FULL.decide("Bash", {"command": command}, {"stdout": "hunter2"})

    assert DENIED_PATH == kept.output
    assert "hunter2" not in stored(kept)


def test_full_cuts_after_redacting_so_that_no_half_of_a_secret_stays():
    policy = Policy("full", bytes_max=60)

    kept = policy.decide("X", {"a": "b"}, "x" * 40 + " " + TOKEN + "y" * 100)

    assert kept.output.startswith("x" * 40 + " [secret:github-tok")
    assert kept.output.endswith(" bytes cut]")
    assert TOKEN[:12] not in kept.output


# --- anything -----------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
FIELDS = st.sampled_from(["file_path", "path", "command", "content", "edits", "prompt", "x"])
TOOLS = st.sampled_from(["Bash", "Read", "Edit", "MultiEdit", "Grep", "Task", "mcp__a__b"]) | JSON


@settings(deadline=None)  # the first example pays for the patterns
@given(TOOLS, JSON | st.dictionaries(FIELDS, JSON), JSON, JSON, JSON, JSON)
def test_any_input_is_decided_and_what_is_kept_can_be_stored(tool, given_, output, error, flag, ms):
    for record in ("metadata", "full"):
        policy = Policy(record, root="/r", bytes_max=200)
        kept = policy.decide(
            tool, given_, output, error=error, interrupted=flag, denied=flag, duration_ms=ms
        )

        check_value(kept.to_dict())
        json.dumps(kept.to_dict(), ensure_ascii=False).encode()
        assert kept.exit in ("ok", "failed", "timeout", "interrupted", "denied")
        assert (kept.input is None) or record == "full"


def test_half_characters_and_deep_values_are_decided():
    deep = "x"
    for _ in range(3000):
        deep = [deep]
    half = json.loads('"\\ud800"')

    kept = FULL.decide(half, {"file_path": half, "command": half, "x": deep}, {half: deep})

    json.dumps(kept.to_dict(), ensure_ascii=False).encode()
    assert "other" == kept.operation


# --- settings -----------------------------------------------------------------------------------


def test_metadata_is_the_default_and_a_variable_turns_recording_off():
    assert ("metadata", ()) == (load_config().record, load_config().record_denied)
    assert "off" == load_config(None, {"SWARM_MEMORY_RECORD": "off"}).record


def test_globs_of_a_variable_are_added_to_those_of_the_file(tmp_path):
    path = tmp_path / "schema.json"
    path.write_text(json.dumps({"settings": {"record_denied": ["*.tax"]}}))

    config = load_config(str(path), {"SWARM_MEMORY_RECORD_DENIED": "private/**, !.env.ci"})

    assert ("*.tax", "private/**", "!.env.ci") == config.record_denied
    assert ["*.tax", "private/**", "!.env.ci"] == config.to_dict()["settings"]["record_denied"]


@pytest.mark.parametrize(
    "settings",
    [{"record": "some"}, {"record": True}, {"record_denied": "x"}, {"record_denied": [1]},
     {"record_denied": ["a[z-a]"]}, {"record_bytes_max": -1}],
)  # fmt: skip
def test_settings_that_are_none_are_refused(tmp_path, settings):
    path = tmp_path / "schema.json"
    path.write_text(json.dumps({"settings": settings}))

    for environment in ({}, {"SWARM_MEMORY_RECORD_DENIED": "*.tax"}):
        with pytest.raises(ConfigError, match=next(iter(settings))):
            load_config(str(path), environment)
