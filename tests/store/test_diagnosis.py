"""What is wrong with a database is said in one line; the file is left as it is."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from stepwell.core.events import Event, EventKind
from stepwell.errors import MachineError
from stepwell.paths import Home
from stepwell.store import diagnosis
from stepwell.store.database import Database
from stepwell.store.diagnosis import APPLICATION_ID
from stepwell.store.writer import Writer

NOBODY = 65534


def refused(home: Home) -> MachineError:
    with pytest.raises(MachineError) as caught:
        Database.open(home)
    assert "\n" not in caught.value.message
    return caught.value


def fill(home: Home, name: str = "ada", count: int = 1) -> None:
    database = Database.open(home)
    writer = Writer(database, lambda events: None)
    for number in range(count):
        body = {"id": f"{name}-{number}", "name": name * 20, "root": None}
        writer.emit(Event(EventKind.WORKSPACE_REGISTERED, 1, body)).result()
    writer.close()
    database.close()


def test_an_empty_file_is_not_taken_for_a_new_database(home: Home) -> None:
    home.database.touch()

    error = refused(home)

    assert str(error) == (
        f"{str(home.database)!r} is empty\n"
        f"  try: move {home.database} away to start empty; stored results stay in {home.store}"
    )
    assert error.code == "database_empty"
    assert home.database.stat().st_size == 0


def test_the_newest_copy_is_offered_where_there_is_one(home: Home) -> None:
    home.database.touch()
    copies = [home.backups / f"state-schema1-{number}.db" for number in (1, 2)]
    for copy in copies:
        copy.touch()

    assert refused(home).hint == f"cp {copies[1]} {home.database}"


@pytest.mark.parametrize("content", [b"x", b"\0" * 8192, b"SQLite format 2\0" + b"\0" * 5000, os.urandom(10_000)])
def test_garbage_is_named_and_left_alone(home: Home, content: bytes) -> None:
    home.database.write_bytes(content)

    error = refused(home)

    assert error.message == f"{str(home.database)!r} is not a database"
    assert error.code == "database_garbage"
    assert home.database.read_bytes() == content


def test_a_file_with_the_right_head_and_garbage_behind_it(home: Home) -> None:
    content = b"SQLite format 3\0" + b"\xff" * 8192
    home.database.write_bytes(content)

    error = refused(home)

    assert error.message == f"{str(home.database)!r} is not a database"
    assert home.database.read_bytes() == content


def test_a_folder_in_its_place(home: Home) -> None:
    home.database.mkdir()

    error = refused(home)

    assert str(error) == f"{str(home.database)!r} is not a file\n  try: move it away, or set STEPWELL_HOME"


def test_a_pipe_in_its_place_is_not_opened(home: Home) -> None:
    os.mkfifo(home.database)

    assert refused(home).message == f"{str(home.database)!r} is not a file"


def test_a_database_of_another_program(home: Home) -> None:
    with closing(sqlite3.connect(home.database)) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    before = home.database.read_bytes()

    error = refused(home)

    assert str(error) == (
        f"{str(home.database)!r} is the database of another program\n"
        "  try: move it away, or set STEPWELL_HOME to another folder"
    )
    assert home.database.read_bytes() == before


def test_a_newer_database_is_refused_by_its_number(home: Home) -> None:
    with closing(sqlite3.connect(home.database)) as newer:
        newer.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        newer.execute("PRAGMA user_version = 7")

    error = refused(home)

    assert str(error) == (
        "database is from a newer Stepwell (schema 7, this one knows 1)\n"
        "  try: install the newer Stepwell again, or set STEPWELL_HOME to another folder"
    )
    assert error.code == "database_newer"


def test_a_log_without_its_database_is_not_thrown_away(home: Home) -> None:
    log = home.database.with_name("state.db-wal")
    log.write_bytes(b"the last seconds")

    error = refused(home)

    assert str(error) == (
        f"{str(home.database)!r} is missing, but its log 'state.db-wal' is there\n"
        f"  try: put the database back, or remove {str(log)!r} to start empty"
    )
    assert log.read_bytes() == b"the last seconds"
    assert not home.database.exists()


def test_the_log_of_another_database_is_not_folded_into_ours(home: Home, tmp_path: Path) -> None:
    fill(home, "ours", 200)
    other = Home.at(tmp_path / "other")
    fill(other, "theirs", 3)
    with closing(sqlite3.connect(other.database, isolation_level=None)) as connection:
        connection.execute("UPDATE workspace SET name = 'x'")
        connection.execute("DROP TABLE metric")
        shutil.copy(other.root / "state.db-wal", home.root / "state.db-wal")
    before = home.database.read_bytes()

    error = refused(home)

    assert error.code == "database_damaged"
    assert error.message.startswith(f"{str(home.database)!r} is damaged: ")
    assert home.database.read_bytes() == before


def test_a_database_killed_before_its_log_was_folded_in_is_fine(home: Home, tmp_path: Path) -> None:
    database = Database.open(home)
    writer = Writer(database, lambda events: None)
    writer.emit(Event(EventKind.WORKSPACE_REGISTERED, 1, {"id": "w", "name": "ada", "root": None})).result()
    killed = Home.at(tmp_path / "killed")
    killed.create()
    for name in ("state.db", "state.db-wal"):
        shutil.copy(home.root / name, killed.root / name)
    writer.close()
    database.close()

    found = Database.open(killed)

    with found.read() as connection:
        assert connection.execute("SELECT id FROM workspace").fetchall() == [("w",)]
    found.close()


@contextmanager
def somebody_else(home: Home) -> Iterator[None]:
    """Act as a user without privileges, where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_home() -> Iterator[Home]:
    """A home in a folder that every user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="stepwell-test-"))
    folder.chmod(0o755)
    home = Home.at(folder / "home")
    yield home
    for path in (home.root, home.database):
        path.chmod(0o755)
    shutil.rmtree(folder)


def test_a_database_that_we_may_not_write(open_home: Home) -> None:
    fill(open_home)
    open_home.database.chmod(0o444)
    open_home.root.chmod(0o555)

    with somebody_else(open_home):
        error = refused(open_home)

    assert error.code == "database_read_only"
    assert error.message in (
        f"{str(open_home.database)!r} cannot be opened for writing",
        f"{str(open_home.database)!r} cannot be written: attempt to write a readonly database",
    )


def test_a_database_that_we_may_not_read(open_home: Home) -> None:
    fill(open_home)
    open_home.root.chmod(0o755)
    open_home.database.chmod(0o000)

    with somebody_else(open_home):
        error = refused(open_home)

    assert error.message == f"{str(open_home.database)!r} cannot be read: Permission denied"
    assert error.code == "database_unreadable"


def test_the_owner_is_named_where_it_is_somebody_else(open_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(open_home)
    monkeypatch.setattr(os, "geteuid", lambda: 4242)

    hint = diagnosis._writable(open_home.database)

    owner = open_home.database.stat().st_uid
    assert hint == f"it belongs to user {owner}, and you are user 4242: set STEPWELL_HOME to a folder of yours"


def test_another_program_that_holds_it_for_long(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(home)
    monkeypatch.setattr("stepwell.store.database.BUSY_S", 0.05)
    with closing(sqlite3.connect(home.database, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")

        error = refused(home)

    assert str(error) == (
        f"another program holds {str(home.database)!r}\n  try: close what has it open: fuser {home.database}"
    )


def test_an_error_that_is_our_own_is_left_as_it_is() -> None:
    with closing(sqlite3.connect(":memory:")) as connection, pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("SELECT nothing FROM nowhere")

    assert diagnosis.explain(caught.value, Path("/home/state.db")) is None
