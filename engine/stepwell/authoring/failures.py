"""Why a run failed, as the error that waiting for it raises."""

from __future__ import annotations

import shlex
from typing import Any

from stepwell.api.client import Client
from stepwell.errors import ActivityFailedException, from_wire

Json = dict[str, Any]
TAIL_LINES = 20
TAIL_BYTES = 1 << 16


def failed_run(client: Client, run: Json) -> ActivityFailedException:
    """Return the error for a run that failed: that of the step that failed first, or the run's own."""
    broken = [step for step in run["steps"] if step["status"] in ("Failed", "Lost")]
    if not broken:
        reason = from_wire(run["error"] or {"message": "nobody saw why"})
        return ActivityFailedException(f"run {run['number']} failed: {reason.message}", hint=reason.hint)
    return failed_step(client, run["number"], min(broken, key=lambda step: step["ended_us"] or 0))


def failed_step(client: Client, number: int, step: Json) -> ActivityFailedException:
    """Return the error for a step that failed: how it ended, and the last lines it wrote."""
    lines = [f"run {number} failed: step {step['key']!r} {step['status'].lower()}: {_how(step)}"]
    lines += [f"  | {line}" for line in _tail(client, step["step_run"])]
    return ActivityFailedException("\n".join(lines), hint=f"stepwell logs {number} {shlex.quote(step['key'])}")


def _how(step: Json) -> str:
    said = str((step["error"] or {}).get("message") or "")
    code = f"exit code {step['exit_code']}" if step["exit_code"] else ""
    if code and code not in said:
        said = f"{code}; {said}" if said else code
    tries = f", after {step['attempts']} attempts" if step["attempts"] > 1 else ""
    return (said or "nobody saw how") + tries


def _tail(client: Client, step_run: str) -> list[str]:
    size = client.log(step_run, limit=0).size
    start = max(size - TAIL_BYTES, 0)
    lines = client.log(step_run, start, TAIL_BYTES).data.decode("utf-8", "replace").rstrip().split("\n")
    return [line for line in lines if line][-TAIL_LINES:]
