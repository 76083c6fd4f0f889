"""Runs, steps and events as the daemon would put them on the wire, for tests that have no daemon."""

from __future__ import annotations

from typing import Any

from stepwell.api.wire import rfc3339

Json = dict[str, Any]
START_US = 1_780_000_000_000_000


def a_step(key: str, status: str = "Finished", **fields: Any) -> Json:
    """Return a step that ran for 1.5 s, or was reused when `reused_run` is given."""
    reused = fields.get("reused_run") is not None
    ran = not reused and status not in ("NotStarted", "Queued", "Skipped")
    started = START_US if ran else None
    ended = START_US + 1_500_000 if ran and status not in ("Running", "Preparing") else None
    step: Json = {
        "name": key.partition("#")[0],
        "key": key,
        "step_run": f"sr-{key}",
        "run": "0190aaaa-run",
        "kind": "python_script",
        "status": status,
        "reused": reused,
        "reused_from": "sr-original" if reused else None,
        "reused_run": None,
        "reason": "same as run 11, 3 min ago" if reused else "no earlier result of this step",
        "verdict": "reuse" if reused else "run",
        "fingerprint": "f" * 64,
        "exit_code": 0 if status == "Finished" and ran else None,
        "signal": None,
        "attempts": 1 if ran else 0,
        "attempt": f"at-{key}" if ran else None,
        "started_us": started,
        "ended_us": ended,
        "started_at": rfc3339(started),
        "ended_at": rfc3339(ended),
        "duration_s": 1.5 if ended else None,
        "resources": {
            "cpus": 1.0,
            "memory_mib": 0,
            "gpus": [],
            "cpu_s": 1.2 if ended else None,
            "max_rss_mib": 40.0,
        },
        "upstream": [],
        "outputs": [],
        "error": None,
        "compute_target": "local",
        "properties": {},
        "tags": {},
    }
    return {**step, **fields}


def a_run(*steps: Json, number: int = 12, **fields: Any) -> Json:
    """Return a run of these steps; its status and counts follow from them unless they are given."""
    states = {step["status"] for step in steps}
    if states & {"NotStarted", "Queued", "Preparing", "Running", "Finalizing"}:
        status = "Running"
    elif states & {"Failed", "Lost"}:
        status = "Failed"
    else:
        status = "Canceled" if "Canceled" in states else "Finished"
    status = fields.get("status", status)
    ended = None if status in ("Running", "NotStarted") else START_US + 3_000_000
    run: Json = {
        "run": "0190aaaa-run",
        "number": number,
        "workspace": "ws-1",
        "workspace_name": "digits",
        "experiment": "digits",
        "name": "digits",
        "file": "/work/digits/pipeline.py",
        "status": status,
        "cancel_asked": False,
        "submitted_us": START_US,
        "started_us": START_US,
        "ended_us": ended,
        "started_at": rfc3339(START_US),
        "ended_at": rfc3339(ended),
        "duration_s": 3.0 if ended else None,
        "parameters": {},
        "tags": {},
        "properties": {},
        "error": None,
        "warnings": [],
        "ran": sum(bool(step["attempts"]) for step in steps),
        "reused": sum(step["reused"] for step in steps),
        "failed": sum(step["status"] in ("Failed", "Lost") for step in steps),
        "skipped": sum(step["status"] in ("Skipped", "Canceled") for step in steps),
        "steps": list(steps),
    }
    return {**run, **fields}


def a_failed_step(key: str, exit_code: int = 1, **fields: Any) -> Json:
    error = {"message": f"exit code {exit_code}", "exit_code": exit_code, "signal": None}
    return a_step(key, "Failed", **{"exit_code": exit_code, "error": error, **fields})


def an_event(seq: int, kind: str, step: str | None = None, **body: Any) -> Json:
    """Return an event of the sample run; each lies a second after the one before."""
    return {
        "seq": seq,
        "kind": kind,
        "time_us": START_US + seq * 1_000_000,
        "run": "0190aaaa-run",
        "step_run": None if step is None else f"sr-{step}",
        "body": body,
    }


def events_of(run: Json) -> list[Json]:
    """Return the events that would have led to `run`: each step planned, tried and moved, the run ended."""
    events: list[Json] = []

    def tell(kind: str, step: Json, time_us: int = START_US, **body: Any) -> None:
        event = an_event(len(events) + 1, kind, **body)
        events.append({**event, "step_run": step["step_run"], "time_us": time_us})

    for position, step in enumerate(run["steps"]):
        state = "Finished" if step["reused"] else "NotStarted"
        told = {"key": step["key"], "position": position, "reason": step["reason"]}
        tell("step.planned", step, state=state, reused_from=step["reused_from"], **told)
        if step["attempts"]:
            tell("attempt.prepared", step, number=step["attempts"])
            tell("step.changed", step, step["started_us"], state="Running", reason=step["reason"])
        if step["status"] not in (state, "Running"):
            moved = {"state": step["status"], "reason": step["reason"], "error": step["error"]}
            tell("step.changed", step, step["ended_us"] or START_US, **moved)
    if run["ended_us"] is not None:
        events.append(an_event(len(events) + 1, "run.ended", state=run["status"], error=run["error"]))
    return events
