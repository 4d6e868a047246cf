"""Files of others: read whole, written whole or not at all, and only as they were when planned."""

from __future__ import annotations

import json
import os
import tempfile

from swarm_memory.errors import ConfigError, EngineUnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BYTES_MAX = 64 * 2**20


def read(path: str) -> str | None:
    """Return the text of a file with its line ends as they are, None if there is none.

    Raises:
        ConfigError: It is no UTF-8, or larger than 64 MiB.
        EngineUnavailableError: It cannot be read.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _refused("read", path, error) from error
    if len(content) > BYTES_MAX:
        raise ConfigError(f"{path} is larger than {BYTES_MAX} bytes", hint="is it a settings file?")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no UTF-8: {error}", hint="save it as UTF-8") from error


def settings_of(path: str) -> dict[str, Any]:
    """Return the settings of a file; one that is missing or blank holds none.

    Raises:
        ConfigError: It holds no JSON object.
        EngineUnavailableError: It cannot be read.
    """
    text = read(path)
    if text is None or not text.strip():
        return {}
    try:
        document = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as problem:
        raise ConfigError(f"{path}: {problem}", hint="correct the file") from problem
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: it holds no JSON object", hint="correct the file")
    return document


def write(path: str, text: str, *, private: bool = False) -> list[str]:
    """Write a whole file at once, with the mode it has; return the folders made for it.

    A link stays a link: the file that it leads to is replaced.

    Args:
        private: A new file is for its owner only.

    Raises:
        EngineUnavailableError: It cannot be written; then it is as it was.
    """
    target = os.path.realpath(path)
    folder, made, temporary = os.path.dirname(target), [], ""
    try:
        while not os.path.isdir(folder):
            made.append(folder)
            folder = os.path.dirname(folder)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        handle, temporary = tempfile.mkstemp(
            prefix=f".{os.path.basename(target)}.", suffix=".tmp", dir=os.path.dirname(target)
        )
        with open(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.chmod(temporary, _mode(target, private))
            os.fsync(handle)
        os.replace(temporary, target)
    except OSError as error:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
        raise _refused("write", path, error) from error
    return made


def delete(path: str) -> None:
    """Delete a file that is there.

    Raises:
        EngineUnavailableError: It cannot be deleted.
    """
    try:
        os.unlink(os.path.realpath(path))
    except OSError as error:
        raise _refused("delete", path, error) from error


def _mode(target: str, private: bool) -> int:
    if os.path.exists(target):
        return os.stat(target).st_mode & 0o7777
    mask = os.umask(0)
    os.umask(mask)
    return 0o600 if private else 0o666 & ~mask


def _refused(what: str, path: str, error: OSError) -> EngineUnavailableError:
    return EngineUnavailableError(
        f"cannot {what} {path}: {error.strerror}", hint="see who may read and write it"
    )
