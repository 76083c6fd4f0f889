"""What a submission says, and what it takes from the process that submits."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from stepwell import (
    CommandStep,
    Environment,
    Experiment,
    Pipeline,
    PipelineParameter,
    PipelineRun,
    PythonScriptStep,
    RunConfiguration,
    ScriptRun,
    ScriptRunConfig,
    UsageError,
    Workspace,
)
from stepwell.authoring.later import NotThereYetError
from stepwell.core.spec import PipelineSpec
from support.fake_daemon import Answer, FakeDaemon


@pytest.fixture
def submitting(daemon: FakeDaemon, known: Workspace) -> Experiment:
    daemon.on("POST", "/v1/runs", Answer({"run": "r-1", "number": 1, "workspace": "ws-1"}, status=201))
    daemon.on("POST", "/v1/runs/r-1/tags", {})
    return Experiment(known, "train")


def body(daemon: FakeDaemon) -> dict[str, Any]:
    (asked,) = daemon.asked("POST", "/v1/runs")
    found: dict[str, Any] = asked.body
    return found


def test_a_pipeline_is_submitted_whole_and_comes_back_as_a_run(daemon: FakeDaemon, submitting: Experiment) -> None:
    epochs = PipelineParameter("epochs", 5)
    pipeline = Pipeline(submitting.workspace, CommandStep(["echo", epochs], name="one"), description="d")

    run = submitting.submit(
        pipeline,
        tags={"who": "me"},
        pipeline_parameters={"epochs": 6},
        continue_on_step_failure=True,
        regenerate_outputs=True,
    )

    assert type(run) is PipelineRun
    assert (run.id, run.experiment) == ("r-1", submitting)
    sent = body(daemon)
    assert (sent["workspace"], sent["experiment"]) == ("ws-1", "train")
    assert sent["parameters"] == {"epochs": 6}
    assert sent["options"] == {"continue_on_step_failure": True, "regenerate_outputs": True}
    assert sent["tags"] == {"who": "me"}
    spec = PipelineSpec.from_wire(sent["spec"])
    assert (spec.name, spec.description, [step.key for step in spec.steps]) == ("train", "d", ["one"])


def test_a_pipeline_submits_itself_under_a_name(daemon: FakeDaemon, submitting: Experiment) -> None:
    pipeline = Pipeline(submitting.workspace, CommandStep(["true"]))

    run = pipeline.submit("other", pipeline_parameters=None, regenerate_outputs=True)

    assert run.experiment.name == body(daemon)["experiment"] == "other"
    assert body(daemon)["options"] == {"regenerate_outputs": True}


def test_values_of_parameters_are_plain_scalars(daemon: FakeDaemon, submitting: Experiment) -> None:
    numpy = pytest.importorskip("numpy")
    pipeline = Pipeline(submitting.workspace, CommandStep(["true"]))

    submitting.submit(pipeline, pipeline_parameters={"n": numpy.int64(5), "rate": 0.5, "on": True, "name": "x"})

    assert body(daemon)["parameters"] == {"n": 5, "rate": 0.5, "on": True, "name": "x"}
    with pytest.raises(UsageError) as caught:
        submitting.submit(pipeline, pipeline_parameters={"n": [1]})
    assert caught.value.message == "the value of parameter 'n' must be a text, a number or a bool, not [1]"


def test_of_the_submitting_process_a_few_variables_are_passed_on_and_no_others(
    daemon: FakeDaemon, submitting: Experiment, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = {"LC_ALL": "C", "https_proxy": "p", "NO_PROXY": "n", "TZ": "UTC", "LD_LIBRARY_PATH": "/l"}
    for name, value in {**passed, "SECRET": "s", "PYTHONPATH": "/p", "TOKEN": "t\udcff"}.items():
        monkeypatch.setenv(name, value)
    step = CommandStep(["true"], pass_env=["TOKEN", "NOT_SET_ANYWHERE"])

    submitting.submit(Pipeline(submitting.workspace, step))

    client = body(daemon)["client"]
    assert client["python"] == sys.executable
    assert client["cwd"] == str(here)
    assert client["pass_env"] == {"TOKEN": "t\udcff"}
    assert passed.items() <= client["environment"].items()
    assert {"SECRET", "PYTHONPATH", "TOKEN", "STEPWELL_HOME"}.isdisjoint(client["environment"])
    assert {"PATH", "HOME"} <= client["environment"].keys()


def test_a_script_is_a_run_of_one_step_that_is_never_reused(daemon: FakeDaemon, submitting: Experiment) -> None:
    config = ScriptRunConfig("src", "train.py", ["--n", 1], environment=Environment("own"))

    run = submitting.submit(config, tags={"a": "b"})

    assert type(run) is ScriptRun
    (step,) = PipelineSpec.from_wire(body(daemon)["spec"]).steps
    assert (step.kind, step.name, step.allow_reuse, step.timeout_s) == ("python_script", "train.py", False, None)
    assert [word.text for word in step.arguments] == ["--n", "1"]
    assert body(daemon)["tags"] == {"a": "b"}
    (marked,) = daemon.asked("POST", "/v1/runs/r-1/tags")
    assert marked.body == {"properties": {"azureml.runsource": "azureml.scriptrun"}}


def test_a_command_can_be_submitted_by_itself(daemon: FakeDaemon, submitting: Experiment) -> None:
    submitting.submit(ScriptRunConfig(".", command="ls -l", max_run_duration_seconds=60))

    (step,) = PipelineSpec.from_wire(body(daemon)["spec"]).steps
    assert (step.kind, step.settings, step.timeout_s) == ("command", {"shell": True}, 60)


@pytest.mark.parametrize(
    ("fields", "what"), [({}, "neither"), ({"script": "a.py", "command": "ls"}, "both")], ids=["neither", "both"]
)
def test_a_script_run_config_has_a_script_or_a_command(
    submitting: Experiment, fields: dict[str, Any], what: str
) -> None:
    with pytest.raises(UsageError, match=f"a ScriptRunConfig needs a script or a command, and it has {what}"):
        submitting.submit(ScriptRunConfig(".", **fields))


def test_an_environment_with_packages_is_submitted_for_the_daemon_to_refuse(
    daemon: FakeDaemon, submitting: Experiment
) -> None:
    refusal = {"kind": "usage", "code": "environment_unbuilt", "message": "there is no builder yet", "hint": "h"}
    daemon.on("POST", "/v1/runs", Answer({"error": refusal}, status=400))
    configuration = RunConfiguration()
    configuration.environment.python.conda_dependencies.add_pip_package("numpy")

    with pytest.raises(UsageError, match="there is no builder yet"):
        submitting.submit(Pipeline(submitting.workspace, PythonScriptStep("a.py", runconfig=configuration)))

    assert body(daemon)["spec"]["steps"][0]["environment"] == {"user_managed": False, "pip_packages": ["numpy"]}


def test_what_cannot_be_submitted_is_refused(submitting: Experiment) -> None:
    pipeline = Pipeline(submitting.workspace, CommandStep(["true"]))

    with pytest.raises(TypeError, match="an Experiment submits a Pipeline or a ScriptRunConfig, not "):
        submitting.submit("pipeline")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="unexpected keyword argument 'wait'"):
        submitting.submit(pipeline, wait=True)
    with pytest.raises(TypeError, match=r"submit\(\) got an unexpected keyword argument 'regenerate_outputs'"):
        submitting.submit(ScriptRunConfig(".", "a.py"), regenerate_outputs=True)
    with pytest.raises(NotThereYetError, match=r"submit\(parent_run_id=...\) does not exist yet"):
        submitting.submit(pipeline, parent_run_id="r-0")
    with pytest.raises(NotThereYetError, match=r"submit\(pipeline_version=...\) does not exist yet"):
        submitting.submit(pipeline, pipeline_version="2")


@pytest.mark.parametrize("name", ["", None, 5])
def test_an_experiment_needs_a_name(workspace: Workspace, name: Any) -> None:
    with pytest.raises(ValueError, match="an Experiment needs a name, not "):
        Experiment(workspace, name)


def test_publishing_does_not_exist_yet(workspace: Workspace) -> None:
    pipeline = Pipeline(workspace, CommandStep(["true"]))

    with pytest.raises(NotThereYetError) as caught:
        pipeline.publish(name="p")
    assert str(caught.value) == (
        "Pipeline.publish does not exist yet\n"
        "  try: submit it with Experiment.submit; pipelines cannot be published yet"
    )
