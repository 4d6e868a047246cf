"""Who acts in an event: a session, and in it its own agent, a subagent or a teammate."""

from __future__ import annotations

from swarm_memory.errors import InvalidArgumentError
from swarm_memory.identity import agent_name
from swarm_memory.lean import NamedTuple
from swarm_memory.remembering import Remembering

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.doors.hooks.event import Event
    from swarm_memory.doors.hooks.place import Place
    from swarm_memory.lives import Session
    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm

UNTYPED = "agent"  # the type of a subagent whose events do not say it


class Actor(NamedTuple):
    """An agent of a session; `swarm` is its door to the memory."""

    swarm: Swarm
    session: Session
    agent: str
    agent_id: str | None
    place: Place
    event: Event

    @property
    def session_id(self) -> str:
        return self.session.session_id

    @property
    def remembering(self) -> Remembering:
        """What is kept of what this agent does and says."""
        return Remembering(self.swarm)

    def about(self, place: Place | None = None) -> dict[str, Json]:
        """Return where what this agent says and does comes from."""
        more = {"agent_id": self.agent_id} if self.agent_id else {}
        return more | (place or self.place).about()

    def remember(self, kind: str, text: str) -> None:
        """Keep what was said in this event, if there is something in it."""
        self.remembering.memory(kind, text, {"event": self.event.name} | self.about())


def identify(swarm: Swarm, event: Event, place: Place, *, ends: bool = False) -> Actor:
    """Return who acts, having renewed or begun the session, and the agent unless it `ends`."""
    session_id = session_of(event)
    session = None if event.name == "SessionStart" else swarm.sessions.touch(session_id)
    if session is None:
        session = swarm.sessions.begin(session_id, about=_about(event, place))
    agent_id, agent_type = event.text("agent_id"), event.text("agent_type")
    if agent_id is not None:
        agent_type = agent_type or UNTYPED
        if not ends:
            swarm.sessions.agent_started(session_id, agent_id, agent_type)
    name = agent_name(
        session.short,
        teammate=event.text("teammate_name"),
        agent_type=agent_type,
        agent_id=agent_id,
    )
    return Actor(swarm.as_agent(name, session=session_id), session, name, agent_id, place, event)


def session_of(event: Event) -> str:
    """Return the session that an event belongs to.

    Raises:
        InvalidArgumentError: It does not say so.
    """
    session_id = event.text("session_id")
    if session_id is None:
        raise InvalidArgumentError("no session_id", hint="an event belongs to a session")
    return session_id


def _about(event: Event, place: Place) -> dict[str, Json]:
    about = {"cwd": place.folder} | place.about()
    source = event.text("source")
    return about if source is None else about | {"source": source}
