"""From what somebody typed to the run and the step they mean."""

from __future__ import annotations

from typing import Any

from stepwell.api import wire
from stepwell.api.client import Client
from stepwell.cli.place import chosen
from stepwell.errors import UsageError, unknown

Json = dict[str, Any]
ID_LENGTH = 36


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
    """Return the step of that key, or of that step run id. Raises NotFoundError naming those there are."""
    steps: list[Json] = run["steps"]
    for step in steps:
        if name in (step["key"], step["step_run"]):
            return step
    raise unknown("step", name, [step["key"] for step in steps])
