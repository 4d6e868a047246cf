"""The clock port: the only place that asks what time it is."""

import time

_BOOT_ID_FILE = "/proc/sys/kernel/random/boot_id"


class SystemClock:
    """The clocks of this machine.

    A SQLite store lives on one machine, so all its writers share them.
    """

    def now_ms(self) -> int:
        """Return the time in milliseconds since 1970-01-01 UTC; somebody may set it."""
        return time.time_ns() // 1_000_000

    def uptime_ms(self) -> int:
        """Return the milliseconds since this machine started, suspended time included.

        Nobody can set this one, so what must not end early or late is measured by it. Where the
        system does not tell one start from another it is `now_ms`.
        """
        if not _BOOT_ID:
            return self.now_ms()
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def boot_id(self) -> int:
        """Return a number that is another one after each start of the machine; 0 if unknown."""
        return _BOOT_ID


def _read_boot_id() -> int:
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return 0
    try:
        with open(_BOOT_ID_FILE, encoding="utf-8") as file:
            return int(file.read().strip().replace("-", "")[:15], 16)
    except (OSError, ValueError):
        return 0


_BOOT_ID = _read_boot_id()
