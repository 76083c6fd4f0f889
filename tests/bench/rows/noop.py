"""Running what has not changed: the whole `stepwell run` command with the daemon up, at four sizes.

The steps are chains of ten; each reads what the one above wrote and writes a file of its own, so
each decision looks up a recipe, the content of an input and a stored output.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from bench.row import Row, exponent, interleaved, median
from bench.scene import scene

SIZES = {10: 9, 100: 9, 1_000: 7, 10_000: 3}  # steps -> rounds
LINKS = """
from stepwell import CommandStep, Pipeline, PipelineData, Workspace

steps, above = [], None
for number in range({steps}):
    out = PipelineData("out")
    read = [] if number % 10 == 0 else [above]
    steps.append(
        CommandStep(
            command=["/bin/sh", "-c", 'echo "$0" > "$1"', str(number), out, *read],
            name=f"step_{{number}}",
            inputs=read,
            outputs=[out],
            compute_target="local",
        )
    )
    above = out
pipeline = Pipeline(Workspace.from_config(), steps=steps)
"""


def measure() -> Iterator[Row]:
    seconds = {}
    with scene() as made:
        for size, rounds in SIZES.items():
            file = made.pipeline(f"links_{size}", LINKS.format(steps=size))
            made.stepwell("run", file)
            again = made.asked("run", file)
            if again["ran"] != 0 or again["reused"] != size:
                raise RuntimeError(f"{again['ran']} of {size} unchanged steps ran")

            ours, floor = interleaved(
                rounds,
                lambda file=file: made.stepwell("run", file, "--json"),  # type: ignore[misc]
                lambda: made.spawn([sys.executable, "-c", "pass"]),
            )

            seconds[size] = median(ours)
            yield Row(
                name=f"no-op rerun of {size:,} steps",
                what="whole command; floor: a bare interpreter",
                unit="s",
                value=median(ours),
                floor=median(floor),
                samples=rounds,
                details={"in the daemon, s": float(again["duration_s"])},
            )
    sizes = list(seconds)
    yield Row(
        name="growth of the no-op rerun",
        what="exponent from 1,000 to 10,000 steps (1 is linear); all four sizes fitted: see details",
        unit="exponent",
        value=exponent(sizes[-2:], [seconds[size] for size in sizes[-2:]]),
        samples=len(sizes),
        details={"four sizes fitted": exponent(sizes, list(seconds.values()))},
    )
