"""What steps made: artifacts, the outputs that name them, the entries that allow their reuse."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from stepwell.core.events import Event
from stepwell.store.encoding import bound
from stepwell.store.projection.rows import step_of

_ARTIFACT = """
    INSERT INTO artifact (digest, kind, files, bytes, created_us) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO NOTHING
"""
_OBJECT = "INSERT INTO object (digest, size, synced) VALUES (?, ?, 0) ON CONFLICT DO NOTHING"
_OUTPUT = """
    INSERT INTO output (step_run_id, name, digest, kind, bytes, files, datastore_path)
    VALUES (?, CAST(? AS TEXT), ?, ?, ?, ?, CAST(? AS TEXT))
    ON CONFLICT (step_run_id, name)
    DO UPDATE SET digest = excluded.digest, kind = excluded.kind, bytes = excluded.bytes,
                  files = excluded.files, datastore_path = excluded.datastore_path
"""
_ENTRY = """
    INSERT INTO cache_entry (fingerprint, step_run_id, recipe, created_us) VALUES (?, ?, ?, ?)
    ON CONFLICT (fingerprint, step_run_id)
    DO UPDATE SET recipe = excluded.recipe, created_us = excluded.created_us,
                  evicted_us = NULL, evicted_reason = NULL
"""
_EVICTED = """
    UPDATE cache_entry SET evicted_us = ?, evicted_reason = CAST(? AS TEXT)
    WHERE fingerprint = ? AND evicted_us IS NULL
"""


def artifacts_stored(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """Content entered the store; what was there already stays as it is."""
    for event in events:
        body = event.body
        values = (body["digest"], body["kind"], body["files"], body["bytes"], event.time_us)
        connection.execute(_ARTIFACT, values)
        connection.executemany(_OBJECT, body["objects"])


def outputs_published(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """A step run has an output; a further attempt of it replaces the one before."""
    for event in events:
        body = event.body
        values = (
            step_of(event),
            bound(body["name"]),
            body["digest"],
            body["kind"],
            body["bytes"],
            body["files"],
            bound(body.get("datastore_path")),
        )
        connection.execute(_OUTPUT, values)


def entries_stored(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    connection.executemany(_ENTRY, [(e.body["fingerprint"], step_of(e), e.body["recipe"], e.time_us) for e in events])


def entries_evicted(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """No step may reuse these any more; the reason is kept."""
    connection.executemany(_EVICTED, [(e.time_us, bound(e.body["reason"]), e.body["fingerprint"]) for e in events])
