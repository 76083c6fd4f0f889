"""Whether a database has the tables it should have. Imports SQLModel: half a second, some 30 MB."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from sqlalchemy import Table as CoreTable
from sqlalchemy.dialects import sqlite

from stepwell.store.tables import Table

_DIALECT = sqlite.dialect()


def differences(connection: sqlite3.Connection) -> list[str]:
    """Return what is not as in `tables`, one sentence each; an empty list is a good database."""
    found = {
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if not name.startswith("sqlite_")
    }
    wanted = Table.metadata.tables
    wrong = [f"table {name!r} is missing" for name in sorted(wanted.keys() - found)]
    wrong += [f"table {name!r} is unknown" for name in sorted(found - wanted.keys())]
    for name in sorted(found & wanted.keys()):
        wrong += _of_table(connection, wanted[name])
    return wrong


def _of_table(connection: sqlite3.Connection, table: CoreTable) -> Iterator[str]:
    rows = connection.execute(f'PRAGMA table_info("{table.name}")').fetchall()
    found = {name: (_affinity(kind), bool(required), bool(key)) for _, name, kind, required, _, key in rows}
    wanted = {
        column.name: (
            _affinity(column.type.compile(_DIALECT)),
            not column.nullable and not _is_row_number(table, column.name),
            column.primary_key,
        )
        for column in table.columns
    }
    for name in [*wanted, *(name for name in found if name not in wanted)]:
        if name not in found:
            yield f"column {table.name}.{name} is missing"
        elif name not in wanted:
            yield f"column {table.name}.{name} is unknown"
        elif found[name] != wanted[name]:
            yield f"column {table.name}.{name} is {_said(found[name])} and should be {_said(wanted[name])}"
    yield from _references(connection, table)


def _references(connection: sqlite3.Connection, table: CoreTable) -> Iterator[str]:
    rows = connection.execute(f'PRAGMA foreign_key_list("{table.name}")')
    found = {(column, f"{parent}.{target}") for _, _, parent, column, target, *_ in rows}
    wanted = {(key.parent.name, key.target_fullname) for key in table.foreign_keys}
    for column, target in sorted(wanted ^ found):
        be = "does not refer" if (column, target) in wanted else "must not refer"
        yield f"column {table.name}.{column} {be} to {target}"


def _is_row_number(table: CoreTable, name: str) -> bool:
    """SQLite's own row number, which it does not call required."""
    keys = [column.name for column in table.primary_key]
    return keys == [name] and table.columns[name].type.python_type is int


def _affinity(declared: str) -> str:
    """Return what SQLite makes of a declared type (its own rules, in its own order)."""
    kind = declared.upper()
    if "INT" in kind:
        return "INTEGER"
    if any(part in kind for part in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    return "REAL" if any(part in kind for part in ("REAL", "FLOA", "DOUB")) else "BLOB"


def _said(column: tuple[str, bool, bool]) -> str:
    kind, required, key = column
    return " ".join([kind, *(["NOT NULL"] if required else []), *(["PRIMARY KEY"] if key else [])])
