"""The clock port: the only place that asks what time it is."""

import time


class SystemClock:
    """The wall clock of this machine.

    A SQLite store lives on one machine, so all its writers share this clock.
    """

    def now_ms(self) -> int:
        """Return the time in milliseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1_000_000
