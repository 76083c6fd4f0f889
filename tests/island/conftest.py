"""A real launcher for each test of launchers, shims and steps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from island.real_launcher import RealLauncher
from stepwell.paths import Home


@pytest.fixture
def launcher(home: Home) -> Iterator[RealLauncher]:
    launcher = RealLauncher(home.root)
    try:
        yield launcher
    finally:
        launcher.close()
