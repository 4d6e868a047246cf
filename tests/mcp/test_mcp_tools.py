"""The tools, called over standard input and output."""

import base64
import json
import random
import re

import pytest
from mcp.shared.exceptions import MCPError
from mcp_calls import call, refused

from swarm_memory import Swarm
from swarm_memory.doors.mcp import default, full
from swarm_memory.doors.mcp.server import _shown
from swarm_memory.doors.mcp.tools import check_arguments
from swarm_memory.errors import InvalidArgumentError
from token_counters import count

DEFAULT = ["recall", "retrieve", "store", "supersede", "lock", "unlock", "send", "inbox"]
TOKENS_MAX = 2000


def test_the_default_tools_are_eight_and_cost_at_most_2000_tokens(place, run):
    async def listed():
        async with place.client() as client:
            return (await client.list_tools()).tools

    tools = run(listed)

    assert DEFAULT == [tool.name for tool in tools]
    shown = [tool.model_dump(by_alias=True, exclude_none=True, mode="json") for tool in tools]
    assert count(json.dumps(shown)) <= TOKENS_MAX


def test_every_tool_is_described_with_schemas_and_its_effect():
    for tool in full.TOOLS:
        shown = _shown(tool)
        assert tool.description.endswith(".")
        assert shown.input_schema["additionalProperties"] is False
        assert shown.output_schema["required"]
        hints = shown.annotations
        assert hints.open_world_hint is False
        assert hints.read_only_hint or None not in (hints.destructive_hint, hints.idempotent_hint)


def test_the_names_of_all_tools_differ():
    names = [tool.name for tool in full.TOOLS]
    assert len(names) == len(set(names))
    assert DEFAULT == [tool.name for tool in default.TOOLS]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_what_is_stored_is_recalled_retrieved_and_superseded(place, run, mode):
    async def story():
        async with place.client(mode=mode) as client:
            stored = await call(
                client, "store", value="Redis keeps sessions", kind="decision", files=["a.py"]
            )
            again = await call(client, "store", value="redis keeps sessions", key="notes/redis")
            found = await call(client, "recall", query="who keeps the sessions?")
            new = await call(
                client, "supersede", key=stored["key"], value="SQLite keeps", also=["notes/redis"]
            )
            return stored, again, found, new, await call(client, "retrieve", key=stored["key"])

    stored, again, found, new, record = run(story)

    assert [stored["key"]] == [one["key"] for one in again["similar"]]
    assert {stored["key"], "notes/redis"} == {hit["key"] for hit in found["hits"]}
    assert ["a.py"] == next(h for h in found["hits"] if h["key"] == stored["key"])["files"]
    assert (2, "SQLite keeps") == (new["version"], record["value"])
    with Swarm.open(place.url) as swarm:
        assert swarm.records.get("notes/redis") is None


def test_the_number_of_a_briefing_retrieves_its_memory(place, run):
    with Swarm.open(place.url, agent="other") as swarm:
        swarm.memories.store("Redis keeps sessions", key="notes/redis", kind="decision")
        shown = swarm.briefing.session("s1", "main@s1", source="startup")
    number = re.search(r"%\d+(?= )", shown)[0]

    async def story():
        async with place.client() as client:
            return await call(client, "retrieve", key=number), [
                await refused(client, "retrieve", key="%999"),
                await refused(client, "retrieve", key="%x"),
            ]

    record, errors = run(story)

    assert ("notes/redis", "Redis keeps sessions") == (record["key"], record["value"])
    assert ["not_found", "invalid_argument"] == [error["error"] for error in errors]


def test_what_a_model_does_wrong_is_told_with_what_to_do_and_changes_nothing(place, run):
    async def errors():
        async with place.client() as client:
            await call(client, "store", value=1, key="a")
            return [
                await refused(client, "store", value=2, key="a", expect=0),
                await refused(client, "retrieve", key="b"),
                await refused(client, "store", key="a"),
                await refused(client, "store", value=2, keys="a"),
                await refused(client, "store", value=2, key="no key"),
                await refused(client, "unlock", name="x", token=1),
                await refused(client, "inbox", done=["1-nobody"]),
                await refused(client, "lock", name="x", ttl_s=0.001),
            ]

    codes = [error["error"] for error in run(errors)]

    assert ["conflict", "not_found"] == codes[:2]
    assert ["invalid_argument", "invalid_argument", "invalid_key"] == codes[2:5]
    assert ["lease_lost", "stale_receipt", "invalid_argument"] == codes[5:]
    with Swarm.open(place.url) as swarm:
        assert [1] == [record.value for record in swarm.records.history("a")]


def test_an_error_says_what_and_what_to_do_in_its_text_too(place, run):
    async def error():
        async with place.client() as client:
            return await client.call_tool("store", {"value": 1, "to": "x"})

    answer = run(error)

    told = answer.structured_content
    assert "store has no argument 'to'" == told["message"]
    assert "value, key, kind" in told["hint"]
    assert told["message"] in answer.content[0].text
    assert told["hint"] in answer.content[0].text


def test_an_unknown_tool_is_an_error_of_the_protocol(place, run):
    async def unknown():
        async with place.client() as client:
            with pytest.raises(MCPError, match="no tool 'history'"):
                await client.call_tool("history", {"key": "a"})

    run(unknown)


def test_a_lock_keeps_others_out_until_it_is_given_back(place, run):
    async def story():
        async with place.client() as one, place.client() as other:
            held = await call(one, "lock", name="deploy", reason="release")
            told = await refused(other, "lock", name="deploy")
            renewed = await call(one, "lock", name="deploy", token=held["token"], ttl_s=900)
            await refused(other, "unlock", name="deploy", token=held["token"])
            released = await call(one, "unlock", name="deploy", token=held["token"])
            taken = await call(other, "lock", name="deploy")
            return held, told, renewed, released, taken

    held, told, renewed, released, taken = run(story)

    assert ("lease_held", True) == (told["error"], told["retryable"])
    assert "release" in told["message"]
    assert held["token"] == renewed["token"]
    assert held["expires_ms"] < renewed["expires_ms"]
    assert {"name": "deploy", "released": True} == released
    assert held["token"] < taken["token"]


def test_messages_reach_another_client_and_come_once(place, run):
    async def story():
        async with place.client() as one, place.client(SWARM_MEMORY_AGENT="reader") as other:
            await call(one, "send", body={"please": "review"}, to="reader", type="ask")
            looked = await call(other, "inbox", peek=True)
            taken = await call(other, "inbox")
            receipts = [message["receipt"] for message in taken["messages"]]
            return looked, taken, await call(other, "inbox", done=receipts)

    looked, taken, rest = run(story)

    assert [None] == [message["receipt"] for message in looked["messages"]]
    assert [{"please": "review"}] == [message["body"] for message in taken["messages"]]
    assert [] == rest["messages"]


def test_the_full_tools_do_what_they_say(place, run):
    async def story():
        async with place.client("--tools", "full") as client:
            progress = []

            async def told(done, total, message):
                progress.append(done)

            for value in ("one", "two"):
                await call(client, "store", value=value, key="a/b")
            await client.call_tool("verify", {}, progress_callback=told)
            outcome = await call(client, "outcome", task_type="t", success=True, duration_s=1.5)
            await call(client, "send", body="x", topic="jobs")
            job = (await call(client, "inbox", topic="jobs"))["messages"][0]
            await call(client, "lock", name="file:src/a.py")
            answers = {
                "history": await call(client, "history", key="a/b"),
                "rollback": await call(client, "rollback", key="a/b"),
                "list": await call(client, "list", prefix="a"),
                "locks": await call(client, "locks", path="src/a.py"),
                "ack": await call(client, "ack", receipts=[job["receipt"]], failed="no time"),
                "sessions": await call(client, "sessions", state="active"),
                "verify": await call(client, "verify"),
                "backup": await call(client, "backup"),
                "conflicts": await call(client, "conflicts"),
                "strategy": await call(
                    client, "strategy", context={"task_type": "t"}, candidates=["x", "y"]
                ),
                "briefing": await call(client, "briefing"),
                "delete": await call(client, "delete", key="a/b"),
            }
            return answers, progress, outcome

    answers, progress, outcome = run(story)

    assert ["two", "one"] == [v["value"] for v in answers["history"]["versions"]]
    assert 3 == answers["rollback"]["version"]
    assert ["a/b"] == [record["key"] for record in answers["list"]["records"]]
    assert ["file:src/a.py"] == [seat["name"] for seat in answers["locks"]["locks"]]
    assert 1 == len(answers["sessions"]["sessions"])
    assert answers["verify"]["ok"]
    assert answers["backup"]["path"].startswith(str(place.folder))
    assert [] == answers["conflicts"]["conflicts"]
    assert answers["strategy"]["strategy"] in {"x", "y"}
    assert answers["briefing"]["text"]
    assert answers["delete"]["deleted"]
    assert "success" == outcome["status"]
    assert progress


def test_a_store_is_imported_with_progress(place, run, tmp_path):
    source = f"sqlite:///{tmp_path}/other.db"
    with Swarm.open(source) as other:
        from swarm_memory.exchange import export_store

        other.records.put("from/elsewhere", 1)
        export_store(other, tmp_path / "other.jsonl")

    async def story():
        async with place.client("--tools", "full") as client:
            await call(client, "import", paths=[str(tmp_path / "other.jsonl")])
            return await call(client, "retrieve", key="from/elsewhere")

    assert 1 == run(story)["value"]


def test_a_parked_conflict_is_listed_and_settled(place, run):
    with Swarm.open(place.url) as swarm:
        swarm.records.put("a", 1)
        swarm.records.put("a", 2)
        swarm.records.put("a", 3, expect=1, on_conflict="keep_both")

    async def story():
        async with place.client("--tools", "full") as client:
            (parked,) = (await call(client, "conflicts", parked=True))["conflicts"]
            await call(client, "resolve", conflict_id=parked["conflict_id"], value=5)
            return await call(client, "conflicts", parked=True)

    assert [] == run(story)["conflicts"]


def test_health_and_alerts_are_told_in_few_words_and_acknowledged(place, run, monkeypatch):
    monkeypatch.setenv("SWARM_MEMORY_TOTAL_BYTES_MAX", "10000")
    with Swarm.open(place.url) as swarm:
        # Of what cannot be compressed, so that 80 % of the limit are reached and not 90.
        swarm.records.put("a", base64.b64encode(random.Random(7).randbytes(8300)).decode())
        swarm.monitor.take()
        [raised] = swarm.alerts.list()

    async def story():
        named = {"SWARM_MEMORY_AGENT": "watcher"}
        async with place.client("--tools", "full", **named) as client:
            health = await call(client, "health")
            [listed] = (await call(client, "alerts"))["alerts"]
            seen = await call(client, "acknowledge", alert_id=listed["alert_id"])
            again = await call(client, "acknowledge", alert_id=listed["alert_id"])
            unseen = await call(client, "alerts", state="open")
            known = await call(client, "alerts", state="acknowledged")
            refused = await client.call_tool("acknowledge", {"alert_id": "none"})
            return health, listed, seen, again, unseen, known, refused

    health, listed, seen, again, unseen, known, refused = run(story)

    assert ("warning", [raised.text]) == (health["overall_health"], health["issues"])
    assert [raised.advice] == health["recommendations"]
    assert (raised.alert_id, "open", raised.text) == tuple(
        listed[name] for name in ("alert_id", "state", "text")
    )
    assert ("acknowledged", "watcher") == (seen["state"], seen["acknowledged_by"])
    assert seen == again == known["alerts"][0]
    assert [] == unseen["alerts"]
    assert "not_found" == refused.structured_content["error"]
    assert count(json.dumps(health)) <= 120
    assert count(json.dumps(listed)) <= 120


def test_the_health_of_a_sound_swarm_costs_hardly_a_token(place, run):
    async def story():
        async with place.client("--tools", "full") as client:
            return await call(client, "health"), await call(client, "alerts")

    health, alerts = run(story)

    assert ("healthy", []) == (health["overall_health"], health["issues"])
    assert count(json.dumps(health)) <= 60
    assert {"alerts": []} == alerts


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "recall without query"),
        ({"query": "x", "limit": 0}, "limit 0"),
        ({"query": "x", "limit": True}, "limit True"),
        ({"query": 5}, "query 5"),
        ({"query": "x" * 500, "limit": "y" * 500}, "limit 'yyy"),
    ],
)
def test_the_check_names_the_argument_and_shows_little_of_it(arguments, said):
    with pytest.raises(InvalidArgumentError, match=f"^{said}") as caught:
        check_arguments(default.TOOLS[0], arguments)
    assert len(str(caught.value)) < 120
