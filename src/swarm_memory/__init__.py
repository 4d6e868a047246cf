"""One shared, persistent memory for a swarm of AI agents: nothing lost, nothing faked."""

from __future__ import annotations

from swarm_memory.errors import (
    AccessDeniedError,
    AmbiguousCommitError,
    ConfigError,
    ConflictError,
    CorruptValueError,
    CursorExpiredError,
    DeadlockError,
    EngineBusyError,
    EngineUnavailableError,
    ImportSourceError,
    InvalidArgumentError,
    InvalidKeyError,
    InvalidValueError,
    LeaseHeldError,
    LeaseLostError,
    LimitExceededError,
    NotFoundError,
    OpIdReusedError,
    SchemaError,
    StaleReceiptError,
    StorageFullError,
    SwarmMemoryError,
    WaitTimeoutError,
)
from swarm_memory.key import check_key, escape, unescape
from swarm_memory.model import Record
from swarm_memory.records import Put
from swarm_memory.swarm import Swarm

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.aio import AsyncSwarm, AsyncSwarmMemoryManager
    from swarm_memory.manager import (
        SwarmMemoryManager,
        create_swarm_memory_manager,
        emergency_memory_cleanup,
        quick_memory_health_check,
    )

__all__ = [
    # doors
    "Swarm",
    "SwarmMemoryManager",
    "AsyncSwarm",
    "AsyncSwarmMemoryManager",
    "create_swarm_memory_manager",
    "quick_memory_health_check",
    "emergency_memory_cleanup",
    # values
    "Put",
    "Record",
    "check_key",
    "escape",
    "unescape",
    # errors
    "AccessDeniedError",
    "AmbiguousCommitError",
    "ConfigError",
    "ConflictError",
    "CorruptValueError",
    "CursorExpiredError",
    "DeadlockError",
    "EngineBusyError",
    "EngineUnavailableError",
    "ImportSourceError",
    "InvalidArgumentError",
    "InvalidKeyError",
    "InvalidValueError",
    "LeaseHeldError",
    "LeaseLostError",
    "LimitExceededError",
    "NotFoundError",
    "OpIdReusedError",
    "SchemaError",
    "StaleReceiptError",
    "StorageFullError",
    "SwarmMemoryError",
    "WaitTimeoutError",
]

_LATER = {
    "AsyncSwarm": "aio",
    "AsyncSwarmMemoryManager": "aio",
    "SwarmMemoryManager": "manager",
    "create_swarm_memory_manager": "manager",
    "emergency_memory_cleanup": "manager",
    "quick_memory_health_check": "manager",
}


def __getattr__(name: str) -> object:
    """Import the larger doors only when they are asked for."""
    if name in _LATER:
        from importlib import import_module

        value: object = getattr(import_module(f"swarm_memory.{_LATER[name]}"), name)
        globals()[name] = value
        return value
    if name == "__version__":
        from importlib.metadata import version

        return version("swarm-memory")
    raise AttributeError(f"module 'swarm_memory' has no attribute {name!r}")
