"""The life of one session: what is known of it, and whether its time is over."""

from __future__ import annotations

from swarm_memory.codec import decode
from swarm_memory.errors import InvalidArgumentError
from swarm_memory.identity import agent_name
from swarm_memory.lean import NamedTuple
from swarm_memory.processes import has_ended, pid_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.engine import Row
    from swarm_memory.model import Json

LOGICAL, PROCESS = "logical", "process"
ACTIVE, LAPSED, ENDED = "active", "lapsed", "ended"
KINDS, STATES = (LOGICAL, PROCESS), (ACTIVE, LAPSED, ENDED)
NOT_RENEWED, GONE, RESTARTED = "not renewed", "its process ended", "the machine was started anew"


class Held(NamedTuple):
    """How many leases a session holds or waits for, messages it has in hand, agents it runs."""

    leases: int = 0
    messages: int = 0
    agents: int = 0


class Session(NamedTuple):
    """A session as it is at one moment.

    `state` is active, lapsed (nobody renewed it) or ended; `short` what it is called in names of
    agents (see `identity.agent_name`), `about` what was said of it, `pid` whose it is if it is a
    process session, `touched_ms` when it was last renewed, `expires_ms` when it lapses unless
    renewed, `reason` why it ended, `held` what it holds (None where that was not asked for).
    Times are in epoch milliseconds.
    """

    session_id: str
    short: str
    kind: str
    state: str
    agent: str
    about: dict[str, Json]
    pid: int | None
    ttl_s: float
    began_ms: int
    touched_ms: int
    expires_ms: int
    ended_ms: int | None
    reason: str | None
    held: Held | None

    def to_dict(self) -> dict[str, Json]:
        """Return the session as every door shows it."""
        return self._asdict() | {"held": None if self.held is None else self.held._asdict()}


class Agent(NamedTuple):
    """An agent within a session: `name` is what it acts by, `parent` the agent that started it.

    `ended_ms` is None while it runs.
    """

    name: str
    agent_id: str
    agent_type: str
    parent: str | None
    started_ms: int
    ended_ms: int | None

    def to_dict(self) -> dict[str, Json]:
        """Return the agent as every door shows it."""
        return self._asdict()


class Now(NamedTuple):
    """One moment: the start of the machine, the time since then, and the time that people know."""

    boot_id: int
    uptime_ms: int
    wall_ms: int


class Life(NamedTuple):
    """A session as it is stored; `state` stays active until somebody ends it."""

    session_id: str
    short: str
    kind: str
    state: str
    agent: str
    about: str
    process: str | None
    ttl_ms: int
    boot_id: int
    expires_ms: int
    began_ms: int
    touched_ms: int
    ended_ms: int | None
    reason: str | None

    def left_ms(self, now: Now) -> int:
        """Return how long it lives on unless it is renewed; 0 or less if its time is over."""
        if self.state != ACTIVE:
            return 0
        if self.boot_id == now.boot_id:
            return self.expires_ms - now.uptime_ms
        if self.kind == PROCESS:
            return 0
        # A wall clock that was set back gives nobody more than the whole time.
        return min(self.ttl_ms, self.touched_ms + self.ttl_ms - now.wall_ms)

    def is_gone(self, boot_id: int) -> bool:
        """Tell whether its process has ended; what has cannot come back, so this stays true."""
        return self.process is not None and self.boot_id == boot_id and has_ended(self.process)

    def cause(self, now: Now) -> str:
        """Return why it is over although nobody ended it."""
        if self.kind == PROCESS and self.boot_id != now.boot_id:
            return RESTARTED
        return NOT_RENEWED if self.left_ms(now) <= 0 else GONE

    def check_same(self, kind: str, process: str | None) -> None:
        """Refuse to renew what is another kind of session, or another process's.

        Raises:
            InvalidArgumentError: It is.
        """
        if self.kind != kind:
            problem = f"is active as a {self.kind} session"
        elif self.process != process:
            problem = f"belongs to process {pid_of(self.process or '0')}, which is alive"
        else:
            return
        raise InvalidArgumentError(
            f"session {self.session_id!r} {problem}", hint="choose another id, or end it first"
        )

    def shown(self, now: Now, held: Held | None = None) -> Session:
        """Return it as callers see it."""
        left_ms = self.left_ms(now)
        return Session(
            self.session_id,
            self.short,
            self.kind,
            LAPSED if self.state == ACTIVE and left_ms <= 0 else self.state,
            self.agent,
            decode(self.about.encode()),
            None if self.process is None else pid_of(self.process),
            self.ttl_ms / 1000,
            self.began_ms,
            self.touched_ms,
            self.ended_ms if self.ended_ms is not None else now.wall_ms + left_ms,
            self.ended_ms,
            self.reason,
            held,
        )


def shown_agent(short: str, row: Row) -> Agent:
    """Return an agent as callers see it; `short` is its session's name."""
    agent_id, agent_type, *more = row
    return Agent(
        agent_name(short, agent_type=agent_type, agent_id=agent_id), agent_id, agent_type, *more
    )
