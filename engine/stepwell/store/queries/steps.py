"""Step runs, their attempts, and what live attempts hold."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from stepwell.core.states import AttemptState, StepState
from stepwell.errors import NotFoundError
from stepwell.store.encoding import bound, list_of, object_of, object_or_none
from stepwell.store.records import AttemptRecord, LeaseRecord, StepRecord

_STEP = """
    SELECT id, run_id, key, name, kind, position, compute_target, upstream, state, reason, verdict,
           verdict_reason, fingerprint, recipe, manifest, changed, compared_with, reused_from,
           parent_step_run, queued_us, started_us, ended_us, error, attempts, tags, properties
    FROM step_run
"""
_ATTEMPT = """
    SELECT attempt.id, step_run_id, number, attempt.state, folder, pid, placement, prepared_us,
           attempt.started_us, attempt.ended_us, exit_code, signal, message, cpu_s, max_rss_mib, duration_s
    FROM attempt
"""
_STEP_STATES = {str(state): state for state in StepState}
_ATTEMPT_STATES = {str(state): state for state in AttemptState}


def steps(connection: sqlite3.Connection, run_id: str) -> list[StepRecord]:
    """Return the steps of a run in the order of its pipeline; none before it is planned."""
    return [_step(row) for row in connection.execute(f"{_STEP} WHERE run_id = ? ORDER BY position", (run_id,))]


def step(connection: sqlite3.Connection, step_run: str) -> StepRecord:
    """Return the step run of exactly that id. Raises NotFoundError."""
    row = connection.execute(f"{_STEP} WHERE id = CAST(? AS TEXT)", (bound(step_run),)).fetchone()
    if row is None:
        raise NotFoundError(f"no step run {step_run!r}", hint="stepwell show RUN", code="unknown_step_run")
    return _step(row)


def attempts(connection: sqlite3.Connection, step_run: str) -> list[AttemptRecord]:
    """Return the attempts of a step run, first to last."""
    rows = connection.execute(f"{_ATTEMPT} WHERE step_run_id = ? ORDER BY number", (step_run,))
    return [_attempt(row) for row in rows]


def attempts_of_run(connection: sqlite3.Connection, run_id: str) -> list[AttemptRecord]:
    """Return the attempts of all steps of a run; those of one step stand in order."""
    statement = f"""
        {_ATTEMPT} JOIN step_run ON step_run.id = attempt.step_run_id
        WHERE step_run.run_id = ? ORDER BY step_run.position, number
    """
    return [_attempt(row) for row in connection.execute(statement, (run_id,))]


def ended_attempts(
    connection: sqlite3.Connection, workspace_id: str, kind: str, name: str, *, finished: bool, beyond: int, limit: int
) -> list[str]:
    """Return ids of attempts of a step (by kind and name) beyond the newest `beyond`: finished ones, or all others."""
    sign = "=" if finished else "<>"
    rows = connection.execute(
        "SELECT attempt.id FROM step_run JOIN run ON run.id = step_run.run_id"
        " JOIN attempt ON attempt.step_run_id = step_run.id"
        " WHERE step_run.name = CAST(? AS TEXT) AND step_run.kind = ? AND run.workspace_id = ?"
        f" AND attempt.ended_us IS NOT NULL AND attempt.state {sign} 'Finished'"
        " ORDER BY attempt.id DESC LIMIT ? OFFSET ?",
        (bound(name), kind, workspace_id, limit, beyond),
    )
    return [identity for (identity,) in rows]


def live_attempts(connection: sqlite3.Connection) -> list[AttemptRecord]:
    """Return the attempts that have not ended, oldest first."""
    return [_attempt(row) for row in connection.execute(f"{_ATTEMPT} WHERE ended_us IS NULL ORDER BY id")]


def leases(connection: sqlite3.Connection) -> list[LeaseRecord]:
    """Return what live attempts hold, oldest first."""
    rows = connection.execute(
        "SELECT attempt_id, pool, cpus, memory_mib, gpus, taken_us FROM lease"
        " WHERE freed_us IS NULL ORDER BY taken_us, attempt_id"
    )
    return [
        LeaseRecord(attempt, pool, cpus, memory, tuple(list_of(gpus)), taken)
        for attempt, pool, cpus, memory, gpus, taken in rows
    ]


def _step(row: Sequence[Any]) -> StepRecord:
    values = [
        *row[:7],
        list_of(row[7]),
        _STEP_STATES[row[8]],
        *row[9:15],
        list_of(row[15]),
        *row[16:22],
        object_or_none(row[22]),
        row[23],
        object_of(row[24]),
        object_of(row[25]),
    ]
    return StepRecord(*values)


def _attempt(row: Sequence[Any]) -> AttemptRecord:
    values = [*row[:3], _ATTEMPT_STATES[row[3]], *row[4:6], object_of(row[6]), *row[7:]]
    return AttemptRecord(*values)
