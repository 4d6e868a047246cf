"""Flows of control elsewhere: who waits for whom is told by them, so that rings are seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from swarm_memory.lines import in_flow, new_flow, party
from swarm_memory.locks import Lock

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
FLOWS_MAX = 4096

__all__ = ["Flows", "party"]


class Flows:
    """The flows of this process that stand for those of others. Safe to share between threads."""

    def __init__(self) -> None:
        self._flows: dict[str, int] = {}
        self._lock = Lock()

    def run(self, name: str, call: Callable[[], T]) -> T:
        """Run `call` as the flow that its client calls `name`."""
        with self._lock:
            flow = self._flows.pop(name, None) or new_flow()
            while len(self._flows) >= FLOWS_MAX:
                del self._flows[next(iter(self._flows))]
            self._flows[name] = flow
        return in_flow(flow, call)
