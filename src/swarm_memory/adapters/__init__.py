"""Adapters: the memory interfaces of agent frameworks, on an open `Swarm`.

Each is a file of its own, `swarm_memory.adapters.NAME`, and needs its framework, which the extra
of the same name installs: `pip install 'swarm-memory[langgraph]'`. No framework is imported here.

What all of them keep: the caller opens the swarm and closes it; a framework's namespace or path
is the path of the records' keys, so that every other framework and door sees the same records;
values are plain JSON; every change to what was read is a compare-and-set, so none is lost.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


class extra:
    """Says what to install if what is imported within it is not there."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, ImportError):
            hint = f"pip install 'swarm-memory[{self.name}]'"
            raise type(error)(f"{error}; {hint}", name=error.name) from error
