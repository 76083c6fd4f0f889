"""What queries return: frozen, plain, nothing of SQLite in it. Times are microseconds UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stepwell.core.states import AttemptState, RunState, StepState
from stepwell.store.encoding import object_of, object_or_none

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class WorkspaceRecord:
    id: str
    name: str
    root: str | None
    created_us: int


@dataclass(frozen=True, slots=True)
class ExperimentRecord:
    id: str
    workspace_id: str
    name: str
    created_us: int


@dataclass(frozen=True, slots=True)
class ComputeRecord:
    id: str
    workspace_id: str
    name: str
    kind: str
    config: Json
    created_us: int


@dataclass(frozen=True, slots=True)
class RunTexts:
    """The long parts of a run, still as JSON: most readers never open them."""

    options: str
    client: str
    snapshots: str | None
    spec: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run. `spec`, `options`, `client` and `snapshots` are opened anew each time they are read."""

    id: str
    number: int
    workspace_id: str
    workspace_name: str
    experiment: str
    name: str
    file: str | None
    state: RunState
    cancel_asked: bool
    cancel_reason: str | None
    submitted_us: int
    started_us: int | None
    ended_us: int | None
    resumed_from: str | None
    parameters: Json
    tags: Json
    properties: Json
    error: Json | None
    texts: RunTexts = field(repr=False)

    @property
    def spec(self) -> Json:
        """The pipeline as submitted: `PipelineSpec.to_wire()`."""
        return object_of(self.texts.spec)

    @property
    def options(self) -> Json:
        return object_of(self.texts.options)

    @property
    def client(self) -> Json:
        return object_of(self.texts.client)

    @property
    def snapshots(self) -> Json | None:
        """What the run was planned from; None until its sources are frozen."""
        return object_or_none(self.texts.snapshots)


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A step run. `reason` follows the state; `verdict_reason` stays what the planner said.

    `manifest` is the fingerprint under which the manifest is kept; `attempts` counts them.
    """

    id: str
    run: str
    key: str
    name: str
    kind: str
    position: int
    compute_target: str | None
    upstream: list[str]
    state: StepState
    reason: str | None
    verdict: str | None
    verdict_reason: str | None
    fingerprint: str | None
    recipe: str | None
    manifest: str | None
    changed: list[Json]
    compared_with: str | None
    reused_from: str | None
    parent_step_run: str | None
    queued_us: int | None
    started_us: int | None
    ended_us: int | None
    error: Json | None
    attempts: int
    tags: Json
    properties: Json


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One process of a step run. `folder` is relative to the home."""

    id: str
    step_run: str
    number: int
    state: AttemptState
    folder: str
    pid: int | None
    placement: Json
    prepared_us: int
    started_us: int | None
    ended_us: int | None
    exit_code: int | None
    signal: int | None
    message: str | None
    cpu_s: float | None
    max_rss_mib: float | None
    duration_s: float | None


@dataclass(frozen=True, slots=True)
class OutputRecord:
    step_run: str
    name: str
    digest: str
    kind: str
    bytes: int
    files: int
    datastore_path: str | None


@dataclass(frozen=True, slots=True)
class MetricRecord:
    """One point; `step` is the step's own count, None where it gave none."""

    run: str
    step_run: str | None
    name: str
    kind: str
    step: int | None
    time_us: int
    value: Any


@dataclass(frozen=True, slots=True)
class EntryRecord:
    """A result that may be reused; `outputs`: artifact digest by output name."""

    fingerprint: str
    recipe: str
    step_run: str
    run: str
    run_number: int
    created_us: int
    outputs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PreviousRecord:
    """The newest finished run of a step, and what counted for it (`Manifest.to_wire()`)."""

    step_run: str
    run: str
    run_number: int
    fingerprint: str
    manifest: Json


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """What a live attempt holds of this machine."""

    attempt: str
    pool: str
    cpus: float
    memory_mib: int
    gpus: tuple[str, ...]
    taken_us: int
