"""From what somebody typed to the run and the step they mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stepwell.api import wire
from stepwell.api.client import Client
from stepwell.authoring.place import nearest
from stepwell.cli.terminal import visible
from stepwell.core.states import RUN_TERMINAL
from stepwell.errors import ConflictError, UsageError, unknown

Json = dict[str, Any]
ID_LENGTH = 36


def chosen(named: str | None) -> str | None:
    """Return the id or name of the workspace to ask about: the named one, or that of the current folder.

    None where nothing names one, which asks about all.
    """
    if named:
        return named
    place = nearest(Path.cwd())
    return (place.id or place.name) if place else None


def find_run(client: Client, ref: str, workspace: str | None) -> Json:
    """Return the run `ref` names: its number, `last`, its id or the beginning of its id.

    Numbers count in the workspace of the current folder where that is one, else everywhere; an id
    in full is found wherever it is.
    """
    if not ref:
        raise UsageError("an empty text names no run", hint="stepwell runs", code="unknown_run")
    place = None if len(ref) == ID_LENGTH and not workspace else chosen(workspace)
    return client.get(wire.route("runs", ref), workspace=place)


def find_step(run: Json, name: str) -> Json:
    """Return the step of that key, as it is or as it is shown, or of that step run id.

    Raises NotFoundError naming those there are, and ConflictError where there are none yet.
    """
    steps: list[Json] = run["steps"]
    if not steps and run["status"] not in RUN_TERMINAL:
        raise ConflictError(
            f"run {run['number']} has no steps yet: its sources are being read",
            hint="again in a moment",
            code="not_planned",
        )
    for step in steps:
        if name in (step["key"], visible(step["key"]), step["step_run"]):
            return step
    raise unknown("step", name, [step["key"] for step in steps])
