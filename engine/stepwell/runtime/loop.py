"""The one thread that decides: messages in, events out, work done elsewhere.

A message is a function called on this thread, so nothing it touches needs a lock. Whatever it
says happened goes into `emit`; whatever must be done because of it goes into `after_commit`, and
is done on a worker once the events are in the database, or into `beside_commit`, and waits for the
commit itself at the point that matters. Work reports back with `post`.

If a commit fails (a full disk) memory and database disagree, and the only safe thing is to stop:
steps go on under their shims, the launcher brings the daemon back, and it reads the rows.
"""

from __future__ import annotations

import heapq
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from stepwell.core.events import Event
from stepwell.store.writer import Writer

log = logging.getLogger("stepwell.loop")
Message = Callable[[], object]


class Loop:
    """A thread with an inbox. `settle` runs after each batch of messages, before events leave."""

    def __init__(self, writer: Writer, workers: ThreadPoolExecutor, broken: Callable[[BaseException], None]) -> None:
        self._writer = writer
        self._workers = workers
        self._broken = broken
        self._inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._timers: list[tuple[float, int, Message]] = []
        self._timer_count = 0
        self._outbox: list[Event] = []
        self._jobs: list[Message] = []
        self._beside: list[Callable[[Callable[[], object]], object]] = []
        self.settle: Message = lambda: None
        self._thread = threading.Thread(target=self._run, name="loop", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def post(self, message: Message) -> None:
        """Have `message` called on the loop's thread, soon. From any thread."""
        self._inbox.put(message)

    def later(self, delay_s: float, message: Message) -> None:
        """Have `message` called after `delay_s` seconds. Only from the loop's thread."""
        self._timer_count += 1
        heapq.heappush(self._timers, (time.monotonic() + delay_s, self._timer_count, message))

    def emit(self, *events: Event) -> None:
        """Say what happened. Only from the loop's thread."""
        self._outbox.extend(events)

    def after_commit(self, job: Message) -> None:
        """Have `job` done on a worker once everything emitted so far is committed."""
        self._jobs.append(job)

    def beside_commit(self, job: Callable[[Callable[[], object]], object]) -> None:
        """Have `job(committed)` done on a worker at once; `committed()` returns after the commit."""
        self._beside.append(job)

    def call(self, function: Callable[[], object], timeout_s: float = 30.0) -> object:
        """Call `function` on the loop's thread and return what it returns. From any other thread."""
        answer: Future[object] = Future()

        def message() -> None:
            try:
                answer.set_result(function())
            except BaseException as error:  # noqa: BLE001  handed to the caller, who raises it
                answer.set_exception(error)

        self.post(message)
        return answer.result(timeout_s)

    def stop(self) -> None:
        """Finish the messages that are waiting, then end the thread."""
        self._inbox.put(None)
        self._thread.join(timeout=30)

    def _run(self) -> None:
        try:
            while self._step():
                pass
        except BaseException as error:
            log.exception("the loop failed")
            self._broken(error)

    def _step(self) -> bool:
        messages = self._next()
        for message in messages:
            if message is None:
                self._flush()
                return False
            message()
        self.settle()
        self._flush()
        return True

    def _next(self) -> list[Message | None]:
        """Wait for a message or a timer; take whatever else has come."""
        wait = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
        messages: list[Message | None] = []
        try:
            messages.append(self._inbox.get(timeout=wait))
            while True:
                messages.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            messages.append(heapq.heappop(self._timers)[2])
        return messages

    def _flush(self) -> None:
        events, self._outbox = self._outbox, []
        jobs, self._jobs = self._jobs, []
        beside, self._beside = self._beside, []
        if not events:
            for work in beside:
                self._workers.submit(self._do, partial(work, _at_once))
            for job in jobs:
                self._workers.submit(self._do, job)
            return

        def committed(done: Future[list[Event]]) -> None:
            error = done.exception()
            if error is not None:
                self._broken(error)
                return
            for job in jobs:
                self._workers.submit(self._do, job)

        commit = self._writer.emit(*events)
        for work in beside:
            self._workers.submit(self._do, partial(work, commit.result))
        commit.add_done_callback(committed)

    def _do(self, job: Message) -> None:
        try:
            job()
        except BaseException as error:
            log.exception("a job failed")
            self._broken(error)


def _at_once() -> None:
    """There was nothing to commit."""
