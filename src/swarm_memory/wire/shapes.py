"""How arguments and results look on the way, read from the annotations of the methods.

Named tuples go as objects of their fields. A lease goes as `TOKEN:NAME`, a message that is
acknowledged as its receipt, a recommendation as the id of its choice; a strategy that is a
function does not go at all.
"""

from __future__ import annotations

import builtins
import inspect
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from swarm_memory.conflicts import Conflict
from swarm_memory.errors import InvalidArgumentError
from swarm_memory.forecast import Risk
from swarm_memory.integrity.verify import Finding, VerifyReport
from swarm_memory.lean import NamedTuple
from swarm_memory.learning.assignment import Plan
from swarm_memory.letters import Counts, Message, Sent
from swarm_memory.lives import Agent, Held, Session
from swarm_memory.memories import Similar, Stored
from swarm_memory.model import Event, Page, Record
from swarm_memory.monitor.alerts import Alert
from swarm_memory.monitor.sample import Sample
from swarm_memory.monitor.trends import Trends
from swarm_memory.outcomes import Observation
from swarm_memory.packing import Packed
from swarm_memory.records import Put
from swarm_memory.reports import (
    Advice,
    Changes,
    Choice,
    Gain,
    HealthReport,
    Insight,
    Outcome,
    Recommendation,
)
from swarm_memory.retention import Swept
from swarm_memory.search import Hit, Hits
from swarm_memory.seats import Lease, Seat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from swarm_memory.wire.verbs import Verb

    Convert = Callable[[Any], Any]


class Fence(NamedTuple):
    """What guards a write: the name and the token of a lease."""

    name: str
    token: int


class Touched(NamedTuple):
    """One of the records that are to live on."""

    key: str
    ttl_s: float
    expect: int | None = None


class Addressed(NamedTuple):
    """What an answer needs to know of the message that it answers."""

    message_id: str
    sender: str
    correlation: str | None = None
    reply_to: str | None = None


class HeldLease(NamedTuple):
    """A lease as it goes over the wire."""

    name: str
    mode: str
    token: int
    owner: str
    holder: str
    ttl_s: float
    expires_ms: int


class Scanned(NamedTuple):
    """A page of records."""

    records: list[Record]
    next_after: str | None


class Found(NamedTuple):
    """What a search found."""

    hits: list[Hit]
    complete: bool
    damaged: list[str]


__all__ = [
    "Addressed", "Argument", "Fence", "Found", "HeldLease", "Put", "Scanned", "arguments",
    "decoder", "encode", "fence_of", "fence_text", "fields", "kind_of", "result", "sent", "Touched",
]  # fmt: skip
Strategy = Literal["reject", "first_write", "last_write", "merge", "keep_both"]
NAMES: dict[str, Any] = {
    "Json": Any,
    "Strategy": Strategy,
    "builtins": builtins,
    **{
        kind.__name__: kind
        for kind in (
            Addressed, Advice, Agent, Alert, Changes, Choice, Conflict, Counts, Event, Finding,
            Found, Gain, HealthReport, Held, HeldLease, Hit, Insight, Message, Observation,
            Outcome, Packed, Plan, Put, Recommendation, Record, Risk, Sample, Scanned, Seat, Sent,
            Session, Similar, Stored, Swept, Touched, Trends, VerifyReport,
        )
    },
}  # fmt: skip
# What stands in a signature, and what goes over the wire for it.
SENT = {
    "Lease": "str",
    "Lease | None": "str | None",
    "Message | str": "str",
    "Sequence[Message | str]": "list[str]",
    "Message": "Addressed",
    "OnConflict | None": "Strategy | None",
    "Iterable[Put | tuple[str, Json]]": "list[Put]",
    "Iterable[tuple[str, float, int | None]]": "list[Touched]",
    "Iterable[Json]": "list[Json]",
    "Recommendation | str | None": "str | None",
    "Iterable[str]": "list[str]",
    "Sequence[str]": "list[str]",
    "Sequence[str] | None": "list[str] | None",
    "Collection[str]": "list[str]",
    "Mapping[str, Sequence[str]]": "dict[str, list[str]]",
}
GIVEN = {
    "Lease": "HeldLease",
    "builtins.list[Lease]": "list[HeldLease]",
    "Page": "Scanned",
    "Hits": "Found",
}


class Argument(NamedTuple):
    """One argument: as it is annotated, what is sent for it, and its default."""

    name: str
    annotation: str
    sent: str
    default: Any
    variadic: bool

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty and not self.variadic


@cache
def arguments(verb: Verb) -> dict[str, Argument]:
    """Return what a verb takes, by name; not its op_id, which is a header."""
    taken = {}
    for name, parameter in list(inspect.signature(verb.function).parameters.items())[1:]:
        if name in verb.hidden or name == "op_id":
            continue
        variadic = parameter.kind is parameter.VAR_POSITIONAL
        annotation = str(parameter.annotation)
        sent = "list[str]" if variadic else SENT.get(annotation, annotation)
        taken[name] = Argument(name, annotation, sent, parameter.default, variadic)
    return taken


@cache
def result(verb: Verb) -> str:
    """Return the annotation of what a verb gives, as it goes over the wire."""
    given = verb.gives or str(inspect.signature(verb.function).return_annotation)
    return GIVEN.get(given, given)


def kind_of(annotation: str) -> Any:
    """Return the type that an annotation means."""
    return eval(annotation, NAMES)  # of our own source, never of what somebody sent


def fields(kind: Any) -> dict[str, Any]:
    """Return the types of a named tuple's fields."""
    noted: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        noted |= inspect.get_annotations(base)
    return {name: kind_of(str(noted[name])) for name in kind._fields}


# --- results ---


def encode(value: Any) -> Any:
    """Return a result as JSON: named tuples as objects, all else as it is."""
    if isinstance(value, tuple):
        if hasattr(value, "_fields"):
            shown = dict(zip(value._fields, value, strict=True))
            for name in _inner(type(value)):
                inner = shown[name]
                if isinstance(inner, dict):
                    shown[name] = {str(key): encode(each) for key, each in inner.items()}
                else:
                    shown[name] = encode(inner)
            return shown
        return [encode(each) for each in value]
    if isinstance(value, Page):
        return {"records": [encode(each) for each in value], "next_after": value.next_after}
    if isinstance(value, Hits):
        hits = [encode(each) for each in value]
        return {"hits": hits, "complete": value.complete, "damaged": list(value.damaged)}
    if isinstance(value, Lease):
        return {name: getattr(value, name) for name in HeldLease._fields}
    if isinstance(value, list) and value and isinstance(value[0], (tuple, Lease)):
        return [encode(each) for each in value]
    if isinstance(value, dict) and not all(isinstance(name, str) for name in value):
        return {str(name): each for name, each in value.items()}
    return value


@cache
def _inner(kind: Any) -> list[str]:
    """Return the fields of a named tuple that may hold others."""
    return [name for name, of in fields(kind).items() if _decoder(of) is not _same]


@cache
def decoder(annotation: str) -> Convert:
    """Return what turns JSON into the result that an annotation means."""
    return _decoder(kind_of(annotation))


def _decoder(kind: Any) -> Convert:
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        some = [each for each in get_args(kind) if each is not NoneType]
        if len(some) != 1:
            return _same
        inner = _decoder(some[0])
        return lambda value: None if value is None else inner(value)
    if origin is list:
        (each,) = get_args(kind)
        inner = _decoder(each)
        return _same if inner is _same else lambda value: [inner(one) for one in value]
    if origin is dict:
        # Names in JSON are texts, also of what is counted by numbers.
        name_of, each = get_args(kind)
        inner, known = _decoder(each), int if name_of is int else _same
        if inner is _same and known is _same:
            return _same
        return lambda value: {known(name): inner(one) for name, one in value.items()}
    if origin is tuple:
        return _plain_tuple_decoder(get_args(kind))
    if isinstance(kind, type) and hasattr(kind, "_fields"):
        return _tuple_decoder(kind)
    return _same


def _plain_tuple_decoder(kinds: tuple[Any, ...]) -> Convert:
    if kinds[-1] is Ellipsis:
        inner = _decoder(kinds[0])
        return tuple if inner is _same else lambda value: tuple(inner(each) for each in value)
    parts = [_decoder(each) for each in kinds]
    return lambda value: tuple(part(each) for part, each in zip(parts, value, strict=True))


def _tuple_decoder(kind: Any) -> Convert:
    inner = {name: each for name, of in fields(kind).items() if (each := _decoder(of)) is not _same}
    names = frozenset(kind._fields)

    def decode(value: dict[str, Any]) -> Any:
        # What a newer server tells beside it is not known here.
        known = {name: each for name, each in value.items() if name in names}
        for name, convert in inner.items():
            if name in known:
                known[name] = convert(known[name])
        return kind(**known)

    return decode


def _same(value: Any) -> Any:
    return value


# --- arguments ---


def sent(argument: Argument, value: Any) -> Any:
    """Return what is sent for an argument."""
    if value is None:
        return None
    if argument.variadic or argument.annotation == "Sequence[Message | str]":
        return [_receipt(each) for each in value]
    convert = _SENDING.get(argument.annotation)
    return value if convert is None else convert(value)


def _receipt(message: Message | str) -> str:
    if isinstance(message, str):
        return message
    if message.receipt is None:
        raise InvalidArgumentError(
            f"message {message.message_id} was not claimed", hint="claim it first"
        )
    return message.receipt


def fence_text(fence: Any) -> str:
    """Return a lease as it is sent."""
    return f"{fence.token}:{fence.name}"


def fence_of(text: str) -> Fence:
    """Return the lease that a text names.

    Raises:
        InvalidArgumentError: It is no `TOKEN:NAME`.
    """
    token, colon, name = text.partition(":")
    if not (colon and name and token.isascii() and token.isdecimal() and len(token) <= 18):
        raise InvalidArgumentError(f"lease {text!r}", hint="TOKEN:NAME, such as 7:deploy")
    return Fence(name, int(token))


def _put(item: Any) -> dict[str, Any]:
    put = item if isinstance(item, Put) else Put(*item)
    return put._asdict()


def _addressed(message: Any) -> dict[str, Any]:
    return {name: getattr(message, name) for name in Addressed._fields}


def _strategy(on_conflict: Any) -> Any:
    if callable(on_conflict):
        raise InvalidArgumentError(
            "a function as on_conflict over HTTP, but in put",
            hint='catch ConflictError with "reject" and write again',
        )
    return on_conflict


def _texts(given: Any) -> Any:
    return given if isinstance(given, str) else list(given)  # refused where a list is meant


_SENDING: dict[str, Convert] = {
    "Lease": fence_text,
    "Lease | None": fence_text,
    "Message | str": _receipt,
    "Message": _addressed,
    "Iterable[Put | tuple[str, Json]]": lambda items: [_put(item) for item in items],
    "Iterable[tuple[str, float, int | None]]": lambda items: [Touched(*i)._asdict() for i in items],
    "Iterable[Json]": list,
    "Recommendation | str | None": lambda given: getattr(given, "choice_id", given),
    "OnConflict | None": _strategy,
    "Iterable[str]": _texts,
    "Sequence[str]": _texts,
    "Sequence[str] | None": list,
    "Collection[str]": list,
    "Mapping[str, Sequence[str]]": lambda given: {n: _texts(each) for n, each in given.items()},
}
