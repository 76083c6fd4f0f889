"""The one thread that writes. Whatever is waiting goes into one transaction; events leave after it.

Each request runs in a savepoint of its own: one that fails is undone and told so, and the others
of its batch are committed. Only a failing commit fails them all.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from stepwell.core.events import Event
from stepwell.errors import MachineError
from stepwell.store import journal
from stepwell.store.database import Database

Decide = Callable[[sqlite3.Connection], Sequence[Event]]
BATCH = 256


class Writer:
    """`emit` and `decide` return at once; their futures are done after the commit. From any thread."""

    def __init__(self, database: Database, on_commit: Callable[[list[Event]], None]) -> None:
        self._on_commit = on_commit
        self._connection = database.connect()
        self._inbox: queue.SimpleQueue[tuple[Decide, Future[list[Event]]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def emit(self, *events: Event) -> Future[list[Event]]:
        """Write events down and apply them. The future has them with their `seq`."""
        return self.decide(lambda _: events)

    def decide(self, function: Decide) -> Future[list[Event]]:
        """Write down the events that `function` returns after reading inside the same transaction."""
        answer: Future[list[Event]] = Future()
        self._inbox.put((function, answer))
        return answer

    def close(self) -> None:
        """Write what is waiting, then end the thread and close the connection."""
        self._inbox.put(None)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        going_on = True
        while going_on:
            batch: list[tuple[Decide, Future[list[Event]]]] = []
            request = self._inbox.get()
            while request is not None:
                batch.append(request)
                if len(batch) == BATCH:
                    break
                try:
                    request = self._inbox.get_nowait()
                except queue.Empty:
                    break
            going_on = request is not None
            if batch:
                self._write(batch)

    def _write(self, batch: list[tuple[Decide, Future[list[Event]]]]) -> None:
        done: list[tuple[Future[list[Event]], list[Event]]] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for function, answer in batch:
                events = self._one(function, answer)
                if events is not None:
                    done.append((answer, events))
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            failure = MachineError(f"the database cannot be written: {error}", code="database_write")
            failure.__cause__ = error
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(failure)
            return
        committed = [event for _, events in done for event in events]
        if committed:
            self._on_commit(committed)
        for answer, events in done:
            answer.set_result(events)

    def _one(self, function: Decide, answer: Future[list[Event]]) -> list[Event] | None:
        self._connection.execute("SAVEPOINT request")
        try:
            events = journal.append(self._connection, list(function(self._connection)))
        except Exception as error:  # the caller's to hear; the other requests go on
            if not self._connection.in_transaction:
                raise  # SQLite itself gave the transaction up (disk full): all of the batch is lost
            self._connection.execute("ROLLBACK TO request")
            self._connection.execute("RELEASE request")
            answer.set_exception(error)
            return None
        self._connection.execute("RELEASE request")
        return events
