"""Attempts: prepared with what they hold, started, ended."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from stepwell.core.events import Event
from stepwell.core.states import ATTEMPT_MOVES, ATTEMPT_TERMINAL, AttemptState, advance_attempt
from stepwell.store.encoding import bound, to_json
from stepwell.store.projection.rows import absent, step_of

_PREPARED = f"""
    INSERT INTO attempt (id, step_run_id, number, state, folder, placement, prepared_us)
    VALUES (?, ?, ?, '{AttemptState.PREPARED}', ?, ?, ?)
"""
_LEASE = "INSERT INTO lease (attempt_id, pool, cpus, memory_mib, gpus, taken_us) VALUES (?, ?, ?, ?, ?, ?)"
_ENDED = """
    UPDATE attempt SET state = ?, ended_us = ?, exit_code = ?, signal = ?, message = CAST(? AS TEXT),
                       cpu_s = ?, max_rss_mib = ?, duration_s = ?
    WHERE id = ? AND state IN ({sources})
"""
_SOURCES = {
    target: ", ".join(f"'{source}'" for source in AttemptState if target in ATTEMPT_MOVES[source])
    for target in ATTEMPT_TERMINAL
}


def prepared(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """Make an attempt, with a lease on what it was placed on."""
    for event in events:
        body, step = event.body, step_of(event)
        place = body["placement"]
        connection.execute(_PREPARED, (body["id"], step, body["number"], body["folder"], to_json(place), event.time_us))
        held = (place["pool"], place["cpus"], place["memory_mib"], to_json(place["gpus"]))
        connection.execute(_LEASE, (body["id"], *held, event.time_us))
        connection.execute("UPDATE step_run SET attempts = ? WHERE id = ?", (body["number"], step))


def started(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """The process runs. One whose exit was seen first stays ended."""
    update = f"""
        UPDATE attempt SET state = '{AttemptState.RUNNING}', pid = ?, started_us = ?
        WHERE id = ? AND ended_us IS NULL
    """
    for event in events:
        body = event.body
        if not connection.execute(update, (body["pid"], body["started_us"], body["id"])).rowcount:
            _state_of(connection, event)


def ended(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """End attempts and free what they hold. The same end reported again changes nothing."""
    for event in events:
        body = event.body
        target = AttemptState(body["state"])
        values = (
            target.value,
            event.time_us,
            body.get("exit_code"),
            body.get("signal"),
            bound(body.get("message")),
            body.get("cpu_s"),
            body.get("max_rss_mib"),
            body.get("duration_s"),
            body["id"],
        )
        if connection.execute(_ENDED.format(sources=_SOURCES[target]), values).rowcount:
            free = "UPDATE lease SET freed_us = ? WHERE attempt_id = ?"
            connection.execute(free, (event.time_us, body["id"]))
        else:
            advance_attempt(_state_of(connection, event), target)


def _state_of(connection: sqlite3.Connection, event: Event) -> AttemptState:
    row = connection.execute("SELECT state FROM attempt WHERE id = ?", (event.body["id"],)).fetchone()
    if row is None:
        raise absent(event, event.body["id"])
    return AttemptState(row[0])
