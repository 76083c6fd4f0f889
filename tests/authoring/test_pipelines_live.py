"""Pipelines as people write them, run by a real daemon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import pytest

from stepwell import (
    ActivityFailedException,
    AmlCompute,
    CommandStep,
    ComputeTarget,
    ComputeTargetException,
    CondaDependencies,
    Environment,
    Experiment,
    NotFoundError,
    Pipeline,
    PipelineData,
    PipelineParameter,
    PipelineRun,
    PythonScriptStep,
    Run,
    RunConfiguration,
    ScriptRun,
    ScriptRunConfig,
    StepSequence,
    UsageError,
    Workspace,
)
from stepwell.paths import Home
from support import left_behind
from support.waiting import wait_until

PREPARE = """
import argparse, os, sys
from stepwell import Run
parser = argparse.ArgumentParser()
parser.add_argument("--rows", type=int)
parser.add_argument("--clean")
options = parser.parse_args()
assert os.environ["AZUREML_DATAREFERENCE_clean"] == options.clean
assert os.environ["AML_PARAMETER_seed"] == "7"
os.makedirs(options.clean)
with open(os.path.join(options.clean, "rows.txt"), "w") as file:
    file.writelines(f"{n}\\n" for n in range(options.rows))
print("prepared", options.rows)
print("warned", file=sys.stderr)
run = Run.get_context()
run.log("rows", options.rows)
run.parent.log("prepared", True)
os.makedirs("outputs")
open("outputs/note.txt", "w").write("kept")
"""
TRAIN = """
import os, sys
from stepwell import Run
rows = open(os.path.join(sys.argv[1], "rows.txt")).read().split()
for n, loss in enumerate((1.0, 0.5)):
    Run.get_context().log("loss", loss, step=n)
open(sys.argv[2], "w").write(str(len(rows)))
Run.get_context().complete()
"""


@pytest.fixture
def project(home: Home, here: Path) -> Path:
    """A folder with two scripts, in a home of its own."""
    for name, text in (("prepare", PREPARE), ("train", TRAIN)):
        (here / name).mkdir()
        (here / name / f"{name}.py").write_text(text)
    return here


def script(folder: Path, text: str, name: str = "step.py") -> str:
    (folder / "src").mkdir(exist_ok=True)
    (folder / "src" / name).write_text(dedent(text))
    return name


def two_steps(workspace: Workspace) -> Pipeline:
    clean = PipelineData("clean", datastore=workspace.get_default_datastore())
    model = PipelineData("model", output_name="trained", pipeline_output_name="best")
    prepare = PythonScriptStep(
        "prepare.py",
        name="prepare",
        arguments=["--rows", PipelineParameter("rows", default_value=3), "--clean", clean],
        outputs=[clean],
        params={"seed": 7},
        source_directory="prepare",
        compute_target="local",
    )
    train = PythonScriptStep(
        "train.py",
        name="train",
        arguments=[clean.as_input("training"), model],
        inputs=[clean.as_input("training")],
        outputs=[model],
        source_directory="train",
        runconfig=RunConfiguration(),
    )
    assert prepare.name == "prepare"
    return Pipeline(workspace=workspace, steps=[train])


def test_a_pipeline_runs_is_reused_and_gives_back_what_it_made(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = Workspace.from_config()
    experiment = Experiment(workspace=workspace, name="first")

    run = experiment.submit(two_steps(workspace), tags={"who": "me"})
    assert run.wait_for_completion() == "Finished"

    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "PipelineRun 1 Status: Running"
    assert printed.index("[prepare] prepared 3") < printed.index("StepRun(prepare) Status: Finished")
    assert printed[-2:] == ["StepRun(train) Status: Finished", "PipelineRun 1 Status: Finished"]
    prepare, train = run.get_steps()
    assert (prepare.get_stdout_log(), prepare.get_stderr_log()) == ("prepared 3\n", "warned\n")
    assert (prepare.get_metrics(), train.get_metrics()) == ({"rows": 3}, {"loss": [1.0, 0.5]})
    assert run.get_metrics() == {"prepared": True}
    assert (run.status, run.get_status(), train.status, train.get_status()) == (
        *("Completed", "Finished"),
        *("Completed", "Finished"),
    )
    assert prepare.get_file_names() == ["outputs/note.txt"]
    prepare.download_file("outputs/note.txt", "note.txt")
    assert (project / "note.txt").read_text() == "kept"

    again = experiment.submit(two_steps(workspace), pipeline_parameters={"rows": "3"})
    again.wait_for_completion(show_output=False)

    (reused,) = again.find_step_run("train")
    assert reused.properties["azureml.reusedrunid"] == train.id
    assert reused.get_metrics() == train.get_metrics()
    data = again.get_pipeline_output("best")
    assert data.path_on_datastore == f"azureml/{train.id}/model"
    assert data.download(local_path="local", show_progress=True) == 1
    assert (project / "local" / "azureml" / train.id / "model").read_text() == "3"
    assert reused.get_output_data("trained").path_on_datastore == data.path_on_datastore
    assert prepare.get_output_data("clean").download("local") == 1
    assert (project / "local" / "azureml" / prepare.id / "clean" / "rows.txt").read_text() == "0\n1\n2\n"
    assert [found.id for found in experiment.get_runs()] == [again.id, run.id]
    assert [found.id for found in experiment.get_runs(tags="who")] == [run.id]
    assert list(workspace.experiments) == ["first"]


def test_a_parameter_and_regenerating_run_steps_again(project: Path) -> None:
    workspace = Workspace.from_config()
    experiment = Experiment(workspace, "first")
    experiment.submit(two_steps(workspace)).wait_for_completion(show_output=False)

    other = experiment.submit(two_steps(workspace), pipeline_parameters={"rows": 5})
    other.wait_for_completion(show_output=False)
    forced = experiment.submit(two_steps(workspace), regenerate_outputs=True)
    forced.wait_for_completion(show_output=False)

    assert other.find_step_run("prepare")[0].get_metrics() == {"rows": 5}
    assert not any("azureml.isreused" in step.properties for step in (*other.get_steps(), *forced.get_steps()))


def test_a_failure_is_raised_with_its_exit_code_and_last_lines(project: Path) -> None:
    workspace = Workspace.from_config()
    bad = script(project, "print('before'); raise SystemExit(3)")
    steps = StepSequence(
        [PythonScriptStep(bad, name="bad one", source_directory="src"), CommandStep(["true"], name="below")]
    )

    run = Experiment(workspace, "failing").submit(Pipeline(workspace, steps))
    with pytest.raises(ActivityFailedException) as caught:
        run.wait_for_completion(show_output=False)

    assert str(caught.value) == (
        "run 1 failed: step 'bad one' failed: exit code 3\n  | before\n  try: stepwell logs 1 'bad one'"
    )
    assert run.get_status() == run.status == "Failed"
    assert [step.get_status() for step in run.get_steps()] == ["Failed", "Canceled"]
    assert run.find_step_run("bad one")[0].get_details()["error"]["message"] == "exit code 3"


def test_going_on_after_a_failure_leaves_out_only_what_depends_on_it(project: Path) -> None:
    workspace = Workspace.from_config()
    bad, other = CommandStep(["false"], name="bad"), CommandStep("sleep 0.2", name="other")
    below = CommandStep(["true"], name="below")
    below.run_after(bad)

    run = Experiment(workspace, "failing").submit(
        Pipeline(workspace, [bad, other, below]), continue_on_step_failure=True
    )

    assert run.wait_for_completion(show_output=False, raise_on_error=False) == "Failed"
    assert [step.get_status() for step in run.get_steps()] == ["Failed", "Finished", "Canceled"]


def test_a_run_can_be_canceled_and_found_again(project: Path) -> None:
    workspace = Workspace.from_config()
    run = Experiment(workspace, "long").submit(Pipeline(workspace, CommandStep(["sleep", "600"], name="slow")))
    (step,) = run.find_step_run("slow")
    wait_until(lambda: step.get_status() == "Running", within_s=20)
    assert run.wait_for_completion(show_output=False, timeout_seconds=0.05) == "Running"

    run.cancel()

    assert run.wait_for_completion(show_output=False) == "Canceled"
    assert (step.get_status(), step.status) == ("Canceled", "Canceled")
    found = PipelineRun.get(workspace, run.id)
    assert (found.experiment.name, found.get_status(), found.number) == ("long", "Canceled", 1)
    assert type(Run.get(workspace, step.id)).__name__ == "StepRun"
    with pytest.raises(NotFoundError):
        PipelineRun.get(workspace, "0123456789")


def test_the_cluster_idiom_makes_a_pool_that_steps_can_name(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = Workspace.from_config()
    name = "cpu-cluster"
    try:
        target = ComputeTarget(workspace=workspace, name=name)
        raise AssertionError("there is no such target yet")
    except ComputeTargetException:
        wanted = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", min_nodes=0, max_nodes=1)
        target = ComputeTarget.create(workspace, name, wanted)
        target.wait_for_completion(show_output=True)
    assert isinstance(target, AmlCompute)
    assert target.status.serialize()["scaleSettings"]["maxNodeCount"] == 1
    assert name in workspace.compute_targets
    assert type(workspace.compute_targets[name]) is AmlCompute

    run = Experiment(workspace, "pool").submit(
        Pipeline(workspace, CommandStep(["true"], name="one", compute_target=target))
    )

    assert run.wait_for_completion(show_output=False) == "Finished"
    assert run.find_step_run("one")[0].get_details()["target"] == name
    target.delete()
    assert name not in workspace.compute_targets
    with pytest.raises(UsageError, match=f"no compute target named '{name}'"):
        Experiment(workspace, "pool").submit(Pipeline(workspace, CommandStep(["true"], compute_target=name)))


def test_a_script_is_run_by_itself_every_time(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = Workspace.from_config()
    name = script(project, "import sys\nfrom stepwell import Run\nRun.get_context().log('n', 5)\nprint(sys.argv[1:])")
    config = ScriptRunConfig("src", name, ["--n", 1], compute_target="local")
    experiment = Experiment(workspace, "script")

    first = experiment.submit(config)
    details = first.wait_for_completion(show_output=True)
    second = experiment.submit(config)
    second.wait_for_completion()

    assert capsys.readouterr().out.splitlines() == [
        *("StepRun(step.py) Status: Running", "['--n', '1']", "StepRun(step.py) Status: Finished"),
    ]
    assert (details["status"], details["target"], first.get_status()) == ("Completed", "local", "Completed")
    assert second.get_metrics() == {"n": 5}
    assert "azureml.isreused" not in second.step.properties
    assert [type(run) for run in experiment.get_runs()] == [ScriptRun, ScriptRun]


# --- refused at submit


def test_a_script_that_is_not_there_is_told_at_submit(project: Path) -> None:
    workspace = Workspace.from_config()
    step = PythonScriptStep("prepar.py", source_directory="prepare")

    with pytest.raises(UsageError) as caught:
        Experiment(workspace, "x").submit(Pipeline(workspace, step))

    assert str(caught.value) == (
        f"step 'prepar.py' runs 'prepar.py', which is not in '{project / 'prepare'}' (there is: prepare.py)\n"
        "  try: did you mean 'prepare.py'?"
    )


def test_an_environment_that_would_have_to_be_built_is_refused_at_submit(project: Path) -> None:
    workspace = Workspace.from_config()
    configuration = RunConfiguration()
    configuration.environment = Environment("packages")
    configuration.environment.python.conda_dependencies = CondaDependencies.create(pip_packages=["numpy"])
    pipeline = Pipeline(workspace, PythonScriptStep("prepare.py", source_directory="prepare", runconfig=configuration))

    with pytest.raises(
        UsageError, match=r"step 'prepare\.py' needs an environment built for it, and there is no builder"
    ):
        Experiment(workspace, "x").submit(pipeline)


def test_a_cycle_and_an_unknown_parameter_are_refused_at_submit(project: Path) -> None:
    workspace = Workspace.from_config()
    a, b = CommandStep(["true"], name="a"), CommandStep(["true"], name="b")
    a.run_after(b)
    with pytest.raises(UsageError, match=r"no parameter named 'epohcs' \(there is: none\)"):
        Experiment(workspace, "x").submit(Pipeline(workspace, [a]), pipeline_parameters={"epohcs": 5})

    b.run_after(a)
    with pytest.raises(UsageError, match="these steps wait for each other: "):
        Experiment(workspace, "x").submit(Pipeline(workspace, [a]))


# --- processes


def test_the_interpreter_named_is_the_one_that_runs(project: Path) -> None:
    workspace = Workspace.from_config()
    other = project / "python"
    other.write_text(f'#!/bin/sh\nTHROUGH=wrapper exec {sys.executable} "$@"\n')
    other.chmod(0o755)
    environment = Environment("own")
    environment.python.user_managed_dependencies = True
    environment.python.interpreter_path = "./python"
    environment.environment_variables = {"GREETING": "hello"}
    configuration = RunConfiguration()
    configuration.environment = environment
    name = script(project, "import os; print(os.environ['GREETING'], os.environ['THROUGH'])")

    run = Experiment(workspace, "x").submit(
        Pipeline(workspace, PythonScriptStep(name, source_directory="src", runconfig=configuration))
    )
    run.wait_for_completion(show_output=False)

    assert run.find_step_run(name)[0].get_stdout_log() == "hello wrapper\n"


def test_variables_are_passed_on_by_name_and_no_others(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSED", "it's \udcff odd")
    monkeypatch.setenv("KEPT_BACK", "secret")
    workspace = Workspace.from_config()
    step = CommandStep('printf "%s" "$PASSED"; echo; echo "[$KEPT_BACK]"', name="env", pass_env=["PASSED"])

    run = Experiment(workspace, "x").submit(Pipeline(workspace, step))
    run.wait_for_completion(show_output=False)

    assert run.find_step_run("env")[0].get_stdout_log() == "it's \ufffd odd\n[]\n"


def test_a_step_that_waits_for_its_own_run_is_told_that_it_would_wait_for_ever(project: Path) -> None:
    workspace = Workspace.from_config()
    name = script(
        project,
        """
        import os
        from stepwell import PipelineRun, Workspace
        PipelineRun.get(Workspace.from_config(), os.environ["STEPWELL_RUN_ID"]).wait_for_completion()
        """,
    )

    run = Experiment(workspace, "x").submit(Pipeline(workspace, PythonScriptStep(name, source_directory="src")))

    with pytest.raises(ActivityFailedException, match="this step waits for its own run, which cannot end before"):
        run.wait_for_completion(show_output=False)


def test_a_daemon_that_is_killed_while_somebody_waits_costs_nothing(home: Home, project: Path) -> None:
    workspace = Workspace.from_config()
    gate = project / "gate"
    os.mkfifo(gate)
    run = Experiment(workspace, "x").submit(
        Pipeline(workspace, CommandStep(f"echo before; cat {gate}; echo after", name="held"))
    )
    (step,) = run.find_step_run("held")
    wait_until(lambda: step.get_stdout_log() == "before\n", within_s=20)
    (daemon,) = [one for one in left_behind.survivors(home.root) if one.is_daemon]

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(run.wait_for_completion, show_output=False)
        os.kill(daemon.pid, signal.SIGKILL)
        wait_until(lambda: _another(daemon.pid, home), within_s=20)
        gate.write_text("opened\n")

        assert waiting.result(timeout=30) == "Finished"
    assert step.get_stdout_log() == "before\nopened\nafter\n"


def _another(pid: int, home: Home) -> bool:
    return any(one.is_daemon and one.pid != pid for one in left_behind.survivors(home.root))


def test_a_workspace_created_by_one_process_is_found_by_another(project: Path) -> None:
    made = Workspace.create("shared", exist_ok=True)
    made.write_config()
    code = "from stepwell import Workspace; w = Workspace.from_config(); print(w.name, w.id)"

    said = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project / "train",
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout == f"shared {made.id}\n"
    assert Workspace.get("shared").get_details()["root"] == str(project)
    assert set(Workspace.list()) >= {"shared"}


def test_a_step_knows_its_workspace_and_can_describe_pipelines_in_it(project: Path) -> None:
    workspace = Workspace.create("outer")
    name = script(
        project,
        """
        from stepwell import Run, Workspace
        experiment = Run.get_context().experiment
        print(experiment.name, experiment.workspace.name, Workspace.from_config().id == experiment.workspace.id)
        """,
    )

    run = Experiment(workspace, "inside").submit(Pipeline(workspace, PythonScriptStep(name, source_directory="src")))
    run.wait_for_completion(show_output=False)

    assert run.find_step_run(name)[0].get_stdout_log() == "inside outer True\n"
