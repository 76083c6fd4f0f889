"""Waiting for shims to end, ours or adopted, through pidfds.

One thread polls all of them. A pidfd becomes readable when its process ends, also for a process
that is not our child; the attempt's lock, not the pidfd, decides what that means.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable
from contextlib import suppress


class Exits:
    """Calls `ended(attempt_id)` once for each watched process that ends, on its own thread."""

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._ended = ended
        self._poll = select.epoll()
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._poll.register(self._wake_read, select.EPOLLIN)
        self._watched: dict[int, str] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="exits", daemon=True)
        self._thread.start()

    def watch(self, attempt: str, pid: int) -> None:
        """Watch process `pid`. One that is already gone is reported at once."""
        try:
            handle = os.pidfd_open(pid)
        except OSError:  # gone and reaped before we looked
            self._ended(attempt)
            return
        with self._lock:
            self._watched[handle] = attempt
        self._poll.register(handle, select.EPOLLIN | select.EPOLLONESHOT)

    def signal(self, attempt: str, number: signal.Signals) -> bool:
        """Signal the process of a watched attempt; False where it is not watched (yet, or any more).

        Through its pidfd, so a recycled pid is never hit.
        """
        with self._lock:
            for handle, watched in self._watched.items():
                if watched == attempt:
                    with suppress(ProcessLookupError):  # it went in between
                        signal.pidfd_send_signal(handle, number)
                    return True
        return False

    def close(self) -> None:
        os.write(self._wake_write, b"x")
        self._thread.join()
        for handle in (*self._watched, self._wake_read, self._wake_write):
            os.close(handle)
        self._poll.close()

    def _run(self) -> None:
        while True:
            for handle, _ in self._poll.poll():
                if handle == self._wake_read:
                    return
                with self._lock:
                    attempt = self._watched.pop(handle)
                self._poll.unregister(handle)
                os.close(handle)
                self._ended(attempt)
