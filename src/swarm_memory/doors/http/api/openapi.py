"""The OpenAPI document, made from the verbs that the routes are made from."""

from __future__ import annotations

import inspect
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from swarm_memory.doors.http.api import models
from swarm_memory.errors import HTTP_STATUS
from swarm_memory.wire import limits, shapes
from swarm_memory.wire.verbs import IN_TRANSACTIONS, KEPT, READ, VERBS, Verb

if TYPE_CHECKING:
    from collections.abc import Sequence

REFS = "#/components/schemas/{model}"
NAME: dict[str, Any] = {"type": "string"} | limits.NAME
TOKEN: dict[str, Any] = {"type": "string"} | limits.text(100)
_ERRORS = {
    400: "What was sent is not what is taken; nothing was done.",
    401: "The token is missing or wrong.",
    403: "A page of another origin asked, or the caller may not do this.",
    404: "It does not exist.",
    405: "That is no method of this path; Allow says which are.",
    409: "Somebody else is in the way, or what it is about is over.",
    412: "The record is at another version.",
    413: "A limit or quota would be passed; nothing was written.",
    421: "The server is not called that, or the swarm lives in another store.",
    429: "Too many requests; Retry-After says when to come again.",
    500: "The server or its store is damaged.",
    503: "The store is busy or away; Retry-After says when to come again.",
    507: "The disk is full; nothing was written.",
}


@cache
def document() -> dict[str, Any]:
    """Return the document, OpenAPI 3.1."""
    components: dict[str, Any] = {
        "schemas": {"Error": _error()},
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        "responses": {
            str(status): _failure(text, status) for status, text in sorted(_ERRORS.items())
        },
    }
    paths: dict[str, Any] = {}
    for verb in VERBS:
        path = f"/v1/swarms/{{swarm}}{verb.path}"
        paths.setdefault(path, {})[verb.method.lower()] = _operation(verb, components["schemas"])
    for path, operations in _others().items():
        paths.setdefault(path, {}).update(operations)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "swarm-memory",
            "version": version("swarm-memory"),
            "description": "One shared, persistent memory for a swarm of agents.",
        },
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": components,
    }


def _operation(verb: Verb, schemas: dict[str, Any]) -> dict[str, Any]:
    doc = inspect.getdoc(verb.function) or ""
    taken = models.taken_by(verb).model_json_schema(ref_template=REFS)
    schemas.update(taken.pop("$defs", {}))
    properties, required = taken.get("properties", {}), set(taken.get("required", ()))
    in_path = {name for name in properties if f"{{{name}}}" in verb.path}
    conditional = verb.service == "records" and "expect" in properties
    if conditional:
        del properties["expect"]
    rest = [name for name in properties if name not in in_path]
    parameters = [_parameter("path", "swarm", NAME, True)]
    parameters += [_parameter("path", name, properties[name], True) for name in sorted(in_path)]
    parameters += _headers(verb, conditional)
    operation: dict[str, Any] = {
        "operationId": f"{verb.service}_{verb.name}",
        "tags": [verb.service],
        "summary": doc.partition("\n")[0],
        "description": doc,
        "parameters": parameters,
        "responses": _responses(verb, schemas),
    }
    if verb.method in ("GET", "DELETE"):
        parameters += [_parameter("query", n, properties[n], n in required) for n in rest]
    elif rest:
        body = {"type": "object", "additionalProperties": False}
        body["properties"] = {name: properties[name] for name in rest}
        needed = [name for name in rest if name in required]
        if needed:
            body["required"] = needed
        operation["requestBody"] = {
            "required": bool(needed),
            "content": {"application/json": {"schema": body}},
        }
    return operation


def _headers(verb: Verb, conditional: bool) -> list[dict[str, Any]]:
    headers = [
        _parameter("header", "Swarm-Agent", TOKEN),
        _parameter("header", "Swarm-Session", TOKEN),
    ]
    if verb.retry != READ:
        headers.append(_parameter("header", "Idempotency-Key", TOKEN))
    if conditional:
        tag = {"type": "string", "pattern": '^"[0-9]{1,18}"$'}
        headers.append(_parameter("header", "If-Match", tag))
        if verb.name == "put":
            headers.append(_parameter("header", "If-None-Match", {"const": "*"}))
    return headers


def _responses(verb: Verb, schemas: dict[str, Any]) -> dict[str, Any]:
    given = TypeAdapter(models.given_by(verb)).json_schema(ref_template=REFS)
    schemas.update(given.pop("$defs", {}))
    if verb.full_name == "records.get":
        given = given["anyOf"][0]  # a record that is not there is a 404
    success: dict[str, Any] = {
        "description": shapes.result(verb),
        "content": {"application/json": {"schema": given}},
    }
    if verb.full_name in ("records.get", "records.put", "records.rollback"):
        success["headers"] = {"ETag": {"schema": {"type": "string"}}}
    responses: dict[str, Any] = {"200": success}
    if verb.full_name == "records.get":
        responses["304"] = {"description": "It is at the version that If-None-Match names."}
    if verb.retry == KEPT:
        responses["202"] = {"description": "It still waits: ask again with the same key."}
    return responses | _failures()


def _failures() -> dict[str, Any]:
    return {str(s): {"$ref": f"#/components/responses/{s}"} for s in sorted(_ERRORS)}


def _failure(text: str, status: int) -> dict[str, Any]:
    codes = [code for code, of in HTTP_STATUS.items() if of == status]
    said = f" Codes: {', '.join(codes)}." if codes else ""
    content: dict[str, Any] = {
        "application/json": {"schema": {"$ref": "#/components/schemas/Error"}}
    }
    if not codes or status in (403, 413, 421):
        content["text/plain"] = {"schema": {"type": "string"}}  # what the guard says
    return {"description": text + said, "content": content}


def _error() -> dict[str, Any]:
    text, anything = {"type": "string"}, {"type": "object"}
    properties = {"error": {"enum": sorted(HTTP_STATUS)}, "message": text, "hint": text}
    properties |= {"retryable": {"type": "boolean"}, "fields": anything}
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def _parameter(
    place: str, name: str, schema: dict[str, Any], required: bool = False
) -> dict[str, Any]:
    return {"name": name, "in": place, "required": required, "schema": schema}


def _others() -> dict[str, Any]:
    """Return what is no verb: the stream, the configuration and the transactions."""
    base = "/v1/swarms/{swarm}"
    one = f"{base}/transactions/{{transaction}}"
    named = [_parameter("path", "swarm", NAME, True)]
    named += [_parameter("header", "Swarm-Agent", TOKEN)]
    open_one = [*named, _parameter("path", "transaction", NAME, True)]
    about = {
        "read": {"type": "boolean"},
        "durable": {"type": "boolean"},
        "op_id": TOKEN,
        "name": {"type": "string"},
        "about": {},
        "durability": {"enum": ["full", "relaxed"]},
    }
    steps = [_step(verb) for verb in VERBS if verb.service in IN_TRANSACTIONS]
    stream = [
        *named,
        _parameter("query", "prefix", {"type": "string", "pattern": limits.PREFIX}),
        _parameter("query", "since", {"type": "integer", "minimum": 0, "maximum": 2**62}),
        _parameter("query", "timeout_s", {"type": "number", "minimum": 0, "maximum": 86_400}),
    ]
    return {
        f"{base}/events/stream": {
            "get": _other("events_stream", "Changes as server-sent events.", stream, None,
                          kind="text/event-stream"),
        },
        f"{base}/config": {"get": _other("config", "The settings that hold.", named, None)},
        f"{base}/transactions": {
            "post": _other("transaction_begin", "Begin a transaction.", named, about, status=201),
        },
        one: {
            "post": _other("transaction_call", "Run a verb in it.", open_one, {"oneOf": steps}),
            "delete": _other("transaction_undo", "Undo it.", open_one, None, status=204),
        },
        f"{one}/commit": {
            "post": _other("transaction_commit", "Commit it.", open_one, {"result": {}}),
        },
    }  # fmt: skip


def _other(
    name: str,
    summary: str,
    parameters: list[dict[str, Any]],
    properties: dict[str, Any] | None,
    *,
    status: int = 200,
    kind: str = "application/json",
) -> dict[str, Any]:
    success: dict[str, Any] = {"description": summary}
    if status != 204:
        success["content"] = {
            kind: {} if kind.startswith("text") else {"schema": {"type": "object"}}
        }
    operation: dict[str, Any] = {
        "operationId": name,
        "tags": ["more"],
        "summary": summary,
        "parameters": parameters,
        "responses": {str(status): success} | _failures(),
    }
    if properties is not None:
        steps = "oneOf" in properties
        body = properties if steps else _object(properties)
        content = {"application/json": {"schema": body}}
        operation["requestBody"] = {"required": steps, "content": content}
    return operation


def _step(verb: Verb) -> dict[str, Any]:
    arguments = models.taken_by(verb).model_json_schema(ref_template=REFS)
    arguments.pop("$defs", None)  # they are there already
    needed = ["verb", "arguments"] if arguments.get("required") else ["verb"]
    return _object({"verb": {"const": verb.full_name}, "arguments": arguments}, needed)


def _object(properties: dict[str, Any], required: Sequence[str] = ()) -> dict[str, Any]:
    body = {"type": "object", "properties": properties, "additionalProperties": False}
    return body | ({"required": list(required)} if required else {})
