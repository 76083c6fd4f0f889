from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from core.strategies import pipelines
from stepwell.core.spec import (
    Argument,
    EnvironmentSpec,
    InputSpec,
    OutputSpec,
    ParameterSpec,
    PipelineSpec,
    Resources,
    StepSpec,
)
from stepwell.errors import UsageError

DIGITS = PipelineSpec(
    name="digits",
    file="/home/ada/digits/pipeline.py",
    parameters=(ParameterSpec("epochs", "int", 5),),
    steps=(
        StepSpec("prepare", "prepare", "python_script", {"script_name": "prepare.py"}, outputs=(OutputSpec("clean"),)),
        StepSpec(
            key="train",
            name="train",
            kind="python_script",
            settings={"script_name": "train.py"},
            arguments=(Argument(text="--epochs"), Argument(param="epochs")),
            inputs=(InputSpec("clean", "prepare", "clean"),),
            params={"rate": Argument(parts=(Argument(param="rate"), Argument(text="%")))},
            run_after=("other",),
            resources=Resources(cpus=2),
        ),
    ),
)


@given(pipelines())
def test_a_spec_comes_back_from_the_wire_as_it_was(spec: PipelineSpec) -> None:
    assert PipelineSpec.from_wire(spec.to_wire()) == spec


@given(pipelines())
def test_a_spec_comes_back_from_its_canonical_text_as_it_was(spec: PipelineSpec) -> None:
    again = PipelineSpec.from_wire(json.loads(spec.canonical()))

    assert again == spec
    assert again.canonical() == spec.canonical()


def test_the_wire_form_is_fixed() -> None:
    assert DIGITS.to_wire() == {
        "v": 1,
        "name": "digits",
        "file": "/home/ada/digits/pipeline.py",
        "parameters": [{"name": "epochs", "type": "int", "default": 5}],
        "steps": [
            {
                "key": "prepare",
                "name": "prepare",
                "kind": "python_script",
                "settings": {"script_name": "prepare.py"},
                "outputs": [{"name": "clean"}],
            },
            {
                "key": "train",
                "name": "train",
                "kind": "python_script",
                "settings": {"script_name": "train.py"},
                "arguments": [{"text": "--epochs"}, {"param": "epochs"}],
                "inputs": [{"name": "clean", "step": "prepare", "output": "clean"}],
                "params": {"rate": {"parts": [{"param": "rate"}, {"text": "%"}]}},
                "run_after": ["other"],
                "resources": {"cpus": 2},
            },
        ],
    }


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({**DIGITS.to_wire(), "v": 2}, "cannot read a pipeline of format 2, only 1"),
        ({"name": "p", "steps": []}, "cannot read a pipeline of format None, only 1"),
        ([], "cannot read a pipeline of format 'list', only 1"),
        ({"v": 1, "name": "p"}, "pipeline has no 'steps', which it needs"),
        (
            {"v": 1, "name": "p", "steps": [{"key": "a", "name": "a", "kind": "command", "cpus": 2}]},
            "pipeline.steps[0] has no field 'cpus'",
        ),
        (
            {"v": 1, "name": "p", "steps": [{"key": "a", "name": "a", "kind": "command", "retry": {"count": "x"}}]},
            "pipeline.steps[0].retry.count must be int, not 'x'",
        ),
    ],
)
def test_what_is_no_pipeline_is_refused_by_its_place(data: Any, says: str) -> None:
    with pytest.raises(UsageError) as error:
        PipelineSpec.from_wire(data)

    assert str(error.value) == says


def test_a_step_is_found_by_its_key() -> None:
    assert DIGITS.step("train").settings == {"script_name": "train.py"}


def test_a_step_depends_on_what_it_reads_and_on_what_it_runs_after() -> None:
    assert DIGITS.step("train").depends_on() == {"prepare", "other"}


def test_the_parameters_of_a_step_are_those_it_mentions_however_deep() -> None:
    assert DIGITS.step("train").used_parameters() == {"epochs", "rate"}


@pytest.mark.parametrize(
    ("environment", "built"),
    [
        (EnvironmentSpec(), False),
        (EnvironmentSpec(user_managed=True, pip_packages=("numpy",)), False),
        (EnvironmentSpec(user_managed=False), False),
        (EnvironmentSpec(user_managed=False, pip_packages=("numpy",)), True),
        (EnvironmentSpec(user_managed=False, conda_packages=("numpy",)), True),
    ],
)
def test_an_environment_is_built_only_where_packages_are_named_and_the_user_does_not_manage_it(
    environment: EnvironmentSpec, built: bool
) -> None:
    assert environment.must_be_built is built
