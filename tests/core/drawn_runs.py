"""Small pipelines as the planner sees them, for its tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from stepwell.core.graph import Graph
from stepwell.core.manifest import Manifest, Part, fingerprint
from stepwell.core.planner import Entry, PlanFacts, StepFacts
from stepwell.core.spec import InputSpec, OutputSpec, StepSpec

NOW = 1_000_000_000_000


def recipe_of(name: str) -> Manifest:
    return Manifest((Part("arguments", {"0": name}),))


def entry_for(mark: str, outputs: Mapping[str, str], **other: Any) -> Entry:
    known: dict[str, Any] = {"step_run": "sr", "run": "r", "run_number": 12, "created_us": NOW - 180_000_000}
    return Entry(mark, outputs=outputs, **{**known, **other})


@dataclass
class Pipeline:
    """Steps by key: `inputs` are (name, step above, output), `after` more keys."""

    steps: dict[str, StepFacts]
    graph: Graph

    def facts(self, **other: Any) -> PlanFacts:
        return PlanFacts(graph=self.graph, steps=self.steps, now_us=NOW, **other)

    def mark(self, key: str, **inputs: str) -> str:
        return fingerprint(self.steps[key].recipe, inputs)

    def set(self, key: str, **other: Any) -> None:
        self.steps[key] = replace(self.steps[key], **other)


def pipeline(**reads: tuple[str, ...]) -> Pipeline:
    """Return steps that each read `out` of the steps named; a name that begins with `+` is only run after."""
    specs = [
        StepSpec(
            key=key,
            name=key,
            kind="python_script",
            inputs=tuple(InputSpec(above, above, "out") for above in sources if above[0] != "+"),
            outputs=(OutputSpec("out"),),
            run_after=tuple(above[1:] for above in sources if above[0] == "+"),
        )
        for key, sources in reads.items()
    ]
    graph = Graph.of(specs)
    steps = {
        spec.key: StepFacts(
            key=spec.key,
            upstream=spec.depends_on(),
            inputs=tuple((port.name, port.step, port.output) for port in spec.inputs),
            recipe=recipe_of(spec.key),
        )
        for spec in specs
    }
    return Pipeline(steps, graph)
