"""Reading: every question the rest of Stepwell asks of the rows and the journal.

All take a connection from `Database.read`, so that one caller sees one moment.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from stepwell.core.events import Event, EventKind
from stepwell.core.states import AttemptState, RunState, StepState
from stepwell.errors import NotFoundError, UsageError
from stepwell.store.records import (
    AttemptRecord,
    ComputeRecord,
    EntryRecord,
    ExperimentRecord,
    MetricRecord,
    OutputRecord,
    PreviousRecord,
    RunRecord,
    StepRecord,
    WorkspaceRecord,
)

Connection = sqlite3.Connection
_CHUNK = 500  # values in one IN (…)
_RUN = (
    "SELECT run.id, run.number, run.workspace_id, workspace.name, experiment.name, run.name, {spec}, run.parameters,"
    " run.options, run.client, run.file, run.state, run.cancel_asked, run.cancel_reason, run.submitted_us,"
    " run.started_us, run.ended_us, run.resumed_from, run.tags, run.properties, run.error, run.snapshots"
    " FROM run JOIN workspace ON workspace.id = run.workspace_id JOIN experiment ON experiment.id = run.experiment_id "
)
_WHOLE_RUN = _RUN.format(spec="run.spec")
_LISTED_RUN = _RUN.format(spec="'{}'")
_STEP = (
    "SELECT id, run_id, key, name, kind, position, compute_target, upstream, state, reason, verdict, verdict_reason,"
    " fingerprint, recipe, changed, compared_with, reused_from, queued_us, started_us, ended_us, error, attempts,"
    " tags, properties FROM step_run "
)
_ATTEMPT = (
    "SELECT id, step_run_id, number, state, folder, placement, pid, prepared_us, started_us, ended_us, exit_code,"
    " signal, message, cpu_s, max_rss_mib, duration_s FROM attempt "
)
_OUTPUT = "SELECT step_run_id, name, digest, kind, files, bytes, datastore_path FROM output "


# --- workspaces, experiments, compute targets ---------------------------------------------------


def workspaces(connection: Connection) -> list[WorkspaceRecord]:
    rows = connection.execute("SELECT id, name, root, created_us FROM workspace ORDER BY created_us, id")
    return [WorkspaceRecord(*row) for row in rows]


def workspace(connection: Connection, id_or_name: str) -> WorkspaceRecord | None:
    """Return the workspace of that id, else the oldest of that name, else None."""
    row = connection.execute(
        "SELECT id, name, root, created_us FROM workspace WHERE id = ?1 OR name = ?1"
        " ORDER BY id = ?1 DESC, created_us LIMIT 1",
        (id_or_name,),
    ).fetchone()
    return None if row is None else WorkspaceRecord(*row)


def experiments(connection: Connection, workspace_id: str) -> list[ExperimentRecord]:
    rows = connection.execute(
        "SELECT id, workspace_id, name, created_us FROM experiment WHERE workspace_id = ? ORDER BY created_us, id",
        (workspace_id,),
    )
    return [ExperimentRecord(*row) for row in rows]


def experiment(connection: Connection, workspace_id: str, name: str) -> ExperimentRecord | None:
    row = connection.execute(
        "SELECT id, workspace_id, name, created_us FROM experiment WHERE workspace_id = ? AND name = ?",
        (workspace_id, name),
    ).fetchone()
    return None if row is None else ExperimentRecord(*row)


def computes(connection: Connection, workspace_id: str) -> list[ComputeRecord]:
    rows = connection.execute(
        "SELECT id, workspace_id, name, kind, config, created_us FROM compute_target WHERE workspace_id = ?"
        " ORDER BY created_us, id",
        (workspace_id,),
    )
    return [ComputeRecord(i, w, name, kind, json.loads(config), at) for i, w, name, kind, config, at in rows]


# --- runs ---------------------------------------------------------------------------------------


def run(connection: Connection, run_id: str) -> RunRecord:
    """Return the run of exactly that id. Raises NotFoundError."""
    row = connection.execute(f"{_WHOLE_RUN} WHERE run.id = ?", (run_id,)).fetchone()
    if row is None:
        raise NotFoundError(f"no run {run_id!r}", hint="stepwell runs", code="unknown_run")
    return _run(row)


def find_run(connection: Connection, ref: str, workspace_id: str | None) -> RunRecord:
    """Return the run that a person named: a number, `last`, an id or a unique prefix of one.

    A number is looked up in the workspace given, else wherever it is unique. Raises NotFoundError
    where there is none, UsageError where there are several.
    """
    where, values = ("", []) if workspace_id is None else (" AND workspace_id = ?", [workspace_id])
    if ref == "last":
        found = connection.execute(
            f"SELECT id FROM run WHERE 1{where} ORDER BY submitted_us DESC, id DESC LIMIT 1", values
        ).fetchall()
        if not found:
            raise NotFoundError("there is no run yet", hint="stepwell run FILE", code="unknown_run")
    else:
        found = []
        if ref.isdecimal() and len(ref) < 10:
            found = connection.execute(f"SELECT id FROM run WHERE number = ?{where}", [int(ref), *values]).fetchall()
        if not found and all(letter in "0123456789abcdef-" for letter in ref) and ref:
            found = connection.execute(
                f"SELECT id FROM run WHERE id >= ? AND id < ?{where} LIMIT 3", [ref, ref + "~", *values]
            ).fetchall()
    if not found:
        raise NotFoundError(f"no run {ref!r}", hint="stepwell runs", code="unknown_run")
    if len(found) > 1:
        ids = ", ".join(row[0] for row in found[:3])
        raise UsageError(f"{ref!r} names several runs: {ids}", hint="use more of the id", code="ambiguous_run")
    return run(connection, found[0][0])


def runs(connection: Connection, workspace_id: str | None, experiment_name: str | None, limit: int) -> list[RunRecord]:
    """Return the newest runs first, without their specs."""
    where, values = ["1"], []
    if workspace_id is not None:
        where.append("run.workspace_id = ?")
        values.append(workspace_id)
    if experiment_name is not None:
        where.append("experiment.name = ?")
        values.append(experiment_name)
    rows = connection.execute(
        f"{_LISTED_RUN} WHERE {' AND '.join(where)} ORDER BY run.submitted_us DESC, run.id DESC LIMIT ?",
        [*values, limit],
    )
    return [_run(row) for row in rows]


def unfinished_runs(connection: Connection) -> list[RunRecord]:
    """Return the runs that have not ended, oldest first."""
    rows = connection.execute(f"{_WHOLE_RUN} WHERE run.ended_us IS NULL ORDER BY run.submitted_us, run.id")
    return [_run(row) for row in rows]


def run_numbers(connection: Connection, step_runs: Iterable[str]) -> dict[str, int]:
    """Return, by step run id, the number of the run it belongs to."""
    found: dict[str, int] = {}
    for marks, part in _chunks(sorted(set(step_runs))):
        query = f"SELECT step_run.id, number FROM step_run JOIN run ON run.id = run_id WHERE step_run.id IN ({marks})"
        found |= dict(connection.execute(query, part))
    return found


def step_counts(connection: Connection, run_ids: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return, by run id, how many steps `ran`, were `reused`, `failed` and were `skipped`."""
    found: dict[str, dict[str, int]] = {}
    for marks, part in _chunks(list(run_ids)):
        rows = connection.execute(
            "SELECT run_id, SUM(reused_from IS NULL AND attempts > 0), SUM(reused_from IS NOT NULL),"
            " SUM(state IN ('Failed', 'Lost')), SUM(state IN ('Skipped', 'Canceled'))"
            f" FROM step_run WHERE run_id IN ({marks}) GROUP BY run_id",
            part,
        )
        for run_id, *counts in rows:
            found[run_id] = dict(zip(("ran", "reused", "failed", "skipped"), counts, strict=True))
    return found


def _run(row: Sequence[Any]) -> RunRecord:
    return RunRecord(
        id=row[0],
        number=row[1],
        workspace_id=row[2],
        workspace_name=row[3],
        experiment=row[4],
        name=row[5],
        spec=json.loads(row[6]),
        parameters=json.loads(row[7]),
        options=json.loads(row[8]),
        client=json.loads(row[9]),
        file=row[10],
        state=RunState(row[11]),
        cancel_asked=bool(row[12]),
        cancel_reason=row[13],
        submitted_us=row[14],
        started_us=row[15],
        ended_us=row[16],
        resumed_from=row[17],
        tags=json.loads(row[18]),
        properties=json.loads(row[19]),
        error=_json(row[20]),
        snapshots=_json(row[21]),
    )


# --- steps, attempts, outputs -------------------------------------------------------------------


def steps(connection: Connection, run_id: str) -> list[StepRecord]:
    """Return the steps of a run in the order of its pipeline; none before it is planned."""
    return [_step(row) for row in connection.execute(f"{_STEP} WHERE run_id = ? ORDER BY position", (run_id,))]


def step(connection: Connection, step_run: str) -> StepRecord:
    """Return the step run of exactly that id. Raises NotFoundError."""
    row = connection.execute(f"{_STEP} WHERE id = ?", (step_run,)).fetchone()
    if row is None:
        raise NotFoundError(f"no step run {step_run!r}", hint="stepwell show RUN", code="unknown_step_run")
    return _step(row)


def attempts(connection: Connection, step_run: str) -> list[AttemptRecord]:
    rows = connection.execute(f"{_ATTEMPT} WHERE step_run_id = ? ORDER BY number", (step_run,))
    return [_attempt(row) for row in rows]


def attempts_of_run(connection: Connection, run_id: str) -> list[AttemptRecord]:
    rows = connection.execute(
        f"{_ATTEMPT} WHERE step_run_id IN (SELECT id FROM step_run WHERE run_id = ?) ORDER BY step_run_id, number",
        (run_id,),
    )
    return [_attempt(row) for row in rows]


def live_attempts(connection: Connection) -> list[AttemptRecord]:
    return [_attempt(row) for row in connection.execute(f"{_ATTEMPT} WHERE ended_us IS NULL ORDER BY id")]


def outputs(connection: Connection, step_run: str) -> list[OutputRecord]:
    return [
        OutputRecord(*row) for row in connection.execute(f"{_OUTPUT} WHERE step_run_id = ? ORDER BY rowid", (step_run,))
    ]


def outputs_of_run(connection: Connection, run_id: str) -> list[OutputRecord]:
    rows = connection.execute(
        f"{_OUTPUT} WHERE step_run_id IN (SELECT id FROM step_run WHERE run_id = ?) ORDER BY rowid", (run_id,)
    )
    return [OutputRecord(*row) for row in rows]


def outputs_of_steps(connection: Connection, step_runs: Iterable[str]) -> list[OutputRecord]:
    found: list[OutputRecord] = []
    for marks, part in _chunks(sorted(set(step_runs))):
        rows = connection.execute(f"{_OUTPUT} WHERE step_run_id IN ({marks}) ORDER BY rowid", part)
        found += [OutputRecord(*row) for row in rows]
    return found


def _step(row: Sequence[Any]) -> StepRecord:
    opened = list(row)
    opened[7] = json.loads(row[7] or "[]")
    opened[8] = StepState(row[8])
    opened[14] = json.loads(row[14] or "[]")
    opened[20] = _json(row[20])
    opened[22], opened[23] = json.loads(row[22]), json.loads(row[23])
    return StepRecord(*opened)


def _attempt(row: Sequence[Any]) -> AttemptRecord:
    opened = list(row)
    opened[3] = AttemptState(row[3])
    opened[5] = json.loads(row[5])
    return AttemptRecord(*opened)


# --- reuse --------------------------------------------------------------------------------------


def entries(connection: Connection, recipes: Sequence[str]) -> list[EntryRecord]:
    """Return the valid results of steps with these recipes, oldest first, with their outputs."""
    found: list[EntryRecord] = []
    for marks, part in _chunks(recipes):
        rows = connection.execute(
            "SELECT cache_entry.fingerprint, cache_entry.recipe, step_run_id, run_id, number, created_us"
            " FROM cache_entry JOIN step_run ON step_run.id = step_run_id JOIN run ON run.id = run_id"
            f" WHERE evicted_us IS NULL AND cache_entry.recipe IN ({marks}) ORDER BY created_us, step_run_id",
            part,
        ).fetchall()
        made: dict[str, dict[str, str]] = {row[2]: {} for row in rows}
        for output in outputs_of_steps(connection, made):
            made[output.step_run][output.name] = output.digest
        found += [EntryRecord(*(*row, made[row[2]])) for row in rows]
    return found


def previous(connection: Connection, workspace_id: str, kind: str, name: str) -> PreviousRecord | None:
    """Return the newest finished run of a step of that kind and name, with the manifest it had."""
    row = connection.execute(
        "SELECT step_run.id, run.number, manifest.parts FROM step_run JOIN run ON run.id = run_id"
        " JOIN manifest ON manifest.fingerprint = step_run.manifest"
        " WHERE step_run.kind = ? AND step_run.name = ? AND step_run.state = 'Finished'"
        " AND step_run.reused_from IS NULL AND workspace_id = ? ORDER BY step_run.ended_us DESC LIMIT 1",
        (kind, name, workspace_id),
    ).fetchone()
    return None if row is None else PreviousRecord(row[0], row[1], json.loads(row[2]))


def manifest(connection: Connection, fingerprint: str) -> dict[str, Any] | None:
    row = connection.execute("SELECT parts FROM manifest WHERE fingerprint = ?", (fingerprint,)).fetchone()
    return None if row is None else dict(json.loads(row[0]))


# --- metrics, cursors, the journal --------------------------------------------------------------


def metrics(connection: Connection, step_run: str | None, run_id: str | None) -> list[MetricRecord]:
    """Return the points of a step run, or those logged to a run itself, in the order they were logged."""
    if step_run is not None:
        where, value = "step_run_id = ?", step_run
    elif run_id is None:
        raise ValueError("metrics of what?")
    else:
        where, value = "run_id = ? AND step_run_id IS NULL", run_id
    rows = connection.execute(
        f"SELECT name, kind, step, time_us, value FROM metric WHERE {where} ORDER BY id", (value,)
    )
    return [MetricRecord(name, kind, at, time_us, json.loads(point)) for name, kind, at, time_us, point in rows]


def cursors(connection: Connection, attempt: str) -> dict[str, int]:
    """Return, by file name, up to which byte the files of an attempt have been read."""
    prefix = f"{attempt}/"
    rows = connection.execute("SELECT file, position FROM cursor WHERE file >= ? AND file < ?", (prefix, f"{attempt}0"))
    return {file.removeprefix(prefix): position for file, position in rows}


def warnings(connection: Connection, run_id: str) -> list[str]:
    rows = connection.execute(
        "SELECT event.body, step_run.key FROM event LEFT JOIN step_run ON step_run.id = event.step_run_id"
        " WHERE event.run_id = ? AND event.kind = 'warning' ORDER BY seq",
        (run_id,),
    )
    return [f"step {key!r}: {json.loads(body)['text']}" if key else json.loads(body)["text"] for body, key in rows]


def last_seq(connection: Connection) -> int:
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'event'").fetchone()
    return 0 if row is None else int(row[0])


def oldest_seq(connection: Connection) -> int | None:
    oldest: int | None = connection.execute("SELECT MIN(seq) FROM event").fetchone()[0]
    return oldest


def events(connection: Connection, after: int, limit: int, run_id: str | None) -> list[Event]:
    """Return up to `limit` events after `after`, of one run or of all, in order."""
    where, values = ("", []) if run_id is None else (" AND run_id = ?", [run_id])
    rows = connection.execute(
        f"SELECT seq, time_us, kind, run_id, step_run_id, body FROM event WHERE seq > ?{where} ORDER BY seq LIMIT ?",
        [after, *values, limit],
    )
    return [Event(EventKind(kind), at, json.loads(body), r, s, seq) for seq, at, kind, r, s, body in rows]


def _chunks(values: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    for start in range(0, len(values), _CHUNK):
        part = values[start : start + _CHUNK]
        yield ",".join("?" * len(part)), part


def _json(value: str | None) -> Any:
    return None if value is None else json.loads(value)
