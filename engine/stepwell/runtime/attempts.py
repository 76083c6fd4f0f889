"""Making an attempt's folder ready to launch: source, inputs, outputs, command and variables.

Everything a shim needs is in the folder; nothing is passed by other ways. Runs on a worker.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepwell.content.artifacts import ObjectStore
from stepwell.core.spec import InputSpec, OutputSpec, PipelineSpec, Scalar, StepSpec
from stepwell.errors import UsageError
from stepwell.extend.api import StepContext
from stepwell.extend.registry import StepTypes
from stepwell.paths import Home
from stepwell.runtime.preparation import interpreter_of
from stepwell.runtime.variables import Place, environment
from stepwell_step import attempt as protocol

GRACE_S = 10.0


@dataclass(frozen=True, slots=True)
class Order:
    """What an attempt is made from. `inputs`: input name -> artifact digest; `source`: a tree digest."""

    attempt: str
    step: StepSpec
    pipeline: PipelineSpec
    parameters: Mapping[str, Scalar]
    client: Mapping[str, Any]
    source: str | None
    inputs: Mapping[str, str]
    place: Place


def output_path(folder: Path, output: OutputSpec) -> Path:
    """Return where an attempt's step writes an output."""
    if output.mode == "upload" and output.path_on_compute:
        return _inside(folder / "work", output.path_on_compute, f"output {output.name!r}")
    return folder / "outputs" / output.name


class Attempts:
    """Writes attempt folders. Thread-safe."""

    def __init__(self, home: Home, store: ObjectStore, types: StepTypes) -> None:
        self._home = home
        self._store = store
        self._types = types

    def prepare(self, order: Order) -> Path:
        """Write the folder of an attempt and return it, ready for the launcher."""
        folder = self._home.attempt(order.attempt)
        work = folder / "work"
        os.mkdir(folder, 0o700)
        os.mkdir(folder / "outputs")
        if order.source is None:
            os.mkdir(work)
        else:
            self._store.copy_out(order.source, work)
        inputs = {source.name: self._input(source, order, folder) for source in order.step.inputs}
        outputs = {output.name: output_path(folder, output) for output in order.step.outputs}
        for output in order.step.outputs:
            if output.mode == "upload":  # below the step's own folder; the others lie in `outputs`
                outputs[output.name].parent.mkdir(parents=True, exist_ok=True)
        context = StepContext(work, inputs, outputs, order.parameters, interpreter_of(order.step, order.client))
        launch = self._types.get(order.step.kind).prepare(order.step, context)
        variables = environment(order.step, order.pipeline, order.place, context, order.client)
        protocol.write_json_atomic(
            os.path.join(folder, "launch.json"),
            {
                "v": 1,
                "attempt": order.attempt,
                "argv": list(launch.argv),
                "cwd": str(launch.cwd),
                "env": {**variables, **launch.variables},
                "timeout_s": order.step.timeout_s,
                "grace_s": GRACE_S,
                "log_cap_bytes": None,
            },
        )
        return folder

    def _input(self, source: InputSpec, order: Order, folder: Path) -> Path:
        digest = order.inputs[source.name]
        if source.mode != "download":
            return self._single(digest, self._store.materialize(digest))
        if source.path_on_compute:
            target = _inside(folder / "work", source.path_on_compute, f"input {source.name!r}")
        else:
            target = folder / "inputs" / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        self._store.copy_out(digest, target)
        return self._single(digest, target)

    def _single(self, digest: str, root: Path) -> Path:
        """A file artifact is a tree with one entry; its path is the file's, not the folder's."""
        name = self._store.file_name(digest)
        return root if name is None else root / name


def _inside(root: Path, relative: str, what: str) -> Path:
    path = Path(os.path.normpath(root / relative))
    if path == root or root not in path.parents:
        raise UsageError(f"{what} has the path {relative!r}, which leads out of the step's folder", code="path_escapes")
    return path
