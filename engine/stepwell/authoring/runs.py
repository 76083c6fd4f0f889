"""`Run`: what has been submitted, by its id; and what every kind of run has in common.

The word for a state depends on the object that is asked: a PipelineRun and a StepRun end `Finished`,
`status` and a Run of the history end `Completed`. `core.states` has the tables.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from stepwell.api.wire import rfc3339, route
from stepwell.authoring import kept
from stepwell.authoring.later import Later, no_others
from stepwell.authoring.metrics import values
from stepwell.core.states import HISTORY_RUN_WORDS, RunState
from stepwell.errors import NotFoundError

if TYPE_CHECKING:
    from stepwell.api.client import Client
    from stepwell.authoring.experiment import Experiment
    from stepwell.authoring.step_run import StepRun
    from stepwell.authoring.workspace import Workspace

Json = dict[str, Any]
Wanted = Mapping[str, str] | str | None
PIPELINE_RUN, SCRIPT_RUN, STEP_RUN = "azureml.PipelineRun", "azureml.scriptrun", "azureml.StepRun"
SOURCE = "azureml.runsource"  # the property that tells a script's run from a pipeline's
_ALL = 100_000  # runs asked for at once; the daemon gives no more
_INSIDE = "Run.get_context() in the script; outside of a run there is nothing to log to"


class Run:
    """A run of an experiment, by its id (SDK reference, `Run`). `Run.get` returns one as what it is.

    `outputs` means nothing for a run that is looked at.
    """

    add_type_provider = Later("Run.get returns a run as what it is")
    child_run = Later("steps of a pipeline are the children of its run")
    create_children = Later("steps of a pipeline are the children of its run")
    submit_child = Later("steps of a pipeline are the children of its run")
    register_model = Later("get_output_data(name).download(folder) copies what a step wrote")
    get_environment = Later("get_details() says what it ran with")
    get_secret = Later("pass secrets to steps with pass_env")
    get_secrets = Later("pass secrets to steps with pass_env")
    get_snapshot_id = Later("`stepwell why RUN STEP` says which source it ran with")
    restore_snapshot = Later("`stepwell why RUN STEP` says which source it ran with")
    take_snapshot = Later("sources are frozen when a run is submitted")
    remove_tags = Later("tags can be set to another value")
    log = Later(_INSIDE)
    log_list = Later(_INSIDE)
    log_row = Later(_INSIDE)
    log_table = Later(_INSIDE)
    log_image = Later(_INSIDE)
    upload_file = Later(_INSIDE)
    upload_files = Later(_INSIDE)
    upload_folder = Later(_INSIDE)

    type: ClassVar[str] = PIPELINE_RUN

    def __init__(self, experiment: Experiment, run_id: str, outputs: object = None, **kwargs: object) -> None:
        no_others(type(self).__name__, kwargs)
        self.experiment = experiment
        self._id = run_id

    @property
    def client(self) -> Client:
        return self.experiment.workspace.client

    @property
    def route(self) -> str:
        """Where the daemon answers for this run."""
        return route("runs", self._id)

    def describe(self) -> Json:
        """Return the run as the daemon describes it now; with its steps, where it is of a pipeline."""
        return self.client.get(self.route)

    @property
    def id(self) -> str:
        return self._id

    @property
    def identity(self) -> str:
        return self._id

    @property
    def number(self) -> int:
        """The number of the run in its workspace."""
        return int(self.describe()["number"])

    @property
    def name(self) -> str:
        return str(self.describe()["name"])

    @property
    def display_name(self) -> str:
        return self.name

    @property
    def parent(self) -> Run | None:
        """The run this one is a part of; None for one that was submitted by itself."""
        return None

    @property
    def tags(self) -> dict[str, str]:
        return self.get_tags()

    @property
    def properties(self) -> dict[str, str]:
        return self.get_properties()

    @property
    def status(self) -> str:
        """The state in the words of the run history: it ends `Completed`, `Failed` or `Canceled`."""
        return self.history_word(self.describe())

    def history_word(self, row: Json) -> str:
        """Return the word of the run history for the state in `row`."""
        if row["cancel_asked"] and row["status"] == RunState.RUNNING:
            return "CancelRequested"
        return HISTORY_RUN_WORDS[RunState(row["status"])]

    def get_status(self) -> str:
        return self.status

    def get_detailed_status(self) -> Json:
        """Return status and details: `{"status": …, "details": …}`."""
        row = self.describe()
        return {"status": self.history_word(row), "details": row.get("reason") or ""}

    def get_tags(self) -> dict[str, str]:
        return dict(self.describe()["tags"] or {})

    def get_properties(self) -> dict[str, str]:
        return dict(self.describe()["properties"] or {})

    def tag(self, key: str, value: str | None = None) -> None:
        """Set a tag; one of that name gets the new value."""
        self.set_tags({key: "" if value is None else value})

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        self._mark("tags", tags)

    def add_properties(self, properties: Mapping[str, Any]) -> None:
        self._mark("properties", properties)

    def _mark(self, what: str, marks: Mapping[str, Any]) -> None:
        self.client.post(f"{self.route}/tags", {what: {str(name): str(value) for name, value in marks.items()}})

    def get_metrics(
        self, name: str | None = None, recursive: bool = False, run_type: str | None = None, populate: bool = False
    ) -> Json:
        """Return what was logged: name -> number or text, list, or columns of a table.

        A name that was logged several times has a list. With `recursive` it is the id of each
        child that logged something -> its metrics. `run_type` and `populate` mean nothing here.
        """
        if recursive:
            found = {child.id: child.get_metrics(name) for child in self.get_children()}
            return {run: metrics for run, metrics in found.items() if metrics}
        return values(self.client.get(f"{self.route}/metrics")["metrics"], name)

    def get_children(
        self,
        recursive: bool = False,
        tags: Wanted = None,
        properties: Wanted = None,
        type: str | None = None,  # noqa: A002  # the SDK's name
        status: str | None = None,
    ) -> Iterator[StepRun]:
        """Yield the runs of the steps, in the order of the pipeline; `status` is a word of the run history."""
        from stepwell.authoring.step_run import StepRun

        for row in self.describe().get("steps") or ():
            child = StepRun(self.experiment, row["step_run"], row["run"], row["key"])
            if type not in (None, STEP_RUN) or status not in (None, child.history_word(row)):
                continue
            if matches(row["tags"] or {}, tags) and matches(row["properties"] or {}, properties):
                yield child

    def get_details(self) -> Json:
        """Return `runId target status startTimeUtc endTimeUtc properties inputDatasets outputDatasets logFiles
        submittedBy`, and `error` for one that failed. Times are RFC 3339, None where not yet."""
        row = self.describe()
        details: Json = {
            "runId": self._id,
            "target": row.get("compute_target"),
            "status": self.history_word(row),
            "startTimeUtc": rfc3339(row["started_us"]),
            "endTimeUtc": rfc3339(row["ended_us"]),
            "properties": self.get_properties(),
            "inputDatasets": [],
            "outputDatasets": [],
            "logFiles": self.log_files(row),
            "submittedBy": _user(),
        }
        if row.get("error"):
            details["error"] = row["error"]
        return details

    def get_details_with_logs(self) -> Json:
        """Return `get_details()`, with the contents of the logs instead of their paths."""
        details = self.get_details()
        logs = {}
        for name, path in details["logFiles"].items():
            with open(path, encoding="utf-8", errors="replace") as file:
                logs[name] = file.read()
        return {**details, "logFiles": logs}

    def log_files(self, row: Json) -> dict[str, str]:
        """Return the paths of the logs by name; the run of a pipeline has none, its steps have."""
        return {}

    def kept_rows(self) -> Rows:
        """Return the stored folders of kept files, as the daemon describes them; the run of a pipeline has none."""
        return []

    def get_file_names(self) -> Names:
        """Return what is kept of `./outputs` and `./logs` once the run has ended, such as `outputs/model.pkl`."""
        return [*kept.files(self.kept_rows())]

    def download_file(self, name: str, output_file_path: str | os.PathLike[str] | None = None) -> None:
        """Copy one file to `output_file_path`: a path, or a folder; without it into the current folder.

        Raises NotFoundError naming the files there are.
        """
        kept.copy_one(kept.files(self.kept_rows()), name, output_file_path)

    def download_files(
        self,
        prefix: str | None = None,
        output_directory: str | os.PathLike[str] | None = None,
        output_paths: Names | None = None,
        batch_size: int = 100,
        append_prefix: bool = True,
        timeout_seconds: float | None = None,
    ) -> None:
        """Copy the files whose names begin with `prefix` below `output_directory` (the current folder).

        Without `append_prefix` the prefix is left out of their paths. `output_paths` are paths of
        their own, one a file in the order of the names; ValueError for another number of them.
        `batch_size` and `timeout_seconds` mean nothing here.
        """
        kept.copy_many(kept.files(self.kept_rows()), prefix or "", output_directory, output_paths, append_prefix)

    def cancel(self) -> None:
        """Ask for the end of the run. Its steps get TERM, and ten seconds later KILL."""
        self.client.post(f"{self.route}/cancel", {"reason": "canceled by you"})

    def wait_for_completion(
        self, show_output: bool = False, wait_post_processing: bool = False, raise_on_error: bool = True
    ) -> Json:
        """Wait for the end and return `get_details()`.

        Raises ActivityFailedException for a run that failed, unless `raise_on_error` is False.
        """
        from stepwell.authoring.follow import follow

        follow(self.client, self._id, show_output=show_output, raise_on_error=raise_on_error)
        return self.get_details()

    def get_portal_url(self) -> str:
        """Return the command that shows this run: there is no portal."""
        return f"stepwell show {self._id}"

    @staticmethod
    def get(workspace: Workspace, run_id: str) -> Run:
        """Return a PipelineRun, ScriptRun or StepRun by its id. Raises NotFoundError."""
        try:
            return of_row(workspace, workspace.client.get(route("runs", run_id), workspace=workspace.id))
        except NotFoundError as error:
            from stepwell.authoring.step_run import StepRun

            try:
                row = workspace.client.get(route("step_runs", run_id))
            except NotFoundError:
                raise error from None
            return StepRun.of(workspace, row)

    @staticmethod
    def list(
        experiment: Experiment,
        type: str | None = None,  # noqa: A002  # the SDK's name
        tags: Wanted = None,
        properties: Wanted = None,
        status: str | None = None,
        include_children: bool = False,
    ) -> Iterator[Run]:
        """Yield the runs of an experiment, newest first; see `Experiment.get_runs`."""
        workspace = experiment.workspace
        query: Json = {"workspace": workspace.id, "experiment": experiment.name, "limit": _ALL}
        for row in workspace.client.get("/v1/runs", **query)["runs"]:
            run = of_row(workspace, row, experiment)
            if (
                type in (None, run.type)
                and status in (None, run.history_word(row))
                and matches(row["tags"] or {}, tags)
                and matches(row["properties"] or {}, properties)
            ):
                yield run
            if include_children:
                yield from run.get_children(tags=tags, properties=properties, type=type, status=status)

    @classmethod
    def get_context(cls, allow_offline: bool = True, used_for_context_manager: bool = False, **kwargs: Any) -> Any:
        """Return the run this process is a step of; outside of one, a run that prints what is logged.

        Raises RunEnvironmentException outside of a run with `allow_offline=False`.
        """
        from stepwell_step.run import Run as StepSide

        return StepSide.get_context(allow_offline, used_for_context_manager, **kwargs)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self._id!r})"


Names = list[str]
Rows = list[Json]


def of_row(workspace: Workspace, row: Json, experiment: Experiment | None = None) -> Run:
    """Return the run that the daemon describes by `row`, as what it is."""
    from stepwell.authoring.experiment import Experiment
    from stepwell.authoring.pipeline_run import PipelineRun
    from stepwell.authoring.script_run import ScriptRun

    kind = ScriptRun if (row["properties"] or {}).get(SOURCE) == SCRIPT_RUN else PipelineRun
    return kind(experiment or Experiment(workspace, row["experiment"]), row["run"])


def matches(marks: Mapping[str, Any], wanted: Wanted) -> bool:
    """Say whether tags or properties have the name, or all the names and values, that are wanted."""
    if wanted is None:
        return True
    pairs: Iterable[tuple[str, str | None]] = (
        [(wanted, None)] if isinstance(wanted, str) else [(name, str(value)) for name, value in wanted.items()]
    )
    return all(name in marks and value in (None, str(marks[name])) for name, value in pairs)


def _user() -> str:
    """Return who submits in this home: its owner, who is the one that runs this."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a user that the system knows by number only
        return str(os.getuid())
