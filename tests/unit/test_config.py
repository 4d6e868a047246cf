"""Settings and categories: defaults, overrides, and errors that name the nearest spelling."""

import json

import pytest

from swarm_memory.config import load_config, unknown_variables
from swarm_memory.errors import ConfigError

DAY_S = 86_400


@pytest.fixture
def write(tmp_path):
    def write(document):
        path = tmp_path / "schema.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return str(path)

    return write


def test_the_defaults_are_those_of_the_specification():
    config = load_config()

    assert 100 * 2**20 == config.agent_bytes_max
    assert 50 * 2**20 == config.session_bytes_max
    assert 10 * 2**30 == config.total_bytes_max
    assert (0.8, 0.9) == (config.warn_ratio, config.clean_ratio)
    assert (5, 30, 60) == (
        config.sync_interval_s,
        config.lock_timeout_s,
        config.monitor_interval_s,
    )


@pytest.mark.parametrize(
    ("key", "category", "days"),
    [
        ("swarm-1/agent-a/state", "agent_state", 7),
        ("swarm-1/agent-a/state/detail", "agent_state", 7),
        ("swarm-1/agent-a/decisions/d", "decisions", 14),
        ("swarm-1/agent-a/progress/t", "progress", 14),
        ("swarm-1/agent-a/knowledge/k", "agent_knowledge", 30),
        ("swarm-1/global/knowledge/k", "global_knowledge", 90),
        ("swarm-1/global/patterns/p", "global_patterns", 365),
        ("neural/patterns/p", "global_patterns", 365),
        ("neural/outcomes/o", "outcomes", 365),
        ("swarm-1/session-1/context", "session", 14),
        ("swarm-1/session-1/coordination/l", "session_logs", 7),
        ("memory/operations", "operations", 7),
        ("memory/operations/imported/x", "imported_operations", 365),
        ("memory/imported/x", "imported", None),
        ("checkpoints/langgraph/t/+/c/1", "checkpoints", None),
        ("notes/today", "other", None),
        ("swarm-1/agents/a", "other", None),
    ],
)
def test_a_key_falls_into_its_category(key, category, days):
    found = load_config().category_of(key)

    assert category == found.name
    assert (None if days is None else days * DAY_S) == found.retention_s


def test_a_file_overrides_single_settings_and_categories(write):
    path = write(
        {
            "settings": {"lock_timeout_s": 5},
            "categories": {
                "decisions": {"retention_s": 60},
                "mine": {"keys": ["swarm-*/agent-*/state/mine"], "retention_s": 1},
            },
        }
    )

    config = load_config(path)

    assert 5 == config.lock_timeout_s
    assert 60 == config.category_of("swarm-1/agent-a/decisions/d").retention_s
    assert "mine" == config.category_of("swarm-1/agent-a/state/mine").name
    assert "agent_state" == config.category_of("swarm-1/agent-a/state").name


def test_a_variable_overrides_the_file(write):
    path = write({"settings": {"lock_timeout_s": 5}})

    config = load_config(path, {"SWARM_MEMORY_LOCK_TIMEOUT_S": "7.5", "PATH": "/bin"})

    assert 7.5 == config.lock_timeout_s


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"settings": {"lock_timeout": 5}}, ["lock_timeout", "lock_timeout_s"]),
        ({"setings": {}}, ["setings", "settings"]),
        ({"categories": {"decisions": {"retention": 5}}}, ["retention", "retention_s"]),
        ({"settings": {"lock_timeout_s": -1}}, ["lock_timeout_s", "0"]),
        ({"settings": {"lock_timeout_s": "5"}}, ["lock_timeout_s"]),
        ({"settings": {"agent_bytes_max": 5000.5}}, ["whole number"]),
        ({"settings": {"warn_ratio": True}}, ["warn_ratio"]),
        ({"categories": {"x": {"retention_s": 1}}}, ["keys"]),
        ({"categories": {"x": {"keys": ["a"], "on_conflict": "hope"}}}, ["hope", "reject"]),
        ({"categories": {"x": {"keys": ["a"], "versions_max": 0}}}, ["versions_max"]),
        ({"categories": {"x": {"keys": ["a"], "retention_s": 0}}}, ["retention_s"]),
        ({"categories": {"x": 5}}, ["object"]),
        ("[]", ["no JSON object"]),
        ("{", ["no JSON"]),
    ],
)
def test_a_wrong_file_says_what_is_wrong_and_what_is_meant(write, document, words):
    with pytest.raises(ConfigError) as caught:
        load_config(write(document))

    text = f"{caught.value} {caught.value.hint}"
    assert [] == [word for word in words if word not in text]


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        load_config(str(tmp_path / "none.json"))


def test_a_variable_that_is_no_number_is_an_error():
    with pytest.raises(ConfigError, match="LOCK_TIMEOUT_S"):
        load_config(None, {"SWARM_MEMORY_LOCK_TIMEOUT_S": "soon"})


def test_unknown_variables_are_named_with_the_nearest_spelling():
    sentences = unknown_variables(
        {"SWARM_MEMORY_LOCK_TIMOUT_S": "5", "SWARM_MEMORY_URL": "x", "OTHER": "1"}
    )

    assert 1 == len(sentences)
    assert "SWARM_MEMORY_LOCK_TIMEOUT_S" in sentences[0]


def test_a_config_does_not_change():
    with pytest.raises(AttributeError):
        load_config().lock_timeout_s = 1


def test_to_dict_loads_again(write):
    config = load_config()

    again = load_config(write(config.to_dict()))

    assert config.to_dict() == again.to_dict()
