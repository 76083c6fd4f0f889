"""A run as its events tell it: one row a step. Pure: no clock, no socket, no terminal.

Told from the first event, or from the run as the daemon describes it and the events after that;
what ended stays ended, whatever is told again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stepwell.cli.marks import MARKS, REUSED, Mark
from stepwell.core.states import RUN_TERMINAL, STEP_TERMINAL

STARTED = frozenset({"Preparing", "Running", "Finalizing"})
BROKEN = frozenset({"Failed", "Lost"})


@dataclass(slots=True)
class Row:
    """What is shown of one step. Times are microseconds UTC."""

    key: str
    step_run: str
    position: int = 0
    state: str = "NotStarted"
    reason: str = ""
    reused: bool = False
    started_us: int | None = None
    ended_us: int | None = None
    pid: int | None = None
    cpu_s: float | None = None
    tries: int = 0
    message: str = ""  # why it failed, in the daemon's words

    @property
    def mark(self) -> Mark:
        return REUSED if self.reused else MARKS[self.state]

    @property
    def over(self) -> bool:
        return self.state in STEP_TERMINAL


@dataclass(slots=True)
class Progress:
    """The rows of a run by step run id, its warnings, and its state."""

    rows: dict[str, Row] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    state: str = "NotStarted"
    seq: int = 0

    @classmethod
    def of(cls, run: Mapping[str, Any]) -> Progress:
        """Return the progress of a run as `GET /v1/runs/{id}` describes it."""
        progress = cls(state=run["status"], warnings=list(run.get("warnings") or ()))
        for position, step in enumerate(run.get("steps") or ()):
            progress.rows[step["step_run"]] = Row(
                key=step["key"],
                step_run=step["step_run"],
                position=position,
                state=step["status"],
                reason=step.get("reason") or "",
                reused=bool(step.get("reused")),
                started_us=step.get("started_us"),
                ended_us=step.get("ended_us"),
                cpu_s=(step.get("resources") or {}).get("cpu_s"),
                tries=step.get("attempts") or 0,
                message=(step.get("error") or {}).get("message") or "",
            )
        return progress

    @property
    def over(self) -> bool:
        return self.state in RUN_TERMINAL

    def ordered(self) -> list[Row]:
        return sorted(self.rows.values(), key=lambda row: row.position)

    def apply(self, event: Mapping[str, Any]) -> Row | None:
        """Take one event in; return the row whose state it changed, if it did."""
        body: Mapping[str, Any] = event["body"]
        self.seq = max(self.seq, event["seq"])
        kind = event["kind"]
        if kind == "run.ended":
            self.state = body["state"]
            return None
        if kind == "warning":
            if body["text"] not in self.warnings:
                self.warnings.append(body["text"])
            return None
        if kind == "step.planned":
            return self._planned(event, body)
        row = self.rows.get(event.get("step_run") or "")
        if row is None or row.over:
            return None
        if kind == "step.changed":
            return _changed(row, body, event["time_us"])
        if kind == "step.resolved":
            row.reason = body.get("reason") or row.reason
            row.reused = bool(body.get("reused_from"))
        elif kind == "attempt.prepared":
            row.tries, row.cpu_s, row.pid = body["number"], None, None
        elif kind == "attempt.started":
            row.pid, row.started_us = body.get("pid"), body.get("started_us")
        elif kind == "attempt.ended":
            row.pid, row.cpu_s = None, body.get("cpu_s")
        return None

    def _planned(self, event: Mapping[str, Any], body: Mapping[str, Any]) -> Row | None:
        if event["step_run"] in self.rows:
            return None
        row = self.rows[event["step_run"]] = Row(
            key=body["key"],
            step_run=event["step_run"],
            position=body.get("position") or 0,
            state=body.get("state") or "NotStarted",
            reason=body.get("reason") or "",
            reused=bool(body.get("reused_from")),
        )
        return row


def _changed(row: Row, body: Mapping[str, Any], time_us: int) -> Row | None:
    before = row.state
    row.state = body["state"]
    row.reason = body.get("reason") or row.reason
    row.message = (body.get("error") or {}).get("message") or row.message
    if row.over:
        row.ended_us = time_us
        row.started_us = None if row.reused else row.started_us
    elif row.state in STARTED and row.started_us is None:
        row.started_us = time_us
    elif row.state == "Queued":
        row.started_us = None
    return row if row.state != before else None
