from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from stepwell.errors import MachineError
from stepwell.paths import Home
from stepwell.store import schema
from stepwell.store.database import BACKUPS_KEPT, Database
from stepwell.store.migrations import MIGRATIONS, Migration, migrate, version_of

NEXT = len(MIGRATIONS) + 1
RENAMED = "UPDATE workspace SET name = 'renamed';"


def with_one_more(sql: str) -> tuple[Migration, ...]:
    return (*MIGRATIONS, Migration(NEXT, sql))


def made(home: Home, *statements: str) -> None:
    """Make a database with a workspace in it, as the last release left it."""
    Database.open(home).close()
    workspace = "INSERT INTO workspace (id, name, root, created_us) VALUES ('w', 'before', NULL, 1)"
    for statement in (workspace, *statements):
        asked(home.database, statement)


def asked(path: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(statement).fetchall()


def refused(home: Home, migrations: Sequence[Migration]) -> MachineError:
    with pytest.raises(MachineError) as caught:
        Database.open(home, migrations=migrations)
    return caught.value


def test_an_older_database_is_copied_and_brought_up_to_date(home: Home) -> None:
    made(home)

    Database.open(home, migrations=with_one_more(RENAMED)).close()

    (copy,) = home.backups.glob("*")
    assert copy.name.startswith(f"state-schema{NEXT - 1}-")
    assert copy.suffix == ".db"
    assert asked(copy, "SELECT name FROM workspace") == [("before",)]
    assert asked(copy, "PRAGMA user_version") == [(NEXT - 1,)]
    assert asked(home.database, "SELECT name FROM workspace") == [("renamed",)]
    assert asked(home.database, "PRAGMA user_version") == [(NEXT,)]


def test_the_copy_holds_what_was_still_in_the_log(home: Home) -> None:
    made(home)
    with closing(sqlite3.connect(home.database, isolation_level=None)) as other:
        other.execute("UPDATE workspace SET name = 'in the log'")

        Database.open(home, migrations=with_one_more(RENAMED)).close()

    (copy,) = home.backups.glob("*")
    assert asked(copy, "SELECT name FROM workspace") == [("in the log",)]


def test_a_database_that_is_up_to_date_is_not_copied(home: Home) -> None:
    made(home)

    Database.open(home).close()

    assert list(home.backups.glob("*")) == []


def test_only_the_newest_copies_are_kept(home: Home) -> None:
    made(home)
    old = [home.backups / f"state-schema1-{number}.db" for number in range(BACKUPS_KEPT + 2)]
    for path in old:
        path.touch()

    Database.open(home, migrations=with_one_more(RENAMED)).close()

    assert len(list(home.backups.glob("*"))) == BACKUPS_KEPT
    assert not old[0].exists()
    assert any(asked(path, "PRAGMA user_version") for path in home.backups.glob("*") if path.stat().st_size)


def test_a_migration_that_fails_leaves_the_database_as_it_was(home: Home) -> None:
    made(home)

    with pytest.raises(sqlite3.OperationalError, match="no such table: nowhere"):
        Database.open(home, migrations=with_one_more(f"{RENAMED}\nUPDATE nowhere SET x = 1;"))

    assert asked(home.database, "SELECT name FROM workspace") == [("before",)]
    assert asked(home.database, "PRAGMA user_version") == [(NEXT - 1,)]
    Database.open(home).close()


def test_a_migration_that_leads_to_other_tables_is_taken_back_and_says_which(home: Home) -> None:
    made(home)
    altered = "ALTER TABLE workspace ADD COLUMN colour TEXT;\nCREATE TABLE lamp (id TEXT);"

    error = refused(home, with_one_more(altered))

    assert str(error) == (
        f"the database cannot be brought to schema {NEXT}: table 'lamp' is unknown; "
        "column workspace.colour is unknown\n  try: stepwell doctor"
    )
    assert asked(home.database, "PRAGMA user_version") == [(NEXT - 1,)]
    assert ("colour",) not in asked(home.database, "SELECT name FROM pragma_table_info('workspace')")


def test_a_migration_that_leaves_rows_without_their_owner_is_taken_back(home: Home) -> None:
    made(home, "INSERT INTO experiment VALUES ('e', 'w', 'digits', 1)")

    error = refused(home, with_one_more("DELETE FROM workspace;"))

    assert error.message == (
        f"the database cannot be brought to schema {NEXT}: "
        "a row of 'experiment' refers to one of 'workspace' that is not there"
    )
    assert asked(home.database, "SELECT id FROM workspace") == [("w",)]


def test_a_table_may_be_made_anew_although_others_refer_to_it(home: Home) -> None:
    made(home, "INSERT INTO experiment VALUES ('e', 'w', 'digits', 1)")
    (definition,) = asked(home.database, "SELECT sql FROM sqlite_master WHERE name = 'workspace'")[0]
    anew = f"""
        {str(definition).replace("CREATE TABLE workspace", "CREATE TABLE workspace_new")};
        INSERT INTO workspace_new SELECT * FROM workspace;
        DROP TABLE workspace;
        ALTER TABLE workspace_new RENAME TO workspace;
    """

    database = Database.open(home, migrations=with_one_more(anew))

    with database.read() as connection:
        assert schema.differences(connection) == []
        assert connection.execute("SELECT id FROM workspace").fetchall() == [("w",)]
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
    database.close()


KILLED = """
import os, signal, sqlite3, sys
from stepwell.paths import Home
from stepwell.store.database import Database
from stepwell.store.migrations import MIGRATIONS, Migration
class Deadly(Migration):
    def statements(self):
        yield "UPDATE workspace SET name = 'half'"
        os.kill(os.getpid(), signal.SIGKILL)
Database.open(Home.at(sys.argv[1]), migrations=(*MIGRATIONS, Deadly(len(MIGRATIONS) + 1, "")))
"""


def test_a_daemon_killed_in_the_middle_of_a_migration_resumes_it(home: Home) -> None:
    made(home)

    killed = subprocess.run([sys.executable, "-c", KILLED, home.root], check=False)

    assert killed.returncode == -signal.SIGKILL
    assert asked(home.database, "SELECT name FROM workspace") == [("before",)]
    Database.open(home, migrations=with_one_more(RENAMED)).close()
    assert asked(home.database, "SELECT name FROM workspace") == [("renamed",)]


def test_migrations_run_once_and_in_order() -> None:
    first = Migration(1, "CREATE TABLE a (x);\nINSERT INTO a VALUES (1);")
    second = Migration(2, "INSERT INTO a VALUES (2);")
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        assert migrate(connection, (first,), lambda _: []) == 1
        assert migrate(connection, (first, second), lambda _: []) == 1
        assert migrate(connection, (first, second), lambda _: []) == 0

        assert version_of(connection) == 2
        assert connection.execute("SELECT x FROM a").fetchall() == [(1,), (2,)]


def test_a_trigger_is_one_statement_and_a_comment_is_none() -> None:
    sql = (
        "-- first; second\nCREATE TABLE a (x);\n\nCREATE TRIGGER t DELETE ON a\nBEGIN\n  SELECT 1;\n  SELECT 2;\nEND;\n"
    )

    found = Migration(1, sql).statements()

    assert found == [
        "CREATE TABLE a (x);",
        "CREATE TRIGGER t DELETE ON a\nBEGIN\n  SELECT 1;\n  SELECT 2;\nEND;",
    ]


def test_a_migration_cut_short_is_refused() -> None:
    with pytest.raises(ValueError, match="migration 1 ends in the middle of a statement: 'CREATE TABLE'"):
        Migration(1, "CREATE TABLE").statements()


def test_what_differs_from_the_tables_is_named(home: Home) -> None:
    made(home)
    for statement in (
        "DROP TABLE lease",
        "ALTER TABLE run DROP COLUMN counts",
        "ALTER TABLE metric RENAME COLUMN step TO pace",
        "DROP TABLE cursor",
        "CREATE TABLE cursor (file INTEGER, position INTEGER NOT NULL REFERENCES run (number))",
    ):
        asked(home.database, statement)

    with closing(sqlite3.connect(home.database)) as connection:
        found = schema.differences(connection)

    assert found == [
        "table 'lease' is missing",
        "column cursor.file is INTEGER and should be TEXT NOT NULL PRIMARY KEY",
        "column cursor.position must not refer to run.number",
        "column metric.step is missing",
        "column metric.pace is unknown",
        "column run.counts is missing",
    ]
