"""Forecast: how likely it is that another agent touches a file within a while.

It rests on the log of touches, which recording an edit writes (see `edits`), and for keys on the
change log. What is known of one path is read by one statement of bounded rows; the model is
learned from the newest touches by `keep_up`: whoever asks for a risk or a plan does, and the end of
a turn, of a subagent and of a day, but no hook that an agent waits for. Until a swarm's log has
enough ended windows a forecast is not `calibrated`: it ranks paths, but its number is no
probability to act on.

A session's own agent and its subagents are no others to each other, as in `edits`.
"""

from __future__ import annotations

from swarm_memory import codec
from swarm_memory.errors import InvalidArgumentError
from swarm_memory.lean import NamedTuple
from swarm_memory.learning.conflicts import (
    Counts,
    Model,
    Touch,
    probability,
    raised,
    untrained,
)
from swarm_memory.patterns import literal, overlap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swarm_memory.context import Context
    from swarm_memory.engine import Engine, Row, Tx
    from swarm_memory.learning.assignment import Plan
    from swarm_memory.model import Json

WINDOW_S = 1800.0
WINDOW_S_MIN, WINDOW_S_MAX = 60.0, 30 * 86_400.0
NEAR, RECENT = 64, 128  # rows of a path and of the swarm that one forecast reads
LEARNED_FROM = 4000  # touches
STALE_TOUCHES = 100  # so many new ones, and the model is learned anew
LEARNING, LEARNING_MS = "forecast_ms", 30_000  # who learns has so long before another one does
KEPT = 10_000  # touches of a swarm
EXAMPLES_MIN, MET_MIN = 200, 20  # ended windows, and those that met: less calibrates nothing
# How likely who reserves a path is to touch it: an assumption, until logs say.
CLAIM = 0.5
TOLD = 0.5  # from this probability on an agent is told
MODELS_KEPT = 32  # lengths of the window, those that were learned last
PATHS_MAX = 1000
PATH_CHARS_MAX = 4096
AGENTS_MAX = 100
OTHERS_MAX = 3


class Risk(NamedTuple):
    """The forecast for one path or key.

    `probability` in (0, 1) is that another agent touches it within `window_s`; `others` are who
    was there, the likeliest first, with when each was last (epoch milliseconds); `reserved` who
    has reserved it. `active` tells whether anybody else touched anything within a window before.
    """

    path: str
    probability: float
    calibrated: bool
    window_s: float
    others: tuple[tuple[str, int], ...]
    reserved: tuple[str, ...]
    active: bool

    def to_dict(self) -> dict[str, Json]:
        """Return it as every door shows it."""
        others = [{"agent": agent, "at_ms": at_ms} for agent, at_ms in self.others]
        return self._asdict() | {"others": others, "reserved": list(self.reserved)}


class Forecast:
    """What to expect of others in one swarm.

    Args:
        engine: Tells the time and the start of the machine.
    """

    __slots__ = ("_context", "_engine")

    def __init__(self, engine: Engine, context: Context) -> None:
        self._engine = engine
        self._context = context

    def risk(
        self,
        paths: Sequence[str],
        *,
        session_id: str | None = None,
        agent_id: str | None = None,
        window_s: float = WINDOW_S,
        files: int = 1,
    ) -> list[Risk]:
        """Return the risk of each path, seen from an agent; constant time for a path.

        Where the log has grown by 100 touches since the model was learned it is learned anew
        first, which takes a fraction of a second.

        Args:
            paths: Up to 1,000, below their worktree.
            session_id: Of the agent that asks; by default the one that this door acts in, "" for
                one that is in no session.
            agent_id: Which subagent of the session asks; None for its own agent.
            window_s: 60 seconds to 30 days.
            files: How many files the work will span, at least 1.

        Raises:
            InvalidArgumentError: There are too many paths, one is none, or a number is out of its
                range.
        """
        _check(paths, window_s)
        if files < 1:
            raise InvalidArgumentError(f"files={files}", hint="the work spans at least one")
        self.keep_up(window_s)
        return self._risks(paths, session_id, agent_id, window_s, files)

    def _risks(
        self,
        paths: Sequence[str],
        session_id: str | None,
        agent_id: str | None,
        window_s: float,
        files: int,
    ) -> list[Risk]:
        session_id = (self._context.session or "") if session_id is None else session_id
        me = _party(session_id, agent_id or "")
        claims = self._claims(session_id)
        return [self._risk(path, me, window_s, files, claims) for path in paths]

    def likely(self, path: str, *, session_id: str, agent_id: str | None = None) -> Risk | None:
        """Return the risk of one path within half an hour, if an agent should hear of it.

        That is where the forecast is calibrated, others are at work, and one of them is likelier
        than not to touch the path. Reservations are not looked at: a hook tells of them anyway.
        """
        risk = self._risk(path, _party(session_id, agent_id or ""), WINDOW_S, 1, [])
        told = risk.calibrated and risk.active and risk.others and risk.probability >= TOLD
        return risk if told else None

    def keys(
        self, keys: Sequence[str], *, agent: str | None = None, window_s: float = WINDOW_S
    ) -> list[Risk]:
        """Return the risk of each key of a record, from the newest 4,000 changes of the log.

        Args:
            keys: Up to 1,000.
            agent: Who asks; by default the agent of this door.
            window_s: 60 seconds to 30 days.
        """
        _check(keys, window_s)
        agent = self._context.agent if agent is None else agent
        from swarm_memory.learning.forecaster import fitted

        rows = self._engine.all("touch_events", swarm=self._context.swarm, limit=LEARNED_FROM)
        touches = [Touch(at_ms / 1000, author, key) for key, _, _, author, at_ms in rows]
        now_s = self._engine.now_ms / 1000
        model = fitted(touches, window_s, now_s)
        counts = Counts(window_s)
        for touch in touches:
            counts.add(touch)
        return [_judged(key, agent, rows, counts, model, now_s, 1, ()) for key in keys]

    def assign(
        self,
        tasks: Mapping[str, Sequence[str]],
        agents: Sequence[str],
        *,
        window_s: float = WINDOW_S,
    ) -> Plan:
        """Return which task to give to whom, so that they meet each other least.

        Tasks that share files go to one agent as far as the load stays even; a file that outsiders
        are likely to touch costs whoever gets it, and nothing can be done about that but to wait,
        so it is named in the reasons.

        Args:
            tasks: The files that each is expected to touch: paths or globs below the worktree;
                up to 200 tasks with 1,000 different paths in all.
            agents: 1 to 100 names; one that is named twice counts once.
            window_s: How far to look ahead for outsiders, 60 seconds to 30 days.

        Raises:
            InvalidArgumentError: There are no agents, or too many of them, of tasks or of paths.
        """
        from swarm_memory.learning.assignment import TASKS_MAX, assigned

        names = list(dict.fromkeys(agents))
        if not 0 < len(names) <= AGENTS_MAX:
            raise InvalidArgumentError(f"{len(names)} agents", hint=f"name 1 to {AGENTS_MAX}")
        if len(tasks) > TASKS_MAX:
            raise InvalidArgumentError(f"{len(tasks)} tasks", hint=f"at most {TASKS_MAX} at once")
        plain = sorted({path for paths in tasks.values() for path in paths})
        _check(plain, window_s)
        self.keep_up(window_s)
        # Whoever plans is an outsider to nobody's work, so all who were there count.
        risks = {r.path: r.probability for r in self._risks(plain, "", None, window_s, 1)}
        return assigned(tasks, names, risks, _meet)

    def keep_up(self, window_s: float = WINDOW_S, *, always: bool = False) -> bool:
        """Learn from the newest touches if enough of them are new; tell whether it did.

        That is 100, or one with `always`. Whether there are so many is two reads by index. Of the
        processes that find so many at once one learns for the window of half an hour, which hooks
        ask for; the others go on with the model that there is.
        """
        where = {"swarm": self._context.swarm}
        known = self._engine.one("forecast_get", **where, window_ms=round(1000 * window_s))
        after_ms = known[1] if known else -1
        later = self._engine.one("touch_since", **where, after_ms=after_ms, limit=STALE_TOUCHES)
        new = later[0] if later else 0
        if new < STALE_TOUCHES and not (always and new):
            return False
        if window_s == WINDOW_S and not always and not self._is_mine(after_ms):
            return False
        from swarm_memory.learning.forecaster import fitted

        now_ms = self._engine.now_ms
        rows = self._engine.all("touch_log", **where, limit=LEARNED_FROM)
        model = fitted(map(_touch, rows), window_s, now_ms / 1000, _same)
        self._engine.write_one(
            "forecast_put",
            **where,
            window_ms=round(1000 * window_s),
            model=_dumped(model),
            calibrated=int(_calibrated(model)),
            at_ms=now_ms,
        )
        return True

    def _is_mine(self, after_ms: int) -> bool:
        """Tell whether nobody else learns what came after a model, or has died of it."""
        now_ms = self._engine.now_ms
        claim = {"name": LEARNING, "value": now_ms, "before": max(after_ms, now_ms - LEARNING_MS)}
        return self._engine.write_one("fact_claim", swarm=self._context.swarm, **claim) is not None

    def prune(self) -> int:
        """Drop what is older than the newest 10,000 touches, and the models of rare windows.

        Returns:
            How many touches were dropped.
        """
        swarm = self._context.swarm

        def write(tx: Tx) -> int:
            tx.run("forecast_prune", swarm=swarm, kept=MODELS_KEPT)
            return tx.run("touch_prune", swarm=swarm, kept=KEPT)

        return self._engine.write(write, durability="relaxed")

    # --- small things ---

    def _risk(self, path: str, me: str, window_s: float, files: int, claims: Sequence[Row]) -> Risk:
        rows = self._engine.all(
            "forecast_near",
            swarm=self._context.swarm,
            path=path,
            near=NEAR,
            recent=RECENT,
            window_ms=round(1000 * window_s),
        )
        model = None
        touches = []
        for row in rows:
            if row[0]:
                touches.append(row)
            else:
                model = _loaded(row[3], window_s)
        model = model or untrained(window_s)
        counts = Counts(window_s, _same)
        for row in touches:
            counts.add(_touch(row))
        now_s = self._engine.now_ms / 1000
        reserved = tuple(owner for owner, _, pattern in claims if _covers(pattern, path))
        return _judged(path, me, touches, counts, model, now_s, files, reserved)

    def _claims(self, session_id: str) -> list[Row]:
        engine = self._engine
        return engine.all(
            "forecast_claims",
            swarm=self._context.swarm,
            session_id=session_id,
            uptime_ms=engine.uptime_ms,
            boot_id=engine.boot_id,
        )


def _judged(
    path: str,
    me: str,
    rows: Sequence[Row],
    counts: Counts,
    model: Model,
    now_s: float,
    files: int,
    reserved: tuple[str, ...],
) -> Risk:
    company = counts.company(path, me, now_s)
    chance = raised(probability(model, company, now_s, files), len(reserved), CLAIM)
    named = {_row_party(row): (row[3], row[4]) for row in rows if row[0] == path}
    order = sorted(company.others, key=lambda party: -company.others[party])
    others = tuple(named[party] for party in order[:OTHERS_MAX])
    since_ms = 1000 * (now_s - model.window_s)
    active = any(row[4] >= since_ms and not _same(_row_party(row), me) for row in rows)
    calibrated = _calibrated(model)
    return Risk(path, chance, calibrated, model.window_s, others, reserved, active)


def _calibrated(model: Model) -> bool:
    return model.examples >= EXAMPLES_MIN and model.met >= MET_MIN


def _party(session_id: str, agent_id: str) -> str:
    return f"{session_id} {agent_id}"


def _row_party(row: Row) -> str:
    """Return who touched; of records it is an author, and in no session."""
    _, session_id, agent_id, agent, _ = row
    return _party(session_id, agent_id) if session_id else agent


def _same(left: str, right: str) -> bool:
    """Tell whether two parties are one, or a session's own agent and one that it started."""
    if left == right:
        return True
    session, _, agent_id = left.partition(" ")
    other, _, other_id = right.partition(" ")
    return session == other != "" and not (agent_id and other_id)


def _touch(row: Row) -> Touch:
    return Touch(row[4] / 1000, _row_party(row), row[0])


def _covers(patterns: str, path: str) -> bool:
    """Tell whether a lease, on one pattern a line, is on a path or glob."""
    return any(_meet(path, pattern) for pattern in patterns.split("\n"))


def _meet(left: str, right: str) -> bool:
    """Tell whether two paths or globs have a file in common."""
    if left == right:
        return True
    try:
        return overlap(left, right)
    except InvalidArgumentError:
        try:
            return overlap(literal(left), literal(right))
        except InvalidArgumentError:
            return False  # no pattern can name it


def _check(paths: Sequence[str], window_s: float) -> None:
    if len(paths) > PATHS_MAX:
        raise InvalidArgumentError(f"{len(paths)} paths", hint=f"at most {PATHS_MAX} at once")
    for path in paths:
        if not 0 < len(path) <= PATH_CHARS_MAX or "\0" in path:
            raise InvalidArgumentError(
                f"path {path[:80]!r}", hint=f"1 to {PATH_CHARS_MAX} characters without NUL"
            )
    if not WINDOW_S_MIN <= window_s <= WINDOW_S_MAX:
        raise InvalidArgumentError(f"window_s={window_s:g}", hint="give 60 seconds to 30 days")


def _dumped(model: Model) -> str:
    rhythm = [round(value, 3) for value in model.rhythm]
    fields = model._replace(rhythm=tuple(rhythm))._asdict()
    return codec.dumps(fields).decode()


def _loaded(text: str, window_s: float) -> Model | None:
    """Return a model that was kept; None if it has another form than this version's."""
    fields = codec.loads(text.encode())
    try:
        model = Model(**fields)
    except TypeError:
        return None
    return model._replace(rhythm=tuple(model.rhythm), window_s=window_s)
