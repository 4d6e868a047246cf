"""What was written into which file, so that exactly that is taken out again.

A file of its own for each file of others, in the user's folder. It holds what we wrote, the white
space that stood in empty containers, and nothing else of the file.
"""

from __future__ import annotations

import json
import os

from swarm_memory.errors import ConfigError
from swarm_memory.wiring import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from swarm_memory.model import Json


class Ledger:
    """The notes of one user, in `folder`, which need not exist."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def recall(self, path: str) -> dict[str, Any] | None:
        """Return what is noted of a file, None if nothing is.

        Raises:
            ConfigError: The note is damaged.
        """
        return self._read(self._note(path))

    def all(self) -> list[dict[str, Any]]:
        """Return what is noted of all files, each with its `path`."""
        if not os.path.isdir(self.folder):
            return []
        names = sorted(name for name in os.listdir(self.folder) if name.endswith(".json"))
        notes = [self._read(os.path.join(self.folder, name)) for name in names]
        return [note for note in notes if note is not None]

    def remember(self, path: str, note: dict[str, Json]) -> None:
        """Note something of a file, instead of what was noted before."""
        text = json.dumps({**note, "path": path}, indent=1)
        files.write(self._note(path), text, private=True)

    def forget(self, path: str) -> None:
        """Note nothing of a file any more, and drop the folder with the last note."""
        note = self._note(path)
        if os.path.exists(note):
            files.delete(note)
        if os.path.isdir(self.folder) and not os.listdir(self.folder):
            os.rmdir(self.folder)

    def _read(self, note: str) -> dict[str, Any] | None:
        text = files.read(note)
        if text is None:
            return None
        try:
            document: dict[str, Any] = json.loads(text)
        except ValueError as broken:
            raise ConfigError(
                f"{note}, which says what was written into a settings file, is no JSON: {broken}",
                hint="delete it; what looks like ours is then removed",
            ) from broken
        return document

    def _note(self, path: str) -> str:
        from hashlib import sha256

        name = sha256(os.fsencode(os.path.abspath(path))).hexdigest()[:32]
        return os.path.join(self.folder, f"{name}.json")
