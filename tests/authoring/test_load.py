"""Reading a pipeline file: what it sees, what it may print, and each way it can go wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from stepwell import ComputeTargetException, MachineError, NotFoundError, UsageError, Workspace
from stepwell.authoring.load import load
from stepwell.authoring.place import Place
from stepwell.authoring.spec import compile_pipeline
from support.fake_daemon import FakeDaemon
from support.waiting import wait_until

HEAD = "from stepwell import CommandStep, Pipeline, PythonScriptStep, Workspace\n"
ONE = "Pipeline(Workspace.from_config(), CommandStep(['true'], name='one', source_directory='src'))"


def write(folder: Path, text: str, name: str = "flow.py") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD + dedent(text))
    return path


def refused(path: Path) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load(path)
    return caught.value


def test_a_file_defines_a_pipeline(here: Path) -> None:
    path = write(here / "sub", f"pipeline = {ONE}")

    pipeline = load(Path("sub/flow.py"))

    assert [step.name for step in pipeline.steps] == ["one"]
    assert compile_pipeline(pipeline, file=path).steps[0].source_directory == str(here / "sub" / "src")


def test_or_a_function_that_builds_one_in_a_workspace(here: Path) -> None:
    path = write(
        here, "def build(workspace):\n    return Pipeline(workspace, CommandStep(['true'], name=workspace.name))"
    )
    given = Workspace._at(Place("given"))

    assert load(path, given).steps[0].name == "given"
    assert load(path).steps[0].name == "default"


def test_a_file_sees_its_own_folder_and_is_not_main(here: Path) -> None:
    (here / "sub").mkdir()
    (here / "sub" / "helper.py").write_text("NAME = 'from the helper'")
    path = write(
        here / "sub",
        f"""
        import os, sys, helper
        assert __name__ != "__main__"
        assert os.getcwd() == {str(here / "sub")!r} == os.path.dirname(__file__) == sys.path[0]
        assert sys.argv == [__file__]
        pipeline = Pipeline(Workspace.from_config(), CommandStep(["true"], name=helper.NAME))
        """,
    )
    before = os.getcwd(), list(sys.path), list(sys.argv)

    assert load(path).steps[0].name == "from the helper"
    assert (os.getcwd(), sys.path, sys.argv) == before
    assert "helper" not in sys.modules
    assert not (here / "sub" / "__pycache__").exists()


def test_after_an_edit_of_a_helper_the_file_is_read_anew(here: Path) -> None:
    path = write(
        here, "import helper\npipeline = Pipeline(Workspace.from_config(), CommandStep(['true'], name=helper.NAME))"
    )
    for name in ("first", "second"):
        (here / "helper.py").write_text(f"NAME = {name!r}  # {'x' * len(name)}")
        assert load(path).steps[0].name == name


def test_what_a_file_prints_goes_to_standard_error(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write(
        here,
        f"""
        import os, subprocess
        print("from Python")
        subprocess.run(["echo", "from a child"], check=True)
        os.write(1, b"from the handle\\n")
        pipeline = {ONE}
        """,
    )

    load(path)

    out, err = capfd.readouterr()
    assert out == ""
    assert set(err.splitlines()) == {"from Python", "from a child", "from the handle"}


# --- ways to go wrong


def test_a_file_that_raises_is_told_with_its_line(here: Path) -> None:
    error = refused(write(here, "\n\ndef f():\n    return {}['key']\nf()\n"))

    assert error.message == "flow.py:5: KeyError: 'key'"
    assert error.hint == "python flow.py   shows where it comes from"


def test_an_error_of_ours_keeps_its_class_and_hint(here: Path, daemon: FakeDaemon) -> None:
    daemon.on("POST", "/v1/workspaces", {"id": "ws-1", "name": "default", "root": None, "created_us": 0})
    daemon.on("GET", "/v1/workspaces/ws-1/computes", {"computes": []})
    path = write(here, "from stepwell import ComputeTarget\nComputeTarget(Workspace.from_config(), 'gpu')")

    error = refused(path)

    assert isinstance(error, ComputeTargetException)
    assert error.message == "flow.py:3: no compute target named 'gpu' (there is: none)"


def test_what_is_not_the_file_s_fault_stays_what_it_is(here: Path) -> None:
    path = write(here, "from stepwell import MachineError\nraise MachineError('disk full')")

    with pytest.raises(MachineError, match=r"^disk full$"):
        load(path)


def test_an_error_in_a_helper_beside_it_is_told_with_the_helper_s_line(here: Path) -> None:
    (here / "helper.py").write_text("\n\n1 / 0\n")

    assert refused(write(here, "import helper")).message == "helper.py:3: ZeroDivisionError: division by zero"


def test_an_error_in_a_library_is_told_with_the_line_of_the_file(here: Path) -> None:
    assert refused(write(here, "PythonScriptStep('')")).message == (
        "flow.py:2: ValueError: a PythonScriptStep needs a script_name, not ''"
    )


def test_a_file_that_is_no_python_is_told_with_its_line(here: Path) -> None:
    assert refused(write(here, "x = \n")).message == "flow.py:2: invalid syntax"
    (here / "nul.py").write_bytes(b"a = '\x00'")
    assert "null bytes" in refused(here / "nul.py").message


@pytest.mark.parametrize(("call", "shown"), [("sys.exit(3)", "3"), ("sys.exit()", ""), ("sys.exit('no')", "'no'")])
def test_a_file_that_exits_is_told(here: Path, call: str, shown: str) -> None:
    error = refused(write(here, f"import sys\n{call}"))

    assert str(error) == (
        f"flow.py:3: the pipeline file calls sys.exit({shown})\n"
        "  try: put what does not describe the pipeline under `if __name__ == '__main__':`"
    )


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "the file defines neither `pipeline` nor `build(workspace)`", "pipeline = Pipeline(workspace, steps)"),
        (f"p = {ONE}", "the file defines neither `pipeline` nor `build(workspace)`", "rename 'p' to 'pipeline'"),
        ("pipeline = [1]", "`pipeline` is a list, not a Pipeline", None),
        ("pipeline = None", "`pipeline` is None, not a Pipeline", None),
        ("def build(workspace): pass", "build(workspace) returned None, not a Pipeline", None),
    ],
)
def test_a_file_without_a_pipeline_says_what_it_has(here: Path, text: str, message: str, hint: str | None) -> None:
    error = refused(write(here, text))

    assert (error.message, error.hint) == (f"flow.py: {message}", hint)


def test_a_build_that_raises_is_told_with_its_line(here: Path) -> None:
    assert refused(write(here, "def build(workspace):\n    raise OSError('no disk')")).message == (
        "flow.py:3: OSError: no disk"
    )


def test_a_file_that_is_not_there_names_those_that_are(here: Path) -> None:
    write(here, f"pipeline = {ONE}", name="pipeline.py")

    with pytest.raises(NotFoundError) as caught:
        load(Path("pipline.py"))

    assert str(caught.value) == (
        "no pipeline file 'pipline.py' (there is: pipeline.py)\n  try: did you mean 'pipeline.py'?"
    )


def test_a_folder_is_no_pipeline_file(here: Path) -> None:
    write(here / "sub", f"pipeline = {ONE}", name="pipeline.py")

    error = refused(Path("sub"))

    assert error.message == "'sub' is a folder, not a pipeline file"
    assert error.hint == str(here / "sub" / "pipeline.py")


def test_a_file_that_hangs_ends_with_ctrl_c(here: Path) -> None:
    mark = here / "hangs"
    path = write(here, f"open({str(mark)!r}, 'w').close()\nwhile True: pass")
    code = f"from pathlib import Path\nfrom stepwell.authoring.load import load\nload(Path({str(path)!r}))"

    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as process:
        wait_until(mark.exists, within_s=20)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)

    assert process.returncode == -signal.SIGINT
    assert err.splitlines()[-1] == "KeyboardInterrupt"


def test_odd_names_of_files_and_folders_are_no_matter(here: Path) -> None:
    folder = here / "it's odd\n \U0001f600"
    path = write(folder, f"pipeline = {ONE}", name="a b.py")

    spec = compile_pipeline(load(path), file=path)

    assert (spec.name, spec.steps[0].source_directory) == ("a b", str(folder / "src"))
