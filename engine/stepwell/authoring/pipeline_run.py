"""`PipelineRun`: the run of a pipeline, and by it the runs of its steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from stepwell.api.wire import route
from stepwell.authoring.graph import Graph
from stepwell.authoring.later import Later
from stepwell.authoring.runs import PIPELINE_RUN, Json, Run, of_row
from stepwell.core.spec import PipelineSpec
from stepwell.core.states import PIPELINE_RUN_WORDS, RUN_TERMINAL, RunState
from stepwell.errors import NotFoundError, unknown

if TYPE_CHECKING:
    from stepwell.authoring.experiment import Experiment
    from stepwell.authoring.outputs import PortDataReference
    from stepwell.authoring.step_run import StepRun
    from stepwell.authoring.workspace import Workspace

FOREVER_S = 9223372036854775807
_PUBLISH = "submit the pipeline with Experiment.submit; pipelines cannot be published yet"
_PLANNING_S = 20.0  # one question lasts so long


class PipelineRun(Run):
    """The run of a pipeline; `get_status()` ends `Finished`, `Failed` or `Canceled`."""

    publish_pipeline = Later(_PUBLISH)
    get_pipeline_runs = Later("Experiment.get_runs")
    save = Later("keep the pipeline's Python file")

    type = PIPELINE_RUN

    def __init__(self, experiment: Experiment, run_id: str, **kwargs: object) -> None:
        super().__init__(experiment, run_id, **kwargs)

    def get_status(self) -> str:
        """Return `NotStarted`, `Running`, `Finished`, `Failed` or `Canceled`."""
        return PIPELINE_RUN_WORDS[RunState(self.describe()["status"])]

    @staticmethod
    def get(workspace: Workspace, run_id: str) -> PipelineRun:
        """Return a run of a pipeline by its id, its number or `last`. Raises NotFoundError."""
        run = of_row(workspace, workspace.client.get(route("runs", str(run_id)), workspace=workspace.id))
        if not isinstance(run, PipelineRun):
            raise NotFoundError(f"run {run_id!r} is not of a pipeline but of a script", hint="Run.get", code="run_kind")
        return run

    def get_steps(self) -> Iterator[StepRun]:
        """Yield the runs of the steps, in the order of the pipeline.

        Waits until the run is planned, which takes as long as freezing its sources.
        """
        return iter(self._planned_steps())

    def find_step_run(self, name: str) -> list[StepRun]:
        """Return the runs of all steps of that name: a list, for names may repeat; empty for an unknown one."""
        return [run for run, row in zip(self._planned_steps(), self._rows, strict=True) if row["name"] == name]

    def get_graph(self) -> Graph:
        """Return the graph of the pipeline as it was submitted."""
        return Graph.of(self.spec)

    @property
    def spec(self) -> PipelineSpec:
        """The pipeline as it was submitted, as plain data."""
        return PipelineSpec.from_wire(self.client.get(f"{self.route}/spec"))

    def get_pipeline_output(self, pipeline_output_name: str) -> PortDataReference:
        """Return the output that was declared with that `pipeline_output_name`. Raises NotFoundError."""
        named = {
            output.pipeline_output_name: (step.key, output.name)
            for step in self.spec.steps
            for output in step.outputs
            if output.pipeline_output_name is not None
        }
        if pipeline_output_name not in named:
            raise unknown("pipeline output", pipeline_output_name, set(named))
        key, output = named[pipeline_output_name]
        return next(run for run in self.get_steps() if run.key == key).get_output_data(output)

    def wait_for_completion(  # type: ignore[override]  # the SDK's own signatures differ
        self, show_output: bool = True, timeout_seconds: float = FOREVER_S, raise_on_error: bool = True
    ) -> str:
        """Wait for the end and return the last status; the status so far when `timeout_seconds` are over.

        With `show_output` the states of the steps and the lines they write are printed as they come.
        Raises ActivityFailedException for a run that failed, with the first failed step, its exit
        code and its last lines, unless `raise_on_error` is False. Ctrl-C leaves the run running.
        """
        from stepwell.authoring.follow import follow

        follow(
            self.client,
            self._id,
            show_output=show_output,
            timeout_s=timeout_seconds,
            raise_on_error=raise_on_error,
        )
        return self.get_status()

    def _planned_steps(self) -> list[StepRun]:
        from stepwell.authoring.step_run import StepRun

        row = self.describe()
        after = 0
        while not row["steps"] and row["status"] not in RUN_TERMINAL:
            after = self.client.events(after, run=self._id, wait_s=_PLANNING_S).seq
            row = self.describe()
        self._rows: list[Json] = row["steps"]
        return [StepRun(self.experiment, step["step_run"], self._id, step["key"]) for step in self._rows]
