"""Records as any HTTP client sees them: versions as ETags, conditions, pages and keys of calls."""

import pytest

from swarm_memory.doors.http.api.openapi import document
from swarm_memory.errors import EXIT_STATUS, HTTP_STATUS
from swarm_memory.wire.verbs import VERBS


def test_a_record_is_written_read_and_deleted(ask):
    written = ask.put("/records/notes/1", json={"value": {"text": "äöü"}})
    read = ask.get("/records/notes/1")
    deleted = ask.delete("/records/notes/1")

    assert (200, '"1"') == (written.status_code, written.headers["etag"])
    assert read.json() == written.json()
    assert ({"text": "äöü"}, 1, "main") == tuple(
        read.json()[name] for name in ("value", "version", "author")
    )
    assert deleted.json() is True
    gone = ask.get("/records/notes/1")
    assert (404, "not_found") == (gone.status_code, gone.json()["error"])


def test_a_condition_that_does_not_hold_is_a_412_and_writes_nothing(ask):
    ask.put("/records/x/a", json={"value": 1})
    ask.put("/records/x/a", json={"value": 2}, headers={"If-Match": '"1"'})

    refused = [
        ask.put("/records/x/a", json={"value": 3}, headers={"If-Match": '"1"'}),
        ask.put("/records/x/a", json={"value": 3}, headers={"If-None-Match": "*"}),
        ask.delete("/records/x/a", headers={"If-Match": '"1"'}),
    ]

    assert [412] * 3 == [response.status_code for response in refused]
    assert {"key": "x/a", "expected": 1, "actual": 2} == refused[0].json()["fields"]
    assert 2 == ask.get("/records/x/a").json()["value"]
    created = ask.put("/records/x/b", json={"value": 1}, headers={"If-None-Match": "*"})
    assert 200 == created.status_code


def test_what_the_client_has_already_is_not_sent_again(ask):
    tag = ask.put("/records/x/a", json={"value": 1}).headers["etag"]

    same = ask.get("/records/x/a", headers={"If-None-Match": tag})
    ask.put("/records/x/a", json={"value": 2})
    other = ask.get("/records/x/a", headers={"If-None-Match": tag})

    assert (304, b"", tag) == (same.status_code, same.content, same.headers["etag"])
    assert (200, 2) == (other.status_code, other.json()["value"])


def test_pages_cover_everything_once(ask):
    items = [{"key": f"p/{n:03}", "value": n} for n in range(25)]
    assert 200 == ask.post("/records", json={"items": items}).status_code

    seen, after = [], None
    while True:
        query = {"prefix": "p", "limit": 10} | ({"after": after} if after else {})
        page = ask.get("/records", params=query).json()
        seen += [record["value"] for record in page["records"]]
        after = page["next_after"]
        if after is None:
            break

    assert list(range(25)) == seen


def test_a_call_with_the_same_key_applies_once(ask):
    named = {"Idempotency-Key": "op-1"}

    first = ask.put("/records/x/a", json={"value": 1}, headers=named)
    ask.put("/records/x/a", json={"value": 2})
    again = ask.put("/records/x/a", json={"value": 1}, headers=named)
    other = ask.put("/records/x/a", json={"value": 9}, headers=named)

    assert first.json() == again.json()
    assert (409, "op_id_reused") == (other.status_code, other.json()["error"])
    assert (2, 2) == tuple(ask.get("/records/x/a").json()[n] for n in ("value", "version"))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/messages/claim", {"topic": "t"}),
        ("/leases", {"name": "deploy", "wait_s": 0}),
        ("/sessions", {"session_id": "one"}),
    ],
)
def test_a_verb_that_no_op_id_belongs_to_is_answered_the_same_again(ask, path, body):
    ask.post("/messages", json={"bodies": [1, 2], "topic": "t"})
    named = {"Idempotency-Key": "again"}

    first = ask.post(path, json=body, headers=named)
    again = ask.post(path, json=body, headers=named)

    assert 200 == first.status_code
    assert first.json() == again.json()


def test_a_delete_and_a_batch_apply_once(ask):
    ask.put("/records/x/a", json={"value": 1})
    batch = {"items": [{"key": "x/b", "value": 1}, {"key": "x/c", "value": 1}]}
    named = [{"Idempotency-Key": name} for name in ("delete", "batch")]

    deleted = [ask.delete("/records/x/a", headers=named[0]).json() for _ in range(2)]
    written = [ask.post("/records", json=batch, headers=named[1]).json() for _ in range(2)]

    assert [True, True] == deleted
    assert written[0] == written[1]
    assert [1, 1] == [record["version"] for record in written[1]]


@pytest.mark.parametrize(
    ("query", "body", "error"),
    [
        ("a//b", {"value": 1}, "invalid_key"),
        ("a", {}, "invalid_argument"),
        ("a", {"value": 1, "unknown": 1}, "invalid_argument"),
        ("a", {"value": 1, "ttl_s": "3"}, "invalid_argument"),
        ("a", {"value": 1, "ttl_s": True}, "invalid_argument"),
        ("a", {"value": 1, "on_conflict": "hope"}, "invalid_argument"),
        ("a", {"value": 1, "fence": "deploy"}, "invalid_argument"),
        ("a", {"value": 1, "expect": -1}, "invalid_argument"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_written(ask, query, body, error):
    refused = ask.put(f"/records/{query}", json=body)

    assert (400, error) == (refused.status_code, refused.json()["error"])
    assert 0 == ask.get("/events/newest").json()


@pytest.mark.parametrize(
    ("kind", "body"),
    [("text/plain", b'{"value": 1}'), ("application/json", b"{"), ("application/json", b"[1]")],
)
def test_a_body_is_an_object_and_says_that_it_is_json(ask, kind, body):
    refused = ask.put("/records/a", content=body, headers={"Content-Type": kind})

    assert 400 == refused.status_code
    assert ask.get("/records").json()["records"] == []


def test_who_asks_is_the_author_whatever_his_name(ask):
    named = {"Swarm-Agent": "prüfer/%C3%A4", "Swarm-Session": "one"}
    named = {name: value.encode().hex() for name, value in named.items()} | {
        "Swarm-Agent": "pr%C3%BCfer"
    }

    written = ask.put("/records/x/a", json={"value": 1}, headers=named).json()

    assert ("prüfer", b"one".hex()) == (written["author"], written["session"])


def test_a_guarded_write_needs_its_lease(ask):
    lease = ask.post("/leases", json={"name": "deploy: all/äö"}).json()
    fence = f"{lease['token']}:{lease['name']}"

    done = ask.put("/records/x/a", json={"value": 1, "fence": fence})
    ask.post("/leases/release", json={"lease": fence})
    refused = ask.put("/records/x/a", json={"value": 2, "fence": fence})

    assert [200, 409] == [done.status_code, refused.status_code]
    assert "lease_lost" == refused.json()["error"]
    assert 1 == ask.get("/records/x/a").json()["value"]


def test_another_method_is_refused(ask):
    assert 405 == ask.patch("/records/a", json={}).status_code
    assert 405 == ask.put("/search", json={}).status_code


def test_the_document_describes_every_verb(ask, api):
    served = ask.get(f"{api.url}/v1/openapi.json").json()

    assert document() == served
    described = {
        (path.removeprefix("/v1/swarms/{swarm}"), method.upper())
        for path, operations in served["paths"].items()
        for method in operations
    }
    assert {(verb.path, verb.method) for verb in VERBS} <= described


def test_every_error_has_a_status():
    assert sorted(EXIT_STATUS) == sorted(HTTP_STATUS)
