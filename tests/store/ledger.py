"""An empty database in memory, and all rows of one as plain data, for tests that compare them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from stepwell.core.events import Event
from stepwell.store import journal
from stepwell.store.encoding import TEXT_FACTORY
from stepwell.store.migrations import MIGRATIONS, migrate

Row = dict[str, Any]
Dump = dict[str, list[Row]]


@contextmanager
def in_memory() -> Iterator[sqlite3.Connection]:
    """Yield an up-to-date database without rows, with the settings that count for what rows mean."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.text_factory = TEXT_FACTORY
        migrate(connection, MIGRATIONS, lambda _: [])
        connection.execute("PRAGMA foreign_keys = ON")
        yield connection
    finally:
        connection.close()


def tables(connection: sqlite3.Connection) -> list[str]:
    """Return the names of the tables that hold rows; the journal is not one of them."""
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return [name for (name,) in names if name != "event" and not name.startswith("sqlite_")]


def dump(connection: sqlite3.Connection) -> Dump:
    """Return every row of every table but the journal."""
    found: Dump = {}
    for table in tables(connection):
        cursor = connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2")
        columns = [column[0] for column in cursor.description]
        found[table] = [dict(zip(columns, row, strict=True)) for row in cursor]
    return found


def replayed(events: Sequence[Event]) -> Dump:
    """Return the rows that a journal makes in an empty database."""
    with in_memory() as connection:
        journal.append(connection, events)
        return dump(connection)
