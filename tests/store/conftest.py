"""A home of its own for each test, its database, and a writer on it. No daemon is anywhere near."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stepwell.paths import Home
from stepwell.store.database import Database
from stepwell.store.writer import Writer


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home.at(tmp_path / "home")
    home.create()
    return home


@pytest.fixture
def database(home: Home) -> Iterator[Database]:
    database = Database.open(home)
    yield database
    database.close()


@pytest.fixture
def writer(database: Database) -> Iterator[Writer]:
    writer = Writer(database, lambda events: None)
    yield writer
    writer.close()
