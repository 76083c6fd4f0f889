"""From ready steps to processes and back: placing, launching, adopting, noticing the end.

Every method runs on the loop's thread unless it says otherwise. What an end means for a run is
not decided here: it is handed to `collected`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from stepwell.core import allocator
from stepwell.core.allocator import Holding, Placement, Pool, Request
from stepwell.core.events import EventKind
from stepwell.core.states import AttemptState, StepState
from stepwell.errors import StepwellError
from stepwell.ids import new_id, now_us
from stepwell.runtime.active import LiveRun, LiveStep
from stepwell.runtime.attempts import GRACE_S, Order
from stepwell.runtime.context import Context
from stepwell.runtime.exits import Exits
from stepwell.runtime.loop import Loop
from stepwell.runtime.results import Result, collect
from stepwell.runtime.signals import leave_word
from stepwell.runtime.tracking import Tracking
from stepwell.runtime.variables import Place

FINALIZING_SEEN_S = 0.1  # below that a state of its own would cost a commit and tell nobody anything
Collected = Callable[[LiveRun, LiveStep, str, Result], None]


class Dispatch:
    def __init__(self, context: Context, loop: Loop, tracking: Tracking, collected: Collected) -> None:
        self._context = context
        self._loop = loop
        self._tracking = tracking
        self._collected = collected
        self._exits = Exits(lambda attempt: loop.post(partial(self.exited, attempt)))
        self._attempts: dict[str, tuple[LiveRun, LiveStep]] = {}
        self._ready: dict[str, tuple[LiveRun, LiveStep]] = {}  # step run id -> ready to run, in order
        self._dirty = False

    # --- placing -------------------------------------------------------------------------------

    def ready(self, run: LiveRun, step: LiveStep) -> None:
        """Queue a step that may run now (or at its `not_before`)."""
        self._ready[step.id] = (run, step)
        self._dirty = True

    def drop(self, step: LiveStep) -> None:
        """Take a step out of the queue."""
        self._ready.pop(step.id, None)

    def look_again(self) -> None:
        self._dirty = True

    def holdings(self) -> list[Holding]:
        return [step.holding for _, step in self._attempts.values() if step.holding is not None]

    def place(self) -> None:
        """Give what is free to what is ready, and launch it."""
        if not self._dirty:
            return
        self._dirty = False
        now = time.monotonic()
        due = [(run, step) for run, step in self._ready.values() if step.not_before <= now]
        if not due:
            return
        pools: dict[str, Pool] = {}
        requests = []
        for run, step in due:
            name = run.pool_name(step)
            pools[name] = run.pool(step)
            requests.append(Request(step.id, name, step.spec.resources, step.bypassed))
        allocation = allocator.allocate(requests, pools, self._context.machine, self.holdings())
        for step_id, reason in allocation.waiting.items():
            step = self._ready[step_id][1]
            step.waits = reason
            step.bypassed += allocation.overtaken.get(step_id, 0)
        for placement in allocation.placements:
            run, step = self._ready.pop(placement.id)
            self._launch(run, step, placement)

    # --- launching -----------------------------------------------------------------------------

    def _launch(self, run: LiveRun, step: LiveStep, placement: Placement) -> None:
        now = now_us()
        attempt = step.attempt = new_id(now)
        step.waits = None
        step.holding = Holding(step.id, placement.pool, placement.cpus, placement.memory_mib, placement.gpus)
        self._attempts[attempt] = (run, step)
        held = {"pool": placement.pool, "cpus": placement.cpus, "memory_mib": placement.memory_mib}
        prepared = {
            "id": attempt,
            "number": len(step.tries) + 1,
            "folder": f"attempts/{attempt}",
            "placement": {**held, "gpus": list(placement.gpus)},
        }
        self._loop.emit(
            run.move(step, StepState.PREPARING, step.reason, now),
            run.event(EventKind.ATTEMPT_PREPARED, now, prepared, step),
        )
        self._loop.beside_commit(partial(self._start, self._order(run, step, attempt)))

    def _order(self, run: LiveRun, step: LiveStep, attempt: str) -> Order:
        assert run.prepared is not None
        place = Place(
            home=self._context.home.root,
            workspace=run.workspace,
            workspace_id=run.workspace_id,
            experiment=run.experiment,
            run=run.id,
            run_number=run.number,
            step_run=step.id,
            attempt_folder=self._context.home.attempt(attempt),
        )
        return Order(
            attempt=attempt,
            step=step.spec,
            pipeline=run.spec,
            parameters=run.parameters,
            client=run.client,
            source=run.prepared.frozen.sources.get(step.spec.source_directory or ""),
            inputs=run.input_digests(step),
            place=place,
        )

    def _start(self, order: Order, committed: Callable[[], object]) -> None:
        """On a worker: make the folder while the attempt is committed, and only then ask the launcher."""
        try:
            folder = self._context.attempts.prepare(order)
            committed()
            reply = self._context.launcher.launch(folder)
        except (StepwellError, OSError) as error:
            self._loop.post(partial(self._not_launched, order.attempt, str(error)))
            return
        if not reply.get("ok"):
            self._loop.post(partial(self._not_launched, order.attempt, str(reply.get("error"))))
            return
        self._loop.post(partial(self.running, order.attempt, reply.get("pid"), reply.get("started_us") or now_us()))
        self._exits.watch(order.attempt, int(reply["shim_pid"]))

    def running(self, attempt: str, pid: int | None, started_us: int) -> None:
        run, step = self._attempts[attempt]
        self._loop.emit(
            run.event(
                EventKind.ATTEMPT_STARTED,
                started_us,
                {"id": attempt, "pid": pid, "started_us": started_us},
                step,
            ),
            run.move(step, StepState.RUNNING, step.reason, started_us),
        )
        self._tracking.follow(attempt, run, step, {})
        if step.cancel_reason is not None:
            self.end(step, step.cancel_reason)

    def _not_launched(self, attempt: str, message: str) -> None:
        self._done(attempt, Result(AttemptState.NEVER_STARTED, message, {}))

    # --- adopting ------------------------------------------------------------------------------

    def adopt(self, run: LiveRun, step: LiveStep, attempt: str, positions: Mapping[str, int]) -> None:
        """An attempt that an earlier daemon launched is ours again, with what it holds."""
        step.attempt = attempt
        resources = step.spec.resources
        step.holding = Holding(step.id, run.pool_name(step), resources.cpus, resources.memory_mib, ())
        self._attempts[attempt] = (run, step)
        self._tracking.follow(attempt, run, step, positions)

    def watch(self, attempt: str, shim_pid: int) -> None:
        self._exits.watch(attempt, shim_pid)

    # --- ending --------------------------------------------------------------------------------

    def end(self, step: LiveStep, reason: str) -> None:
        """Ask a running step's shim to end it."""
        if step.attempt is not None:
            self._loop.after_commit(partial(self._ask_to_end, step.attempt, reason))

    def _ask_to_end(self, attempt: str, reason: str) -> None:
        """On a worker. A step may have removed its own folder: then there is only the signal."""
        with suppress(OSError):
            leave_word(os.fspath(self._context.home.attempt(attempt)), reason, GRACE_S)
        while not self._exits.signal(attempt, signal.SIGTERM) and attempt in self._attempts:
            time.sleep(0.01)  # it runs, and whoever launched it is about to have it watched

    def exited(self, attempt: str) -> None:
        """The shim is gone."""
        run, step = self._attempts[attempt]
        if step.state is StepState.PREPARING:  # it ended while no daemon was there to hear that it started
            self._loop.emit(run.move(step, StepState.RUNNING, step.reason, now_us()))
        self._loop.after_commit(partial(self._collect, attempt, step, run.input_digests(step)))
        self._loop.later(FINALIZING_SEEN_S, partial(self._finalizing, attempt))

    def _finalizing(self, attempt: str) -> None:
        """Storing what it made takes long enough to be told of."""
        run, step = self._attempts.get(attempt, (None, None))
        if run is not None and step is not None and step.state is StepState.RUNNING:
            self._loop.emit(run.move(step, StepState.FINALIZING, step.reason, now_us()))

    def _collect(self, attempt: str, step: LiveStep, inputs: Mapping[str, str]) -> None:
        """On a worker."""
        folder = self._context.home.attempt(attempt)
        try:
            result = collect(step.spec, folder, self._context.store, inputs)
        except (StepwellError, OSError) as error:
            result = Result(AttemptState.FAILED, f"its outputs could not be stored: {error}", {})
        self._loop.post(partial(self._done, attempt, result))

    def _done(self, attempt: str, result: Result) -> None:
        run, step = self._attempts.pop(attempt)
        self._tracking.finish(attempt)
        if step.state is StepState.RUNNING:
            self._loop.emit(run.move(step, StepState.FINALIZING, step.reason, now_us()))
        step.holding = None
        step.attempt = None
        self._dirty = True
        self._collected(run, step, attempt, result)

    def close(self) -> None:
        self._exits.close()
