"""The routes of the dashboard, without a browser."""

import json
import subprocess
import time

import pytest
from dashboard_stage import COMMAND, environment

from swarm_memory.doors.dashboard.files import Files

WEIGHT_MAX = 300 * 1000
SHELL = ["/ui/", "/ui/app.js", "/ui/style.css", "/ui/pages/now.js", "/ui/vendor/uPlot.iife.min.js"]


def test_all_pages_together_weigh_less_than_300_kilobytes():
    assert 0 < Files().size_bytes <= WEIGHT_MAX


def test_a_browser_is_led_to_the_pages_and_a_program_is_not(reading):
    browser, program = {"Accept": "text/html,*/*"}, {"Accept": "*/*"}

    assert "/ui/" == reading.ask("/", headers=browser).headers["location"]
    assert "/ui/" == reading.ask("/ui", headers=browser).headers["location"]
    assert 404 == reading.ask("/", headers=program).status_code


@pytest.mark.parametrize("path", SHELL)
def test_the_files_need_no_token_and_allow_only_this_server(path, acting):
    answer = acting.ask(path, headers={"Authorization": ""})

    assert 200 == answer.status_code
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    assert "nosniff" == answer.headers["x-content-type-options"]
    tag = {"If-None-Match": answer.headers["etag"], "Authorization": ""}
    assert 304 == acting.ask(path, headers=tag).status_code


@pytest.mark.parametrize(
    "path",
    [
        "/ui/data/start",
        "/ui/data/swarms/s/now",
        "/ui/data/swarms/s/news",
        "/ui/../v1/swarms/s/records",
        "/ui/%2e%2e/%2e%2e/etc/passwd",
        "/ui/nothing.js",
    ],
)
def test_without_the_token_nothing_but_the_files_is_answered(path, acting):
    assert 401 == acting.ask(path, headers={"Authorization": "Bearer no"}).status_code


@pytest.mark.parametrize(
    ("status", "path"),
    [
        (200, "now"),
        (200, "activity"),
        (200, "level?prefix=notes&limit=5"),
        (200, "shown?agent=a&kind=memory&limit=5"),
        (400, "now?more=1"),
        (400, "level?limit=none"),
        (400, "level?limit=0"),
        (400, "level?prefix=%2F%2F"),
        (400, "record"),
        (400, "shown?before=-1"),
        (404, "record?key=nowhere"),
        (404, "nothing"),
    ],
)
def test_a_question_is_answered_or_refused_with_a_reason(status, path, acting):
    answer = acting.ask(f"/ui/data/swarms/questions/{path}")

    assert status == answer.status_code
    assert status == 200 or answer.json()["message"]


def test_pages_of_other_origins_get_nothing(reading):
    evil = {"Origin": "http://evil.example"}

    assert 403 == reading.ask("/ui/data/swarms/s/now", headers=evil).status_code


def test_ui_uses_the_server_that_runs(acting, tmp_path):
    run = subprocess.run(
        [*COMMAND, "--json", "ui", "--no-open", "--port", str(acting.port)],
        capture_output=True,
        env=environment(SWARM_MEMORY_TOKEN=f"{acting.token} another"),
        cwd=tmp_path,
        text=True,
        timeout=60,
    )

    assert f"{acting.base}/ui/#token={acting.token}" == json.loads(run.stdout)["address"]
    assert "a server runs there already" in run.stderr


def test_ui_starts_a_server_with_a_token_that_no_command_line_shows(tmp_path):
    browser = tmp_path / "browser"
    browser.write_text(
        "#!/bin/sh\n"
        f'stat -c %a "${{1#file://}}" > {tmp_path}/mode\n'
        f'echo "$@" > {tmp_path}/arguments\n'
        f'cat "${{1#file://}}" > {tmp_path}/page.part && mv {tmp_path}/page.part {tmp_path}/page\n'
    )
    browser.chmod(0o700)
    started = subprocess.Popen(
        [*COMMAND, "--url", f"sqlite:///{tmp_path}/m.db", "--json", "ui", "--port", "0"],
        stdout=subprocess.PIPE,
        env=environment(BROWSER=str(browser)),
        cwd=tmp_path,
        text=True,
    )
    try:
        address = json.loads(started.stdout.readline())["address"]
        end = time.monotonic() + 10
        while not (tmp_path / "page").exists() and time.monotonic() < end:
            time.sleep(0.02)
    finally:
        started.terminate()
        assert 0 == started.wait(20)
        started.stdout.close()

    token = address.partition("#token=")[2]
    assert len(token) >= 32
    assert token in (tmp_path / "page").read_text()
    assert token not in (tmp_path / "arguments").read_text()
    assert "600" == (tmp_path / "mode").read_text().strip()
