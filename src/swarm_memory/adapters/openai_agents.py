"""OpenAI Agents SDK: conversations kept in the swarm, shared by whoever names the same session.

    await Runner.run(agent, "…", session=SwarmSession(swarm, "support-17"))

Keys, below `conversations/openai`:

    sessions/SESSION      how many items there are
    entries/SESSION/…     the items, each as the SDK gave it
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from swarm_memory.adapters import extra
from swarm_memory.adapters.transcript import Entry, Transcript
from swarm_memory.errors import InvalidArgumentError
from swarm_memory.key import escape

with extra("openai-agents"):
    from agents.memory.session_settings import (
        SessionSettings,
        coerce_session_settings,
        resolve_session_limit,
    )

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from agents.items import TResponseInputItem

    from swarm_memory.swarm import Swarm

    T = TypeVar("T")

PREFIX = "conversations/openai"
SESSION_BYTES = 120


class SwarmSession:
    """A `Session` of the OpenAI Agents SDK on a swarm.

    Any number of processes may work on one session: what one call adds is there whole, in order
    and with nothing of others between, and each item is popped once. A call that is cancelled
    ends when its write has. Of what is popped or cleared the history of records keeps the text for
    a while; `forget` removes it from there.

    Args:
        session_id: Names the conversation, for every agent of the swarm.
        session_settings: The SDK's; `limit` is how many items `get_items` returns if not told.
    """

    def __init__(
        self,
        swarm: Swarm,
        session_id: str,
        *,
        session_settings: SessionSettings | dict[str, Any] | None = None,
    ) -> None:
        if not session_id:
            raise InvalidArgumentError("session_id is empty", hint="name the conversation")
        self.session_id = session_id
        self.session_settings: SessionSettings | None = coerce_session_settings(
            {} if session_settings is None else session_settings
        )
        name = escape(session_id, limit=SESSION_BYTES)
        self._transcript = Transcript(
            swarm, f"{PREFIX}/sessions/{name}", f"{PREFIX}/entries/{name}"
        )

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Return the items in order, or the last `limit` of them; below 0 means all."""
        wanted = resolve_session_limit(limit, self.session_settings)
        if wanted is not None and wanted < 0:
            wanted = None
        found = await asyncio.to_thread(self._transcript.read, wanted)
        return cast("list[TResponseInputItem]", found or [])

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Append items, all or none."""
        await _to_its_end(lambda: self._transcript.append([Entry(item) for item in items]))

    async def pop_item(self) -> TResponseInputItem | None:
        """Remove the last item and return it; None if there is none."""
        return cast("TResponseInputItem | None", await _to_its_end(self._transcript.pop))

    async def clear_session(self) -> None:
        """Remove all items."""
        await _to_its_end(self._transcript.remove)


async def _to_its_end(call: Callable[[], T]) -> T:
    """Run `call` in a thread, and if the caller is cancelled, do not leave it running behind.

    What follows a cancelled call, such as taking back what it wrote, must find it written.
    """
    work = asyncio.ensure_future(asyncio.to_thread(call))
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        work.exception()  # looked at, so that the loop does not complain
        raise cancelled
    return work.result()
