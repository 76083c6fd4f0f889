"""A folder of the test's own to author in, and a daemon that says what the test tells it to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stepwell import Workspace
from stepwell.authoring.place import Place
from support.fake_daemon import FakeDaemon, fake_daemon


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def workspace(here: Path) -> Workspace:
    """A workspace nobody was asked about: describing pipelines needs no daemon."""
    return Workspace.from_config()


@pytest.fixture
def daemon(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    with fake_daemon(tmp_path) as running:
        monkeypatch.setenv("STEPWELL_HOME", str(running.home.root))
        yield running


@pytest.fixture
def known(daemon: FakeDaemon) -> Workspace:
    """A workspace that the daemon knows."""
    daemon.on("GET", "/v1/workspaces/ws-1", {"id": "ws-1", "name": "digits", "root": None, "created_us": 0})
    daemon.on("POST", "/v1/workspaces", {"id": "ws-1", "name": "digits", "root": None, "created_us": 0})
    return Workspace._at(Place("digits", "ws-1"))
