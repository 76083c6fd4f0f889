"""How soon a command answers: `--help`, and `status` with the daemon up, over a bare interpreter."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from bench.row import Row, interleaved, median
from bench.scene import scene

ROUNDS = 21


def measure() -> Iterator[Row]:
    with scene() as made:
        made.stepwell("daemon", "start")
        made.stepwell("status")

        bare, asked, told = interleaved(
            ROUNDS,
            lambda: made.spawn([sys.executable, "-c", "pass"]),
            lambda: made.stepwell("--help"),
            lambda: made.stepwell("status"),
        )

    for name, values in (("`stepwell --help`", asked), ("`stepwell status`, daemon up", told)):
        yield Row(
            name=name,
            what="whole command; floor: a bare interpreter",
            unit="ms",
            value=median(values) * 1000,
            floor=median(bare) * 1000,
            samples=ROUNDS,
            details={"over the floor, ms": (median(values) - median(bare)) * 1000},
        )
