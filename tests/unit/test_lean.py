"""What stands in for the standard library behaves as it does."""

from __future__ import annotations

import copy
import functools
import pickle
import statistics
import typing

import pytest

from swarm_memory.lean import MADE_SLOWLY, NamedTuple, lru_cache, median, suppress


class Ours(NamedTuple):
    """A point."""

    x: int
    y: int = 2
    z: str | None = None

    @property
    def sum(self) -> int:
        return self.x + self.y


class Often(NamedTuple):
    """A point."""

    x: int
    y: int = 2
    z: str | None = None

    @property
    def sum(self) -> int:
        return self.x + self.y


for _ in range(MADE_SLOWLY):
    Often(1)


class Empty(NamedTuple):
    """Nothing but its kind."""


class Theirs(typing.NamedTuple):
    """A point."""

    x: int
    y: int = 2
    z: str | None = None

    @property
    def sum(self) -> int:
        return self.x + self.y


class Placed(Ours):
    """With an attribute beside its fields."""

    home: str


BOTH = pytest.mark.parametrize("kind", [Ours, Often, Theirs])


@BOTH
def test_fields_come_in_their_order_with_their_defaults(kind):
    for made in (kind(1), kind(1, 2), kind(1, y=2), kind(x=1, z=None), kind._make((1, 2, None))):
        assert (1, 2, None) == made == tuple(made)
        assert (1, 2, None, 3) == (made.x, made.y, made.z, made.sum)
    assert ("x", "y", "z") == kind._fields == kind.__match_args__
    assert {"y": 2, "z": None} == kind._field_defaults
    assert "A point." == kind.__doc__


@BOTH
def test_what_does_not_fit_is_refused(kind):
    for given, named in [((), {}), ((1, 2, 3, 4), {}), ((1,), {"x": 1}), ((1,), {"w": 1})]:
        with pytest.raises(TypeError):
            kind(*given, **named)
    with pytest.raises(TypeError):
        kind._make((1, 2))


@BOTH
def test_it_cannot_be_changed_and_is_changed_by_copying(kind):
    made = kind(1)
    with pytest.raises(AttributeError):
        made.x = 2
    with pytest.raises(AttributeError):
        made.w = 2

    assert (5, 2, "z") == made._replace(x=5, z="z")
    assert kind is type(made._replace(x=5))
    with pytest.raises((TypeError, ValueError)):
        made._replace(w=1)


@BOTH
def test_it_is_shown_compared_and_kept_as_a_value(kind):
    made = kind(1, 2, "z")

    assert {"x": 1, "y": 2, "z": "z"} == made._asdict()
    assert f"{kind.__name__}(x=1, y=2, z='z')" == repr(made)
    assert hash((1, 2, "z")) == hash(made)
    for again in (pickle.loads(pickle.dumps(made)), copy.copy(made), copy.deepcopy(made)):
        assert (kind, made) == (type(again), again)
    match made:
        case kind(x, y):
            assert (1, 2) == (x, y)


def test_a_constructor_that_is_used_often_is_compiled():
    assert Often.__new__ is not Ours.__new__


def test_a_field_may_have_any_name():
    class Named(NamedTuple):
        new: str
        cls: str
        tuple: str = "t"

    assert [("n", "c", "t")] * (MADE_SLOWLY + 2) == [
        Named("n", cls="c") for _ in range(MADE_SLOWLY + 2)
    ]


def test_a_class_of_one_adds_attributes_and_no_fields():
    placed = Placed(1)
    placed.home = "here"

    assert ((1, 2, None), "here") == (placed, placed.home)
    assert Ours._fields == Placed._fields
    assert Placed is type(placed._replace(x=2))


@pytest.mark.parametrize("cached", [lru_cache, functools.lru_cache])
def test_results_are_kept_up_to_a_number(cached):
    asked = []

    @cached(maxsize=2)
    def double(number):
        asked.append(number)
        return 2 * number

    assert [2, 2, 4, 6, 2] == [double(n) for n in (1, 1, 2, 3, 1)]
    assert [1, 2, 3, 1] == asked
    assert (1, 4, 2, 2) == tuple(double.cache_info())


def test_only_what_is_named_is_suppressed():
    with suppress(KeyError, OSError):
        raise FileNotFoundError
    with suppress(OSError):
        pass
    with pytest.raises(ValueError, match="x"), suppress(OSError):
        raise ValueError("x")


def test_a_tuple_without_fields_may_be_made_as_often_as_one_likes():
    made = [Empty() for _ in range(MADE_SLOWLY + 2)]

    assert [()] * len(made) == made
    assert isinstance(made[-1], Empty)
    with pytest.raises(TypeError):
        Empty(1)


@pytest.mark.parametrize("values", [[3.0], [2, 1], [5.0, 1.0, 3.0], [4, 1, 3, 2], [0.1, 0.1]])
def test_a_median_is_that_of_statistics(values: list[float]) -> None:
    assert statistics.median(values) == median(values)
