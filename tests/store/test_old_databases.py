"""Databases of every schema ever released load for ever.

`fixtures/schema_N.db.gz` was made by the release whose schema was N, by `fixtures/make_schema_N.py`, and
holds the same story each time. A new schema adds a file and a line to `RELEASED`; none is ever remade.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepwell.core.events import Event, EventKind
from stepwell.paths import Home
from stepwell.store import queries, schema
from stepwell.store.database import Database
from stepwell.store.migrations import MIGRATIONS, version_of
from stepwell.store.writer import Writer

FIXTURES = Path(__file__).with_name("fixtures")
RELEASED = (1,)


@pytest.fixture(params=RELEASED)
def old(request: pytest.FixtureRequest, home: Home) -> Iterator[Database]:
    """A database of an old schema, opened by this Stepwell."""
    packed = FIXTURES / f"schema_{request.param}.db.gz"
    home.database.write_bytes(gzip.decompress(packed.read_bytes()))
    database = Database.open(home)
    yield database
    database.close()


def test_there_is_an_old_database_for_every_schema() -> None:
    assert [migration.number for migration in MIGRATIONS] == list(RELEASED)


def test_an_old_database_becomes_one_of_today(old: Database) -> None:
    with old.read() as connection:
        assert version_of(connection) == len(MIGRATIONS)
        assert schema.differences(connection) == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_its_workspaces_and_runs_are_there(old: Database) -> None:
    with old.read() as connection:
        workspaces = {item.name: (item.id, item.root) for item in queries.workspaces(connection)}
        runs = queries.runs(connection, None, None, 100)
        counts = queries.step_counts(connection, [run.id for run in runs])

    assert workspaces == {
        "two words 5": ("workspace-000001", "/raw\udcfe"),
        "%s{} 145": ("workspace-000002", "/moved"),
    }
    shown = [(run.workspace_id[-1], run.number, str(run.state), run.file, *counts[run.id].values()) for run in runs]
    assert shown == [
        ("1", 5, "Failed", "/p.py", 2, 1, 1, 0),
        ("1", 4, "Failed", None, 1, 0, 1, 0),
        ("1", 3, "Failed", "/p.py", 2, 0, 2, 0),
        ("1", 2, "Canceled", None, 1, 0, 0, 2),
        ("1", 1, "Finished", "/raw\udcff.py", 1, 0, 0, 0),
        ("2", 1, "Failed", "/raw\udcff.py", 3, 0, 1, 1),
    ]


def test_its_steps_attempts_and_results_are_there(old: Database) -> None:
    with old.read() as connection:
        run = queries.find_run(connection, "5", "workspace-000001")
        steps = queries.steps(connection, run.id)
        outputs = queries.outputs_of_run(connection, run.id)
        attempts = queries.attempts_of_run(connection, run.id)
        metrics = queries.metrics(connection, "step-000056", None)
        (entry,) = queries.entries(connection, ["recipe-000030"])

    assert run.spec == {"v": 1, "name": "n\udcff", "steps": []}
    assert [(step.key, str(step.state), step.reused_from) for step in steps] == [
        ("évaluer 57", "Finished", None),
        ("%s{} 78", "Finished", "step-000017"),
        ("train 81", "Lost", None),
    ]
    assert steps[2].error == {"message": "no\udcff", "exit_code": 3}
    assert [(attempt.step_run, attempt.number, str(attempt.state)) for attempt in attempts][-1][2] == "Lost"
    assert len(attempts) == 3
    assert len(outputs) == 1
    assert {point.name for point in metrics} == {"loss\udcff"}
    assert (entry.step_run, entry.outputs) == ("step-000017", {"raw\udcff": "digest-000071"})


def test_its_journal_is_there_and_goes_on(old: Database) -> None:
    with old.read() as connection:
        events = queries.events(connection, 0, 1000, None)
    body = {"id": "w", "name": "new", "root": None}

    writer = Writer(old, lambda told: None)
    (added,) = writer.emit(Event(EventKind.WORKSPACE_REGISTERED, 1, body)).result()
    writer.close()

    assert [event.seq for event in events] == list(range(1, 235))
    assert added.seq == 235
