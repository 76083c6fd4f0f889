"""What a step made, by name: where it lies, and copying it out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepwell.errors import NotFoundError

if TYPE_CHECKING:
    from stepwell.authoring.runs import StepRun


class StepRunOutput:
    """An output of a step run."""

    def __init__(self, step_run: StepRun, record: Mapping[str, Any]) -> None:
        self.step_run = step_run
        self.name = str(record["name"])
        self._record = record

    def get_port_data_reference(self) -> PortDataReference:
        return PortDataReference(self._record)


class PortDataReference:
    """Where an output is published: `azureml/<step run id>/<output name>` of its datastore."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        self._record = record
        self.name = str(record["name"])
        self.datastore_name = "workspaceblobstore"
        self.path_on_datastore = str(record["datastore_path"])

    def download(
        self, local_path: str | os.PathLike[str], overwrite: bool = False, show_progress: bool | None = None
    ) -> int:
        """Copy the output to `local_path/azureml/<step run id>/<output name>`; return the number of files.

        Files that are there already are left alone unless `overwrite`. Raises NotFoundError where the
        stored content is gone.
        """
        source = Path(self._record["path"])
        target = Path(local_path) / self.path_on_datastore
        if not source.exists():
            raise NotFoundError(
                f"the stored output {self.name!r} is gone", hint="run the step again", code="output_gone"
            )
        if source.is_file():
            return _copy(source, target, overwrite)
        count = 0
        for folder, folders, files in os.walk(source):
            inside = target / Path(folder).relative_to(source)
            inside.mkdir(parents=True, exist_ok=True)
            links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
            count += sum(_copy(Path(folder, name), inside / name, overwrite) for name in (*files, *links))
        return count

    def __repr__(self) -> str:
        return f"PortDataReference({self.path_on_datastore!r})"


def _copy(source: Path, target: Path, overwrite: bool) -> int:
    if os.path.lexists(target):
        if not overwrite:
            return 0
        target.unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target, follow_symlinks=False)
    if not target.is_symlink():
        target.chmod(0o755 if os.access(source, os.X_OK) and source.stat().st_mode & 0o111 else 0o644)
    return 1
