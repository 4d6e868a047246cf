"""Anthropic's memory tool, beside the package's own on random commands, and by many processes."""

import asyncio
import json
import os
import random
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from adapter_processes import PROCESSES, run_all, times

pytest.importorskip("anthropic", reason="needs swarm-memory[anthropic]")

from anthropic import Anthropic
from anthropic.tools import ToolError
from anthropic.tools.memory import BetaLocalFilesystemMemoryTool

from swarm_memory import Swarm
from swarm_memory.adapters.anthropic_memory import AsyncSwarmMemoryTool, SwarmMemoryTool

SEEDS, STEPS = 40, 60


@pytest.fixture
def swarm(engine_url):
    with Swarm.open(engine_url, agent="test", durability="relaxed") as swarm:
        yield swarm


@pytest.fixture
def tool(swarm):
    return SwarmMemoryTool(swarm)


def do(tool, command, **fields):
    """Call the tool as the SDK does, with the input that the model gave."""
    return tool.call({"command": command, **fields})


def answer(tool, command, **fields):
    try:
        return do(tool, command, **fields)
    except ToolError as error:
        return f"refused: {error}"
    except OSError:
        return "refused"


def create(tool, path, text="one\ntwo\n"):
    return do(tool, "create", path=path, file_text=text)


# --- beside the package's own ---

NAMES = ["a", "b", "a.txt", ".hidden", "B", "ü", "x y", "sub"]
TEXTS = ["", "a", "one\ntwo\nthree", "one\ntwo\n", "aa aa\r\naa", "\n\n", "ü\n" * 1200, "a\nb\na"]


def some_path(choose):
    names = [choose.choice(NAMES) for _ in range(choose.choice([1, 1, 2, 2, 3]))]
    if choose.random() < 0.1:
        names.insert(choose.randrange(len(names) + 1), choose.choice(["..", ".", ""]))
    return "/".join(["/memories", *names]) if choose.random() < 0.95 else "/memories"


def some_command(choose):
    path = some_path(choose)
    line = choose.randrange(-1, 5)
    return choose.choice(
        [
            {"command": "view", "path": path},
            {"command": "view", "path": path, "view_range": [line, choose.choice([-1, 2, 3])]},
            {"command": "create", "path": path, "file_text": choose.choice(TEXTS)},
            {"command": "create", "path": path, "file_text": choose.choice(TEXTS)},
            {
                "command": "str_replace",
                "path": path,
                "old_str": choose.choice(["a", "two", "", "aa", "\n", "zzz"]),
                "new_str": choose.choice(["", "a", "two\nlines"]),
            },
            {
                "command": "insert",
                "path": path,
                "insert_line": line,
                "insert_text": choose.choice(["new", "new\n", "", "two\nlines\n\n"]),
            },
            {"command": "delete", "path": path},
            {"command": "rename", "old_path": path, "new_path": some_path(choose)},
        ]
    )


def without_empty_directories(root):
    """Remove them: in the swarm a directory is there as long as something lies in it."""
    for folder, _, _ in os.walk(root, topdown=False):
        if folder != str(root) and not os.listdir(folder):
            os.rmdir(folder)


def comparable(text):
    """Leave out the sizes of directories, which are those of the file system."""
    if text.startswith("Here're"):
        text = re.sub(r"^\S+\t(?=.*/$)", "-\t", text, flags=re.MULTILINE)
        text = re.sub(r"\n\S+\t", "\n-\t", text, count=1)
    return text


@pytest.mark.parametrize("seed", range(SEEDS))
def test_it_answers_as_the_packages_own_tool_on_random_commands(seed, tmp_path):
    choose = random.Random(seed)
    theirs = BetaLocalFilesystemMemoryTool(str(tmp_path))
    done = 0

    with Swarm.open("sqlite:///:memory:") as swarm:
        mine = SwarmMemoryTool(swarm)
        for _ in range(STEPS):
            command = some_command(choose)
            expected = comparable(answer(theirs, **command))
            without_empty_directories(theirs.memory_root)

            answered = comparable(answer(mine, **command))
            if expected == "refused":  # by the file system, with no words for Claude
                assert answered.startswith("refused: "), command
            else:
                assert expected == answered, command
            done += not expected.startswith("refused")
        everything = [comparable(answer(each, "view", path="/memories")) for each in (theirs, mine)]

    assert everything[0] == everything[1]
    assert done > STEPS / 10


# --- paths ---

OUTSIDE = [
    "/etc/passwd",
    "memories/x",
    "",
    "/",
    "/memoriesx",
    "/memories../x",
    "/memories/..",
    "/memories/../x",
    "/memories/a/../../x",
    "/memories/../memories/x",
    "/memories/./../x",
    "//memories/x",
    "/Memories/x",
    "/memories/nul\x00/x",
    "\\memories\\x",
    "C:/memories/x",
    "file:///memories/x",
]


@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.parametrize("command", ["view", "create", "delete", "str_replace", "insert", "rename"])
def test_a_path_that_leads_out_is_refused_and_nothing_is_written(swarm, tool, path, command):
    swarm.records.put("x", "not a memory")
    swarm.records.put("memoriesx", "not a memory")
    fields = {
        "create": {"file_text": "x"},
        "str_replace": {"old_str": "not", "new_str": "x"},
        "insert": {"insert_line": 0, "insert_text": "x"},
    }.get(command, {})
    paths = {"path": path}
    if command == "rename":
        create(tool, "/memories/old")
        paths = {"old_path": "/memories/old", "new_path": path}

    with pytest.raises(ToolError):
        do(tool, command, **paths, **fields)

    expected = {"x", "memoriesx"} | ({"memories/old"} if command == "rename" else set())
    assert expected == {record.key for record in swarm.records.each()}
    assert "not a memory" == swarm.records.get("x").value


ODD = [
    "%2e%2e/x",
    "%2e%2e%2fx",
    "..%2fx",
    "..%00x",
    "..\\x",
    "．．/x",
    "‥/x",
    "…/x",
    "~/x",
    "$HOME",
    "a\nb",
    "a\tb",
    "con",
    "+2E+2E",
    "*",
    "ü" * 70,
    "n" * 200,
    "*/{}",
    " ",
]


@pytest.mark.parametrize("name", ODD)
def test_any_other_name_is_a_file_below_and_comes_back_as_it_was(swarm, tool, name):
    path = f"/memories/{name}"
    create(tool, path, "text")

    listed = do(tool, "view", path="/memories")
    assert (f"4B\t{path}" in listed) == (not name.startswith("."))
    assert do(tool, "view", path=path).endswith("     1\ttext")
    assert all(record.key.startswith("memories/") for record in swarm.records.each())
    assert f"Successfully deleted {path}" == do(tool, "delete", path=path)
    assert (0, 0) == swarm.records.count()


def test_one_name_is_one_file_however_its_accents_are_written(tool):
    create(tool, "/memories/caf\u00e9", "text")

    assert "text" in do(tool, "view", path="/memories/cafe\u0301")
    with pytest.raises(ToolError, match="already exists"):
        create(tool, "/memories/cafe\u0301")


def test_a_path_that_no_key_can_hold_is_refused(tool):
    with pytest.raises(ToolError, match="too long"):
        create(tool, "/memories" + "/directory" * 40)


def test_what_the_store_refuses_is_told_to_claude(tool):
    with pytest.raises(ToolError, match="the limit is"):
        create(tool, "/memories/a", "x" * 17_000_000)


# --- what others see, and what others wrote ---


def test_a_file_is_a_record_that_others_read_and_find(swarm, tool):
    create(tool, "/memories/notes/pump.md", "The pump needs a gasket.\n")
    do(tool, "insert", path="/memories/notes/pump.md", insert_line=1, insert_text="M8 bolts.")

    record = swarm.records.get("memories/notes/pump.md")
    assert "The pump needs a gasket.\nM8 bolts.\n" == record.value["content"]
    assert (2, "test") == (record.version, record.author)
    assert ["memories/notes/pump.md"] == [hit.record.key for hit in swarm.search("gasket")]
    assert "The pump needs a gasket.\n" == swarm.records.rollback(record.key).value["content"]


def test_records_of_others_are_files_too(swarm, tool):
    swarm.records.put("memories/text", "just\ntext")
    swarm.records.put("memories/note", {"text": "words", "kind": "fact"})
    swarm.records.put("memories/data", {"degrees": 21})
    swarm.records.put("memories/a+zz", 1)

    assert "4\tjust" not in do(tool, "view", path="/memories/text")
    assert '     2\t  "degrees": 21' in do(tool, "view", path="/memories/data")
    for name in ("text", "note"):
        do(tool, "insert", path=f"/memories/{name}", insert_line=0, insert_text="new")
    assert "new\njust\ntext\n" == swarm.records.get("memories/text").value
    assert {"text": "new\nwords\n", "kind": "fact"} == swarm.records.get("memories/note").value
    with pytest.raises(ToolError, match="not a text file"):
        do(tool, "insert", path="/memories/data", insert_line=0, insert_text="new")
    assert 5 == len(do(tool, "view", path="/memories").splitlines()) - 1


def test_agents_with_their_own_prefix_do_not_see_each_other(swarm):
    mine, theirs = (SwarmMemoryTool(swarm, prefix=f"memories/{name}") for name in ("a", "b"))
    create(mine, "/memories/secret")

    with pytest.raises(ToolError, match="does not exist"):
        do(theirs, "view", path="/memories/secret")
    assert "/memories/a/secret" in do(SwarmMemoryTool(swarm), "view", path="/memories")


def test_moving_a_directory_moves_all_and_says_where_from(swarm, tool):
    for name in ("a", "b/c", "n" * 100):
        create(tool, f"/memories/old/{name}")

    do(tool, "rename", old_path="/memories/old", new_path="/memories/deep/new")

    assert ["memories/deep"] == sorted({r.key.rsplit("/new", 1)[0] for r in swarm.records.each()})
    moved = swarm.records.get("memories/deep/new/b/c")
    assert "/memories/deep/new/b/c" == moved.value["path"]
    assert {"key": "memories/old/b/c", "version": 1} == moved.provenance["moved_from"]
    assert f"/memories/deep/new/{'n' * 100}" in do(tool, "view", path="/memories/deep/new")


def test_all_is_cleared_and_nothing_else(swarm, tool):
    swarm.records.put("notes/1", 1)
    create(tool, "/memories/a/b")

    assert "All memory cleared" == tool.clear_all_memory()
    assert ["notes/1"] == [record.key for record in swarm.records.each()]
    assert "0B\t/memories" == do(tool, "view", path="/memories").splitlines()[1]


def test_the_async_tool_answers_the_same(swarm):
    tool = AsyncSwarmMemoryTool(swarm)
    commands = [
        {"command": "create", "path": "/memories/a", "file_text": "one\n"},
        {"command": "insert", "path": "/memories/a", "insert_line": 1, "insert_text": "two"},
        {"command": "str_replace", "path": "/memories/a", "old_str": "one", "new_str": "1"},
        {"command": "view", "path": "/memories/a"},
        {"command": "rename", "old_path": "/memories/a", "new_path": "/memories/b"},
        {"command": "delete", "path": "/memories/b"},
    ]

    async def run():
        return [await tool.call(command) for command in commands] + [await tool.clear_all_memory()]

    answers = asyncio.run(run())
    mine = SwarmMemoryTool(swarm)
    assert [mine.call(command) for command in commands] + ["All memory cleared"] == answers
    assert {"type": "memory_20250818", "name": "memory"} == tool.to_dict() == mine.to_dict()


# --- in the package's own loop ---


class Claude(BaseHTTPRequestHandler):
    """A server that speaks as the Messages API does, and wants its calls made one by one."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(asked)
        answer = {"id": "m", "type": "message", "role": "assistant", "model": "m"}
        usage = {"input_tokens": 1, "output_tokens": 1}
        content, reason = [{"type": "text", "text": "Done."}], "end_turn"
        if self.server.calls:
            call = {"type": "tool_use", "id": f"t{len(self.server.asked)}", "name": "memory"}
            content, reason = [call | {"input": self.server.calls.pop(0)}], "tool_use"
        body = json.dumps(answer | {"content": content, "stop_reason": reason, "usage": usage})
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *arguments):
        pass


def test_claude_calls_it_in_the_loop_of_the_package(swarm, tool):
    calls = [
        {"command": "create", "path": "/memories/a", "file_text": "one\n"},
        {"command": "create", "path": "/memories/a", "file_text": "two\n"},
        {"command": "view", "path": "/memories/../etc/passwd"},
    ]
    with HTTPServer(("127.0.0.1", 0), Claude) as server:
        server.calls, server.asked = calls, []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        with Anthropic(api_key="none", base_url=url, max_retries=0) as client:
            said = [{"role": "user", "content": "Remember one."}]
            runner = client.beta.messages.tool_runner(
                model="m", max_tokens=9, messages=said, tools=[tool]
            )
            last = runner.until_done()
        server.shutdown()

    assert "Done." == last.content[0].text
    assert "memory_20250818" == server.asked[0]["tools"][0]["type"]
    results = [asked["messages"][-1]["content"][0] for asked in server.asked[1:]]
    assert [
        (False, "File created successfully at: /memories/a"),
        (True, "File /memories/a already exists"),
        (True, "Path /memories/../etc/passwd would escape /memories directory"),
    ] == [(result.get("is_error", False), result["content"]) for result in results]
    assert "one\n" == swarm.records.get("memories/a").value["content"]


# --- several processes ---

EDIT = """
from swarm_memory.adapters.anthropic_memory import SwarmMemoryTool
tool = SwarmMemoryTool(swarm)
path = "/memories/shared.txt"
go()
for n in range(int(arguments[0])):
    line = f"{name} {n}"
    tool.call({"command": "insert", "path": path, "insert_line": 1, "insert_text": line})
    if n % 10 == 0:
        both = {"old_str": f"<{name}>", "new_str": f"<{name}> x"}
        tool.call({"command": "str_replace", "path": path, **both})
"""

MOVE = """
import json
from anthropic.tools import ToolError
from swarm_memory.adapters.anthropic_memory import SwarmMemoryTool
tool = SwarmMemoryTool(swarm)
def outcome(**command):
    try:
        tool.call(command)
        return 1
    except ToolError:
        return 0
go()
won = []
for n in range(int(arguments[0])):
    target = f"/memories/{name}/{n}"
    moved = outcome(command="rename", old_path=f"/memories/files/{n}", new_path=target)
    made = outcome(command="create", path=f"/memories/new/{n}", file_text=name)
    if int(name[1]) % 2:
        tree = outcome(command="create", path=f"/memories/tree/{n}", file_text=name)
    else:
        tree = outcome(command="create", path=f"/memories/tree/{n}/leaf", file_text=name)
    won.append([moved, made, tree])
print(json.dumps(won))
"""


@times(50, 150)
def test_processes_that_edit_one_file_lose_nothing(shared_url, count):
    url = shared_url
    with Swarm.open(url) as swarm:
        names = " ".join(f"<p{n}>" for n in range(PROCESSES))
        create(SwarmMemoryTool(swarm), "/memories/shared.txt", f"{names}\n")

    run_all(EDIT, url, count)

    with Swarm.open(url) as swarm:
        first, *lines = swarm.records.get("memories/shared.txt").value["content"].splitlines()
    assert sorted(f"p{p} {n}" for p in range(PROCESSES) for n in range(count)) == sorted(lines)
    assert PROCESSES * count / 10 == first.count("x")
    assert lines != sorted(lines, key=lambda line: line.split()[0]), "they did not meet"


@times(10, 30)
def test_of_processes_that_move_or_make_the_same_one_succeeds(shared_url, count):
    url = shared_url
    with Swarm.open(url) as swarm:
        for n in range(count):
            create(SwarmMemoryTool(swarm), f"/memories/files/{n}")

    won = [json.loads(said) for said in run_all(MOVE, url, count)]

    with Swarm.open(url) as swarm:
        keys = [record.key for record in swarm.records.each("memories")]
    for n in range(count):
        assert 1 == sum(each[n][0] for each in won) == sum(each[n][1] for each in won)
        there = [key for key in keys if re.match(rf"memories/tree/{n}(/|$)", key)]
        assert 1 == len(there), "a file and a directory of one name"
    assert 3 * count == len(keys)
