"""The route of hooks: which store, what is said, what is lost when the server dies, and its end."""

import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import httpx2
import pytest
from hook_replay import COMMAND, GIT, WAIT_S, counted, memory
from http_stage import Held, refused, until

from swarm_memory import Swarm
from swarm_memory.doors.hooks.log import log_path
from swarm_memory.wiring import hooks

COMMON = {"session_id": "3f2a9c1b-5d2e-4a61-9c07-1f0b6f1d2a01", "cwd": "$PROJECT"}
PROMPT = COMMON | {"hook_event_name": "UserPromptSubmit", "prompt": "remember: ports are fixed"}
START = COMMON | {"hook_event_name": "SessionStart", "source": "startup", "session_id": "other"}
EDIT = COMMON | {
    "hook_event_name": "PostToolUse",
    "tool_name": "Edit",
    "tool_use_id": "t1",
    "tool_input": {"file_path": "$PROJECT/src/a.py", "old_string": "a", "new_string": "b"},
    "tool_response": {"filePath": "$PROJECT/src/a.py", "success": True},
    "duration_ms": 12,
}


def test_it_answers_what_the_command_prints(server):
    said = server.post(server.raw(PROMPT))
    assert (200, b"") == (said.status_code, said.content)

    said = server.post(server.raw(START))

    assert (200, "application/json") == (said.status_code, said.headers["content-type"])
    context = said.json()["hookSpecificOutput"]["additionalContext"]
    assert "ports are fixed" in context


def test_the_path_names_an_event_that_does_not_say_so(server):
    event = {name: value for name, value in PROMPT.items() if name != "hook_event_name"}

    assert 200 == server.post(server.raw(event), "/hook/UserPromptSubmit").status_code

    assert 1 == counted(memory(server))["notes"]


def test_it_answers_what_the_settings_send(served):
    token = "an-arbitrary-token"
    served.start(SWARM_MEMORY_TOKEN=token)
    [handler] = hooks.group(hooks.Hook("Stop"), http_port=served.port)["hooks"]
    headers = {
        name: value.replace(f"${handler['allowedEnvVars'][0]}", token)
        for name, value in handler["headers"].items()
    }

    said = httpx2.post(
        handler["url"],
        content=served.raw(PROMPT),
        headers=headers | {"Content-Type": "application/json"},
        timeout=WAIT_S,
    )

    assert (200, b"") == (said.status_code, said.content)
    assert 1 == counted(memory(served))["notes"]


def test_one_server_keeps_each_project_in_its_own_store(server):
    other = server.folder / "another"
    subprocess.run([*GIT, "init", "-q", str(other)], check=True)
    note = PROMPT | {"cwd": str(other / ".git" / ".."), "prompt": "remember: elsewhere it rains"}

    server.process(PROMPT)
    server.process(note)
    server.process(EDIT)

    got = counted(memory(server))
    assert (1, {"ok": 1}) == (got["notes"], got["operations"])
    with Swarm.open(f"sqlite:///{other}/.swarm-memory/memory.db") as swarm:
        assert ["elsewhere it rains"] == [r.value for r in swarm.records.each()]


def test_a_named_store_is_that_of_all_projects(served, tmp_path):
    url = f"sqlite:///{tmp_path}/named.db"
    served.start("--url", url)

    served.process(PROMPT)

    assert not os.path.exists(served.store)
    with Swarm.open(url) as swarm:
        assert ["ports are fixed"] == [r.value for r in swarm.records.each()]


def test_a_store_that_was_deleted_meanwhile_is_made_anew(server):
    server.process(EDIT)
    shutil.rmtree(os.path.dirname(server.store))

    server.process(EDIT | {"tool_use_id": "t2"})

    assert [] == server.failures()
    assert {"ok": 1} == counted(memory(server))["operations"]


def test_a_paused_store_is_left_alone_and_goes_on(server):
    server.process(EDIT)
    pause = Path(server.store + "-paused")
    pause.touch()
    server.process(EDIT | {"tool_use_id": "t2"})
    pause.unlink()
    server.process(EDIT | {"tool_use_id": "t3"})

    assert {"ok": 2} == counted(memory(server))["operations"]


def test_shown_nothing_means_kept_all(served):
    served.start(SWARM_MEMORY_INJECT="off")

    assert ["", ""] == [served.process(event) for event in (PROMPT, START)]
    assert 1 == counted(memory(served))["notes"]


def test_a_body_that_is_no_event_is_logged_and_answered_with_nothing(server):
    log = Path(log_path(None, server.environment))
    for number, raw in enumerate([b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b"{}"], 1):
        said = server.post(raw)

        assert (raw, 200, b"") == (raw, said.status_code, said.content)
        assert (raw, number) == (raw, len(log.read_text().splitlines()))


def test_a_store_that_cannot_be_opened_is_logged_and_tried_again(server):
    os.makedirs(os.path.dirname(server.store))
    Path(server.store).write_bytes(b"this is no database, " * 500)

    assert ["", ""] == [server.process(event) for event in (EDIT, PROMPT)]
    os.unlink(server.store)
    server.process(EDIT)

    assert ["PostToolUse:", "UserPromptSubmit:"] == [line.split()[1] for line in server.failures()]
    assert {"ok": 1} == counted(memory(server))["operations"]


# --- many at once --------------------------------------------------------------------------------


def test_of_sixteen_posts_at_once_every_write_is_there(server):
    events = [EDIT | {"tool_use_id": f"t{n}", "session_id": f"s{n % 4}"} for n in range(16)]

    with ThreadPoolExecutor(16) as pool:
        said = list(pool.map(server.process, events))

    assert [""] * 16 == said
    assert [] == server.failures()
    assert {"ok": 16} == counted(memory(server))["operations"]


def test_who_waits_holds_nobody_up(server):
    held = Held(server.folder / "held")
    event = held.event(hook_event_name="UserPromptSubmit", prompt="remember: it was slow")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(server.process, event)
        let_go = held.entered()

        health = httpx2.get(f"{server.base}/healthz", timeout=WAIT_S)
        server.process(PROMPT)
        waits = not slow.done()
        held.let_go(let_go)

        assert "" == slow.result(WAIT_S)
    assert (200, "ok", True) == (health.status_code, health.json()["status"], waits)
    assert 1 == counted(memory(server))["notes"]


# --- its end -------------------------------------------------------------------------------------


def test_sigterm_lets_it_answer_what_it_began_and_ends_it_with_0(server):
    held = Held(server.folder / "held")
    event = held.event(hook_event_name="UserPromptSubmit", prompt="remember: it was slow")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(server.process, event)
        let_go = held.entered()

        server.server.send_signal(signal.SIGTERM)
        until(lambda: refused(server.port))
        held.let_go(let_go)

        assert "" == slow.result(WAIT_S)
    assert 0 == server.server.wait(WAIT_S)
    with Swarm.open(f"sqlite:///{held.folder}/.swarm-memory/memory.db") as swarm:
        assert ["it was slow"] == [r.value for r in swarm.records.each()]


def test_nothing_acknowledged_is_lost_when_it_is_killed(server):
    kept, lost = set(), 0
    with ThreadPoolExecutor(4) as pool:
        posts = {
            pool.submit(server.process, EDIT | {"tool_use_id": f"t{n}"}): f"t{n}"
            for n in range(200)
        }
        for post in as_completed(posts):
            if post.exception() is None:
                kept.add(posts[post])
            else:
                assert isinstance(post.exception(), httpx2.TransportError)
                lost += 1
            if len(kept) == 20:
                server.server.send_signal(signal.SIGKILL)

    assert lost > 0
    operations = {key.rpartition("/")[2] for key, *_ in memory(server)[0] if "operations" in key}
    assert set() == kept - operations
    with Swarm.open(server.url) as swarm:
        assert swarm.verify().ok


def test_a_server_that_is_gone_refuses_at_once_and_its_successor_has_the_port(server):
    server.process(EDIT)
    server.kill()

    with pytest.raises(httpx2.ConnectError):  # what Claude Code goes on after
        server.process(EDIT | {"tool_use_id": "t2"})
    server.start(port=server.port)
    server.process(EDIT | {"tool_use_id": "t3"})

    assert {"ok": 2} == counted(memory(server))["operations"]


def test_a_port_that_is_taken_is_an_error_that_says_what_to_do(server):
    ran = subprocess.run(
        [COMMAND, "serve", "--port", str(server.port)],
        capture_output=True,
        timeout=WAIT_S,
        env=server.environment,
        cwd=server.folder,
    )

    assert 2 == ran.returncode
    assert b"--port takes another one" in ran.stderr


def test_hooks_as_processes_load_nothing_of_the_server():
    code = "import sys, swarm_memory.doors.hooks; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    loaded = ran.stdout.decode().split()
    assert [] == [n for n in loaded if n.startswith(("swarm_memory.doors.http", "starlette"))]
