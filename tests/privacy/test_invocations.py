"""What is kept of a command beside its name: a form without arguments, and a check's verdict."""

import pytest

from swarm_memory.invocations import invocations_of, telling
from swarm_memory.prompts import correction_of
from swarm_memory.recording import Policy
from swarm_memory.verdicts import places_of, verdict_of


def form(line):
    return telling(invocations_of(line)).form


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("cd app && CI=1 uv run pytest -q tests/test_login.py | tail -5", "uv run pytest"),
        ("./dev test", "./dev test"),
        ("npm run test:unit -- foo", "npm run test:unit"),
        ("PYTHONPATH=src /opt/x/bin/python -m pytest tests", "python -m pytest"),
        ("timeout 60 go test ./... -run X", "go test"),
        ("python3 manage.py test shop", "python3 manage.py test"),
        ("npm install && npm test", "npm test"),
        ("ruff check --fix src && mypy", "mypy"),
        ("git reset --hard HEAD~1", "git reset --hard"),
        ("git stash pop", "git stash pop"),
        ("./login hunter2", "./login"),
        ("just deploy-customer-x", "just deploy-customer-x"),
        ("./dev deploycustomer", "./dev"),
        ("python - <<EOF\nimport secret\nEOF\npytest", "pytest"),
    ],
)
def test_a_command_has_a_form_that_holds_no_argument(line, expected):
    assert expected == form(line)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("./dev test", "test"),
        ("make check", "test"),
        ("scripts/run_tests.sh", "test"),
        ("ruff check", "lint"),
        ("npx tsc --noEmit", "lint"),
        ("npm run build", "build"),
        ("uv sync", "install"),
        ("git commit -m test", "git"),
        ("curl https://x.example/test", "other"),
    ],
)
def test_a_form_has_a_class(line, kind):
    assert kind == telling(invocations_of(line)).kind


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("pytest", False),
        ("cd x && pytest", False),
        ("pytest | tail -5", True),
        ("pytest || true", True),
        ("pytest; echo done", True),
        ("set -o pipefail; pytest | tail", False),
        ("pytest && echo ok | cat", True),
        ("pytest 2>&1", False),
    ],
)
def test_an_exit_status_that_is_not_the_commands_own_is_known(line, masked):
    assert masked == telling(invocations_of(line)).masked


@pytest.mark.parametrize(
    ("line", "narrowed", "targets"),
    [
        ("pytest", False, ()),
        ("pytest tests/a.py", False, ("tests/a.py",)),
        ("pytest tests/a.py::test_x", True, ("tests/a.py",)),
        ("pytest -k login", True, ()),
        ("npm test -- login", True, ()),
        ("git checkout -- src/a.py", False, ("src/a.py",)),
        ("git checkout .", False, (".",)),
        ("cat src/a.py", False, ()),
    ],
)
def test_a_part_is_told_from_the_whole(line, narrowed, targets):
    [one] = invocations_of(line) or [telling(invocations_of("x"))]
    assert (narrowed, targets) == (one.narrowed, one.targets)


def test_no_argument_is_kept():
    line = "pytest --token s3cr3t-Pa55 'the words' && ./dev test hunter2 < notes; mysql -p hunter2"
    kept = Policy(root="/p").decide("Bash", {"command": line}, {"stdout": ""}).to_dict()

    assert not any(word in str(kept) for word in ("s3cr3t", "words", "hunter2", "notes"))


def test_files_of_a_check_are_kept_as_paths_are():
    policy = Policy(root="/p", folder="/p")
    line = "pytest tests/a.py secrets/b.py /p/tests/c.py /etc/d.py"
    error = "Exit code 1\nFAILED tests/a.py::test_x - KeyError: 'secret words'"

    kept = policy.decide("Bash", {"command": line}, error=error).invocation

    assert ["tests/a.py", "tests/c.py"] == kept["targets"]
    assert "places" not in kept  # the line names a file of which nothing may be kept
    assert "secret words" not in str(kept)


@pytest.mark.parametrize(
    ("output", "verdict"),
    [
        ("==== 3 passed in 0.31s ====", "passed"),
        ("===== 1 failed, 3 passed in 0.31s =====", "failed"),
        ("3 passed, 1 warning in 0.20s", "passed"),
        ("!!!!!! Interrupted: 1 error during collection !!!!!!", "failed"),
        ("Tests:       2 failed, 5 passed, 7 total", "failed"),
        ("Tests:       5 passed, 5 total", "passed"),
        ("test result: ok. 4 passed; 0 failed; 0 ignored", "passed"),
        ("test result: FAILED. 4 passed; 1 failed; 0 ignored", "failed"),
        ("--- FAIL: TestLogin (0.00s)", "failed"),
        ("ok  \tx.example/app\t0.012s", "passed"),
        ("Ran 4 tests in 0.001s\n\nOK", "passed"),
        ("FAILED (failures=1)", "failed"),
        ("Found 3 errors.", "failed"),
        ("All checks passed!", "passed"),
        ("Success: no issues found in 3 source files", "passed"),
        ("src/a.ts(3,5): error TS2304: Cannot find name 'x'.", "failed"),
        ("I failed to see why 3 tests passed", None),
        ("", None),
    ],
)
def test_a_summary_says_how_a_check_ended(output, verdict):
    assert verdict == verdict_of(f"something before\n{output}\n")


def test_a_summary_names_the_files_that_failed():
    assert ["tests/a.py"] == places_of("FAILED tests/a.py::test_x - assert 1\n1 failed")
    assert ["src/b.rs"] == places_of("error[E0308]\n  --> src/b.rs:3:9")
    traceback = 'File "src/a.py", line 3, in f\n  File "src/b.py", line 4, in g\n'
    assert ["src/b.py"] == places_of(traceback + '  File "lib/python3/site-packages/x.py", line 1')
    assert [] == places_of("tests/a.py is a file")


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ("No, that is wrong", "correction"),
        ("it still fails with the same error", "correction"),
        ("You broke the login", "correction"),
        ("Revert that please", "correction"),
        ("the build still fails", "correction"),
        ("the tests fail", None),  # that may be what is to be done
        ("Now add a test", None),
        ("Nobody uses this, remove it", None),
        ("nothing else", None),
        ("fix the failing tests", None),
        ("", None),
    ],
)
def test_a_prompt_that_corrects_is_known_by_its_beginning(prompt, says):
    assert says == correction_of(prompt)
