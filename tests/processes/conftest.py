"""A real daemon for each test of real processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stepwell.paths import Home
from support.live import Live


@pytest.fixture
def live(home: Home) -> Iterator[Live]:
    with Live(home) as live:
        yield live
