"""From the writer's thread to those who wait in the event loop: something was committed."""

from __future__ import annotations

import asyncio
import threading

from stepwell.core.events import Event


class Commits:
    """Hands out futures that are done at the next commit. Made for one event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[asyncio.Future[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def next(self) -> asyncio.Future[None]:
        """Return a future for the next commit. Call it before looking, so that none is missed."""
        self._loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = self._loop.create_future()
        with self._lock:
            self._waiting = [other for other in self._waiting if not other.done()]
            self._waiting.append(future)
        return future

    def happened(self, events: list[Event]) -> None:
        """Wake everyone. From any thread."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        if not waiting or self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(_wake, waiting)
        except RuntimeError:
            pass  # the loop is closed: the server is stopping, and nobody waits any more


def _wake(waiting: list[asyncio.Future[None]]) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(None)
