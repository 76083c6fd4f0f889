"""Runs: one by its id, one as a person names it, the newest, those that have not ended."""

from __future__ import annotations

import sqlite3
import string
from collections.abc import Iterable, Sequence
from typing import Any

from stepwell.core.states import RunState
from stepwell.errors import NotFoundError, UsageError
from stepwell.store.encoding import bound, object_of, object_or_none
from stepwell.store.queries.chunks import select_in
from stepwell.store.records import RunRecord, RunTexts

_RUN = """
    SELECT run.id, run.number, run.workspace_id, workspace.name, experiment.name, run.name, run.file,
           run.state, run.cancel_asked, run.cancel_reason, run.submitted_us, run.started_us, run.ended_us,
           run.resumed_from, run.parameters, run.tags, run.properties, run.error,
           run.options, run.client, run.snapshots, run.spec
    FROM run
    JOIN workspace ON workspace.id = run.workspace_id
    JOIN experiment ON experiment.id = run.experiment_id
"""
_ID_LETTERS = frozenset(string.hexdigits.lower() + "-")
_NAMED_MAX = 4  # runs named where a reference fits several
_COUNTED = ("ran", "reused", "failed", "skipped")


def run(connection: sqlite3.Connection, run_id: str) -> RunRecord:
    """Return the run of exactly that id. Raises NotFoundError."""
    row = connection.execute(f"{_RUN} WHERE run.id = CAST(? AS TEXT)", (bound(run_id),)).fetchone()
    if row is None:
        raise _no_run(connection, run_id, None)
    return _record(row)


def find_run(connection: sqlite3.Connection, ref: str, workspace_id: str | None) -> RunRecord:
    """Return the run that a person named: a number, `last`, an id, or a unique prefix of one.

    Numbers and `last` are those of the workspace; without one, `last` is the newest of all and a
    number has to be unique. An id counts everywhere. Raises NotFoundError, or UsageError where
    the reference fits several runs.
    """
    if ref == "last":
        return _last(connection, workspace_id)
    if ref.isascii() and ref.isdecimal() and not ref.startswith("0"):
        return _numbered(connection, ref, workspace_id)
    if not ref or not set(ref) <= _ID_LETTERS:
        raise _no_run(connection, ref, workspace_id)
    rows = connection.execute(
        f"{_RUN} WHERE run.id >= ? AND run.id < ? ORDER BY run.id LIMIT {_NAMED_MAX}", (ref, ref + "~")
    ).fetchall()
    if len(rows) > 1:
        shown = ", ".join(f"{row[0]} (run {row[1]})" for row in rows[: _NAMED_MAX - 1])
        more = ", …" if len(rows) == _NAMED_MAX else ""
        raise UsageError(
            f"{ref!r} begins the ids of several runs: {shown}{more}",
            hint="give more of the id, or the number of the run",
            code="ambiguous_run",
        )
    if not rows:
        raise _no_run(connection, ref, workspace_id)
    return _record(rows[0])


def _last(connection: sqlite3.Connection, workspace_id: str | None) -> RunRecord:
    found = runs(connection, workspace_id, None, 1)
    if not found:
        raise NotFoundError("there is no run yet", hint="stepwell run FILE", code="unknown_run")
    return found[0]


def _numbered(connection: sqlite3.Connection, ref: str, workspace_id: str | None) -> RunRecord:
    number = min(int(ref[:19]), 2**63 - 1)
    where = "" if workspace_id is None else " AND run.workspace_id = ?"
    values = (number,) if workspace_id is None else (number, workspace_id)
    statement = f"{_RUN} WHERE run.number = ?{where} ORDER BY run.seq LIMIT {_NAMED_MAX}"
    rows = connection.execute(statement, values).fetchall()
    if len(rows) > 1:
        shown = ", ".join(f"{row[0]} ({row[3]})" for row in rows)
        raise UsageError(f"several workspaces have a run {ref}", hint=f"give its id: {shown}", code="ambiguous_run")
    if not rows:
        raise _no_run(connection, ref, workspace_id)
    return _record(rows[0])


def _no_run(connection: sqlite3.Connection, ref: str, workspace_id: str | None) -> NotFoundError:
    newest = runs(connection, workspace_id, None, 1)
    there_is = f"the last one is {newest[0].number}" if newest else "there is none yet"
    return NotFoundError(f"no run {ref!r} ({there_is})", hint="stepwell runs", code="unknown_run")


def runs(
    connection: sqlite3.Connection, workspace_id: str | None, experiment: str | None, limit: int
) -> list[RunRecord]:
    """Return the newest runs first, by the order in which they were submitted. `experiment`: a name."""
    where: list[str] = ["1"]
    values: list[Any] = []
    order = "run.seq"
    if workspace_id is not None:
        where.append("run.workspace_id = ?")
        values.append(workspace_id)
        order = "run.number"  # rises with `seq` within a workspace, and has an index there
    if experiment is not None:
        ids = _experiments(connection, workspace_id, experiment)
        where = [f"run.experiment_id IN ({', '.join('?' * len(ids))})"]
        values = [*ids]
        order = "run.seq"  # walked backwards where it is one experiment, sorted where several have the name
    statement = f"{_RUN} WHERE {' AND '.join(where)} ORDER BY {order} DESC LIMIT ?"
    return [_record(row) for row in connection.execute(statement, (*values, limit))]


def _experiments(connection: sqlite3.Connection, workspace_id: str | None, name: str) -> list[str]:
    """Return the ids of the experiments of that name, in one workspace or in all."""
    rows = connection.execute("SELECT id, workspace_id FROM experiment WHERE name = CAST(? AS TEXT)", (bound(name),))
    return [identity for identity, place in rows if workspace_id in (None, place)]


def unfinished_runs(connection: sqlite3.Connection) -> list[RunRecord]:
    """Return the runs that have not ended, in the order in which they were submitted."""
    rows = connection.execute(f"{_RUN} WHERE run.ended_us IS NULL ORDER BY run.seq")
    return [_record(row) for row in rows]


def run_numbers(connection: sqlite3.Connection, step_runs: Iterable[str]) -> dict[str, int]:
    """Return, by step run id, the number of the run it belongs to."""
    statement = """
        SELECT step_run.id, run.number FROM step_run JOIN run ON run.id = step_run.run_id
        WHERE step_run.id IN ({})
    """
    return dict(select_in(connection, statement, step_runs))


def step_counts(connection: sqlite3.Connection, run_ids: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return, by run id, how many steps `ran`, were `reused`, `failed` and were `skipped` (never tried).

    A run that has ended has its counts in its row; those of the others are counted.
    """
    found: dict[str, dict[str, int]] = {}
    live: list[str] = []
    for run_id, counts in select_in(connection, "SELECT id, counts FROM run WHERE id IN ({})", run_ids):
        if counts is None:
            live.append(run_id)
        else:
            found[run_id] = object_of(counts)
    counted = """
        SELECT run_id, SUM(reused_from IS NULL AND attempts > 0), SUM(reused_from IS NOT NULL),
               SUM(state IN ('Failed', 'Lost')), SUM(state IN ('Skipped', 'Canceled') AND attempts = 0)
        FROM step_run WHERE run_id IN ({}) GROUP BY run_id
    """
    for run_id, *counts in select_in(connection, counted, live):
        found[run_id] = dict(zip(_COUNTED, counts, strict=True))
    return found


def _record(row: Sequence[Any]) -> RunRecord:
    values = [
        *row[:7],
        RunState(row[7]),
        bool(row[8]),
        *row[9:14],
        *(object_of(text) for text in row[14:17]),
        object_or_none(row[17]),
        RunTexts(*row[18:]),
    ]
    return RunRecord(*values)
