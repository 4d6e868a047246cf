"""Pausing a store: while it is paused the hooks of agents show nothing and record nothing.

The switch is a file beside the store, `memory.db-paused`, so that a hook sees it before it opens
anything, and so that it works on a store that cannot be opened. Commands and libraries are not
paused: who asks for memory gets it.
"""

from __future__ import annotations

import os

from swarm_memory.errors import EngineUnavailableError

SUFFIX = "-paused"


def is_paused(store_path: str) -> bool:
    """Tell whether the hooks of the store at `store_path` are paused; it need not exist."""
    return os.path.exists(store_path + SUFFIX)


def pause(store_path: str) -> bool:
    """Pause the hooks of a store; False if they were paused already.

    Raises:
        EngineUnavailableError: The folder of the store is missing or cannot be written.
    """
    try:
        os.close(os.open(store_path + SUFFIX, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    except OSError as error:
        raise _refused("pause", store_path, error) from error
    return True


def resume(store_path: str) -> bool:
    """Let the hooks of a store go on; False if they were not paused.

    Raises:
        EngineUnavailableError: The folder of the store cannot be written.
    """
    try:
        os.unlink(store_path + SUFFIX)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _refused("resume", store_path, error) from error
    return True


def _refused(what: str, store_path: str, error: OSError) -> EngineUnavailableError:
    return EngineUnavailableError(
        f"cannot {what} {store_path}: {error.strerror}",
        hint="check the folder of the store, and who may write to it",
    )
