"""Runs as the SDK shows them: a pipeline's run, the runs of its steps, what they printed, logged and made.

The words for a state depend on the object that is asked: a `PipelineRun` and a `StepRun` end
"Finished", a `Run` of the history ends "Completed". `core.states` has the tables.
"""

from __future__ import annotations

import builtins
import sys
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from stepwell.api.wire import rfc3339, route
from stepwell.authoring.ports import PortDataReference, StepRunOutput
from stepwell.core.states import (
    HISTORY_RUN_WORDS,
    HISTORY_STEP_WORDS,
    PIPELINE_RUN_WORDS,
    STEP_RUN_WORDS,
    STEP_TERMINAL,
    RunState,
    StepState,
)
from stepwell.errors import ActivityFailedException, NotFoundError, UsageError, unknown

if TYPE_CHECKING:
    from stepwell.authoring.experiment import Experiment
    from stepwell.authoring.workspace import Workspace

FOREVER_S = 9223372036854775807
_TAIL_LINES = 20
_TAIL_BYTES = 1 << 16
_Json = dict[str, Any]


class Run:
    """A run by its id, with the words of the run history. `experiment` is where it was submitted."""

    type = "azureml.PipelineRun"

    def __init__(self, experiment: Experiment, run_id: str, outputs: Any = None, **kwargs: Any) -> None:
        self.experiment = experiment
        self._id = run_id

    @property
    def _client(self) -> Any:
        return self.experiment.workspace.client

    def _record(self) -> _Json:
        found: _Json = self._client.get(route("runs", self._id))
        return found

    @property
    def id(self) -> str:
        return self._id

    @property
    def number(self) -> int:
        return int(self._record()["number"])

    @property
    def name(self) -> str:
        return str(self._record()["name"])

    display_name = name

    @property
    def tags(self) -> dict[str, str]:
        return self.get_tags()

    @property
    def properties(self) -> _Json:
        return self.get_properties()

    @property
    def status(self) -> str:
        """Return the state in the words of the run history, such as "Completed"."""
        return HISTORY_RUN_WORDS[RunState(self._record()["status"])]

    def get_status(self) -> str:
        return self.status

    def get_tags(self) -> dict[str, str]:
        return dict(self._record()["tags"])

    def get_properties(self) -> _Json:
        return dict(self._record()["properties"])

    def tag(self, key: str, value: str | None = None) -> None:
        self.set_tags({key: "" if value is None else value})

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self._client.post(route("runs", self._id, "tags"), {"tags": {key: str(value) for key, value in tags.items()}})

    def add_properties(self, properties: Mapping[str, Any]) -> None:
        self._client.post(route("runs", self._id, "tags"), {"properties": dict(properties)})

    def get_metrics(self, name: str | None = None, recursive: bool = False, **kwargs: Any) -> _Json:
        """Return what was logged: name -> number, text or table; a list where a name was logged more than once."""
        found = plain_metrics(self._client.get(route("runs", self._id, "metrics"))["metrics"], name)
        if recursive:
            for child in self.get_children():
                found.update(child.get_metrics(name))
        return found

    def get_children(self, recursive: bool = False, **kwargs: Any) -> Iterator[StepRun]:
        """Yield the runs of the steps."""
        for step in self._record()["steps"]:
            yield StepRun(self.experiment, step["step_run"], self._id, step["key"])

    def get_details(self) -> _Json:
        """Return the run as plain data: runId, target, status, startTimeUtc, endTimeUtc, properties, ..."""
        record = self._record()
        return {
            "runId": self._id,
            "target": "local",
            "status": self.status,
            "startTimeUtc": rfc3339(record["started_us"]),
            "endTimeUtc": rfc3339(record["ended_us"]),
            "properties": record["properties"],
            "inputDatasets": [],
            "outputDatasets": [],
            "logFiles": {},
            "submittedBy": "",
        }

    def cancel(self) -> None:
        """Ask for the end of the run; its steps get TERM, and KILL after a grace of ten seconds."""
        self._client.post(route("runs", self._id, "cancel"), {"reason": "canceled by you"})

    def wait_for_completion(
        self, show_output: bool = False, wait_post_processing: bool = False, raise_on_error: bool = True
    ) -> _Json:
        """Wait for the end and return `get_details()`. Raises ActivityFailedException where a step failed."""
        _Follower(self).follow(show_output, FOREVER_S, raise_on_error)
        return self.get_details()

    def get_portal_url(self) -> str:
        """Return the command that shows this run; there is no portal."""
        return f"stepwell show {self.number}"

    @staticmethod
    def get(workspace: Workspace, run_id: str) -> Run:
        return PipelineRun.get(workspace, run_id)

    @staticmethod
    def list(experiment: Experiment, **filters: Any) -> Iterator[Run]:
        return experiment.get_runs(**filters)

    @staticmethod
    def get_context(allow_offline: bool = True, **kwargs: Any) -> Any:
        """Return the run this script is part of, or one that prints where it is part of none."""
        from stepwell_step.run import Run as Inside

        return Inside.get_context(allow_offline=allow_offline, **kwargs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._id!r})"


class PipelineRun(Run):
    """The run of a pipeline; ends "Finished", "Failed" or "Canceled"."""

    def get_status(self) -> str:
        return PIPELINE_RUN_WORDS[RunState(self._record()["status"])]

    @staticmethod
    def get(workspace: Workspace, run_id: str) -> PipelineRun:
        """Return a run of the workspace by its id, number, or `last`. Raises NotFoundError."""
        from stepwell.authoring.experiment import Experiment

        record = workspace.client.get(route("runs", str(run_id)), workspace=workspace.id)
        return PipelineRun(Experiment(workspace, record["experiment"]), record["run"])

    def get_steps(self) -> Iterator[StepRun]:
        """Yield the runs of the steps, in the pipeline's order."""
        return self.get_children()

    def find_step_run(self, name: str) -> builtins.list[StepRun]:
        """Return every step run of that name; names may repeat, so this is a list."""
        steps = self._record()["steps"]
        return [
            StepRun(self.experiment, step["step_run"], self._id, step["key"]) for step in steps if step["name"] == name
        ]

    def get_pipeline_output(self, pipeline_output_name: str) -> PortDataReference:
        """Return the output that was declared with that `pipeline_output_name`. Raises NotFoundError."""
        spec = self._client.get(route("runs", self._id, "spec"))
        named = {
            output["pipeline_output_name"]: (step["key"], output["name"])
            for step in spec["steps"]
            for output in step.get("outputs", ())
            if output.get("pipeline_output_name")
        }
        if pipeline_output_name not in named:
            raise unknown("pipeline output", pipeline_output_name, sorted(named))
        key, output = named[pipeline_output_name]
        step = next(run for run in self.get_steps() if run.key == key)
        return step.get_output_data(output)

    def wait_for_completion(  # type: ignore[override]  # the SDK's own signatures differ
        self, show_output: bool = True, timeout_seconds: float = FOREVER_S, raise_on_error: bool = True
    ) -> str:
        """Wait for the end, print what happens, and return the final status.

        Raises ActivityFailedException naming the first failed step, its exit code and its last lines,
        TimeoutError after `timeout_seconds` (the run goes on).
        """
        _Follower(self).follow(show_output, timeout_seconds, raise_on_error)
        return self.get_status()


class ScriptRun(Run):
    """The run of one script. Its status and logs are those of its only step; it ends "Completed"."""

    type = "azureml.scriptrun"

    def _step(self) -> StepRun:
        found = next(iter(self.get_children()), None)
        if found is None:
            raise NotFoundError(f"run {self._id!r} has not started yet", code="not_started")
        return found

    def get_metrics(self, name: str | None = None, recursive: bool = False, **kwargs: Any) -> _Json:
        own = super().get_metrics(name)
        return {**own, **self._step().get_metrics(name)}

    def get_stdout_log(self) -> str:
        return self._step().get_stdout_log()


class StepRun(Run):
    """The run of one step of a pipeline run; ends "Finished", "Failed" or "Canceled"."""

    type = "azureml.StepRun"

    def __init__(
        self, experiment: Experiment, step_run_id: str, pipeline_run_id: str, node_id: str, **kwargs: Any
    ) -> None:
        super().__init__(experiment, step_run_id)
        self._pipeline_run_id = pipeline_run_id
        self.key = node_id

    def _record(self) -> _Json:
        found: _Json = self._client.get(route("step_runs", self._id))
        return found

    @property
    def pipeline_run_id(self) -> str:
        return self._pipeline_run_id

    @property
    def parent(self) -> PipelineRun:
        return PipelineRun(self.experiment, self._pipeline_run_id)

    @property
    def status(self) -> str:
        return HISTORY_STEP_WORDS[StepState(self._record()["status"])]

    @property
    def number(self) -> int:
        return self.parent.number

    def get_status(self) -> str:
        return STEP_RUN_WORDS[StepState(self._record()["status"])]

    def get_children(self, recursive: bool = False, **kwargs: Any) -> Iterator[StepRun]:
        return iter(())

    def get_metrics(self, name: str | None = None, recursive: bool = False, **kwargs: Any) -> _Json:
        return plain_metrics(self._client.get(route("step_runs", self._id, "metrics"))["metrics"], name)

    def get_properties(self) -> _Json:
        record = self._record()
        reused = {"azureml.isreused": "true", "azureml.reusedrunid": record["reused_from"]} if record["reused"] else {}
        return {**record["properties"], **reused}

    def set_tags(self, tags: Mapping[str, str]) -> None:
        raise UsageError("a step is tagged from inside: Run.get_context().tag(...)", code="tag_step")

    def add_properties(self, properties: Mapping[str, Any]) -> None:
        raise UsageError("a step gets properties from inside: Run.get_context().add_properties(...)", code="tag_step")

    def cancel(self) -> None:
        """End the whole run: a step alone cannot be taken out of it."""
        self.parent.cancel()

    def get_stdout_log(self) -> str:
        """Return what the step has printed to stdout so far."""
        return self._log("out")

    def get_stderr_log(self) -> str:
        return self._log("err")

    def get_job_log(self) -> str:
        """Return both streams, as they came."""
        return self._log("all")

    def get_details_with_logs(self) -> _Json:
        return {**self.get_details(), "logFiles": {"std_log.txt": self.get_job_log()}}

    def get_outputs(self) -> dict[str, StepRunOutput]:
        return {item["name"]: StepRunOutput(self, item) for item in self._outputs()}

    def get_output(self, name: str) -> StepRunOutput:
        """Return an output by name. Raises NotFoundError naming those there are."""
        outputs = self.get_outputs()
        if name not in outputs:
            raise unknown("output", name, sorted(outputs))
        return outputs[name]

    def get_output_data(self, name: str) -> PortDataReference:
        """Return where an output lies; `.download(folder)` copies it."""
        return self.get_output(name).get_port_data_reference()

    def wait_for_completion(  # type: ignore[override]  # the SDK's own signatures differ
        self, show_output: bool = True, timeout_seconds: float = FOREVER_S, raise_on_error: bool = True
    ) -> str:
        """Wait for the end of this step, print its log, and return its final status."""
        out = _Printer(self._client) if show_output else None
        deadline = time.monotonic() + timeout_seconds
        while True:
            record = self._record()
            if out is not None:
                out.log(record, wait_s=1.0)
            if StepState(record["status"]) in STEP_TERMINAL:
                break
            if time.monotonic() > deadline:
                raise TimeoutError(f"step {self.key!r} is {record['status']} after {timeout_seconds} s")
            if out is None:
                time.sleep(0.2)
        if raise_on_error and StepState(record["status"]) in (StepState.FAILED, StepState.LOST):
            raise ActivityFailedException(failure(self._client, record))
        return self.get_status()

    def _outputs(self) -> builtins.list[_Json]:
        found: builtins.list[_Json] = [item for item in self._record()["outputs"] if not item["name"].startswith("./")]
        return found

    def _log(self, stream: str) -> str:
        data, offset = b"", 0
        while True:
            chunk = self._client.log(self._id, offset, 1 << 20, stream=stream)
            data += chunk.data
            if not chunk.data or chunk.next_offset >= chunk.size:
                return data.decode("utf-8", "replace")
            offset = chunk.next_offset


class _Printer:
    """Prints the logs of steps as they grow, each line once."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._offsets: dict[str, int] = {}

    def log(self, step: Mapping[str, Any], wait_s: float = 0.0) -> None:
        while True:
            offset = self._offsets.get(step["step_run"], 0)
            chunk = self._client.log(step["step_run"], offset, 1 << 20, wait_s=wait_s)
            if chunk.data:
                sys.stdout.write(chunk.data.decode("utf-8", "replace"))
                sys.stdout.flush()
            self._offsets[step["step_run"]] = chunk.next_offset
            if not chunk.data or chunk.next_offset >= chunk.size:
                return


class _Follower:
    """Waits for a run, printing a line for each change of a step and the log of each step that ran."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._client = run.experiment.workspace.client
        self._shown: dict[str, str] = {}

    def follow(self, show_output: bool, timeout_seconds: float, raise_on_error: bool) -> None:
        deadline = time.monotonic() + timeout_seconds
        printer = _Printer(self._client)
        seq = 0
        while True:
            record = self._run._record()
            if show_output:
                self._print(record, printer)
            if record["status"] in ("Finished", "Failed", "Canceled"):
                break
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"run {record['number']} is {record['status']} after {timeout_seconds} s")
            seq = self._client.events(seq, run=self._run.id, wait_s=min(left, 1.0 if show_output else 20.0)).seq
        if show_output:
            print(f"run {record['number']}: {record['status']}", flush=True)  # noqa: T201  what `show_output` asks for
        if raise_on_error and record["status"] == "Failed":
            raise ActivityFailedException(self._failure(record))

    def _print(self, record: _Json, printer: _Printer) -> None:
        for step in record["steps"]:
            if step["attempts"]:
                printer.log(step)
            state = "Reused" if step["reused"] else step["status"]
            if self._shown.get(step["key"]) != state and state not in ("NotStarted", "Queued", "Preparing"):
                self._shown[step["key"]] = state
                print(f"{step['key']}: {state} ({step['reason']})", flush=True)  # noqa: T201  as above

    def _failure(self, record: _Json) -> str:
        if record.get("error"):
            return f"run {record['number']} failed: {record['error'].get('message')}"
        broken = [step for step in record["steps"] if step["status"] in ("Failed", "Lost")]
        first = min(broken, key=lambda step: step["ended_us"] or 0)
        return failure(self._client, first)


def failure(client: Any, step: Mapping[str, Any]) -> str:
    """Return why a step failed: its name, exit code or signal, and the last lines it printed."""
    error = step.get("error") or {}
    lines = [f"step {step['key']!r} failed: {error.get('message') or step['status']}"]
    size = client.log(step["step_run"], 0, 1).size
    tail = client.log(step["step_run"], max(0, size - _TAIL_BYTES), _TAIL_BYTES).data.decode("utf-8", "replace")
    lines += [f"    {line}" for line in tail.splitlines()[-_TAIL_LINES:]]
    return "\n".join(lines)


def plain_metrics(metrics: Mapping[str, _Json], name: str | None = None) -> _Json:
    """Return metrics as the SDK does: one value, or a list of them, or columns for rows and tables."""
    found: _Json = {}
    for key, series in metrics.items():
        if name not in (None, key):
            continue
        values = [point["value"] for point in series["points"]]
        if series["kind"] == "list":
            found[key] = [item for value in values for item in value]
        elif series["kind"] in ("row", "table") and all(isinstance(value, dict) for value in values):
            found[key] = _columns(values)
        else:
            found[key] = values[0] if len(values) == 1 else values
    return found


def _columns(rows: list[_Json]) -> _Json:
    if len(rows) == 1:
        return rows[0]
    columns: dict[str, list[Any]] = {}
    for row in rows:
        for column, value in row.items():
            columns.setdefault(column, []).extend(value if isinstance(value, list) else [value])
    return columns
