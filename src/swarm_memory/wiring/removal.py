"""Everything that `uninstall` takes out: what we know of here, and what is noted of elsewhere."""

from __future__ import annotations

from swarm_memory.wiring import claude, codex
from swarm_memory.wiring.plan import leave, leave_block, leave_file

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
    changes = {change.path: change for change in reversed(found)}
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
