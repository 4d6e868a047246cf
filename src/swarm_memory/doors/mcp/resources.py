"""Resources: a record by its URI, and the list of the records under a prefix.

swarm-memory://record/notes/auth     one record, with its value
swarm-memory://records/notes         which records lie under a prefix; all without one
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from swarm_memory.errors import InvalidKeyError
from swarm_memory.key import check_key, check_prefix

if TYPE_CHECKING:
    from collections.abc import Collection

    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm

SCHEME = "swarm-memory://"
RECORD, RECORDS = "record", "records"
MIME_TYPE = "application/json"
PAGE = 100
LISTED_MAX = 1000
_KEPT = "/:@+"  # of a key's characters, those that a URI's path has as they are


def uri_of(key: str) -> str:
    """Return the URI of a record."""
    return f"{SCHEME}{RECORD}/{quote(key, safe=_KEPT)}"


def uri_of_list(prefix: str = "") -> str:
    """Return the URI of the list of the records under a prefix."""
    return f"{SCHEME}{RECORDS}/{quote(prefix, safe=_KEPT)}".rstrip("/")


def parse(uri: str) -> tuple[str, str]:
    """Return what a URI is of, a "record" or "records", and its key or prefix.

    Raises:
        MCPError: It is no URI of ours.
    """
    kind, _, path = uri.removeprefix(SCHEME).partition("/")
    name = unquote(path)
    if not uri.startswith(SCHEME) or kind not in (RECORD, RECORDS):
        raise refused("no such resource", uri)
    try:
        if kind == RECORD:
            return kind, check_key(name)
        check_prefix(name)
    except InvalidKeyError as error:
        raise refused(f"{error}; {error.hint}", uri) from error
    return kind, name


def covers(uri: str, keys: Collection[str]) -> bool:
    """Tell whether a change of one of `keys` changes the resource at `uri`."""
    kind, name = parse(uri)
    if kind == RECORD:
        return name in keys
    exact, low, high = check_prefix(name)
    return any(key == exact or low <= key < high for key in keys)


def listed(swarm: Swarm, cursor: str | None) -> ListResourcesResult:
    """Return a page of resources: the list of everything first, then record by record."""
    try:
        page = swarm.records.scan(limit=PAGE, after=cursor)
    except InvalidKeyError as error:
        raise refused("no such cursor") from error
    found = [] if cursor else [_all()]
    found += [
        Resource(
            uri=uri_of(record.key),
            name=record.key,
            description=f"version {record.version} by {record.author}",
            mime_type=MIME_TYPE,
        )
        for record in page
    ]
    return ListResourcesResult(resources=found, next_cursor=page.next_after)


def _all() -> Resource:
    return Resource(
        uri=uri_of_list(),
        name="records",
        description="The keys of all records",
        mime_type=MIME_TYPE,
    )


def templates() -> ListResourceTemplatesResult:
    """Return how the URIs of records and of lists are made."""
    record = ResourceTemplate(
        uri_template=f"{SCHEME}{RECORD}/{{+key}}",
        name="record",
        description="A record with its value, version and author",
        mime_type=MIME_TYPE,
    )
    records = ResourceTemplate(
        uri_template=f"{SCHEME}{RECORDS}/{{+prefix}}",
        name="records",
        description="The keys, versions and authors of the records under a prefix",
        mime_type=MIME_TYPE,
    )
    return ListResourceTemplatesResult(resource_templates=[record, records])


def read(swarm: Swarm, uri: str) -> ReadResourceResult:
    """Return what is at a URI, as JSON.

    Raises:
        MCPError: There is nothing.
    """
    kind, name = parse(uri)
    if kind == RECORD:
        record = swarm.records.get(name)
        if record is None:
            raise refused(f"no record {name}", uri)
        content: Json = record.to_dict()
    else:
        page = swarm.records.scan(name, limit=LISTED_MAX)
        rows = [
            {"key": r.key, "version": r.version, "author": r.author, "updated_ms": r.updated_ms}
            for r in page
        ]
        content = {"records": rows, "next_after": page.next_after}
    text = json.dumps(content, ensure_ascii=False)
    return ReadResourceResult(
        contents=[TextResourceContents(uri=uri, mime_type=MIME_TYPE, text=text)]
    )


def refused(why: str, uri: str | None = None) -> MCPError:
    """Return the protocol's error for what cannot be read."""
    return MCPError(INVALID_PARAMS, why, None if uri is None else {"uri": uri})
