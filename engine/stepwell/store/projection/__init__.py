"""From events to rows: the only code that changes a row (but for `object.synced`).

`core.fold` is its pure twin; a test replays journals through both. Each function takes events of
one kind that stand next to each other, so that a thousand planned steps are a few statements.
Applying an event that the tables in `core.states` do not allow raises IllegalMove, one about a
row that is not there raises LookupError: both are bugs, and the journal takes back the request.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter

from stepwell.core.events import Event, EventKind
from stepwell.store.projection import attempts, catalog, metrics, results, runs, steps

Projection = Callable[[sqlite3.Connection, Sequence[Event]], None]

_PROJECTIONS: dict[EventKind, Projection] = {
    EventKind.WORKSPACE_REGISTERED: catalog.workspaces_registered,
    EventKind.EXPERIMENT_CREATED: catalog.experiments_created,
    EventKind.COMPUTE_REGISTERED: catalog.computes_registered,
    EventKind.COMPUTE_REMOVED: catalog.computes_removed,
    EventKind.RUN_SUBMITTED: runs.submitted,
    EventKind.RUN_PLANNED: runs.planned,
    EventKind.RUN_TAGGED: runs.tagged,
    EventKind.RUN_CANCEL_ASKED: runs.cancel_asked,
    EventKind.RUN_ENDED: runs.ended,
    EventKind.STEP_PLANNED: steps.planned,
    EventKind.STEP_RESOLVED: steps.resolved,
    EventKind.STEP_CHANGED: steps.changed,
    EventKind.STEP_TAGGED: steps.tagged,
    EventKind.ATTEMPT_PREPARED: attempts.prepared,
    EventKind.ATTEMPT_STARTED: attempts.started,
    EventKind.ATTEMPT_ENDED: attempts.ended,
    EventKind.ARTIFACT_STORED: results.artifacts_stored,
    EventKind.OUTPUT_PUBLISHED: results.outputs_published,
    EventKind.CACHE_STORED: results.entries_stored,
    EventKind.CACHE_EVICTED: results.entries_evicted,
    EventKind.METRIC_LOGGED: metrics.logged,
}  # a warning is read from the journal itself


def apply(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """Change the rows as `events` say, in order. Their `seq` is known already."""
    for kind, group in groupby(events, key=attrgetter("kind")):
        projection = _PROJECTIONS.get(kind)
        if projection is not None:
            projection(connection, tuple(group))
