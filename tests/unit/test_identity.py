"""Names of sessions and agents: readable, valid in keys, and never one for two."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_memory.identity import SHORT_MAX, agent_name, short_names
from swarm_memory.key import check_key, escape, unescape
from swarm_memory.layout import Layout
from swarm_memory.swarm import NAME_BYTES_MAX

UUID = "3f2a9c1b-77d0-4b1e-9c55-0a1b2c3d4e5f"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80)
LABELS = st.none() | st.sampled_from(["a", "a:b", "a@b", "a+40b", "@" * 20, "+40" * 20]) | TEXTS
WHO = st.tuples(LABELS, LABELS, st.sampled_from(["3f2a9c1b", "3f2a9c1b-", "b", "s.1"]))


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("main@3f2a9c1b", {}),
        ("explore:a7d93f2@3f2a9c1b", {"agent_type": "explore", "agent_id": "a7d93f2"}),
        ("reviewer@3f2a9c1b", {"agent_type": "general", "teammate": "reviewer"}),
        ("plan+3Aner+40home@3f2a9c1b", {"teammate": "plan:ner@home"}),
        ("main:+@3f2a9c1b", {"agent_id": ""}),
    ],
)
def test_an_agent_is_called_by_its_name_or_type_or_main(name, of):
    assert name == agent_name("3f2a9c1b", **of)


@given(WHO, WHO)
def test_two_agents_never_share_a_name_or_a_state(one, other):
    names = [agent_name(short, agent_type=t, agent_id=i) for t, i, short in (one, other)]
    same = [(t or "main", i, short) for t, i, short in (one, other)]

    assert (same[0] == same[1]) == (names[0] == names[1])
    assert (names[0] == names[1]) == (Layout("s", names[0]).state == Layout("s", names[1]).state)


@given(LABELS, LABELS, TEXTS)
def test_a_name_is_one_valid_segment_that_a_swarm_takes(label, agent_id, session_id):
    short = next(short_names(session_id))
    name = agent_name(short, teammate=label, agent_id=agent_id)

    assert name == check_key(name)
    assert "/" not in name
    assert len(name) <= NAME_BYTES_MAX
    assert short == name.rpartition("@")[2]


@given(TEXTS)
def test_short_names_of_a_session_are_many_and_differ(session_id):
    some = list(islice(short_names(session_id), 40))

    assert 40 == len(set(some))
    assert {"@", ":", "/"} & set("".join(some)) == set()


def test_a_short_name_is_the_beginning_of_a_long_id_and_the_whole_of_a_short_one():
    assert ["3f2a9c1b", "3f2a9c1b-7", "3f2a9c1b-77"] == list(islice(short_names(UUID), 3))
    assert ["feature-login-1", "feature--2"] == list(islice(short_names("feature/login-1"), 2))
    assert SHORT_MAX == len(next(short_names("x" * SHORT_MAX)))


def test_what_is_escaped_in_addition_comes_back():
    assert "a+40b+3Ac" == escape("a@b:c", also="@:")
    assert "a@b:c" == unescape("a+40b+3Ac")
    assert "a@b:c" == escape("a@b:c")
