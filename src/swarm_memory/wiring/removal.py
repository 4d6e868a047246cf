"""Everything that `uninstall` takes out: what we know of here, and what is noted of elsewhere."""

from __future__ import annotations

import os

from swarm_memory.locate import FOLDER
from swarm_memory.wiring import claude, codex, files
from swarm_memory.wiring.plan import leave, leave_block, leave_file, once

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.wiring.ledger import Ledger
    from swarm_memory.wiring.places import Place
    from swarm_memory.wiring.plan import Change


def plan(ledger: Ledger, place: Place) -> list[Change]:
    """Return what is to be changed so that nothing of ours is left, each file once.

    Raises:
        ConfigError: A file cannot be understood; nothing is planned.
    """
    found = [*claude.removal(ledger, place), *codex.removal(ledger, place)]
    changes = {change.path: change for change in once(found)}
    for note in ledger.all():
        path = note["path"]
        if path in changes:
            continue
        if "entries" in note:
            changes[path] = leave(ledger, path, ())
        elif "block" in note:
            changes[path] = leave_block(ledger, path, note["block"])
        elif "content" in note:
            changes[path] = leave_file(ledger, path, note["content"])
    return list(changes.values())


def store_files(path: str) -> list[str]:
    """Return the files of the store at `path`: the database and all that lies beside it for it.

    Backups are none of them: whoever made them decides.
    """
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        return []
    beside = [one for one in sorted(os.listdir(folder)) if one.startswith(f"{name}-")]
    found = [os.path.join(folder, one) for one in (name, *beside)]
    if os.path.basename(folder) == FOLDER:
        found.append(os.path.join(folder, ".gitignore"))
    return [one for one in found if os.path.isfile(one)]


def delete(paths: list[str]) -> None:
    """Delete files, and the folder they were in if nothing else is there.

    Raises:
        EngineUnavailableError: One cannot be deleted.
    """
    for path in paths:
        files.delete(path)
    for folder in {os.path.dirname(path) for path in paths}:
        if os.path.basename(folder) == FOLDER and not os.listdir(folder):
            os.rmdir(folder)
