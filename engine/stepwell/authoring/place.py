"""Which workspace a folder belongs to, and what is written into a folder that is one.

A folder is a workspace when it holds `.stepwell/config.json`, `{"id": UUID, "name": text}`. The files
`config.json` and `.azureml/config.json`, as the cloud's portal hands them out, name one too, by
`workspace_name`. The nearest folder upwards wins.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from stepwell.api import wire
from stepwell.api.client import Client
from stepwell.errors import MachineError, NotFoundError, WorkspaceException

OWN = Path(".stepwell", "config.json")
PORTAL = (Path("config.json"), Path(".azureml", "config.json"))
DEFAULT = "default"
Json = dict[str, Any]


class Place(NamedTuple):
    """A workspace as a folder says it is. `id` is None where only a name is known, `root` where no folder is."""

    name: str
    id: str | None = None
    root: Path | None = None


def nearest(start: Path) -> Place | None:
    """Return the workspace of `start` or of the nearest folder above it."""
    for folder in (start, *start.parents):
        found = at(folder)
        if found is not None:
            return found
    return None


def at(folder: Path) -> Place | None:
    """Return the workspace that `folder` itself is. Raises WorkspaceException for an unreadable file of ours."""
    if os.path.exists(folder / OWN):
        return read(folder / OWN)
    for name in PORTAL:
        try:
            return read(folder / name)
        except WorkspaceException:
            continue  # a `config.json` may be anybody's, and most folders have none
    return None


def read(path: Path) -> Place:
    """Return what a configuration file says. Raises WorkspaceException where that is no workspace."""
    try:
        data: Any = json.loads(path.read_bytes())
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    except ValueError as error:
        raise _unreadable(path, str(error)) from error
    if isinstance(data, dict) and isinstance(data.get("id"), str):
        folder = path.parent.parent if path.parent.name == OWN.parts[0] else path.parent
        return Place(str(data.get("name") or folder.name), data["id"], folder)
    if isinstance(data, dict) and isinstance(data.get("workspace_name"), str):
        return Place(data["workspace_name"])
    raise _unreadable(path, "it names no workspace")


def write(folder: Path, file_name: str, place: Place) -> Path:
    """Write the configuration of `place` into `folder`, whole or not at all, and return the file's path."""
    path = folder / OWN.parts[0] / file_name
    staged = path.with_name(f"{file_name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staged.write_text(json.dumps({"id": place.id, "name": place.name}, indent=2) + "\n", encoding="ascii")
        staged.replace(path)
    except OSError as error:
        raise MachineError(f"cannot write {str(path)!r}: {error.strerror}", code="no_folder") from error
    return path


def register(client: Client, place: Place) -> Json:
    """Return the workspace of `place` as the daemon knows it, making it known where it is not yet.

    A folder that has moved takes its workspace along. A copy of a folder that is still there
    becomes a workspace of its own, with a warning that says so.
    """
    known = None if place.id is None else _known(client, place.id)
    if known is not None and place.root is not None and known["root"] is not None:
        here = place.root.resolve()
        there = Path(known["root"])
        if there.resolve() == here:
            return known
        if _still_there(there, place.id):
            import uuid
            import warnings

            place = Place(place.name, str(uuid.uuid4()), place.root)
            write(here, OWN.name, place)
            warnings.warn(
                f"{str(here)!r} is a copy of the workspace in {str(there)!r}, and is one of its own from now on",
                stacklevel=2,
            )
    root = None if place.root is None else str(place.root.resolve())
    return client.post("/v1/workspaces", {"id": place.id, "name": place.name, "root": root, "exist_ok": True})


def _known(client: Client, workspace: str) -> Json | None:
    try:
        return client.get(wire.route("workspaces", workspace))
    except NotFoundError:
        return None


def _still_there(folder: Path, workspace: str | None) -> bool:
    try:
        return read(folder / OWN).id == workspace
    except WorkspaceException:
        return False


def _unreadable(path: Path, why: str) -> WorkspaceException:
    return WorkspaceException(
        f"{path}: cannot be read as the configuration of a workspace: {why}",
        hint="`stepwell init` makes a workspace of a folder",
        code="workspace_config",
    )
