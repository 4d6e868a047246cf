"""What a request may hold, as models that check it and describe it."""

from __future__ import annotations

from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from swarm_memory.errors import InvalidArgumentError
from swarm_memory.key import check_key
from swarm_memory.wire import shapes
from swarm_memory.wire.shapes import Addressed, Put

if TYPE_CHECKING:
    from swarm_memory.wire.verbs import Verb

_CHARACTER, _NO_DOT = "[A-Za-z0-9._:@+-]", "[A-Za-z0-9_:@+-]"
_SEGMENT = rf"({_CHARACTER}*{_NO_DOT}{_CHARACTER}*|\.{{3,}})"  # anything but `.` and `..`
KEY = rf"^{_SEGMENT}(/{_SEGMENT})*$"
PREFIX = rf"^(\*|{_SEGMENT}(/{_SEGMENT})*/?\*?)?$"
LEASE = r"^[0-9]{1,18}:[^\x00]+$"
WAIT_S_MAX = 86_400.0
ROWS_MAX = 10_000
WHOLE_MAX = 2**62
NAME = Field(min_length=1, max_length=1024)
# What an argument may be, by its name: one name means one thing in all verbs.
LIMITS: dict[str, Any] = {
    "key": Field(pattern=KEY, max_length=255),
    "prefix": Field(pattern=PREFIX, max_length=255),
    "after": Field(pattern=KEY, max_length=255),
    "limit": Field(ge=1, le=ROWS_MAX),
    "expect": Field(ge=0, le=WHOLE_MAX),
    "version": Field(ge=1, le=WHOLE_MAX),
    "since": Field(ge=0, le=WHOLE_MAX),
    "seq": Field(ge=0, le=WHOLE_MAX),
    "ttl_s": Field(gt=0),
    "wait_s": Field(ge=0, le=WAIT_S_MAX),
    "timeout_s": Field(gt=0, le=WAIT_S_MAX),
    "visible_after_s": Field(gt=0),
    "delay_s": Field(ge=0),
    "priority": Field(ge=-1000, le=1000),
    "attempts_max": Field(ge=1, le=1000),
    "fence": Field(pattern=LEASE),
    "lease": Field(pattern=LEASE),
    "token": Field(ge=0, le=WHOLE_MAX),
    "name": NAME,
    "mode": Field(pattern="^(read|write|exclusive)$"),
    "durability": Field(pattern="^(full|relaxed)$"),
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class _Lax(BaseModel):
    """For the query, in which everything is text."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Given(BaseModel):
    """For what is returned: described, never checked."""

    model_config = ConfigDict(extra="allow")


@cache
def taken_by(verb: Verb) -> type[BaseModel]:
    """Return the model of a verb's arguments."""
    base = _Lax if verb.method in ("GET", "DELETE") else _Strict
    made: dict[str, Any] = {}
    for name, argument in shapes.arguments(verb).items():
        kind = _translated(shapes.kind_of(argument.sent), base)
        if name in LIMITS:
            kind = _limited(kind, LIMITS[name])
        made[name] = (kind, ... if argument.required else _default(argument))
    return create_model(f"{verb.service}_{verb.name}", __base__=base, **made)


def _default(argument: shapes.Argument) -> Any:
    if argument.variadic:
        return Field(default_factory=list)
    return list(argument.default) if isinstance(argument.default, tuple) else argument.default


def _limited(kind: Any, limit: Any) -> Any:
    """Return a type with its limit, which is not one of None."""
    if get_origin(kind) in (Union, UnionType):
        some = [each for each in get_args(kind) if each is not NoneType]
        return Annotated[some[0], limit] | None
    return Annotated[kind, limit]


@cache
def given_by(verb: Verb) -> Any:
    """Return the type of what a verb returns."""
    return _translated(shapes.kind_of(shapes.result(verb)), _Given)


def _translated(kind: Any, base: type[BaseModel]) -> Any:
    """Return a type in which named tuples are models."""
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return Union[tuple(_translated(each, base) for each in get_args(kind))]  # noqa: UP007
    if origin in (list, tuple):
        inner = tuple(_translated(each, base) for each in get_args(kind))
        return origin[inner]
    if isinstance(kind, type) and hasattr(kind, "_fields"):
        return _model(kind, base)
    return kind


@cache
def _model(kind: Any, base: type[BaseModel]) -> type[BaseModel]:
    made: dict[str, Any] = {}
    for name, of in shapes.fields(kind).items():
        inner = _translated(of, base)
        if base is not _Given and name in LIMITS:
            inner = _limited(inner, LIMITS[name])
        made[name] = (inner, kind._field_defaults.get(name, ...))
    return create_model(kind.__name__, __base__=base, **made)


def checked(verb: Verb, given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a verb as its method takes them, without those that nobody gave.

    Raises:
        InvalidArgumentError, InvalidKeyError: They are not what it takes; nothing was done.
    """
    try:
        model = taken_by(verb).model_validate(given)
    except ValidationError as error:
        if "key" in given:
            check_key(given["key"])  # says more of a key than a pattern can
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the arguments"
        raise InvalidArgumentError(
            f"{place}: {first['msg']}", hint="see /v1/openapi.json for what is taken"
        ) from None
    return {name: _received(getattr(model, name)) for name in model.model_fields_set}


def _received(value: Any) -> Any:
    if isinstance(value, list):
        return [_received(each) for each in value]
    if isinstance(value, BaseModel):
        kind: Any = {"Put": Put, "Addressed": Addressed}[type(value).__name__]
        return kind(**{name: getattr(value, name) for name in kind._fields})
    return value
