"""What a step says about itself and asks of its run, in every Python; and what it prints without a run."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from island.pythons import PYTHONS, bare, bootstrapped, run
from stepwell.errors import RunEnvironmentException
from stepwell_step.offline import _OfflineRun
from stepwell_step.run import Run, _SubmittedRun


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The attempt's folder of a step, whose place this process then is."""
    (tmp_path / "work").mkdir()
    for name, value in place(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path / "work")
    yield tmp_path


def place(folder: Path) -> dict[str, str]:
    return {
        "STEPWELL_ATTEMPT_DIR": str(folder),
        "STEPWELL_STEP_RUN_ID": "step-run-1",
        "STEPWELL_STEP": "train",
        "STEPWELL_RUN_ID": "run-1",
        "STEPWELL_RUN_NUMBER": "12",
        "STEPWELL_EXPERIMENT": "digits",
        "STEPWELL_WORKSPACE": "lab",
        "STEPWELL_WORKSPACE_ID": "ws-1",
        "STEPWELL_HOME": str(folder),
        "STEPWELL_INPUTS": json.dumps({"clean": "/data/clean"}),
        "STEPWELL_OUTPUTS": json.dumps({"model": "/data/model"}),
    }


def here() -> _SubmittedRun:
    found = Run.get_context()
    assert isinstance(found, _SubmittedRun)
    return found


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (folder / name).read_text().splitlines()]
    for line in found:
        assert isinstance(line.pop("t"), int)
    return found


# --- in a run


def test_a_run_knows_who_it_is(folder: Path) -> None:
    run = here()

    assert (run.id, run.identity, run.name, run.number) == ("step-run-1", "step-run-1", "train", 12)
    assert (run.parent.id, run.parent.number, run.parent.parent) == ("run-1", 12, None)
    assert run.experiment.name == "digits"
    assert run.get_status() == "Running"
    assert run.get_details()["runId"] == "step-run-1"
    assert repr(run) == "Run(Experiment: digits, Id: step-run-1, Status: Running)"


def test_inputs_and_outputs_are_paths_by_name(folder: Path) -> None:
    run = here()

    assert run.input_datasets["clean"] == "/data/clean"
    assert dict(run.output_datasets) == {"model": "/data/model"}
    with pytest.raises(KeyError) as error:
        run.input_datasets["dirty"]
    assert error.value.args[0] == "no input named 'dirty' (there is: clean)"


def test_every_point_is_one_line(folder: Path) -> None:
    run = here()

    run.log("loss", 0.5, step=3)
    run.log("note", "good")
    run.log_list("fold", [1, 2])
    run.log_row("models", kind="svc", accuracy=0.9)
    run.log_table("counts", {"a": [1, 2], "b": [3, 4]})
    run.log_confusion_matrix("confusion", {"schema_type": "confusion_matrix", "data": {"matrix": [[1]]}})
    run.parent.log("best", 0.9)

    assert lines(folder, "metrics.jsonl") == [
        {"n": "loss", "k": "scalar", "s": 3, "v": 0.5, "parent": False},
        {"n": "note", "k": "scalar", "s": None, "v": "good", "parent": False},
        {"n": "fold", "k": "list", "s": None, "v": [1, 2], "parent": False},
        {"n": "models", "k": "row", "s": None, "v": {"kind": "svc", "accuracy": 0.9}, "parent": False},
        {"n": "counts", "k": "table", "s": None, "v": {"a": [1, 2], "b": [3, 4]}, "parent": False},
        {
            "n": "confusion",
            "k": "confusion_matrix",
            "s": None,
            "v": {"schema_type": "confusion_matrix", "data": {"matrix": [[1]]}},
            "parent": False,
        },
        {"n": "best", "k": "scalar", "s": None, "v": 0.9, "parent": True},
    ]


def test_metrics_come_back_as_the_sdk_gives_them(folder: Path) -> None:
    run = here()
    run.log("once", 1)
    for value in (0.3, 0.2):
        run.log("again", value)
    run.log_list("fold", [1])
    run.log_list("fold", [2])
    run.log_row("one", x=1)
    run.log_row("rows", x=1, y="a")
    run.log_row("rows", x=2, y="b")
    run.parent.log("parents", 1)

    assert run.get_metrics() == {
        "once": 1,
        "again": [0.3, 0.2],
        "fold": [1, 2],
        "one": {"x": 1},
        "rows": {"x": [1, 2], "y": ["a", "b"]},
    }
    assert run.get_metrics("again") == {"again": [0.3, 0.2]}
    assert run.get_metrics("nothing") == {}


def test_a_picture_is_kept_with_the_run(folder: Path) -> None:
    class Plot:
        def savefig(self, path: str) -> None:
            Path(path).write_bytes(b"drawn")

    (folder / "work" / "my.jpg").write_bytes(b"jpeg")
    run = here()

    run.log_image("a/b c", path="my.jpg")
    run.log_image("curve", plot=Plot())

    images = folder / "work" / "outputs" / "images"
    assert (images / "a_b c.jpg").read_bytes() == b"jpeg"
    assert (images / "curve.png").read_bytes() == b"drawn"
    assert [line["v"] for line in lines(folder, "metrics.jsonl")] == [
        "outputs/images/a_b c.jpg",
        "outputs/images/curve.png",
    ]
    with pytest.raises(ValueError, match=re.escape("log_image('x') takes a path or a plot, one of them")):
        run.log_image("x")


def test_tags_properties_and_the_wish_to_cancel_are_notes(folder: Path) -> None:
    run = here()

    run.tag("stage", "first")
    run.set_tags({"n": 1, "none": None})
    run.add_properties({"git": "abc"})
    run.parent.tag("verdict", "bad")
    run.parent.cancel()
    run.fail("no data", error_code="E7")

    assert lines(folder, "notes.jsonl") == [
        {"op": "tag", "parent": False, "tags": {"stage": "first"}},
        {"op": "tag", "parent": False, "tags": {"n": "1", "none": ""}},
        {"op": "properties", "parent": False, "properties": {"git": "abc"}},
        {"op": "tag", "parent": True, "tags": {"verdict": "bad"}},
        {"op": "cancel", "parent": True},
        {"op": "fail", "parent": False, "message": "no data", "code": "E7"},
    ]
    assert run.get_tags() == run.tags == {"stage": "first", "n": "1", "none": ""}
    assert run.get_properties() == {"git": "abc"}


def test_complete_start_and_flush_are_harmless(folder: Path) -> None:
    run = here()

    with run:
        run.start()
        run.flush()
        run.complete()
    run.log("after", 1)

    assert run.get_metrics() == {"after": 1}
    assert not (folder / "notes.jsonl").exists()


def test_uploads_are_kept_below_outputs_or_logs(folder: Path) -> None:
    work = folder / "work"
    (work / "model.bin").write_bytes(b"model")
    (work / "many" / "deep").mkdir(parents=True)
    (work / "many" / "deep" / "x").write_bytes(b"x")
    run = here()

    run.upload_file("outputs/model.bin", str(work / "model.bin"))
    run.upload_file("outputs/model.bin", str(work / "outputs" / "model.bin"))
    run.upload_file("logs/said", io.BytesIO(b"words"))
    run.upload_files(["a", "b/c"], ["model.bin", "model.bin"])
    run.upload_folder("tree", "many")

    assert run.get_file_names() == ["logs/said", "outputs/a", "outputs/b/c", "outputs/model.bin", "outputs/tree/deep/x"]
    assert (work / "outputs" / "model.bin").read_bytes() == b"model"


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", "."])
def test_an_upload_cannot_leave_the_run(folder: Path, name: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"a file cannot be kept as {name!r}: it leads out of the run")):
        here().upload_file(name, io.BytesIO(b""))


def test_as_many_names_as_paths_are_wanted(folder: Path) -> None:
    with pytest.raises(ValueError, match="upload_files got 1 names for 2 paths"):
        here().upload_files(["a"], ["b", "c"])


def test_what_cannot_be_done_inside_a_step_says_so(folder: Path) -> None:
    run = here()

    with pytest.raises(AttributeError, match=r"run\.child_run is not supported inside a step yet"):
        run.child_run()
    with pytest.raises(AttributeError, match=r"run\.submit_child is not supported inside a step yet"):
        run.parent.submit_child()
    with pytest.raises(AttributeError, match="'_SubmittedRun' object has no attribute 'lgo'"):
        run.lgo  # noqa: B018


def test_a_workspace_without_the_rest_of_stepwell_has_a_name_and_says_what_more_takes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.import_module", _refuse)

    workspace = here().experiment.workspace

    assert (workspace.name, workspace.id, workspace.subscription_id) == ("lab", "ws-1", "local")
    with pytest.raises(AttributeError) as error:
        workspace.datasets  # noqa: B018
    assert str(error.value) == (
        "workspace.datasets needs stepwell in the step's interpreter\n  try: pip install stepwell"
    )


def _refuse(name: str) -> None:
    raise ImportError(name)


def test_a_parent_without_a_daemon_says_who_does_not_answer(folder: Path) -> None:
    with pytest.raises(ConnectionError, match=re.escape(f"the daemon of {str(folder)!r} does not answer: ")):
        here().parent.get_metrics()


# --- without a run


OFFLINE = """
Attempted to log scalar metric loss:
0.5
Attempted to log list metric fold:
[1, 2]
Attempted to log row metric models:
{'kind': 'svc'}
Attempted to add tag stage with value first
Attempted to add tag a with value 1
"""


def test_without_a_run_it_prints_what_it_would_have_logged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("STEPWELL_ATTEMPT_DIR", raising=False)
    run = Run.get_context()
    assert isinstance(run, _OfflineRun)

    run.log("loss", 0.5)
    run.log_list("fold", [1, 2])
    run.log_row("models", kind="svc")
    run.tag("stage", "first")
    run.set_tags({"a": 1})
    run.complete()
    run.flush()

    assert capsys.readouterr().out == OFFLINE.lstrip()


@pytest.mark.parametrize("name", ["experiment", "parent", "input_datasets", "tags", "get_metrics"])
def test_without_a_run_some_names_are_not_there_at_all(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv("STEPWELL_ATTEMPT_DIR", raising=False)

    assert not hasattr(Run.get_context(), name)


def test_without_a_run_ids_are_fresh_and_children_are_offline_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEPWELL_ATTEMPT_DIR", raising=False)
    first, second = Run.get_context(), Run.get_context()

    assert re.fullmatch(r"OfflineRun_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f-]{17}", first.id)
    assert first.id != second.id == second.identity
    assert isinstance(first.child_run(), _OfflineRun)


def test_whoever_wants_a_real_run_or_none_gets_the_sdks_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEPWELL_ATTEMPT_DIR", raising=False)

    with pytest.raises(RunEnvironmentException, match="this process was not started by a run"):
        Run.get_context(allow_offline=False)


# --- in every Python


SCRIPT = """
import threading, os
from stepwell_step.run import Run

run = Run.get_context()
def many(number):
    for step in range(50):
        run.log("points", "x" * 100, step=step)
for number in range(3):
    if os.fork() == 0:
        threads = [threading.Thread(target=many, args=[number]) for _ in range(3)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        os._exit(0)
for number in range(3):
    os.wait()
run.log_row("row", a=1)
run.parent.tag("k", "v")
run.upload_file("kept", __file__)
print(run.id, run.parent.id, run.input_datasets["clean"], len(run.get_metrics()["points"]), run.get_file_names())
try:
    Run.get_context().child_run()
except AttributeError as error:
    print(error)
"""


@pytest.mark.parametrize("python", PYTHONS)
def test_threads_and_forks_write_whole_lines(tmp_path: Path, python: str) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "train.py").write_text(SCRIPT)

    done = run(bootstrapped(bare(python), "train.py"), tmp_path / "work", place(tmp_path))

    assert done.stderr == ""
    assert done.stdout == (
        "step-run-1 run-1 /data/clean 450 ['outputs/kept']\nrun.child_run is not supported inside a step yet\n"
    )
    assert len(lines(tmp_path, "metrics.jsonl")) == 451
