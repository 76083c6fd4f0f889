"""Deciding 2,000 steps, in memory: the pure `plan` with every result known, as a chain and as a fan."""

from __future__ import annotations

from collections.abc import Iterator

from bench.row import Row, interleaved, median
from stepwell.core.graph import Graph
from stepwell.core.manifest import Manifest, fingerprint, recipe
from stepwell.core.planner import Action, Entry, PlanFacts, StepFacts, plan
from stepwell.core.spec import Argument, InputSpec, OutputSpec, StepSpec

STEPS = 2_000
ROUNDS = 25


def facts(*, chained: bool) -> PlanFacts:
    """Return what is known of a run of `STEPS` steps none of which has changed."""
    specs = [_step(number, chained=chained) for number in range(STEPS)]
    steps: dict[str, StepFacts] = {}
    entries: dict[str, Entry] = {}
    for spec in specs:
        made = _recipe(spec)
        inputs = {port.name: _content(port.step) for port in spec.inputs}
        key = fingerprint(made, inputs)
        entries[key] = Entry(key, f"old-{spec.key}", "run", 1, 0, {"out": _content(spec.key)})
        ports = tuple((port.name, port.step, port.output) for port in spec.inputs)
        steps[spec.key] = StepFacts(spec.key, spec.depends_on(), ports, made)
    return PlanFacts(Graph.of(specs), steps, entries, now_us=60_000_000)


def measure() -> Iterator[Row]:
    chain, fan = facts(chained=True), facts(chained=False)
    for known in (chain, fan):
        if any(verdict.action is not Action.REUSE for verdict in plan(known).values()):
            raise RuntimeError("a step that has not changed is not reused")

    seconds = interleaved(ROUNDS, lambda: plan(chain), lambda: plan(fan))

    for name, values in zip(("chain", "fan"), seconds, strict=True):
        yield Row(
            name=f"planning {STEPS:,} steps, {name}",
            what="one call of `plan`, all of them reused",
            unit="ms",
            value=median(values) * 1000,
            samples=ROUNDS,
        )


def _step(number: int, *, chained: bool) -> StepSpec:
    above = number - 1 if chained else 0
    reads = (InputSpec("above", f"step_{above}", "out"),) if number else ()
    return StepSpec(
        key=f"step_{number}",
        name=f"step_{number}",
        kind="command",
        arguments=(Argument(text="work"), Argument(text=str(number))),
        inputs=reads,
        outputs=(OutputSpec("out"),),
    )


def _recipe(step: StepSpec) -> Manifest:
    return recipe(step, type_version="1", parameters={}, source=None, hash_paths={}, environment={}, variables={})


def _content(key: str) -> str:
    return f"{key:0>64}"
