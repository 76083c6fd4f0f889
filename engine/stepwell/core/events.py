"""Everything that can happen, as data. Rows change through these and through nothing else.

An event is stored in the journal and applied to the rows in one transaction; replaying the
journal into an empty database gives the same rows. `body` is plain JSON and complete: applying
it needs no clock, no id generator and no other source.

    workspace.registered  id name root
    experiment.created    id workspace_id name
    compute.registered    id workspace_id name kind config
    compute.removed       workspace_id name
    run.submitted         number workspace_id experiment_id name spec parameters options client file
                          resumed_from
    run.planned           snapshots            the sources are frozen (path -> tree digest)
    step.planned          key name position state reason verdict fingerprint recipe manifest reused_from
    step.changed          state reason error   any later move of a step run, by the table in `states`
    step.resolved         fingerprint recipe manifest verdict reason reused_from   its inputs are known now
    attempt.prepared      id number folder placement
    attempt.started       id pid started_us
    attempt.ended         id state exit_code signal message cpu_s max_rss_mib duration_s
    artifact.stored       digest kind files bytes objects
    output.published      name digest kind bytes files datastore_path
    cache.stored          fingerprint recipe
    cache.evicted         fingerprint reason
    metric.logged         points: [{name kind step time_us value}]   cursor: {file, position}
    run.tagged            tags properties
    step.tagged           tags properties
    run.cancel_asked      reason
    run.ended             state error
    warning               text
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
