"""Stepwell: machine-learning pipelines on your own machine.

    from stepwell import Workspace, Experiment, Pipeline, PythonScriptStep, PipelineData

Every public name is importable from here and loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepwell.authoring.compute import AmlCompute, ComputeTarget
    from stepwell.authoring.data import InputPortBinding, OutputPortBinding, PipelineData
    from stepwell.authoring.datastores import Datastore
    from stepwell.authoring.environments import (
        DEFAULT_CPU_IMAGE,
        DEFAULT_GPU_IMAGE,
        CondaDependencies,
        DockerConfiguration,
        Environment,
    )
    from stepwell.authoring.experiment import Experiment
    from stepwell.authoring.parameters import PipelineParameter
    from stepwell.authoring.pipeline import Pipeline
    from stepwell.authoring.ports import PortDataReference, StepRunOutput
    from stepwell.authoring.runconfig import MpiConfiguration, RunConfiguration, ScriptRunConfig
    from stepwell.authoring.runs import PipelineRun, Run, ScriptRun, StepRun
    from stepwell.authoring.steps import CommandStep, PythonScriptStep, StepSequence
    from stepwell.authoring.workspace import Workspace
    from stepwell.core.spec import RetrySpec as Retry
    from stepwell.errors import (
        ActivityFailedException,
        ComputeTargetException,
        ExperimentExecutionException,
        RunEnvironmentException,
        StepwellError,
        UserErrorException,
        WorkspaceException,
    )

_HOMES = {
    "stepwell.authoring.compute": ("AmlCompute", "ComputeTarget"),
    "stepwell.authoring.data": ("InputPortBinding", "OutputPortBinding", "PipelineData"),
    "stepwell.authoring.datastores": ("Datastore",),
    "stepwell.authoring.environments": (
        *("CondaDependencies", "DockerConfiguration", "Environment", "DEFAULT_CPU_IMAGE", "DEFAULT_GPU_IMAGE"),
    ),
    "stepwell.authoring.experiment": ("Experiment",),
    "stepwell.authoring.parameters": ("PipelineParameter",),
    "stepwell.authoring.pipeline": ("Pipeline",),
    "stepwell.authoring.ports": ("PortDataReference", "StepRunOutput"),
    "stepwell.authoring.runconfig": ("MpiConfiguration", "RunConfiguration", "ScriptRunConfig"),
    "stepwell.authoring.runs": ("PipelineRun", "Run", "ScriptRun", "StepRun"),
    "stepwell.authoring.steps": ("CommandStep", "PythonScriptStep", "StepSequence"),
    "stepwell.authoring.workspace": ("Workspace",),
    "stepwell.core.spec": ("Retry",),
    "stepwell.errors": (
        *("ActivityFailedException", "ComputeTargetException", "ExperimentExecutionException"),
        *("RunEnvironmentException", "StepwellError", "UserErrorException", "WorkspaceException"),
    ),
}
_WHERE = {name: home for home, names in _HOMES.items() for name in names}
_RENAMED = {"Retry": "RetrySpec"}

__all__ = [
    "DEFAULT_CPU_IMAGE",
    "DEFAULT_GPU_IMAGE",
    "ActivityFailedException",
    "AmlCompute",
    "CommandStep",
    "ComputeTarget",
    "ComputeTargetException",
    "CondaDependencies",
    "Datastore",
    "DockerConfiguration",
    "Environment",
    "Experiment",
    "ExperimentExecutionException",
    "InputPortBinding",
    "MpiConfiguration",
    "OutputPortBinding",
    "Pipeline",
    "PipelineData",
    "PipelineParameter",
    "PipelineRun",
    "PortDataReference",
    "PythonScriptStep",
    "Retry",
    "Run",
    "RunConfiguration",
    "RunEnvironmentException",
    "ScriptRun",
    "ScriptRunConfig",
    "StepRun",
    "StepRunOutput",
    "StepSequence",
    "StepwellError",
    "UserErrorException",
    "Workspace",
    "WorkspaceException",
]


def __getattr__(name: str) -> Any:
    home = _WHERE.get(name)
    if home is None:
        raise AttributeError(f"module 'stepwell' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), _RENAMED.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
