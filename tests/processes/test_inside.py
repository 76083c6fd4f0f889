"""What a script finds around it: its run, its parent, its inputs and outputs by name, its workspace."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from stepwell.core.spec import Argument, InputSpec, OutputSpec, RetrySpec
from support.live import Live, python, shell
from support.waiting import wait_until

SCRIPT = """
import json, os
from stepwell import Run

run = Run.get_context()
run.log("accuracy", 0.5)
run.log("accuracy", 0.75)
run.log_list("losses", [3, 2, 1])
run.log_row("table", model="a", score=1)
run.parent.log("best", 0.75)
run.parent.tag("stage", "tried")
run.tag("mine", "yes")
os.makedirs("outputs", exist_ok=True)
with open("outputs/notes.txt", "w") as file:
    file.write("kept")
found = {
    "id": run.id,
    "parent": run.parent.id,
    "experiment": run.experiment.name,
    "workspace": run.experiment.workspace.name,
    "inputs": run.input_datasets["x"] if "x" in run.input_datasets else None,
    "reference": os.environ["AZUREML_DATAREFERENCE_y"],
}
with open(os.environ["AZUREML_DATAREFERENCE_y"], "w") as file:
    json.dump(found, file)
run.complete()
"""


def test_a_script_knows_its_run_logs_to_it_and_keeps_its_outputs_folder(live: Live, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    train = replace(
        python("train", tmp_path, "train.py"), inputs=(InputSpec("x", "make", "x"),), outputs=(OutputSpec("y"),)
    )

    run = live.run(shell("make", "echo 1 > $out_x", writes=["x"]), train)

    assert run["status"] == "Finished", live.log(run["run"], "train")
    step = next(step for step in run["steps"] if step["key"] == "train")
    outputs = {output["name"]: Path(output["path"]) for output in step["outputs"]}
    found = json.loads(outputs["y"].read_text())
    assert (found["id"], found["parent"]) == (step["step_run"], run["run"])
    assert (found["experiment"], found["workspace"]) == ("test", "test")
    assert found["inputs"].endswith("/x")
    assert (outputs["./outputs"] / "notes.txt").read_text() == "kept"
    metrics = live.client.get(f"/v1/step_runs/{step['step_run']}/metrics")["metrics"]
    assert [point["value"] for point in metrics["accuracy"]["points"]] == [0.5, 0.75]
    assert live.client.get(f"/v1/runs/{run['run']}/metrics")["metrics"]["best"]["points"][0]["value"] == 0.75
    assert (run["tags"], step["tags"]) == ({"stage": "tried"}, {"mine": "yes"})


def test_a_step_may_cancel_its_run(live: Live, tmp_path: Path) -> None:
    (tmp_path / "stop.py").write_text(
        "import time\nfrom stepwell import Run\nRun.get_context().parent.cancel()\ntime.sleep(600)\n"
    )

    run = live.run(python("stop", tmp_path, "stop.py"), shell("after", "true", run_after=("stop",)))

    assert run["status"] == "Canceled"
    assert run["cancel_asked"] is True
    assert {step["status"] for step in run["steps"]} == {"Canceled"}


def test_what_a_running_step_has_logged_can_be_asked_for(live: Live, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import time\nfrom stepwell import Run\nRun.get_context().log('loss', 3.0)\ntime.sleep(600)\n"
    )
    run = live.submit(python("slow", tmp_path, "slow.py"))
    step = live.in_state(run, "slow", "Running")["step_run"]

    seen = wait_until(lambda: live.client.get(f"/v1/step_runs/{step}/metrics")["metrics"], within_s=10)

    assert seen["loss"]["points"][0]["value"] == 3.0
    live.client.post(f"/v1/runs/{run}/cancel", {})
    live.ended(run)


def test_step_parameters_become_variables(live: Live) -> None:
    step = replace(shell("says", "echo $AML_PARAMETER_rate"), params={"rate": Argument(text="0.1")})

    assert live.log(live.run(step)["run"], "says") == "0.1\n"


def test_a_retry_begins_in_a_fresh_folder(live: Live) -> None:
    run = live.run(shell("tries", "test ! -e here || exit 9; touch here; exit 1", retry=RetrySpec(1, 0.01)))

    assert (run["steps"][0]["attempts"], run["steps"][0]["exit_code"]) == (2, 1)
