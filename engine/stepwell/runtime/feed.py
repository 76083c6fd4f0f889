"""Committed events, in memory, for those who wait for the next one.

The journal in the database is the truth; this is the last stretch of it, so that a waiting
client costs no query. Events arrive on the writer's thread, after their commit.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from stepwell.core.events import Event

KEPT = 20_000  # events; a client that is further behind reads the database


class Feed:
    """A ring of the newest events. Thread-safe."""

    def __init__(self, last_seq: int) -> None:
        self._ring: deque[Event] = deque(maxlen=KEPT)
        self._lock = threading.Lock()
        self._last = last_seq
        self._floor = last_seq  # every event after this one is in the ring
        self._listeners: list[Callable[[list[Event]], None]] = []

    @property
    def last_seq(self) -> int:
        return self._last

    def publish(self, events: list[Event]) -> None:
        with self._lock:
            for event in events:
                if len(self._ring) == KEPT:
                    self._floor = self._ring[0].seq
                self._ring.append(event)
            if events:
                self._last = events[-1].seq
            listeners = list(self._listeners)
        for wake in listeners:
            wake(events)

    def listen(self, wake: Callable[[list[Event]], None]) -> None:
        """Call `wake` with the events of each commit, on the writer's thread; it must be quick."""
        with self._lock:
            self._listeners.append(wake)

    def after(self, seq: int, limit: int, run: str | None = None, kind: str | None = None) -> list[Event] | None:
        """Return up to `limit` events after `seq`, or None when the ring no longer reaches back to it."""
        with self._lock:
            if seq < self._floor:
                return None
            found: list[Event] = []
            for event in reversed(self._ring):
                if event.seq <= seq:
                    break
                if run in (None, event.run) and kind in (None, event.kind):
                    found.append(event)
        found.reverse()
        return found[:limit]
