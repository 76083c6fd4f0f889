"""Following a run to its end: states and lines of its steps as plain text, in the order they happen.

What has happened is read from the events of the run; while steps run, their logs are looked at
between two questions. Before the end of a step is told, all of its log is.
"""

from __future__ import annotations

import codecs
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from stepwell.api.client import Client
from stepwell.api.wire import route
from stepwell.authoring.failures import failed_run, failed_step
from stepwell.core.states import PIPELINE_RUN_WORDS, RUN_TERMINAL, STEP_RUN_WORDS, STEP_TERMINAL, RunState, StepState
from stepwell.errors import StepwellError, UsageError

Json = dict[str, Any]
LOOK_S = 0.1  # between two looks at the logs of running steps
QUIET_S = 20.0  # one question lasts so long where nothing is shown
_PAGE = 1 << 20
_BROKEN = (StepState.FAILED, StepState.LOST)


def follow(
    client: Client,
    run: str,
    *,
    only: str | None = None,
    show_output: bool = True,
    timeout_s: float = float("inf"),
    raise_on_error: bool = True,
) -> bool:
    """Follow a run, or with `only` one step run of it, until it ends; False when `timeout_s` are over before.

    Raises ActivityFailedException for one that failed, unless `raise_on_error` is False, and UsageError in
    a step that would wait for itself.
    """
    if run == os.environ.get("STEPWELL_RUN_ID") and only in (None, os.environ.get("STEPWELL_STEP_RUN_ID")):
        raise UsageError(
            "this step waits for its own run, which cannot end before the step does",
            hint="wait in the program that submits the run",
            code="waits_for_itself",
        )
    follower = _Follower(client, run, only, _Printer(show_output))
    if not follower.follow(time.monotonic() + timeout_s):
        return False
    if not raise_on_error:
        return True
    if only is None:
        ended = client.get(route("runs", run))
        if ended["status"] == RunState.FAILED:
            raise failed_run(client, ended)
    else:
        step = client.get(route("step_runs", only))
        if step["status"] in _BROKEN:
            raise failed_step(client, client.get(route("runs", run))["number"], step)
    return True


class _Printer:
    """Writes lines to standard output, as it is at that moment; letters it cannot show are escaped."""

    def __init__(self, active: bool) -> None:
        self.active = active

    def line(self, text: str) -> None:
        if self.active:
            encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
            sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
            sys.stdout.flush()


class _Step:
    """What is known of one step, and how far its log is shown."""

    def __init__(self, key: str, state: str, reason: str, attempt: str | None) -> None:
        self.key = key
        self.state = StepState(state)
        self.reason = reason
        self.attempt = attempt
        self.start_log()

    def start_log(self) -> None:
        self.offset = 0
        self.rest = ""
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def writes(self) -> bool:
        return self.attempt is not None and self.state in (StepState.RUNNING, StepState.FINALIZING)


class _Follower:
    def __init__(self, client: Client, run: str, only: str | None, printer: _Printer) -> None:
        self._client = client
        self._run = run
        self._only = only
        self._printer = printer
        self._steps: dict[str, _Step] = {}
        self._over = False
        self._seq = 0
        self._number = 0

    def follow(self, deadline: float) -> bool:
        self._begin(self._client.get(route("runs", self._run)))
        while not self._over:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            for event in self._events(min(left_s, self._patience_s())):
                self._apply(event)
            for step_run, step in self._steps.items():
                if step.writes:
                    self._show_log(step_run, step)
        return True

    def _patience_s(self) -> float:
        shown = self._printer.active and any(step.writes for step in self._steps.values())
        return LOOK_S if shown else QUIET_S

    def _events(self, wait_s: float) -> list[Json]:
        try:
            page = self._client.events(self._seq, run=self._run, wait_s=wait_s)
        except StepwellError as error:
            if error.code != "events_gone":
                raise
            self._seq = self._client.get("/v1/status")["seq"]
            self._take(self._client.get(route("runs", self._run)))
            return []
        self._seq = page.seq
        return page.events

    def _begin(self, run: Json) -> None:
        """Take the first facts. Without the number of the last event in them, all events are read instead."""
        self._number = run["number"]
        if "seq" in run:
            self._seq = run["seq"]
            self._take(run)
        elif run["status"] in RUN_TERMINAL:
            self._take(run)
        if self._only is None and not self._over:
            self._printer.line(f"PipelineRun {self._number} Status: Running")

    def _take(self, run: Json) -> None:
        for row in run["steps"]:
            if self._is_meant(row["step_run"]):
                step = self._steps.setdefault(
                    row["step_run"], _Step(row["key"], StepState.NOT_STARTED, "", row["attempt"])
                )
                step.attempt = row["attempt"]
                error = (row["error"] or {}).get("message")
                self._move(row["step_run"], step, StepState(row["status"]), error or row["reason"] or "")
        if run["status"] in RUN_TERMINAL:
            self._end(run["status"])

    def _is_meant(self, step_run: str) -> bool:
        return self._only in (None, step_run)

    def _apply(self, event: Mapping[str, Any]) -> None:
        kind, body, step_run = event["kind"], event["body"], event.get("step_run") or ""
        if kind == "run.ended":
            self._end(body["state"])
            return
        if kind == "warning":
            self._printer.line(f"warning: {body['text']}")
            return
        if kind == "step.planned" and self._is_meant(step_run) and step_run not in self._steps:
            step = self._steps[step_run] = _Step(body["key"], StepState.NOT_STARTED, "", None)
            self._move(step_run, step, StepState(body.get("state") or StepState.NOT_STARTED), body.get("reason") or "")
            return
        known = self._steps.get(step_run)
        if known is None or known.state in STEP_TERMINAL:
            return
        if kind == "attempt.prepared":
            known.attempt = body["id"]
            known.start_log()
        elif kind == "step.resolved":
            known.reason = body.get("reason") or known.reason
        elif kind == "step.changed":
            error = (body.get("error") or {}).get("message")
            self._move(step_run, known, StepState(body["state"]), error or body.get("reason") or known.reason)

    def _move(self, step_run: str, step: _Step, state: StepState, reason: str) -> None:
        if state == step.state:
            return
        tried_again = state is StepState.QUEUED and step.attempt is not None
        if step.attempt is not None and (state in STEP_TERMINAL or tried_again):
            self._show_log(step_run, step, to_the_end=True)
        before, word = STEP_RUN_WORDS[step.state], STEP_RUN_WORDS[state]
        step.state, step.reason = state, reason
        if word != before and (state is StepState.RUNNING or tried_again or state in STEP_TERMINAL):
            ran_well = state is StepState.RUNNING or (state is StepState.FINISHED and step.attempt is not None)
            why = f" ({reason})" if reason and not ran_well else ""
            self._printer.line(f"StepRun({step.key}) Status: {word}{why}")
        if self._only is not None and state in STEP_TERMINAL:
            self._over = True

    def _show_log(self, step_run: str, step: _Step, *, to_the_end: bool = False) -> None:
        if not self._printer.active:
            return
        while True:
            chunk = self._client.log(step_run, step.offset, _PAGE, attempt=step.attempt)
            moved = chunk.next_offset > step.offset
            step.offset = chunk.next_offset
            self._lines(step, step.decoder.decode(chunk.data))
            if not moved or chunk.done:
                break
        if to_the_end:
            self._lines(step, step.decoder.decode(b"", final=True))
            if step.rest:
                self._lines(step, "\n")

    def _lines(self, step: _Step, text: str) -> None:
        *lines, step.rest = (step.rest + text).split("\n")
        for line in lines:
            self._printer.line(line if self._only is not None else f"[{step.key}] {line}")

    def _end(self, state: str) -> None:
        self._over = True
        if self._only is None:
            self._printer.line(f"PipelineRun {self._number} Status: {PIPELINE_RUN_WORDS[RunState(state)]}")
