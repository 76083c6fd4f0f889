"""Runs: submitted, planned, tagged, asked to end, ended."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from stepwell.core.events import Event
from stepwell.core.states import RunState
from stepwell.store.encoding import bound, json_or_null, to_json
from stepwell.store.projection.rows import absent, merge_tags, run_of

_SUBMITTED = f"""
    INSERT INTO run (id, seq, number, workspace_id, experiment_id, name, file, state, cancel_asked,
                     submitted_us, resumed_from, tags, properties, parameters, options, client, spec)
    VALUES (?, ?, ?, ?, ?, CAST(? AS TEXT), CAST(? AS TEXT), '{RunState.NOT_STARTED}', 0,
            ?, ?, ?, ?, ?, ?, ?, ?)
"""
# What a listing shows of a run that has ended, so that it need not count the steps of fifty runs.
COUNTS = """
    SELECT printf('{"ran":%d,"reused":%d,"failed":%d,"skipped":%d}',
                  SUM(reused_from IS NULL AND attempts > 0), SUM(reused_from IS NOT NULL),
                  SUM(state IN ('Failed', 'Lost')), SUM(state IN ('Skipped', 'Canceled') AND attempts = 0))
    FROM step_run WHERE run_id = ?
"""
_ENDED = f"""
    UPDATE run SET state = ?, error = ?, ended_us = ?, counts = ({COUNTS})
    WHERE id = ? AND ended_us IS NULL
"""


def submitted(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    for event in events:
        body = event.body
        values = (
            run_of(event),
            event.seq,
            body["number"],
            body["workspace_id"],
            body["experiment_id"],
            bound(body["name"]),
            bound(body.get("file")),
            event.time_us,
            body.get("resumed_from"),
            to_json(body.get("tags") or {}),
            to_json(body.get("properties") or {}),
            to_json(body.get("parameters") or {}),
            to_json(body.get("options") or {}),
            to_json(body.get("client") or {}),
            to_json(body["spec"]),
        )
        connection.execute(_SUBMITTED, values)


def planned(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """The sources are frozen: the run is under way."""
    for event in events:
        run, snapshots = run_of(event), event.body["snapshots"]
        values = (to_json(snapshots), RunState.RUNNING.value, event.time_us, run)
        update = "UPDATE run SET snapshots = ?, state = ?, started_us = ? WHERE id = ?"
        if not connection.execute(update, values).rowcount:
            raise absent(event, run)
        connection.executemany(
            "INSERT INTO snapshot (run_id, folder, digest) VALUES (?, CAST(? AS TEXT), ?)",
            [(run, bound(folder), digest) for folder, digest in snapshots.get("sources", {}).items()],
        )


def tagged(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    for event in events:
        merge_tags(connection, "run", run_of(event), event)


def cancel_asked(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """The first to ask gives the reason."""
    for event in events:
        update = "UPDATE run SET cancel_asked = 1, cancel_reason = CAST(? AS TEXT) WHERE id = ? AND cancel_asked = 0"
        if not connection.execute(update, (bound(event.body["reason"]), run_of(event))).rowcount:
            _must_exist(connection, event)


def ended(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """The first end counts; a second one is harmless."""
    for event in events:
        run = run_of(event)
        error = json_or_null(event.body.get("error"))
        values = (RunState(event.body["state"]).value, error, event.time_us, run, run)
        if not connection.execute(_ENDED, values).rowcount:
            _must_exist(connection, event)


def _must_exist(connection: sqlite3.Connection, event: Event) -> None:
    run = run_of(event)
    if connection.execute("SELECT 1 FROM run WHERE id = ?", (run,)).fetchone() is None:
        raise absent(event, run)
