"""The handwritten digits, run for real: what the README promises of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contracts.sizes import REPOSITORY
from stepwell.api.client import Client
from stepwell.paths import Home
from support import left_behind, realparts
from support.waiting import wait_until

STEPWELL = str(Path(sys.executable).with_name("stepwell"))
SAMPLES = REPOSITORY / "sample_projects"
Json = dict[str, Any]


def stepwell(*words: str) -> Json:
    """Return what a command that has to succeed prints with --json."""
    done = subprocess.run([STEPWELL, *words, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer: Json = json.loads(done.stdout)
    return answer


def output(run: Json, step: str, name: str) -> Path:
    """Return where an output of a step lies in the store."""
    with Client.connect(start=False) as client:
        steps = client.get(f"/v1/runs/{run['run']}")["steps"]
    outputs = next(one["outputs"] for one in steps if one["name"] == step)
    return Path(next(one["path"] for one in outputs if one["name"] == name))


def tour(folder: Path, *before: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, str(SAMPLES / "tour.py"), "--stepwell", STEPWELL, "--folder", str(folder)]
    return subprocess.run([*before, *words], capture_output=True, text=True, check=False)


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """The sample's pipeline file, in a copy that may be edited."""
    shutil.copytree(SAMPLES / "digits", tmp_path / "digits")
    return tmp_path / "digits" / "pipeline.py"


def test_the_best_model_reads_at_least_95_of_100_digits_and_the_report_shows_it(home: Home, pipeline: Path) -> None:
    run = stepwell("run", str(pipeline))

    assert (run["status"], run["ran"]) == ("Finished", 6)
    board = json.loads((output(run, "compare", "chosen") / "scoreboard.json").read_text())
    accuracies = {row["model"]: row["accuracy"] for row in board["rows"]}
    assert len(accuracies) == 3
    assert accuracies[board["best"]] == max(accuracies.values()) >= 0.95
    page = output(run, "report", "report")
    assert (page / "confusion.png").read_bytes().startswith(b"\x89PNG")
    assert f"**{board['best']}** | {max(accuracies.values()):.4f}" in (page / "report.md").read_text()
    assert board["best"] in (page / "report.html").read_text()


def test_a_second_run_reuses_every_step_and_an_edit_reruns_what_it_touches(home: Home, pipeline: Path) -> None:
    stepwell("run", str(pipeline))
    script = pipeline.parent / "train_svc" / "train.py"

    again = stepwell("run", str(pipeline))
    script.write_text(script.read_text() + "\n# a remark that changes no result\n")
    remarked = stepwell("run", str(pipeline))
    script.write_text(script.read_text().replace("GAMMA = 0.02", "GAMMA = 0.1"))
    edited = stepwell("run", str(pipeline))

    assert (again["ran"], again["reused"]) == (0, 6)
    assert all("same as run 1" in step["reason"] for step in again["steps"])
    assert [step["name"] for step in remarked["steps"] if not step["reused"]] == ["train_svc"]
    assert {step["name"] for step in edited["steps"] if not step["reused"]} == {"train_svc", "compare", "report"}


def test_a_daemon_killed_in_mid_run_comes_back_and_the_run_finishes(home: Home, pipeline: Path) -> None:
    submitted = stepwell("run", str(pipeline), "--detach")
    wait_until(lambda: _training(submitted["run"]), within_s=60)
    (daemon,) = [one for one in left_behind.survivors(home.root) if one.is_daemon]

    os.kill(daemon.pid, signal.SIGKILL)

    wait_until(lambda: _daemon_other_than(daemon.pid, home), within_s=20)
    ended = wait_until(lambda: _ended(submitted["run"]), within_s=60)
    assert ended["status"] == "Finished"
    assert {step["attempts"] for step in ended["steps"]} == {1}


def test_the_demonstration_holds_what_it_says(tmp_path: Path) -> None:
    told = tour(tmp_path / "demo")

    assert told.returncode == 0, told.stdout + told.stderr
    assert "again        0 ran, 6 reused" in told.stdout
    assert "one line     3 ran, 3 reused" in told.stdout
    assert "GAMMA = 0.1" in told.stdout
    assert left_behind.survivors(tmp_path) == []


@pytest.mark.ci
@pytest.mark.real("unshare")
def test_the_demonstration_works_again_in_the_same_folder_without_a_network(tmp_path: Path) -> None:
    unshare = realparts.find("unshare")
    assert unshare is not None

    first = tour(tmp_path / "demo")
    second = tour(tmp_path / "demo", unshare, "--map-root-user", "--net")

    assert first.returncode == 0, first.stdout + first.stderr
    assert second.returncode == 0, second.stdout + second.stderr
    assert "best accuracy 0.9822 -> 0.9911" in second.stdout


def test_a_script_of_the_sample_runs_by_hand_too(tmp_path: Path) -> None:
    script = SAMPLES / "digits" / "prepare" / "prepare.py"
    words = ["--seed", "7", "--held-out", "0.25", "--digits", str(tmp_path / "digits")]

    done = subprocess.run([sys.executable, str(script), *words], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "1797 scans: 1347 to learn from, 450 to judge by"
    assert sorted(path.name for path in (tmp_path / "digits").iterdir()) == ["test.npz", "train.npz"]


def _training(run: str) -> bool:
    steps = stepwell("show", run)["steps"]
    return any(step["name"].startswith("train_") and step["status"] == "Running" for step in steps)


def _daemon_other_than(pid: int, home: Home) -> bool:
    return any(one.is_daemon and one.pid != pid for one in left_behind.survivors(home.root))


def _ended(run: str) -> Json | None:
    shown = stepwell("show", run)
    return shown if shown["status"] in ("Finished", "Failed", "Canceled") else None
