"""Runs and step runs: words, details, metrics, marks, outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stepwell import Experiment, PipelineRun, PortDataReference, Run, ScriptRun, StepRun, Workspace
from stepwell.authoring.later import NotThereYetError
from stepwell.core.spec import Argument, OutputSpec, PipelineSpec, StepSpec
from stepwell.core.states import STEP_RUN_WORDS, StepState
from stepwell.errors import MachineError, NotFoundError, RunEnvironmentException
from support.fake_daemon import Answer, FakeDaemon
from support.wire_samples import a_run, a_step

RUN = "0190aaaa-run"
RUNS = "/v1/runs/0190aaaa-run"
NOT_FOUND = Answer({"error": {"kind": "not_found", "code": "unknown_run", "message": "no such run"}}, status=404)


@pytest.fixture
def experiment(known: Workspace) -> Experiment:
    return Experiment(known, "digits")


def serve(daemon: FakeDaemon, *steps: dict[str, Any], **fields: Any) -> None:
    """Have the daemon know one run and its steps."""
    daemon.on("GET", RUNS, a_run(*steps, **fields))
    for step in steps:
        daemon.on("GET", f"/v1/step_runs/{step['step_run']}", step)


def an_output(name: str, path: Path, kind: str = "file", origin: str = "sr-train") -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "digest": "d" * 64,
        "bytes": 1,
        "files": 1,
        "path": str(path),
        "datastore_path": f"azureml/{origin}/{name}",
    }


# --- words


@pytest.mark.parametrize(
    ("state", "own", "history"),
    [
        ("NotStarted", "NotStarted", "NotStarted"),
        ("Running", "Running", "Running"),
        ("Finished", "Finished", "Completed"),
        ("Failed", "Failed", "Failed"),
        ("Canceled", "Canceled", "Canceled"),
    ],
)
def test_a_pipeline_run_ends_finished_and_its_history_completed(
    daemon: FakeDaemon, experiment: Experiment, state: str, own: str, history: str
) -> None:
    serve(daemon, status=state)
    run = PipelineRun(experiment, RUN)

    assert (run.get_status(), run.status) == (own, history)
    assert Run(experiment, RUN).get_status() == history


def test_a_run_that_is_being_canceled_says_so_in_its_history(daemon: FakeDaemon, experiment: Experiment) -> None:
    serve(daemon, status="Running", cancel_asked=True)

    assert PipelineRun(experiment, RUN).status == "CancelRequested"
    assert PipelineRun(experiment, RUN).get_status() == "Running"


@pytest.mark.parametrize("state", list(StepState))
def test_a_step_run_has_the_six_words_of_the_sdk(daemon: FakeDaemon, experiment: Experiment, state: StepState) -> None:
    serve(daemon, a_step("train", str(state)))
    run = StepRun(experiment, "sr-train", RUN, "train")

    assert run.get_status() == STEP_RUN_WORDS[state]
    assert run.get_status() in ("NotStarted", "Queued", "Running", "Failed", "Finished", "Canceled")
    assert run.status == "Completed" if state is StepState.FINISHED else run.status


def test_a_finished_script_run_is_completed(daemon: FakeDaemon, experiment: Experiment) -> None:
    serve(daemon, a_step("train"))

    assert ScriptRun(experiment, RUN).get_status() == "Completed"


# --- finding


def test_steps_are_found_by_name_as_a_list(daemon: FakeDaemon, experiment: Experiment) -> None:
    serve(daemon, a_step("train"), a_step("train#2"), a_step("score"))
    run = PipelineRun(experiment, RUN)

    assert [step.key for step in run.get_steps()] == ["train", "train#2", "score"]
    assert [step.id for step in run.find_step_run("train")] == ["sr-train", "sr-train#2"]
    assert run.find_step_run("nobody") == []


def test_asking_for_steps_waits_until_there_are_some(daemon: FakeDaemon, experiment: Experiment) -> None:
    answers = [a_run(status="Running"), a_run(status="Running"), a_run(a_step("train", "Running"))]
    daemon.on("GET", RUNS, lambda asked: answers.pop(0))
    daemon.on("GET", "/v1/events", lambda asked: {"events": [], "seq": int(asked.query["after"]) + 1})

    assert [step.key for step in PipelineRun(experiment, RUN).get_steps()] == ["train"]
    assert [asked.query["after"] for asked in daemon.asked("GET", "/v1/events")] == ["0", "1"]


def test_a_run_that_failed_before_it_was_planned_has_no_steps(daemon: FakeDaemon, experiment: Experiment) -> None:
    serve(daemon, status="Failed")

    assert list(PipelineRun(experiment, RUN).get_steps()) == []


def test_children_can_be_chosen_by_status_tags_and_type(daemon: FakeDaemon, experiment: Experiment) -> None:
    serve(daemon, a_step("a", tags={"best": "yes"}), a_step("b", "Failed"))
    run = PipelineRun(experiment, RUN)

    assert [child.key for child in run.get_children(status="Failed")] == ["b"]
    assert [child.key for child in run.get_children(tags="best")] == ["a"]
    assert [child.key for child in run.get_children(tags={"best": "no"})] == []
    assert [child.key for child in run.get_children(type="azureml.PipelineRun")] == []


def test_a_run_is_got_as_what_it_is(daemon: FakeDaemon, known: Workspace) -> None:
    script = {"azureml.runsource": "azureml.scriptrun"}
    serve(daemon, a_step("train"))
    daemon.on("GET", "/v1/runs/r-2", a_run(run="r-2", properties=script))
    daemon.on("GET", "/v1/runs/sr-train", NOT_FOUND)
    daemon.on("GET", "/v1/runs/x", NOT_FOUND)
    daemon.on("GET", "/v1/step_runs/x", NOT_FOUND)

    assert type(Run.get(known, RUN)) is PipelineRun
    assert type(Run.get(known, "r-2")) is ScriptRun
    assert type(known.get_run("sr-train")) is StepRun
    assert PipelineRun.get(known, RUN).experiment.name == "digits"
    with pytest.raises(NotFoundError, match="no such run"):
        Run.get(known, "x")
    with pytest.raises(NotFoundError, match="run 'r-2' is not of a pipeline but of a script"):
        PipelineRun.get(known, "r-2")


def test_the_runs_of_an_experiment_can_be_chosen(daemon: FakeDaemon, experiment: Experiment) -> None:
    rows = [
        a_run(number=3, run="r-3", tags={"kind": "try"}),
        a_run(number=2, run="r-2", properties={"azureml.runsource": "azureml.scriptrun"}),
        a_run(number=1, run=RUN, status="Failed"),
    ]
    daemon.on("GET", "/v1/runs", {"runs": rows})
    serve(daemon, a_step("train"))

    assert [(run.id, type(run)) for run in experiment.get_runs()] == [
        ("r-3", PipelineRun),
        ("r-2", ScriptRun),
        (RUN, PipelineRun),
    ]
    assert [run.id for run in experiment.get_runs(type="azureml.scriptrun")] == ["r-2"]
    assert [run.id for run in experiment.get_runs(tags={"kind": "try"})] == ["r-3"]
    assert [run.id for run in Run.list(experiment, status="Failed")] == [RUN]
    (first, *_) = daemon.asked("GET", "/v1/runs")
    assert (first.query["workspace"], first.query["experiment"]) == ("ws-1", "digits")


# --- details and marks


def test_the_details_have_the_keys_of_the_sdk(daemon: FakeDaemon, experiment: Experiment) -> None:
    serve(daemon, a_step("train"))
    keys = "runId target status startTimeUtc endTimeUtc properties inputDatasets outputDatasets logFiles submittedBy"

    of_run = PipelineRun(experiment, RUN).get_details()
    of_step = StepRun(experiment, "sr-train", RUN, "train").get_details()

    assert list(of_run) == list(of_step) == keys.split()
    assert (of_step["target"], of_step["status"]) == ("local", "Completed")
    assert str(of_run["startTimeUtc"]).endswith("Z")
    assert of_step["logFiles"]["user_logs/std_log.txt"].endswith("/attempts/at-train/step.log")


def test_the_details_of_a_failed_run_say_why(daemon: FakeDaemon, experiment: Experiment) -> None:
    serve(daemon, a_step("train", "Failed", error={"message": "exit code 3"}))

    assert StepRun(experiment, "sr-train", RUN, "train").get_details()["error"] == {"message": "exit code 3"}


def test_tags_and_properties_are_added_as_texts(daemon: FakeDaemon, experiment: Experiment) -> None:
    serve(daemon, tags={"a": "1"}, properties={"b": "2"})
    daemon.on("POST", f"{RUNS}/tags", {})
    run = PipelineRun(experiment, RUN)

    run.tag("flag")
    run.set_tags({"n": 5})
    run.add_properties({"p": 0.5})

    assert [asked.body for asked in daemon.asked("POST", f"{RUNS}/tags")] == [
        {"tags": {"flag": ""}},
        {"tags": {"n": "5"}},
        {"properties": {"p": "0.5"}},
    ]
    assert (run.tags, run.properties) == ({"a": "1"}, {"b": "2"})


def test_a_reused_step_names_the_one_it_was_taken_from(daemon: FakeDaemon, experiment: Experiment) -> None:
    serve(daemon, a_step("train", reused_run=11))

    run = StepRun(experiment, "sr-train", RUN, "train")

    assert run.properties == {"azureml.isreused": "true", "azureml.reusedrunid": "sr-original"}
    assert run.parent.id == run.pipeline_run_id == RUN


def test_canceling_asks_the_daemon(daemon: FakeDaemon, experiment: Experiment) -> None:
    daemon.on("POST", f"{RUNS}/cancel", {"status": "Running"})

    PipelineRun(experiment, RUN).cancel()

    assert daemon.asked("POST", f"{RUNS}/cancel")[0].body == {"reason": "canceled by you"}


def test_canceling_a_step_ends_its_run_unless_the_step_has_ended(daemon: FakeDaemon, experiment: Experiment) -> None:
    daemon.on("POST", f"{RUNS}/cancel", {"status": "Running"})
    serve(daemon, a_step("over"), a_step("live", "Running"))

    StepRun(experiment, "sr-over", RUN, "over").cancel()
    assert daemon.asked("POST", f"{RUNS}/cancel") == []

    StepRun(experiment, "sr-live", RUN, "live").cancel()
    assert len(daemon.asked("POST", f"{RUNS}/cancel")) == 1


@pytest.mark.parametrize("name", ["tag", "set_tags", "add_properties", "log", "child_run"])
def test_what_a_step_run_cannot_do_from_outside_is_refused_by_name(experiment: Experiment, name: str) -> None:
    run = StepRun(experiment, "sr-train", RUN, "train")

    assert not hasattr(run, name)
    with pytest.raises(NotThereYetError, match=rf"(Step)?Run\.{name} does not exist yet"):
        getattr(run, name)


# --- metrics


def test_metrics_are_values_lists_and_columns(daemon: FakeDaemon, experiment: Experiment) -> None:
    def series(kind: str, *values: Any) -> dict[str, Any]:
        return {"kind": kind, "points": [{"step": None, "time_us": n, "value": v} for n, v in enumerate(values)]}

    metrics = {
        "accuracy": series("scalar", 0.9),
        "loss": series("scalar", 1.0, 0.5),
        "sizes": series("list", [1, 2], [3]),
        "row": series("row", {"x": 1, "y": 2}),
        "rows": series("row", {"x": 1}, {"x": 2}),
    }
    serve(daemon, a_step("train"))
    daemon.on("GET", "/v1/step_runs/sr-train/metrics", {"metrics": metrics})
    daemon.on("GET", f"{RUNS}/metrics", {"metrics": {"best": series("scalar", "svc")}})
    step = StepRun(experiment, "sr-train", RUN, "train")
    run = PipelineRun(experiment, RUN)

    assert step.get_metrics() == {
        "accuracy": 0.9,
        "loss": [1.0, 0.5],
        "sizes": [1, 2, 3],
        "row": {"x": 1, "y": 2},
        "rows": {"x": [1, 2]},
    }
    assert step.get_metrics("loss") == {"loss": [1.0, 0.5]}
    assert run.get_metrics() == {"best": "svc"}
    assert run.get_metrics(recursive=True) == {"sr-train": step.get_metrics()}
    assert ScriptRun(experiment, RUN).get_metrics() == {"best": "svc", **step.get_metrics()}


# --- outputs


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A stored tree: read-only files, a program, an empty folder, a link."""
    tree = tmp_path / "store" / "tree"
    (tree / "deep" / "empty").mkdir(parents=True)
    (tree / "model.bin").write_bytes(b"model")
    (tree / "deep" / "run.sh").write_text("#!/bin/sh\n")
    (tree / "link").symlink_to("model.bin")
    (tree / "model.bin").chmod(0o444)
    (tree / "deep" / "run.sh").chmod(0o555)
    return tree


def a_spec(**output: Any) -> PipelineSpec:
    step = StepSpec("train", "train", "command", {"output_names": {"made": "model"}}, arguments=(Argument(text="x"),))
    fields = {**vars_of(step), "outputs": (OutputSpec("model", **output),)}
    return PipelineSpec("digits", (StepSpec(**fields),))


def vars_of(step: StepSpec) -> dict[str, Any]:
    return {name: getattr(step, name) for name in StepSpec.__slots__}


def test_a_folder_is_downloaded_below_its_place_in_the_datastore(
    daemon: FakeDaemon, experiment: Experiment, stored: Path, here: Path
) -> None:
    serve(daemon, a_step("train", outputs=[an_output("model", stored, "directory")]))
    step = StepRun(experiment, "sr-train", RUN, "train")

    data = step.get_output_data("model")
    copied = data.download("local")

    target = here / "local" / "azureml" / "sr-train" / "model"
    assert data.path_on_datastore == "azureml/sr-train/model"
    assert copied == 3
    assert sorted(str(path.relative_to(target)) for path in target.rglob("*")) == [
        *("deep", "deep/empty", "deep/run.sh", "link", "model.bin"),
    ]
    assert (target / "link").is_symlink()
    (target / "model.bin").write_bytes(b"mine")  # a copy of one's own, to be written to
    assert (target / "deep" / "run.sh").stat().st_mode & 0o111
    assert not (target / "model.bin").stat().st_mode & 0o111
    assert (stored / "model.bin").read_bytes() == b"model"


def test_what_is_there_already_stays_unless_it_may_be_written_over(
    daemon: FakeDaemon, experiment: Experiment, stored: Path, here: Path
) -> None:
    serve(daemon, a_step("train", outputs=[an_output("model", stored / "model.bin")]))
    data = StepRun(experiment, "sr-train", RUN, "train").get_output("model").get_port_data_reference()
    target = here / "azureml" / "sr-train" / "model"

    assert data.download(here) == 1
    target.write_bytes(b"mine")
    assert data.download(here) == 0
    assert target.read_bytes() == b"mine"
    assert data.download(here, overwrite=True, show_progress=True) == 1
    assert target.read_bytes() == b"model"


def test_an_output_is_found_by_its_name_or_its_output_name(
    daemon: FakeDaemon, experiment: Experiment, stored: Path
) -> None:
    kept = an_output("./outputs", stored, "directory")
    serve(daemon, a_step("train", outputs=[an_output("model", stored), kept]))
    daemon.on("GET", f"{RUNS}/spec", a_spec(datastore="workspacefilestore").to_wire())
    step = StepRun(experiment, "sr-train", RUN, "train")

    assert list(step.get_outputs()) == ["model"]
    assert step.get_output_data("made").name == "model"
    assert step.get_output_data("model").datastore.name == "workspacefilestore"
    with pytest.raises(NotFoundError, match=r"no output named 'modl' \(there is: model\)"):
        step.get_output("modl")


def test_a_pipeline_output_is_found_by_its_own_name(daemon: FakeDaemon, experiment: Experiment, stored: Path) -> None:
    serve(daemon, a_step("train", outputs=[an_output("model", stored)]))
    daemon.on("GET", f"{RUNS}/spec", a_spec(pipeline_output_name="best").to_wire())
    run = PipelineRun(experiment, RUN)

    assert run.get_pipeline_output("best").path_on_datastore == "azureml/sr-train/model"
    assert run.get_graph().nodes[0].outputs == ("model",)
    with pytest.raises(NotFoundError, match=r"no pipeline output named 'worst' \(there is: best\)"):
        run.get_pipeline_output("worst")


def test_content_that_is_gone_is_told(known: Workspace, tmp_path: Path) -> None:
    data = PortDataReference(known, RUN, an_output("model", tmp_path / "gone"))

    with pytest.raises(MachineError, match="the stored output 'model' is gone from "):
        data.download(tmp_path / "local")
    with pytest.raises(NotThereYetError, match=r"PortDataReference\.as_input does not exist yet"):
        data.as_input("x")


def test_a_download_that_cannot_be_written_is_told(known: Workspace, stored: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(MachineError, match=r"cannot copy the output 'model' to .*: Not a directory"):
        PortDataReference(known, RUN, an_output("model", stored)).download(tmp_path / "file")


def test_kept_files_are_listed_and_copied(daemon: FakeDaemon, experiment: Experiment, stored: Path, here: Path) -> None:
    kept = [an_output("./outputs", stored, "directory"), an_output("./logs", stored / "deep", "directory")]
    serve(daemon, a_step("train", outputs=kept))
    step = StepRun(experiment, "sr-train", RUN, "train")

    assert step.get_file_names() == [
        *("logs/run.sh", "outputs/deep/run.sh", "outputs/link", "outputs/model.bin"),
    ]
    assert ScriptRun(experiment, RUN).get_file_names() == step.get_file_names()
    assert PipelineRun(experiment, RUN).get_file_names() == []
    step.download_file("outputs/model.bin")
    step.download_file("outputs/model.bin", "below/other.bin")
    step.download_files(prefix="outputs/deep", output_directory="all", append_prefix=False)
    assert (here / "model.bin").read_bytes() == (here / "below" / "other.bin").read_bytes() == b"model"
    assert (here / "all" / "run.sh").exists()
    with pytest.raises(NotFoundError, match=r"no file named 'outputs/modl\.bin'"):
        step.download_file("outputs/modl.bin")
    with pytest.raises(ValueError, match="1 output_paths for 4 files"):
        step.download_files(output_paths=["one"])


# --- logs and context


def test_logs_are_read_to_their_end_in_pieces(daemon: FakeDaemon, experiment: Experiment) -> None:
    whole = b"first\nsecond \xff\n"

    def log(asked: Any) -> Answer:
        offset = int(asked.query["offset"])
        part = whole[offset : offset + 6]
        headers = {"X-Log-Size": str(len(whole)), "X-Log-Offset": str(offset + len(part))}
        return Answer(part, headers=headers)

    daemon.on("GET", "/v1/step_runs/sr-train/log", log)
    step = StepRun(experiment, "sr-train", RUN, "train")

    assert step.get_stdout_log() == "first\nsecond \ufffd\n"
    step.get_stderr_log()
    step.get_job_log()
    assert {asked.query["stream"] for asked in daemon.requests} == {"out", "err", "all"}


def test_outside_of_a_run_there_is_a_context_that_prints_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEPWELL_ATTEMPT_DIR", raising=False)

    assert Run.get_context().id.startswith("OfflineRun_")
    with pytest.raises(RunEnvironmentException):
        Run.get_context(allow_offline=False)
