"""Where an event happens: which store is meant, and in which checkout of the project."""

from __future__ import annotations

import os

from swarm_memory.lean import NamedTuple
from swarm_memory.locate import branch_of, file_of, locate, own_store, project_folder, root_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from swarm_memory.doors.hooks.event import Event
    from swarm_memory.model import Json


class Place(NamedTuple):
    """A store and a checkout.

    `store` is the path of its database, None if it is no file; `folder` is where the agent is,
    `worktree` the root of the checkout around it, `branch` what is checked out there.
    """

    url: str
    store: str | None
    folder: str
    worktree: str
    branch: str | None

    def about(self) -> dict[str, Json]:
        """Return what of it goes into the provenance of what is kept."""
        about = {"worktree": self.worktree, "branch": self.branch}
        return {name: value for name, value in about.items() if value is not None}

    def of(self, path: str | None) -> Place:
        """Return the checkout of this project that `path` lies in; this one for any other path."""
        if path is None or not os.path.isabs(path):
            return self
        worktree = root_of(os.path.dirname(path))
        if worktree == self.worktree or project_folder(worktree) != project_folder(self.worktree):
            return self
        return self._replace(worktree=worktree, branch=branch_of(worktree))


def place_of(event: Event, environment: Mapping[str, str]) -> Place:
    """Return where an event happens.

    The store is that of the project in which the session started, wherever the agent is now.
    """
    folder = os.path.abspath(event.text("cwd") or environment.get("CLAUDE_PROJECT_DIR") or ".")
    url = locate(None, environment.get("CLAUDE_PROJECT_DIR") or folder, environment).url
    worktree = root_of(folder)
    return Place(url, file_of(own_store(url)), folder, worktree, branch_of(worktree))
