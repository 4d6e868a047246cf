"""The meter: how often each verb is called, how long it takes and how it fails, in all processes.

A call is a number in memory. Every few seconds the next write hands in what was counted, as rows
that the store adds up over all processes, so nothing is merged by anybody and nothing is kept in a
process that may die. A process that ends within these seconds, as a hook does, spares the store a
write of its own and appends a line to a file beside it, which the next sample folds in (see
`spool`). Only damage is always handed in.

How long a call took is kept as a bucket: a quarter of an octave of nanoseconds, so a percentile is
right to within an eighth. (The way of HdrHistogram and OpenTelemetry's exponential histograms.)
"""

from __future__ import annotations

import os
from _weakref import ref  # weakref would import 1 ms of other things
from time import perf_counter_ns

from swarm_memory import lean_json
from swarm_memory.errors import AmbiguousCommitError, SwarmMemoryError
from swarm_memory.lean import suppress
from swarm_memory.locate import file_of
from swarm_memory.locks import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Concatenate, ParamSpec, TypeVar

    from swarm_memory.cache import Cache
    from swarm_memory.config import Config
    from swarm_memory.engine import Engine

    P = ParamSpec("P")
    R = TypeVar("R")
    S = TypeVar("S")
    T = TypeVar("T")
    U = TypeVar("U")

HAND_IN_NS = 10_000_000_000
NOTED_MAX = 65_536  # calls of a verb in a process that only reads, before they are added up
COUNTED = 0  # the bucket of what has no duration
UNTIMED = -1  # stands for a call that is taken to have lasted as long as the timed one before it
TIMED = 16  # one read of so many is timed: to time and note it costs a sixth of the read,
TIMED_WRITES = 4  # and of a write in memory 1.5 %,
FEW = 16  # but so many are timed, each of them, since a process handed in
FAILED = "!"  # between a verb and the code of the error that it failed with
HITS, MISSES = "cache.hit", "cache.miss"
HIT_US = "cache.hit_us"  # microseconds that all hits took
DAMAGE = frozenset({"corrupt_value", "damaged"})  # codes of errors that nobody may miss
SPOOL = "-calls"  # a file beside the store: what processes counted that ended early
SPOOL_BYTES_MAX = 1024 * 1024  # what comes on top of it is not counted
_meters: set[ref[Meter]] = set()  # of this process, for its forked children


def _begin_in_children() -> None:
    for each in [*_meters]:
        meter = each()
        if meter is not None:
            meter._begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_children)


def bucket_of(duration_ns: int) -> int:
    """Return the bucket of a duration: its octave, and which quarter of it."""
    duration_ns |= 4
    bits = duration_ns.bit_length()
    return bits << 2 | duration_ns >> bits - 3 & 3


def duration_of(bucket: int) -> float:
    """Return the middle of a bucket, in milliseconds."""
    bits, quarter = bucket >> 2, bucket & 3
    return (4.5 + quarter) * 2.0 ** (bits - 3) / 1e6


class Meter:
    """What one process has counted in one swarm and not handed in yet. Safe between threads.

    `clock_ns` tells the time by which calls are measured; `perf_counter_ns`, unless somebody sets
    another one.
    """

    __slots__ = (
        "__weakref__", "_cache", "_config", "_due_ns", "_engine", "_last", "_lock", "_look_ns",
        "_seen", "_sums", "_swarm", "clock_ns", "noted",
    )  # fmt: skip

    def __init__(
        self, engine: Engine, swarm: str, cache: Cache | None, config: Config | None = None
    ) -> None:
        self.clock_ns: Callable[[], int] = perf_counter_ns
        self._engine = engine
        self._swarm = swarm
        self._cache = cache
        # Buckets by verb: small numbers that are made once, so a call leaves nothing behind that
        # the garbage collector would go through again and again.
        self.noted: dict[str, list[int]] = {}
        self._last: dict[str, int] = {}
        self._sums: dict[tuple[str, int], int] = {}
        self._config = config
        self._seen = (0, 0, 0)
        self._lock = Lock()
        self._due_ns = self._look_ns = self.clock_ns() + HAND_IN_NS
        _meters.add(ref(self, _meters.discard))

    def took(self, verb: str, begun_ns: int, writes: bool) -> None:
        """Note a call that began at `begun_ns` of `clock_ns` and has ended."""
        self.ended(self.begin(verb), begun_ns, writes)

    def ended(self, noted: list[int], begun_ns: int, writes: bool) -> None:
        now_ns = self.clock_ns()
        duration_ns = now_ns - begun_ns | 4
        bits = duration_ns.bit_length()
        # As `bucket_of` has it: a call of it would be a quarter of what counting costs.
        noted.append(bits << 2 | duration_ns >> bits - 3 & 3)
        if now_ns >= (self._due_ns if writes else self._look_ns) or len(noted) >= NOTED_MAX:
            self._is_time(now_ns, writes)

    def _is_time(self, now_ns: int, writes: bool) -> None:
        # Only after a write: whoever reads may do so within a transaction that keeps us out.
        if writes and now_ns >= self._due_ns:
            self.hand_in()
        else:
            self._add_up()
        if now_ns >= self._look_ns:
            self.look()

    def begin(self, verb: str) -> list[int]:
        """Return the list of a verb that is called for the first time."""
        return self.noted.setdefault(verb, [])

    def count(self, what: str, calls: int = 1) -> None:
        """Note something that has no duration."""
        noted = self.begin(what)
        noted.extend([COUNTED] * calls)
        if len(noted) >= NOTED_MAX:
            self._add_up()

    def failed(self, verb: str, code: str) -> None:
        """Note a call that raised an error."""
        self.count(f"{verb}{FAILED}{code}")
        if code in DAMAGE:
            self._due_ns = self.clock_ns()

    @property
    def is_due(self) -> bool:
        """Whether a process that ends now has anything worth a write of its own."""
        return self.clock_ns() >= self._due_ns

    def look(self) -> None:
        """Use from now on what the tuner has set in the store; see `tuned`."""
        self._look_ns = self.clock_ns() + HAND_IN_NS
        if self._config is None:
            return
        from swarm_memory.tuned import apply  # only here: no hook stays for so long

        try:
            apply(self._engine, self._cache, self._config)
        except SwarmMemoryError as error:
            # What was asked for has been done, and what was set stays until the next look.
            self.failed("tuned", error.code)

    def hand_in(self) -> None:
        """Add what was counted to the store; if that fails it stays here for the next time."""
        self._due_ns = self.clock_ns() + HAND_IN_NS
        sums = self._taken()
        rows = [
            {"swarm": self._swarm, "verb": verb, "bucket": bucket, "calls": calls}
            for (verb, bucket), calls in sorted(sums.items())
        ]
        if not rows:
            return
        try:
            self._engine.write(lambda tx: tx.many("meter_add", rows), durability="machine")
        except AmbiguousCommitError:
            pass  # rather counted by nobody than twice
        except SwarmMemoryError:
            # What was asked for has been done: that it was not counted is no reason to fail it.
            with self._lock:
                for what, calls in sums.items():
                    self._sums[what] = self._sums.get(what, 0) + calls
            self.failed("hand_in", "engine_busy")

    def spool(self) -> None:
        """Append what was counted to the file beside the store; nothing if there is none.

        A line is one write to a file that is only appended to, so lines of several processes do
        not mix; one that a power loss tore in two is left out when it is read.
        """
        store = file_of(self._engine.url)
        if store is None:
            return
        sums = self._taken()
        if not sums:
            return
        counted = [[verb, bucket, calls] for (verb, bucket), calls in sums.items()]
        line = f"\n{lean_json.dumps([self._swarm, counted])}\n".encode()
        with suppress(OSError):  # what was asked for has been done: this is no reason to fail it
            file = os.open(store + SPOOL, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                if os.fstat(file).st_size < SPOOL_BYTES_MAX:
                    os.write(file, line)
            finally:
                os.close(file)

    def fold(self) -> None:
        """Hand in what processes have spooled that ended early; see `spool`.

        Raises:
            SwarmMemoryError: The store cannot be written; what is left waits for the next time.
        """
        store = file_of(self._engine.url)
        if store is not None:
            from swarm_memory.spool import fold  # only here: a hook appends and does not read

            fold(self._engine, store)

    def _taken(self) -> dict[tuple[str, int], int]:
        """Return what was counted, which is not here any more."""
        with self._lock:
            self._add_up_locked()
            sums, self._sums = self._sums, {}
        return sums

    def _begin_anew(self) -> None:
        """Begin in a forked child: what its parent counted and holds locked is the parent's."""
        self._lock = Lock()
        self.noted, self._last, self._sums = {}, {}, {}
        if self._cache is not None:
            cache = self._cache
            self._seen = cache.hits, cache.misses, cache.hit_ns // 1000
        self._due_ns = self.clock_ns() + HAND_IN_NS

    def _add_up(self) -> None:
        with self._lock:
            self._add_up_locked()

    def _add_up_locked(self) -> None:
        sums = self._sums
        for what, noted in [*self.noted.items()]:
            # Others append meanwhile: what comes after the copy stays.
            taken = noted[:]
            del noted[: len(taken)]
            last = self._last.get(what, COUNTED)
            for noted_as in taken:
                bucket = last = last if noted_as == UNTIMED else noted_as
                sums[what, bucket] = sums.get((what, bucket), 0) + 1
            self._last[what] = last
        if self._cache is not None:
            hits, misses = self._cache.hits, self._cache.misses
            now = hits, misses, self._cache.hit_ns // 1000
            for name, total, seen in zip((HITS, MISSES, HIT_US), now, self._seen, strict=True):
                if total > seen:
                    sums[name, COUNTED] = sums.get((name, COUNTED), 0) + total - seen
            self._seen = now


def metered(
    verb: str, *, writes: bool = False
) -> Callable[[Callable[Concatenate[S, P], R]], Callable[Concatenate[S, P], R]]:
    """Let the calls of a service's method be counted as `verb`; in transactions it is not.

    All of a few calls are timed, then one write of `TIMED_WRITES` and one read of `TIMED`.

    Args:
        writes: Whether the method's return means that no transaction of this thread is open.
    """

    every = TIMED_WRITES if writes else TIMED

    def wrap(method: Any) -> Any:
        def call(self: Any, *args: Any, **named: Any) -> Any:
            meter = self._context.meter
            if meter is None or not self._db.alone:
                return method(self, *args, **named)
            try:
                noted = meter.noted[verb]
            except KeyError:
                noted = meter.begin(verb)
            count = len(noted)
            timed = count < FEW or not count % every
            begun_ns = meter.clock_ns() if timed else 0
            try:
                result = method(self, *args, **named)
            except SwarmMemoryError as error:
                meter.failed(verb, error.code)
                raise
            if timed:
                meter.ended(noted, begun_ns, writes)
            else:
                noted.append(UNTIMED)
            return result

        return _as(method, call)

    return wrap


def metered_read(verb: str) -> Callable[[Callable[[S, T, U], R]], Callable[[S, T, U], R]]:
    """As `metered`, for a read of two arguments, given by place.

    To hand on whatever it is given costs a wrapper 7 % of such a read, two named ones nothing.
    """

    def wrap(method: Any) -> Any:
        def call(self: Any, first: Any, second: Any) -> Any:
            meter = self._context.meter
            if meter is None or not self._db.alone:
                return method(self, first, second)
            try:
                noted = meter.noted[verb]
            except KeyError:
                noted = meter.begin(verb)
            count = len(noted)
            timed = count < FEW or not count % TIMED
            begun_ns = meter.clock_ns() if timed else 0
            try:
                result = method(self, first, second)
            except SwarmMemoryError as error:
                meter.failed(verb, error.code)
                raise
            if timed:
                meter.ended(noted, begun_ns, False)
            else:
                noted.append(UNTIMED)
            return result

        return _as(method, call)

    return wrap


def _as(method: Any, call: Any) -> Any:
    for name in ("__module__", "__name__", "__qualname__", "__doc__", "__annotations__"):
        setattr(call, name, getattr(method, name))
    call.__wrapped__ = method
    return call
