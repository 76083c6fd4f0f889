"""`CommandStep`: lists that run as they are, and texts that a shell reads."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell import CommandStep, PipelineData, PipelineParameter, RunConfiguration, ScriptRunConfig
from stepwell.core.spec import Argument
from stepwell.extend.api import StepContext
from stepwell.extend.builtin.command import Command

ODD_PATH = '/data/it\'s "odd" $HOME `x`'


def shell_text(step: CommandStep, paths: dict[str, str]) -> str:
    """Return what the shell is given, when the step's data lies at `paths`."""
    context = StepContext(Path("/"), {k: Path(v) for k, v in paths.items()}, {}, {}, "python")
    spec: Any = step
    argv = Command().prepare(_Spec(step.words, step.settings), context).argv  # type: ignore[arg-type]
    assert argv[:2] == ("/bin/sh", "-c"), spec
    return argv[2]


class _Spec:
    def __init__(self, arguments: tuple[Argument, ...], settings: dict[str, Any]) -> None:
        self.arguments = arguments
        self.settings = settings


def test_a_list_runs_directly_word_by_word() -> None:
    data = PipelineData("x")

    step = CommandStep(["sort", "-k", 2, data, PipelineParameter("n", 1)], inputs=[data])

    assert step.settings == {"shell": False}
    assert step.words == (
        Argument(text="sort"),
        Argument(text="-k"),
        Argument(text="2"),
        Argument(input="x"),
        Argument(param="n"),
    )


def test_a_text_goes_through_the_shell_with_data_put_in() -> None:
    read, written = PipelineData("read"), PipelineData("written")

    step = CommandStep(f"sort < {read} > {written}; echo $HOME", inputs=[read], outputs=[written])

    assert step.settings == {"shell": True}
    assert step.words == (
        Argument(text="sort < "),
        Argument(input="read"),
        Argument(text=" > "),
        Argument(output="written"),
        Argument(text="; echo $HOME"),
    )


@pytest.mark.parametrize(
    "command", ["printf %s {}", "printf %s --in={}", "printf '%s' {}", 'printf "%s" "{}"', "printf %s a\\'{}"]
)
def test_an_odd_path_arrives_as_one_word_however_the_author_quoted_it(command: str) -> None:
    data = PipelineData("x")
    text = shell_text(CommandStep(command.format(data), inputs=[data]), {"x": ODD_PATH})

    said = subprocess.run(
        ["/bin/sh", "-c", text],
        env={"AZUREML_DATAREFERENCE_x": ODD_PATH, "PATH": "/bin:/usr/bin"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout.endswith(ODD_PATH)


def test_in_single_quotes_nothing_is_put_in() -> None:
    data = PipelineData("x")

    assert shell_text(CommandStep(f"echo '{data}'", inputs=[data]), {"x": "/p"}) == "echo '$AZUREML_DATAREFERENCE_x'"


@given(st.text(alphabet="ab $'\"\\;{}", max_size=20))
def test_a_text_without_data_reaches_the_shell_unchanged(text: str) -> None:
    if not text.strip():
        return

    assert CommandStep(text, name="x").words == (Argument(text=text),)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("python train.py", "CommandStep_python"),
        ("  ls", "CommandStep_ls"),
        (["./run.sh", 5], "CommandStep_./run.sh"),
    ],
)
def test_a_step_is_named_after_its_first_word(command: Any, name: str) -> None:
    assert CommandStep(command).name == name


def test_the_command_may_come_from_the_run_configuration(here: Path) -> None:
    configuration = RunConfiguration(command="ls -l")
    configured = ScriptRunConfig("src", command=["make", "all"], run_config=configuration)

    assert CommandStep(runconfig=configuration).command == "ls -l"
    step = CommandStep(runconfig=configured)
    assert (step.command, step.source_directory) == (["make", "all"], "src")


@pytest.mark.parametrize("command", [None, "", [], "   "])
def test_without_a_command_there_is_no_step(command: Any) -> None:
    with pytest.raises(ValueError, match="command"):
        CommandStep(command)


def test_a_command_in_a_text_cannot_mention_a_parameter() -> None:
    with pytest.raises(ValueError, match="holds the text of a PipelineParameter"):
        CommandStep(f"echo {PipelineParameter('n', 5)}")


def test_data_in_a_list_must_be_declared() -> None:
    with pytest.raises(ValueError, match="'x' is used in the arguments"):
        CommandStep(["cat", PipelineData("x")])


def test_quoting_is_that_of_a_shell() -> None:
    data = PipelineData("x")

    assert shell_text(CommandStep(f"cat {data}", inputs=[data]), {"x": ODD_PATH}) == f"cat {shlex.quote(ODD_PATH)}"
