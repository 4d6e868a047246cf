"""Git: calls of the git command that leave a repository exactly as it is."""

from __future__ import annotations

import os
import re
import subprocess

from swarm_memory.errors import InvalidArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION_MIN = (2, 38)  # merge-tree --write-tree
NOBODY = "swarm-memory"
WHEN = "946684800 +0000"  # one moment for all: the same state makes the same commit
# Nothing that git could run or keep beside the work asked for: no hooks, no monitor of files, no
# index in two parts (the second would be written beside the user's own), no other conflict marks.
SETTINGS = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.untrackedCache=keep",
    "core.splitIndex=false", "merge.conflictStyle=merge", "gc.auto=0", "core.quotePath=false",
    "advice.addEmbeddedRepo=false", "core.safecrlf=false",
)  # fmt: skip


class GitError(Exception):
    """A call of git that failed; its text says why."""


class Git:
    """Git with its own place for new objects, so that the repository's stays untouched.

    Args:
        environment: Of the caller; what of it could point git to another repository is left out.
        objects: A folder that new objects go to; None for calls that make none.
        timeout_s: How long one call may take.
    """

    def __init__(
        self, environment: Mapping[str, str], *, timeout_s: float, objects: str | None = None
    ) -> None:
        kept = {k: v for k, v in environment.items() if not k.startswith("GIT_")}
        self._environment = kept | {
            "LC_ALL": "C",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_AUTHOR_NAME": NOBODY, "GIT_AUTHOR_EMAIL": NOBODY, "GIT_AUTHOR_DATE": WHEN,
            "GIT_COMMITTER_NAME": NOBODY, "GIT_COMMITTER_EMAIL": NOBODY, "GIT_COMMITTER_DATE": WHEN,
        }  # fmt: skip
        self._objects = objects
        self._timeout_s = timeout_s

    def beside(self, objects: str, store: str) -> Git:
        """Return git that reads a repository's store of objects and writes to a folder."""
        git = Git(self._environment, timeout_s=self._timeout_s, objects=objects)
        # Quoted as git reads it: a path may hold the colon that separates paths.
        quoted = '"' + store.replace("\\", "\\\\").replace('"', '\\"') + '"'
        more = {"GIT_OBJECT_DIRECTORY": objects, "GIT_ALTERNATE_OBJECT_DIRECTORIES": quoted}
        git._environment = git._environment | more
        return git

    def run(
        self,
        folder: str,
        *arguments: str,
        index: str | None = None,
        statuses: tuple[int, ...] = (0,),
    ) -> tuple[int, bytes]:
        """Return the exit status and the output of a call.

        Raises:
            GitError: It ended with another status than `statuses`, took too long, or there is no
                such folder.
        """
        settings = [part for setting in SETTINGS for part in ("-c", setting)]
        more = {} if index is None else {"GIT_INDEX_FILE": index}
        command = ["git", *settings, *arguments]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=self._environment | more,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=self._timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise GitError(f"git {arguments[0]} took longer than {self._timeout_s:g} s") from None
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            if os.path.isdir(folder):
                raise GitError(f"git cannot be run: {error.strerror}") from None
            raise GitError("its folder is gone") from None
        if done.returncode not in statuses:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise GitError(said[-1] if said else f"git {arguments[0]} failed ({done.returncode})")
        return done.returncode, done.stdout

    def line(self, folder: str, *arguments: str, index: str | None = None) -> str:
        """Return the only line that a call prints."""
        return os.fsdecode(self.run(folder, *arguments, index=index)[1]).rstrip("\n")

    def check_version(self, folder: str) -> None:
        """Raise InvalidArgumentError unless git is there and new enough."""
        try:
            said = self.line(folder, "version")
        except GitError as error:
            raise InvalidArgumentError(str(error), hint="install git 2.38 or newer") from None
        found = re.search(r"(\d+)\.(\d+)", said)
        if found is None or (int(found[1]), int(found[2])) < VERSION_MIN:
            wanted = ".".join(map(str, VERSION_MIN))
            raise InvalidArgumentError(
                f"{said} cannot merge without a checkout",
                hint=f"git {wanted} or newer is needed (merge-tree --write-tree)",
            )


def text(raw: bytes) -> str:
    """Return a name as text: names of files need not be valid text."""
    return raw.decode("utf-8", "backslashreplace")
