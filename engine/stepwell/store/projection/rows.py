"""What every projection asks of an event: whom it is about, and whether that row was there."""

from __future__ import annotations

import sqlite3

from stepwell.core.events import Event
from stepwell.store.encoding import object_of, to_json


def run_of(event: Event) -> str:
    """Return the id of the run. Raises ValueError where the event names none."""
    if event.run is None:
        raise ValueError(f"{event.kind} names no run")
    return event.run


def step_of(event: Event) -> str:
    """Return the id of the step run. Raises ValueError where the event names none."""
    if event.step_run is None:
        raise ValueError(f"{event.kind} names no step run")
    return event.step_run


def absent(event: Event, identity: str) -> LookupError:
    return LookupError(f"{event.kind} is about {identity!r}, which is not there")


def merge_tags(connection: sqlite3.Connection, table: str, identity: str, event: Event) -> None:
    """Merge the event's tags and properties into those of a row; a new value wins."""
    statement = f"SELECT tags, properties FROM {table} WHERE id = ?"
    row = connection.execute(statement, (identity,)).fetchone()
    if row is None:
        raise absent(event, identity)
    tags, properties = (
        to_json({**object_of(old), **(event.body.get(name) or {})})
        for name, old in zip(("tags", "properties"), row, strict=True)
    )
    update = f"UPDATE {table} SET tags = ?, properties = ? WHERE id = ?"
    connection.execute(update, (tags, properties, identity))
