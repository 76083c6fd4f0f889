"""What may be reused, and what a step was the last time."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from stepwell.store.encoding import bound, object_of
from stepwell.store.queries.chunks import select_in
from stepwell.store.records import EntryRecord, Json, PreviousRecord

_ENTRIES = """
    SELECT cache_entry.fingerprint, cache_entry.recipe, cache_entry.step_run_id, step_run.run_id,
           run.number, cache_entry.created_us, output.name, output.digest
    FROM cache_entry
    JOIN step_run ON step_run.id = cache_entry.step_run_id
    JOIN run ON run.id = step_run.run_id
    LEFT JOIN output ON output.step_run_id = cache_entry.step_run_id
    WHERE cache_entry.evicted_us IS NULL AND cache_entry.recipe IN ({})
"""
_PREVIOUS = """
    SELECT step_run.id, run.id, run.number, step_run.fingerprint, manifest.parts
    FROM step_run
    JOIN run ON run.id = step_run.run_id
    JOIN manifest ON manifest.fingerprint = step_run.fingerprint
    WHERE step_run.name = CAST(? AS TEXT) AND step_run.kind = ? AND step_run.state = 'Finished' AND run.workspace_id = ?
    ORDER BY step_run.id DESC LIMIT 1
"""


def entries(connection: sqlite3.Connection, recipes: Sequence[str]) -> list[EntryRecord]:
    """Return the results that steps with these recipes may reuse, newest last, with their outputs.

    Whether the outputs are still in the store is not asked here.
    """
    found: dict[tuple[str, str], EntryRecord] = {}
    outputs: dict[tuple[str, str], dict[str, str]] = {}
    for row in select_in(connection, _ENTRIES, recipes):
        key = (row[0], row[2])
        if key not in found:
            outputs[key] = {}
            found[key] = EntryRecord(*[*row[:6], outputs[key]])
        if row[6] is not None:
            outputs[key][row[6]] = row[7]
    return sorted(found.values(), key=lambda entry: (entry.created_us, entry.step_run))


def previous(connection: sqlite3.Connection, workspace_id: str, kind: str, name: str) -> PreviousRecord | None:
    """Return the newest finished run of a step of that kind and name, reused or not, with its manifest."""
    row = connection.execute(_PREVIOUS, (bound(name), kind, workspace_id)).fetchone()
    return None if row is None else PreviousRecord(*[*row[:4], object_of(row[4])])


def manifest(connection: sqlite3.Connection, fingerprint: str) -> Json | None:
    """Return what `Manifest.to_wire()` gave, or None where no manifest of that fingerprint is kept."""
    statement = "SELECT parts FROM manifest WHERE fingerprint = ?"
    row = connection.execute(statement, (fingerprint,)).fetchone()
    return None if row is None else object_of(row[0])
