"""Three-way merge: what one side left alone follows the other, and nothing is made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_memory.merge import MergeConflict, three_way

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.0, 1.0, 2.5]),
    st.text("ab~/", max_size=2),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=1), inner),
    max_leaves=12,
)
objects = st.recursive(
    scalars, lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=4), max_leaves=8
)


def strict(value):
    """A form in which True, 1 and 1.0 differ and the order of keys does not."""
    if isinstance(value, dict):
        return {key: strict(item) for key, item in value.items()}
    if isinstance(value, list):
        return [strict(item) for item in value]
    return type(value).__name__, value


def leaves(value):
    if isinstance(value, dict):
        return {leaf for item in value.values() for leaf in leaves(item)}
    if isinstance(value, list):
        return {leaf for item in value for leaf in leaves(item)}
    return {strict(value)}


def attempt(base, theirs, mine):
    try:
        return strict(three_way(base, theirs, mine))
    except MergeConflict as conflict:
        return sorted(conflict.paths)


@given(values, values)
def test_what_both_sides_changed_alike_is_taken(base, value):
    assert strict(value) == strict(three_way(base, value, value))


@given(values, values)
def test_what_only_one_side_changed_is_taken(base, value):
    assert strict(value) == strict(three_way(base, base, value))
    assert strict(value) == strict(three_way(base, value, base))


@given(objects, objects, objects)
def test_objects_merge_the_same_whoever_came_first(base, one, other):
    assert attempt(base, one, other) == attempt(base, other, one)


@given(values, values, values)
def test_every_scalar_of_the_result_comes_from_one_of_the_sides(base, theirs, mine):
    try:
        merged = three_way(base, theirs, mine)
    except MergeConflict as conflict:
        assert conflict.paths
    else:
        assert leaves(merged) <= leaves(theirs) | leaves(mine)


@given(values, values, values)
def test_merging_changes_none_of_its_arguments(base, theirs, mine):
    before = repr((base, theirs, mine))

    attempt(base, theirs, mine)

    assert before == repr((base, theirs, mine))


def test_objects_merge_key_by_key_at_every_depth():
    base = {"a": 1, "gone": 1, "deep": {"x": 1, "y": 1}}
    theirs = {"a": 2, "gone": 1, "deep": {"x": 2, "y": 1}, "new": 3}
    mine = {"a": 1, "deep": {"x": 1, "y": 5}, "own": 4}

    assert {"a": 2, "deep": {"x": 2, "y": 5}, "new": 3, "own": 4} == three_way(base, theirs, mine)


def test_every_place_that_both_changed_is_named():
    base = {"a": 1, "b": {"c/d": 1, "e~f": 1}, "kept": 1}
    theirs = {"a": 2, "b": {"c/d": 2, "e~f": 2}, "kept": 2}
    mine = {"a": 3, "b": {"c/d": 3, "e~f": 3}, "kept": 1}

    with pytest.raises(MergeConflict) as caught:
        three_way(base, theirs, mine)

    assert ["/a", "/b/c~1d", "/b/e~0f"] == caught.value.paths
    assert "/a" in str(caught.value)


def test_the_whole_value_has_the_path_of_the_root():
    assert ["/"] == attempt(1, 2, 3)


@pytest.mark.parametrize("sides", [({}, {"a": 2}), ({"a": 2}, {})])
def test_deleting_what_the_other_side_changed_is_a_conflict(sides):
    assert ["/a"] == attempt({"a": 1}, *sides)


@pytest.mark.parametrize("other", [1.0, True, "1"])
def test_equality_is_strict_about_types(other):
    assert ["/a"] == attempt({"a": 0}, {"a": 1}, {"a": other})
    assert strict({"a": other}) == strict(three_way({"a": 1}, {"a": 1}, {"a": other}))


def test_lists_that_both_appended_to_are_joined_theirs_first():
    base = [{"n": 1}]

    merged = three_way(base, [*base, {"n": 2}], [*base, {"n": 3}, {"n": 4}])

    assert [{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}] == merged


def test_lists_of_distinct_scalars_merge_as_sets_in_order():
    merged = three_way(["a", "b", "c"], ["a", "c", "x", "z"], ["b", "c", "x", "y"])

    assert ["c", "x", "z", "y"] == merged


def test_a_list_whose_elements_were_moved_is_no_set():
    assert ["/plan"] == attempt(
        {"plan": ["a", "b"]}, {"plan": ["a", "b", "c"]}, {"plan": ["b", "a"]}
    )


def test_lists_that_both_sides_changed_inside_are_a_conflict():
    assert ["/"] == attempt([{"n": 1}, {"n": 2}], [{"n": 3}, {"n": 2}], [{"n": 1}, {"n": 4}])


def test_without_a_base_two_objects_merge_as_from_an_empty_one():
    assert {"a": 1, "b": 2} == three_way(None, {"a": 1}, {"b": 2})
    assert ["/a"] == attempt(None, {"a": 1}, {"a": 2})
    assert ["x", "y"] == three_way(None, ["x"], ["y"])


def test_null_in_the_base_is_no_empty_object():
    assert ["/a"] == attempt({"a": None}, {"a": {"x": 1}}, {"a": {"y": 1}})
    assert {"a": {"x": 1, "y": 1}} == three_way({}, {"a": {"x": 1}}, {"a": {"y": 1}})


def test_tuples_count_as_arrays():
    assert [1, 2, 3] == list(three_way((1,), [1, 2], (1, 3)))
