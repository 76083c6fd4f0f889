"""`ScriptRun`: a script that was submitted by itself. A run of one step, shown as one."""

from __future__ import annotations

from typing import Any

from stepwell.authoring.pipeline_run import PipelineRun
from stepwell.authoring.runs import SCRIPT_RUN, Json, Run
from stepwell.authoring.step_run import StepRun


class ScriptRun(Run):
    """The run of a ScriptRunConfig; its status ends `Completed`, `Failed` or `Canceled`."""

    type = SCRIPT_RUN

    @property
    def step(self) -> StepRun:
        """The one step; waits until the run is planned."""
        return next(PipelineRun(self.experiment, self._id).get_steps())

    def get_metrics(self, name: str | None = None, recursive: bool = False, *args: Any, **kwargs: Any) -> Json:
        """Return what the script logged; see `Run.get_metrics`."""
        return {**super().get_metrics(name), **self.step.get_metrics(name)}

    def wait_for_completion(
        self, show_output: bool = False, wait_post_processing: bool = False, raise_on_error: bool = True
    ) -> Json:
        """Wait for the end and return `get_details()`; with `show_output` what the script writes is printed.

        Raises ActivityFailedException for a run that failed, unless `raise_on_error` is False.
        """
        if show_output:
            self.step.wait_for_completion(show_output=True, raise_on_error=False)
        return super().wait_for_completion(False, wait_post_processing, raise_on_error)

    def get_details(self) -> Json:
        step = self.step
        row = step.describe()
        return {**super().get_details(), "target": row["compute_target"], "logFiles": step.log_files(row)}

    def kept_rows(self) -> list[Json]:
        return self.step.kept_rows()
