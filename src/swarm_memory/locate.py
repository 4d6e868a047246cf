"""Which store is meant, when nobody says so.

Asked in this order: the argument, `SWARM_MEMORY_URL`, the project, the user. The project is the
repository that git's common directory belongs to, so that all worktrees share one store; a
submodule is a project of its own. Outside git it is the nearest folder above that holds a
`.swarm-memory/`. Without a project it is the user's own store.

A changed directory inside a project never makes a second store. Where swarms of the project have
moved to other stores, a file of routes beside its own says where they are.
"""

from __future__ import annotations

import os
import sys

from swarm_memory.errors import EngineUnavailableError
from swarm_memory.model import Located

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# os.path and not pathlib: this runs in every hook, and pathlib costs 10 ms to import.
FOLDER = ".swarm-memory"
_OURS = {FOLDER, "swarm-memory"}  # the folders that we choose for stores
_FILE_SCHEME = "sqlite:///"
FILE = "memory.db"
ROUTES = "routes.json"  # beside the store, once one of its swarms has moved to another
_ROUTES_SCHEME = "routes:"


def locate(
    url: str | None, directory: str, environment: Mapping[str, str], platform: str = sys.platform
) -> Located:
    """Return the store's URL and why it is that one; nothing is created.

    Args:
        url: What the caller asked for, or None.
        directory: Where the search starts.
        environment: The process's variables.
        platform: As `sys.platform`.
    """
    if url:
        return Located(url, "named by the caller")
    if named := environment.get("SWARM_MEMORY_URL"):
        return Located(named, "named by SWARM_MEMORY_URL")
    start = os.path.abspath(directory)
    checkout = _main_checkout(start)
    if checkout is not None:
        return Located(_url(checkout), f"the git repository {os.path.dirname(checkout)}")
    for folder in _upwards(start):
        if os.path.isdir(os.path.join(folder, FOLDER)):
            return Located(_url(os.path.join(folder, FOLDER)), f"the nearest {FOLDER} above")
    home = user_folder(environment, platform)
    return Located(_url(home), f"no project above {start}: the user's own store")


def project_folder(directory: str) -> str:
    """Return the folder that `init` makes the store in for `directory`."""
    start = os.path.abspath(directory)
    checkout = _main_checkout(start)
    if checkout is not None:
        return checkout
    for folder in _upwards(start):
        if os.path.isdir(os.path.join(folder, FOLDER)):
            return os.path.join(folder, FOLDER)
    return os.path.join(start, FOLDER)


def root_of(directory: str) -> str:
    """Return the folder that paths of the project are relative to, for somebody in `directory`.

    It is the checkout around it: a path then means the same file of the project in each worktree.
    Outside git it is the nearest folder above that holds a `.swarm-memory/`, else `directory`.
    """
    folders = _upwards(os.path.abspath(directory))
    for mark in (".git", FOLDER):
        for folder in folders:
            if os.path.exists(os.path.join(folder, mark)):
                return folder
    return folders[0]


def branch_of(root: str) -> str | None:
    """Return the branch that the checkout `root` is on; None where there is none.

    Git's files are read, no git is started: this runs in every hook.
    """
    git = os.path.join(root, ".git")
    if os.path.isfile(git):  # a worktree or a submodule: its HEAD lies where this points to
        git = os.path.normpath(os.path.join(root, _pointed_to(git)))
    head = _first_line(os.path.join(git, "HEAD"))
    branch = head.removeprefix("ref: refs/heads/")
    # A repository with another kind of reference store has a stand-in here that names no branch.
    return None if branch in (head, ".invalid") else branch


def prepare(located: Located) -> None:
    """Make the store's folder if it is one that we choose the place of.

    It is private (0700) and holds a `.gitignore` with `*`, so no store is ever committed.
    """
    path = file_of(located.url) or located.url.removeprefix(_ROUTES_SCHEME)
    folder = os.path.dirname(path)
    if os.path.basename(folder) not in _OURS:
        return
    ignore = os.path.join(folder, ".gitignore")
    if os.path.exists(ignore):
        return
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        with open(ignore, "w", encoding="ascii") as file:
            file.write("*\n")
    except OSError as error:
        raise EngineUnavailableError(
            f"cannot make {folder}: {error.strerror}", hint="name another store with --url"
        ) from error


def file_of(url: str) -> str | None:
    """Return the path of the database that a URL names, None where it names no file."""
    path = url.removeprefix(_FILE_SCHEME)
    if path == ":memory:" or ("://" in url and path == url) or url.startswith(_ROUTES_SCHEME):
        return None
    return os.path.abspath(path)


def followed(url: str) -> str:
    """Return the URL by which whoever stays follows the swarms of a project's store.

    That is its file of routes, which need not be there yet; any other URL is returned as it is.
    """
    path = file_of(url)
    folder, name = os.path.split(path or "")
    if name != FILE or os.path.basename(folder) not in _OURS:
        return url
    return _ROUTES_SCHEME + os.path.join(folder, ROUTES)


def own_store(url: str) -> str:
    """Return the URL of the project's own store, also where its swarms have moved away."""
    path = url.removeprefix(_ROUTES_SCHEME)
    folder = os.path.dirname(path)
    if path == url or os.path.basename(folder) not in _OURS:
        return url
    return _FILE_SCHEME + os.path.join(folder, FILE)


def _url(folder: str) -> str:
    routes = os.path.join(folder, ROUTES)
    if os.path.exists(routes):
        return _ROUTES_SCHEME + routes
    return _FILE_SCHEME + os.path.join(folder, FILE)


def _upwards(directory: str) -> list[str]:
    folders = [directory]
    while os.path.dirname(folders[-1]) != folders[-1]:
        folders.append(os.path.dirname(folders[-1]))
    return folders


def _main_checkout(directory: str) -> str | None:
    """Return the store's folder of the repository around `directory`, if there is one."""
    for folder in _upwards(directory):
        git = os.path.join(folder, ".git")
        if os.path.isdir(git):
            return os.path.join(folder, FOLDER)
        if os.path.isfile(git):
            return _of_linked_checkout(folder, git)
    return None


def _of_linked_checkout(folder: str, git: str) -> str:
    """Follow a `.git` file: a worktree leads to its repository, a submodule stays its own."""
    pointer = _pointed_to(git)
    private = os.path.normpath(os.path.join(folder, pointer))
    common = _first_line(os.path.join(private, "commondir"))
    if not pointer or not common:
        return os.path.join(folder, FOLDER)
    common = os.path.normpath(os.path.join(private, common))
    # A bare repository has no checkout beside it: its worktrees meet inside it.
    owner = os.path.dirname(common) if os.path.basename(common) == ".git" else common
    return os.path.join(owner, FOLDER)


def _pointed_to(git: str) -> str:
    return _first_line(git).removeprefix("gitdir:").strip()


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().strip()
    except OSError:
        return ""  # not a worktree's administrative file: the caller has its answer in that


def user_folder(environment: Mapping[str, str], platform: str = sys.platform) -> str:
    """Return the folder of what belongs to the user and to no project; it need not exist."""
    home = environment.get("HOME") or os.path.expanduser("~")
    if platform == "win32":
        base = environment.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    elif platform == "darwin":
        base = os.path.join(home, "Library", "Application Support")
    else:
        base = environment.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
    return os.path.join(base, "swarm-memory")
