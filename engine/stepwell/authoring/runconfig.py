"""`RunConfiguration`: target, environment and variables of a step, as fields to be set.

A step reads it when the step is made: changing it later changes the steps made later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from stepwell.authoring.conda_dependencies import CondaDependencies
from stepwell.authoring.environments import Environment, plain_environment, variables
from stepwell.authoring.later import Later, not_yet
from stepwell.core.spec import EnvironmentSpec

_ONE_PROCESS = "leave it out; a step is one process on this machine"
_FRAMEWORKS = ("python", "tensorflow", "pytorch", "cntk")


class DockerConfiguration:
    """How a container is run. With `use_docker` a step asks for one, which no compute target offers yet."""

    def __init__(
        self,
        use_docker: bool = False,
        shared_volumes: bool = True,
        arguments: Sequence[str] = (),
        shm_size: str = "2g",
    ) -> None:
        self.use_docker = use_docker
        self.shared_volumes = shared_volumes
        self.arguments = list(arguments)
        self.shm_size = shm_size


class MpiConfiguration:
    """Processes of a distributed step. More than one node or process is refused until such steps exist."""

    def __init__(self, process_count_per_node: int = 1, node_count: int = 1) -> None:
        self.process_count_per_node = process_count_per_node
        self.node_count = node_count


class RunConfiguration:
    """What a step runs with: `target`, `environment`, `environment_variables`.

    `target` is a compute target or its name, `local` unless set. `environment` starts with no
    packages, which means the interpreter that submits. `script`, `arguments` and `command` are for
    a ScriptRunConfig. `auto_prepare_environment` means nothing here. `framework` is `Python` or
    another that is a Python program; distributed communicators do not exist yet.
    """

    load = Later("make a RunConfiguration and set its fields")
    save = Later("keep the lines that set its fields")
    delete = Later("remove the file yourself")

    def __init__(
        self,
        script: str | None = None,
        arguments: Sequence[object] | None = None,
        framework: str | None = None,
        communicator: str | None = None,
        conda_dependencies: CondaDependencies | None = None,
        command: str | Sequence[object] | None = None,
    ) -> None:
        self.script = script
        self.arguments = list(arguments or ())
        self.command = command
        self.framework = framework or "Python"
        self.communicator = communicator or "None"
        self.target: object = "local"
        self.auto_prepare_environment = True
        self.node_count = 1
        self.environment = Environment("default")
        self.environment.name = None
        self.docker = DockerConfiguration()
        self.mpi = MpiConfiguration()
        self.max_run_duration_seconds: float | None = None
        self.data_references: dict[str, object] = {}
        self.data: dict[str, object] = {}
        self.output_data: dict[str, object] = {}
        if conda_dependencies is not None:
            self.environment.python.conda_dependencies = conda_dependencies

    @property
    def environment_variables(self) -> dict[str, str]:
        """Variables of the step, those of its environment. They count for reuse."""
        return self.environment.environment_variables

    @environment_variables.setter
    def environment_variables(self, value: Mapping[str, str]) -> None:
        self.environment.environment_variables = dict(value)


class Configured(NamedTuple):
    """What a step takes from a RunConfiguration. `node_count` and `process_count_per_node` count for reuse."""

    environment: EnvironmentSpec
    variables: dict[str, str]
    target: object
    timeout_s: float | None


def configured(runconfig: RunConfiguration | None) -> Configured:
    """Return what `runconfig` says now; None says nothing. Raises UsageError for what does not exist yet."""
    if runconfig is None:
        return Configured(plain_environment(), {}, "local", None)
    if not isinstance(runconfig, RunConfiguration):
        raise TypeError(f"runconfig must be a RunConfiguration, not {type(runconfig).__name__}")
    _refuse(runconfig)
    found = runconfig.environment
    if not isinstance(found, Environment):
        raise TypeError(f"the environment of a RunConfiguration must be an Environment, not {type(found).__name__}")
    return Configured(
        found.spec,
        variables(found.environment_variables),
        runconfig.target,
        runconfig.max_run_duration_seconds,
    )


def _refuse(runconfig: RunConfiguration) -> None:
    if runconfig.framework.lower() not in _FRAMEWORKS:
        raise not_yet(f"a step of framework {runconfig.framework!r}", "framework='Python'")
    if runconfig.communicator not in (None, "", "None"):
        raise not_yet(f"the communicator {runconfig.communicator!r}", _ONE_PROCESS)
    counts = runconfig.node_count, runconfig.mpi.node_count, runconfig.mpi.process_count_per_node
    if any(count not in (None, 1) for count in counts):
        raise not_yet("a step on several nodes or in several processes", _ONE_PROCESS)
    if runconfig.docker.use_docker:
        raise not_yet("DockerConfiguration(use_docker=True)", "leave it out; the step runs as a process")
    for field in ("data_references", "data", "output_data"):
        if getattr(runconfig, field):
            raise not_yet(f"RunConfiguration.{field}", "pass data between steps as PipelineData")
