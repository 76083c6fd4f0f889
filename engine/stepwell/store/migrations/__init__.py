"""The schema, one numbered migration at a time, and how a database is brought up to date.

Each migration is a file of SQL. It runs in a transaction of its own that also sets
`user_version`, so a daemon killed in the middle of one finds the database as it was before. A
released file is never edited: databases made by it exist.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources

from stepwell.errors import MachineError


@dataclass(frozen=True, slots=True)
class Migration:
    """One change of the schema, from `number - 1` to `number`."""

    number: int
    sql: str

    def statements(self) -> list[str]:
        """Return the statements of the file, in order. A trigger is one statement."""
        found: list[str] = []
        lines: list[str] = []
        for line in self.sql.splitlines():
            if line.strip() and not line.lstrip().startswith("--"):
                lines.append(line)
                if sqlite3.complete_statement("\n".join(lines)):
                    found.append("\n".join(lines))
                    lines.clear()
        if lines:
            raise ValueError(f"migration {self.number} ends in the middle of a statement: {lines[0]!r}")
        return found


def _released(*names: str) -> tuple[Migration, ...]:
    folder = resources.files(__package__)
    return tuple(
        Migration(number, folder.joinpath(name).read_text(encoding="utf-8")) for number, name in enumerate(names, 1)
    )


MIGRATIONS = _released("0001_initial.sql")


def version_of(connection: sqlite3.Connection) -> int:
    """Return the number of the last migration that the database has seen; 0 for an empty one."""
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    return int(number)


def migrate(
    connection: sqlite3.Connection,
    migrations: Sequence[Migration],
    check: Callable[[sqlite3.Connection], list[str]],
) -> int:
    """Run the migrations that the database has not seen, and return how many there were.

    `check` looks at the result inside the last transaction and lists what is wrong with it.
    Raises MachineError, with the database as it was, when anything is.
    """
    pending = [migration for migration in migrations if migration.number > version_of(connection)]
    if not pending:
        return 0
    # A no-op inside a transaction, so it is switched off here; tables are re-made without it.
    connection.execute("PRAGMA foreign_keys = OFF")
    for migration in pending:
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in migration.statements():
                connection.execute(statement)
            wrong = [
                f"a row of {table!r} refers to one of {parent!r} that is not there"
                for table, _, parent, _ in connection.execute("PRAGMA foreign_key_check")
            ]
            if migration is pending[-1]:
                wrong += check(connection)
            if wrong:
                raise MachineError(
                    f"the database cannot be brought to schema {migration.number}: {'; '.join(wrong[:3])}",
                    hint="stepwell doctor",
                    code="migration_failed",
                )
            connection.execute(f"PRAGMA user_version = {migration.number}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk makes SQLite take it back by itself
                connection.execute("ROLLBACK")
            raise
    connection.execute("PRAGMA foreign_keys = ON")
    return len(pending)
