"""The states of Run, StepRun and Attempt, each as one table.

    StepRun   NotStarted -> Queued -> Preparing -> Running -> Finalizing -> Finished
              and from any live state to Failed, Lost, Canceled or Skipped; a retry goes back to Queued
    Attempt   Prepared -> Running -> Finished | Failed | TimedOut | Canceled | Lost | NeverStarted
    Run       a pure function of its StepRuns and of `cancel_asked`

`Lost` is not `Failed`: nobody saw how it ended. A terminal state is absorbing: the same
table is a trigger in the database. Pure: no clock, no database.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class StepState(StrEnum):
    NOT_STARTED = "NotStarted"
    QUEUED = "Queued"
    PREPARING = "Preparing"
    RUNNING = "Running"
    FINALIZING = "Finalizing"
    FINISHED = "Finished"
    FAILED = "Failed"
    LOST = "Lost"
    CANCELED = "Canceled"
    SKIPPED = "Skipped"


class AttemptState(StrEnum):
    PREPARED = "Prepared"
    RUNNING = "Running"
    FINISHED = "Finished"
    FAILED = "Failed"
    TIMED_OUT = "TimedOut"
    CANCELED = "Canceled"
    LOST = "Lost"
    NEVER_STARTED = "NeverStarted"


class RunState(StrEnum):
    NOT_STARTED = "NotStarted"
    RUNNING = "Running"
    FINISHED = "Finished"
    FAILED = "Failed"
    CANCELED = "Canceled"


STEP_TERMINAL = frozenset({StepState.FINISHED, StepState.FAILED, StepState.LOST, StepState.CANCELED, StepState.SKIPPED})
ATTEMPT_TERMINAL = frozenset(set(AttemptState) - {AttemptState.PREPARED, AttemptState.RUNNING})
RUN_TERMINAL = frozenset({RunState.FINISHED, RunState.FAILED, RunState.CANCELED})

_GIVE_UP = {StepState.FAILED, StepState.LOST, StepState.CANCELED, StepState.SKIPPED}
STEP_MOVES: dict[StepState, frozenset[StepState]] = {
    StepState.NOT_STARTED: frozenset({StepState.QUEUED, StepState.FINISHED} | _GIVE_UP),
    StepState.QUEUED: frozenset({StepState.PREPARING, StepState.FINISHED, StepState.NOT_STARTED} | _GIVE_UP),
    StepState.PREPARING: frozenset({StepState.RUNNING, StepState.QUEUED} | _GIVE_UP),
    StepState.RUNNING: frozenset({StepState.FINALIZING, StepState.QUEUED} | _GIVE_UP),
    StepState.FINALIZING: frozenset({StepState.FINISHED, StepState.QUEUED} | _GIVE_UP),
    **{state: frozenset() for state in STEP_TERMINAL},
}
ATTEMPT_MOVES: dict[AttemptState, frozenset[AttemptState]] = {
    AttemptState.PREPARED: frozenset(set(AttemptState) - {AttemptState.PREPARED}),
    AttemptState.RUNNING: frozenset(ATTEMPT_TERMINAL - {AttemptState.NEVER_STARTED}),
    **{state: frozenset() for state in ATTEMPT_TERMINAL},
}


class IllegalMove(ValueError):
    """A state was asked to go where its table does not lead. Always a bug of ours."""


def advance_step(current: StepState, target: StepState) -> StepState:
    """Return `target`, or raise IllegalMove. Repeating a terminal state is allowed and harmless."""
    if target in STEP_MOVES[current] or (target is current and current in STEP_TERMINAL):
        return target
    raise IllegalMove(f"a step run that is {current} cannot become {target}")


def advance_attempt(current: AttemptState, target: AttemptState) -> AttemptState:
    """Return `target`, or raise IllegalMove.

    Repeating a terminal state is allowed: the daemon and a recovering daemon may both
    report the same exit, and the second report must be harmless.
    """
    if target in ATTEMPT_MOVES[current] or (target is current and current in ATTEMPT_TERMINAL):
        return target
    raise IllegalMove(f"an attempt that is {current} cannot become {target}")


def run_state(steps: Iterable[StepState], *, cancel_asked: bool) -> RunState:
    """Return the state of a run from the states of its steps. Order does not matter.

    Any live step: Running. Else, a cancel was asked and some step was canceled: Canceled.
    Else any Failed or Lost: Failed. Else, with a step that never ran (nothing failed, so somebody
    stopped the run): Canceled. Else Finished. A run with no step yet is NotStarted.
    """
    seen = set(steps)
    if not seen:
        return RunState.CANCELED if cancel_asked else RunState.NOT_STARTED
    if seen - STEP_TERMINAL:
        return RunState.NOT_STARTED if seen == {StepState.NOT_STARTED} else RunState.RUNNING
    if cancel_asked and StepState.CANCELED in seen:
        return RunState.CANCELED
    if seen & {StepState.FAILED, StepState.LOST}:
        return RunState.FAILED
    return RunState.FINISHED if seen == {StepState.FINISHED} else RunState.CANCELED


# The SDK's word for one thing depends on which object is asked (azureml surface, "Status vocabulary").
PIPELINE_RUN_WORDS: dict[RunState, str] = {state: str(state) for state in RunState}
STEP_RUN_WORDS: dict[StepState, str] = {
    StepState.NOT_STARTED: "NotStarted",
    StepState.QUEUED: "Queued",
    StepState.PREPARING: "Queued",
    StepState.RUNNING: "Running",
    StepState.FINALIZING: "Running",
    StepState.FINISHED: "Finished",
    StepState.FAILED: "Failed",
    StepState.LOST: "Failed",
    StepState.CANCELED: "Canceled",
    StepState.SKIPPED: "Canceled",
}
HISTORY_RUN_WORDS: dict[RunState, str] = {
    RunState.NOT_STARTED: "NotStarted",
    RunState.RUNNING: "Running",
    RunState.FINISHED: "Completed",
    RunState.FAILED: "Failed",
    RunState.CANCELED: "Canceled",
}
HISTORY_STEP_WORDS: dict[StepState, str] = {
    **STEP_RUN_WORDS,
    StepState.PREPARING: "Preparing",
    StepState.FINALIZING: "Finalizing",
    StepState.FINISHED: "Completed",
}
