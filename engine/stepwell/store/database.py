"""One SQLite file: opened with care, migrated with a copy kept, read by many, written by one.

    journal_mode=WAL         readers and the writer never wait for each other
    synchronous=NORMAL       a killed process loses nothing; a power cut may lose the last seconds
    foreign_keys=ON          SQLite's own default is off
    busy_timeout             for the moment in which another program looks at the file

A missing file is made, whole, beside its place and renamed into it: an empty one is never ours.
A file that is there and is not what it should be is named and left alone.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from stepwell.ids import now_us
from stepwell.paths import Home
from stepwell.store import diagnosis
from stepwell.store.encoding import TEXT_FACTORY
from stepwell.store.migrations import MIGRATIONS, Migration, migrate, version_of

BUSY_S = 10.0
BACKUPS_KEPT = 5
IDLE_READERS = 16  # connections kept open; each costs some 100 KiB once it has read
LOG_KEPT = 32 << 20  # bytes of write-ahead log that stay on the disk after a checkpoint
_PRAGMAS = (
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    f"PRAGMA journal_size_limit = {LOG_KEPT}",
)


def connect(path: Path, mode: str = "rw") -> sqlite3.Connection:
    """Return a connection with every setting made, without transactions of Python's own. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        diagnosis.uri(path, mode),
        uri=True,
        timeout=BUSY_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
    )
    try:
        connection.text_factory = TEXT_FACTORY
        for pragma in _PRAGMAS:
            connection.execute(pragma)
    except BaseException:
        connection.close()
        raise
    return connection


class Database:
    """The state of one home. Thread-safe: everybody reads, `Writer` alone writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False

    @classmethod
    def open(cls, home: Home, *, migrations: Sequence[Migration] = MIGRATIONS) -> Database:
        """Return the database of `home`, made where it is missing and brought up to date where it is old.

        Raises MachineError, one line, for a file that is empty, garbage, damaged, of another
        program, of a newer Stepwell, or not ours to write.
        """
        path = home.database
        try:
            if path.exists():
                diagnosis.require_ours(path, len(migrations))
            else:
                diagnosis.require_nothing_left(path)
                _create(home, migrations)
            with closing(connect(path)) as connection:
                if version_of(connection) < len(migrations):
                    _upgrade(connection, home, migrations)
                connection.execute("BEGIN IMMEDIATE")  # now, not at the first run, it must turn out
                connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise (diagnosis.explain(error, path) or error) from error
        return cls(path)

    def connect(self) -> sqlite3.Connection:
        """Return a connection that may write. It belongs to the caller, who closes it."""
        return connect(self.path)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection that only reads, in a transaction: all it shows is of one moment.

        Keep it for milliseconds: while it is open the log cannot shrink. Not for two threads.
        """
        connection = self._take()
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            self._give_back(connection)

    def close(self) -> None:
        """Close what is idle; a connection that is lent is closed when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        try:
            connection = connect(self.path)
            connection.execute("PRAGMA query_only = ON")
        except sqlite3.Error as error:
            raise (diagnosis.explain(error, self.path) or error) from error
        return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        with self._lock:
            keep = not self._closed and len(self._idle) < IDLE_READERS
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()


def _create(home: Home, migrations: Sequence[Migration]) -> None:
    """Make an empty database under another name, then give it its own."""
    home.create()
    building = home.database.with_name("state.db.new")
    for leftover in (building, *(building.with_name(building.name + end) for end in ("-wal", "-shm", "-journal"))):
        leftover.unlink(missing_ok=True)
    with closing(connect(building, "rwc")) as connection:
        connection.execute(f"PRAGMA application_id = {diagnosis.APPLICATION_ID}")
        connection.execute("PRAGMA journal_mode = WAL")
        migrate(connection, migrations, lambda _: [])
    os.replace(building, home.database)


def _upgrade(connection: sqlite3.Connection, home: Home, migrations: Sequence[Migration]) -> None:
    from stepwell.store import schema  # imports SQLModel, which only an upgrade needs

    _back_up(connection, home)
    migrate(connection, migrations, schema.differences)


def _back_up(connection: sqlite3.Connection, home: Home) -> Path:
    """Copy the database into `backups/` and return the copy; the newest few are kept."""
    home.backups.mkdir(mode=0o700, exist_ok=True)
    target = home.backups / f"state-schema{version_of(connection)}-{now_us()}.db"
    building = target.with_suffix(".part")
    with closing(sqlite3.connect(building)) as copy:
        connection.backup(copy)
    os.replace(building, target)
    for old in sorted(home.backups.glob("state-*.db"), key=_age)[:-BACKUPS_KEPT]:
        old.unlink()
    return target


def _age(path: Path) -> int:
    return path.stat().st_mtime_ns
