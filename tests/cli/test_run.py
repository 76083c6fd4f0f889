"""`stepwell run`, `plan` and `graph FILE`: from a pipeline file to what the daemon is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stepwell.errors import UsageError
from support.command_line import stepwell
from support.fake_daemon import Answer, Asked, FakeDaemon
from support.wire_samples import a_failed_step, a_run, a_step, an_event

RUN = "0190aaaa-run"
PIPELINE = """\
from stepwell import CommandStep, Pipeline, PipelineData, PipelineParameter, Workspace

print("hello from the file")
epochs = PipelineParameter("epochs", 5)
clean = PipelineData("clean")
prep = CommandStep(["touch", clean], name="prep", outputs=[clean])
train = CommandStep(["cat", clean, epochs], name="train", inputs=[clean])
pipeline = Pipeline(Workspace.from_config(), steps=[train])
"""


@pytest.fixture
def file(daemon: FakeDaemon) -> Path:
    """A pipeline file, and a daemon that takes it and has finished it at once."""
    path = Path("pipeline.py")
    path.write_text(PIPELINE)
    daemon.on("POST", "/v1/workspaces", _workspace)
    daemon.on("POST", "/v1/runs", Answer({"run": RUN, "number": 12, "workspace": "ws-1"}, status=201))
    daemon.on("GET", "/v1/events", {"events": [an_event(1, "run.ended", state="Finished")], "seq": 1})
    daemon.on("GET", f"/v1/runs/{RUN}", a_run(a_step("prep"), a_step("train")))
    return path


def _workspace(asked: Asked) -> dict[str, Any]:
    return {"id": asked.body.get("id") or "ws-1", "name": asked.body["name"], "root": asked.body["root"]}


def _submitted(daemon: FakeDaemon, path: str = "/v1/runs") -> dict[str, Any]:
    (request,) = daemon.asked("POST", path)
    body: dict[str, Any] = request.body
    return body


def test_run_submits_what_the_file_defines_and_follows_it(daemon: FakeDaemon, file: Path) -> None:
    said = stepwell("run", "pipeline.py", "-p", "epochs=6", "-e", "mine")

    body = _submitted(daemon)
    assert said.code == 0
    assert said.err == "hello from the file\n"
    assert said.out == "run 12 of pipeline.py\nrun 12 finished in 3.0 s: 2 ran, 0 reused\n"
    assert [step["key"] for step in body["spec"]["steps"]] == ["prep", "train"]
    assert (body["parameters"], body["experiment"], body["options"]) == ({"epochs": "6"}, "mine", {})
    assert body["spec"]["file"] == str(file.absolute())


def test_run_as_json_prints_the_agreed_object_alone(daemon: FakeDaemon, file: Path) -> None:
    said = stepwell("run", "pipeline.py", "--json")

    assert said.code == 0
    assert list(said.data) == [
        *("run", "number", "experiment", "status", "duration_s", "ran", "reused", "failed", "skipped", "steps"),
    ]
    assert (said.data["run"], said.data["steps"][1]["name"]) == (RUN, "train")


def test_detached_it_prints_the_run_at_once(daemon: FakeDaemon, file: Path) -> None:
    assert stepwell("run", "pipeline.py", "--detach", "--json").data == {"run": RUN, "number": 12}

    assert stepwell("run", "pipeline.py", "-d").out == "run 12 is on its way; `stepwell logs -f 12` follows it\n"
    assert daemon.asked("GET", "/v1/events") == []


def test_forcing_is_passed_on(daemon: FakeDaemon, file: Path) -> None:
    stepwell("run", "pipeline.py", "--force", "--from", "train")

    assert _submitted(daemon)["options"] == {"force": True, "from_step": "train"}


def test_a_failed_run_exits_with_five(daemon: FakeDaemon, file: Path) -> None:
    daemon.on("GET", f"/v1/runs/{RUN}", a_run(a_failed_step("prep")))
    daemon.on("GET", "/v1/step_runs/sr-prep/log", Answer(b"boom\n", headers={"X-Log-Size": "5"}))

    said = stepwell("run", "pipeline.py")

    assert said.code == 5
    assert "step 'prep' failed: exit code 1\n  │ boom\n  all of it: stepwell logs 12 prep\n" in said.out


def test_the_run_belongs_to_the_workspace_of_the_file(daemon: FakeDaemon, file: Path, tmp_path: Path) -> None:
    config = tmp_path / "project" / ".stepwell" / "config.json"
    config.parent.mkdir(parents=True)
    config.write_text('{"id": "ws-7", "name": "digits"}')
    file.rename(tmp_path / "project" / "pipeline.py")

    stepwell("run", "project/pipeline.py", "--json")

    assert _submitted(daemon)["workspace"] == "ws-7"


def test_the_run_belongs_to_the_workspace_that_is_named(daemon: FakeDaemon, file: Path) -> None:
    daemon.on("GET", "/v1/workspaces/other", {"id": "ws-9", "name": "other", "root": None})

    stepwell("run", "pipeline.py", "-w", "other", "--json")

    assert _submitted(daemon)["workspace"] == "ws-9"


@pytest.mark.parametrize(("word", "hint"), [("epochs", "-p epochs=value"), ("=5", "-p name=5")])
def test_a_parameter_needs_a_name_and_a_value(daemon: FakeDaemon, file: Path, word: str, hint: str) -> None:
    said = stepwell("run", "pipeline.py", "-p", word)

    assert said.code == 2
    assert said.err == f"{word!r} does not say which parameter gets which value\n  try: {hint}\n"
    assert daemon.asked("POST", "/v1/runs") == []


def test_a_value_may_hold_equals_signs_and_the_last_one_counts(daemon: FakeDaemon, file: Path) -> None:
    stepwell("run", "pipeline.py", "-p", "epochs=1", "-p", "epochs=a=b", "--json")

    assert _submitted(daemon)["parameters"] == {"epochs": "a=b"}


def test_a_file_that_is_not_there_names_the_nearest(daemon: FakeDaemon, file: Path) -> None:
    said = stepwell("run", "pipelin.py")

    assert (said.code, said.out) == (2, "")
    assert said.err == ("no pipeline file 'pipelin.py' (there is: pipeline.py)\n  try: did you mean 'pipeline.py'?\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0\n", "bad.py:1: ZeroDivisionError: division by zero"),
        ("x = (\n", "bad.py:1: '(' was never closed"),
        ("import sys\nsys.exit(3)\n", "bad.py:2: the pipeline file calls sys.exit(3)"),
        ("pipe = 1\n", "bad.py: the file defines neither `pipeline` nor `build(workspace)`"),
    ],
)
def test_a_file_that_goes_wrong_is_told_with_its_line(daemon: FakeDaemon, text: str, message: str) -> None:
    Path("bad.py").write_text(text)

    said = stepwell("run", "bad.py")

    assert (said.code, said.out) == (2, "")
    assert said.err.splitlines()[0] == message


def test_what_the_daemon_refuses_is_told_in_its_words(daemon: FakeDaemon, file: Path) -> None:
    error = UsageError("parameter 'epochs' is int, and 'many' is not", hint="-p epochs=5", code="bad_parameter")
    daemon.on("POST", "/v1/runs", Answer({"error": error.to_wire()}, status=400))

    said = stepwell("run", "pipeline.py", "-p", "epochs=many", "--json")

    assert (said.code, said.out) == (2, "")
    assert said.err == f"hello from the file\n{error}\n"


def _verdict(key: str, verdict: str, reason: str) -> dict[str, Any]:
    told = {"name": key, "key": key, "verdict": verdict, "reason": reason}
    return {**told, "waits_on": [], "changed": [], "upstream": []}


PLAN = {
    "steps": [
        _verdict("prep", "reuse", "same as run 11, 3 min ago"),
        _verdict("train", "run", "train.py changed"),
        _verdict("score", "wait", "after 'train', which will run"),
    ],
    "warnings": ["the source is large"],
}


def test_plan_says_verdict_and_reason_of_every_step(daemon: FakeDaemon, file: Path) -> None:
    daemon.on("POST", "/v1/plan", PLAN)

    said = stepwell("plan", "pipeline.py", "-p", "epochs=7")

    assert said.code == 0
    assert said.out.splitlines() == [
        "↺ reuse  prep   same as run 11, 3 min ago",
        "● run    train  train.py changed",
        "○ wait   score  after 'train', which will run",
        "",
        "1 would run, 1 would be reused, 1 not known yet",
    ]
    assert said.err == "hello from the file\nwarning: the source is large\n"
    assert _submitted(daemon, "/v1/plan")["parameters"] == {"epochs": "7"}
    assert daemon.asked("POST", "/v1/runs") == []


def test_plan_as_json_has_the_agreed_fields(daemon: FakeDaemon, file: Path) -> None:
    daemon.on("POST", "/v1/plan", PLAN)

    data = stepwell("plan", "pipeline.py", "--json").data

    assert list(data) == ["steps"]
    assert list(data["steps"][0]) == ["name", "key", "verdict", "reason", "waits_on", "changed"]


def test_the_graph_of_a_file_asks_no_daemon(daemon: FakeDaemon, file: Path) -> None:
    said = stepwell("graph", "pipeline.py")

    assert (said.code, said.out) == (0, "prep\n│\ntrain\n")
    assert daemon.requests == []


def test_a_cycle_is_told_and_not_drawn(daemon: FakeDaemon) -> None:
    Path("cycle.py").write_text(
        "from stepwell import CommandStep, Pipeline, Workspace\n"
        "a = CommandStep(['true'], name='a')\nb = CommandStep(['true'], name='b')\n"
        "a.run_after(b)\nb.run_after(a)\npipeline = Pipeline(Workspace.from_config(), steps=[a, b])\n"
    )

    said = stepwell("graph", "cycle.py")

    assert said.code == 2
    assert "a -> b -> a" in said.err or "b -> a -> b" in said.err
