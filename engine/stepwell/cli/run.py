"""`stepwell run`: submit a pipeline, follow it, and say how it ended."""

from __future__ import annotations

from pathlib import Path

import click

from stepwell.api.client import Client
from stepwell.cli import options
from stepwell.cli.loading import submission
from stepwell.cli.submit import detached, start, watch


@click.command()
@options.file
@options.parameters
@options.experiment
@click.option("--force", is_flag=True, help="Run every step, whatever could be reused.")
@click.option("--from", "from_step", metavar="STEP", help="Run STEP and all below it, whatever could be reused.")
@click.option("--detach", "-d", is_flag=True, help="Submit, and do not follow.")
@options.workspace
@options.as_json
def run(
    file: Path,
    parameters: tuple[str, ...],
    experiment: str | None,
    force: bool,
    from_step: str | None,
    detach: bool,
    workspace: str | None,
    as_json: bool,
) -> int:
    """Run the pipeline that FILE defines, and follow it to its end.

    FILE is a Python file with a `pipeline` (a Pipeline) or a function `build(workspace)` that returns one.
    Ctrl-C stops following; the run goes on.
    """
    asked = submission(file, parameters, experiment=experiment, workspace=workspace, force=force, from_step=from_step)
    with Client.connect() as client:
        submitted = start(client, asked)
        if detach:
            return detached(submitted, as_json=as_json)
        return watch(client, submitted, str(file), as_json=as_json)
