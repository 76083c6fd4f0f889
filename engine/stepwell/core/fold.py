"""The journal as a pure function: events in, rows out. The database must hold the same rows.

    fold(events)["run"][run id]["state"]

Tables are named as in the database, columns as in `events`; a row is a dict, its key the primary
key (a tuple where that has several columns). JSON columns hold plain data. What no event carries
(`object.synced`) has its first value. A test replays a journal through this and compares, so a
row that changed without an event, or an event that forgot something, is found.

    run         NotStarted when submitted, Running from `run.planned`, then as `run.ended` says
    step_run    queued_us: the last time it was queued; started_us: the first time it ran;
                reason: of its last move; verdict_reason: of the verdict, which later moves keep
    lease       what an attempt holds of the machine, from when it is prepared until it has ended
    cache_entry one for each fingerprint and step run; `evicted_us` is None while it is valid
    metric      in the order of the points; `cursor` says up to where a file has been read

Repeating the end of an attempt or of a step changes nothing: a daemon and its successor may both
report it. Any other move that the tables in `states` do not allow raises IllegalMove.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from stepwell.core.events import Event, EventKind
from stepwell.core.states import (
    ATTEMPT_TERMINAL,
    STEP_TERMINAL,
    AttemptState,
    RunState,
    StepState,
    advance_attempt,
    advance_step,
)

Row = dict[str, Any]
Key = str | tuple[str, ...] | int
Rows = dict[str, dict[Key, Row]]
TABLES = (
    "workspace",
    "experiment",
    "compute_target",
    "run",
    "snapshot",
    "step_run",
    "attempt",
    "lease",
    "artifact",
    "output",
    "cache_entry",
    "object",
    "manifest",
    "metric",
    "cursor",
)
_VERDICT = ("verdict", "fingerprint", "recipe", "changed", "compared_with", "reused_from")
_NOT_DONE = (StepState.SKIPPED, StepState.CANCELED)
_MEASURED = ("exit_code", "signal", "message", "cpu_s", "max_rss_mib", "duration_s")


def fold(events: Iterable[Event], rows: Rows | None = None) -> Rows:
    """Apply `events`, in order of `seq`, to `rows` (changed in place) or to empty tables."""
    tables: Rows = {name: {} for name in TABLES} if rows is None else rows
    for event in events:
        apply = _APPLIERS.get(event.kind)
        if apply is not None:
            apply(tables, event)
    return tables


def _workspace(rows: Rows, event: Event) -> None:
    body = event.body
    known = rows["workspace"].setdefault(body["id"], {"created_us": event.time_us})
    known.update(id=body["id"], name=body["name"], root=body["root"])


def _experiment(rows: Rows, event: Event) -> None:
    body = event.body
    columns = {name: body[name] for name in ("id", "workspace_id", "name")}
    named = {(row["workspace_id"], row["name"]) for row in rows["experiment"].values()}
    if (body["workspace_id"], body["name"]) not in named:
        rows["experiment"].setdefault(body["id"], {**columns, "created_us": event.time_us})


def _compute(rows: Rows, event: Event) -> None:
    body = event.body
    columns = {name: body[name] for name in ("id", "workspace_id", "name", "kind", "config")}
    known = rows["compute_target"].setdefault((body["workspace_id"], body["name"]), {"created_us": event.time_us})
    known.update(columns)


def _compute_removed(rows: Rows, event: Event) -> None:
    rows["compute_target"].pop((event.body["workspace_id"], event.body["name"]), None)


def _submitted(rows: Rows, event: Event) -> None:
    body = event.body
    rows["run"][_run_id(event)] = {
        "id": event.run,
        "seq": event.seq,
        **{name: body[name] for name in ("number", "workspace_id", "experiment_id", "name", "spec")},
        **{name: body.get(name) for name in ("file", "resumed_from")},
        **{name: body.get(name) or {} for name in ("parameters", "options", "client")},
        "state": str(RunState.NOT_STARTED),
        "cancel_asked": False,
        "cancel_reason": None,
        "submitted_us": event.time_us,
        "started_us": None,
        "ended_us": None,
        "tags": dict(body.get("tags") or {}),
        "properties": dict(body.get("properties") or {}),
        "error": None,
        "counts": None,
        "snapshots": None,
    }


def _run_planned(rows: Rows, event: Event) -> None:
    run, snapshots = rows["run"][_run_id(event)], event.body["snapshots"]
    run.update(snapshots=snapshots, state=str(RunState.RUNNING), started_us=event.time_us)
    for folder, digest in snapshots.get("sources", {}).items():
        rows["snapshot"][run["id"], folder] = {"run_id": run["id"], "folder": folder, "digest": digest}


def _step_planned(rows: Rows, event: Event) -> None:
    body = event.body
    state = StepState(body["state"])
    rows["step_run"][_step_id(event)] = {
        "id": event.step_run,
        "run_id": event.run,
        **{name: body[name] for name in ("key", "name", "kind", "position")},
        "compute_target": body.get("compute_target"),
        "upstream": body.get("upstream") or [],
        "state": str(state),
        "reason": body.get("reason"),
        **{name: body.get(name) for name in _VERDICT},
        "verdict_reason": body.get("reason") if body.get("verdict") else None,
        "manifest": _manifest(rows, body),
        "parent_step_run": body.get("parent_step_run"),
        "queued_us": event.time_us if state is StepState.QUEUED else None,
        "started_us": None,
        "ended_us": event.time_us if state in STEP_TERMINAL else None,
        "error": body.get("error"),
        "attempts": 0,
        "tags": {},
        "properties": {},
    }


def _manifest(rows: Rows, body: Row) -> str | None:
    """Keep the manifest once, by its fingerprint, and return that."""
    manifest, fingerprint = body.get("manifest"), body.get("fingerprint")
    if manifest is None or fingerprint is None:
        return None
    rows["manifest"].setdefault(fingerprint, {"fingerprint": fingerprint, "parts": manifest})
    return str(fingerprint)


def _step_changed(rows: Rows, event: Event) -> None:
    step, body = rows["step_run"][_step_id(event)], event.body
    current = StepState(step["state"])
    target = advance_step(current, StepState(body["state"]))
    if current in STEP_TERMINAL:
        return
    step["state"] = str(target)
    step.update({name: body[name] for name in ("reason", "error") if name in body})
    if target is StepState.QUEUED:
        step["queued_us"] = event.time_us
    elif target is StepState.RUNNING and step["started_us"] is None:
        step["started_us"] = event.time_us
    elif target in STEP_TERMINAL:
        step["ended_us"] = event.time_us


def _step_resolved(rows: Rows, event: Event) -> None:
    step, body = rows["step_run"][_step_id(event)], event.body
    step.update({name: body[name] for name in _VERDICT if name in body})
    step["reason"] = step["verdict_reason"] = body["reason"]
    if "manifest" in body:
        step["manifest"] = _manifest(rows, body)


def _attempt_prepared(rows: Rows, event: Event) -> None:
    body = event.body
    rows["attempt"][body["id"]] = {
        "id": body["id"],
        "step_run_id": event.step_run,
        "number": body["number"],
        "state": str(AttemptState.PREPARED),
        "folder": body["folder"],
        "pid": None,
        "placement": body["placement"],
        "prepared_us": event.time_us,
        "started_us": None,
        "ended_us": None,
        **dict.fromkeys(_MEASURED),
    }
    rows["step_run"][_step_id(event)]["attempts"] = body["number"]
    rows["lease"][body["id"]] = {
        "attempt_id": body["id"],
        **{name: body["placement"][name] for name in ("pool", "cpus", "memory_mib", "gpus")},
        "taken_us": event.time_us,
        "freed_us": None,
    }


def _attempt_started(rows: Rows, event: Event) -> None:
    attempt, body = rows["attempt"][event.body["id"]], event.body
    if AttemptState(attempt["state"]) in ATTEMPT_TERMINAL:
        return  # the exit was seen first
    attempt.update(state=str(AttemptState.RUNNING), pid=body["pid"], started_us=body["started_us"])


def _attempt_ended(rows: Rows, event: Event) -> None:
    attempt, body = rows["attempt"][event.body["id"]], event.body
    current = AttemptState(attempt["state"])
    target = advance_attempt(current, AttemptState(body["state"]))
    if current in ATTEMPT_TERMINAL:
        return
    attempt.update({name: body.get(name) for name in _MEASURED})
    attempt.update(state=str(target), ended_us=event.time_us)
    rows["lease"][body["id"]]["freed_us"] = event.time_us


def _artifact_stored(rows: Rows, event: Event) -> None:
    body = event.body
    rows["artifact"].setdefault(
        body["digest"],
        {**{name: body[name] for name in ("digest", "kind", "files", "bytes")}, "created_us": event.time_us},
    )
    for digest, size in body["objects"]:
        rows["object"].setdefault(digest, {"digest": digest, "size": size, "synced": 0})


def _output_published(rows: Rows, event: Event) -> None:
    body = event.body
    columns = ("name", "digest", "kind", "bytes", "files", "datastore_path")
    rows["output"][_step_id(event), body["name"]] = {
        "step_run_id": event.step_run,
        **{name: body.get(name) for name in columns},
    }


def _cache_stored(rows: Rows, event: Event) -> None:
    body = event.body
    rows["cache_entry"][body["fingerprint"], _step_id(event)] = {
        "fingerprint": body["fingerprint"],
        "recipe": body["recipe"],
        "step_run_id": event.step_run,
        "created_us": event.time_us,
        "evicted_us": None,
        "evicted_reason": None,
    }


def _cache_evicted(rows: Rows, event: Event) -> None:
    for entry in rows["cache_entry"].values():
        if entry["fingerprint"] == event.body["fingerprint"] and entry["evicted_us"] is None:
            entry.update(evicted_us=event.time_us, evicted_reason=event.body["reason"])


def _metric_logged(rows: Rows, event: Event) -> None:
    for point in event.body["points"]:
        columns = {name: point[name] for name in ("name", "kind", "step", "time_us", "value")}
        number = len(rows["metric"]) + 1
        about = {"run_id": _run_id(event), "step_run_id": event.step_run}
        rows["metric"][number] = {"id": number, **about, **columns}
    cursor = event.body.get("cursor")
    if cursor is not None:
        rows["cursor"][cursor["file"]] = {"file": cursor["file"], "position": cursor["position"]}


def _tagged(table: str) -> Callable[[Rows, Event], None]:
    def apply(rows: Rows, event: Event) -> None:
        key = _run_id(event) if table == "run" else _step_id(event)
        row = rows[table][key]
        for name in ("tags", "properties"):
            row[name] = {**row[name], **(event.body.get(name) or {})}

    return apply


def _cancel_asked(rows: Rows, event: Event) -> None:
    run = rows["run"][_run_id(event)]
    if not run["cancel_asked"]:
        run.update(cancel_asked=True, cancel_reason=event.body["reason"])


def _run_ended(rows: Rows, event: Event) -> None:
    run = rows["run"][_run_id(event)]
    if run["ended_us"] is None:
        run.update(state=event.body["state"], error=event.body.get("error"), ended_us=event.time_us)
        run["counts"] = _counts([step for step in rows["step_run"].values() if step["run_id"] == run["id"]])


def _counts(steps: list[Row]) -> dict[str, int]:
    return {
        "ran": sum(step["reused_from"] is None and step["attempts"] > 0 for step in steps),
        "reused": sum(step["reused_from"] is not None for step in steps),
        "failed": sum(step["state"] in (StepState.FAILED, StepState.LOST) for step in steps),
        "skipped": sum(step["state"] in _NOT_DONE and step["attempts"] == 0 for step in steps),
    }


def _run_id(event: Event) -> str:
    if event.run is None:
        raise ValueError(f"{event.kind} names no run")
    return event.run


def _step_id(event: Event) -> str:
    if event.step_run is None:
        raise ValueError(f"{event.kind} names no step run")
    return event.step_run


_APPLIERS: dict[EventKind, Callable[[Rows, Event], None]] = {
    EventKind.WORKSPACE_REGISTERED: _workspace,
    EventKind.EXPERIMENT_CREATED: _experiment,
    EventKind.COMPUTE_REGISTERED: _compute,
    EventKind.COMPUTE_REMOVED: _compute_removed,
    EventKind.RUN_SUBMITTED: _submitted,
    EventKind.RUN_PLANNED: _run_planned,
    EventKind.STEP_PLANNED: _step_planned,
    EventKind.STEP_CHANGED: _step_changed,
    EventKind.STEP_RESOLVED: _step_resolved,
    EventKind.ATTEMPT_PREPARED: _attempt_prepared,
    EventKind.ATTEMPT_STARTED: _attempt_started,
    EventKind.ATTEMPT_ENDED: _attempt_ended,
    EventKind.ARTIFACT_STORED: _artifact_stored,
    EventKind.OUTPUT_PUBLISHED: _output_published,
    EventKind.CACHE_STORED: _cache_stored,
    EventKind.CACHE_EVICTED: _cache_evicted,
    EventKind.METRIC_LOGGED: _metric_logged,
    EventKind.RUN_TAGGED: _tagged("run"),
    EventKind.STEP_TAGGED: _tagged("step_run"),
    EventKind.RUN_CANCEL_ASKED: _cancel_asked,
    EventKind.RUN_ENDED: _run_ended,
}  # a warning is read from the journal itself
