"""What a step made, by name: where it lies, and copying it out of the store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepwell.authoring.datastores import DEFAULT, Datastore
from stepwell.authoring.kept import KEPT
from stepwell.authoring.later import Later
from stepwell.errors import MachineError

if TYPE_CHECKING:
    from stepwell.authoring.step_run import StepRun
    from stepwell.authoring.workspace import Workspace

Json = dict[str, Any]
_NEXT = "pass the PipelineData itself to the steps of the same pipeline"


class StepRunOutput:
    """An output of a step run. `context` is the workspace, `step_output` what the daemon says of it."""

    def __init__(
        self, context: Workspace, pipeline_run_id: str, step_run: StepRun, name: str, step_output: Json
    ) -> None:
        self.context = context
        self.pipeline_run_id = pipeline_run_id
        self.step_run = step_run
        self.name = name
        self.step_output = step_output

    def get_port_data_reference(self) -> PortDataReference:
        """Return where the output lies."""
        return PortDataReference(self.context, self.pipeline_run_id, self.step_output, self.step_run)

    def __repr__(self) -> str:
        return f"StepRunOutput({self.name!r})"


class PortDataReference:
    """Where an output was published: `azureml/<step run id>/<output name>` of its datastore.

    The output of a step that was reused lies where the original put it.
    """

    as_download = Later(_NEXT)
    as_input = Later(_NEXT)
    as_mount = Later(_NEXT)
    create_input_binding = Later(_NEXT)

    def __init__(
        self, context: Workspace, pipeline_run_id: str, data_reference: Json, step_run: StepRun | None = None
    ) -> None:
        self.context = context
        self.pipeline_run_id = pipeline_run_id
        self.step_run = step_run
        self._row = data_reference

    @property
    def name(self) -> str:
        return str(self._row["name"])

    @property
    def path_on_datastore(self) -> str:
        return str(self._row["datastore_path"])

    @property
    def datastore_name(self) -> str:
        """The datastore that the output was declared for."""
        if self.step_run is None:
            return DEFAULT
        outputs = self.step_run.parent.spec.step(self.step_run.key).outputs
        return next((output.datastore for output in outputs if output.name == self.name), DEFAULT)

    @property
    def datastore(self) -> Datastore:
        return Datastore(self.context, self.datastore_name)

    def download(
        self, local_path: str | os.PathLike[str], overwrite: bool | None = None, show_progress: bool | None = None
    ) -> int:
        """Copy the output to `local_path/azureml/<step run id>/<output name>`; return the number of files copied.

        The copies are the user's own, writable ones. Files that are there already stay as they are
        unless `overwrite`. `show_progress` means nothing here. Raises MachineError where the content
        is gone from the store, or the copy cannot be written.
        """
        source = Path(self._row["path"])
        target = Path(local_path, *self.path_on_datastore.split("/"))
        if not os.path.lexists(source):
            raise MachineError(
                f"the stored output {self.name!r} is gone from {str(source.parent)!r}",
                hint="run the pipeline again",
                code="output_gone",
            )
        try:
            if not source.is_dir():
                return _copy(source, target, bool(overwrite))
            return sum(
                _copy_folder(Path(folder), names, source, target, bool(overwrite)) for folder, names in _walk(source)
            )
        except OSError as error:
            raise MachineError(
                f"cannot copy the output {self.name!r} to {str(target)!r}: {error.strerror}", code="download"
            ) from error

    def __repr__(self) -> str:
        return f"PortDataReference({self.path_on_datastore!r})"


def is_declared(row: Json) -> bool:
    """Say whether a stored output is one that the step declared, and not a kept folder."""
    return row["name"] not in KEPT


def _walk(root: Path) -> list[tuple[str, list[str]]]:
    """Return every folder with the files and links in it; links to folders are links."""
    found = []
    for folder, folders, names in os.walk(root):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        found.append((folder, [*names, *links]))
    return found


def _copy_folder(folder: Path, names: list[str], root: Path, target: Path, overwrite: bool) -> int:
    inside = target / folder.relative_to(root)
    inside.mkdir(parents=True, exist_ok=True)
    return sum(_copy(folder / name, inside / name, overwrite) for name in names)


def _copy(source: Path, target: Path, overwrite: bool) -> int:
    import shutil

    if os.path.lexists(target):
        if not overwrite:
            return 0
        target.unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target, follow_symlinks=False)
    if not target.is_symlink() and source.stat().st_mode & 0o100:
        target.chmod(target.stat().st_mode | 0o111)
    return 1
