"""One SQLite file: opened with care, migrated with a copy kept, read by many, written by one.

    WAL, synchronous=NORMAL     a killed process loses nothing; a power cut may lose the last seconds
    foreign_keys=ON             SQLite's own default is off
    busy_timeout                for the moment in which another process looks at the file

A missing file is made. A file that is there and is not ours (empty, garbage, of a newer Stepwell) is
named and left alone: nothing is ever made anew over it.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stepwell.errors import MachineError
from stepwell.ids import now_us
from stepwell.paths import Home
from stepwell.store import migrations

BUSY_MS = 5_000
BACKUPS_KEPT = 5
PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA busy_timeout={BUSY_MS}",
    "PRAGMA temp_store=MEMORY",
)


class Database:
    """The database of a home. `read` may be used from any thread; writing belongs to `Writer`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False

    @classmethod
    def open(cls, home: Home) -> Database:
        """Open or make the home's database and bring it up to date. Raises MachineError, one line, where it cannot."""
        path = home.database
        _check_file(path)
        try:
            with _opened(path) as connection:
                _migrate(connection, home)
        except sqlite3.Error as error:
            raise _diagnosis(path, error) from error
        return cls(path)

    def connect(self) -> sqlite3.Connection:
        """Return a connection in autocommit mode with every pragma set; the caller closes it."""
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, cached_statements=256)
        for pragma in PRAGMAS:
            connection.execute(pragma)
        return connection

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Yield a read-only connection inside one read transaction: everything seen is of one moment."""
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self.connect()
            connection.execute("PRAGMA query_only=ON")
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.execute("ROLLBACK") if connection.in_transaction else None
            with self._lock:
                keep = not self._closed and len(self._idle) < 16
                if keep:
                    self._idle.append(connection)
            if not keep:
                connection.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def _check_file(path: Path) -> None:
    """Refuse what SQLite would silently take for a new database."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise MachineError(
                f"cannot make a database in {str(path.parent)!r}: the folder is not writable",
                code="database_read_only",
            ) from None
        return
    except OSError as error:
        raise MachineError(f"cannot look at {str(path)!r}: {error.strerror}", code="database_unreadable") from error
    if size == 0:
        raise MachineError(
            f"the database {str(path)!r} is empty: something cut it to nothing",
            hint=f"restore the newest copy from {str(path.parent / 'backups')!r}, or move the file away to start anew",
            code="database_empty",
        )
    if not os.access(path, os.R_OK | os.W_OK):
        raise MachineError(f"the database {str(path)!r} cannot be written", code="database_read_only")


def _diagnosis(path: Path, error: sqlite3.Error) -> MachineError:
    said = str(error)
    if "not a database" in said or "malformed" in said:
        return MachineError(
            f"{str(path)!r} is not a database of Stepwell, or is damaged: {said}",
            hint=f"restore the newest copy from {str(path.parent / 'backups')!r}, or move the file away to start anew",
            code="database_damaged",
        )
    if "readonly" in said or "unable to open" in said:
        return MachineError(f"the database {str(path)!r} cannot be written: {said}", code="database_read_only")
    if "full" in said:
        return MachineError(f"the disk is full where {str(path)!r} lies", hint="free some space", code="disk_full")
    return MachineError(f"cannot use the database {str(path)!r}: {said}", code="database")


def _migrate(connection: sqlite3.Connection, home: Home) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > migrations.VERSION:
        raise MachineError(
            f"the database is from a newer Stepwell (schema {version}, this one knows {migrations.VERSION})",
            hint="upgrade stepwell, or set STEPWELL_HOME to another folder",
            code="database_newer",
        )
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if version == 0 and tables:
        raise MachineError(
            f"{str(home.database)!r} is a database of some other program",
            hint="move it away",
            code="database_foreign",
        )
    connection.execute("PRAGMA journal_mode=WAL")
    if version == migrations.VERSION:
        return
    if version > 0:
        backup(connection, home, f"schema-{version}")
    for number in range(version + 1, migrations.VERSION + 1):
        _apply(connection, number)


def _apply(connection: sqlite3.Connection, number: int) -> None:
    """Run one migration whole or not at all. Foreign keys are off around it and checked inside."""
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in migrations.statements(number):
            connection.execute(statement)
        broken = connection.execute("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise MachineError(f"migration {number} would leave rows without their owners", code="migration")
        connection.execute(f"PRAGMA user_version={number}")
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def backup(connection: sqlite3.Connection, home: Home, label: str) -> Path:
    """Copy the database through SQLite's own backup, keep the newest few, and return the copy's path."""
    home.backups.mkdir(mode=0o700, exist_ok=True)
    target = home.backups / f"state-{now_us()}-{label}.db"
    with _opened(target) as copy:
        connection.backup(copy)
    for old in sorted(home.backups.glob("state-*.db"))[:-BACKUPS_KEPT]:
        old.unlink()
    return target
