"""From events to rows, as SQL. Its pure twin is `core.fold`, and a test holds the two together.

Each kind has one statement, or a few, fed by `executemany` where events of a kind come in a row.
Repeated ends change nothing; the triggers of the schema refuse what the state tables do not allow.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from stepwell.core.events import Event, EventKind
from stepwell.core.states import STEP_TERMINAL, StepState

Values = tuple[Any, ...]
Apply = Callable[[sqlite3.Connection, Sequence[Event]], None]
_MEASURED = ("exit_code", "signal", "message", "cpu_s", "max_rss_mib", "duration_s")
_RESOLVED = ("verdict", "fingerprint", "recipe", "compared_with", "reused_from")


def text(value: Any) -> str | None:
    """Return JSON text, None for None. ASCII, so that names that are no UTF-8 can be stored."""
    return None if value is None else json.dumps(value, separators=(",", ":"), sort_keys=True)


def apply(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """Apply events in order; runs of one kind go to the database together."""
    start = 0
    for position in range(1, len(events) + 1):
        if position == len(events) or events[position].kind is not events[start].kind:
            projection = _PROJECTIONS.get(events[start].kind)
            if projection is not None:
                projection(connection, events[start:position])
            start = position


def _many(statement: str, values: Callable[[Event], Values]) -> Apply:
    def run(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
        connection.executemany(statement, map(values, events))

    return run


def _submitted(event: Event) -> Values:
    body = event.body
    return (
        event.run,
        *(body[name] for name in ("number", "workspace_id", "experiment_id", "name")),
        *(text(body[name]) for name in ("spec", "parameters", "options", "client")),
        body.get("file"),
        body.get("resumed_from"),
        event.time_us,
        text(body.get("tags") or {}),
        text(body.get("properties") or {}),
    )


def _manifests(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    found = [
        (event.body["fingerprint"], text(event.body["manifest"]))
        for event in events
        if event.body.get("manifest") is not None and event.body.get("fingerprint") is not None
    ]
    if found:
        connection.executemany("INSERT OR IGNORE INTO manifest (fingerprint, parts) VALUES (?, ?)", found)


def _manifest_of(body: dict[str, Any]) -> str | None:
    return body.get("fingerprint") if body.get("manifest") is not None else None


def _step_planned(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    _manifests(connection, events)
    connection.executemany(
        "INSERT INTO step_run (id, run_id, key, name, kind, position, compute_target, upstream, state, reason,"
        " verdict, fingerprint, recipe, compared_with, reused_from, verdict_reason, changed, manifest,"
        " parent_step_run, queued_us, ended_us, error)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        map(_planned_values, events),
    )


def _planned_values(event: Event) -> Values:
    body = event.body
    state = StepState(body["state"])
    return (
        event.step_run,
        event.run,
        *(body[name] for name in ("key", "name", "kind", "position")),
        body.get("compute_target"),
        text(body.get("upstream")),
        str(state),
        body.get("reason"),
        *(body.get(name) for name in _RESOLVED),
        body.get("reason") if body.get("verdict") else None,
        text(body.get("changed")),
        _manifest_of(body),
        body.get("parent_step_run"),
        event.time_us if state is StepState.QUEUED else None,
        event.time_us if state in STEP_TERMINAL else None,
        text(body.get("error")),
    )


def _step_resolved(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    _manifests(connection, events)
    connection.executemany(
        "UPDATE step_run SET reason = ?, verdict = ?, fingerprint = ?, recipe = ?, compared_with = ?,"
        " reused_from = ?, verdict_reason = ?, changed = ?, manifest = ? WHERE id = ?",
        (
            (
                event.body["reason"],
                *(event.body.get(name) for name in _RESOLVED),
                event.body["reason"],
                text(event.body.get("changed")),
                _manifest_of(event.body),
                event.step_run,
            )
            for event in events
        ),
    )


_CHANGED = (
    "UPDATE step_run SET state = :state, reason = CASE WHEN :says THEN :reason ELSE reason END,"
    " error = CASE WHEN :fails THEN :error ELSE error END,"
    " queued_us = CASE WHEN :state = 'Queued' THEN :time ELSE queued_us END,"
    " started_us = CASE WHEN :state = 'Running' THEN COALESCE(started_us, :time) ELSE started_us END,"
    " ended_us = CASE WHEN :ends THEN :time ELSE ended_us END"
    " WHERE id = :id AND NOT (ended_us IS NOT NULL AND state = :state)"
)


def _step_changed(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    for event in events:
        body = event.body
        connection.execute(
            _CHANGED,
            {
                "state": body["state"],
                "says": "reason" in body,
                "reason": body.get("reason"),
                "fails": "error" in body,
                "error": text(body.get("error")),
                "time": event.time_us,
                "ends": StepState(body["state"]) in STEP_TERMINAL,
                "id": event.step_run,
            },
        )


def _attempt_prepared(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    for event in events:
        body, place = event.body, event.body["placement"]
        connection.execute(
            "INSERT INTO attempt (id, step_run_id, number, state, folder, placement, prepared_us)"
            " VALUES (?, ?, ?, 'Prepared', ?, ?, ?)",
            (body["id"], event.step_run, body["number"], body["folder"], text(place), event.time_us),
        )
        connection.execute("UPDATE step_run SET attempts = ? WHERE id = ?", (body["number"], event.step_run))
        connection.execute(
            "INSERT INTO lease (attempt_id, pool, cpus, memory_mib, gpus, taken_us) VALUES (?, ?, ?, ?, ?, ?)",
            (
                body["id"],
                place["pool"],
                place["cpus"],
                place["memory_mib"],
                text(place["gpus"]),
                event.time_us,
            ),
        )


def _attempt_ended(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    for event in events:
        body = event.body
        ended = body.get("ended_us", event.time_us)
        known = connection.execute(
            "UPDATE attempt SET state = ?, exit_code = ?, signal = ?, message = ?, cpu_s = ?, max_rss_mib = ?,"
            " duration_s = ?, ended_us = ? WHERE id = ? AND NOT (ended_us IS NOT NULL AND state = ?)",
            (body["state"], *(body.get(name) for name in _MEASURED), ended, body["id"], body["state"]),
        )
        if known.rowcount:
            connection.execute("UPDATE lease SET freed_us = ? WHERE attempt_id = ?", (ended, body["id"]))


def _artifact_stored(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    connection.executemany(
        "INSERT OR IGNORE INTO artifact (digest, kind, files, bytes, created_us) VALUES (?, ?, ?, ?, ?)",
        [(*(e.body[name] for name in ("digest", "kind", "files", "bytes")), e.time_us) for e in events],
    )
    connection.executemany(
        "INSERT OR IGNORE INTO object (digest, size) VALUES (?, ?)",
        [(digest, size) for event in events for digest, size in event.body["objects"]],
    )


def _metric_logged(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    for event in events:
        connection.executemany(
            "INSERT INTO metric (run_id, step_run_id, name, kind, step, time_us, value) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    event.run,
                    event.step_run,
                    p["name"],
                    p["kind"],
                    p["step"],
                    p["time_us"],
                    json.dumps(p["value"]),
                )
                for p in event.body["points"]
            ],
        )
        cursor = event.body.get("cursor")
        if cursor is not None:
            connection.execute(
                "INSERT INTO cursor (file, position) VALUES (?, ?)"
                " ON CONFLICT (file) DO UPDATE SET position = excluded.position",
                (cursor["file"], cursor["position"]),
            )


def _tagged(table: str, key: Callable[[Event], str | None]) -> Apply:
    def run(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
        for event in events:
            row = connection.execute(f"SELECT tags, properties FROM {table} WHERE id = ?", (key(event),)).fetchone()
            if row is None:
                raise ValueError(f"{event.kind} names no row of {table}")
            new = [
                text({**json.loads(old), **(event.body.get(name) or {})})
                for old, name in zip(row, ("tags", "properties"), strict=True)
            ]
            connection.execute(f"UPDATE {table} SET tags = ?, properties = ? WHERE id = ?", (*new, key(event)))

    return run


_PROJECTIONS: dict[EventKind, Apply] = {
    EventKind.WORKSPACE_REGISTERED: _many(
        "INSERT INTO workspace (id, name, root, created_us) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET name = excluded.name, root = excluded.root",
        lambda e: (e.body["id"], e.body["name"], e.body["root"], e.time_us),
    ),
    EventKind.EXPERIMENT_CREATED: _many(
        "INSERT OR IGNORE INTO experiment (id, workspace_id, name, created_us) VALUES (?, ?, ?, ?)",
        lambda e: (e.body["id"], e.body["workspace_id"], e.body["name"], e.time_us),
    ),
    EventKind.COMPUTE_REGISTERED: _many(
        "INSERT INTO compute_target (id, workspace_id, name, kind, config, created_us) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (workspace_id, name) DO UPDATE SET id = excluded.id, kind = excluded.kind,"
        " config = excluded.config, created_us = excluded.created_us",
        lambda e: (
            *(e.body[name] for name in ("id", "workspace_id", "name", "kind")),
            text(e.body["config"]),
            e.time_us,
        ),
    ),
    EventKind.COMPUTE_REMOVED: _many(
        "DELETE FROM compute_target WHERE workspace_id = ? AND name = ?",
        lambda e: (e.body["workspace_id"], e.body["name"]),
    ),
    EventKind.RUN_SUBMITTED: _many(
        "INSERT INTO run (id, number, workspace_id, experiment_id, name, spec, parameters, options, client, file,"
        " resumed_from, submitted_us, tags, properties, state)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'NotStarted')",
        _submitted,
    ),
    EventKind.RUN_PLANNED: _many(
        "UPDATE run SET snapshots = ?, state = 'Running', started_us = ? WHERE id = ?",
        lambda e: (text(e.body["snapshots"]), e.time_us, e.run),
    ),
    EventKind.STEP_PLANNED: _step_planned,
    EventKind.STEP_CHANGED: _step_changed,
    EventKind.STEP_RESOLVED: _step_resolved,
    EventKind.ATTEMPT_PREPARED: _attempt_prepared,
    EventKind.ATTEMPT_STARTED: _many(
        "UPDATE attempt SET state = 'Running', pid = ?, started_us = ? WHERE id = ? AND ended_us IS NULL",
        lambda e: (e.body["pid"], e.body["started_us"], e.body["id"]),
    ),
    EventKind.ATTEMPT_ENDED: _attempt_ended,
    EventKind.ARTIFACT_STORED: _artifact_stored,
    EventKind.OUTPUT_PUBLISHED: _many(
        "INSERT OR REPLACE INTO output (step_run_id, name, digest, kind, files, bytes, datastore_path)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        lambda e: (
            e.step_run,
            *(e.body[name] for name in ("name", "digest", "kind", "files", "bytes", "datastore_path")),
        ),
    ),
    EventKind.CACHE_STORED: _many(
        "INSERT OR REPLACE INTO cache_entry (fingerprint, step_run_id, recipe, created_us) VALUES (?, ?, ?, ?)",
        lambda e: (e.body["fingerprint"], e.step_run, e.body["recipe"], e.time_us),
    ),
    EventKind.CACHE_EVICTED: _many(
        "UPDATE cache_entry SET evicted_us = ?, evicted_reason = ? WHERE fingerprint = ? AND evicted_us IS NULL",
        lambda e: (e.time_us, e.body["reason"], e.body["fingerprint"]),
    ),
    EventKind.METRIC_LOGGED: _metric_logged,
    EventKind.RUN_TAGGED: _tagged("run", lambda e: e.run),
    EventKind.STEP_TAGGED: _tagged("step_run", lambda e: e.step_run),
    EventKind.RUN_CANCEL_ASKED: _many(
        "UPDATE run SET cancel_asked = 1, cancel_reason = ? WHERE id = ? AND NOT cancel_asked",
        lambda e: (e.body["reason"], e.run),
    ),
    EventKind.RUN_ENDED: _many(
        "UPDATE run SET state = ?, error = ?, ended_us = ? WHERE id = ? AND ended_us IS NULL",
        lambda e: (e.body["state"], text(e.body.get("error")), e.time_us, e.run),
    ),
}  # a warning is read from the journal itself
