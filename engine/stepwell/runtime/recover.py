"""Coming back: every run that has not ended is built again from its rows, every attempt is settled.

For each attempt that the rows call live, the lock in its folder decides:

    held                      the shim lives: adopt it
    free, exit.json           it ended while nobody looked: finish as it says
    free, no exit.json        take the lock, so that nobody can launch it any more; then
        no started.json       it never started: that costs no try
        started.json          Lost: end what is left of its group
"""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial

from stepwell.core.graph import Graph
from stepwell.core.spec import PipelineSpec
from stepwell.core.states import STEP_TERMINAL, AttemptState, StepState
from stepwell.ids import now_us
from stepwell.runtime.active import LiveRun, LiveStep
from stepwell.runtime.catalog import Catalog
from stepwell.runtime.context import Context
from stepwell.runtime.loop import Loop
from stepwell.runtime.preparation import Frozen, Prepared
from stepwell.runtime.scheduler import Scheduler
from stepwell.runtime.signals import kill_group, shim_alive
from stepwell.store import queries
from stepwell.store.records import AttemptRecord, OutputRecord, RunRecord, StepRecord
from stepwell_step import attempt as protocol

log = logging.getLogger("stepwell.recover")


class Recovery:
    """Used once, before the server answers. Posts what it finds to the loop."""

    def __init__(self, context: Context, catalog: Catalog, scheduler: Scheduler, loop: Loop) -> None:
        self._context = context
        self._catalog = catalog
        self._scheduler = scheduler
        self._loop = loop

    def run(self) -> int:
        """Bring back every unfinished run; return how many there were."""
        with self._context.database.read() as connection:
            records = queries.unfinished_runs(connection)
        for record in records:
            try:
                self._bring_back(record)
            except Exception as error:  # one broken run must not keep the others from going on
                log.exception("run %s cannot be brought back", record.id)
                self._loop.post(partial(self._scheduler.abandon, record.id, f"it could not be brought back: {error!r}"))
        return len(records)

    def _bring_back(self, record: RunRecord) -> None:
        spec = PipelineSpec.from_wire(record.spec)
        run = LiveRun(
            id=record.id,
            number=record.number,
            workspace_id=record.workspace_id,
            workspace=record.workspace_name,
            experiment=record.experiment,
            spec=spec,
            graph=Graph.of(spec.steps),
            parameters=record.parameters,
            client=record.client,
            options=record.options,
            pools=self._catalog.pools(record.workspace_id),
            cancel_asked=record.cancel_asked,
            cancel_reason=record.cancel_reason,
            stop=record.cancel_reason if record.cancel_asked else None,
        )
        with self._context.database.read() as connection:
            rows = queries.steps(connection, record.id)
            attempts = {row.id: queries.attempts(connection, row.id) for row in rows}
            outputs = {row.id: queries.outputs(connection, row.reused_from or row.id) for row in rows}
        if record.snapshots is None or not rows:
            self._loop.post(partial(self._scheduler.submitted, run))
            return
        frozen = Frozen.from_wire(record.snapshots)
        prepare = self._context.preparation.prepare
        run.prepared = prepare(spec, run.parameters, run.client, keep=True, frozen=frozen)
        self._rebuild(run, run.prepared, rows, attempts, outputs)
        self._loop.post(partial(self._resume, run, attempts))

    def _rebuild(
        self,
        run: LiveRun,
        prepared: Prepared,
        rows: list[StepRecord],
        attempts: dict[str, list[AttemptRecord]],
        outputs: dict[str, list[OutputRecord]],
    ) -> None:
        by_key = {row.key: row for row in rows}
        steps = []
        for spec in run.spec.steps:
            row = by_key[spec.key]
            step = LiveStep(spec, row.id, prepared.recipes[spec.key], StepState(row.state))
            step.forced = run.forced_reason(spec.key)
            step.fingerprint = row.fingerprint
            step.reason = row.reason or ""
            step.tries = [state for state in (AttemptState(a.state) for a in attempts[row.id]) if _over(state)]
            if step.state is StepState.FINISHED:
                step.outputs = {output.name: output.digest for output in outputs[row.id]}
            if step.state in (StepState.FAILED, StepState.LOST) and not run.continue_on_failure:
                run.stop = run.stop or f"{spec.key!r} failed"
            steps.append(step)
        run.adopt_steps(steps)

    def _resume(self, run: LiveRun, attempts: dict[str, list[AttemptRecord]]) -> None:
        """On the loop's thread."""
        self._scheduler.runs[run.id] = run
        for step in run.steps.values():
            if step.state in STEP_TERMINAL or step.state is StepState.NOT_STARTED:
                continue
            live = [item for item in attempts[step.id] if not _over(AttemptState(item.state))]
            if live:
                self._settle(run, step, live[-1])
            else:
                self._scheduler.requeue(run, step)
        if run.stop is not None:
            self._scheduler.stop_others(run, run.cancel_reason or f"because {run.stop}")
        self._scheduler.decide(run, list(run.steps))
        self._scheduler.maybe_ended(run)

    def _settle(self, run: LiveRun, step: LiveStep, attempt: AttemptRecord) -> None:
        folder = str(self._context.home.attempt(attempt.id))
        shim = shim_alive(folder)
        with self._context.database.read() as connection:
            positions = queries.cursors(connection, attempt.id)
        dispatch = self._scheduler.dispatch
        dispatch.adopt(run, step, attempt.id, positions)
        self._scheduler.own(run, step)
        if shim is not None:
            if step.state is StepState.PREPARING:
                started = protocol.started_record(folder) or {}
                dispatch.running(attempt.id, started.get("pid"), started.get("started_us") or now_us())
            dispatch.watch(attempt.id, shim)
            return
        if protocol.exit_record(folder) is None:
            with suppress(FileNotFoundError):  # the step removed its own folder: it is Lost
                _never_again(folder)
        dispatch.exited(attempt.id)


def _never_again(folder: str) -> None:
    """Make sure that nobody launches the attempt any more, and end what may be left of it."""
    lock = protocol.Lock(folder)
    if not lock.acquire():
        return  # somebody launched it just now: its own end will be seen
    try:
        if protocol.started_record(folder) is None:
            protocol.write_never_started(folder, "the daemon ended before it was launched")
        else:
            kill_group(folder)
    finally:
        lock.release()


def _over(state: AttemptState) -> bool:
    return state not in (AttemptState.PREPARED, AttemptState.RUNNING)
