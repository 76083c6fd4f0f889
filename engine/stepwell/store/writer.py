"""The one thread that writes. Whatever is waiting goes into one transaction; events leave after it.

    emit, decide -> queue -> BEGIN IMMEDIATE, each request in a savepoint, COMMIT -> on_commit -> futures

A request that fails is taken back and told so; the others of its batch are committed. A commit
that fails fails all of them. A future is done only once its events are in the database and
`on_commit` has had them, so whoever waited for one finds its events wherever he looks.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import NamedTuple

from stepwell.core.events import Event
from stepwell.errors import MachineError
from stepwell.store import diagnosis, journal
from stepwell.store.database import Database

BATCH_MAX = 512  # requests in one transaction: the first must not wait for ever
Decide = Callable[[sqlite3.Connection], Sequence[Event]]


class _Request(NamedTuple):
    decide: Decide
    answer: Future[list[Event]]


# A checkpoint inside a commit costs an fsync (30 ms and more) that a step then waits for. The daemon
# makes one in the background after commits; this is for when it does not get to it.
CHECKPOINT_PAGES = 25_000


class Writer:
    """Writes events. From any thread; nothing here blocks but `close`."""

    def __init__(self, database: Database, on_commit: Callable[[list[Event]], None]) -> None:
        """`on_commit` is called on the writer's thread with the events of each commit, in order."""
        self._path = database.path
        self._on_commit = on_commit
        self._connection = database.connect()
        self._connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        self._inbox: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def emit(self, *events: Event) -> Future[list[Event]]:
        """Write down what happened. The future has the events with their `seq`, once they are committed.

        All of them are written or none. No events at all is a question too: it is answered once
        everything that was asked for before is committed.
        """
        return self.decide(lambda _: events)

    def decide(self, decide: Decide) -> Future[list[Event]]:
        """Write down the events that `decide` returns, which reads inside the same transaction.

        `decide` runs on the writer's thread and must be quick. What it raises, the future raises.
        """
        answer: Future[list[Event]] = Future()
        with self._lock:
            if self._closed:
                raise MachineError("the daemon is stopping", hint="again in a moment", code="stopping")
            self._inbox.put(_Request(decide, answer))
        return answer

    def close(self) -> None:
        """Write what is waiting, end the thread, fold the log into the database. Twice is harmless."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._inbox.put(None)
        self._thread.join()
        self._connection.execute("PRAGMA optimize")
        self._connection.execute("PRAGMA busy_timeout = 200")  # a late reader must not hold up the end
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()

    def _run(self) -> None:
        going_on = True
        while going_on:
            batch: list[_Request] = []
            request = self._inbox.get()
            while request is not None:
                batch.append(request)
                if len(batch) == BATCH_MAX or self._inbox.empty():
                    break
                request = self._inbox.get()
            going_on = request is not None
            if batch:
                self._write(batch)

    def _write(self, batch: Sequence[_Request]) -> None:
        """Commit a batch and answer it. Whatever goes wrong is answered too: this thread goes on."""
        connection = self._connection
        batch = [request for request in batch if request.answer.set_running_or_notify_cancel()]
        done: list[tuple[Future[list[Event]], list[Event]]] = []
        failed: list[tuple[Future[list[Event]], BaseException]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for request in batch:
                try:
                    done.append((request.answer, self._one(request.decide)))
                except Exception as error:  # told to whoever asked; the others go on
                    if not connection.in_transaction:
                        raise  # SQLite itself took everything back: a full disk, a failing one
                    failed.append((request.answer, self._explained(error)))
            connection.execute("COMMIT")
            committed = [event for _, events in done for event in events]
            if committed:
                self._on_commit(committed)
        except Exception as error:  # noqa: BLE001  told to all who asked
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            told = self._explained(error)
            done, failed = [], [(request.answer, told) for request in batch]
        for answer, events in done:
            answer.set_result(events)
        for answer, reason in failed:
            answer.set_exception(reason)

    def _one(self, decide: Decide) -> list[Event]:
        """Run one request. A failing one leaves nothing behind."""
        self._connection.execute("SAVEPOINT request")
        try:
            events = journal.append(self._connection, decide(self._connection))
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK TO request")
                self._connection.execute("RELEASE request")
            raise
        self._connection.execute("RELEASE request")
        return events

    def _explained(self, error: Exception) -> Exception:
        """Return the error that the caller gets: one with a next step where the machine is at fault."""
        if isinstance(error, sqlite3.Error):
            told = diagnosis.explain(error, self._path)
            if told is not None:
                told.__cause__ = error
                return told
        return error
