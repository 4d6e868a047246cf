"""Every variant comes out whole: values, times, namespaces, metadata."""

import json
from datetime import timedelta, timezone

import pytest
from import_builders import (
    DDL_A,
    DDL_A2,
    DDL_B,
    DDL_H1,
    DDL_H2,
    DDL_H3,
    DDL_M,
    DDL_R3,
    DDL_R3A,
    DDL_S,
    NOW_MS,
    T_ISO,
    T_MS,
    T_S,
    T_TEXT,
    build,
    build_in_wal,
    compressed,
    entry,
    entry_python,
    entry_v3,
)

from swarm_memory.importers import MEMORY, TELEMETRY


def test_a_row_of_v2_keeps_value_times_namespace_and_metadata(tmp_path, read):
    row = entry("plan", '{"step": 1}', "notes", metadata='{"type":"knowledge"}', access_count=3)
    store = read(build(tmp_path / "memory.db", DDL_A, {"memory_entries": [row]}))

    item = store.one("memory_entries", "plan")

    assert store.reading.format == "claude-flow/A"
    assert (item.key, item.value) == ("memory/imported/src/entries/notes/plan", {"step": 1})
    assert (item.created_ms, item.updated_ms, item.expires_ms) == (T_MS, T_MS + 60_000, None)
    assert item.provenance["namespace"] == "notes"
    assert item.provenance["metadata"]["metadata"] == {"type": "knowledge"}
    assert item.provenance["metadata"]["access_count"] == 3


def test_rows_that_are_only_in_the_wal_are_read(tmp_path, read):
    rows = {"memory_entries": [entry(f"k{n}") for n in range(50)]}
    path = build_in_wal(tmp_path / "memory.db", DDL_A, rows)
    assert b"memory_entries" not in path.read_bytes()

    store = read(path)

    assert store.reading.memories == 50
    assert store.table("memory_entries").counted == 50


def test_extra_tables_of_a2_become_rows_of_their_own(tmp_path, read):
    rows = {
        "memory_entries": [entry("k")],
        "training_data": [{"pattern_type": "x", "input_context": '{"a": [1]}', "timestamp": T_S}],
        "mcp_tool_usage": [{"tool_name": "swarm_init", "timestamp": T_S}],
    }
    store = read(build(tmp_path / "memory.db", DDL_A2, rows))

    training = store.one("training_data", "1")

    assert store.reading.format == "claude-flow/A2"
    assert training.key == "memory/imported/src/training_data/1"
    assert training.value["input_context"] == {"a": [1]}
    assert training.created_ms == T_MS
    assert store.one("mcp_tool_usage", "1").kind == TELEMETRY


def test_seconds_and_text_dates_of_b_are_the_same_moment(tmp_path, read):
    data = json.dumps({"title": "t", "domain": "d"})
    rows = {
        "memory_entries": [entry("k")],
        "patterns": [
            {"id": "p1", "type": "m", "pattern_data": data, "created_at": T_TEXT},
        ],
        "pattern_embeddings": [{"id": "p1", "model": "m", "dims": 2, "vector": bytes(8)}],
        "pattern_links": [
            {"src_id": "a,b", "dst_id": "c", "relation": "r"},
            {"src_id": "a", "dst_id": "b,c", "relation": "r"},
        ],
        "metrics_log": [{"metric_name": "rb.x", "value": 1.0, "timestamp": T_TEXT}],
    }
    store = read(build(tmp_path / "memory.db", DDL_B, rows))

    pattern = store.one("patterns", "p1")

    assert store.reading.format == "claude-flow/B"
    assert pattern.created_ms == store.one("memory_entries", "k").created_ms == T_MS
    assert pattern.value["pattern_data"]["title"] == "t"
    assert store.table("pattern_embeddings").skipped == {"embeddings are rebuilt, not imported": 1}
    assert store.one("metrics_log", "1").kind == TELEMETRY
    assert store.table("pattern_links").memories == 2
    assert len(store.items) == len({item.key for item in store.items})


def test_empty_tables_of_h1_are_reported_with_zero_rows(tmp_path, read):
    store = read(build(tmp_path / "hive.db", DDL_H1))

    assert store.reading.format == "claude-flow/H1"
    assert [(table.name, table.counted) for table in store.reading.tables] == [
        ("agents", 0),
        ("messages", 0),
        ("swarms", 0),
    ]


def test_collective_memory_and_checkpoints_of_h2_are_decoded(tmp_path, read):
    rows = {
        "swarms": [{"id": "s1", "name": "n", "created_at": T_TEXT}],
        "collective_memory": [
            {
                "id": "x",
                "swarm_id": "s1",
                "key": "objective",
                "value": '"ship it"',
                "created_by": "queen",
                "created_at": T_TEXT,
            }
        ],
        "session_checkpoints": [
            {
                "id": "c1",
                "session_id": "z",
                "checkpoint_name": "auto",
                "checkpoint_data": compressed({"n": 1}),
            }
        ],
        "session_logs": [{"session_id": "z", "message": "m", "data": '{"a":1}'}],
    }
    store = read(build(tmp_path / "hive.db", DDL_H2, rows))

    memory = store.one("collective_memory", "objective")

    assert store.reading.format == "claude-flow/H2"
    assert memory.key == "memory/imported/src/collective_memory/s1/objective"
    assert (memory.value, memory.author, memory.created_ms) == ("ship it", "queen", T_MS)
    assert memory.provenance["namespace"] == "s1"
    assert store.one("session_checkpoints", "c1").value["checkpoint_data"] == {"n": 1}
    assert store.one("session_logs", "1").kind == TELEMETRY
    assert store.one("swarms", "s1").kind == MEMORY


def test_collective_memory_without_its_unique_index_keeps_every_row(tmp_path, read):
    row = {"swarm_id": "s1", "key": "objective", "value": "1"}
    rows = {"collective_memory": [{"id": "a", **row}, {"id": "b", **row}]}
    store = read(build(tmp_path / "hive.db", DDL_H3, rows))

    assert sorted(item.key for item in store.items) == [
        "memory/imported/src/collective_memory/s1/objective/1",
        "memory/imported/src/collective_memory/s1/objective/2",
    ]


def test_knowledge_and_metrics_of_h3_are_told_apart(tmp_path, read):
    rows = {
        "knowledge_base": [
            {
                "id": "kb",
                "title": "t",
                "content": "c",
                "tags": '["x"]',
                "source_agent_id": "ann",
                "created_at": T_TEXT,
            }
        ],
        "performance_metrics": [{"id": "pm", "metric_name": "m", "metric_value": 1.5}],
    }
    store = read(build_in_wal(tmp_path / "hive.db", DDL_H3, rows))

    knowledge = store.one("knowledge_base", "kb")

    assert store.reading.format == "claude-flow/H3"
    assert (knowledge.kind, knowledge.value["tags"], knowledge.author) == (MEMORY, ["x"], "ann")
    assert store.one("performance_metrics", "pm").kind == TELEMETRY


def test_milliseconds_of_m_and_r3_are_kept(tmp_path, read):
    memories = {"memories": [{"namespace": "n", "key": "k", "value": "v", "timestamp": T_MS + 123}]}
    hive = read(build(tmp_path / "hive.db", DDL_M, memories))
    row = entry_v3(
        "k",
        '{"a":1}',
        "n",
        tags='["t"]',
        metadata='{"m":1}',
        embedding="[0.1,0.2,0.3]",
        owner_id="ann",
        created_at=T_MS + 7,
    )
    ruflo = read(build(tmp_path / "v3.db", DDL_R3, {"memory_entries": [row]}))

    assert hive.reading.format == "claude-flow/M"
    assert hive.one("memories", "k").created_ms == T_MS + 123
    item = ruflo.one("memory_entries", "k")
    assert ruflo.reading.format == "claude-flow/R3"
    assert (item.value, item.created_ms, item.author) == ({"a": 1}, T_MS + 7, "ann")
    assert item.provenance["metadata"]["embedding"] == {"dims": 3}
    assert item.provenance["metadata"]["tags"] == ["t"]


def test_rows_that_v3_deleted_stay_deleted_and_are_counted(tmp_path, read):
    rows = [entry_v3("a"), entry_v3("b", status="deleted"), entry_v3("c", status="archived")]
    store = read(build(tmp_path / "memory.db", DDL_R3, {"memory_entries": rows}))

    assert store.table("memory_entries").skipped == {"deleted in its own store": 1}
    assert sorted(item.provenance["key"] for item in store.items) == ["a", "c"]
    assert store.one("memory_entries", "c").provenance["metadata"]["status"] == "archived"


def test_r3a_has_milliseconds_in_one_table_and_seconds_in_another(tmp_path, read):
    rows = {
        "memory_entries": [entry_v3("k")],
        "episodes": [{"ts": T_S, "session_id": "z", "task": "t", "created_at": T_S}],
        "episode_embeddings": [{"episode_id": 1, "embedding": bytes(16)}],
        "facts": [{"subject": "s", "created_at": T_S, "expires_at": NOW_MS // 1000 + 60}],
        "metadata": [{"key": "schema_version", "value": "3.0.0"}],
    }
    store = read(build_in_wal(tmp_path / "memory.db", DDL_R3A, rows))

    assert store.reading.format == "claude-flow/R3a"
    assert store.one("memory_entries", "k").created_ms == T_MS
    assert store.one("episodes", "1").created_ms == T_MS
    assert store.one("facts", "1").expires_ms == NOW_MS + 60_000
    assert store.one("metadata", "schema_version").kind == TELEMETRY


def test_python_store_is_gunzipped_and_keeps_its_path_keys(tmp_path, read):
    rows = {
        "memory_entries": [
            entry_python("swarm-a/agent-x/state", {"n": 1}, agent_name="x"),
            entry_python("odd key/ü", [1, 2]),
        ],
        "memory_operations": [{"operation_type": "store", "operation_data": '{"size": 2}'}],
    }
    store = read(build(tmp_path / "memory.db", DDL_S, rows))

    item = store.one("memory_entries", "swarm-a/agent-x/state")

    assert store.reading.format == "python/S"
    assert item.key == "memory/imported/src/entries/swarm-a/agent-x/state"
    assert (item.value, item.author, item.created_ms) == ({"n": 1}, "x", T_MS)
    assert store.items[1].key == "memory/imported/src/entries/odd+20key/+C3+BC"
    assert store.one("memory_operations", "1").value["operation_data"] == {"size": 2}
    assert store.one("memory_operations", "1").kind == TELEMETRY


def test_python_store_writes_utc_but_expires_in_local_time(tmp_path, read):
    row = entry_python("neural/outcomes/1", {}, expires_at="2026-07-12T14:48:43.294212")
    path = build(tmp_path / "memory.db", DDL_S, {"memory_entries": [row]})

    east = read(path, zone=timezone(timedelta(hours=2))).items[0]
    west = read(path, zone=timezone(timedelta(hours=-5))).items[0]

    assert west.expires_ms - east.expires_ms == 7 * 3_600_000
    assert T_MS == east.created_ms == west.created_ms


def test_j1_yields_agents_tasks_and_the_rest_as_telemetry(tmp_path, read):
    path = tmp_path / "claude-flow-data.json"
    document = {
        "agents": [{"id": "a1", "name": "x", "createdAt": T_MS}, {"name": "no id"}],
        "tasks": [{"id": "t1", "createdAt": T_MS}, {"id": "t1", "createdAt": T_MS}],
        "lastUpdated": T_MS,
        "settings": {"a": 1},
    }
    path.write_text(json.dumps(document))

    store = read(path)

    assert store.reading.format == "claude-flow/J1"
    assert store.one("agents", "a1").created_ms == T_MS
    assert (store.reading.memories, store.reading.telemetry) == (4, 1)
    assert store.one("document", "settings").value == {"a": 1}
    assert len({item.key for item in store.items}) == 5


def test_j2_decodes_text_and_numbers_keys_that_occur_twice(tmp_path, read):
    path = tmp_path / "memory-store.json"
    rows = [
        {"key": "a/b", "value": '{"x": 1}', "namespace": "default", "timestamp": T_MS},
        {"key": "a/b", "value": "plain", "namespace": "default", "timestamp": T_MS},
        {"key": "no value"},
    ]
    path.write_text(json.dumps({"default": rows, "hooks:pre-bash": [rows[0] | {"namespace": 7}]}))

    store = read(path)

    assert store.reading.format == "claude-flow/J2"
    assert [(item.key, item.value) for item in store.items] == [
        ("memory/imported/src/entries/default/a+2Fb", {"x": 1}),
        ("memory/imported/src/entries/default/a+2Fb/2", "plain"),
        ("memory/operations/imported/src/entries/hooks:pre-bash/a+2Fb", {"x": 1}),
    ]
    assert store.table("entries").unreadable == {"no entry: it has no key or no value": 1}


def test_j3_keeps_types_iso_times_owner_and_metadata(tmp_path, read):
    path = tmp_path / "entries.json"
    common = {"namespace": "default", "checksum": "0", "accessLevel": "shared", "owner": "ann"}
    common |= {"createdAt": T_ISO, "updatedAt": T_ISO, "tags": ["t"]}
    values = [("string", "42"), ("number", 42), ("object", '{"a": 1}'), ("null", None)]
    rows = [{"key": kind, "value": value, "type": kind, **common} for kind, value in values]
    path.write_text(json.dumps(rows))

    store = read(path)

    assert store.reading.format == "claude-flow/J3"
    assert [item.value for item in store.items] == ["42", 42, {"a": 1}, None]
    assert {(T_MS, "ann")} == {(item.created_ms, item.author) for item in store.items}
    assert store.items[0].provenance["metadata"]["tags"] == ["t"]


def test_j4_export_is_read(tmp_path, read):
    path = tmp_path / "export.json"
    rows = [{"key": "k", "namespace": "n", "value": "v", "createdAt": T_MS, "updatedAt": T_MS + 1}]
    path.write_text(json.dumps({"schema": "ruflo-memory-export/v1", "count": 1, "entries": rows}))

    store = read(path)

    assert store.reading.format == "claude-flow/J4"
    assert [(item.key, item.value, item.created_ms, item.updated_ms) for item in store.items] == [
        ("memory/imported/src/entries/n/k", "v", T_MS, T_MS + 1)
    ]


def test_a_table_nobody_knows_is_read_like_any_other(tmp_path, read):
    ddl = DDL_A + 'CREATE TABLE "my notes" (title TEXT, body TEXT, picture BLOB);'
    rows = {"my notes": [{"title": "t", "body": "[1]", "picture": b"\x00\xff"}]}
    store = read(build(tmp_path / "memory.db", ddl, rows))

    item = store.items[0]

    assert item.key == "memory/imported/src/my+20notes/rowid/1"
    assert item.value == {"title": "t", "body": [1], "picture": {"base64": "AP8="}}


@pytest.mark.parametrize(
    ("namespace", "key", "kind"),
    [
        ("hooks:post-edit", "k", TELEMETRY),
        ("performance", "k", TELEMETRY),
        ("performance-metrics", "k", TELEMETRY),
        ("command-history", "k", TELEMETRY),
        ("file-history", "k", TELEMETRY),
        ("session-states", "k", TELEMETRY),
        ("task-index", "k", TELEMETRY),
        ("coordination", "edit-context:1", TELEMETRY),
        ("coordination", "swarm/plan", MEMORY),
        ("sessions", "session:1", MEMORY),
        ("default", "hooks:x", MEMORY),
        ("feedback", "k", MEMORY),
        ("my-hooks", "k", MEMORY),
    ],
)
def test_operations_of_hooks_are_telemetry_and_all_else_is_memory(
    tmp_path, read, namespace, key, kind
):
    rows = {"memory_entries": [entry(key, namespace=namespace)]}
    item = read(build(tmp_path / "memory.db", DDL_A, rows)).items[0]

    root = "memory/operations/imported/" if kind == TELEMETRY else "memory/imported/"
    assert kind == item.kind
    assert item.key.startswith(root)


def test_feedback_and_commands_are_telemetry_in_v3_only(tmp_path, read):
    rows = [entry_v3("k", namespace=name) for name in ("feedback", "commands", "patterns")]
    store = read(build(tmp_path / "memory.db", DDL_R3, {"memory_entries": rows}))

    assert (store.reading.memories, store.reading.telemetry) == (1, 2)


def test_a_row_that_has_expired_is_kept_without_its_expiry(tmp_path, read):
    past, future = NOW_MS // 1000 - 1, NOW_MS // 1000 + 1
    rows = [entry("past", ttl=3600, expires_at=past), entry("future", expires_at=future)]
    store = read(build(tmp_path / "memory.db", DDL_A, {"memory_entries": rows}))

    assert None is store.one("memory_entries", "past").expires_ms
    assert past * 1000 == store.one("memory_entries", "past").provenance["expired_ms"]
    assert future * 1000 == store.one("memory_entries", "future").expires_ms


def test_a_ttl_given_in_milliseconds_expires_after_days_and_not_in_2108(tmp_path, read):
    month = 2_592_000_000
    start = NOW_MS // 1000 - 60
    row = entry("k", ttl=month, created_at=start, expires_at=start + month)
    item = read(build(tmp_path / "memory.db", DDL_A, {"memory_entries": [row]})).items[0]

    assert start * 1000 + month == item.expires_ms


def test_the_same_file_yields_the_same_items_again(tmp_path):
    from swarm_memory.importers import read_store

    rows = {"memory_entries": [entry(f"k {n}") for n in range(5)]}
    path = build(tmp_path / "memory.db", DDL_A, rows)
    reading = read_store(path, now_ms=NOW_MS)

    first, again = list(reading.items()), list(reading.items())

    assert first == again == list(read_store(path, now_ms=NOW_MS).items())
    assert reading.memories == 5


def test_the_digest_changes_with_value_time_and_metadata_only(tmp_path, read):
    def digest(name, **changes):
        # Without times of its own a row takes the second in which it is written.
        row = entry("k") | {"created_at": 1_752_000_000, "updated_at": 1_752_000_000} | changes
        path = build(tmp_path / name, DDL_A, {"memory_entries": [row]})
        return read(path).items[0].provenance["digest"]

    same = digest("1.db")

    assert len(same) == 32
    assert same == digest("2.db")
    assert (
        len(
            {
                same,
                digest("3.db", value="x"),
                digest("4.db", updated_at=1),
                digest("5.db", metadata="m"),
            }
        )
        == 4
    )


def test_two_projects_never_share_a_source(tmp_path):
    from swarm_memory.importers import default_source

    one = tmp_path / "shop" / ".swarm" / "memory.db"
    two = tmp_path / "shop" / ".claude" / "memory.db"
    long = tmp_path / ("ü" * 60) / ("x" * 80 + ".db")

    assert default_source(one).startswith("shop-memory.db-")
    assert default_source(one) == default_source(one)
    assert default_source(one) != default_source(two)
    assert len(default_source(long)) <= 40


def test_progress_names_the_table_once_in_a_thousand_items(tmp_path, read):
    calls = []
    rows = {"memory_entries": [entry(f"k{n}") for n in range(2500)]}
    read(build(tmp_path / "m.db", DDL_A, rows), progress=lambda *seen: calls.append(seen))

    assert calls == [("memory_entries", 1000), ("memory_entries", 2000)]
