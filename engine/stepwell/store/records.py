"""What queries return: plain, frozen, with JSON already opened. Times are microseconds UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stepwell.core.states import AttemptState, RunState, StepState

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
class RunRecord:
    """`snapshots` is None until the run's sources are frozen. Lists leave `spec` empty."""

    id: str
    number: int
    workspace_id: str
    workspace_name: str
    experiment: str
    name: str
    spec: Json
    parameters: Json
    options: Json
    client: Json
    file: str | None
    state: RunState
    cancel_asked: bool
    cancel_reason: str | None
    submitted_us: int
    started_us: int | None
    ended_us: int | None
    resumed_from: str | None
    tags: Json
    properties: Json
    error: Json | None
    snapshots: Json | None


@dataclass(frozen=True, slots=True)
class StepRecord:
    """`reason` follows the state; `verdict_reason` stays what the planner said."""

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
    changed: list[Json]
    compared_with: str | None
    reused_from: str | None
    queued_us: int | None
    started_us: int | None
    ended_us: int | None
    error: Json | None
    attempts: int
    tags: Json
    properties: Json


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """`folder` is relative to the home."""

    id: str
    step_run: str
    number: int
    state: AttemptState
    folder: str
    placement: Json
    pid: int | None
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
    files: int
    bytes: int
    datastore_path: str


@dataclass(frozen=True, slots=True)
class MetricRecord:
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
    """The newest finished run of a step, and the manifest it had."""

    step_run: str
    run_number: int
    manifest: Json
