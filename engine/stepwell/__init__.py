"""Stepwell: machine-learning pipelines on your own machine.

    from stepwell import Workspace, Experiment, Pipeline, PythonScriptStep, PipelineData

Every public name is importable from here and loaded when it is first used, so that importing the
package costs nothing. Inside a step `Run` is the step's own, which needs no more than the standard
library; outside it is the run of an experiment, whose `get_context` prints.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # what type checkers take for typing's; importing typing would be most of our time
if TYPE_CHECKING:
    from typing import Any

    from stepwell.authoring.command import CommandStep
    from stepwell.authoring.compute import AmlCompute, ComputeTarget, LocalTarget
    from stepwell.authoring.compute_status import AmlComputeStatus, ScaleSettings
    from stepwell.authoring.conda_dependencies import CondaDependencies
    from stepwell.authoring.data import InputPortBinding, OutputPortBinding, PipelineData
    from stepwell.authoring.datastores import Datastore
    from stepwell.authoring.environments import DockerSection, Environment, PythonSection
    from stepwell.authoring.experiment import Experiment
    from stepwell.authoring.outputs import PortDataReference, StepRunOutput
    from stepwell.authoring.parameters import PipelineParameter
    from stepwell.authoring.pipeline import Pipeline
    from stepwell.authoring.pipeline_run import PipelineRun
    from stepwell.authoring.python_script import PythonScriptStep
    from stepwell.authoring.runconfig import DockerConfiguration, MpiConfiguration, RunConfiguration
    from stepwell.authoring.runs import Run
    from stepwell.authoring.script_run import ScriptRun
    from stepwell.authoring.script_run_config import ScriptRunConfig
    from stepwell.authoring.sequence import StepSequence
    from stepwell.authoring.step_run import StepRun
    from stepwell.authoring.steps import PipelineStep
    from stepwell.authoring.workspace import Workspace
    from stepwell.core.spec import RetrySpec
    from stepwell.errors import (
        ActivityFailedException,
        ComputeTargetException,
        ConflictError,
        ExperimentExecutionException,
        MachineError,
        NotFoundError,
        RunEnvironmentException,
        StepFailedError,
        StepwellError,
        UsageError,
        UserErrorException,
        WorkspaceException,
    )

    __version__: str

_MODULES = {
    "authoring.command": ("CommandStep",),
    "authoring.compute": ("AmlCompute", "ComputeTarget", "LocalTarget"),
    "authoring.compute_status": ("AmlComputeStatus", "ScaleSettings"),
    "authoring.conda_dependencies": ("CondaDependencies",),
    "authoring.data": ("InputPortBinding", "OutputPortBinding", "PipelineData"),
    "authoring.datastores": ("Datastore",),
    "authoring.environments": ("DockerSection", "Environment", "PythonSection"),
    "authoring.experiment": ("Experiment",),
    "authoring.outputs": ("PortDataReference", "StepRunOutput"),
    "authoring.parameters": ("PipelineParameter",),
    "authoring.pipeline": ("Pipeline",),
    "authoring.pipeline_run": ("PipelineRun",),
    "authoring.python_script": ("PythonScriptStep",),
    "authoring.runconfig": ("DockerConfiguration", "MpiConfiguration", "RunConfiguration"),
    "authoring.runs": ("Run",),
    "authoring.script_run": ("ScriptRun",),
    "authoring.script_run_config": ("ScriptRunConfig",),
    "authoring.sequence": ("StepSequence",),
    "authoring.step_run": ("StepRun",),
    "authoring.steps": ("PipelineStep",),
    "authoring.workspace": ("Workspace",),
    "core.spec": ("RetrySpec",),
    "errors": (
        *("ActivityFailedException", "ComputeTargetException", "ConflictError", "ExperimentExecutionException"),
        *("MachineError", "NotFoundError", "RunEnvironmentException", "StepFailedError", "StepwellError"),
        *("UsageError", "UserErrorException", "WorkspaceException"),
    ),
}

__all__ = [
    "ActivityFailedException",
    "AmlCompute",
    "AmlComputeStatus",
    "CommandStep",
    "ComputeTarget",
    "ComputeTargetException",
    "CondaDependencies",
    "ConflictError",
    "Datastore",
    "DockerConfiguration",
    "DockerSection",
    "Environment",
    "Experiment",
    "ExperimentExecutionException",
    "InputPortBinding",
    "LocalTarget",
    "MachineError",
    "MpiConfiguration",
    "NotFoundError",
    "OutputPortBinding",
    "Pipeline",
    "PipelineData",
    "PipelineParameter",
    "PipelineRun",
    "PipelineStep",
    "PortDataReference",
    "PythonScriptStep",
    "PythonSection",
    "RetrySpec",
    "Run",
    "RunConfiguration",
    "RunEnvironmentException",
    "ScaleSettings",
    "ScriptRun",
    "ScriptRunConfig",
    "StepFailedError",
    "StepRun",
    "StepRunOutput",
    "StepSequence",
    "StepwellError",
    "UsageError",
    "UserErrorException",
    "Workspace",
    "WorkspaceException",
]


def __getattr__(name: str) -> Any:
    module = _module_of(name)
    if module is None:
        raise AttributeError(f"module 'stepwell' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(module), "VERSION" if name == "__version__" else name)
    globals()[name] = value
    return value


def _module_of(name: str) -> str | None:
    if name == "__version__":
        return "stepwell.api.wire"
    if name == "Run" and os.environ.get("STEPWELL_ATTEMPT_DIR"):
        return "stepwell_step.run"
    if name not in __all__:
        return None
    return next(f"stepwell.{module}" for module, names in _MODULES.items() if name in names)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
