"""Step runs: planned, resolved once their inputs are known, moved from state to state, tagged."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from stepwell.core.events import Event
from stepwell.core.states import STEP_MOVES, STEP_TERMINAL, StepState, advance_step
from stepwell.store.encoding import bound, json_or_null, to_json
from stepwell.store.projection.rows import absent, merge_tags, run_of, step_of

_PLANNED = """
    INSERT INTO step_run (id, run_id, key, name, kind, position, compute_target, upstream, state, reason,
                          verdict, verdict_reason, fingerprint, recipe, manifest, changed, compared_with,
                          reused_from, parent_step_run, queued_us, ended_us, error, attempts, tags, properties)
    VALUES (?, ?, CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, CAST(? AS TEXT), ?, ?, CAST(? AS TEXT),
            ?, CAST(? AS TEXT), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '{}', '{}')
"""
# Where a step may come from: the table of `core.states` read backwards.
_SOURCES = {
    target: ", ".join(f"'{source}'" for source in StepState if target in STEP_MOVES[source]) for target in StepState
}
_TIMES = {
    StepState.QUEUED: ", queued_us = ?",
    StepState.RUNNING: ", started_us = COALESCE(started_us, ?)",
    **dict.fromkeys(STEP_TERMINAL, ", ended_us = ?"),
}
_STATES = {str(state): state for state in StepState}


def planned(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """Make the rows of a run's steps; a reused step is born finished."""
    _keep_manifests(connection, events)
    connection.executemany(_PLANNED, [_planned_values(event) for event in events])


def _planned_values(event: Event) -> tuple[Any, ...]:
    body = event.body
    state, reason, verdict = StepState(body["state"]), bound(body.get("reason")), body.get("verdict")
    return (
        step_of(event),
        run_of(event),
        bound(body["key"]),
        bound(body["name"]),
        body["kind"],
        body["position"],
        bound(body.get("compute_target")),
        to_json(body.get("upstream") or []),
        state.value,
        reason,
        verdict,
        None if verdict is None else reason,
        body.get("fingerprint"),
        body.get("recipe"),
        _manifest_key(body),
        json_or_null(body.get("changed")),
        body.get("compared_with"),
        body.get("reused_from"),
        body.get("parent_step_run"),
        event.time_us if state is StepState.QUEUED else None,
        event.time_us if state in STEP_TERMINAL else None,
        json_or_null(body.get("error")),
    )


def _keep_manifests(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """Keep each manifest once, by its fingerprint."""
    found = [
        (event.body["fingerprint"], to_json(event.body["manifest"]))
        for event in events
        if _manifest_key(event.body) is not None
    ]
    if found:
        connection.executemany("INSERT INTO manifest (fingerprint, parts) VALUES (?, ?) ON CONFLICT DO NOTHING", found)


def _manifest_key(body: dict[str, Any]) -> str | None:
    return None if body.get("manifest") is None else body.get("fingerprint")


def resolved(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """A verdict was taken with the inputs known. Fields that the body does not name stay as they are."""
    _keep_manifests(connection, events)
    for event in events:
        columns = _resolved_columns(event.body)
        names = ", ".join(f"{name} = CAST(? AS TEXT)" for name in columns)
        update = f"UPDATE step_run SET {names} WHERE id = ?"
        if not connection.execute(update, (*columns.values(), step_of(event))).rowcount:
            raise absent(event, step_of(event))


def _resolved_columns(body: dict[str, Any]) -> dict[str, str | bytes | None]:
    plain = ("verdict", "fingerprint", "recipe", "compared_with", "reused_from")
    columns: dict[str, str | bytes | None] = {name: body[name] for name in plain if name in body}
    if "reason" in body:
        columns["reason"] = columns["verdict_reason"] = bound(body["reason"])
    if "changed" in body:
        columns["changed"] = json_or_null(body["changed"])
    if "manifest" in body:
        columns["manifest"] = _manifest_key(body)
    return columns


def changed(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """Move step runs. Repeating a terminal state changes nothing; any other wrong move raises IllegalMove."""
    for event in events:
        body, step = event.body, step_of(event)
        target = _STATES[body["state"]]
        update = "UPDATE step_run SET state = ?"
        values: list[Any] = [target.value]
        if "reason" in body:
            update += ", reason = CAST(? AS TEXT)"
            values.append(bound(body["reason"]))
        if "error" in body:
            update += ", error = ?"
            values.append(json_or_null(body["error"]))
        if target in _TIMES:
            update += _TIMES[target]
            values.append(event.time_us)
        update += f" WHERE id = ? AND state IN ({_SOURCES[target]})"
        if not connection.execute(update, (*values, step)).rowcount:
            _explain(connection, event, target)


def _explain(connection: sqlite3.Connection, event: Event, target: StepState) -> None:
    """Raise what is wrong with a move that changed no row, unless it repeats an end."""
    row = connection.execute("SELECT state FROM step_run WHERE id = ?", (event.step_run,)).fetchone()
    if row is None:
        raise absent(event, step_of(event))
    advance_step(StepState(row[0]), target)


def tagged(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    for event in events:
        merge_tags(connection, "step_run", step_of(event), event)
