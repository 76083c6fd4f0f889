from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from stepwell.core.events import Event, EventKind
from stepwell.errors import MachineError
from stepwell.paths import Home
from stepwell.store import queries, schema
from stepwell.store.database import IDLE_READERS, Database
from stepwell.store.diagnosis import APPLICATION_ID
from stepwell.store.migrations import MIGRATIONS, version_of
from stepwell.store.writer import Writer


def workspace(identity: str, name: str = "ada") -> Event:
    return Event(EventKind.WORKSPACE_REGISTERED, 1, {"id": identity, "name": name, "root": None})


def pragma(connection: sqlite3.Connection, name: str) -> object:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return value


def test_a_missing_database_is_made_with_every_table(database: Database) -> None:
    with database.read() as connection:
        assert version_of(connection) == len(MIGRATIONS)
        assert pragma(connection, "application_id") == APPLICATION_ID
        assert schema.differences(connection) == []


def test_the_settings_of_a_writing_connection(database: Database) -> None:
    connection = database.connect()

    found = {name: pragma(connection, name) for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")}
    connection.close()

    assert found == {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 10_000}


def test_the_settings_of_a_reading_connection(database: Database) -> None:
    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "query_only")
    with database.read() as connection:
        found = {name: pragma(connection, name) for name in names}

    assert found == {
        "journal_mode": "wal",
        "synchronous": 1,
        "foreign_keys": 1,
        "busy_timeout": 10_000,
        "query_only": 1,
    }


def test_a_reader_cannot_write(database: Database) -> None:
    with database.read() as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM workspace")


def test_what_a_reader_sees_is_of_one_moment(database: Database, writer: Writer) -> None:
    writer.emit(workspace("w1")).result()

    with database.read() as connection:
        before = queries.last_seq(connection)
        writer.emit(workspace("w2")).result()
        seen = [record.id for record in queries.workspaces(connection)], queries.last_seq(connection)
    with database.read() as connection:
        after = [record.id for record in queries.workspaces(connection)]

    assert seen == (["w1"], before)
    assert after == ["w1", "w2"]


def test_a_reader_that_failed_gives_its_connection_back_clean(database: Database, writer: Writer) -> None:
    with pytest.raises(ZeroDivisionError), database.read() as broken:
        broken.execute("SELECT 1")
        raise ZeroDivisionError
    writer.emit(workspace("w1")).result()

    with database.read() as connection:
        assert connection is broken
        assert len(queries.workspaces(connection)) == 1


def test_readers_are_kept_for_the_next_one_but_not_all_of_them(database: Database) -> None:
    barrier = threading.Barrier(IDLE_READERS + 4)

    def look() -> None:
        with database.read():
            barrier.wait(timeout=20)

    threads = [threading.Thread(target=look) for _ in range(IDLE_READERS + 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(database._idle) == IDLE_READERS


def test_a_connection_that_is_lent_while_the_database_closes_is_closed_when_it_comes_back(home: Home) -> None:
    database = Database.open(home)

    with database.read() as connection:
        database.close()
        assert queries.workspaces(connection) == []

    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_opening_again_finds_what_was_written(home: Home) -> None:
    for identity in ("w1", "w2"):
        database = Database.open(home)
        writer = Writer(database, lambda events: None)
        writer.emit(workspace(identity)).result()
        writer.close()
        database.close()

    database = Database.open(home)
    with database.read() as connection:
        assert [record.id for record in queries.workspaces(connection)] == ["w1", "w2"]
    database.close()


def test_a_clean_end_leaves_one_file(home: Home) -> None:
    database = Database.open(home)
    writer = Writer(database, lambda events: None)
    writer.emit(workspace("w1")).result()

    writer.close()
    database.close()

    assert sorted(path.name for path in home.root.glob("state.db*")) == ["state.db"]


@pytest.mark.parametrize("name", ["two words", "q?mode=memory&x=%20#y", "quote'\"", "raw\udcff", "🚀", "new\nline"])
def test_a_home_may_have_any_name(tmp_path: Path, name: str) -> None:
    home = Home.at(tmp_path / name)

    Database.open(home).close()

    assert home.database.stat().st_size > 0


def test_a_creation_that_was_killed_leaves_nothing_in_the_way(home: Home) -> None:
    for name in ("state.db.new", "state.db.new-wal", "state.db.new-shm"):
        (home.root / name).write_bytes(b"half of it")

    database = Database.open(home)

    with database.read() as connection:
        assert schema.differences(connection) == []
    database.close()
    assert list(home.root.glob("state.db.new*")) == []


def test_a_home_that_is_not_there_is_made(tmp_path: Path) -> None:
    home = Home.at(tmp_path / "not" / "there")

    Database.open(home).close()

    assert home.database.exists()


def test_a_home_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(MachineError) as caught:
        Database.open(Home.at(tmp_path / "file" / "home"))

    assert str(caught.value) == (
        f"cannot use {str(tmp_path / 'file' / 'home')!r} as the home: Not a directory\n"
        "  try: set STEPWELL_HOME to a folder on a local disk that you can write"
    )


def test_opening_a_database_loads_no_object_mapper(tmp_path: Path) -> None:
    program = (
        "import sys; from stepwell.paths import Home; from stepwell.store.database import Database;"
        "from stepwell.store import queries, writer; Database.open(Home.at(sys.argv[1])).close();"
        "print(sorted({'sqlmodel', 'sqlalchemy', 'pydantic'} & sys.modules.keys()))"
    )

    answer = subprocess.run([sys.executable, "-c", program, tmp_path / "h"], capture_output=True, text=True, check=True)

    assert answer.stdout == "[]\n"
