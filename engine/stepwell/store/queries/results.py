"""What steps made and logged: outputs, metrics, objects that may not have reached the disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from stepwell.store.encoding import from_json
from stepwell.store.queries.chunks import select_in
from stepwell.store.records import MetricRecord, OutputRecord

_OUTPUT = """
    SELECT step_run_id, output.name, digest, output.kind, bytes, files, datastore_path FROM output
"""
_METRIC = "SELECT run_id, step_run_id, name, kind, step, time_us, value FROM metric"


def outputs(connection: sqlite3.Connection, step_run: str) -> list[OutputRecord]:
    """Return the outputs of a step run, by name. A reused one has none: ask for those of the original."""
    return outputs_of_steps(connection, [step_run])


def outputs_of_run(connection: sqlite3.Connection, run_id: str) -> list[OutputRecord]:
    """Return the outputs of all steps of a run, in the order of its pipeline."""
    statement = f"""
        {_OUTPUT} JOIN step_run ON step_run.id = output.step_run_id
        WHERE step_run.run_id = ? ORDER BY step_run.position, output.name
    """
    return [OutputRecord(*row) for row in connection.execute(statement, (run_id,))]


def outputs_of_steps(connection: sqlite3.Connection, step_runs: Iterable[str]) -> list[OutputRecord]:
    """Return the outputs of any step runs; those of one stand together, by name."""
    statement = f"{_OUTPUT} WHERE step_run_id IN ({{}}) ORDER BY step_run_id, output.name"
    return [OutputRecord(*row) for row in select_in(connection, statement, step_runs)]


def metrics(connection: sqlite3.Connection, step_run: str | None, run_id: str | None) -> list[MetricRecord]:
    """Return the points of a step run, or those logged to the run itself, in the order they came.

    Exactly one of the two is given.
    """
    if step_run is not None:
        statement, identity = f"{_METRIC} WHERE step_run_id = ? ORDER BY id", step_run
    elif run_id is not None:
        statement, identity = f"{_METRIC} WHERE run_id = ? AND step_run_id IS NULL ORDER BY id", run_id
    else:
        raise ValueError("metrics of what: give a step run or a run")
    return [MetricRecord(*[*row[:6], from_json(row[6])]) for row in connection.execute(statement, (identity,))]


def unsynced_objects(connection: sqlite3.Connection, limit: int) -> list[str]:
    """Return digests of objects that are not known to have reached the disk."""
    rows = connection.execute("SELECT digest FROM object WHERE synced = 0 LIMIT ?", (limit,))
    return [digest for (digest,) in rows]
