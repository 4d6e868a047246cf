"""Locks of threads, from where `threading` has them.

Importing `threading` itself takes a twentieth of a hook's time, and only who starts threads needs
it.
"""

from __future__ import annotations

from _thread import RLock, get_ident
from _thread import _local as local
from _thread import allocate_lock as Lock

__all__ = ["Lock", "RLock", "get_ident", "local"]
