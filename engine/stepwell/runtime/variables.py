"""The environment variables of a step, put together in one place and in one order.

First an allow-list captured from the submitting client (it does not count for reuse), then the
step's own variables (they count), then ours. Nothing of the daemon's own environment gets in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stepwell.core.spec import PipelineSpec, StepSpec
from stepwell.extend.api import StepContext

_LINE_BUFFER = ("/usr/libexec/coreutils/libstdbuf.so", "/usr/lib/coreutils/libstdbuf.so")


@dataclass(frozen=True, slots=True)
class Place:
    """Which run, step and attempt the variables are for; all ids are text."""

    home: Path
    workspace: str
    workspace_id: str
    experiment: str
    run: str
    run_number: int
    step_run: str
    attempt_folder: Path


def counted(step: StepSpec, client: Mapping[str, object]) -> dict[str, str]:
    """Return the variables that count for reuse: the step's own, and the values of `pass_env`."""
    given = client.get("pass_env")
    passed = given if isinstance(given, Mapping) else {}
    return {name: str(passed[name]) for name in step.pass_env if name in passed} | dict(step.environment_variables)


def environment(
    step: StepSpec, pipeline: PipelineSpec, place: Place, context: StepContext, client: Mapping[str, object]
) -> dict[str, str]:
    """Return every variable of one attempt."""
    captured = client.get("environment")
    variables = {str(k): str(v) for k, v in captured.items()} if isinstance(captured, Mapping) else {}
    folder = os.path.dirname(context.interpreter)
    variables["PATH"] = f"{folder}:{variables.get('PATH') or os.defpath}"
    variables["PYTHONUNBUFFERED"] = "1"  # a line is seen when it is printed, not when 8 KiB have gathered
    if step.kind == "command":
        variables |= _line_buffered()
    variables |= counted(step, client)
    for name, argument in step.params.items():
        variables[f"AML_PARAMETER_{name}"] = context.word(argument)
    for name, path in (*context.inputs.items(), *context.outputs.items()):
        variables[f"AZUREML_DATAREFERENCE_{name}"] = str(path)
    variables["STEPWELL_INPUTS"] = _paths(context.inputs)
    variables["STEPWELL_OUTPUTS"] = _paths(context.outputs)
    variables |= _identity(step, pipeline, place)
    return variables


def _identity(step: StepSpec, pipeline: PipelineSpec, place: Place) -> dict[str, str]:
    return {
        "AZUREML_RUN_ID": place.step_run,
        "AZUREML_ROOT_RUN_ID": place.run,
        "AZUREML_ARM_SUBSCRIPTION": "local",
        "AZUREML_ARM_RESOURCEGROUP": "local",
        "AZUREML_ARM_WORKSPACE_NAME": place.workspace,
        "AZUREML_ARM_PROJECT_NAME": place.experiment,
        "AZUREML_WORKSPACE_ID": place.workspace_id,
        "AZUREML_EXPERIMENT_ID": place.experiment,
        "STEPWELL_HOME": str(place.home),
        "STEPWELL_WORKSPACE": place.workspace,
        "STEPWELL_WORKSPACE_ID": place.workspace_id,
        "STEPWELL_EXPERIMENT": place.experiment,
        "STEPWELL_PIPELINE": pipeline.name,
        "STEPWELL_RUN_ID": place.run,
        "STEPWELL_RUN_NUMBER": str(place.run_number),
        "STEPWELL_STEP": step.key,
        "STEPWELL_STEP_RUN_ID": place.step_run,
        "STEPWELL_ATTEMPT_DIR": str(place.attempt_folder),
    }


def _paths(ports: Mapping[str, Path]) -> str:
    return json.dumps({name: str(path) for name, path in ports.items()})


def _line_buffered() -> dict[str, str]:
    """C programs hold their output back on a pipe; coreutils' own library makes them write line by line."""
    for library in _LINE_BUFFER:
        if os.path.exists(library):
            return {"LD_PRELOAD": library, "_STDBUF_O": "L"}
    return {}
