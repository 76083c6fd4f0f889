"""`Run.get_context()`: what a step may ask of, and say about, the run it is part of.

Speaking goes through files of the attempt's folder, so it needs no daemon and survives its restart:
points to `metrics.jsonl`, everything else as one line each to `notes.jsonl`:

    {"op": "tag", "parent": bool, "tags": {}}          {"op": "properties", "parent": bool, "properties": {}}
    {"op": "cancel", "parent": bool}                   {"op": "fail", "message", "code"}

Asking about the parent goes to the daemon. Names and behaviour are those of the SDK v1 `Run`
(surface 2.3 and 5.4); what cannot be done inside a step yet is an AttributeError that says so.
Nothing here ends the step: `complete()` is harmless, the exit code decides.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from typing import Any, BinaryIO, Dict, List, Mapping, Optional, Union

from stepwell_step import context, metrics
from stepwell_step.attempt import NOTES, now_us
from stepwell_step.offline import _OfflineRun

_LATER = frozenset(
    {
        *("child_run", "create_children", "submit_child", "get_children", "wait_for_completion"),
        *("download_file", "download_files", "get_all_logs", "get_environment", "get_secret", "get_secrets"),
        *("get_snapshot_id", "restore_snapshot", "take_snapshot", "register_model", "remove_tags"),
    }
)


class RunEnvironmentException(Exception):
    """There is no run here to take a context from."""


class Run:
    """What a step and its run have in common: an id, metrics, tags. Made by `get_context`, not by hand."""

    _parent_of_step = False

    def __init__(self, here: context.Context) -> None:
        self._context = here
        self._tags: Dict[str, str] = {}
        self._properties: Dict[str, str] = {}

    @classmethod
    def get_context(
        cls, allow_offline: bool = True, used_for_context_manager: bool = False, **kwargs: Any
    ) -> Union[_SubmittedRun, _OfflineRun]:
        """Return the run this process belongs to; outside a run one that prints.

        With `allow_offline=False` there is no such stand-in: RunEnvironmentException.
        """
        here = context.current()
        if here is not None:
            return _SubmittedRun(here)
        if allow_offline:
            return _OfflineRun()
        errors = sys.modules.get("stepwell.errors")  # the class that a script with all of Stepwell would catch
        kind = getattr(errors, "RunEnvironmentException", RunEnvironmentException)
        raise kind("this process was not started by a run\n  try: Run.get_context() prints instead of logging")

    def __getattr__(self, name: str) -> Any:
        if name in _LATER:
            raise AttributeError(f"run.{name} is not supported inside a step yet")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def __repr__(self) -> str:
        return f"Run(Experiment: {self._context.experiment}, Id: {self.id}, Status: {self.status})"

    # --- who it is

    @property
    def id(self) -> str:
        raise NotImplementedError

    @property
    def identity(self) -> str:
        return self.id

    @property
    def number(self) -> int:
        """The number of the run in its workspace."""
        return self._context.run_number

    @property
    def experiment(self) -> _Experiment:
        return _Experiment(self._context)

    @property
    def status(self) -> str:
        return "Running"

    def get_status(self) -> str:
        return self.status

    # --- metrics: `name` may be logged again and again, `get_metrics` then gives a list

    def log(self, name: str, value: Any, description: str = "", step: Optional[int] = None) -> None:
        """Log one number or text, at `step` of a training where that is given."""
        self._point(name, "scalar", value, step)

    def log_list(self, name: str, value: List[Any], description: str = "") -> None:
        self._point(name, "list", list(value))

    def log_row(self, name: str, description: Optional[str] = None, **kwargs: Any) -> None:
        """Log one row of a table, `column=value`."""
        self._point(name, "row", kwargs)

    def log_table(self, name: str, value: Mapping[str, Any], description: str = "") -> None:
        """Log {column: value or list of values}."""
        self._point(name, "table", dict(value))

    def log_image(self, name: str, path: Optional[str] = None, plot: Any = None, description: str = "") -> None:
        """Keep a picture: the file at `path`, or `plot`, anything with matplotlib's `savefig`.

        It goes to outputs/images of the step's folder. Raises ValueError unless exactly one is given.
        """
        if (path is None) == (plot is None):
            raise ValueError(f"log_image({name!r}) takes a path or a plot, one of them")
        suffix = os.path.splitext(path)[1] if path is not None else ".png"
        relative = os.path.join("outputs", "images", _file_name(name) + suffix)
        target = os.path.join(self._context.work, relative)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if path is not None:
            shutil.copyfile(path, target)
        else:
            plot.savefig(target)
        self._point(name, "image", relative)

    def log_confusion_matrix(self, name: str, value: Any, description: str = "") -> None:
        """Log {"schema_type": "confusion_matrix", "data": {"class_labels", "matrix"}}, or that as JSON text."""
        self._point(name, "confusion_matrix", value)

    def log_accuracy_table(self, name: str, value: Any, description: str = "") -> None:
        self._point(name, "accuracy_table", value)

    def log_residuals(self, name: str, value: Any, description: str = "") -> None:
        self._point(name, "residuals", value)

    def log_predictions(self, name: str, value: Any, description: str = "") -> None:
        self._point(name, "predictions", value)

    def _point(self, name: str, kind: str, value: Any, step: Optional[int] = None) -> None:
        metrics.log(self._context.attempt, name, kind, value, step, self._parent_of_step)

    # --- tags and properties

    def tag(self, key: str, value: Optional[str] = None) -> None:
        self.set_tags({key: value})

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Add tags; one with a known name gets the new value."""
        texts = {str(key): "" if value is None else str(value) for key, value in tags.items()}
        self._tags.update(texts)
        self._note("tag", tags=texts)

    def add_properties(self, properties: Mapping[str, Any]) -> None:
        texts = {str(key): str(value) for key, value in properties.items()}
        self._properties.update(texts)
        self._note("properties", properties=texts)

    def _note(self, operation: str, **body: Any) -> None:
        line = {"op": operation, "t": now_us(), "parent": self._parent_of_step, **body}
        metrics.append(os.path.join(self._context.attempt, NOTES), line)

    # --- its life

    def cancel(self) -> None:
        """Ask for the whole pipeline run to be canceled; this step is ended with it."""
        self._note("cancel")

    def start(self) -> None:
        """It has started."""

    def complete(self, *args: Any, **kwargs: Any) -> None:
        """Harmless: a step is complete when its process ends, and its exit code says how."""

    def flush(self, timeout_seconds: float = 300) -> None:
        """Nothing is held back: each call has written its line when it returns."""


class _SubmittedRun(Run):
    """The step this process is."""

    @property
    def id(self) -> str:
        return self._context.step_run

    @property
    def name(self) -> str:
        return self._context.step

    display_name = name

    @property
    def type(self) -> str:
        return "azureml.StepRun"

    @property
    def parent(self) -> _ParentRun:
        """The pipeline run."""
        return _ParentRun(self._context)

    @property
    def input_datasets(self) -> _Paths:
        """{input name: path}."""
        return _Paths("input", self._context.inputs)

    @property
    def output_datasets(self) -> _Paths:
        """{output name: path}."""
        return _Paths("output", self._context.outputs)

    @property
    def tags(self) -> Dict[str, str]:
        """The tags that this process has set."""
        return dict(self._tags)

    @property
    def properties(self) -> Dict[str, str]:
        """The properties that this process has added."""
        return dict(self._properties)

    get_tags = tags.fget  # type: ignore[attr-defined]
    get_properties = properties.fget  # type: ignore[attr-defined]

    def get_metrics(
        self, name: Optional[str] = None, recursive: bool = False, run_type: Any = None, populate: bool = False
    ) -> Dict[str, Any]:
        """Return what this step has logged so far, {name: value or list}."""
        own = [point for point in metrics.read(self._context.attempt) if not point["parent"]]
        return _chosen(metrics.gathered(own), name)

    def get_details(self) -> Dict[str, Any]:
        return {"runId": self.id, "status": self.status, "tags": self.tags, "properties": self.properties}

    def fail(self, error_details: Any = None, error_code: Optional[str] = None) -> None:
        """Note that the step considers itself failed. It goes on until its process ends."""
        self._note("fail", message=str(error_details or "the step called run.fail()"), code=error_code)

    def get_file_names(self) -> List[str]:
        """Return the files kept with the run so far, below ./outputs and ./logs of the step's folder."""
        found = []
        for kept in ("outputs", "logs"):
            for folder, _, names in os.walk(os.path.join(self._context.work, kept)):
                found += [os.path.relpath(os.path.join(folder, name), self._context.work) for name in names]
        return sorted(found)

    def upload_file(
        self, name: str, path_or_stream: Union[str, BinaryIO], datastore_name: Optional[str] = None
    ) -> None:
        """Keep a file with the run, as `name`: below ./outputs unless `name` says ./logs."""
        target = self._kept(name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if isinstance(path_or_stream, (str, os.PathLike)):
            if os.path.realpath(path_or_stream) != os.path.realpath(target):
                shutil.copyfile(path_or_stream, target)
            return
        with open(target, "wb") as file:
            shutil.copyfileobj(path_or_stream, file)

    def upload_files(self, names: List[str], paths: List[str], *args: Any, **kwargs: Any) -> None:
        """Keep several files. Raises ValueError unless there are as many names as paths."""
        if len(names) != len(paths):
            raise ValueError(f"upload_files got {len(names)} names for {len(paths)} paths")
        for name, path in zip(names, paths):  # noqa: B905  `strict` came with Python 3.10
            self.upload_file(name, path)

    def upload_folder(self, name: str, path: str, datastore_name: Optional[str] = None) -> None:
        """Keep all files below the folder `path`, as `name`/..."""
        for folder, _, names in os.walk(path):
            for each in names:
                source = os.path.join(folder, each)
                self.upload_file(os.path.join(name, os.path.relpath(source, path)), source)

    def _kept(self, name: str) -> str:
        relative = os.path.normpath(name)
        if relative.startswith(("..", "/")) or relative == ".":
            raise ValueError(f"a file cannot be kept as {name!r}: it leads out of the run")
        if relative.split("/")[0] not in ("outputs", "logs"):
            relative = os.path.join("outputs", relative)
        return os.path.join(self._context.work, relative)


class _ParentRun(Run):
    """The pipeline run, as a step sees it."""

    _parent_of_step = True

    @property
    def id(self) -> str:
        return self._context.run

    @property
    def type(self) -> str:
        return "azureml.PipelineRun"

    @property
    def parent(self) -> None:
        return None

    @property
    def tags(self) -> Dict[str, str]:
        return {**self._asked().get("tags", {}), **self._tags}

    @property
    def properties(self) -> Dict[str, str]:
        return {**self._asked().get("properties", {}), **self._properties}

    get_tags = tags.fget  # type: ignore[attr-defined]
    get_properties = properties.fget  # type: ignore[attr-defined]

    def get_details(self) -> Dict[str, Any]:
        return self._asked()

    def get_metrics(
        self, name: Optional[str] = None, recursive: bool = False, run_type: Any = None, populate: bool = False
    ) -> Dict[str, Any]:
        """Return what was logged for the whole run, by any step: asked of the daemon, plus what is on its way there."""
        answer = context.ask(self._context.home, "runs", self._context.run, "metrics")["metrics"]
        known = [
            {"n": metric, "k": held["kind"], "v": point["value"], "t": point["time_us"]}
            for metric, held in answer.items()
            for point in held["points"]
        ]
        seen = {(point["n"], point["t"]) for point in known}
        fresh = [
            point
            for point in metrics.read(self._context.attempt)
            if point["parent"] and (point["n"], point["t"]) not in seen
        ]
        return _chosen(metrics.gathered([*known, *fresh]), name)

    def _asked(self) -> Dict[str, Any]:
        return context.ask(self._context.home, "runs", self._context.run)


class _Paths(Dict[str, str]):
    """Names and paths; one that is not there says what is."""

    def __init__(self, what: str, paths: Mapping[str, str]) -> None:
        super().__init__(paths)
        self._what = what

    def __missing__(self, name: str) -> str:
        there_is = ", ".join(sorted(self)) if self else "none"
        raise KeyError(f"no {self._what} named {name!r} (there is: {there_is})")


class _Experiment:
    """The experiment a run belongs to."""

    def __init__(self, here: context.Context) -> None:
        self._context = here

    @property
    def name(self) -> str:
        return self._context.experiment

    @property
    def workspace(self) -> Any:
        """The workspace: the real one where all of Stepwell is installed for the step, else its name and id."""
        try:  # by name: this package must not depend on what may not be installed
            real = getattr(importlib.import_module("stepwell"), "Workspace", None)
        except ImportError:
            real = None
        if real is None:
            return _Workspace(self._context)
        return real.get(self._context.workspace, id=self._context.workspace_id)


class _Workspace:
    """A workspace by name and id, for a step whose interpreter has no more of Stepwell than this package."""

    subscription_id = resource_group = location = "local"

    def __init__(self, here: context.Context) -> None:
        self.name = here.workspace
        self.id = here.workspace_id

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"workspace.{name} needs stepwell in the step's interpreter\n  try: pip install stepwell")


def _chosen(found: Dict[str, Any], name: Optional[str]) -> Dict[str, Any]:
    if name is None:
        return found
    return {name: found[name]} if name in found else {}


def _file_name(name: str) -> str:
    """Return `name` as one part of a path."""
    return "".join(letter if letter.isalnum() or letter in "-_. " else "_" for letter in name).strip(". ") or "image"
