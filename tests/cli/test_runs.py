"""`stepwell runs`, `stepwell show`, and how RUN and STEP find what they name."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepwell.errors import MachineError, NotFoundError
from support.command_line import stepwell
from support.fake_daemon import Answer, FakeDaemon
from support.wire_samples import a_failed_step, a_run, a_step


def _without_metrics(daemon: FakeDaemon, run: dict[str, object], *keys: str) -> None:
    daemon.on("GET", f"/v1/runs/{run['run']}/metrics", {"metrics": {}})
    for key in keys:
        daemon.on("GET", f"/v1/step_runs/sr-{key}/metrics", {"metrics": {}})


def test_runs_lists_number_state_steps_and_experiment(daemon: FakeDaemon) -> None:
    listed = a_run(a_step("prep"), a_step("train", reused_run=11), a_failed_step("report"))
    daemon.on("GET", "/v1/runs", {"runs": [listed]})

    said = stepwell("runs", "-n", "3", "-e", "digits")

    head, row = said.out.splitlines()
    assert head.split() == ["RUN", "STATUS", "SUBMITTED", "TOOK", "STEPS", "EXPERIMENT", "WORKSPACE"]
    assert row.split()[:2] == ["12", "Failed"]
    assert "2 ran, 1 reused, 1 failed" in row
    assert daemon.requests[-1].query == {"experiment": "digits", "limit": "3"}


def test_runs_asks_for_those_of_the_workspace_of_the_folder(daemon: FakeDaemon) -> None:
    config = Path(".stepwell", "config.json")
    config.parent.mkdir()
    config.write_text('{"id": "ws-7", "name": "digits"}')
    daemon.on("GET", "/v1/runs", {"runs": []})

    said = stepwell("runs")

    assert (said.code, said.out) == (0, "no runs yet\n")
    assert daemon.requests[-1].query["workspace"] == "ws-7"


def test_runs_as_json_prints_one_object(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/runs", {"runs": [a_run()]})

    assert stepwell("runs", "--json").data == {"runs": [a_run()]}


def test_show_names_steps_outputs_metrics_and_warnings(daemon: FakeDaemon) -> None:
    output = {"name": "model", "kind": "file", "digest": "d", "bytes": 2048, "files": 1, "path": "/s/t/d"}
    run = a_run(
        a_step("train", outputs=[output]),
        a_failed_step("report", 3),
        parameters={"epochs": 5},
        warnings=["the source is large"],
    )
    daemon.on("GET", "/v1/runs/last", run)
    _without_metrics(daemon, run, "report")
    points = [{"step": n, "time_us": n, "value": n / 8} for n in range(3)]
    daemon.on("GET", "/v1/step_runs/sr-train/metrics", {"metrics": {"loss": {"kind": "scalar", "points": points}}})

    said = stepwell("show", "last")

    assert said.code == 0
    assert "run 12 failed after 3.0 s: 2 ran, 0 reused, 1 failed" in said.out
    assert "parameters  epochs=5" in said.out
    assert "warning     the source is large" in said.out
    assert "exit code 3" in said.out
    assert ["train", "model", "2.0", "KiB", "/s/t/d"] in [line.split() for line in said.out.splitlines()]
    assert ["train", "loss", "0.25", "the", "last", "of", "3"] in [line.split() for line in said.out.splitlines()]


def test_show_of_a_run_that_never_got_to_a_step_says_why(daemon: FakeDaemon) -> None:
    error = MachineError("the disk is full", hint="free some space")
    run = a_run(status="Failed", error=error.to_wire())
    daemon.on("GET", "/v1/runs/12", run)
    _without_metrics(daemon, run)

    assert stepwell("show", "12").out.endswith("\n\nthe disk is full\n  try: free some space\n")


def test_show_as_json_has_the_fields_of_run_and_no_others(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/runs/12", a_run(a_step("train")))

    data = stepwell("show", "12", "--json").data

    assert list(data) == [
        *(
            "run",
            "number",
            "experiment",
            "status",
            "duration_s",
            "ran",
            "reused",
            "failed",
            "skipped",
            "steps",
        ),
    ]
    assert list(data["steps"][0]) == [
        *("name", "key", "step_run", "status", "reused", "reused_from", "reason", "exit_code", "attempts"),
        *("started_at", "ended_at", "resources"),
    ]


def test_an_unknown_run_is_told_in_the_daemons_words(daemon: FakeDaemon) -> None:
    error = NotFoundError("no run 99 (the newest is 12)", hint="stepwell runs", code="unknown_run")
    daemon.on("GET", "/v1/runs/99", Answer({"error": error.to_wire()}, status=404))

    said = stepwell("show", "99")

    assert (said.code, said.out, said.err) == (2, "", "no run 99 (the newest is 12)\n  try: stepwell runs\n")


def test_a_run_that_looks_like_a_path_cannot_ask_for_another_route(daemon: FakeDaemon) -> None:
    said = stepwell("show", "../status")

    assert said.code == 2
    assert daemon.requests[-1].path == "/v1/runs/../status"  # one segment, quoted on its way


def test_an_unknown_step_lists_those_there_are(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/runs/last", a_run(a_step("train"), a_step("train#2"), a_step("prep")))

    said = stepwell("why", "last", "trian")

    assert said.code == 2
    assert said.err == ("no step named 'trian' (there is: prep, train, train#2)\n  try: did you mean 'train'?\n")


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J\x1b]0;title\x07x", "\udcff", "名前", "\u202ereversed"])
def test_odd_step_names_are_shown_harmless(daemon: FakeDaemon, name: str) -> None:
    run = a_run(a_step(name, step_run="odd"))
    daemon.on("GET", "/v1/runs/last", run)
    _without_metrics(daemon, run)
    daemon.on("GET", "/v1/step_runs/odd/metrics", {"metrics": {}})

    said = stepwell("show", "last")

    assert said.code == 0
    assert not set(said.out) & {"\x1b", "\x07", "\u202e"}


def test_an_odd_step_is_found_by_what_is_shown_of_it_and_its_error_is_harmless(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/runs/last", a_run(a_step("a\x1b[31mb\nc", step_run="odd")))
    daemon.on("GET", "/v1/step_runs/odd/log", Answer(b"hello", headers={"X-Log-Done": "1"}))

    assert stepwell("logs", "last", "ab\\nc").out == "hello"
    assert stepwell("logs", "last", "x\x07").err == "no step named 'x\\x07' (there is: ab\nc)\n"


def test_a_run_whose_sources_are_being_read_has_no_steps_yet(daemon: FakeDaemon) -> None:
    daemon.on("GET", "/v1/runs/last", a_run(status="NotStarted"))

    said = stepwell("why", "last", "train")

    assert said.code == 3
    assert said.err == "run 12 has no steps yet: its sources are being read\n  try: again in a moment\n"


def test_no_text_is_no_run(daemon: FakeDaemon) -> None:
    said = stepwell("show", "")

    assert (said.code, said.err) == (2, "an empty text names no run\n  try: stepwell runs\n")
    assert daemon.requests == []
