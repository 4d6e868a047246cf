"""The move of one swarm: copy, catch up, switch.

The swarm is copied behind the fence of the new store while everybody works in the old one. When
little is left, one transaction of the old store holds its writers up for a moment: what is left
goes over and is on disk there, and the old store's own fence goes up with the same commit. That
commit decides: before it the swarm lives in the old store, after it in the new one, and nowhere
else whatever is killed when. Then the routes are changed, and the new store takes the fence away;
if that is left undone, whoever comes by does it (see `engine.routed`).
"""

from __future__ import annotations

import os
import time

from swarm_memory.engine import look_at_server
from swarm_memory.engine.routed import ARRIVING, GONE, arrive, finish
from swarm_memory.engine.routes import ALL, Route, without_password
from swarm_memory.engine.sync import reached
from swarm_memory.errors import InvalidArgumentError, NotFoundError, SwarmMovedError
from swarm_memory.forgetting.store import ERASED
from swarm_memory.lean import NamedTuple, suppress
from swarm_memory.locate import file_of
from swarm_memory.moving.copying import Copy, wipe
from swarm_memory.moving.numbers import Numbers
from swarm_memory.moving.places import HOME, Stores, swarms_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from swarm_memory.engine import Engine, Row, Tx
    from swarm_memory.engine.routes import RoutesFile, RoutesStore
    from swarm_memory.model import Json

    Progress = Callable[[int, int], object]

SMALL_ROWS = 200  # what is left for the switch, which holds writers up
ROUNDS_MAX = 20
COUNTED = ("records", "history", "events", "messages", "outcomes", "ops", "sessions")


class Moved(NamedTuple):
    """A move that was made, or with `dry_run` would be; URLs without passwords.

    `rows` counts what was copied by table, what changed meanwhile each time; `rounds` are those
    of catching up; `held_ms` is how long the switch held writers up. `resumed`: it had been
    decided before, and was finished now.
    """

    swarm: str
    source: str
    target: str
    rows: dict[str, int]
    rounds: int
    held_ms: int
    resumed: bool
    dry_run: bool

    def to_dict(self) -> dict[str, Json]:
        """Return the move as every door shows it."""
        return self._asdict()


def move_swarm(
    url: str,
    swarm: str,
    to: str,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Moved:
    """Move a swarm to the store `to`, made as needed, while agents go on working with it.

    Nothing that was acknowledged is lost and nothing is done twice. Versions of records, results
    kept by `op_id`, sessions and what has not been acknowledged of messages go along; leases are
    let go, and tokens go on above all that were given; messages in somebody's hands are ready
    again. A move that was killed is taken up by calling this again.

    Args:
        url: Where the swarm lives: a store, or routes, which then lead to the new one.
        progress: Called with rows copied and rows expected.

    Raises:
        InvalidArgumentError: It is the same store, or has another swarm of that name; nothing was
            written.
        NotFoundError: There is no such swarm.
        SwarmMovedError: It lives in a third store.
        SchemaError, EngineUnavailableError: A store cannot be used.
    """
    with Stores() as stores:
        routes = stores.routes(url)
        route = Route(url) if routes is None else routes.find(swarm)
        move = _Move(stores, routes, route, swarm, to)
        return move.plan() if dry_run else move.run(progress)


def move_all(
    url: str, to: str, *, dry_run: bool = False, progress: Progress | None = None
) -> list[Moved]:
    """Move all swarms that live where `url` leads to by default, and then that default.

    One after the other, so what was killed is taken up by calling this again.

    Raises:
        As `move_swarm`; the swarms before have moved then.
    """
    with Stores() as stores:
        routes = stores.routes(url)
        home = url if routes is None else routes.all().get(ALL, "")
        found = list(swarms_in(stores.open(home)))
        there = without_password(to)
        names = [name for name, state, at in found if state == HOME or (state, at) == (GONE, there)]
        if not names:
            raise NotFoundError(f"no swarm lives in {without_password(home)}", hint="nothing to do")
    moves = [move_swarm(url, name, to, dry_run=dry_run, progress=progress) for name in names]
    with Stores() as stores:
        routes = stores.routes(url)
        if routes is not None and not dry_run:
            routes.put(ALL, Route(to), was=None)
    return moves


class _Move:
    def __init__(
        self,
        stores: Stores,
        routes: RoutesFile | RoutesStore | None,
        route: Route,
        swarm: str,
        to: str,
    ) -> None:
        self._stores = stores
        self._routes = routes
        self._route = route
        self._swarm = swarm
        self._to = to
        self._source_url, self._target_url = without_password(route.url), without_password(to)
        self._id = os.urandom(8).hex()

    # --- before anything is written ---

    def plan(self) -> Moved:
        """Return what a move would do; nothing is written."""
        decided = self._decided()
        if decided is None:
            self._check(there=_is_there(self._to))
        counts = self._source.one("move_counts", swarm=self._swarm) or ()
        rows = {name: int(n) for name, n in zip(COUNTED, counts, strict=False)}
        return self._told(rows, resumed=decided is not None, dry_run=True)

    @property
    def _source(self) -> Engine:
        return self._stores.open(self._route.url)

    @property
    def _target(self) -> Engine:
        return self._stores.open(self._to)

    def _decided(self) -> SwarmMovedError | None:
        """Return what the old store says of a move that it has committed to.

        Raises:
            SwarmMovedError: The swarm lives in a third store, or is being moved to this one.
        """
        path = file_of(self._route.url)
        if path is not None and not os.path.exists(path):
            return None
        row = self._source.one("moved_get", swarm=self._swarm)
        if row is None:
            return None
        error = SwarmMovedError(self._swarm, row[1], state=row[0], move=row[2])
        if row[0] == GONE and row[1] == self._target_url:
            return error
        raise error

    def _check(self, *, there: bool = True) -> None:
        """Refuse what cannot be right; `there`: the other store exists and may be opened."""
        if self._source_url == self._target_url or _same_file(self._route.url, self._to):
            raise InvalidArgumentError(
                f"{self._swarm!r} lives in {self._target_url} already", hint="name another store"
            )
        path = file_of(self._route.url)
        made = path is None or os.path.exists(path)
        if not made or self._source.one("move_present", swarm=self._swarm) is None:
            raise NotFoundError(
                f"there is no swarm {self._swarm!r} in {self._source_url}",
                hint="swarm-memory swarm list",
            )
        if not there:
            return
        row = self._target.one("moved_get", swarm=self._swarm)
        if row is None and self._target.one("move_present", swarm=self._swarm) is not None:
            raise InvalidArgumentError(
                f"{self._target_url} has a swarm {self._swarm!r} already",
                hint="move it elsewhere, or choose another store: two swarms are never mixed",
            )
        if row is not None and row[0] == ARRIVING and row[1] != self._source_url:
            raise InvalidArgumentError(
                f"{self._swarm!r} is being moved to {self._target_url} from {row[1]}",
                hint="let that move end, or repeat it",
            )

    # --- the move ---

    def run(self, progress: Progress | None) -> Moved:
        """Move it."""
        if self._routes is not None and self._source_url == self._target_url:
            self._settle()
            return self._told({}, resumed=True)
        decided = self._decided()
        if decided is not None:
            self._finish(decided)
            return self._told({}, resumed=True)
        self._check()
        counts = self._source.one("move_counts", swarm=self._swarm) or ()
        expected = sum(counts)

        def tell(done: int) -> None:
            if progress is not None:
                progress(done, max(done, expected))

        numbers = Numbers(self._source, self._swarm)
        copy = Copy(self._target, self._swarm, numbers, self._source_url, self._id, tell)
        try:
            rounds, held_ms = self._carry(copy)
        except BaseException:
            self._undo()
            raise
        self._finish(SwarmMovedError(self._swarm, self._target_url, move=self._id))
        return self._told(copy.rows, rounds=rounds, held_ms=held_ms)

    def _carry(self, copy: Copy) -> tuple[int, int]:
        """Bring the swarm over, up to the commit that decides."""
        self._target.write(copy.begin, durability="full")
        if self._source.one("moved_get", swarm=self._swarm) is not None:
            raise InvalidArgumentError(  # by another name: the same rows are seen there
                f"{self._target_url} is the same store as {self._source_url}",
                hint="name another store",
            )
        if self._routes is not None:
            announced = Route(self._route.url, self._id, self._to)
            self._routes.put(self._swarm, announced, was=self._route.url)
        reached("move-begun")
        copy.seq = _newest(self._source)
        upto = copy.seq
        rewritten = _rewritten(self._source)
        copy.apply_others(copy.others(self._source))
        copy.records(self._source)
        copy.events(self._source, upto)
        reached("move-copied")
        rounds = self._catch_up(copy)
        began = time.monotonic()
        held_ms = 0

        def switch(tx: Tx) -> None:
            nonlocal began
            began = time.monotonic()
            if _rewritten(tx) != rewritten:
                raise InvalidArgumentError(
                    f"{self._source_url} was restored, or something was forgotten in it, meanwhile",
                    hint="repeat the move",
                )
            copy.apply_last(copy.delta(tx, _newest(tx)), tx)
            reached("move-applied")
            tx.run("move_wipe_seats", swarm=self._swarm)
            tx.fence(True)
            where = {"swarm": self._swarm, "url": self._target_url, "move_id": self._id}
            tx.run("moved_put", **where, state=GONE, at_ms=tx.now_ms)

        self._source.write(switch, durability="full")
        held_ms = round(1000 * (time.monotonic() - began))
        reached("move-fenced")
        return rounds, held_ms

    def _catch_up(self, copy: Copy) -> int:
        """Copy what changed meanwhile, again and again, until the rest is small."""
        rounds, left = 0, SMALL_ROWS + 1
        while left > SMALL_ROWS and rounds < ROUNDS_MAX:
            delta = copy.delta(self._source, _newest(self._source))
            copy.apply(delta)
            rounds, left = rounds + 1, len(delta)
        return rounds

    def _finish(self, decided: SwarmMovedError) -> None:
        route = self._route if self._routes is None else self._routes.find(self._swarm)
        if route.next is None or route.move != decided.move:
            route = Route(route.url, decided.move, self._to)
        finish(self._routes, self._stores.open, self._swarm, route, decided)

    def _settle(self) -> None:
        """Let the swarm be at home where routes lead to already.

        Raises:
            SwarmMovedError: It does not live there, whatever routes say.
        """
        if self._route.move is not None and self._route.next is None:
            arrive(self._target, self._swarm, self._route.move)
        row = self._target.one("moved_get", swarm=self._swarm)
        if row is not None:
            raise SwarmMovedError(self._swarm, row[1], state=row[0], move=row[2])
        if self._target.one("move_present", swarm=self._swarm) is None:
            raise self._missing()

    def _missing(self) -> NotFoundError:
        return NotFoundError(
            f"there is no swarm {self._swarm!r} in {self._source_url}",
            hint="swarm-memory swarm list",
        )

    def _undo(self) -> None:
        """Take back what was begun, unless the old store has decided; as far as that is possible.

        What cannot be taken back hurts nobody: it lies behind the fence of the new store, and the
        next attempt removes it.
        """
        with suppress(Exception):
            row = self._source.one("moved_get", swarm=self._swarm)
            if row is not None and row[0] == GONE:
                return
            self._target.write(self._take_back)
            if self._routes is not None:
                self._routes.put(self._swarm, Route(self._route.url), was=self._route.url)

    def _take_back(self, tx: Tx) -> None:
        if tx.run("moved_drop", swarm=self._swarm, state=ARRIVING, move_id=self._id):
            wipe(tx, self._swarm, blank=False)
            if not tx.all("moved_swarms"):
                tx.fence(False)

    def _told(
        self,
        rows: dict[str, int],
        *,
        rounds: int = 0,
        held_ms: int = 0,
        resumed: bool = False,
        dry_run: bool = False,
    ) -> Moved:
        where = (self._swarm, self._source_url, self._target_url)
        return Moved(*where, rows, rounds, held_ms, resumed, dry_run)


def _rewritten(db: Engine | Tx) -> list[Row | None]:
    """Return what differs after a change of the store that its change log does not tell."""
    return [db.one("fact_get", swarm="", name=name) for name in ("epoch", ERASED)]


def _newest(db: Engine | Tx) -> int:
    span: Row = db.one("event_span") or (0, 0)
    return int(span[1])


def _is_there(url: str) -> bool:
    """Tell whether there is a store already, making none."""
    path = file_of(url)
    if path is not None:
        return os.path.exists(path)
    return "://" in url and not url.startswith("sqlite") and look_at_server(url).schema is not None


def _same_file(one: str, other: str) -> bool:
    files = [file_of(url) for url in (one, other)]
    return None not in files and len({os.path.realpath(str(file)) for file in files}) == 1
