"""Who a call is made for, and what its records say of it."""

import pytest
from mcp_calls import call

from swarm_memory import Swarm

CALL_ID = "claudecode/toolUseId"


def stored_by(place, run, *, name=None, meta=None, before=None, **environment):
    """Store one record as a client and return it as it is in the store, and its session."""

    async def story():
        async with place.client(name=name, **environment) as client:
            if before is not None:
                before()
            answer = await client.call_tool("store", {"value": 1, "key": "a"}, meta=meta)
            assert not answer.is_error

    run(story)
    with Swarm.open(place.url) as swarm:
        record = swarm.records.get("a")
        return record, swarm.sessions.get(record.session)


def test_without_any_name_the_author_is_the_client_in_a_session_and_not_verified(place, run):
    record, session = stored_by(place, run, name="editor")

    assert f"editor@{session.short}" == record.author
    assert {"verified": False} == record.provenance
    assert {"via": "mcp", "client": "editor"} == session.about
    assert ("ended", "closed") == (session.state, session.reason)


def test_claude_code_s_session_is_acted_in_and_its_own_agent_is_main(place, run):
    theirs = "3f2a9c1b-77aa-4c00-9d1e-000000000000"
    record, session = stored_by(place, run, name="claude-code", CLAUDE_CODE_SESSION_ID=theirs)

    assert theirs == record.session
    assert "main@3f2a9c1b" == record.author
    assert {"verified": False} == record.provenance
    assert "active" == session.state


def test_a_session_named_for_us_comes_before_claude_code_s(place, run):
    record, _ = stored_by(place, run, SWARM_MEMORY_SESSION="mine", CLAUDE_CODE_SESSION_ID="theirs")
    assert "mine" == record.session


def test_a_named_agent_is_the_author(place, run):
    record, _ = stored_by(place, run, SWARM_MEMORY_AGENT="builder")

    assert "builder" == record.author
    assert record.provenance is None


def test_a_call_that_was_announced_is_made_for_who_announced_it(place, run):
    def announce():
        with Swarm.open(place.url) as swarm:
            swarm.sessions.begin("s1")
            hook = swarm.as_agent("explore:a7d93f2@s1", session="s1")
            hook.callers.announce("toolu_01")

    record, _ = stored_by(
        place,
        run,
        name="claude-code",
        meta={CALL_ID: "toolu_01"},
        before=announce,
        CLAUDE_CODE_SESSION_ID="s1",
    )

    assert ("explore:a7d93f2@s1", "s1") == (record.author, record.session)
    assert record.provenance is None


@pytest.mark.parametrize("call_id", ["toolu_unknown", 7, "", "x" * 500, "a\0b", {"a": 1}])
def test_a_call_that_nobody_announced_is_not_verified_whatever_its_id(place, run, call_id):
    record, session = stored_by(place, run, name="editor", meta={CALL_ID: call_id})

    assert f"editor@{session.short}" == record.author
    assert {"verified": False} == record.provenance


def test_a_session_that_ended_meanwhile_begins_anew(place, run):
    async def story():
        async with place.client(SWARM_MEMORY_SESSION="s1") as client:
            await call(client, "store", value=1, key="a")
            with Swarm.open(place.url) as swarm:
                swarm.sessions.end("s1")
            await call(client, "store", value=2, key="a")

    run(story)
    with Swarm.open(place.url) as swarm:
        assert "active" == swarm.sessions.get("s1").state
