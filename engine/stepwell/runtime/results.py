"""What an attempt left behind: its exit record, its outputs taken into the store, its metrics.

Runs on a worker, may run twice (the daemon can die in the middle), and gives the same answer.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepwell.content.artifacts import Artifact, ObjectStore
from stepwell.core.spec import StepSpec
from stepwell.core.states import AttemptState
from stepwell.errors import StepwellError
from stepwell.runtime.attempts import output_path
from stepwell_step import attempt as protocol

KEPT_FOLDERS = ("outputs", "logs")  # of the step's working folder; kept as artifacts of the run


@dataclass(frozen=True, slots=True)
class Result:
    """How an attempt ended. `artifacts`: (output name, what was stored).

    `reusable` is False where the step wrote to what it was given: what it made may rest on that.
    """

    state: AttemptState
    message: str | None
    exit: dict[str, Any]
    artifacts: tuple[tuple[str, Artifact], ...] = ()
    warnings: tuple[str, ...] = ()
    reusable: bool = True


def collect(step: StepSpec, folder: Path, store: ObjectStore, inputs: Mapping[str, str]) -> Result:
    """Read how the attempt ended and store what it made. `inputs`: input name -> artifact digest.

    No exit record means that nobody saw the end: Lost. A declared output that is not there
    turns success into a failure that names it.
    """
    record = protocol.exit_record(str(folder))
    if record is None:
        return Result(AttemptState.LOST, "its supervisor was killed, so nobody saw how it ended", {})
    state = AttemptState(record["outcome"])
    written = _written_inputs(step, inputs, store)
    warnings = (*_left_behind(record), *written)
    kept = tuple(_kept(folder, store))
    if state is not AttemptState.FINISHED:
        return Result(state, _message(state, record), record, kept, warnings)
    made: list[tuple[str, Artifact]] = []
    for output in step.outputs:
        path = output_path(folder, output)
        if not os.path.lexists(path):
            if output.optional:
                continue
            text = f"output_missing({output.name}): the step ended well but did not write {output.name!r}"
            return Result(AttemptState.FAILED, text, record, kept, warnings)
        try:
            made.append((output.name, store.store_output(path, output.name)))
        except StepwellError as error:
            if error.kind == "machine":
                raise
            return Result(AttemptState.FAILED, error.message, record, kept, warnings)
    for _, artifact in (*made, *kept):
        store.materialize(artifact.digest)  # people open what they are shown, and steps below need it anyway
    return Result(state, None, record, (*made, *kept), warnings, reusable=not written)


def _kept(folder: Path, store: ObjectStore) -> list[tuple[str, Artifact]]:
    found = []
    for name in KEPT_FOLDERS:
        path = folder / "work" / name
        if path.is_dir() and not path.is_symlink() and any(path.iterdir()):
            found.append((f"./{name}", store.store_output(path, name)))
    return found


def _written_inputs(step: StepSpec, inputs: Mapping[str, str], store: ObjectStore) -> list[str]:
    """Say which inputs were written to, and take them out of use: modes stop nobody who is root."""
    found = []
    for source in step.inputs:
        digest = inputs.get(source.name)
        altered = store.altered(digest) if digest is not None and source.mode != "download" else []
        if digest is not None and altered:
            store.withdraw(digest)
            found.append(
                f"it wrote to its input {source.name!r} ({', '.join(altered[:3])}), so its result is not reused;"
                " take the input with as_download() to get a copy of its own"
            )
    return found


def _left_behind(record: dict[str, Any]) -> list[str]:
    names = sorted({str(process["name"]) for process in record.get("left_behind") or []})
    if not names:
        return []
    return [f"it left processes behind, which were ended: {', '.join(names)}"]


def _message(state: AttemptState, record: dict[str, Any]) -> str:
    said = record.get("message")
    if said:
        return str(said)
    if record.get("signal"):
        return f"killed by {_signal_name(int(record['signal']))}"
    if state is AttemptState.TIMED_OUT:
        return "timed out"
    if state is AttemptState.CANCELED:
        return "canceled"
    return f"exit code {record.get('exit_code')}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
