"""`ScriptRunConfig`: one script or command to run by itself, without a pipeline."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence

from stepwell.authoring.environments import Environment
from stepwell.authoring.later import not_yet
from stepwell.authoring.runconfig import DockerConfiguration, RunConfiguration

LONGEST_S = 2592000  # thirty days: the SDK's default, here no limit


class ScriptRunConfig:
    """A script of `source_directory` with its arguments, or a `command`; submitted to an Experiment.

    The fields of `run_config` are copied when this is made; `compute_target`, `environment` and
    `docker_runtime_config` win over them. A run that takes longer than `max_run_duration_seconds`
    is ended; the default is no limit. One with both or neither of script and command is refused at
    submit.
    """

    def __init__(
        self,
        source_directory: str | os.PathLike[str] | None,
        script: str | None = None,
        arguments: Sequence[object] | None = None,
        run_config: RunConfiguration | None = None,
        compute_target: object = None,
        environment: Environment | None = None,
        distributed_job_config: object = None,
        resume_from: object = None,
        max_run_duration_seconds: float | None = LONGEST_S,
        command: str | Sequence[object] | None = None,
        docker_runtime_config: DockerConfiguration | None = None,
    ) -> None:
        if distributed_job_config is not None:
            raise not_yet("ScriptRunConfig(distributed_job_config=...)", "leave it out; the script is one process")
        if resume_from is not None:
            raise not_yet("ScriptRunConfig(resume_from=...)", "pass the path of the checkpoint as an argument")
        self.source_directory = source_directory
        self.run_config = RunConfiguration() if run_config is None else copy.copy(run_config)
        self.script = script or self.run_config.script
        self.arguments = list(self.run_config.arguments if arguments is None else arguments)
        self.command = command or self.run_config.command
        self.compute_target = compute_target
        self.max_run_duration_seconds = max_run_duration_seconds
        if environment is not None:
            self.run_config.environment = environment
        if compute_target is not None:
            self.run_config.target = compute_target
        if docker_runtime_config is not None:
            self.run_config.docker = docker_runtime_config

    @property
    def identity(self) -> None:
        """Whose rights the script runs with: always those of the user who submits, so there is none to name."""
        return None
