from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stepwell.core.allocator import Pool
from stepwell.core.checks import check_steps
from stepwell.core.spec import (
    Argument,
    InputSpec,
    OutputSpec,
    ParameterSpec,
    PipelineSpec,
    Resources,
    RetrySpec,
    StepSpec,
)
from stepwell.errors import NotFoundError, UsageError

SOUND = StepSpec("a", "a", "command")


def check(**other: Any) -> None:
    spec = PipelineSpec("p", (replace(SOUND, **other),), (ParameterSpec("epochs", "int", 5),))
    check_steps(spec, {"local": Pool("local")}, None)


@pytest.mark.parametrize(
    "other",
    [
        {"key": "a step 'with' \"quotes\"\n😀 \udcff"},
        {"inputs": (InputSpec("clean data", "b", "c", mode="download"),)},
        {"outputs": (OutputSpec("7", mode="upload", path_on_compute="out"),)},
        {"arguments": (Argument(text=""), Argument(text="a\nb"), Argument(param="epochs"))},
        {"timeout_s": 0.1, "resources": Resources(cpus=0.1), "retry": RetrySpec(count=0, delay_s=0)},
        {"compute_target": "local"},
        {"environment_variables": {"A B": "x=y\n"}},
    ],
)
def test_odd_but_possible_steps_pass(other: dict[str, Any]) -> None:
    check(**other)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"key": ""}, "a step cannot be named ''"),
        ({"key": "a\0b"}, "a step cannot be named 'a\\x00b'"),
        (
            {"inputs": (InputSpec("x", "b", "c", mode="mout"),)},
            "step 'a': input 'x' has the mode 'mout' (there is: mount, download)\n  try: did you mean 'mount'?",
        ),
        (
            {"outputs": (OutputSpec("x", mode="direct"),)},
            "step 'a': output 'x' has the mode 'direct' (there is: mount, upload)",
        ),
        (
            {"arguments": (Argument(text="a\0"),)},
            "step 'a' has a NUL character in an argument, which no program can be given",
        ),
        ({"environment_variables": {"A=B": ""}}, "step 'a' cannot set the environment variable 'A=B'"),
        ({"environment_variables": {"A": "\0"}}, "step 'a' cannot set the environment variable 'A'"),
        ({"environment_variables": {"": "x"}}, "step 'a' cannot set the environment variable ''"),
        ({"resources": Resources(cpus=0)}, "step 'a' has cpus 0, it must be above 0"),
        ({"resources": Resources(cpus=float("nan"))}, "step 'a' has cpus nan, it must be above 0"),
        ({"resources": Resources(memory_mib=-1)}, "step 'a' has memory_mib -1, the least is 0"),
        ({"resources": Resources(gpus=-1)}, "step 'a' has gpus -1, the least is 0"),
        ({"timeout_s": 0.0}, "step 'a' has timeout_s 0, it must be above 0"),
        ({"retry": RetrySpec(count=-1)}, "step 'a' has retry.count -1, the least is 0"),
        ({"retry": RetrySpec(delay_s=float("nan"))}, "step 'a' has retry.delay_s nan, the least is 0"),
        ({"node_count": 0}, "step 'a' has node_count 0, the least is 1"),
    ],
)
def test_what_no_step_can_mean_is_refused_in_words(other: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as error:
        check(**other)

    assert str(error.value) == says


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "/etc", "a\0", "x" * 256])
def test_names_that_would_lead_out_of_a_folder_are_refused(name: str) -> None:
    with pytest.raises(UsageError) as error:
        check(outputs=(OutputSpec(name),))

    assert error.value.message == f"step 'a' cannot name an output {name!r}"
    assert error.value.hint == "letters, digits and underscores, as in 'clean_data'"


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        (
            Argument(param="epoch"),
            "step 'a' mentions the parameter 'epoch', which is not declared (there is: epochs)\n"
            "  try: did you mean 'epochs'?",
        ),
        (Argument(input="x"), "step 'a' mentions the input 'x', which is not declared (there is: none)"),
        (
            Argument(parts=(Argument(text="--out="), Argument(output="modle"))),
            "step 'a' mentions the output 'modle', which is not declared (there is: model)\n"
            "  try: did you mean 'model'?",
        ),
    ],
)
def test_arguments_mention_only_what_is_declared(argument: Argument, says: str) -> None:
    with pytest.raises(NotFoundError) as error:
        check(arguments=(argument,), outputs=(OutputSpec("model"),))

    assert str(error.value) == says


def test_variables_for_a_script_mention_only_what_is_declared_too() -> None:
    with pytest.raises(NotFoundError, match=r"^step 'a' mentions the parameter 'rate', which is not declared"):
        check(params={"rate": Argument(param="rate")})
