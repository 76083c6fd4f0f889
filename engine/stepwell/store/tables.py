"""The tables as they are now, as classes: what the migrations must lead to.

The migrations say how a database came about, this says what it is; `schema.differences` holds the
two together, in every upgrade and in a test. Reading and writing go through SQL text, which is
what keeps a thousand steps cheap, so nothing on those paths imports this module.

Text columns said to be JSON are ASCII JSON text. Times are microseconds UTC.
"""

from __future__ import annotations

from sqlalchemy import MetaData
from sqlmodel import Field, SQLModel


class Table(SQLModel):
    """What all tables share: a catalogue of their own, apart from that of other users of SQLModel."""

    metadata = MetaData()


class Workspace(Table, table=True):
    """A folder that pipelines belong to. `root` is absolute, None for a workspace without one."""

    __tablename__ = "workspace"
    id: str = Field(primary_key=True)
    name: str
    root: str | None
    created_us: int


class Experiment(Table, table=True):
    __tablename__ = "experiment"
    id: str = Field(primary_key=True)
    workspace_id: str = Field(foreign_key="workspace.id")
    name: str
    created_us: int


class ComputeTarget(Table, table=True):
    """A named pool. `config`: JSON, as registered."""

    __tablename__ = "compute_target"
    id: str = Field(primary_key=True)
    workspace_id: str = Field(foreign_key="workspace.id")
    name: str
    kind: str
    config: str
    created_us: int


class Datastore(Table, table=True):
    """A file system under a name. `config`: JSON, as registered."""

    __tablename__ = "datastore"
    id: str = Field(primary_key=True)
    workspace_id: str = Field(foreign_key="workspace.id")
    name: str
    kind: str
    config: str
    created_us: int


class Run(Table, table=True):
    """One submission. `seq` orders runs; `counts` (JSON) is set when it ends; the rest of JSON as submitted."""

    __tablename__ = "run"
    id: str = Field(primary_key=True)
    seq: int
    number: int
    workspace_id: str = Field(foreign_key="workspace.id")
    experiment_id: str = Field(foreign_key="experiment.id")
    name: str
    file: str | None
    state: str
    cancel_asked: int
    cancel_reason: str | None
    submitted_us: int
    started_us: int | None
    ended_us: int | None
    resumed_from: str | None
    tags: str
    properties: str
    error: str | None
    counts: str | None
    parameters: str
    options: str
    client: str
    snapshots: str | None
    spec: str


class Snapshot(Table, table=True):
    """A source folder as a run found it; `digest` names the tree in the store."""

    __tablename__ = "snapshot"
    run_id: str = Field(primary_key=True, foreign_key="run.id")
    folder: str = Field(primary_key=True)
    digest: str


class Manifest(Table, table=True):
    """What counted for a step, kept once. `parts`: JSON, `Manifest.to_wire()`."""

    __tablename__ = "manifest"
    fingerprint: str = Field(primary_key=True)
    parts: str


class StepRun(Table, table=True):
    """One step in one run. `upstream`, `changed`, `error`, `tags`, `properties`: JSON."""

    __tablename__ = "step_run"
    id: str = Field(primary_key=True)
    run_id: str = Field(foreign_key="run.id")
    key: str
    name: str
    kind: str
    position: int
    compute_target: str | None
    upstream: str
    state: str
    reason: str | None
    verdict: str | None
    verdict_reason: str | None
    fingerprint: str | None
    recipe: str | None
    manifest: str | None = Field(foreign_key="manifest.fingerprint")
    changed: str | None
    compared_with: str | None
    reused_from: str | None
    parent_step_run: str | None = Field(foreign_key="step_run.id")
    queued_us: int | None
    started_us: int | None
    ended_us: int | None
    error: str | None
    attempts: int
    tags: str
    properties: str


class Attempt(Table, table=True):
    """One process of a step run. `folder` is relative to the home, `placement` is JSON."""

    __tablename__ = "attempt"
    id: str = Field(primary_key=True)
    step_run_id: str = Field(foreign_key="step_run.id")
    number: int
    state: str
    folder: str
    pid: int | None
    placement: str
    prepared_us: int
    started_us: int | None
    ended_us: int | None
    exit_code: int | None
    signal: int | None
    message: str | None
    cpu_s: float | None
    max_rss_mib: float | None
    duration_s: float | None


class Lease(Table, table=True):
    """What an attempt holds of this machine, until `freed_us`. `gpus`: JSON list of UUIDs."""

    __tablename__ = "lease"
    attempt_id: str = Field(primary_key=True, foreign_key="attempt.id")
    pool: str
    cpus: float
    memory_mib: int
    gpus: str
    taken_us: int
    freed_us: int | None


class Artifact(Table, table=True):
    """Content in the store that was an output: a file or a folder."""

    __tablename__ = "artifact"
    digest: str = Field(primary_key=True)
    kind: str
    files: int
    bytes: int
    created_us: int


class Object(Table, table=True):
    """A file's content in the store; `synced` 1 once it is known to have reached the disk."""

    __tablename__ = "object"
    digest: str = Field(primary_key=True)
    size: int
    synced: int


class Output(Table, table=True):
    __tablename__ = "output"
    step_run_id: str = Field(primary_key=True, foreign_key="step_run.id")
    name: str = Field(primary_key=True)
    digest: str = Field(foreign_key="artifact.digest")
    kind: str
    bytes: int
    files: int
    datastore_path: str | None


class CacheEntry(Table, table=True):
    """A result that may be reused, unless `evicted_us` says since when it may not."""

    __tablename__ = "cache_entry"
    fingerprint: str = Field(primary_key=True)
    step_run_id: str = Field(primary_key=True, foreign_key="step_run.id")
    recipe: str
    created_us: int
    evicted_us: int | None
    evicted_reason: str | None


class Metric(Table, table=True):
    """One point that a step logged, to itself or (without `step_run_id`) to its run. `value`: JSON."""

    __tablename__ = "metric"
    id: int = Field(primary_key=True)
    run_id: str = Field(foreign_key="run.id")
    step_run_id: str | None = Field(foreign_key="step_run.id")
    name: str
    kind: str
    step: int | None
    time_us: int
    value: str


class Cursor(Table, table=True):
    """How far a file of an attempt has been read: "<attempt id>/metrics.jsonl" and the next byte."""

    __tablename__ = "cursor"
    file: str = Field(primary_key=True)
    position: int


class JournalEvent(Table, table=True):
    """The journal. `body`: JSON, see `core.events`."""

    __tablename__ = "event"
    seq: int = Field(primary_key=True)
    time_us: int
    kind: str
    run_id: str | None
    step_run_id: str | None
    body: str
