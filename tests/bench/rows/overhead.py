"""What a step costs beyond its process: 100 trivial steps against a bare loop that starts the same ones.

The whole command is measured, with the daemon up: reading the pipeline file, submitting, deciding,
launching, logging, the durable state, and following the run to its end. Each repetition gives the
steps another argument, so none of them can be reused; the number keeps two of them from being the
same work, which would be done once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from bench.row import Row, interleaved, median
from bench.scene import Scene, scene

STEPS = 100
ROUNDS = 5
PROGRAM = "/bin/true"

CHAIN = """
from stepwell import CommandStep, Pipeline, PipelineParameter, Workspace

token = PipelineParameter("token", default_value="0")
steps = []
for number in range({steps}):
    step = CommandStep(command=[{program!r}, str(number), token], name=f"step_{{number}}", compute_target="local")
    if {chained} and steps:
        step.run_after(steps[-1])
    steps.append(step)
pipeline = Pipeline(Workspace.from_config(), steps=steps)
"""


def bare_loop(at_once: int) -> None:
    """Start and wait for the processes of the run, `at_once` at a time, and do nothing else."""
    live: set[int] = set()
    for number in range(STEPS):
        if len(live) == at_once:
            live.discard(os.wait()[0])
        live.add(os.posix_spawn(PROGRAM, [PROGRAM, str(number)], {}))
    while live:
        live.discard(os.wait()[0])


def measure() -> Iterator[Row]:
    with scene() as made:
        yield _row(made, "chain", "one after the other", chained=True, at_once=1)
        cpus = len(os.sched_getaffinity(0))
        yield _row(made, "fan", "side by side", chained=False, at_once=cpus)


def _row(made: Scene, name: str, how: str, *, chained: bool, at_once: int) -> Row:
    text = CHAIN.format(steps=STEPS, program=PROGRAM, chained=chained)
    file = made.pipeline(name, text)
    durations: list[float] = []
    made.stepwell("run", file, "-p", "token=warm")

    ours, floor = interleaved(ROUNDS, _run(made, file, durations), lambda: bare_loop(at_once))

    per_step = 1000 / STEPS
    return Row(
        name=f"overhead of a step, {name} of {STEPS}",
        what=f"whole `stepwell run` of {STEPS} x `true` {how}, less a bare loop of the same, per step",
        unit="ms",
        value=(median(ours) - median(floor)) * per_step,
        floor=median(floor) * per_step,
        samples=ROUNDS,
        details={
            "whole command, s": median(ours),
            "inside the daemon, submit to end, ms a step": median(durations) * per_step,
        },
    )


def _run(made: Scene, file: str, durations: list[float]) -> Callable[[], None]:
    def once() -> None:
        token = f"token={len(durations)}"
        run = made.asked("run", file, "-p", token)
        if run["ran"] != STEPS:
            raise RuntimeError(f"{run['ran']} of {STEPS} steps ran, {run['status']}")
        durations.append(float(run["duration_s"]))

    return once
