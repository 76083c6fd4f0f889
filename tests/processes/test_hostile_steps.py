"""Steps that spoil what is theirs: the daemon goes on, the run ends, and the words say why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stepwell.errors import UsageError
from support.live import Live, python, shell

NESTED = """
import os, sys
from stepwell import Experiment, PipelineRun, Workspace
from stepwell.authoring.load import load
from pathlib import Path

workspace = Workspace.get("test")
pipeline = load(Path(sys.argv[1]), workspace)
run = Experiment(workspace, "nested").submit(pipeline)
run.wait_for_completion(show_output=False, raise_on_error=False)
print("nested:", run.get_status())
"""


@pytest.mark.parametrize(
    "line",
    [
        '{"n":"a","t":"x","v":1}',
        '{"v":1}',
        "[1]",
        "not json",
        '{"n":"a","s":"x"}',
        "[" * 100_000,
        '{"n":"a","s":1e400}',
    ],
)
@pytest.mark.parametrize("name", ["metrics.jsonl", "notes.jsonl"])
def test_a_line_that_is_no_point_is_passed_over(live: Live, tmp_path: Path, line: str, name: str) -> None:
    point, note = {"n": "good", "v": 1.0, "t": 1}, {"op": "tag", "tags": {"good": "yes"}}
    good = point if name == "metrics.jsonl" else note
    (tmp_path / "lines").write_text(line + "\n" + json.dumps(good) + "\n")

    run = live.run(shell("spoils", f"cat {tmp_path / 'lines'} >> $STEPWELL_ATTEMPT_DIR/{name}"))

    assert run["status"] == "Finished"
    step = run["steps"][0]
    assert live.client.get(f"/v1/step_runs/{step['step_run']}/metrics")["metrics"] or step["tags"] == {"good": "yes"}


@pytest.mark.parametrize("make", ["mkdir", "mkfifo", "ln -s /etc/passwd"])
def test_something_else_in_place_of_its_files_is_nobodys_trouble(live: Live, make: str) -> None:
    run = live.run(shell("spoils", f"{make} $STEPWELL_ATTEMPT_DIR/metrics.jsonl"))

    assert run["status"] == "Finished"


def test_a_step_that_removed_its_own_folder_can_still_be_canceled(live: Live) -> None:
    run = live.submit(shell("removes", 'rm -rf "$STEPWELL_ATTEMPT_DIR"; cd /; exec sleep 600'))
    live.in_state(run, "removes", "Running")

    live.client.post(f"/v1/runs/{run}/cancel", {"reason": "canceled by you"})

    assert live.ended(run)["status"] == "Canceled"
    assert live.client.get("/v1/hello")["runs_active"] == 0


def test_a_step_that_removes_its_own_folder_ends_as_lost(live: Live) -> None:
    run = live.run(shell("removes", 'rm -rf "$STEPWELL_ATTEMPT_DIR"'))

    assert run["status"] == "Failed"
    assert run["steps"][0]["status"] == "Lost"


def test_a_script_outside_its_source_directory_is_refused(live: Live, tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "s.py").write_text("")
    (inside / "link.py").symlink_to(outside / "s.py")

    for script in (str(outside / "s.py"), "../out/s.py", "link.py"):
        with pytest.raises(UsageError, match="does not lie in"):
            live.submit(python("runs", inside, script))


def test_a_step_that_runs_its_own_pipeline_is_told_and_nobody_waits_for_ever(live: Live, tmp_path: Path) -> None:
    (tmp_path / "again.py").write_text(NESTED)
    file = tmp_path / "pipeline.py"
    file.write_text(
        "from stepwell import Pipeline, PythonScriptStep, Workspace\n"
        f"step = PythonScriptStep('again.py', name='again', source_directory={str(tmp_path)!r},\n"
        f"                        arguments=[{str(file)!r}])\n"
        "def build(workspace):\n    return Pipeline(workspace, [step])\n"
    )

    run = live.run(python("again", tmp_path, "again.py", str(file)))

    assert run["status"] == "Finished"
    assert live.log(run["run"], "again") == "nested: Failed\n"
    nested = next(other for other in live.client.get("/v1/runs")["runs"] if other["experiment"] == "nested")
    step = live.show(nested["run"])["steps"][0]
    assert "starts a run of its own pipeline" in step["error"]["message"]
