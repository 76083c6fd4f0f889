"""`StepRun`: one step in one run. What it wrote, logged and made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stepwell.api.wire import route
from stepwell.authoring.later import Later
from stepwell.authoring.outputs import PortDataReference, StepRunOutput, is_declared
from stepwell.authoring.pipeline_run import FOREVER_S, PipelineRun
from stepwell.authoring.runs import STEP_RUN, Json, Run
from stepwell.core.states import HISTORY_STEP_WORDS, STEP_RUN_WORDS, STEP_TERMINAL, StepState
from stepwell.errors import unknown

if TYPE_CHECKING:
    from stepwell.authoring.experiment import Experiment
    from stepwell.authoring.workspace import Workspace

_INSIDE = "Run.get_context() in the script: a step marks itself"
STD_LOG = "user_logs/std_log.txt"
_PAGE = 1 << 20


class StepRun(Run):
    """One step in one run; `get_status()` ends `Finished`, `Failed` or `Canceled`.

    A step that was reused is `Finished`, and shows the log, the metrics and the outputs of the run
    it was taken from; its properties name that one.
    """

    tag = Later(_INSIDE)
    set_tags = Later(_INSIDE)
    add_properties = Later(_INSIDE)

    type = STEP_RUN

    def __init__(
        self, experiment: Experiment, step_run_id: str, pipeline_run_id: str, node_id: str, **kwargs: object
    ) -> None:
        super().__init__(experiment, step_run_id, **kwargs)
        self._pipeline_run_id = pipeline_run_id
        self.key = node_id

    @classmethod
    def of(cls, workspace: Workspace, row: Json) -> StepRun:
        """Return the step run that the daemon describes by `row`."""
        from stepwell.authoring.experiment import Experiment

        run = workspace.client.get(route("runs", row["run"]))
        return cls(Experiment(workspace, run["experiment"]), row["step_run"], row["run"], row["key"])

    @property
    def route(self) -> str:
        return route("step_runs", self._id)

    @property
    def pipeline_run_id(self) -> str:
        return self._pipeline_run_id

    @property
    def parent(self) -> PipelineRun:
        """The run of the pipeline."""
        return PipelineRun(self.experiment, self._pipeline_run_id)

    @property
    def number(self) -> int:
        """The number of the run of the pipeline."""
        return self.parent.number

    def history_word(self, row: Json) -> str:
        return HISTORY_STEP_WORDS[StepState(row["status"])]

    def get_status(self) -> str:
        """Return `NotStarted`, `Queued`, `Running`, `Finished`, `Failed` or `Canceled`."""
        return STEP_RUN_WORDS[StepState(self.describe()["status"])]

    def get_properties(self) -> dict[str, str]:
        row = self.describe()
        found: dict[str, str] = dict(row["properties"] or {})
        if row["reused"]:
            found |= {"azureml.isreused": "true", "azureml.reusedrunid": row["reused_from"]}
        return found

    def cancel(self) -> None:
        """Ask for the end of the whole run: a step alone cannot be taken out of it. Nothing for one that has ended."""
        if self.describe()["status"] not in STEP_TERMINAL:
            self.parent.cancel()

    def get_stdout_log(self) -> str:
        """Return what it has written to standard output so far; odd bytes are shown as U+FFFD."""
        return self._log("out")

    def get_stderr_log(self) -> str:
        """Return what it has written to standard error so far."""
        return self._log("err")

    def get_job_log(self) -> str:
        """Return what it has written so far, both streams as they came."""
        return self._log("all")

    def get_details_with_logs(self) -> Json:
        """Return `get_details()`, with the contents of the log instead of its path."""
        return {**self.get_details(), "logFiles": {STD_LOG: self.get_job_log()}}

    def log_files(self, row: Json) -> dict[str, str]:
        if row["reused_from"]:
            row = self.client.get(route("step_runs", row["reused_from"]))
        if not row["attempt"]:
            return {}
        return {STD_LOG: str(self.client.home.attempt(row["attempt"]) / "step.log")}

    def kept_rows(self) -> list[Json]:
        rows: list[Json] = self.describe()["outputs"]
        return rows

    def get_outputs(self) -> dict[str, StepRunOutput]:
        """Return the outputs by name; empty while the step has not ended well."""
        return {
            row["name"]: StepRunOutput(self.experiment.workspace, self._pipeline_run_id, self, row["name"], row)
            for row in self.describe()["outputs"]
            if is_declared(row)
        }

    def get_output(self, name: str) -> StepRunOutput:
        """Return an output by its name, or by its `output_name`. Raises NotFoundError naming those there are."""
        outputs = self.get_outputs()
        if name not in outputs:
            others = self._other_names()
            if others.get(name) not in outputs:
                raise unknown("output", name, set(outputs))
            name = others[name]
        return outputs[name]

    def get_output_data(self, name: str) -> PortDataReference:
        """Return where an output lies; `.download(folder)` copies it. Raises NotFoundError."""
        return self.get_output(name).get_port_data_reference()

    def wait_for_completion(  # type: ignore[override]  # the SDK's own signatures differ
        self, show_output: bool = True, timeout_seconds: float = FOREVER_S, raise_on_error: bool = True
    ) -> str:
        """Wait for the end of this step and return its last status; see `PipelineRun.wait_for_completion`."""
        from stepwell.authoring.follow import follow

        follow(
            self.client,
            self._pipeline_run_id,
            only=self._id,
            show_output=show_output,
            timeout_s=timeout_seconds,
            raise_on_error=raise_on_error,
        )
        return self.get_status()

    def _other_names(self) -> Mapping[str, str]:
        """Return the names of outputs by their `output_name`, where that is another one."""
        settings: Mapping[str, Any] = self.parent.spec.step(self.key).settings
        names: Mapping[str, str] = settings.get("output_names") or {}
        return names

    def _log(self, stream: str) -> str:
        parts: list[bytes] = []
        offset = 0
        while True:
            chunk = self.client.log(self._id, offset, _PAGE, stream=stream)
            parts.append(chunk.data)
            if chunk.next_offset <= offset or chunk.next_offset >= chunk.size:
                return b"".join(parts).decode("utf-8", "replace")
            offset = chunk.next_offset
