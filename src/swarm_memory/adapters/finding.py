"""What the adapters' searches share: several places at once, and the records of others as text.

A record's key is searched too, and below one user's prefix all keys share words. What only its
key answers is therefore left out here: it is no answer of its own.
"""

from __future__ import annotations

import json

from swarm_memory.text import Counter, question_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from swarm_memory.model import Json, Record
    from swarm_memory.search import Hit, Hits
    from swarm_memory.swarm import Swarm

TEXT_FIELDS = ("text", "content", "knowledge_data")  # the first that a value has is what it says
SPARE = 2  # so many times as many hits are asked for, since some are left out
ASKED_MAX = 20  # so often at most, while the index still has to catch up with what was written


def find(
    swarm: Swarm,
    query: str,
    prefixes: Iterable[str],
    *,
    limit: int,
    min_score: float = 0.0,
    says: Callable[[Record], str | None] | None = None,
) -> list[Hit]:
    """Return up to `limit` records under any of `prefixes` that answer `query`, best first.

    Args:
        says: The text of a record that has to hold a word of the question, None to leave it out;
            by default what `shown` makes of its value.
    """
    query = query.replace("\0", " ")
    terms = [term.term for term in question_of(query)]
    if not terms:
        return []
    counter = Counter(terms)
    found: dict[str, Hit] = {}
    for prefix in dict.fromkeys(prefixes):
        for hit in _search(swarm, query, prefix, SPARE * limit, min_score):
            text = says(hit.record) if says is not None else shown(hit.record.value)
            if text and counter.count(text)[0]:
                found[hit.record.key] = hit
    # The order of one search is kept where scores are equal.
    return sorted(found.values(), key=lambda hit: -hit.score)[:limit]


def _search(swarm: Swarm, query: str, prefix: str, limit: int, min_score: float) -> Hits:
    """Search, and again as long as something recent may be missing."""
    for _ in range(ASKED_MAX):
        hits = swarm.search(query, prefix=prefix, limit=limit, min_score=min_score)
        if hits.complete:
            break
    return hits


def shown(value: Json) -> str:
    """Return what a value of any shape says, as a text for a person or a model."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        for field in TEXT_FIELDS:
            if value.get(field):
                return shown(value[field])
    return json.dumps(value, ensure_ascii=False)
