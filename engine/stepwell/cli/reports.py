"""What is said about a run once it has ended: one line for the whole, and why it failed."""

from __future__ import annotations

import signal
from typing import Any

from stepwell.api.client import Client
from stepwell.cli import words
from stepwell.cli.terminal import Terminal, visible
from stepwell.errors import from_wire

Json = dict[str, Any]
TAIL_LINES = 20
TAIL_BYTES = 1 << 16
RUN_FIELDS = ("run", "number", "experiment", "status", "duration_s", "ran", "reused", "failed", "skipped")
STEP_FIELDS = (
    "name",
    "key",
    "step_run",
    "status",
    "reused",
    "reused_from",
    "reason",
    "exit_code",
    "attempts",
)
STEP_FIELDS_LAST = ("started_at", "ended_at", "resources")
BROKEN = ("Failed", "Lost")


def plain_run(run: Json) -> Json:
    """Return a run as `--json` prints it: these fields, and no others, whatever the daemon adds."""
    plain = {name: run[name] for name in RUN_FIELDS}
    names = STEP_FIELDS + STEP_FIELDS_LAST
    plain["steps"] = [{name: step[name] for name in names} for step in run["steps"]]
    return plain


def exit_code(run: Json) -> int:
    """Return what the command exits with for a run that has ended."""
    if run["status"] == "Finished":
        return 0
    if run.get("error"):
        return from_wire(run["error"]).exit_code
    return 5


def summary(run: Json) -> str:
    """Return `run 12 finished in 3.2 s: 2 ran, 3 reused (run 11)`."""
    ended = {"Finished": "finished in", "Failed": "failed after", "Canceled": "was canceled after"}
    took = words.duration(run["duration_s"])
    done = f"{ended[run['status']]} {took}" if run["status"] in ended else run["status"].lower()
    counts = [f"{run['ran']} ran", f"{run['reused']} reused{_origins(run)}"]
    counts += [f"{run[word]} {word}" for word in ("failed", "skipped") if run[word]]
    return f"run {run['number']} {done}: {', '.join(counts)}"


def _origins(run: Json) -> str:
    numbers = sorted({step["reused_run"] for step in run["steps"] if step.get("reused_run") is not None})
    if not numbers:
        return ""
    if len(numbers) == 1:
        return f" from run {numbers[0]}"
    return f" from {len(numbers)} runs, the newest of them {numbers[-1]}"


def failure(client: Client, run: Json, terminal: Terminal) -> list[str]:
    """Return why a run failed: its first failed step, how that ended, its last lines, where to read on."""
    if run["status"] == "Finished":
        return []
    if run.get("error"):
        return [str(from_wire(run["error"]))]
    broken = sorted((step for step in run["steps"] if step["status"] in BROKEN), key=lambda step: step["ended_us"] or 0)
    if not broken:
        return []
    first = broken[0]
    key = visible(first["key"])
    lines = ["", terminal.paint(f"step '{key}' {first['status'].lower()}: {how(first)}", "red")]
    tail = log_tail(client, first["step_run"])
    bar = "│" if terminal.unicode else "|"
    lines += [f"  {bar} {line}" for line in tail] or ["  it wrote nothing"]
    lines.append(f"  all of it: stepwell logs {run['number']} {_quoted(first['key'])}")
    lines += [f"step '{visible(step['key'])}' {step['status'].lower()} too: {how(step)}" for step in broken[1:]]
    return lines


def how(step: Json) -> str:
    """Return how a step ended: its signal or exit code, and what else the daemon knows."""
    known = ""
    if step.get("signal"):
        known = f"killed by {_signal_name(step['signal'])}"
    elif step.get("exit_code"):
        known = f"exit code {step['exit_code']}"
    message = visible((step.get("error") or {}).get("message") or "")
    said = f"{known}; {message}" if known and message and known not in message else message or known
    tries = f", after {words.count(step['attempts'], 'attempt')}" if step["attempts"] > 1 else ""
    return (said or "nobody saw how") + tries


def log_tail(client: Client, step_run: str) -> list[str]:
    """Return the last lines of a step's log, made safe to print."""
    size = client.log(step_run, limit=0).size
    start = max(size - TAIL_BYTES, 0)
    lines = client.log(step_run, start, TAIL_BYTES).data.decode("utf-8", "replace").split("\n")
    if start:
        del lines[0]  # it lacks its beginning
    while lines and not lines[-1].strip():
        lines.pop()
    return [visible(line) for line in lines[-TAIL_LINES:]]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _quoted(word: str) -> str:
    import shlex

    return shlex.quote(visible(word))
