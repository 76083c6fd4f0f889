"""`stepwell demo`: a copy of the sample that is the user's own, run as any pipeline is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from stepwell.cli import demo
from stepwell.errors import NotFoundError
from support.command_line import stepwell
from support.fake_daemon import Answer, Asked, FakeDaemon
from support.wire_samples import a_run, a_step, an_event

RUN = "0190aaaa-run"


@pytest.fixture(autouse=True)
def finishing(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that takes every run and has finished it at once, and a Python that has what the sample needs."""
    known: dict[str, Any] = {}

    def register(asked: Asked) -> dict[str, Any]:
        known.update({"id": asked.body["id"], "name": asked.body["name"], "root": asked.body["root"]})
        daemon.on("GET", f"/v1/workspaces/{known['id']}", known)
        return known

    daemon.on("POST", "/v1/workspaces", register)
    daemon.on("POST", "/v1/runs", Answer({"run": RUN, "number": 1, "workspace": "w"}, status=201))
    daemon.on("GET", "/v1/events", {"events": [an_event(1, "run.ended", state="Finished")], "seq": 1})
    daemon.on("GET", f"/v1/runs/{RUN}", a_run(a_step("report"), number=1))
    monkeypatch.setattr(demo, "find_spec", lambda name: object())


def test_the_sample_is_copied_made_a_workspace_and_run(daemon: FakeDaemon, tmp_path: Path) -> None:
    said = stepwell("demo", "mine")

    copy = tmp_path / "mine"
    (submitted,) = daemon.asked("POST", "/v1/runs")
    assert said.code == 0
    assert said.out.endswith("run 1 finished in 3.0 s: 1 ran, 0 reused\n")
    assert said.err == (
        f"copied the sample to {copy}\n\n"
        f"now edit a file in {copy} and see what runs again, and why:\n"
        "  cd mine\n  stepwell run pipeline.py\n  stepwell why last compare\n"
    )
    assert {path.name for path in copy.iterdir()} >= {".stepwell", "pipeline.py", "prepare", "compare"}
    assert submitted.body["spec"]["file"] == str(copy / "pipeline.py")


def test_run_again_the_copy_stays_as_it_was_edited(tmp_path: Path) -> None:
    stepwell("demo", "mine")
    script = tmp_path / "mine" / "prepare" / "prepare.py"
    script.write_text("# mine now\n")

    said = stepwell("demo", "mine", "--json")

    assert said.data["number"] == 1
    assert said.err == f"the sample is in {tmp_path / 'mine'}\n"
    assert script.read_text() == "# mine now\n"


def test_a_folder_that_holds_something_else_is_left_alone(daemon: FakeDaemon, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()

    said = stepwell("demo", "thesis")

    assert said.code == 3
    assert said.err == "'thesis' is not empty, and holds no sample\n  try: stepwell demo thesis/digits\n"
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]
    assert daemon.requests == []


def test_packages_that_are_missing_are_named_with_the_command_that_adds_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda name: None)

    said = stepwell("demo", "mine")

    assert said.code == 4
    assert said.err == (
        "the sample needs scikit-learn and matplotlib, which this Python does not have\n"
        f"  try: {sys.executable} -m pip install scikit-learn matplotlib\n"
    )
    assert not (tmp_path / "mine").exists()


def test_a_failing_sample_ends_as_any_failing_run(daemon: FakeDaemon) -> None:
    error = NotFoundError("no step run", code="unknown_step_run")
    daemon.on("GET", f"/v1/runs/{RUN}", a_run(status="Failed", error=error.to_wire()))

    said = stepwell("demo", "mine")

    assert said.code == 2
    assert "now edit a file" not in said.err
