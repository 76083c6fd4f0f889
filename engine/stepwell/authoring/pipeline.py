"""`Pipeline`: steps, and what they pass to each other."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stepwell.authoring.datastores import DEFAULT, Datastore, datastore_name
from stepwell.authoring.later import Later, no_others
from stepwell.authoring.sequence import Barriers, flatten
from stepwell.errors import UsageError

if TYPE_CHECKING:
    from stepwell.authoring.graph import Graph
    from stepwell.authoring.pipeline_run import PipelineRun
    from stepwell.authoring.workspace import Workspace

_SUBMIT = "submit it with Experiment.submit; pipelines cannot be published yet"


class Pipeline:
    """A workflow of `steps`: a step, a list that may be nested, a StepSequence, or a mixture.

    Steps run side by side unless data, `run_after` or a StepSequence orders them. With
    `resolve_closure` the steps that the listed ones wait for belong to it too, so the last step
    alone will do. `default_datastore` is for data that names none, `default_source_directory` for
    steps that name none. Nothing is read before it is submitted. Raises TypeError for what is no
    step (SDK reference, `Pipeline`).
    """

    load_yaml = Later("write the pipeline as a Python file, and run it with `stepwell run FILE`")
    publish = Later(_SUBMIT)
    service_endpoint = Later(_SUBMIT)

    def __init__(
        self,
        workspace: Workspace,
        steps: object,
        description: str | None = None,
        default_datastore: Datastore | str | None = None,
        default_source_directory: str | os.PathLike[str] | None = None,
        resolve_closure: bool = True,
        **kwargs: object,
    ) -> None:
        no_others("Pipeline", kwargs)
        self.workspace = workspace
        self.description = description
        self.default_datastore = datastore_name(default_datastore) or DEFAULT
        self.default_source_directory = (
            None if default_source_directory is None else os.fspath(default_source_directory)
        )
        self.resolve_closure = resolve_closure
        self.barriers: Barriers = {}
        self.steps = list({id(step): step for step in flatten(steps, self.barriers)}.values())

    @property
    def graph(self) -> Graph:
        """The nodes, edges and parameters. Raises UsageError where they do not fit together."""
        from stepwell.authoring.graph import Graph
        from stepwell.authoring.spec import compile_pipeline

        return Graph.of(compile_pipeline(self))

    def validate(self) -> list[str]:
        """Return what is wrong with the pipeline, in words; an empty list where nothing is found.

        Finds cycles, data that no step writes or two steps write, and parameters with two
        defaults. Files, compute targets and the machine are looked at when it is submitted.
        """
        from stepwell.authoring.spec import compile_pipeline
        from stepwell.core.graph import Graph as Order

        try:
            Order.of(compile_pipeline(self).steps)
        except UsageError as error:
            return [str(error)]
        return []

    def submit(
        self,
        experiment_name: str,
        pipeline_parameters: Mapping[str, Any] | None = None,
        continue_on_step_failure: bool = False,
        regenerate_outputs: bool = False,
        parent_run_id: str | None = None,
        credential_passthrough: bool | None = None,
        **kwargs: Any,
    ) -> PipelineRun:
        """Submit the pipeline under an experiment's name; see `Experiment.submit`."""
        from stepwell.authoring.experiment import Experiment

        return Experiment(self.workspace, experiment_name).submit(
            self,
            pipeline_parameters=pipeline_parameters,
            continue_on_step_failure=continue_on_step_failure,
            regenerate_outputs=regenerate_outputs,
            parent_run_id=parent_run_id,
            credential_passthrough=credential_passthrough,
            **kwargs,
        )

    def __repr__(self) -> str:
        return f"Pipeline({len(self.steps)} steps)"
