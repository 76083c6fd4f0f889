"""One line of the benchmark, and how a number becomes one.

Every number is the median of `samples`, smaller is better, and where a floor exists (the least
that any program could need, such as a bare loop of the same processes) floor and ours were
measured in turn, in one process, so that a busy machine troubles both alike.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """`value` and `floor` are in `unit`. `details` are further numbers that explain the value."""

    name: str
    what: str
    unit: str
    value: float
    floor: float | None = None
    samples: int = 1
    details: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


Measure = Callable[[], Iterator[Row]]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def timed(work: Callable[[], object]) -> float:
    """Return how long `work` took, in seconds of the monotonic clock."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def interleaved(times: int, *works: Callable[[], object]) -> list[list[float]]:
    """Run the works in turn, `times` rounds, and return the seconds of each: [work][round]."""
    rounds = [[timed(work) for work in works] for _ in range(times)]
    return [list(column) for column in zip(*rounds, strict=True)]


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Return p of the best fitting `seconds = c * size**p`: 1 is linear, 2 is quadratic."""
    slope, _ = statistics.linear_regression([math.log(size) for size in sizes], [math.log(value) for value in seconds])
    return slope
