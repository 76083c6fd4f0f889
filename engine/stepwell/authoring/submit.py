"""What is sent to the daemon for a run, and what comes back as an object."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stepwell.authoring.command import CommandStep
from stepwell.authoring.later import not_yet
from stepwell.authoring.pipeline import Pipeline
from stepwell.authoring.python_script import PythonScriptStep
from stepwell.authoring.script_run_config import LONGEST_S, ScriptRunConfig
from stepwell.authoring.spec import compile_pipeline
from stepwell.authoring.steps import PipelineStep
from stepwell.core.spec import PipelineSpec, Scalar
from stepwell.errors import UsageError

if TYPE_CHECKING:
    from stepwell.authoring.experiment import Experiment
    from stepwell.authoring.pipeline_run import PipelineRun
    from stepwell.authoring.script_run import ScriptRun

Json = dict[str, Any]
_PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")


def submission(
    spec: PipelineSpec,
    workspace: str,
    *,
    experiment: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> Json:
    """Return the body of `POST /v1/runs` and `POST /v1/plan`, with what this process passes on to its steps.

    `workspace` is its id. `options`: `regenerate_outputs`, `force`, `from_step`, `continue_on_step_failure`.
    Raises UsageError for a parameter's value that is no text, number or bool.
    """
    return {
        "workspace": workspace,
        "experiment": experiment or spec.name,
        "spec": spec.to_wire(),
        "parameters": {name: _scalar(name, value) for name, value in (parameters or {}).items()},
        "options": {name: value for name, value in (options or {}).items() if value},
        "client": client(spec),
        "tags": {str(name): str(value) for name, value in (tags or {}).items()},
    }


def client(spec: PipelineSpec) -> Json:
    """Return what a run takes from the process that submits it: interpreter, folder, variables.

    The variables are those of an allow-list, which do not count for reuse, and those that steps
    name in `pass_env`, which do.
    """
    wanted = sorted({name for step in spec.steps for name in step.pass_env})
    return {
        "python": sys.executable,
        "cwd": os.getcwd(),
        "inside": os.environ.get("STEPWELL_STEP_RUN_ID"),  # the step that submits, where a step does
        "environment": {name: value for name, value in os.environ.items() if _is_passed_on(name)},
        "pass_env": {name: os.environ[name] for name in wanted if name in os.environ},
    }


def submit_pipeline(
    experiment: Experiment,
    pipeline: Pipeline,
    tags: Mapping[str, str] | None = None,
    *,
    pipeline_parameters: Mapping[str, Any] | None = None,
    continue_on_step_failure: bool = False,
    regenerate_outputs: bool = False,
    pipeline_version: str | None = None,
) -> PipelineRun:
    """Submit a pipeline and return its run, committed and on its way."""
    from stepwell.authoring.pipeline_run import PipelineRun

    if pipeline_version is not None:
        raise not_yet("submit(pipeline_version=...)", "submit the Pipeline itself")
    options = {"continue_on_step_failure": continue_on_step_failure, "regenerate_outputs": regenerate_outputs}
    body = submission(
        compile_pipeline(pipeline, name=experiment.name),
        experiment.workspace.id,
        experiment=experiment.name,
        parameters=pipeline_parameters,
        options=options,
        tags=tags,
    )
    return PipelineRun(experiment, experiment.workspace.client.post("/v1/runs", body)["run"])


def submit_script(experiment: Experiment, config: ScriptRunConfig, tags: Mapping[str, str] | None = None) -> ScriptRun:
    """Submit a script as a run of one step; it always runs, whatever ran before."""
    from stepwell.authoring.runs import SCRIPT_RUN, SOURCE
    from stepwell.authoring.script_run import ScriptRun

    pipeline = Pipeline(experiment.workspace, _step_of(config))
    body = submission(
        compile_pipeline(pipeline, name=experiment.name), experiment.workspace.id, experiment=experiment.name, tags=tags
    )
    run = ScriptRun(experiment, experiment.workspace.client.post("/v1/runs", body)["run"])
    run.add_properties({SOURCE: SCRIPT_RUN})
    return run


def _step_of(config: ScriptRunConfig) -> PipelineStep:
    if bool(config.script) == bool(config.command):
        raise UsageError(
            "a ScriptRunConfig needs a script or a command, and "
            + ("it has both" if config.script else "it has neither"),
            code="script_run_config",
        )
    limit_s = config.max_run_duration_seconds
    fields: Any = {
        "runconfig": config.run_config,
        "source_directory": config.source_directory,
        "allow_reuse": False,
        "timeout_s": None if limit_s == LONGEST_S else limit_s,
    }
    if config.command:
        return CommandStep(config.command, **fields)
    assert config.script is not None
    return PythonScriptStep(config.script, arguments=config.arguments, **fields)


def _is_passed_on(name: str) -> bool:
    return name in _PASSED_ON or name.startswith("LC_") or name.lower() in _PROXIES


def _scalar(name: str, value: Any) -> Scalar:
    """Return a parameter's value as a plain one; numpy and its like have `item` for that."""
    plain = value.item() if callable(getattr(value, "item", None)) else value
    if isinstance(plain, (str, bool, int, float)):
        return plain
    raise UsageError(
        f"the value of parameter {name!r} must be a text, a number or a bool, not {value!r}", code="parameter_type"
    )
