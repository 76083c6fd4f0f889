"""Everything that can happen, as data. Rows change through these and through nothing else.

An event is stored in the journal and applied to the rows in one transaction; replaying the
journal into an empty database gives the same rows. `body` is plain JSON and complete: applying
it needs no clock, no id generator and no other source.

Every event has `run` and `step_run`, None where it is about neither. Fields in [brackets] may be
left out; a field that may be null says so. `time_us` is when the thing happened.

    workspace.registered  id name root|null                     again: the name and the root it has now
    experiment.created    id workspace_id name                  of two with one name the first counts
    compute.registered    id workspace_id name kind config      again: replaces the configuration
    compute.removed       workspace_id name
    run.submitted         number|null workspace_id experiment_id name spec parameters options client
                          [file] [resumed_from] [tags] [properties]
                          number null: the journal gives the next one of the workspace
    run.planned           snapshots: {sources: {folder: tree digest}, ...}   the run is Running from here on
    step.planned          key name kind position state [reason] [compute_target] [upstream: [key]]
                          [recipe] [verdict] [fingerprint] [manifest] [changed: [change]] [compared_with]
                          [reused_from] [parent_step_run] [error]
                          a reused step is born Finished; after its run.planned
    step.resolved         verdict reason fingerprint recipe [manifest] [changed] [compared_with] [reused_from]
                          a verdict was taken with its inputs known; what is left out stays as it was
    step.changed          state [reason] [error|null]   a move by the table in `states`; left out: as it was
    attempt.prepared      id number folder placement: {pool cpus memory_mib gpus: [uuid]}
    attempt.started       id pid|null started_us
    attempt.ended         id state [exit_code] [signal] [message] [cpu_s] [max_rss_mib] [duration_s]
                          also frees what the attempt held
    artifact.stored       digest kind files bytes objects: [[digest, size]]
    output.published      name digest kind bytes files [datastore_path]     after its artifact.stored
    cache.stored          fingerprint recipe
    cache.evicted         fingerprint reason            all entries of that fingerprint
    metric.logged         points: [{name kind step|null time_us value}]
                          [cursor: {file: "<attempt id>/<name>", position} | null]
                          without `step_run`: logged to the run itself
    run.tagged            [tags] [properties]           merged into those there are; a new value wins
    step.tagged           [tags] [properties]
    run.cancel_asked      reason                        the first to ask gives the reason
    run.ended             state [error]                 the first end counts
    warning               text                          kept in the journal only
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    WORKSPACE_REGISTERED = "workspace.registered"
    EXPERIMENT_CREATED = "experiment.created"
    COMPUTE_REGISTERED = "compute.registered"
    COMPUTE_REMOVED = "compute.removed"
    RUN_SUBMITTED = "run.submitted"
    RUN_PLANNED = "run.planned"
    STEP_PLANNED = "step.planned"
    STEP_CHANGED = "step.changed"
    STEP_RESOLVED = "step.resolved"
    ATTEMPT_PREPARED = "attempt.prepared"
    ATTEMPT_STARTED = "attempt.started"
    ATTEMPT_ENDED = "attempt.ended"
    ARTIFACT_STORED = "artifact.stored"
    OUTPUT_PUBLISHED = "output.published"
    CACHE_STORED = "cache.stored"
    CACHE_EVICTED = "cache.evicted"
    METRIC_LOGGED = "metric.logged"
    RUN_TAGGED = "run.tagged"
    STEP_TAGGED = "step.tagged"
    RUN_CANCEL_ASKED = "run.cancel_asked"
    RUN_ENDED = "run.ended"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `time_us` is the wall clock; order is by `seq`, never by time.

    `seq` is 0 until the journal has given one. `run` and `step_run` are ids, None where the
    event is about neither.
    """

    kind: EventKind
    time_us: int
    body: dict[str, Any]
    run: str | None = None
    step_run: str | None = None
    seq: int = 0

    def to_wire(self) -> dict[str, Any]:
        return {
            "seq": self.seq,
            "kind": str(self.kind),
            "time_us": self.time_us,
            "run": self.run,
            "step_run": self.step_run,
            "body": self.body,
        }
