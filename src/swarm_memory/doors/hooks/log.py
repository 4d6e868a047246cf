"""Where hooks say what went wrong: one line in a bounded file, never on the agent's screen."""

from __future__ import annotations

import os
import sys
import time

from swarm_memory.lean import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SUFFIX = "-hooks.log"
OLDER = ".1"
NAME = "hooks.log"
BYTES_MAX = 64 * 1024  # of one of the two files
LINE_CHARS_MAX = 1000


def log_path(
    store: str | None, environment: Mapping[str, str], platform: str = sys.platform
) -> str:
    """Return the file that failures are logged to: beside the store, if its folder is there."""
    if store is not None and os.path.isdir(os.path.dirname(store)):
        return store + SUFFIX
    home = environment.get("HOME") or os.path.expanduser("~")
    if platform == "win32":
        base = environment.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    elif platform == "darwin":
        base = os.path.join(home, "Library", "Logs")
    else:
        base = environment.get("XDG_STATE_HOME") or os.path.join(home, ".local", "state")
    return os.path.join(base, "swarm-memory", NAME)


def log_failure(path: str, what: str, error: BaseException) -> None:
    """Append one line: when, which event, which error and where it was raised."""
    from swarm_memory.redact import redact

    line = f"{what}: {type(error).__name__}: {error} ({_origin(error)})"
    line = redact(" ".join(line.split())[:LINE_CHARS_MAX]).text
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with suppress(OSError):  # a hook that cannot even log has nobody to tell
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with suppress(FileNotFoundError):
            if os.stat(path).st_size >= BYTES_MAX:
                os.replace(path, path + OLDER)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, f"{stamp} {line}\n".encode("utf-8", "backslashreplace"))
        finally:
            os.close(file)


def _origin(error: BaseException) -> str:
    trace = error.__traceback__
    if trace is None:
        return "?"
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
