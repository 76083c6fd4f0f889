"""A fake daemon in a home of the test's own, which the command line finds through STEPWELL_HOME."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.fake_daemon import FakeDaemon, fake_daemon


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    monkeypatch.chdir(tmp_path)
    with fake_daemon(tmp_path) as running:
        monkeypatch.setenv("STEPWELL_HOME", str(running.home.root))
        yield running
