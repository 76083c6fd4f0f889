"""Waiting for a run: what is printed, in which order, and what is raised at the end."""

from __future__ import annotations

from typing import Any

import pytest

from stepwell import ActivityFailedException, Experiment, PipelineRun, ScriptRun, StepRun, Workspace
from support.fake_daemon import Answer, Asked, FakeDaemon
from support.wire_samples import a_failed_step, a_run, a_step, an_event

RUN = "0190aaaa-run"
RUNS = f"/v1/runs/{RUN}"


class Story:
    """A run that goes on as far as its events have been asked for: one page of events at a time."""

    def __init__(self, daemon: FakeDaemon, *pages: list[dict[str, Any]], logs: dict[str, bytes] | None = None) -> None:
        self.pages = list(pages)
        self.ended = a_run(status="Running", seq=0)
        self.logs = logs or {}
        daemon.on("GET", RUNS, lambda asked: self.ended)
        daemon.on("GET", "/v1/events", self.events)
        for step_run in self.logs:
            daemon.on("GET", f"/v1/step_runs/{step_run}/log", self.log)

    def events(self, asked: Asked) -> dict[str, Any]:
        page = self.pages.pop(0) if self.pages else []
        return {"events": page, "seq": page[-1]["seq"] if page else int(asked.query["after"])}

    def log(self, asked: Asked) -> Answer:
        data = self.logs[asked.path.split("/")[3]]
        offset, limit = int(asked.query["offset"]), int(asked.query["limit"])
        part = data[offset : offset + limit]
        headers = {"X-Log-Size": str(len(data)), "X-Log-Offset": str(offset + len(part)), "X-Log-Done": "1"}
        return Answer(part, headers=headers)


@pytest.fixture
def run(known: Workspace) -> PipelineRun:
    return PipelineRun(Experiment(known, "digits"), RUN)


def planned(seq: int, step: str) -> dict[str, Any]:
    return an_event(seq, "step.planned", step, key=step, state="NotStarted", reason="no earlier result")


def changed(seq: int, step: str, state: str, reason: str = "", **body: Any) -> dict[str, Any]:
    return an_event(seq, "step.changed", step, state=state, reason=reason, **body)


def ended(seq: int, state: str) -> dict[str, Any]:
    return an_event(seq, "run.ended", state=state)


def test_states_and_lines_are_printed_in_the_order_they_happen(
    daemon: FakeDaemon, run: PipelineRun, capsys: pytest.CaptureFixture[str]
) -> None:
    Story(
        daemon,
        [planned(1, "prepare"), planned(2, "train"), changed(3, "prepare", "Queued")],
        [an_event(4, "attempt.prepared", "prepare", id="at-1", number=1), changed(5, "prepare", "Preparing")],
        [changed(6, "prepare", "Running"), an_event(7, "warning", text="big folder")],
        [changed(8, "prepare", "Finalizing"), changed(9, "prepare", "Finished"), changed(10, "train", "Queued")],
        [
            an_event(11, "step.resolved", "train", reason="same as run 11"),
            changed(12, "train", "Finished", "same as run 11"),
        ],
        [ended(13, "Finished")],
        logs={"sr-prepare": b"one\ntwo"},
    )

    run.wait_for_completion(raise_on_error=False)

    assert capsys.readouterr().out.splitlines() == [
        "PipelineRun 12 Status: Running",
        "StepRun(prepare) Status: Running",
        "warning: big folder",
        "[prepare] one",
        "[prepare] two",
        "StepRun(prepare) Status: Finished",
        "StepRun(train) Status: Finished (same as run 11)",
        "PipelineRun 12 Status: Finished",
    ]


def test_a_run_that_is_over_is_told_whole(
    daemon: FakeDaemon, run: PipelineRun, capsys: pytest.CaptureFixture[str]
) -> None:
    story = Story(daemon, logs={"sr-a": b"from a\n"})
    story.ended = a_run(a_step("a"), a_step("b", reused_run=11), a_step("c", "Skipped", reason="'a' failed"))

    assert run.wait_for_completion() == "Finished"

    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "[a] from a",
        "StepRun(a) Status: Finished",
        "StepRun(b) Status: Finished (same as run 11, 3 min ago)",
    ]
    assert lines[3] == "StepRun(c) Status: Canceled ('a' failed)"


def test_a_retry_is_told_and_its_log_begins_anew(
    daemon: FakeDaemon, run: PipelineRun, capsys: pytest.CaptureFixture[str]
) -> None:
    Story(
        daemon,
        [planned(1, "train"), an_event(2, "attempt.prepared", "train", id="at-1", number=1)],
        [changed(3, "train", "Running"), changed(4, "train", "Queued", "retry 1 of 2, after 1 s")],
        [an_event(5, "attempt.prepared", "train", id="at-2", number=2), changed(6, "train", "Running")],
        [changed(7, "train", "Finished"), ended(8, "Finished")],
        logs={"sr-train": b"trying\n"},
    )

    run.wait_for_completion()

    assert capsys.readouterr().out.splitlines() == [
        "PipelineRun 12 Status: Running",
        "StepRun(train) Status: Running",
        "[train] trying",
        "StepRun(train) Status: Queued (retry 1 of 2, after 1 s)",
        "StepRun(train) Status: Running",
        "[train] trying",
        "StepRun(train) Status: Finished",
        "PipelineRun 12 Status: Finished",
    ]
    assert [asked.query["attempt"] for asked in daemon.asked("GET", "/v1/step_runs/sr-train/log")][-1] == "at-2"


def test_nothing_is_printed_or_read_unasked(
    daemon: FakeDaemon, run: PipelineRun, capsys: pytest.CaptureFixture[str]
) -> None:
    Story(daemon, [planned(1, "a"), changed(2, "a", "Running")], [changed(3, "a", "Finished"), ended(4, "Finished")])

    run.wait_for_completion(show_output=False)

    assert capsys.readouterr().out == ""
    assert daemon.asked("GET", "/v1/step_runs/sr-a/log") == []


def test_a_failed_run_is_raised_with_its_first_failed_step_its_exit_code_and_its_last_lines(
    daemon: FakeDaemon, run: PipelineRun
) -> None:
    log = b"".join(b"line %d\n" % number for number in range(40))
    story = Story(daemon, [ended(1, "Failed")], logs={"sr-late": b"", "sr-first one": log})
    broken = a_failed_step("late", ended_us=9), a_failed_step("first one", 3, ended_us=5), a_step("c", "Skipped")
    story.ended = a_run(*broken)

    with pytest.raises(ActivityFailedException) as caught:
        run.wait_for_completion(show_output=False)

    lines = str(caught.value).splitlines()
    assert lines[0] == "run 12 failed: step 'first one' failed: exit code 3"
    assert lines[1:-1] == [f"  | line {number}" for number in range(20, 40)]
    assert lines[-1] == "  try: stepwell logs 12 'first one'"


def test_how_a_step_ended_is_told_in_full(daemon: FakeDaemon, run: PipelineRun) -> None:
    story = Story(daemon, logs={"sr-a": b""})
    for step, told in (
        (a_failed_step("a", 137, error={"message": "out of memory"}), "exit code 137; out of memory"),
        (a_step("a", "Failed", signal=9, error={"message": "killed by SIGKILL"}), "killed by SIGKILL"),
        (a_failed_step("a", 1, attempts=3), "exit code 1, after 3 attempts"),
        (a_step("a", "Failed", error=None, exit_code=None), "nobody saw how"),
    ):
        story.ended = a_run(step)
        with pytest.raises(ActivityFailedException) as caught:
            run.wait_for_completion(show_output=False)
        assert caught.value.message == f"run 12 failed: step 'a' failed: {told}"


def test_a_run_that_failed_without_a_step_says_its_own_reason(daemon: FakeDaemon, run: PipelineRun) -> None:
    story = Story(daemon)
    story.ended = a_run(status="Failed", error={"kind": "machine", "message": "cannot read 'x'", "hint": "chmod"})

    with pytest.raises(ActivityFailedException) as caught:
        run.wait_for_completion(show_output=False)

    assert str(caught.value) == "run 12 failed: cannot read 'x'\n  try: chmod"


def test_failures_and_cancels_are_returned_where_they_shall_not_be_raised(daemon: FakeDaemon, run: PipelineRun) -> None:
    story = Story(daemon)
    story.ended = a_run(a_failed_step("a"))
    assert run.wait_for_completion(show_output=False, raise_on_error=False) == "Failed"

    story.ended = a_run(a_step("a", "Canceled"))
    assert run.wait_for_completion(show_output=False) == "Canceled"


def test_after_the_time_given_the_status_so_far_is_returned(daemon: FakeDaemon, run: PipelineRun) -> None:
    story = Story(daemon)
    story.ended = a_run(a_step("a", "Running"))

    assert run.wait_for_completion(show_output=False, timeout_seconds=0) == "Running"


def test_a_step_run_is_followed_alone_and_its_lines_are_its_own(
    daemon: FakeDaemon, run: PipelineRun, capsys: pytest.CaptureFixture[str]
) -> None:
    Story(
        daemon,
        [planned(1, "a"), planned(2, "b"), an_event(3, "attempt.prepared", "b", id="at-b", number=1)],
        [changed(4, "a", "Running"), changed(5, "b", "Running")],
        [changed(6, "b", "Failed", error={"message": "exit code 2"})],
        logs={"sr-b": b"from b\n"},
    )
    daemon.on("GET", "/v1/step_runs/sr-b", a_failed_step("b", 2))

    with pytest.raises(ActivityFailedException, match="run 12 failed: step 'b' failed: exit code 2"):
        StepRun(run.experiment, "sr-b", RUN, "b").wait_for_completion()

    assert capsys.readouterr().out.splitlines() == [
        "StepRun(b) Status: Running",
        "from b",
        "StepRun(b) Status: Failed (exit code 2)",
    ]


def test_a_script_run_is_waited_for_silently_and_gives_its_details(
    daemon: FakeDaemon, run: PipelineRun, capsys: pytest.CaptureFixture[str]
) -> None:
    story = Story(daemon, logs={"sr-a": b"text\n"})
    story.ended = a_run(a_step("a"))
    daemon.on("GET", "/v1/step_runs/sr-a", a_step("a"))
    script = ScriptRun(run.experiment, RUN)

    details = script.wait_for_completion()
    assert (details["runId"], details["status"], details["target"]) == (RUN, "Completed", "local")
    assert capsys.readouterr().out == ""

    script.wait_for_completion(show_output=True)
    assert capsys.readouterr().out == "text\nStepRun(a) Status: Finished\n"


def test_events_that_are_gone_are_made_up_for_by_looking_again(
    daemon: FakeDaemon, run: PipelineRun, capsys: pytest.CaptureFixture[str]
) -> None:
    story = Story(daemon)

    def gone(asked: Asked) -> Answer:
        story.ended = a_run(a_step("a", reused_run=3))
        error = {"kind": "conflict", "code": "events_gone", "message": "events up to 9 are no longer kept"}
        return Answer({"error": error}, status=409)

    daemon.on("GET", "/v1/events", gone)
    daemon.on("GET", "/v1/status", {"seq": 10})

    assert run.wait_for_completion() == "Finished"
    assert capsys.readouterr().out.splitlines()[-1] == "PipelineRun 12 Status: Finished"


def test_odd_bytes_and_letters_break_no_terminal(
    daemon: FakeDaemon, run: PipelineRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io
    import sys

    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    story = Story(daemon, logs={"sr-a": "é\U0001f600".encode() + b"\xff\r50 %\r100 %\n"})
    story.ended = a_run(a_step("a"))

    run.wait_for_completion()

    out.flush()
    written = out.buffer.getvalue()
    assert written.startswith(b"[a] \\xe9\\U0001f600\\ufffd\r50 %\r100 %\n")
