"""What a request may hold, as models that check it and describe it."""

from __future__ import annotations

from functools import cache, reduce
from operator import or_
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    create_model,
)

from swarm_memory.errors import InvalidArgumentError
from swarm_memory.key import check_key
from swarm_memory.wire import shapes
from swarm_memory.wire.limits import LIMITS, OF_VERB, REQUIRED
from swarm_memory.wire.shapes import Addressed, Put, Touched
from swarm_memory.wire.verbs import SESSION_OR_NONE

if TYPE_CHECKING:
    from swarm_memory.wire.verbs import Verb

_FIELD = {
    "minLength": "min_length",
    "maxLength": "max_length",
    "pattern": "pattern",
    "minimum": "ge",
    "maximum": "le",
}


TUPLES: dict[str, Any] = {kind.__name__: kind for kind in (Addressed, Put, Touched)}


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
        limit = OF_VERB.get((verb.full_name, name), LIMITS.get(name))
        said = name in REQUIRED and verb.full_name not in SESSION_OR_NONE
        required = argument.required or said
        kind = _limited(kind, limit, base, optional=not said)
        made[name] = (kind, ... if required else _default(argument))
    return create_model(f"{verb.service}_{verb.name}", __base__=base, **made)


def _default(argument: shapes.Argument) -> Any:
    if argument.variadic:
        return Field(default_factory=list)
    return list(argument.default) if isinstance(argument.default, tuple) else argument.default


def _limited(
    kind: Any, limit: dict[str, Any] | None, base: type[BaseModel] = _Lax, *, optional: bool = True
) -> Any:
    """Return a type with its limit, which is not one of None."""
    if get_origin(kind) in (Union, UnionType):
        some = [each for each in get_args(kind) if each is not NoneType]
        # Where several are possible the limit is one of texts.
        kinds = [_limited(e, limit if len(some) == 1 or e is str else None, base) for e in some]
        limited = reduce(or_, kinds)
        return limited | None if optional and NoneType in get_args(kind) else limited
    noted: list[Any] = []
    if limit is not None:
        if "items" in limit:
            texts: Any = list[_limited(str, limit["items"], base)]  # type: ignore[misc]
            kind = dict[str, texts] if get_origin(kind) is dict else texts
        said = {_FIELD[name]: value for name, value in limit.items() if name != "items"}
        noted.append(Field(**said))
    if kind is int and base is _Strict:
        noted.append(BeforeValidator(_whole))
    return Annotated[(kind, *noted)] if noted else kind


class Text:
    """A text of a request that is no argument, such as a header."""

    def __init__(self, name: str, limit: dict[str, Any]) -> None:
        self._name = name
        self._adapter: TypeAdapter[str] = TypeAdapter(_limited(str, limit))

    def check(self, value: str) -> str:
        """Return a text that is within its limit.

        Raises:
            InvalidArgumentError: It is not.
        """
        try:
            return self._adapter.validate_python(value)
        except ValidationError as error:
            said = error.errors(include_url=False, include_input=False)[0]["msg"]
            raise InvalidArgumentError(
                f"{self._name}: {said}", hint="see /v1/openapi.json"
            ) from None


def _whole(value: Any) -> Any:
    """Return a whole number as JSON Schema has it: 3.0 is one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


@cache
def given_by(verb: Verb) -> Any:
    """Return the type of what a verb returns."""
    return _translated(shapes.kind_of(shapes.result(verb)), _Given)


def _translated(kind: Any, base: type[BaseModel]) -> Any:
    """Return a type in which named tuples are models."""
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return Union[tuple(_translated(each, base) for each in get_args(kind))]  # noqa: UP007
    if origin is list:
        return list[_translated(get_args(kind)[0], base)]  # type: ignore[misc]
    if origin is dict:
        return dict[str, _translated(get_args(kind)[1], base)]  # type: ignore[misc]
    if origin is tuple and get_args(kind)[-1] is Ellipsis:  # JSON has no tuples
        return list[_translated(get_args(kind)[0], base)]  # type: ignore[misc]
    if origin is tuple:
        some = tuple(_translated(each, base) for each in get_args(kind))
        each: Any = Union[some]  # noqa: UP007
        return Annotated[list[each], Field(min_length=len(some), max_length=len(some))]
    if isinstance(kind, type) and hasattr(kind, "_fields"):
        return _model(kind, base)
    return kind


@cache
def _model(kind: Any, base: type[BaseModel]) -> type[BaseModel]:
    made: dict[str, Any] = {}
    for name, of in shapes.fields(kind).items():
        inner = _translated(of, base)
        if base is not _Given:
            inner = _limited(inner, LIMITS.get(name), base)
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
        if isinstance(given.get("key"), str):
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
        kind: Any = TUPLES[type(value).__name__]
        return kind(**{name: getattr(value, name) for name in kind._fields})
    return value
