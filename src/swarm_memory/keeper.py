"""Keeping a process session: a thread renews it as long as the process lives."""

from __future__ import annotations

import os
import threading

from swarm_memory.errors import NotFoundError, SwarmMemoryError
from swarm_memory.lives import ENDED, PROCESS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.sessions import Sessions

BEATS = 3  # in one time to live, so that two may come late


class Keeper:
    """Renews a session of this process until `stop`, and ends those of others that are over.

    A process that was frozen for longer than its session's time to live finds it lapsed, with all
    that it held freed, and begins it anew. One that somebody has ended stays ended.
    """

    def __init__(self, sessions: Sessions, session_id: str, ttl_s: float) -> None:
        self._sessions = sessions
        self._session_id = session_id
        self._ttl_s = ttl_s
        self._pid = os.getpid()
        self._stopped = threading.Event()
        self._begin()
        name = f"swarm-memory session {session_id}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Renew it no longer and end it; in a forked child, which has no part in it, nothing."""
        if os.getpid() != self._pid:
            return
        self._stopped.set()
        self._thread.join()
        self._sessions.end(self._session_id, reason="closed")

    def _run(self) -> None:
        while not self._stopped.wait(self._ttl_s / BEATS):
            try:
                if not self._beat():
                    return
            except SwarmMemoryError:
                # The next beat tries again; if the store stays away, the session lapses, as it
                # does for anybody who cannot say that he lives.
                continue

    def _beat(self) -> bool:
        """Renew the session; tell whether it lives."""
        if self._sessions.touch(self._session_id, share=0.0) is None:
            if self._was_ended():
                return False
            self._begin()
        self._sessions.reap()
        return True

    def _was_ended(self) -> bool:
        try:
            return self._sessions.get(self._session_id).state == ENDED
        except NotFoundError:
            return False  # a restore has taken it away

    def _begin(self) -> None:
        self._sessions.begin(self._session_id, kind=PROCESS, ttl_s=self._ttl_s)
