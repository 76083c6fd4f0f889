"""What steps logged, and how far the files that they log to have been read."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from stepwell.core.events import Event
from stepwell.store.encoding import bound, to_json
from stepwell.store.projection.rows import run_of

_POINT = """
    INSERT INTO metric (run_id, step_run_id, name, kind, step, time_us, value)
    VALUES (?, ?, CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?)
"""
_CURSOR = """
    INSERT INTO cursor (file, position) VALUES (?, ?)
    ON CONFLICT (file) DO UPDATE SET position = excluded.position
"""


def logged(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """Keep points in the order they came. Points and cursor go together, so none counts twice."""
    for event in events:
        run, step_run = run_of(event), event.step_run
        points = [
            (run, step_run, bound(p["name"]), bound(p["kind"]), p["step"], p["time_us"], to_json(p["value"]))
            for p in event.body["points"]
        ]
        if points:
            connection.executemany(_POINT, points)
        cursor = event.body.get("cursor")
        if cursor is not None:
            connection.execute(_CURSOR, (cursor["file"], cursor["position"]))
