"""A store in a home of its own, and a folder to freeze."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepwell.content.artifacts import ObjectStore
from stepwell.paths import Home


@pytest.fixture
def place(tmp_path: Path) -> Home:
    """A home with its folders made, and no daemon in it."""
    home = Home.at(tmp_path / "home")
    home.create()
    return home


@pytest.fixture
def store(place: Home) -> ObjectStore:
    return ObjectStore(place)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder
