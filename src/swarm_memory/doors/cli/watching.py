"""Watching: the dashboard beside a program that works in the store, in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from swarm_memory.errors import ConfigError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

COMMAND = (sys.executable, "-P", "-c", "from swarm_memory.doors.command import main; main()")
END_S = 15.0


class Watched:
    """A dashboard that is begun when it is known what of, and ended with the block.

    Args:
        no_open: Only say where it is.
    """

    def __init__(self, no_open: bool) -> None:
        self._no_open = no_open
        self._process: subprocess.Popen[str] | None = None

    def begin(self, url: str, swarm: str) -> None:
        """Start the server of a store, say where it is, and open it in a browser.

        Raises:
            ConfigError: It does not start; what it says is on standard error.
        """
        asked = ["--url", url, "--swarm", swarm, "ui", "--port", "0"]
        self._process = subprocess.Popen(
            [*COMMAND, *asked, *(["--no-open"] if self._no_open else [])],
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C is for the program that began it, which then ends it in order.
            start_new_session=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ConfigError("the dashboard did not start", hint="pip install 'swarm-memory[all]'")
        print(f"watch it at {line.split()[-1]}", file=sys.stderr, flush=True)

    def wait(self) -> None:
        """Wait until somebody ends it, or it ends by itself."""
        if self._process is None:
            return
        try:
            self._process.wait()
        except KeyboardInterrupt:
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()
