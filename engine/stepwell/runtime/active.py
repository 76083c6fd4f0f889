"""A run that has not ended, in memory: its steps, what is known about each, and the facts for the planner.

Owned by the loop's thread; nothing here locks, reads a clock or touches the disk. The rows in the
database say the same, and a daemon that comes back builds this again from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stepwell.core.allocator import Holding, Pool
from stepwell.core.events import Event, EventKind
from stepwell.core.graph import Graph
from stepwell.core.manifest import Manifest
from stepwell.core.planner import PlanFacts, Previous, StepFacts, twins_of
from stepwell.core.spec import PipelineSpec, Scalar, StepSpec
from stepwell.core.states import (
    STEP_TERMINAL,
    AttemptState,
    RunState,
    StepState,
    advance_step,
    run_state,
)
from stepwell.runtime.preparation import Prepared


@dataclass(slots=True)
class LiveStep:
    """One step of a live run."""

    spec: StepSpec
    id: str
    recipe: Manifest
    state: StepState = StepState.NOT_STARTED
    forced: str | None = None
    outputs: Mapping[str, str] | None = None  # output name -> artifact digest, once Finished
    fingerprint: str | None = None
    attempt: str | None = None  # the id of the one that is under way
    tries: list[AttemptState] = field(default_factory=list)
    holding: Holding | None = None
    not_before: float = 0.0  # monotonic seconds; a retry waits
    bypassed: int = 0
    reason: str = ""
    waits: str | None = None  # why it is not running although it is ready
    cancel_reason: str | None = None

    @property
    def started(self) -> bool:
        return self.state not in (StepState.NOT_STARTED, StepState.QUEUED)

    def facts(self) -> StepFacts:
        return StepFacts(
            key=self.spec.key,
            upstream=self.spec.depends_on(),
            inputs=tuple((source.name, source.step, source.output) for source in self.spec.inputs),
            recipe=self.recipe,
            state=self.state,
            outputs=self.outputs,
            allow_reuse=self.spec.allow_reuse,
            forced=self.forced,
        )


@dataclass(slots=True)
class LiveRun:
    """One live run. `options` as submitted; `stop` says why no further step may start."""

    id: str
    number: int
    workspace_id: str
    workspace: str
    experiment: str
    spec: PipelineSpec
    graph: Graph
    parameters: Mapping[str, Scalar]
    client: Mapping[str, Any]
    options: Mapping[str, Any]
    pools: Mapping[str, Pool]
    prepared: Prepared | None = None
    steps: dict[str, LiveStep] = field(default_factory=dict)
    facts: dict[str, StepFacts] = field(default_factory=dict)
    twins: Mapping[str, tuple[str, ...]] | None = None
    inside: frozenset[str] = frozenset()  # fingerprints of the steps that this run was started from
    cancel_asked: bool = False
    cancel_reason: str | None = None
    stop: str | None = None

    @property
    def continue_on_failure(self) -> bool:
        asked = self.options.get("continue_on_step_failure")
        return self.spec.continue_on_step_failure if asked is None else bool(asked)

    @property
    def state(self) -> RunState:
        return run_state((step.state for step in self.steps.values()), cancel_asked=self.cancel_asked)

    @property
    def ended(self) -> bool:
        return bool(self.steps) and all(step.state in STEP_TERMINAL for step in self.steps.values())

    def forced_reason(self, key: str) -> str | None:
        """Return why step `key` must run whatever is stored, or None."""
        if self.options.get("force"):
            return "forced by --force"
        if self.options.get("regenerate_outputs"):
            return "forced by regenerate_outputs"
        origin = self.options.get("from_step")
        if origin and (key == origin or key in self.graph.below([origin])):
            return f"forced by --from {origin}"
        return None

    def event(self, kind: EventKind, time_us: int, body: dict[str, Any], step: LiveStep | None = None) -> Event:
        return Event(kind, time_us, body, run=self.id, step_run=step.id if step else None)

    def adopt_steps(self, steps: Iterable[LiveStep]) -> None:
        """Take the steps in, once all of them are known."""
        for step in steps:
            self.steps[step.spec.key] = step
            self.refresh(step)
        self.twins = twins_of(self.graph, self.facts)

    def move(self, step: LiveStep, target: StepState, reason: str, time_us: int, error: Any = None) -> Event:
        """Move a step to another state and return the event that says so; no live step moves elsewhere."""
        step.state = advance_step(step.state, target)
        step.reason = reason
        self.refresh(step)
        body: dict[str, Any] = {"state": str(target), "reason": reason}
        if error is not None:
            body["error"] = error or None  # {}: what an earlier try said is over
        return self.event(EventKind.STEP_CHANGED, time_us, body, step)

    def refresh(self, step: LiveStep) -> None:
        self.facts[step.spec.key] = step.facts()

    def plan_facts(
        self, in_flight: Mapping[str, str], previous: Callable[[StepSpec], Previous | None], now_us: int
    ) -> PlanFacts:
        assert self.prepared is not None
        return PlanFacts(
            graph=self.graph,
            steps=self.facts,
            entries=self.prepared.entries,
            in_flight=in_flight,
            now_us=now_us,
            previous=lambda key: previous(self.spec_of(key)),
            expand=self.prepared.expand,
            continue_on_failure=True,  # the scheduler sets `stop` at the failure that stops the run
            stop=self.stop,
            twins=self.twins,
        )

    def input_digests(self, step: LiveStep) -> dict[str, str]:
        """Return input name -> artifact digest; the steps above have finished; optional ones may lack."""
        found = {}
        for source in step.spec.inputs:
            outputs = self.steps[source.step].outputs
            assert outputs is not None
            if source.output in outputs:
                found[source.name] = outputs[source.output]
        return found

    def pool(self, step: LiveStep) -> Pool:
        """Return the pool that the step's compute target stands for, as it was when the run came in."""
        return self.pools[step.spec.compute_target or "local"]

    def pool_name(self, step: LiveStep) -> str:
        """Return a name of the pool that no other workspace's pool has."""
        name = step.spec.compute_target or "local"
        return name if name == "local" else f"{self.workspace_id}/{name}"

    def spec_of(self, key: str) -> StepSpec:
        return self.steps[key].spec

    def label(self, step: LiveStep) -> str:
        return f"run {self.number} step {step.spec.key!r}"
