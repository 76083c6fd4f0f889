"""Reading: every question the rest of Stepwell asks of the rows and of the journal.

Each takes a connection from `Database.read`, so that one caller sees one moment, and returns
records. Nothing here writes.
"""

from stepwell.store.queries.catalog import computes, experiment, experiments, workspace, workspaces
from stepwell.store.queries.journal import cursors, events, last_seq, oldest_seq, warnings
from stepwell.store.queries.results import metrics, outputs, outputs_of_run, outputs_of_steps, unsynced_objects
from stepwell.store.queries.reuse import entries, manifest, previous
from stepwell.store.queries.runs import find_run, run, run_numbers, runs, step_counts, unfinished_runs
from stepwell.store.queries.steps import attempts, attempts_of_run, ended_attempts, leases, live_attempts, step, steps

__all__ = [
    "attempts",
    "attempts_of_run",
    "computes",
    "cursors",
    "ended_attempts",
    "entries",
    "events",
    "experiment",
    "experiments",
    "find_run",
    "last_seq",
    "leases",
    "live_attempts",
    "manifest",
    "metrics",
    "oldest_seq",
    "outputs",
    "outputs_of_run",
    "outputs_of_steps",
    "previous",
    "run",
    "run_numbers",
    "runs",
    "step",
    "step_counts",
    "steps",
    "unfinished_runs",
    "unsynced_objects",
    "warnings",
    "workspace",
    "workspaces",
]
