"""What is entered in settings files goes out again, and nothing else of them is touched."""

import json
import os

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from test_splice import DOCUMENTS, NESTED, containers, texts

from swarm_memory.errors import ConfigError, EngineUnavailableError, SwarmMemoryError
from swarm_memory.wiring import claude, codex, entries, hooks, removal, splice, teaching
from swarm_memory.wiring.entries import Entry
from swarm_memory.wiring.ledger import Ledger
from swarm_memory.wiring.plan import apply, enter, enter_block, leave, leave_block, take_out

OTHERS = {"type": "command", "command": "other", "args": ["hook"]}
HOOKS = st.dictionaries(
    st.sampled_from(["Stop", "PostToolUse", "NoEvent"]),
    st.lists(
        st.fixed_dictionaries(
            {"hooks": st.lists(st.just(OTHERS), max_size=2)},
            optional={"matcher": st.just(hooks.TOOLS)},
        ),
        max_size=2,
    ),
    max_size=2,
)
PERMISSIONS = st.fixed_dictionaries(
    {},
    optional={
        "allow": st.lists(st.sampled_from(["Bash(ls)", *claude.PERMISSIONS]), max_size=3),
        "deny": st.lists(st.just("Read(.env)"), max_size=1),
    },
)
SETTINGS = st.builds(
    lambda free, known: {**free, **known},
    DOCUMENTS,
    st.fixed_dictionaries({}, optional={"hooks": HOOKS, "permissions": PERMISSIONS}),
)


def put(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(text)


def text_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


def edit(text, before, data):
    """Edit a settings file as a person does: somewhere, beside ours and not inside of it."""
    document = splice.parse(before)
    free = [path for path in containers(document) if not _among_ours(path)]
    path = data.draw(st.sampled_from(sorted(free, key=repr)))
    value = data.draw(NESTED)
    name = data.draw(st.text(min_size=4, max_size=4)) if _is_object(document, path) else None
    assume(name not in {"hooks", "Stop"})
    return splice.insert(text, path, name, value), (path, name, value)


def _is_object(document, path):
    for step in path:
        document = document[step]
    return isinstance(document, dict)


def _among_ours(path):
    # Ours come before them, so an element of these has another place in the wired text.
    return path[:1] in {("hooks",), ("permissions",)} and any(isinstance(s, int) for s in path)


@given(texts(SETTINGS), st.booleans(), st.data())
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
def test_settings_are_the_same_bytes_afterwards_apart_from_edits_meanwhile(
    place, ledger, text, quiet, data
):
    path, wanted = place.user_settings, claude.settings(quiet=quiet)
    ledger.forget(path)  # of an example that was given up half-way
    put(path, text)

    apply(ledger, [enter(ledger, path, wanted)])
    assert "kept" == enter(ledger, path, wanted).verb
    wired = text_of(path)
    edited, (where, name, value) = edit(wired, text, data)
    put(path, edited)
    take_out(ledger, [leave(ledger, path, wanted)])

    assert wired != text
    assert splice.insert(text, where, name, value) == text_of(path)
    assert [] == ledger.all()


@given(SETTINGS, st.booleans())
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_settings_that_a_program_wrote_anew_meanwhile_are_as_it_would_have_written_them(
    place, ledger, document, noted
):
    assume(noted or not _ours_before(document))
    path, wanted = place.user_settings, claude.settings()
    ledger.forget(path)
    put(path, json.dumps(document))
    apply(ledger, [enter(ledger, path, wanted)])

    put(path, json.dumps({**json.loads(text_of(path)), "theme": "dark"}, indent=2))
    if not noted:
        ledger.forget(path)
    take_out(ledger, [leave(ledger, path, wanted)])

    expected = {**document, "theme": "dark"}
    found = json.loads(text_of(path))
    if noted:
        assert expected == found
        assert json.dumps(expected, indent=2, sort_keys=True) == json.dumps(
            json.loads(text_of(path)), indent=2, sort_keys=True
        )
    else:
        assert _without_empty(expected) == _without_empty(found)


def _ours_before(document):
    allowed = document.get("permissions", {}).get("allow", [])
    return bool(set(allowed) & set(claude.PERMISSIONS))


def _without_empty(value):
    if isinstance(value, dict):
        inner = {name: _without_empty(one) for name, one in value.items()}
        return {name: one for name, one in inner.items() if one not in ({}, [])}
    if isinstance(value, list):
        return [_without_empty(one) for one in value]
    return value


@pytest.mark.parametrize("text", [None, "", " \n", "{}", "{\n}\n", "{ }"])
def test_a_file_that_was_not_there_or_was_empty_is_so_again(place, ledger, text):
    path = place.user_settings
    if text is not None:
        put(path, text)

    apply(ledger, [enter(ledger, path, claude.settings())])
    assert claude.settings() == [e for e in claude.settings() if entries.present(text_of(path), e)]
    take_out(ledger, [leave(ledger, path, [])])

    assert text == (text_of(path) if os.path.exists(path) else None)
    assert (text is not None) == os.path.isdir(place.claude)


def test_what_was_there_before_us_stays(place, ledger):
    path = place.user_settings
    text = '{"permissions": {"allow": ["mcp__swarm-memory__recall"]}}'
    put(path, text)

    apply(ledger, [enter(ledger, path, claude.settings())])
    assert 1 == text_of(path).count("mcp__swarm-memory__recall")
    take_out(ledger, [leave(ledger, path, claude.settings())])

    assert text == text_of(path)


def test_entries_that_were_edited_or_joined_meanwhile_go_and_what_joined_them_stays(place, ledger):
    path = place.user_settings
    apply(ledger, [enter(ledger, path, claude.settings())])
    document = json.loads(text_of(path))
    document["hooks"]["Stop"][0]["hooks"][0]["timeout"] = 99
    document["hooks"]["PostToolUse"][0]["hooks"].append(OTHERS)
    put(path, json.dumps(document))

    take_out(ledger, [leave(ledger, path, claude.settings())])

    expected = {"PostToolUse": [{"matcher": hooks.TOOLS, "hooks": [OTHERS]}]}
    assert {"hooks": expected} == json.loads(text_of(path))


def test_what_an_earlier_version_wrote_is_replaced(place, ledger):
    path = place.user_settings
    put(path, '{"a": 1}')
    old = Entry(("hooks", "Gone"), None, {"hooks": [{**OTHERS, "command": "swarm-memory"}]})
    apply(ledger, [enter(ledger, path, [old])])

    apply(ledger, [enter(ledger, path, claude.settings())])

    assert "Gone" not in text_of(path)
    take_out(ledger, [leave(ledger, path, [])])
    assert '{"a": 1}' == text_of(path)


@pytest.mark.parametrize("quiet", [False, True])
def test_settings_of_before_there_was_a_hook_that_stays_get_it_and_lose_it_again(
    place, ledger, quiet
):
    path = place.user_settings
    put(path, '{"a": 1}')
    wanted = claude.settings(quiet=quiet)
    [new] = [entry for entry in wanted if "tick" in str(entry.value)]
    apply(ledger, [enter(ledger, path, [entry for entry in wanted if entry != new])])
    assert "tick" not in text_of(path)

    apply(ledger, [enter(ledger, path, wanted)])

    [first, second] = json.loads(text_of(path))["hooks"]["SessionStart"]
    assert [False, True] == [hooks.stays(group["hooks"][0]) for group in (first, second)]
    take_out(ledger, [leave(ledger, path, [])])
    assert '{"a": 1}' == text_of(path)


def test_servers_of_several_projects_stand_beside_each_other(place, ledger):
    path = place.claude_state
    put(path, '{\n  "projects": {\n    "/a": {"x": 1}\n  }\n}')
    before = text_of(path)
    for above in ((), ("projects", "/a"), ("projects", "/b")):
        apply(ledger, [enter(ledger, path, claude.server(*above), also=True)])

    document = json.loads(text_of(path))
    assert ["swarm-memory"] == list(document["mcpServers"])
    assert ["/b", "/a"] == list(document["projects"])
    assert {"mcpServers", "x"} == set(document["projects"]["/a"])
    take_out(ledger, [leave(ledger, path, [])])
    assert before == text_of(path)


def test_a_server_of_the_same_name_that_is_somebodys_own_stays(place, ledger):
    path = place.claude_state
    text = '{"mcpServers": {"swarm-memory": {"command": "/own/one"}}}'
    put(path, text)

    assert "kept" == enter(ledger, path, claude.server(), also=True).verb
    assert "kept" == leave(ledger, path, claude.server()).verb


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"hooks": []}', '{"hooks": {"Stop": {}}}', '{"permissions": 1}']
)
def test_a_file_that_is_not_understood_is_refused_by_name_and_not_written(place, ledger, text):
    put(place.user_settings, text)

    with pytest.raises(ConfigError, match=r"settings\.json: "):
        enter(ledger, place.user_settings, claude.settings())

    assert text == text_of(place.user_settings)


def test_a_file_that_is_no_utf8_is_refused(place, ledger):
    os.makedirs(place.claude)
    with open(place.user_settings, "wb") as file:
        file.write(b'{"a": "\xff"}')

    with pytest.raises(ConfigError, match="no UTF-8"):
        enter(ledger, place.user_settings, claude.settings())


def test_a_file_that_somebody_changed_since_the_plan_is_left_as_it_is(place, ledger):
    put(place.user_settings, "{}")
    change = enter(ledger, place.user_settings, claude.settings())
    put(place.user_settings, '{"theme": "dark"}')

    with pytest.raises(SwarmMemoryError, match="changed by somebody else"):
        apply(ledger, [change])

    assert '{"theme": "dark"}' == text_of(place.user_settings)


def test_mode_and_links_stay(place, ledger, tmp_path):
    real = tmp_path / "dotfiles" / "settings.json"
    put(str(real), "{}")
    real.chmod(0o640)
    os.makedirs(place.claude)
    os.symlink(real, place.user_settings)

    apply(ledger, [enter(ledger, place.user_settings, claude.settings())])

    assert os.path.islink(place.user_settings)
    assert 0o640 == real.stat().st_mode & 0o777
    assert "swarm-memory" in real.read_text()
    assert ["settings.json"] == os.listdir(real.parent)


def test_the_file_of_servers_is_for_its_owner_only(place, ledger):
    apply(ledger, claude.plan(ledger, place))

    assert 0o600 == os.stat(place.claude_state).st_mode & 0o777


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_an_error_and_nothing_is_left(place, ledger):
    put(place.user_settings, "{}")
    os.chmod(place.claude, 0o500)
    try:
        with pytest.raises(EngineUnavailableError, match="cannot write"):
            apply(ledger, [enter(ledger, place.user_settings, claude.settings())])
        assert ["settings.json"] == os.listdir(place.claude)
    finally:
        os.chmod(place.claude, 0o700)


def test_a_diff_shows_no_neighbours_of_a_private_file_and_no_secrets_of_others(place, ledger):
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    put(place.claude_state, json.dumps({"said": "only to me"}, indent=1))
    put(place.user_settings, json.dumps({"env": {"GITHUB_TOKEN": token}}, indent=1))

    shown = "\n".join(line for change in claude.plan(ledger, place) for line in change.diff())

    assert '"Stop": [' in shown
    assert "only to me" not in shown
    assert token not in shown


# --- texts with a block ---


@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize("text", ["a", "a\n", "a\n\n", "# A\r\n\r\nb\r\n"])
def test_a_block_goes_with_the_lines_that_came_with_it(place, ledger, text, noted):
    path = os.path.join(place.root, "CLAUDE.md")
    put(path, text)
    apply(ledger, [enter_block(ledger, path, teaching.BLOCK)])
    assert teaching.BLOCK in text_of(path)
    assert "kept" == enter_block(ledger, path, teaching.BLOCK).verb

    if not noted:
        ledger.forget(path)
    take_out(ledger, [leave_block(ledger, path, teaching.BLOCK)])

    expected = text if noted or text.endswith("\n") else text + "\n"
    assert expected == text_of(path)


def test_what_was_written_around_a_block_meanwhile_stays(place, ledger):
    path = os.path.join(place.root, "CLAUDE.md")
    put(path, "a")
    apply(ledger, [enter_block(ledger, path, teaching.BLOCK)])
    put(path, "0\n" + text_of(path) + "b\n")

    take_out(ledger, [leave_block(ledger, path, teaching.BLOCK)])

    assert "0\na\nb\n" == text_of(path)


def test_a_block_is_renewed_in_its_place(place, ledger):
    path = os.path.join(place.root, "CLAUDE.md")
    old = f"{teaching.BLOCK_BEGIN}\nold\n{teaching.BLOCK_END}\n"
    put(path, f"a\n\n{old}b\n")

    assert f"a\n\n{teaching.BLOCK}b\n" == enter_block(ledger, path, teaching.BLOCK).new


@pytest.mark.parametrize("mark", [teaching.BLOCK_BEGIN, teaching.BLOCK_END])
def test_half_a_block_is_refused(place, ledger, mark):
    path = os.path.join(place.root, "CLAUDE.md")
    put(path, f"a\n{mark}\nb\n")

    with pytest.raises(ConfigError, match="only one is there"):
        leave_block(ledger, path, teaching.BLOCK)


# --- all of it ---


@pytest.mark.parametrize("scope", claude.SCOPES)
def test_everything_that_was_made_is_gone_again(place, ledger, scope):
    put(os.path.join(place.root, "AGENTS.md"), "# Agents\n")
    before = snapshot(place)

    apply(ledger, claude.plan(ledger, place, scope, block=True))
    apply(ledger, codex.plan(ledger, place))
    again = [*claude.plan(ledger, place, scope, block=True), *codex.plan(ledger, place)]
    assert {"kept"} == {change.verb for change in again}
    assert before != snapshot(place)
    take_out(ledger, removal.plan(ledger, place))

    assert before == snapshot(place)


def test_what_was_written_in_other_projects_goes_too(place, ledger, tmp_path):
    other = place._replace(root=str(tmp_path / "other"))
    apply(ledger, claude.plan(ledger, other, "team", block=True))

    take_out(ledger, removal.plan(ledger, place))

    assert not os.path.exists(tmp_path / "other")
    assert not os.path.exists(place.claude_state)


def test_a_skill_that_somebody_made_his_own_stays(place, ledger):
    apply(ledger, claude.plan(ledger, place))
    skill = os.path.join(place.claude, "skills", "swarm-memory", "SKILL.md")
    put(skill, "mine")

    assert "kept" == {c.path: c for c in claude.plan(ledger, place)}[skill].verb
    take_out(ledger, removal.plan(ledger, place))

    assert "mine" == text_of(skill)


@pytest.mark.parametrize("scope", ["project", "team"])
def test_committed_files_hold_no_path_of_a_machine_and_no_server(place, ledger, scope):
    changes = claude.plan(ledger, place, scope, block=True)
    committed = [change for change in changes if change.path.startswith(place.root + os.sep)]

    assert len(changes) - 1 == len(committed)
    for change in committed:
        assert place.home not in change.new
        assert place.root not in change.new
    assert not os.path.exists(place.project_servers)


def snapshot(place):
    found = {}
    for top in (place.home, place.root):
        for folder, folders, names in os.walk(top):
            folders[:] = [name for name in folders if name not in {".git", "data"}]
            found[folder] = sorted(folders)
            for name in names:
                found[os.path.join(folder, name)] = text_of(os.path.join(folder, name))
    return found


# --- Codex ---


def test_codex_keeps_its_comments_and_order(place, ledger):
    path = os.path.join(place.codex, "config.toml")
    text = '# mine\nmodel = "x"  # why\n\n[[a]]\nb = 1\n'
    put(path, text)

    apply(ledger, codex.plan(ledger, place))
    assert text_of(path).startswith(text)
    take_out(ledger, removal.plan(ledger, place))

    assert text == text_of(path)


def test_codex_hooks_lie_in_a_file_as_its_schema_wants_it(place, ledger):
    apply(ledger, codex.plan(ledger, place))

    document = json.loads(text_of(os.path.join(place.codex, "hooks.json")))
    known = {"SessionStart", "SessionEnd", "SubagentStart", "SubagentStop", "PreToolUse"}
    known |= {"PostToolUse", "PreCompact", "PostCompact", "UserPromptSubmit", "Stop"}
    assert known == set(document["hooks"])
    assert ["hooks"] == list(document)
    handlers = [h for groups in document["hooks"].values() for g in groups for h in g["hooks"]]
    assert {("type", "command", "timeout")} == {tuple(handler) for handler in handlers}
    assert {"swarm-memory hook"} == {handler["command"] for handler in handlers}
    assert 3 >= document["hooks"]["SessionEnd"][0]["hooks"][0]["timeout"]


@pytest.mark.parametrize("text", ["a = ", "mcp_servers = {}\n"])
def test_codex_settings_that_our_table_does_not_fit_in_are_refused(place, ledger, text):
    put(os.path.join(place.codex, "config.toml"), text)

    with pytest.raises(ConfigError, match=r"config\.toml: it is no valid TOML"):
        codex.plan(ledger, place)


def test_a_codex_server_of_the_same_name_that_is_somebodys_own_stays(place, ledger):
    path = os.path.join(place.codex, "config.toml")
    text = '[mcp_servers.swarm-memory]\ncommand = "own"\n'
    put(path, text)

    apply(ledger, codex.plan(ledger, place))

    assert text == text_of(path)


def test_a_note_that_is_damaged_is_refused_by_name(place, ledger):
    apply(ledger, claude.plan(ledger, place))
    (note, *_) = os.listdir(place.records)
    put(os.path.join(place.records, note), "{")

    with pytest.raises(ConfigError, match=note):
        Ledger(place.records).all()
