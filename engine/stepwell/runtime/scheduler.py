"""From submissions to ends: what is planned, reused, queued, given up and settled, for all live runs.

Every method runs on the loop's thread unless it says otherwise. Read it from `submitted` down: a
run is prepared, planned, its ready steps go to `Dispatch`, and each end settles what is below.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from stepwell.core import retries
from stepwell.core.events import Event, EventKind
from stepwell.core.manifest import with_inputs
from stepwell.core.planner import Action, Entry, PlanFacts, Verdict, plan
from stepwell.core.states import STEP_TERMINAL, AttemptState, RunState, StepState
from stepwell.errors import StepwellError
from stepwell.ids import new_id, now_us
from stepwell.runtime.active import LiveRun, LiveStep
from stepwell.runtime.context import Context
from stepwell.runtime.dispatch import Dispatch
from stepwell.runtime.loop import Loop
from stepwell.runtime.preparation import Frozen, Prepared
from stepwell.runtime.results import Result
from stepwell.runtime.retention import Retention
from stepwell.runtime.tracking import Tracking

_STATE_AFTER = {
    AttemptState.FINISHED: StepState.FINISHED,
    AttemptState.CANCELED: StepState.CANCELED,
    AttemptState.LOST: StepState.LOST,
}


class Scheduler:
    def __init__(self, context: Context, loop: Loop) -> None:
        self._context = context
        self._loop = loop
        self.tracking = Tracking(context, loop, self.cancel)
        self._retention = Retention(context.home, context.database)
        self.dispatch = Dispatch(context, loop, self.tracking, self._collected)
        self.runs: dict[str, LiveRun] = {}
        self._owners: dict[str, tuple[LiveRun, LiveStep]] = {}  # fingerprint -> who makes it
        self._waiters: dict[str, list[tuple[LiveRun, str]]] = {}
        loop.settle = self._settle

    # --- a run comes in ------------------------------------------------------------------------

    def submitted(self, run: LiveRun) -> None:
        """A run was committed: freeze its sources on a worker, then plan it."""
        run.inside = self._around(str(run.client.get("inside") or ""))
        self.runs[run.id] = run
        self._loop.after_commit(partial(self._prepare, run, None))

    def _around(self, step_run: str) -> frozenset[str]:
        """Return the fingerprints of a step and of those it was started from in turn."""
        for run in self.runs.values():
            for step in run.steps.values():
                if step.id == step_run and step.fingerprint is not None:
                    return run.inside | {step.fingerprint}
        return frozenset()

    def _prepare(self, run: LiveRun, frozen: Frozen | None) -> None:
        """On a worker."""
        try:
            prepared = self._context.preparation.prepare(run.spec, run.parameters, run.client, keep=True, frozen=frozen)
        except (StepwellError, OSError) as error:
            self._loop.post(partial(self._unpreparable, run, error))
            return
        self._loop.post(partial(self._planned, run, prepared))

    def _unpreparable(self, run: LiveRun, error: StepwellError | OSError) -> None:
        body = error.to_wire() if isinstance(error, StepwellError) else {"kind": "machine", "message": str(error)}
        self._loop.emit(run.event(EventKind.RUN_ENDED, now_us(), {"state": str(RunState.FAILED), "error": body}))
        self._forget(run)

    def _planned(self, run: LiveRun, prepared: Prepared) -> None:
        """The sources are frozen: take a verdict on every step, and write all rows at once."""
        run.prepared = prepared
        now = now_us()
        run.adopt_steps(
            LiveStep(spec, new_id(now), prepared.recipes[spec.key], forced=run.forced_reason(spec.key))
            for spec in run.spec.steps
        )
        self._loop.emit(run.event(EventKind.RUN_PLANNED, now, {"snapshots": prepared.frozen.to_wire()}))
        self._loop.emit(*(run.event(EventKind.WARNING, now, {"text": text}) for text in prepared.warnings))
        verdicts = {} if run.cancel_asked else plan(self._facts(run))
        for position, spec in enumerate(run.spec.steps):
            step = run.steps[spec.key]
            body = self._row(run, step, verdicts.get(spec.key))
            self._loop.emit(run.event(EventKind.STEP_PLANNED, now, {**body, "position": position}, step))
        self._apply(run, {key: verdict for key, verdict in verdicts.items() if verdict.action is not Action.REUSE})
        self.maybe_ended(run)

    def _row(self, run: LiveRun, step: LiveStep, verdict: Verdict | None) -> dict[str, Any]:
        """Return the fields of a step's first row; a reused step is born finished."""
        spec = step.spec
        body: dict[str, Any] = {
            "key": spec.key,
            "name": spec.name,
            "kind": spec.kind,
            "compute_target": spec.compute_target or "local",
            "upstream": sorted(spec.depends_on()),
            "recipe": step.recipe.digest,
            "reason": verdict.reason if verdict else run.cancel_reason or "",
        }
        if verdict is None:
            step.state = StepState.CANCELED
        elif verdict.action is Action.REUSE:
            assert verdict.entry is not None
            step.state = StepState.FINISHED
            body |= {
                "fingerprint": verdict.fingerprint,
                "verdict": "reuse",
                "reused_from": verdict.entry.step_run,
            }
            step.fingerprint, step.outputs = verdict.fingerprint, verdict.entry.outputs
        run.refresh(step)
        return {**body, "state": str(step.state)}

    # --- verdicts ------------------------------------------------------------------------------

    def in_flight(self) -> dict[str, str]:
        """Return who makes what at this moment: fingerprint -> "run 7 step 'train'"."""
        return {digest: run.label(step) for digest, (run, step) in self._owners.items()}

    def _facts(self, run: LiveRun) -> PlanFacts:
        return run.plan_facts(self.in_flight(), self._context.preparation.previous(run.workspace_id), now_us())

    def decide(self, run: LiveRun, keys: Iterable[str]) -> None:
        """Take a verdict on steps that have not started, and on those below whatever that settles."""
        pending = list(keys)
        while pending:
            undecided = [key for key in pending if run.steps[key].state is StepState.NOT_STARTED]
            if not undecided:
                return
            verdicts = plan(self._facts(run), undecided)
            settled = self._apply(run, verdicts)
            pending = [below for key in settled for below in run.graph.downstream[key] if below not in verdicts]

    def _apply(self, run: LiveRun, verdicts: Mapping[str, Verdict]) -> list[str]:
        """Act on verdicts; return the keys of the steps that are settled by them (reused or skipped)."""
        settled: list[str] = []
        for key, verdict in verdicts.items():
            step = run.steps[key]
            step.waits = None
            if verdict.fingerprint in run.inside and verdict.action in (Action.RUN, Action.WAIT):
                self._refuse_itself(run, step)
            elif verdict.action is Action.RUN:
                self._queue(run, step, verdict)
            elif verdict.action is Action.REUSE:
                self._reuse(run, step, verdict)
                settled.append(key)
            elif verdict.action is Action.SKIP:
                self._loop.emit(run.move(step, StepState.SKIPPED, verdict.reason, now_us()))
                settled.append(key)
            else:
                step.waits = verdict.reason
                if verdict.fingerprint is not None:
                    self._waiters.setdefault(verdict.fingerprint, []).append((run, key))
        return settled

    def _refuse_itself(self, run: LiveRun, step: LiveStep) -> None:
        """The run was started from inside this very step: it would wait for itself, or start itself for ever."""
        message = f"step {step.spec.key!r} starts a run of its own pipeline, which would start it again"
        self._loop.emit(run.move(step, StepState.FAILED, message, now_us(), error={"message": message}))
        self._settled(run, step)

    def _queue(self, run: LiveRun, step: LiveStep, verdict: Verdict) -> None:
        assert verdict.fingerprint is not None
        shared = step.spec.allow_reuse and step.forced is None
        if shared and verdict.fingerprint in self._owners:  # its twin was queued by the same plan
            self._apply(run, plan(self._facts(run), [step.spec.key]))
            return
        step.fingerprint = verdict.fingerprint
        self.own(run, step)
        manifest = with_inputs(step.recipe, run.input_digests(step))
        body = {
            "fingerprint": verdict.fingerprint,
            "recipe": step.recipe.digest,
            "manifest": manifest.to_wire(),
            "verdict": str(verdict.action),
            "reason": verdict.reason,
            "changed": [change.to_wire() for change in verdict.changed],
            "compared_with": verdict.compared_with,
            "reused_from": None,
        }
        now = now_us()
        self._loop.emit(
            run.event(EventKind.STEP_RESOLVED, now, body, step),
            run.move(step, StepState.QUEUED, verdict.reason, now),
        )
        self.dispatch.ready(run, step)

    def _reuse(self, run: LiveRun, step: LiveStep, verdict: Verdict) -> None:
        """Take an earlier result for a step that had to wait for its inputs."""
        assert verdict.entry is not None
        step.fingerprint = verdict.fingerprint
        step.outputs = verdict.entry.outputs
        body = {
            "fingerprint": verdict.fingerprint,
            "recipe": step.recipe.digest,
            "verdict": str(verdict.action),
            "reason": verdict.reason,
            "reused_from": verdict.entry.step_run,
        }
        now = now_us()
        self._loop.emit(
            run.event(EventKind.STEP_RESOLVED, now, body, step),
            run.move(step, StepState.FINISHED, verdict.reason, now),
        )

    def own(self, run: LiveRun, step: LiveStep) -> None:
        """From now on others that want the same work wait for this step."""
        if step.fingerprint is not None and step.spec.allow_reuse and step.forced is None:
            self._owners.setdefault(step.fingerprint, (run, step))

    def requeue(self, run: LiveRun, step: LiveStep) -> None:
        """A step that was queued, or whose attempt came to nothing, when an earlier daemon ended."""
        if step.state is not StepState.QUEUED:
            self._loop.emit(run.move(step, StepState.QUEUED, step.reason, now_us()))
        self.own(run, step)
        self.dispatch.ready(run, step)

    def _settle(self) -> None:
        """After each batch of messages: place what can be placed, say whether there is work."""
        self.dispatch.place()
        if self.runs:
            self._context.launcher.work(True)

    # --- an attempt ends -----------------------------------------------------------------------

    def _collected(self, run: LiveRun, step: LiveStep, attempt: str, result: Result) -> None:
        now = now_us()
        state = result.state
        if step.cancel_reason is not None and state is not AttemptState.FINISHED:
            state = AttemptState.CANCELED
        step.tries.append(state)
        ended = {name: result.exit.get(name) for name in ("exit_code", "signal", "cpu_s", "max_rss_mib", "duration_s")}
        ended |= {"id": attempt, "state": str(state), "message": result.message}
        self._loop.emit(run.event(EventKind.ATTEMPT_ENDED, result.exit.get("ended_us") or now, ended, step))
        self._loop.emit(*(run.event(EventKind.WARNING, now, {"text": text}, step) for text in result.warnings))
        if state is not AttemptState.CANCELED and self._try_again(run, step, state, result, now):
            return
        outputs = self._publish(run, step, result, now)
        if state is AttemptState.FINISHED:
            step.outputs = outputs
            if result.reusable:
                self._cache(run, step, outputs, now)
            self._loop.emit(run.move(step, StepState.FINISHED, step.reason, now, error={}))
        else:
            error = {"message": result.message, "exit_code": ended["exit_code"], "signal": ended["signal"]}
            reason = step.cancel_reason or result.message or ""
            target = _STATE_AFTER.get(state, StepState.FAILED)
            self._loop.emit(run.move(step, target, reason, now, error={**error, "outcome": str(state)}))
        self._settled(run, step)

    def _publish(self, run: LiveRun, step: LiveStep, result: Result, now: int) -> dict[str, str]:
        """Say what the step made; return output name -> artifact digest."""
        outputs: dict[str, str] = {}
        for name, artifact in result.artifacts:
            outputs[name] = artifact.digest
            common = {
                "digest": artifact.digest,
                "kind": artifact.kind,
                "files": artifact.files,
                "bytes": artifact.bytes,
            }
            stored = {**common, "objects": [list(item) for item in artifact.objects]}
            place = f"azureml/{step.id}/{name.removeprefix('./')}"
            self._loop.emit(
                run.event(EventKind.ARTIFACT_STORED, now, stored, step),
                run.event(EventKind.OUTPUT_PUBLISHED, now, {**common, "name": name, "datastore_path": place}, step),
            )
        return outputs

    def _cache(self, run: LiveRun, step: LiveStep, outputs: dict[str, str], now: int) -> None:
        """The step finished: its entry commits with it, and live runs see it at once."""
        if step.fingerprint is None:
            return
        body = {"fingerprint": step.fingerprint, "recipe": step.recipe.digest}
        self._loop.emit(run.event(EventKind.CACHE_STORED, now, body, step))
        entry = Entry(step.fingerprint, step.id, run.id, run.number, now, outputs)
        for live in self.runs.values():
            if live.prepared is not None:
                live.prepared.entries.add(entry)

    def _try_again(self, run: LiveRun, step: LiveStep, state: AttemptState, result: Result, now: int) -> bool:
        """Put the step back into the queue where the retry rule grants another try."""
        if run.stop is not None or state is AttemptState.FINISHED:
            return False
        again = retries.next_try(step.spec.retry, state, step.tries, random.random())
        if again is None:
            return False
        step.not_before = time.monotonic() + again.delay_s
        error = {"message": result.message, "outcome": str(state)}
        self._loop.emit(run.move(step, StepState.QUEUED, f"{again.note}: {result.message}", now, error=error))
        self.dispatch.ready(run, step)
        self._loop.later(again.delay_s, self.dispatch.look_again)
        return True

    def _settled(self, run: LiveRun, step: LiveStep) -> None:
        """A step reached its end: stop the run or go on below it, wake the waiters, maybe end the run."""
        key = step.spec.key
        if step.state in (StepState.FAILED, StepState.LOST) and not run.continue_on_failure and run.stop is None:
            run.stop = f"{key!r} {'failed' if step.state is StepState.FAILED else 'was lost'}"
            self.stop_others(run, f"because {run.stop}")
            self.decide(run, list(run.steps))
        else:
            self.decide(run, run.graph.downstream[key])
        self._release(step)
        self.maybe_ended(run)

    def _release(self, step: LiveStep) -> None:
        """Whoever waited for the same work is decided again."""
        owner = self._owners.get(step.fingerprint or "")
        if owner is None or owner[1] is not step or step.fingerprint is None:
            return
        del self._owners[step.fingerprint]
        for run, key in self._waiters.pop(step.fingerprint, []):
            if run.id in self.runs:
                self.decide(run, [key])
                self.maybe_ended(run)

    def maybe_ended(self, run: LiveRun) -> None:
        if run.ended and run.id in self.runs:
            self._loop.emit(run.event(EventKind.RUN_ENDED, now_us(), {"state": str(run.state), "error": None}))
            self._forget(run)

    def _forget(self, run: LiveRun) -> None:
        self.runs.pop(run.id, None)
        tried = {(step.spec.kind, step.spec.name) for step in run.steps.values() if step.tries}
        if tried:
            self._loop.after_commit(partial(self._retention.trim, run.workspace_id, sorted(tried)))
        if not self.runs:
            self._loop.after_commit(self._no_more_work)

    def _no_more_work(self) -> None:
        """On a worker, once the last end is committed."""
        if not self.runs:
            self._context.launcher.work(False)

    # --- stopping ------------------------------------------------------------------------------

    def cancel(self, run_id: str, reason: str) -> RunState:
        """Ask for the end of a run. Returns its state now; asking twice is harmless."""
        run = self.runs.get(run_id)
        if run is None:
            return RunState.CANCELED  # it ended between the question and us
        if not run.cancel_asked:
            run.cancel_asked = True
            run.cancel_reason = run.stop = reason
            self._loop.emit(run.event(EventKind.RUN_CANCEL_ASKED, now_us(), {"reason": reason}))
            self.stop_others(run, reason)
            self.maybe_ended(run)
        return run.state

    def abandon(self, run_id: str, why: str) -> None:
        """End a run that cannot go on, so that nobody waits for it."""
        error = {"kind": "machine", "code": "abandoned", "message": why, "hint": "stepwell daemon logs"}
        body = {"state": str(RunState.FAILED), "error": error}
        self._loop.emit(Event(EventKind.RUN_ENDED, now_us(), body, run=run_id))

    def stop_others(self, run: LiveRun, reason: str) -> None:
        """End what runs; on a cancel, what has not started is Canceled too (else the planner skips it)."""
        unstarted = StepState.CANCELED if run.cancel_asked else StepState.SKIPPED
        for step in run.steps.values():
            if step.state in STEP_TERMINAL:
                continue
            if step.state is StepState.QUEUED:
                self.dispatch.drop(step)
                self._loop.emit(run.move(step, unstarted, reason, now_us()))
                self._release(step)
            elif step.state is StepState.NOT_STARTED:
                if run.cancel_asked:
                    self._loop.emit(run.move(step, StepState.CANCELED, reason, now_us()))
            else:
                step.cancel_reason = reason
                if step.state is StepState.RUNNING:
                    self.dispatch.end(step, reason)

    def close(self) -> None:
        self.dispatch.close()
