"""The gate in front of the transaction: who writes next, in the order in which they came.

SQLite's own lock is what keeps writers apart; it lets whoever comes by at the right moment in, so
the unlucky wait for seconds. The gate is for speed and fairness, and nothing hangs on it: who does
not get through goes on without it.
"""

from __future__ import annotations

import time

from swarm_memory.engine.mark import GATE, PUBLISHED
from swarm_memory.engine.seats import FOR_GATE, pause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.engine.mark import Mark
    from swarm_memory.engine.seats import Seats

GATE_S = 0.5  # who does not get through the gate by then goes on without it
# So many times, or for so long, a process that writes on and on goes through before those in line:
# each hand-over makes the next one read anew what the last one wrote.
RUN, RUN_S = 32, 0.01
BACK_S, BACK_TIMES = 0.0005, 4  # that is one who came back within this time, so many times
# Who has no seat, or is called there and not woken, looks so often, and less and less,
PAUSE_S, PAUSE_S_MAX = 0.0002, 0.002
LOOK_S = 0.003  # who has one is woken, but a wake may be lost
UNKNOWN = -1


class Gate:
    """The gate of one mark, for one thread of this process at a time."""

    def __init__(self, mark: Mark, seats: Seats) -> None:
        self._mark = mark
        self._seats = seats
        self._left = 0.0  # when it was left last
        self._times_back = 0  # after that soon
        self._run, self._run_until = 0, 0.0  # how many more times, and until when, without a wait
        self.stuck = False  # the last one who waited did so in vain

    def enter(self) -> None:
        """Pass in turn, or after `GATE_S` without having the gate."""
        now = time.monotonic()
        # One who was held up once still writes on and on.
        back = self._times_back + 1 if now - self._left < BACK_S else self._times_back // 2
        self._times_back = min(back, 2 * BACK_TIMES)
        if self._run and now < self._run_until and self._mark.lock(GATE):
            self._run -= 1
            return
        held = not self._seats.waiting(FOR_GATE) and self._mark.lock(GATE)
        # Where a process is frozen at the gate, only the first who came pays for finding out.
        self.stuck = not (held or self._stand_in_line(0.0 if self.stuck else GATE_S))
        self._run, self._run_until = RUN - 1, time.monotonic() + RUN_S

    def _stand_in_line(self, limit_s: float) -> bool:
        seats = self._seats
        since_ns = time.monotonic_ns()
        deadline = time.monotonic() + limit_s
        seated = hears = seats.seated()
        pause_s, at = PAUSE_S, UNKNOWN
        # One who comes back at once would overtake the one he has just woken.
        tries = not limit_s or self._times_back < BACK_TIMES
        if seated:
            seats.drain(FOR_GATE)
        try:
            while True:
                if seated:  # before trying, else who leaves might look for those in line first
                    seats.wait(FOR_GATE, since_ns)
                # Who only looks breaks into nobody's run: it goes on if somebody has written since.
                before, at = at, self._written()
                if (tries or at in (before, UNKNOWN)) and self._mark.lock(GATE):
                    return True
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return False
                if hears:
                    tries = seats.sleep(FOR_GATE, min(left_s, LOOK_S))
                    # Called but not woken, as from another network: it would happen each time.
                    hears = tries or not seats.called(FOR_GATE)
                if not hears:
                    tries = True
                    pause(min(left_s, pause_s))
                    pause_s = min(1.5 * pause_s, PAUSE_S_MAX)
        finally:
            if seated:
                seats.wait(FOR_GATE, 0)

    def _written(self) -> int:
        """Return the number of the last commit, `UNKNOWN` if the mark does not tell."""
        counters = self._mark.read()
        return UNKNOWN if counters is None else counters[PUBLISHED]

    def leave(self, *, last: bool) -> None:
        """Give it back, and wake who waits longest unless this process is about to come back."""
        self._mark.unlock(GATE)
        self._left = time.monotonic()
        over = not self._run or self._left >= self._run_until
        if last or over or self._times_back < BACK_TIMES:
            self._run = 0
            line = [seat for _, seat in self._seats.waiting(FOR_GATE)]
            self._seats.wake(FOR_GATE, line, first=True)
