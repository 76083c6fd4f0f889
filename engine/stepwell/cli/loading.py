"""From a pipeline file to what the daemon is asked. The file is loaded here, in the user's own process."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stepwell.authoring.load import load
from stepwell.authoring.pipeline import Pipeline
from stepwell.authoring.spec import compile_pipeline
from stepwell.authoring.submit import submission as body
from stepwell.authoring.workspace import Workspace
from stepwell.cli.options import split_parameters
from stepwell.cli.output import say
from stepwell.core.spec import PipelineSpec


def submission(
    file: Path,
    parameters: Iterable[str],
    *,
    experiment: str | None = None,
    workspace: str | None = None,
    force: bool = False,
    from_step: str | None = None,
) -> dict[str, Any]:
    """Return the body of a submission of the pipeline in `file`.

    It belongs to the workspace that is named, else to that of the file. `parameters` are words
    NAME=VALUE. Raises UsageError for a file that cannot be loaded or a pipeline that cannot be right.
    """
    values = split_parameters(parameters)
    named = Workspace.get(workspace) if workspace else None
    pipeline, spec = compiled(file, named)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        place = (named or pipeline.workspace).id
    for warning in told:
        say(f"warning: {warning.message}")
    options = {"force": force, "from_step": from_step}
    return body(spec, workspace=place, experiment=experiment, parameters=values, options=options)


def compiled(file: Path, workspace: Workspace | None = None) -> tuple[Pipeline, PipelineSpec]:
    """Load `file`; return its pipeline as the author wrote it and as data. Asks the daemon nothing."""
    pipeline = load(file, workspace)
    return pipeline, compile_pipeline(pipeline, file=file)
