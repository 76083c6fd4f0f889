"""`RunConfiguration` and `ScriptRunConfig`: fields, and what they may not ask for yet."""

from __future__ import annotations

from typing import Any

import pytest

from stepwell import (
    CondaDependencies,
    DockerConfiguration,
    Environment,
    MpiConfiguration,
    PythonScriptStep,
    RunConfiguration,
    ScriptRunConfig,
)
from stepwell.authoring.later import NotThereYetError


def test_a_run_configuration_runs_here_unless_it_says_where() -> None:
    configuration = RunConfiguration()

    assert configuration.target == "local"
    assert configuration.framework == "Python"
    assert configuration.environment.name is None


def test_its_variables_are_those_of_its_environment() -> None:
    configuration = RunConfiguration()
    configuration.environment_variables = {"A": "1"}
    configuration.environment.environment_variables["N"] = 5  # type: ignore[assignment]  # a program may

    step = PythonScriptStep("a.py", runconfig=configuration)

    assert step.environment_variables == {"A": "1", "N": "5"}


def test_dependencies_given_at_once_are_those_of_its_environment() -> None:
    wanted = CondaDependencies.create(pip_packages=["numpy"])

    assert RunConfiguration(conda_dependencies=wanted).environment.python.conda_dependencies is wanted


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("framework", "PySpark", "a step of framework 'PySpark'"),
        ("communicator", "OpenMpi", "the communicator 'OpenMpi'"),
        ("node_count", 2, "a step on several nodes or in several processes"),
        ("mpi", MpiConfiguration(process_count_per_node=4), "a step on several nodes or in several processes"),
        ("docker", DockerConfiguration(use_docker=True), "DockerConfiguration(use_docker=True)"),
        ("data", {"x": 1}, "RunConfiguration.data"),
        ("data_references", {"x": 1}, "RunConfiguration.data_references"),
        ("output_data", {"x": 1}, "RunConfiguration.output_data"),
    ],
)
def test_what_needs_a_later_part_is_refused_when_a_step_is_made_with_it(field: str, value: Any, text: str) -> None:
    configuration = RunConfiguration()
    setattr(configuration, field, value)

    with pytest.raises(NotThereYetError) as caught:
        PythonScriptStep("a.py", runconfig=configuration)

    assert caught.value.message == f"{text} does not exist yet"


@pytest.mark.parametrize("framework", ["Python", "python", "TensorFlow", "PyTorch"])
def test_frameworks_that_are_python_programs_are_accepted(framework: str) -> None:
    PythonScriptStep("a.py", runconfig=RunConfiguration(framework=framework))


def test_another_thing_is_no_run_configuration() -> None:
    with pytest.raises(TypeError, match="runconfig must be a RunConfiguration, not str"):
        PythonScriptStep("a.py", runconfig="local")  # type: ignore[arg-type]


def test_a_script_run_config_wins_over_the_configuration_it_copies() -> None:
    configuration = RunConfiguration(script="a.py", arguments=["--n", 1])
    environment = Environment("own")

    config = ScriptRunConfig("src", run_config=configuration, compute_target="pool", environment=environment)

    assert (config.script, config.arguments) == ("a.py", ["--n", 1])
    assert (config.run_config.target, config.run_config.environment) == ("pool", environment)
    assert (configuration.target, configuration.environment.name) == ("local", None)
    assert config.identity is None


@pytest.mark.parametrize("argument", ["distributed_job_config", "resume_from"])
def test_a_script_run_config_refuses_what_does_not_exist_yet(argument: str) -> None:
    fields: dict[str, Any] = {argument: object()}
    with pytest.raises(NotThereYetError, match=rf"ScriptRunConfig\({argument}=...\) does not exist yet"):
        ScriptRunConfig(".", "a.py", **fields)
